"""`xinflight token`: make, list and revoke tokens, beside a running server and beside another command."""

import asyncio
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner, Result

from clients import LONG, ShiftedClock
from conftest import Serve
from xinflight.auth import TokenFile
from xinflight.cli import main, read_expiry

README = Path(__file__).parent.parent / "README.md"

Run = Callable[..., Result]
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Give a way to run `xinflight token` on a folder, in an empty folder and environment."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["token", *arguments], env={"XINFLIGHT_DATA_DIR": str(tmp_path / "data")})

    return command


@pytest.mark.parametrize("command", [("list",), ("new", "ann"), ("revoke", "ann")])
def test_the_folder_of_another_user(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """Nothing in it can be looked at, not even whether it is there."""
    (tmp_path / "data").mkdir()

    def closed(path: Path, **_: object) -> os.stat_result:
        raise PermissionError(13, "Permission denied", str(path))

    real = os.open
    monkeypatch.setattr(Path, "exists", closed)
    monkeypatch.setattr(os, "open", lambda path, *rest: closed(path) if "data" in str(path) else real(path, *rest))
    result = run(*command)
    assert result.exit_code == 1
    assert "Permission denied" in result.stderr
    assert isinstance(result.exception, SystemExit), "a traceback"


def test_the_life_of_a_token(run: Run, tmp_path: Path) -> None:
    made = run("new", "laptop", "--owner", "ann", "--expires", "30d", "--admin", "--weight", "2")
    assert made.exit_code == 0
    # Only the token is on stdout, for `TOKEN=$(xinflight token new ...)`.
    token = made.stdout.strip()
    assert token.startswith("xf_")
    assert len(token.split()) == 1
    run("new", "bob")
    listed = run("list").stdout.splitlines()
    assert len(listed) == 2
    for part in ("laptop, ", f"id {token.split('_')[1]}, ", "owner ann, admin, weight 2, ", "expires 20", token[-4:]):
        assert part in listed[0]
    assert token not in run("list").stdout
    assert run("revoke", "laptop").exit_code == 0
    assert [record.name for record in TokenFile(tmp_path / "data").read()] == ["bob"]
    assert run("revoke", "bob").exit_code == 0
    assert "no tokens" in run("list").stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["new", ""], "printable"),
        (["new", "a\nb"], "printable"),
        (["new", "ann", "--owner", "a\x1b[31m"], "printable"),
        (["new", "ann", "--weight", "0"], "weight"),
        (["new", "ann", "--expires", "soon"], "30d"),
        (["new", "ann", "--expires", "2020-01-31"], "future"),
        (["revoke", "no\x1b[31mbody"], r"no token no\x1b[31mbody"),
        (["list", "--data-dir", "data/file/x"], "data/file/x"),
    ],
)
def test_what_is_refused(run: Run, tmp_path: Path, arguments: list[str], reason: str) -> None:
    """In one line that says why, without control characters."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").touch()
    refused = run(*arguments)
    assert refused.exit_code == 1
    assert refused.stderr.startswith("Error: ")
    assert reason in refused.stderr
    assert refused.stderr.rstrip("\n").isprintable()


def test_the_commands_of_the_readme(run: Run) -> None:
    """They work in the order in which they stand there."""
    lines = re.findall(r"^xinflight token (.+)$", README.read_text("utf-8"), re.MULTILINE)
    assert [line.split()[0] for line in lines] == ["new", "list", "revoke"]
    for line in lines:
        assert run(*shlex.split(line)).exit_code == 0


def test_a_name_twice_and_a_damaged_file(run: Run, tmp_path: Path) -> None:
    assert run("new", "ann").exit_code == 0
    assert "revoke it, or choose another name" in run("new", "ann").stderr
    (tmp_path / "data" / "tokens.json").write_text("{")
    for arguments in (["new", "bob"], ["list"], ["revoke", "ann"]):
        assert "tokens.json" in run(*arguments).stderr


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30m", 1800), ("12h", 43_200), ("30d", 30 * 86_400), ("8w", 56 * 86_400), ("2026-11-22", 43_200)],
)
def test_expiry(text: str, seconds: float) -> None:
    assert read_expiry(text, NOW) == NOW + seconds


@pytest.mark.parametrize(
    "text", ["", "0d", "-1d", "1.5d", "30", "30 d", "d", "2026-11-21", "2026-02-30", "99999999d", "999999w"]
)
def test_what_is_no_expiry(text: str) -> None:
    with pytest.raises(ValueError, match="--expires"):
        read_expiry(text, NOW)


async def test_a_running_server_notices(clock: ShiftedClock, serve: Serve, run: Run) -> None:
    """The folder of a running server is locked for others; its tokens are not."""
    url, _, _ = (await serve(xinference_url="http://127.0.0.1:9", auth="tokens")).partition("#")
    token = (await asyncio.to_thread(run, "new", "ann")).stdout.strip()

    async def status() -> int:
        headers = {"Authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession(headers=headers) as http, http.get(f"{url}api/v1/models") as response:
            return response.status

    assert await status() == 200
    assert (await asyncio.to_thread(run, "revoke", "ann")).exit_code == 0
    clock.advance(1.0)
    async with asyncio.timeout(LONG):
        while await status() == 200:
            pass
    assert await status() == 401


@pytest.mark.process
def test_commands_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    script = "import sys; from xinflight.cli import main; main(prog_name='xinflight')"
    command = [sys.executable, "-c", script, "token", "new", "--data-dir", str(tmp_path)]
    names = [f"{number}" for number in range(3)]
    processes = [subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True) for name in names]
    tokens = [process.communicate()[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(names)
    assert len(set(tokens)) == len(names)
    assert sorted(record.name for record in TokenFile(tmp_path).read()) == sorted(names)
