"""The command line: what the doctor finds, and what is said when a server can't start."""

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from clients import LONG, Recorder, hosted, painter
from conftest import Serve
from xinflight.cli import main
from xinflight.demo import EmulatedModel, EmulatorOptions

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Give a way to run a command in an empty folder and an empty environment."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str, **environ: str) -> Result:
        return CliRunner().invoke(main, [*arguments], env={"XINFLIGHT_DATA_DIR": str(tmp_path / "data"), **environ})

    return command


async def doctor(run: Run, *arguments: str, **environ: str) -> Result:
    """Run the doctor beside the emulator of this loop."""
    return await asyncio.to_thread(run, "doctor", *arguments, **environ)


async def test_all_is_well(run: Run, emulate: Serve) -> None:
    """Ready models are shown with defaults and what a cancel does; what can't draw is named; the code is 0."""
    url = await emulate(Recorder([painter(uid="reader", abilities=("ocr",)), painter(replicas=2)]))
    result = await doctor(run, "--xinference", url)
    assert result.exit_code == 0
    assert "All is well." in result.output
    assert "painter, 2 replica(s)" in result.output
    assert "makes      text2image (default)" in result.output
    assert "steps 10, guidance 0" in result.output
    assert "frees the model" in result.output
    assert "Not for this server: reader" in result.output
    assert "to do" not in result.output


async def test_defaults_and_cancels_that_need_a_hand(run: Run, emulate: Serve) -> None:
    """Unknown defaults and a cancel that is none come with what to type."""
    model = painter(default_generate_config={})
    url = await emulate(Recorder([model], options=EmulatorOptions(txt2img_abort=False)))
    result = await doctor(run, "--xinference", url)
    assert result.exit_code == 0
    assert "[models.painter]" in result.output
    assert "gives up the image" in result.output
    assert "3.4.0" in result.output


async def test_what_each_model_can_do(run: Run, emulate: Serve) -> None:
    """By kind, with what matters for it; a cancel that can't be had is no thing to do."""
    animator = EmulatedModel(uid="animator", type="video", abilities=("text2video", "image2video"))
    dancer = EmulatedModel(uid="dancer", type="video", abilities=("image2video",))
    writer = EmulatedModel(uid="writer", type="LLM", abilities=("chat",), engine="transformers")
    result = await doctor(run, "--xinference", await emulate(Recorder([animator, dancer, writer])))
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert lines[lines.index("Model animator, 1 replica(s)") :][:6] == [
        "Model animator, 1 replica(s)",
        "makes video (default), from text or image",
        "defaults size 832x480, 81 frames at 16 a second, steps the model's own, guidance the model's own",
        "to do set its defaults in xinflight.toml: [models.animator] steps = 50, guidance_scale = 5.0",
        "cancel gives up the video; the model works on",
        "Model dancer, 1 replica(s)",
    ]
    assert "makes video, from image" in lines
    assert lines[lines.index("makes chat (default)") :][:3] == [
        "makes chat (default)",
        "context 4096 tokens; 8 chat(s) at once",
        "cancel frees the model",
    ]
    assert "No model for text2image, image2image, inpainting, edit" in lines
    assert "All is well." in lines


async def test_nobody_answers(run: Run, unused_tcp_port: int) -> None:
    """Where Xinference does not run, the doctor says how to start it, or the demo."""
    result = await doctor(run, "--xinference", f"http://127.0.0.1:{unused_tcp_port}")
    assert result.exit_code == 1
    assert "unreachable" in result.output
    assert re.search("Cause .*Cannot connect", result.output)
    assert "xinference-local" in result.output
    assert "--demo" in result.output


async def test_somebody_sends_us_elsewhere(run: Run) -> None:
    """A redirect is not followed, so the doctor names its address: that is what the setting should say."""
    app = web.Application()
    app.router.add_get("/v1/models", redirected)
    async with hosted(app) as url:
        result = await doctor(run, "--xinference", url)
    assert result.exit_code == 1
    assert re.search("Cause .*a redirect to https://gpu.example/v1/models", result.output)


async def test_what_an_upstream_says_does_not_steer_the_terminal(run: Run) -> None:
    """Escape sequences in its answer are shown as question marks."""

    async def loud(request: web.Request) -> web.Response:
        return web.Response(status=500, text="\x1b[2Jboom")

    app = web.Application()
    app.router.add_get("/v1/models", loud)
    async with hosted(app) as url:
        result = await doctor(run, "--xinference", url)
    assert "Cause        ?[2Jboom" in result.output
    assert "\x1b" not in result.output


async def redirected(request: web.Request) -> web.Response:
    raise web.HTTPPermanentRedirect("https://gpu.example/v1/models")


@pytest.mark.parametrize("key", ["", "bad"])
async def test_a_key_that_is_refused(run: Run, emulate: Serve, key: str) -> None:
    """A missing or wrong key is told with the name of its setting, and never shown."""
    engine = Recorder([painter()], options=EmulatorOptions(api_key="good"))
    environ = {"XINFLIGHT_API_KEY": key} if key else {}
    result = await doctor(run, "--xinference", await emulate(engine), **environ)
    assert result.exit_code == 1
    assert "unauthorised" in result.output
    assert "XINFLIGHT_API_KEY" in result.output
    assert ("none given" in result.output) == (not key)
    assert "good" not in result.output
    assert len(engine.keys) == 1


