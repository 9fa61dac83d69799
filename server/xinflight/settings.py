"""All settings in one frozen struct. `Settings(...)` reads nothing, `Settings.load()` the environment and a file.

Both validate every value and raise BadSettings with the name of the invalid setting.
"""

import functools
import os
import re
import stat
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from xinflight.forwarded import read_network, read_public_url

__all__ = ["RELOADABLE", "BadSettings", "ModelSettings", "Settings"]

Seconds = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]
Bound = Annotated[int, Meta(ge=0)] | None
"""A limit that depends on whether there is a log-in if it is None. 0 is no limit."""
Size = Annotated[str, Meta(pattern=r"^[1-9][0-9]{1,4}x[1-9][0-9]{1,4}$")]

LIMITS = {
    "tasks_per_address": 2000,
    "requests_per_minute": 1200,
    "requests_per_minute_per_address": 6000,
    "connections_per_owner": 100,
    "connections_per_address": 200,
}
"""Default limits per owner and address where owners differ. Without a log-in one's own scripts would meet them."""

RELOADABLE = frozenset(
    """
    default_size prompt_length outputs size_min size_max video_size video_frames video_fps frames steps guidance_scale
    timeout video_timeout timeout_max tasks_per_owner tasks_per_address seconds_per_day pending_bytes chat_bytes
    chat_messages upload_bytes upload_pixels uploads_per_owner uploads_bytes tasks requests_per_minute
    requests_per_minute_per_address connections_per_owner connections_per_address history_bytes history_tasks
    history_age file_metadata content_producer inline_bytes drain log_level polls_per_second
    """.split()
)
"""Settings that can change while a gateway runs: each is read anew whenever it matters, or by `Gateway.reload`."""

# RFC 6454 section 6.2, as browsers send it: lower case, without a trailing slash.
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9._:\[\]-]+")
_NAME = re.compile(r"[\w.-]+", re.ASCII)
_FIELD_NAME = re.compile(r"[A-Za-z0-9-]+")


class BadSettings(Exception):
    """Invalid setting. The text contains its name and source."""


class ModelSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of one model under `[models.<uid>]`. None means the model's own value.

    Models with the same `pool` share one queue. `replicas` overrides the number that Xinference reports, `slots` how
    many outputs a replica makes at once: 8 chats, else 1. A chat model runs 16 and then stops answering aborts.
    """

    steps: Count | None = None
    guidance_scale: Annotated[float, Meta(ge=0)] | None = None
    size: Size | None = None
    frames: Count | None = None
    fps: Count | None = None
    replicas: Count | None = None
    slots: Count | None = None
    pool: Annotated[str, Meta(min_length=1)] | None = None

    def __post_init__(self) -> None:
        _check_types(self)


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of one gateway. Durations are in seconds, lengths in characters, sizes in pixels.

    Raises:
        BadSettings: a value has the wrong type, is out of bounds, or can't work. The text names the setting.
    """

    xinference_url: str = "http://localhost:9997"
    """URL of Xinference."""
    api_key: str | None = None
    """API key for Xinference. Tokens of users are never sent there."""
    model: str | None = None
    """Default model for what it can do. None means the first one that can do what is asked for."""
    models: dict[str, ModelSettings] = msgspec.field(default_factory=dict)
    """Settings of individual models, by uid."""
    host: str = "127.0.0.1"
    """Address that `serve` binds to."""
    port: Annotated[int, Meta(ge=0, le=65535)] = 8000
    """Port that `serve` binds to. 0 chooses a free port."""
    data_dir: str | None = None
    """Folder for tasks and images. None keeps them in memory."""
    page: str | None = None
    """Custom page, a file or a folder, served at / instead of the built-in one."""
    allow_origins: tuple[str, ...] = ()
    """Additional origins whose pages may connect, such as https://example.org."""
    allow_hosts: tuple[str, ...] = ()
    """Host names, besides localhost and IP addresses, accepted in the `Host` header."""
    auth: Literal["none", "anonymous", "tokens", "jwt", "proxy"] | None = None
    """How people log in. None means none, but tokens if `serve` is bound to an address beyond loopback."""
    admins: tuple[str, ...] = ()
    """Owners who are admins, with auth = jwt and auth = proxy."""
    token_in_query: bool = False
    """Whether tokens are accepted as the query parameter `token`, which ends up in the logs of proxies."""
    jwt_keys: str | None = None
    """File with the keys that JSON Web Tokens are signed with (JWKS), for auth = jwt."""
    jwt_audience: str | None = None
    """Audience (aud) that JSON Web Tokens must have."""
    jwt_issuer: str | None = None
    """Issuer (iss) that JSON Web Tokens must have. None means any with one of the keys."""
    proxy_header: str = "X-Forwarded-User"
    """Header in which a trusted proxy names the user, with auth = proxy."""
    lang: Literal["en", "zh-CN"] = "en"
    """Language of `message` if the client requests none: en or zh-CN."""
    default_size: Size = "1024x1024"
    """Size of an image if neither the user nor the model specifies one."""
    prompt_length: Count = 5000
    """Maximum length of a prompt and of a negative prompt."""
    outputs: Annotated[int, Meta(ge=1, le=64)] = 8
    """Maximum number of images per generation."""
    size_min: Count = 64
    """Minimum side length of an image."""
    size_max: Count = 2048
    """Maximum side length of an image."""
    video_size: Size = "832x480"
    """Size of a video if neither the user nor the model specifies one."""
    video_frames: Count = 81
    """Number of frames of a video if neither the user nor the model specifies one."""
    video_fps: Count = 16
    """Frames per second of a video if neither the user nor the model specifies them."""
    frames: Count = 257
    """Maximum number of frames of a video."""
    steps: Count = 200
    """Maximum number of inference steps."""
    guidance_scale: Annotated[float, Meta(ge=0)] = 30.0
    """Maximum guidance scale."""
    timeout: Seconds = 3600.0
    """Default timeout of a generation, counted from its acceptance."""
    video_timeout: Seconds = 14400.0
    """Default timeout of a video, counted from its acceptance."""
    timeout_max: Seconds = 86400.0
    """Maximum timeout that a generation may request."""
    tasks_per_owner: Count = 1000
    """Maximum number of unfinished generations per owner, over all connections and APIs."""
    tasks_per_address: Bound = None
    """The same per client address. None: 2000 with a log-in, else no limit."""
    seconds_per_day: Seconds | None = None
    """Maximum compute seconds per owner and day (UTC). None: no limit."""
    pending_bytes: Count = 67108864
    """Maximum bytes of prompts, chats and metadata of an owner's unfinished generations."""
    chat_bytes: Count = 1048576
    """Maximum bytes of a chat with its messages and tools."""
    chat_messages: Count = 1000
    """Maximum number of messages of a chat."""
    upload_bytes: Count = 26214400
    """Maximum bytes of an upload."""
    upload_pixels: Count = 64000000
    """Maximum number of pixels of an upload."""
    uploads_per_owner: Count = 1000
    """Maximum number of uploads of an owner."""
    uploads_bytes: Count = 1073741824
    """Maximum bytes of all uploads of an owner."""
    tasks: Count = 10000
    """Maximum number of unfinished generations in total."""
    requests_per_minute: Bound = None
    """Maximum number of messages and requests per minute and owner. None: 1200 with a log-in, else no limit."""
    requests_per_minute_per_address: Bound = None
    """The same per client address. None: 6000 with a log-in, else no limit."""
    connections: Count = 10000
    """Maximum number of open WebSockets and streams. Further ones are refused with 1013 or 503."""
    connections_per_owner: Bound = None
    """The same per owner. None: 100 with a log-in, else no limit."""
    connections_per_address: Bound = None
    """The same per client address. None: 200 with a log-in, else no limit."""
    heartbeat: Seconds = 25.0
    """Interval between pings. A dead peer is detected within two intervals."""
    disconnect_grace: Seconds = 30.0
    """Time without any subscriber of the owner after which `on_disconnect: cancel` applies."""
    memory_tasks: Count = 1000
    """Without a data folder: maximum number of ended generations in memory."""
    memory_bytes: Count = 268435456
    """Without a data folder: maximum bytes of images in memory."""
    history_bytes: Annotated[int, Meta(ge=0)] = 20_000_000_000
    """Maximum bytes of the history, including images. Above it, the oldest generations are deleted."""
    history_tasks: Count = 100_000
    """Maximum number of ended generations in the history. Above it, the oldest are deleted."""
    history_age: Seconds | None = None
    """Maximum age of ended generations; None means no limit. Applied once the clock has run evenly for an hour."""
    durability: Literal["normal", "full"] = "normal"
    """What a commit survives: normal a crash of the server, full also a power failure."""
    file_metadata: Literal["full", "origin", "none"] = "full"
    """What files say of themselves: full, origin (only that a model made them, no prompt), or none."""
    content_producer: Annotated[str, Meta(min_length=1, max_length=200)] = "xinflight"
    """Name or code of whoever provides this service, for the label in files."""
    inline_bytes: Annotated[int, Meta(ge=0)] = 4194304
    """Maximum bytes of images that one message contains as base64, if requested."""
    unsaved_bytes: Annotated[int, Meta(ge=0)] = 134217728
    """Maximum bytes of finished images buffered in memory while the disk is not writable."""
    public_url: str | None = None
    """Public scheme, host and prefix of the server, for image URLs. None uses those of each request."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks of proxies whose X-Forwarded-For, -Proto, -Host and -Prefix are trusted."""
    metrics: bool = False
    """Whether /metrics reports metrics for Prometheus, to admins. Needs the extra metrics."""
    metrics_networks: tuple[str, ...] = ()
    """Addresses and networks from which /metrics is readable without credentials."""
    polls_per_second: Annotated[float, Meta(gt=0)] = 10.0
    """Maximum number of progress polls per second. Each costs Xinference 4 to 6 ms of CPU."""
    speed: bool = True
    """Whether the packages of the extra speed are used where they are installed."""
    drain: Annotated[float, Meta(ge=0)] = 10.0
    """Time that running generations get to finish when the server stops."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Minimum log level of `serve`: debug, info, warning or error."""

    def __post_init__(self) -> None:
        _check_types(self)
        _check("xinference_url", self.xinference_url, _read_url)
        if self.api_key is not None and not (self.api_key.isascii() and self.api_key.isprintable()):
            # No header carries others; the text of an error must not contain it.
            raise BadSettings("The setting api_key can't be used: a key has printable ASCII characters only.")
        if self.api_key is not None and "@" in urlsplit(self.xinference_url).netloc:
            raise BadSettings(
                "The setting api_key excludes a name and password in xinference_url: both authenticate."
            )
        if self.public_url is not None:
            _check("public_url", self.public_url, read_public_url)
        for origin in self.allow_origins:
            _check("allow_origins", origin, _read_origin)
        for name in self.allow_hosts:
            _check("allow_hosts", name, _read_name)
        for name in ("trusted_proxies", "metrics_networks"):
            for network in getattr(self, name):
                _check(name, network, read_network)
        _check_auth(self)
        _check_order("size_min", self.size_min, "size_max", self.size_max)
        _check_order("timeout", self.timeout, "timeout_max", self.timeout_max)
        for side in self.default_size.split("x"):
            _check_order("size_min", self.size_min, "default_size", int(side))
            _check_order("default_size", int(side), "size_max", self.size_max)

    def limited(self, *, by_owner: bool) -> Self:
        """Return these settings with the default limits per owner and address: none if everybody is one owner."""
        unset = {name: most if by_owner else 0 for name, most in LIMITS.items() if getattr(self, name) is None}
        return msgspec.structs.replace(self, **unset)

    def take_over(self, new: Self) -> tuple[list[str], list[str]]:
        """Change what may change while a gateway runs to what it is in `new`, and nothing else.

        The only change of a frozen struct: all parts of a gateway share this one, so that none is left behind with
        old limits. Returns the names of the settings that changed, and of those that need a restart to change.
        """
        names = [name for name in self.__struct_fields__ if getattr(self, name) != getattr(new, name)]
        changed = [name for name in names if name in RELOADABLE]
        for name in changed:
            msgspec.structs.force_setattr(self, name, getattr(new, name))
        return changed, [name for name in names if name not in RELOADABLE]

    @classmethod
    def load(
        cls,
        flags: Mapping[str, Any] | None = None,
        *,
        environ: Mapping[str, str] = os.environ,
        file: str | None = None,
        again: bool = False,
    ) -> Self:
        """Load settings from flags, `XINFLIGHT_*` variables and a TOML file, in that order of precedence.

        The file is `file`, else `XINFLIGHT_CONFIG`, else a `xinflight.toml` in the working folder. `again`, when they
        have been read before, it must be a regular file: a pipe (`--config <(...)`) is empty then, or never ends.

        Raises:
            BadSettings: a value is invalid, or the file can't be read. The text names the setting.
        """
        named = file or environ.get("XINFLIGHT_CONFIG")
        values = _from_file(Path(named or "xinflight.toml"), must_exist=named is not None, again=again)
        for name in cls.__struct_fields__:
            text = environ.get(f"XINFLIGHT_{name.upper()}")
            if text is not None:
                values[name] = _from_text(name, text)
        values.update({name: value for name, value in (flags or {}).items() if value is not None})
        try:
            return msgspec.convert(values, cls, strict=False)
        except msgspec.ValidationError as error:
            raise BadSettings(f"A setting can't be used: {error}") from None


