"""Every setting, in one frozen struct. `Settings(...)` reads nothing, `Settings.load()` the environment.

Both check every value: one that is out of bounds or can never work raises BadSettings, which names it.
"""

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from xinflight.forwarded import read_network, read_public_url

__all__ = ["BadSettings", "ModelSettings", "Settings"]

Seconds = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]
Size = Annotated[str, Meta(pattern=r"^[1-9][0-9]{1,4}x[1-9][0-9]{1,4}$")]

# RFC 6454 section 6.2, as browsers write it: in small letters, without a slash at its end.
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9._:\[\]-]+")
_NAME = re.compile(r"[\w.-]+", re.ASCII)


class BadSettings(Exception):
    """A setting that can't be used; the text names it and where it came from."""


class ModelSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is said of one model under `[models.<uid>]`; None leaves it to the model.

    `pool` is a name under which several uids share one queue. `replicas` overrides what Xinference tells.
    """

    steps: Count | None = None
    guidance_scale: Annotated[float, Meta(ge=0)] | None = None
    size: Size | None = None
    replicas: Count | None = None
    pool: Annotated[str, Meta(min_length=1)] | None = None

    def __post_init__(self) -> None:
        _check_types(self)


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of one gateway. Durations are seconds, lengths characters, sizes pixels; None switches off.

    Raises:
        BadSettings: a value is of the wrong type, out of bounds, or can never work; the text names the setting.
    """

    xinference_url: str = "http://localhost:9997"
    """Where Xinference answers."""
    api_key: str | None = None
    """Our key at Xinference. People's own tokens are never sent there."""
    model: str | None = None
    """The default model; None takes the first that makes pictures from text."""
    models: dict[str, ModelSettings] = msgspec.field(default_factory=dict)
    """What is said of single models."""
    host: str = "127.0.0.1"
    """The address that `serve` binds to."""
    port: Annotated[int, Meta(ge=0, le=65535)] = 8000
    """The port that `serve` binds to; 0 takes a free one."""
    data_dir: str | None = None
    """The folder for what is kept; None keeps it in memory."""
    page: str | None = None
    """Somebody's own page, a file or a folder, served at / in place of ours."""
    allow_origins: tuple[str, ...] = ()
    """Origins besides our own whose pages may connect, like https://example.org."""
    allow_hosts: tuple[str, ...] = ()
    """Names besides localhost and IP addresses under which we may be asked."""
    auth: bool | None = None
    """Whether `serve` asks for a token; None asks where it is bound to an address beyond loopback."""
    lang: Literal["en", "zh-CN"] = "en"
    """The language of `message` where nobody asked for one: en or zh-CN."""
    default_size: Size = "1024x1024"
    """The size of a picture when neither the user nor the model says one."""
    prompt_length: Count = 5000
    """The longest prompt, and negative prompt."""
    pictures: Annotated[int, Meta(ge=1, le=64)] = 8
    """The most pictures of one generation."""
    size_min: Count = 64
    """The shortest side of a picture."""
    size_max: Count = 2048
    """The longest side of a picture."""
    steps: Count = 200
    """The most steps of a picture."""
    guidance_scale: Annotated[float, Meta(ge=0)] = 30.0
    """The highest guidance scale."""
    timeout: Seconds = 3600.0
    """The time a generation has from its acceptance when it says none."""
    timeout_max: Seconds = 86400.0
    """The most time a generation may ask for."""
    tasks_per_owner: Count = 1000
    """The most unfinished generations of one owner, over all connections and APIs."""
    tasks: Count = 10000
    """The most unfinished generations in all."""
    connections: Count = 10000
    """The most open sockets and streams; one more is told to come back (1013, or 503)."""
    heartbeat: Seconds = 25.0
    """The pause between pings; a dead peer is found within two."""
    disconnect_grace: Seconds = 30.0
    """How long an owner may have no follower before `on_disconnect: cancel` acts."""
    kept_tasks: Count = 1000
    """Without a data folder: the most ended generations that are kept in memory."""
    kept_bytes: Count = 268435456
    """Without a data folder: the most bytes of pictures that are kept in memory."""
    history_bytes: Annotated[int, Meta(ge=0)] = 20_000_000_000
    """The most bytes of the history, pictures and all else; above it the oldest generations are deleted."""
    history_tasks: Count = 100_000
    """The most ended generations in the history; above it the oldest are deleted."""
    history_age: Seconds | None = None
    """How long ended generations are kept; None keeps them until the caps. Counts after an hour of an even clock."""
    durability: Literal["normal", "full"] = "normal"
    """What a commit survives: normal the death of the server, full that of the machine."""
    inline_bytes: Annotated[int, Meta(ge=0)] = 4194304
    """The most bytes of pictures that one message carries as base64 for who asks for it."""
    held_bytes: Annotated[int, Meta(ge=0)] = 134217728
    """The most bytes of finished pictures that are held while the disk takes nothing."""
    public_url: str | None = None
    """Scheme, host and prefix under which people reach us, for the URLs of pictures; None takes each request's."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks of proxies whose X-Forwarded-Proto, -Host and -Prefix are believed."""
    drain: Annotated[float, Meta(ge=0)] = 10.0
    """How long a server that stops lets running generations go on."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least level that is logged by `serve`: debug, info, warning or error."""

    def __post_init__(self) -> None:
        _check_types(self)
        _check("xinference_url", self.xinference_url, _read_url)
        if self.public_url is not None:
            _check("public_url", self.public_url, read_public_url)
        for origin in self.allow_origins:
            _check("allow_origins", origin, _read_origin)
        for name in self.allow_hosts:
            _check("allow_hosts", name, _read_name)
        for network in self.trusted_proxies:
            _check("trusted_proxies", network, read_network)
        _check_order("size_min", self.size_min, "size_max", self.size_max)
        _check_order("timeout", self.timeout, "timeout_max", self.timeout_max)
        for side in self.default_size.split("x"):
            _check_order("size_min", self.size_min, "default_size", int(side))
            _check_order("default_size", int(side), "size_max", self.size_max)

    @classmethod
    def load(
        cls,
        flags: Mapping[str, Any] | None = None,
        *,
        environ: Mapping[str, str] = os.environ,
        file: str | None = None,
    ) -> Self:
        """Read settings from flags, `XINFLIGHT_*` variables and a TOML file, in that order of strength.

        The file is `file`, else `XINFLIGHT_CONFIG`, else a `xinflight.toml` in the working folder.

        Raises:
            BadSettings: a value can't be used, or the file can't be read; the text names the setting.
        """
        named = file or environ.get("XINFLIGHT_CONFIG")
        values = _from_file(Path(named or "xinflight.toml"), must_exist=named is not None)
        for name in cls.__struct_fields__:
            text = environ.get(f"XINFLIGHT_{name.upper()}")
            if text is not None:
                values[name] = _from_text(name, text)
        values.update({name: value for name, value in (flags or {}).items() if value is not None})
        try:
            return msgspec.convert(values, cls, strict=False)
        except msgspec.ValidationError as error:
            raise BadSettings(f"A setting can't be used: {error}") from None


