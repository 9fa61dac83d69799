"""Settings: where they come from, which is stronger, and what is said of those that can't be used."""

import os
from pathlib import Path
from typing import Any

import pytest

from xinflight.settings import BadSettings, ModelSettings, Settings

FILE = """
port = 1111
host = "127.0.0.2"
steps = 50
allow_origins = ["https://a.example"]

[models.z-image]
steps = 9
guidance_scale = 0
pool = "fast"
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Give the path of a settings file."""
    path = tmp_path / "mine.toml"
    path.write_text(FILE)
    return str(path)


def test_flags_before_variables_before_the_file(file: str) -> None:
    """Each source fills what the stronger ones left open."""
    environ = {"XINFLIGHT_PORT": "2222", "XINFLIGHT_HOST": "127.0.0.3", "XINFLIGHT_CONFIG": file}
    settings = Settings.load({"port": 3333, "host": None}, environ=environ)
    assert (settings.port, settings.host, settings.steps) == (3333, "127.0.0.3", 50)
    assert Settings.load({}, environ=environ).port == 2222
    assert Settings.load({}, environ={"XINFLIGHT_CONFIG": file}).port == 1111
    assert Settings.load({}, environ={}, file=file).models == {
        "z-image": ModelSettings(steps=9, guidance_scale=0.0, pool="fast")
    }


