"""What README, protocol.md and CONTRIBUTING say is true: tables against the code, examples run."""

import asyncio
import importlib.util
import itertools
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec
import pytest
from aiohttp.test_utils import TestClient, TestServer

from clients import PAINTER, is_end
from conftest import Serve
from xinflight import protocol
from xinflight.cli import commands as cli
from xinflight.demo import Emulator
from xinflight.errors import BadMessage, XinflightError, by_code, leaves
from xinflight.model import MOVES
from xinflight.protocol import CancelOutcome, CloseCode, State, Step, UpstreamState
from xinflight.settings import Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text("utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")

CLIENT = get_args(protocol.Request)
SERVER = (
    protocol.Welcome
    | protocol.Notice
    | protocol.Ack
    | protocol.Ok
    | protocol.Recovered
    | protocol.Tasks
    | protocol.PreferencesMessage
    | protocol.PresetsMessage
    | protocol.Marked
    | protocol.Pong
    | protocol.Error
    | protocol.Accepted
    | protocol.Progress
    | protocol.Queue
    | protocol.Delta
    | protocol.OutputEvent
    | protocol.Result
    | protocol.Cancelled
)


def table(text: str, header: str) -> dict[str, list[str]]:
    """Return the rows below the only table whose header line begins with `header`, by their first cell."""
    assert text.count(f"\n{header}") == 1, f"{header} should be there once"
    rows: dict[str, list[str]] = {}
    for line in text.split(f"\n{header}", 1)[1].splitlines()[2:]:
        if not line.startswith("|"):
            break
        first, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        assert first not in rows, f"{first} is there twice"
        rows[first.strip("`")] = cells
    return rows


def section(title: str) -> str:
    """Return the text of protocol.md below a heading of a message."""
    found = re.search(rf"^### {title}\n(.*?)(?=^##)", PROTOCOL, re.MULTILINE | re.DOTALL)
    assert found is not None, f"{title} has no section"
    return found.group(1)


