"""Create the authenticator that the setting `auth` names."""

from pathlib import Path

from xinflight.auth.authenticator import Authenticator, Everyone, Proxy
from xinflight.auth.signed_in import Anonymous, SignedIn, Verifier
from xinflight.auth.token_file import TokenFile
from xinflight.auth.tokens import Tokens
from xinflight.clock import Clock
from xinflight.forwarded import read_network
from xinflight.settings import BadSettings, Settings

__all__ = ["create_authenticator", "describe_keys"]

_NO_PYJWT = "The setting auth = jwt needs PyJWT: pip install 'xinflight[jwt]'"


def create_authenticator(settings: Settings, clock: Clock) -> Authenticator:
    """Return the authenticator for some settings. It reads no file before `open`.

    Raises:
        BadSettings: there is no folder that could have tokens, or the extra `jwt` is not installed.
    """
    folder = None if settings.data_dir is None else Path(settings.data_dir)
    proxies = [read_network(text) for text in settings.trusted_proxies]
    match settings.auth:
        case "tokens":
            if folder is None:
                raise BadSettings("The setting auth can't be tokens without data_dir, where the tokens are stored.")
            return SignedIn(Tokens(TokenFile(folder), clock), "tokens", folder, proxies, (), clock)
        case "jwt":
            verifier = _json_web_tokens(settings, clock)
            # A session must not outlive a change of the audience or the issuer.
            purpose = f"jwt {settings.jwt_audience} {settings.jwt_issuer}"
            return SignedIn(verifier, purpose, folder, proxies, frozenset(settings.admins), clock)
        case "anonymous":
            return Anonymous(folder, "anonymous", proxies, clock)
        case "proxy":
            return Proxy(settings.proxy_header, proxies, frozenset(settings.admins))
        case "none" | None:
            return Everyone()


def describe_keys(path: Path) -> tuple[int, list[str]]:
    """Return how many keys a JWKS file has, and the algorithms that they allow.

    Raises:
        BadSettings: the extra `jwt` is not installed.
        StoreUnusable: the file can't be used.
    """
    try:
        from xinflight.auth.json_web_keys import read_keys
    except ModuleNotFoundError:
        raise BadSettings(_NO_PYJWT) from None
    keys = read_keys(path)
    return keys.count, keys.algorithms


def _json_web_tokens(settings: Settings, clock: Clock) -> Verifier:
    try:
        from xinflight.auth.json_web_tokens import JsonWebTokens
    except ModuleNotFoundError:
        raise BadSettings(_NO_PYJWT) from None
    # The settings check that both are given.
    assert settings.jwt_keys is not None
    assert settings.jwt_audience is not None
    return JsonWebTokens(Path(settings.jwt_keys), settings.jwt_audience, settings.jwt_issuer, clock)
