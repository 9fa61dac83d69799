"""Who a request is from: identities and the credentials that prove them. Independent of aiohttp."""

from xinflight.auth.identity import LOCAL, OWNER_LENGTH, Identity
from xinflight.auth.token import Token, kept_token

__all__ = ["LOCAL", "OWNER_LENGTH", "Identity", "Token", "kept_token"]
