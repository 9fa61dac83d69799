"""Create the authenticator that the setting `auth` names."""

from pathlib import Path

from xinflight.auth.authenticator import Authenticator, Everyone, Proxy
from xinflight.auth.signed_in import Anonymous, SignedIn
from xinflight.auth.token_file import TokenFile
from xinflight.auth.tokens import Tokens
from xinflight.clock import Clock
from xinflight.forwarded import read_network
from xinflight.settings import BadSettings, Settings

__all__ = ["create_authenticator"]


def create_authenticator(settings: Settings, clock: Clock) -> Authenticator:
    """Return the authenticator for some settings. It reads no file before `open`.

    Raises:
        BadSettings: there is no folder that could have tokens.
    """
    folder = None if settings.data_dir is None else Path(settings.data_dir)
    proxies = [read_network(text) for text in settings.trusted_proxies]
    match settings.auth:
        case "tokens":
            if folder is None:
                raise BadSettings("The setting auth can't be tokens without data_dir, where the tokens are stored.")
            return SignedIn(Tokens(TokenFile(folder), clock), "tokens", folder, proxies, (), clock)
        case "anonymous":
            return Anonymous(folder, "anonymous", proxies, clock)
        case "proxy":
            return Proxy(settings.proxy_header, proxies, frozenset(settings.admins))
        case _:
            return Everyone()