# Evaluating the annotations takes longer than all checks.
_fields = functools.cache(msgspec.structs.fields)


def _check_types(settings: Struct) -> None:
    """Convert every field to its type; raise BadSettings if a value doesn't fit its type and bounds."""
    for field in _fields(type(settings)):
        try:
            value = msgspec.convert(getattr(settings, field.name), field.type)
        except msgspec.ValidationError as error:
            raise BadSettings(f"The setting {field.name} can't be used: {error}.") from None
        msgspec.structs.force_setattr(settings, field.name, value)


def _check(name: str, text: str, read: Callable[[str], object]) -> None:
    """Raise BadSettings if `read` can't parse the text."""
    try:
        read(text)
    except ValueError as error:
        raise BadSettings(f"The setting {name} can't be used: {error}.") from None


def _check_auth(settings: Settings) -> None:
    """Raise BadSettings for a mode of authentication without what it needs."""
    _check("proxy_header", settings.proxy_header, _read_field_name)
    if settings.auth == "jwt":
        for name in ("jwt_keys", "jwt_audience"):
            if not getattr(settings, name):
                raise BadSettings(f"The setting auth can't be jwt without {name}.")
    if settings.auth == "proxy" and not settings.trusted_proxies:
        raise BadSettings(
            "The setting auth can't be proxy without trusted_proxies: anyone can send the header proxy_header."
        )