def fences(text: str, kind: str) -> list[str]:
    """Return the code blocks of a kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def ticked(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


# The tables of protocol.md


def test_every_message_has_its_fields_in_the_protocol() -> None:
    for struct in (*CLIENT, *get_args(SERVER)):
        title = struct.__struct_config__.tag
        rows = table(section(title), "| field |")
        assert set(rows) == set(struct.__struct_encode_fields__), title


def test_every_part_has_its_fields_in_the_protocol() -> None:
    """Fields of structs inside of messages are named in the row of the field that holds them."""
    for title, field, struct in (
        ("welcome", "limits", protocol.Limits),
        ("welcome", "models", protocol.ModelInfo),
        ("welcome", "upstream", protocol.Upstream),
        ("ack", "params", protocol.Params),
        ("ok", "tasks", protocol.CancelledTask),
        ("progress", "details", protocol.Details),
        ("tasks", "tasks", protocol.TaskInfo),
        ("result", "data", protocol.OutputRef),
        ("result", "failures", protocol.Failure),
    ):
        assert set(struct.__struct_encode_fields__) <= ticked(table(section(title), "| field |")[field][-1]), field


def test_bounds_of_numbers_and_texts() -> None:
    for struct in CLIENT:
        rows = table(section(str(struct.__struct_config__.tag)), "| field |")
        for name, hint in get_type_hints(struct, include_extras=True).items():
            for meta in metas(hint):
                told = rows[struct.__struct_encode_fields__[struct.__struct_fields__.index(name)]][1]
                if meta.ge is not None:
                    assert f"{meta.ge} to {meta.le}" in told, name
                if meta.gt is not None:
                    assert f"more than {meta.gt}, up to {meta.le}" in told, name
                if meta.max_length is not None:
                    assert f"{meta.max_length} " in told, name


def metas(hint: Any) -> list[msgspec.Meta]:
    """Return the bounds of a type, inside of optional ones too."""
    own = [meta for meta in get_args(hint)[1:] if isinstance(meta, msgspec.Meta)] if is_annotated(hint) else []
    return own + [meta for part in get_args(hint) if part is not hint for meta in metas(part)]


def is_annotated(hint: Any) -> bool:
    return get_origin(hint) is Annotated


def test_types_states_steps_and_ends_are_all_there() -> None:
    assert set(table(PROTOCOL, "| type | kind |")) == {member.__struct_config__.tag for member in get_args(SERVER)}
    assert set(table(PROTOCOL, "| upstream state |")) == set(UpstreamState)
    assert list(table(PROTOCOL, "| step | meaning |")) == list(Step)
    assert list(table(PROTOCOL, "| upstream | meaning |")) == list(CancelOutcome)
    assert list(table(README, "| `upstream` |")) == list(CancelOutcome)
    kinds = get_args(get_type_hints(protocol.Notice)["kind"])
    assert set(kinds) <= ticked(table(section("notice"), "| field |")["kind"][0])


def test_the_moves() -> None:
    rows = table(PROTOCOL, "| state | meaning |")
    assert list(rows) == list(State)
    for state, (_, moves) in rows.items():
        assert ticked(moves) == set(MOVES[State(state)]), state


def test_error_codes() -> None:
    rows = table(PROTOCOL, "| code | as |")
    assert list(rows) == [leaf.code for leaf in leaves()]
    for leaf in leaves():
        kinds, status, retryable, _ = rows[leaf.code]
        assert status == str(leaf.status), leaf.code
        assert retryable == ("yes" if leaf.retryable else "no"), leaf.code
        assert set(kinds.split(", ")) <= {"refusal", "end", "retry"}


def test_close_codes() -> None:
    rows = table(PROTOCOL, "| code | sent when |")
    assert list(rows) == [str(int(code)) for code in CloseCode]
    for code in CloseCode:
        assert rows[str(int(code))][1] == ("reconnect" if code.should_reconnect else "give up"), code


def test_the_default_prompt_and_subprotocol_are_told() -> None:
    assert f"the prompt `{protocol.DEFAULT_PROMPT}`" in PROTOCOL
    assert f"the sub-protocol `{protocol.SUBPROTOCOL_JSON}`" in PROTOCOL
    assert f"`welcome.protocol` is the version; absent means {protocol.PROTOCOL_VERSION}." in PROTOCOL


# The examples of the wire


def transcripts() -> list[str]:
    """Return every line of every conversation in the documents."""
    return [line for text in (README, PROTOCOL) for block in fences(text, "text") for line in block.splitlines()]


def test_transcripts_hold_messages_only() -> None:
    lines = transcripts()
    assert len(lines) > 80
    assert all(line == "…" or line[:3] in ("C: ", "S: ") for line in lines)


def test_what_clients_say_in_examples_is_decoded_or_refused_as_shown() -> None:
    lines = transcripts()
    for line, after in itertools.pairwise(lines):
        if not line.startswith("C: "):
            continue
        refused = refusal(line[3:])
        shown = msgspec.json.decode(after[3:]) if after.startswith("S: ") else {"type": ""}
        if refused is not None:
            assert (shown["code"], shown.get("field")) == (refused.code, refused.field), line
        elif shown["type"] == "error":
            assert shown["code"] in {leaf.code for leaf in leaves()}, line
            assert not issubclass(by_code(shown["code"]), BadMessage), line


def refusal(frame: str) -> XinflightError | None:
    try:
        protocol.JSON.decode(frame.encode())
    except XinflightError as error:
        return error
    return None


def test_what_the_server_says_in_examples_is_what_it_can_say() -> None:
    seen = set()
    for line in transcripts():
        if line.startswith("S: "):
            shown = msgspec.json.decode(line[3:])
            again = msgspec.json.decode(protocol.JSON.encode(msgspec.json.decode(line[3:], type=SERVER)))
            assert holds(again, shown), line
            seen.add(shown["type"])
    assert seen | {"delta"} == {member.__struct_config__.tag for member in get_args(SERVER)}


def holds(whole: Any, part: Any) -> bool:
    """Tell whether `whole` has everything that `part` has."""
    if isinstance(whole, dict) and isinstance(part, dict):
        return all(key in whole and holds(whole[key], value) for key, value in part.items())
    if isinstance(whole, list) and isinstance(part, list):
        return len(whole) == len(part) and all(map(holds, whole, part))
    return bool(whole == part)


def test_tasks_in_examples_have_one_end_and_an_ack_first() -> None:
    for block in fences(PROTOCOL, "text"):
        messages = [msgspec.json.decode(line[3:]) for line in block.splitlines() if line.startswith("S: ")]
        ended = [message["task_id"] for message in messages if is_end(message)]
        assert len(ended) == len(set(ended))
        acks = {message["task_id"] for message in messages if message["type"] == "ack"}
        seqs = [message["seq"] for message in messages if "seq" in message]
        assert seqs == sorted(seqs)
        if acks:
            assert set(ended) <= acks


# The README


def test_every_setting_is_in_the_readme_with_its_default() -> None:
    rows = table(README, "| setting | default |")
    assert list(rows) == list(Settings.__struct_fields__)
    for name, (default, _, _) in rows.items():
        assert default.strip("`") == told(getattr(Settings(), name)), name


def told(value: object) -> str:
    """Return how the README writes a default."""
    if value in (None, (), {}):
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def test_every_flag_is_in_the_readme() -> None:
    rows = table(README, "| setting | default |")
    flags = {
        option.name: "/".join((*option.opts, *option.secondary_opts))
        for option in cli.serve.params
        if option.name not in ("demo", "config_file")
    }
    assert {name: flag.strip("`") for name, (_, flag, _) in rows.items() if flag} == flags


def test_the_toml_examples_are_read(tmp_path: Path) -> None:
    read = []
    for number, example in enumerate(fences(README, "toml")):
        file = tmp_path / f"{number}.toml"
        file.write_text(example, "utf-8")
        read.append(Settings.load(environ={}, file=str(file)))
    assert read[0].models["Z-Image-Turbo"].steps == 9
    assert read[0].models["my-flux"].pool == "big"
    assert {settings.auth for settings in read[1:]} == {"jwt", "proxy"}


def test_the_variables_are_read() -> None:
    (name, value) = ticked_assignment(README)
    assert str(getattr(Settings.load(environ={name: value}), name.removeprefix("XINFLIGHT_").lower())) == value


def ticked_assignment(text: str) -> tuple[str, str]:
    found = re.search(r"`(XINFLIGHT_[A-Z_]+)=([^`]+)`", text)
    assert found is not None
    return found.group(1), found.group(2)


def test_python_in_the_readme_is_that_of_the_examples() -> None:
    """An example is there in full, or as a link."""
    examples = {file.name: file.read_text("utf-8") for file in (ROOT / "examples").glob("*.py")}
    shown = fences(README, "python")
    assert set(shown) <= set(examples.values())
    for name, text in examples.items():
        assert (text in shown) is not (f"](examples/{name})" in README), name


SHELL = [line for block in fences(README, "sh") for line in block.splitlines() if "xinflight token" not in line]


@pytest.mark.process
@pytest.mark.parametrize("line", SHELL)
def test_shell_lines_of_the_readme(line: str, tmp_path: Path, unused_tcp_port: int) -> None:
    # Whoever runs this may have a Xinference there.
    program, *arguments = shlex.split(line.replace("http://localhost:9997", f"http://127.0.0.1:{unused_tcp_port}"))
    if program == "make":
        subprocess.run(["make", "--dry-run", *arguments], cwd=ROOT, check=True, capture_output=True)
    elif program == "xinflight":
        assert "is at http://127.0.0.1:" in serve_shortly(arguments, tmp_path) or arguments[0] == "doctor"
    elif "pip" in arguments:
        assert f"\n{arguments[-1].removeprefix('.[').removesuffix(']')} =\n" in (ROOT / "setup.cfg").read_text(
            "utf-8"
        )
    else:
        assert line in ("python3 -m venv .venv", ". .venv/bin/activate"), "how is this line tested?"


def serve_shortly(arguments: list[str], folder: Path) -> str:
    """Run xinflight until it has said where it is, or has ended; return what it said."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("XINFLIGHT_")}
    with subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments],
        cwd=folder,
        env={**environ, "XINFLIGHT_PORT": "0", "XINFLIGHT_DATA_DIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = ""
        for text in process.stdout:
            said += text
            if "Ctrl+C" in text:
                process.send_signal(signal.SIGINT)
        # Whether the doctor is content depends on what runs on this machine.
        assert process.wait() in ((0,) if arguments[0] == "serve" else (0, 1)), said
        assert "Traceback" not in said
    return said


RUN = "from xinflight.cli import main; main(prog_name='xinflight')"


@pytest.mark.process
async def test_the_script_of_the_readme(demo_url: str) -> None:
    script = ROOT / "examples" / "three_images.py"
    url = demo_url.replace("http", "ws", 1) + "ws/generate"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", script, url, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said = (await process.communicate())[0].decode()
    assert process.returncode == 0, said
    assert len(re.findall(r"^(dawn|night)\S* http://127\.0\.0\.1:\d+/outputs/\S+$", said, re.MULTILINE)) == 2, said
    assert re.search(r"^noon\S* cancelled: stopped after [0-9.]+ s$", said, re.MULTILINE), said


def load_example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("stored", [False, True], ids=["in memory", "in a data folder"])
async def test_the_embedding_of_the_readme(emulate: Serve, tmp_path: Path, stored: bool) -> None:
    url = await emulate(Emulator([PAINTER]))
    settings = Settings(xinference_url=url, data_dir=str(tmp_path) if stored else None)
    app = load_example("embedded").create_app(settings)
    async with TestClient(TestServer(app)) as http:
        ann = {"X-User": "ann"}
        async with http.ws_connect("/images/ws/generate", headers=ann) as socket:
            assert (await socket.receive_json())["owner"] == "ann"
            answer = await http.get("/poster", params={"prompt": "a red boat"}, headers=ann)
            assert (answer.status, answer.content_type) == (200, "image/jpeg")
            assert (await answer.read()).startswith(b"\xff\xd8\xff")
            notice = await socket.receive_json()
            assert (notice["kind"], notice["message"]) == ("host", "Your poster is finished")
        assert (await http.get("/poster", headers=ann)).status == 400
        assert (await http.get("/poster", params={"prompt": "a red boat"})).status == 401


# The layout


def test_every_package_is_in_the_layout() -> None:
    rows = [*table(CONTRIBUTING, "| package | what it is for |"), *table(CONTRIBUTING, "| wing | what it is for |")]
    folder = ROOT / "server" / "xinflight"
    modules = {file.stem for file in folder.glob("*.py")} - {"__init__"}
    packages = {file.parent.name for file in folder.glob("*/__init__.py")}
    assert sorted(rows) == sorted(modules | packages)


@pytest.mark.parametrize(
    "name",
    ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", *(f"docs/{each.name}" for each in (ROOT / "docs").glob("*.md"))],
)
def test_links_lead_somewhere(name: str) -> None:
    file = ROOT / name
    text = file.read_text("utf-8")
    titles = {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)]+)\)", text):
        path, _, anchor = target.partition("#")
        if "://" not in target:
            assert not path or (file.parent / path).exists(), target
            assert not anchor or path or anchor in titles, target
