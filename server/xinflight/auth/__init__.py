"""Who a request is from: identities, and the credentials that prove them. Independent of aiohttp.

`create_authenticator(settings, clock)` returns the `Authenticator` of a mode. A transport passes the `Credentials`
that it found to `authenticate`, and gets a `Grant`: an identity, and a session cookie if the response has to set one.
"""

from xinflight.auth.admin import acting_for, audit, check_admin
from xinflight.auth.authenticator import Authenticator, Everyone
from xinflight.auth.credentials import Credentials, Grant, Proof, Session, bearer_tokens
from xinflight.auth.identity import LOCAL, OWNER_LENGTH, Identity
from xinflight.auth.modes import create_authenticator, describe_keys
from xinflight.auth.sessions import LIFETIME
from xinflight.auth.signed_urls import UrlSigner
from xinflight.auth.token_file import TokenExists, TokenFile, TokenRecord

__all__ = [
    "LIFETIME",
    "LOCAL",
    "OWNER_LENGTH",
    "Authenticator",
    "Credentials",
    "Everyone",
    "Grant",
    "Identity",
    "Proof",
    "Session",
    "TokenExists",
    "TokenFile",
    "TokenRecord",
    "UrlSigner",
    "acting_for",
    "audit",
    "bearer_tokens",
    "check_admin",
    "create_authenticator",
    "describe_keys",
]
