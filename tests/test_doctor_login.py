"""What the doctor says about the log-in: the mode in effect, what it lacks, and no secret."""

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from clients import Recorder, painter
from conftest import Serve
from xinflight.auth import TokenFile
from xinflight.cli import main

Run = Callable[..., Result]


@pytest.fixture
async def upstream(emulate: Serve) -> str:
    return await emulate(Recorder([painter()]))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, upstream: str) -> Run:
    """Give a way to run the doctor beside a Xinference that is well, on an empty data folder."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> Result:
        flags = ("--xinference", upstream, "--data-dir", str(tmp_path / "data"))
        return CliRunner().invoke(main, ["doctor", *flags, *arguments])

    return command


async def examined(run: Run, *arguments: str) -> tuple[int, str]:
    """Return the exit code and the lines about the log-in."""
    result = await asyncio.to_thread(run, *arguments)
    assert "All is well." in result.output or result.exit_code == 1
    return result.exit_code, result.output.partition("Data         ")[0]


async def test_the_mode_in_effect(run: Run, tmp_path: Path) -> None:
    assert await examined(run) == (
        0,
        "Log-in       none: everybody who reaches 127.0.0.1 is the owner local, an admin\n",
    )
    code, said = await examined(run, "--host", "0.0.0.0")
    assert code == 1
    assert "tokens: 0 valid" in said
    assert f"xinflight token new NAME --admin --data-dir {tmp_path / 'data'}" in said
    assert (await examined(run, "--auth", "anonymous"))[0] == 0
    # It only looks.
    assert not (tmp_path / "data").exists()


async def test_tokens(run: Run, tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "data")
    token, record = await asyncio.to_thread(file.add, "ann", now=0.0, admin=True)
    await asyncio.to_thread(file.add, "bob", now=0.0, expires=1.0)
    code, said = await examined(run, "--auth", "tokens")
    assert code == 0
    assert "tokens: 1 valid, 1 of admins, 1 expired" in said
    for secret in (token, token[-43:], record.sha256):
        assert secret not in said
    await asyncio.to_thread(file.path.write_text, "{")
    code, said = await examined(run, "--auth", "tokens")
    assert code == 1
    assert "tokens: not usable" in said
    assert str(file.path) in said


async def test_a_token_of_an_earlier_version(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "token").write_text("a-secret")
    assert (await examined(run, "--auth", "tokens"))[0] == 0
    assert (tmp_path / "data" / "token").exists()


async def test_json_web_tokens(run: Run, tmp_path: Path) -> None:
    secret = base64.urlsafe_b64encode(b"s" * 32).decode()
    (tmp_path / "xinflight.toml").write_text('auth = "jwt"\njwt_keys = "keys.json"\njwt_audience = "art"\n')
    code, said = await examined(run)
    assert (code, "No such file" in said) == (1, True)
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [{"kty": "oct", "k": secret, "kid": "1"}]}))
    assert await examined(run) == (0, "Log-in       jwt: 1 keys (HS256), audience art, any issuer\n")


async def test_a_proxy(run: Run, tmp_path: Path) -> None:
    (tmp_path / "xinflight.toml").write_text('auth = "proxy"\ntrusted_proxies = ["10.0.0.0/8"]\n')
    assert await examined(run) == (
        0,
        "Log-in       proxy: the header X-Forwarded-User of 10.0.0.0/8 names the owner\n",
    )