async def test_no_model_for_images(run: Run, emulate: Serve) -> None:
    """A Xinference without such a model, or without the configured one, is not ready."""
    url = await emulate(Recorder([painter(uid="reader", abilities=("ocr",))]))
    result = await doctor(run, "--xinference", url)
    assert (result.exit_code, "xinference launch" in result.output) == (1, True)
    url = await emulate(Recorder([painter()]))
    result = await doctor(run, "--xinference", url, "--model", "other")
    assert (result.exit_code, "there is no model other" in result.output) == (1, True)


def one_line(result: Result) -> str:
    """Return what a command that failed says, which is one line without a traceback."""
    assert result.exit_code == 1
    lines = [line for line in result.output.splitlines() if line.startswith("Error:")]
    assert len(lines) == 1
    assert "Traceback" not in result.output
    return lines[0]


def test_a_port_that_is_taken(run: Run) -> None:
    """One line names the port and the next one to try."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = one_line(run("serve", "--demo", "--port", str(port)))
    assert f"127.0.0.1:{port}" in line
    assert f"--port {port + 1}" in line


def test_an_address_of_another_machine(run: Run) -> None:
    """It is the host that has to change, not the port."""
    line = one_line(run("serve", "--demo", "--host", "192.0.2.1", "--port", "0", "--auth", "none"))
    assert re.search(r"Can't listen on 192\.0\.2\.1:0: (Cannot assign requested address|could not bind)", line)
    assert "--host" in line
    assert "--port" not in line


@pytest.mark.parametrize("auth", ["tokens", "none"])
def test_a_data_folder_that_can_not_be(run: Run, tmp_path: Path, auth: str) -> None:
    """The folder is told to be at fault, whether the token or the database is the first that needs it."""
    (tmp_path / "file").touch()
    line = one_line(run("serve", "--demo", "--port", "0", "--auth", auth, "--data-dir", str(tmp_path / "file" / "x")))
    assert str(tmp_path / "file" / "x") in line
    assert "Not a directory" in line
    assert "--data-dir" in line
    assert "listen" not in line


def test_a_token_that_is_no_text(run: Run, tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"\xff\xfe")
    line = one_line(run("serve", "--demo", "--port", "0", "--auth", "tokens", "--data-dir", str(tmp_path)))
    assert str(tmp_path / "token") in line


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--page", "nothing.html"], "nothing.html"),
        (["--config", "nothing.toml"], "nothing.toml"),
        (["--port", "99999"], "port"),
    ],
)
def test_what_can_not_be_served(run: Run, arguments: list[str], named: str) -> None:
    """What is wrong is named in one line."""
    assert named in one_line(run("serve", "--demo", *arguments))


def test_a_setting_in_the_environment_that_is_wrong(run: Run) -> None:
    """A level that there is none of is named, and no traceback is shown."""
    assert "log_level" in one_line(run("serve", "--demo", XINFLIGHT_LOG_LEVEL="loud"))


NO_SIGNALS = """
import asyncio, sys
sys.modules["uvloop"] = None
def refuse(*arguments): raise NotImplementedError
asyncio.SelectorEventLoop.add_signal_handler = refuse
from xinflight.cli import main
main(prog_name="xinflight")
"""


@pytest.mark.process
def test_a_loop_without_signal_handlers(tmp_path: Path) -> None:
    """Windows has none; there Ctrl+C cancels what runs, and the server stops in order all the same."""
    arguments = ("serve", "--demo", "--port", "0", "--data-dir", str(tmp_path / "data"))
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", NO_SIGNALS, *arguments], stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as process:
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if "Ctrl+C" in line:
                process.send_signal(signal.SIGINT)
        assert process.wait() == 0, said
    assert "Traceback" not in said
    assert "Aborted" not in said


def test_the_engine_alone_on_a_port_that_is_taken(run: Run) -> None:
    """One line names the port and what to try."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run("demo", "--port", str(port))
    assert f"127.0.0.1:{port}" in one_line(result)
    assert "--port" in one_line(result)


@pytest.mark.process
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_engine_alone(tmp_path: Path, how: signal.Signals) -> None:
    """It names its address and its models, answers like Xinference, and stops in order."""
    program = "from xinflight.cli import main; main(prog_name='xinflight')"
    command = [sys.executable, "-W", "error", "-c", program, "demo", "--port", "0"]
    listed: dict[str, list[str]] = {}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if "Ctrl+C" in line:
                url = said.split()[5]
                with urllib.request.urlopen(f"{url}/v1/models", timeout=LONG) as answer:
                    listed = {model["id"]: model["model_ability"] for model in json.load(answer)["data"]}
                process.send_signal(how)
        assert process.wait() == 0, said
    assert re.search("demo-writer +chat", said)
    assert listed["demo-painter"] == ["text2image", "image2image", "inpainting"]
    assert listed["demo-animator"] == ["text2video", "image2video"]
    assert "Traceback" not in said


def test_help_and_version(run: Run) -> None:
    """The commands explain themselves."""
    assert {"doctor", "demo", "serve"} <= {*run("--help").output.split()}
    assert "--port" in run("demo", "-h").output
    assert "--allow-origin" in run("serve", "-h").output
    assert "0.1.0" in run("--version").output