def test_the_file_of_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`xinflight.toml` is read where the server starts; it need not be there."""
    monkeypatch.chdir(tmp_path)
    assert Settings.load(environ={}) == Settings()
    (tmp_path / "xinflight.toml").write_text(FILE)
    assert Settings.load(environ={}).port == 1111


def test_a_plain_call_reads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who embeds the gateway gets what is written there, whatever the environment has."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "xinflight.toml").write_text(FILE)
    monkeypatch.setenv("XINFLIGHT_PORT", "2222")
    assert Settings().port == 8000


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("AUTH", "tokens", "tokens"),
        ("TOKEN_IN_QUERY", "1", True),
        ("ADMINS", "ann, bob", ("ann", "bob")),
        ("HEARTBEAT", "2.5", 2.5),
        ("ALLOW_ORIGINS", "https://a.example, https://b.example,", ("https://a.example", "https://b.example")),
        ("ALLOW_HOSTS", "", ()),
        ("API_KEY", "xf-1234", "xf-1234"),
        ("MODELS", '{"m":{"replicas":2}}', {"m": ModelSettings(replicas=2)}),
    ],
)
def test_variables_of_every_kind(name: str, text: str, value: Any) -> None:
    """Numbers, switches, lists and models are written as one would expect."""
    assert getattr(Settings.load(environ={f"XINFLIGHT_{name}": text}), name.lower()) == value


@pytest.mark.parametrize(
    ("variable", "text", "named"),
    [
        ("PORT", "many", "port"),
        ("PORT", "70000", "port"),
        ("HEARTBEAT", "0", "heartbeat"),
        ("OUTPUTS", "65", "outputs"),
        ("DEFAULT_SIZE", "big", "default_size"),
        ("AUTH", "perhaps", "auth"),
        ("LANG", "fr", "lang"),
        ("LOG_LEVEL", "loud", "log_level"),
        ("MODELS", "{", "MODELS"),
        ("MODELS", '{"m":{"colour":1}}', "colour"),
    ],
)
def test_values_that_can_not_be_used(variable: str, text: str, named: str) -> None:
    """The text names the setting, and nothing starts with a half of it."""
    with pytest.raises(BadSettings, match=named):
        Settings.load(environ={f"XINFLIGHT_{variable}": text})


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"tasks": 0}, "tasks .*>= 1"),
        ({"tasks": "many"}, "tasks .*`int`"),
        ({"tasks": True}, "tasks .*`int`"),
        ({"heartbeat": 0}, "heartbeat .*> 0"),
        ({"outputs": 65}, "outputs .*<= 64"),
        ({"lang": "fr"}, "lang .*'fr'"),
        ({"default_size": "big"}, "default_size"),
        ({"data_dir": Path("data")}, "data_dir .*`str"),
        ({"models": {"m": {"colour": 1}}}, "models .*colour"),
        ({"models": {"m": {"steps": 0}}}, "models .*>= 1.*steps"),
        ({"size_min": 512, "size_max": 256}, r"size_min \(512\) is above size_max \(256\)"),
        ({"size_max": 512}, r"default_size \(1024\) is above size_max \(512\)"),
        ({"timeout_max": 60}, r"timeout \(3600\) is above timeout_max \(60\)"),
        ({"xinference_url": "localhost:9997"}, "xinference_url .*'localhost:9997'"),
        ({"xinference_url": "http://"}, "xinference_url"),
        ({"xinference_url": "http://gpu:99999"}, "xinference_url .*Port out of range"),
        ({"xinference_url": "http://gpu:0"}, "xinference_url"),
        ({"xinference_url": "http://g pu"}, "xinference_url"),
        ({"api_key": "sk-1\n"}, "^The setting api_key can't be used: a key has printable ASCII characters only.$"),
        ({"public_url": "example.org"}, "public_url .*'example.org'"),
        ({"trusted_proxies": ("10.0.0.0/33",)}, "trusted_proxies .*10.0.0.0/33"),
        ({"trusted_proxies": "10.0.0.1"}, "trusted_proxies"),
        ({"auth": "perhaps"}, "auth .*'perhaps'"),
        ({"xinference_url": "http://ann:secret@gpu:9997", "api_key": "sk-1"}, "api_key excludes a name and password"),
        ({"xinference_url": "//ann:secret@gpu"}, r"^The setting xinference_url can't be used: 'gpu' is no URL"),
        ({"auth": True}, "auth .*`bool`"),
        ({"auth": "proxy"}, "proxy without trusted_proxies"),
        ({"auth": "jwt", "jwt_audience": "art"}, "jwt without jwt_keys"),
        ({"auth": "jwt", "jwt_keys": "keys.json"}, "jwt without jwt_audience"),
        ({"proxy_header": "X User"}, "proxy_header .*'X User'"),
        ({"allow_origins": ("*",)}, "allow_origins .*every website"),
        ({"allow_origins": ("https://example.org/",)}, "allow_origins .*no slash"),
        ({"allow_origins": ("null",)}, "allow_origins .*'null'"),
        ({"allow_hosts": ("https://example.org",)}, "allow_hosts .*without scheme"),
    ],
)
def test_values_in_code_that_can_not_be_used(values: dict[str, Any], told: str) -> None:
    """A call is held to the same bounds as a file, and says which setting broke which."""
    with pytest.raises(BadSettings, match=told):
        Settings(**values)


def test_values_in_code_become_their_types() -> None:
    values: dict[str, Any] = {"allow_hosts": ["art.example"], "heartbeat": 5, "models": {"m": {"steps": 9}}}
    settings = Settings(**values)
    assert settings.allow_hosts == ("art.example",)
    assert isinstance(settings.heartbeat, float)
    assert settings.models == {"m": ModelSettings(steps=9)}
    with pytest.raises(BadSettings, match=r"steps .*>= 1"):
        ModelSettings(steps=0)


@pytest.mark.parametrize(
    "text", ["http://localhost:3000", "https://[::1]:3000", "chrome-extension://abcdef", "https://a.example"]
)
def test_origins_that_browsers_send(text: str) -> None:
    assert Settings(allow_origins=(text,)).allow_origins == (text,)


def test_every_website_at_once_is_refused_everywhere() -> None:
    with pytest.raises(BadSettings, match="every website"):
        Settings.load({"allow_origins": ("*",)}, environ={})
    with pytest.raises(BadSettings, match="every website"):
        Settings.load(environ={"XINFLIGHT_ALLOW_ORIGINS": "*"})


@pytest.mark.parametrize(
    ("text", "named"),
    [("port = 'x'", "port"), ("colour = 1", "colour"), ("port =", "mine.toml"), ("[models.m]\nsteps = 0", "models")],
)
def test_files_that_can_not_be_used(tmp_path: Path, text: str, named: str) -> None:
    """A mistake in the file names the setting, or the file where it is no TOML."""
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(BadSettings, match=named):
        Settings.load(environ={}, file=str(path))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A file that was named must be there; bytes that are no text are told as such."""
    with pytest.raises(BadSettings, match=r"nothing\.toml"):
        Settings.load(environ={}, file=str(tmp_path / "nothing.toml"))
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadSettings, match=r"binary\.toml"):
        Settings.load(environ={"XINFLIGHT_CONFIG": str(tmp_path / "binary.toml")})


def test_a_pipe_can_be_read_at_the_start_only(tmp_path: Path) -> None:
    """Read again it has no end, or is empty, which would set every limit to its default."""
    (tmp_path / "x.toml").write_text("tasks = 5\n")
    (tmp_path / "link.toml").symlink_to("x.toml")
    assert Settings.load(environ={}, file=str(tmp_path / "link.toml"), again=True).tasks == 5
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadSettings, match="no regular file"):
        Settings.load(environ={}, file=str(tmp_path / "pipe"), again=True)
