"""What `xinflight doctor` prints about the log-in: the mode in effect and what it relies on, without secrets."""

from pathlib import Path

from xinflight.auth import TokenFile, describe_keys
from xinflight.cli.logs import printable
from xinflight.cli.server import data_folder, resolve_auth
from xinflight.clock import SystemClock
from xinflight.errors import StoreUnusable
from xinflight.settings import BadSettings, Settings

__all__ = ["describe_login"]


def describe_login(settings: Settings) -> tuple[list[str], bool]:
    """Return the lines about the log-in, and whether people can log in. It reads files, and changes none."""
    try:
        said, to_do = _mode(resolve_auth(settings))
    except (BadSettings, StoreUnusable) as error:
        said, to_do = f"{settings.auth}: not usable", str(error)
    lines = [f"Log-in       {said}"]
    if to_do:
        lines.append(f"To do        {to_do}")
    return [printable(line) for line in lines], not to_do


def _mode(settings: Settings) -> tuple[str, str]:
    """Return what the mode relies on, and what to do if nobody can log in."""
    match settings.auth:
        case "tokens":
            return _tokens(settings)
        case "jwt":
            return _json_web_tokens(settings)
        case "proxy":
            proxies = ", ".join(settings.trusted_proxies)
            return f"proxy: the header {settings.proxy_header} of {proxies} names the owner", ""
        case "anonymous":
            return "anonymous: every browser is an owner of its own", ""
        case _:
            return f"none: everybody who reaches {settings.host} is the owner local, an admin", ""


def _tokens(settings: Settings) -> tuple[str, str]:
    folder = data_folder(settings, demo=False)
    records = TokenFile(folder).read()
    now = SystemClock().time()
    valid = [record for record in records if record.expires is None or record.expires > now]
    admins = sum(record.admin for record in valid)
    said = f"tokens: {len(valid)} valid, {admins} of admins, {len(records) - len(valid)} expired, in {folder}"
    if valid or (folder / "token").exists():
        return said, ""
    return said, f"make a token: xinflight token new NAME --admin --data-dir {folder}"


def _json_web_tokens(settings: Settings) -> tuple[str, str]:
    count, algorithms = describe_keys(Path(settings.jwt_keys or ""))
    issuer = settings.jwt_issuer or "any issuer"
    return f"jwt: {count} keys ({', '.join(algorithms)}), audience {settings.jwt_audience}, {issuer}", ""