def _check_types(settings: Struct) -> None:
    """Convert every field to its type; raise BadSettings where it does not fit the type and its bounds."""
    for field in msgspec.structs.fields(settings):
        try:
            value = msgspec.convert(getattr(settings, field.name), field.type)
        except msgspec.ValidationError as error:
            raise BadSettings(f"The setting {field.name} can't be used: {error}.") from None
        msgspec.structs.force_setattr(settings, field.name, value)


def _check(name: str, text: str, read: Callable[[str], object]) -> None:
    """Raise BadSettings where `read` can't make anything of a text."""
    try:
        read(text)
    except ValueError as error:
        raise BadSettings(f"The setting {name} can't be used: {error}.") from None


def _check_order(low_name: str, low: float, high_name: str, high: float) -> None:
    if low > high:
        raise BadSettings(f"The setting {low_name} ({low:g}) is above {high_name} ({high:g}).")


def _read_url(text: str) -> None:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{text!r} is no URL like http://localhost:9997")


def _read_origin(text: str) -> None:
    if text == "*":
        # With cookies, and on loopback without a log-in, that would hand everything to any website that is visited.
        raise ValueError("'*' would let every website in; name each one, like https://example.org")
    if not _ORIGIN.fullmatch(text):
        raise ValueError(
            f"{text!r} is no origin like https://example.org (small letters, no path, no slash at its end)"
        )


def _read_name(text: str) -> None:
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text!r} is no host name like art.example.org (without scheme and port)")


def _from_file(path: Path, *, must_exist: bool) -> dict[str, Any]:
    """Read a TOML file; an absent one is empty unless it was named."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if must_exist:
            raise BadSettings(f"There is no settings file {path}.") from None
        return {}
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        raise BadSettings(f"The settings file {path} can't be read: {error}") from None


def _from_text(name: str, text: str) -> object:
    """Turn a variable's text into a value: lists are parted by commas, `models` is JSON."""
    if name in ("allow_origins", "allow_hosts", "trusted_proxies"):
        return [part.strip() for part in text.split(",") if part.strip()]
    if name == "models":
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise BadSettings(f"XINFLIGHT_MODELS is no JSON: {error}") from None
    return text