def _check_order(low_name: str, low: float, high_name: str, high: float) -> None:
    if low > high:
        raise BadSettings(f"The setting {low_name} ({low:g}) is above {high_name} ({high:g}).")


def _read_url(text: str) -> None:
    parts = urlsplit(text)
    # A port out of range raises ValueError.
    complete = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    if not complete or not text.isprintable() or " " in text:
        # What stands before the @ may be a password.
        raise ValueError(f"{text.rpartition('@')[2]!r} is no URL like http://localhost:9997")


def _read_origin(text: str) -> None:
    if text == "*":
        # With cookies, or on loopback without a log-in, every website that a user visits would have full access.
        raise ValueError("'*' would let every website in; name each one, like https://example.org")
    if not _ORIGIN.fullmatch(text):
        raise ValueError(
            f"{text!r} is no origin like https://example.org (small letters, no path, no slash at its end)"
        )


def _read_name(text: str) -> None:
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text!r} is no host name like art.example.org (without scheme and port)")


def _read_field_name(text: str) -> None:
    if not _FIELD_NAME.fullmatch(text):
        raise ValueError(f"{text!r} is no name of a header like X-Forwarded-User")


def _from_file(path: Path, *, must_exist: bool, again: bool) -> dict[str, Any]:
    """Read a TOML file. A missing file is empty unless it must exist."""
    try:
        if again and not stat.S_ISREG(path.stat().st_mode):
            raise BadSettings(f"The settings file {path} can be read once only: it is no regular file.")
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if must_exist:
            raise BadSettings(f"There is no settings file {path}.") from None
        return {}
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        raise BadSettings(f"The settings file {path} can't be read: {error}") from None


def _from_text(name: str, text: str) -> object:
    """Parse the text of a variable: list items are separated by commas, `models` is JSON."""
    if name in ("allow_origins", "allow_hosts", "trusted_proxies", "metrics_networks", "admins"):
        return [part.strip() for part in text.split(",") if part.strip()]
    if name == "models":
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise BadSettings(f"XINFLIGHT_MODELS is no JSON: {error}") from None
    return text
