"""What a request carries to prove who it is from, and what that proves."""

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from xinflight.auth.identity import Identity
from xinflight.errors import AmbiguousCredentials

__all__ = ["BadToken", "Credentials", "Grant", "Proof", "Session", "bearer_tokens"]


class BadToken(Exception):
    """A token that proves nothing. The text is the reason, for the log; it never contains a part of the token."""


def _no_values(name: str) -> Sequence[str]:
    return ()


class Credentials(Struct, frozen=True, kw_only=True):
    """The credentials of one request, or of one `authenticate` message, as a transport found them.

    `remote` is the address of the peer. `bearer` and `query` are the tokens of all Authorization headers
    (`bearer_tokens`) and of all query parameters; `message` is the token of a first message or of `authenticate`.
    `session` is the value of the session cookie. `header` returns all values of a header.
    """

    remote: str | None = None
    bearer: Sequence[str] = ()
    message: str | None = None
    query: Sequence[str] = ()
    session: str | None = None
    header: Callable[[str], Sequence[str]] = _no_values

    @property
    def token(self) -> str | None:
        """The token that counts: Authorization, else the message, else the query parameter.

        Raises:
            AmbiguousCredentials: a request has two different tokens: a proxy and the server could choose another one.
        """
        if len({*self.bearer, *self.query}) > 1:
            raise AmbiguousCredentials(field="Authorization", limit="one token")
        if self.bearer:
            return self.bearer[0]
        if self.message is not None:
            return self.message
        return self.query[0] if self.query else None


def bearer_tokens(authorization: Iterable[str]) -> list[str]:
    """Return the tokens of Authorization headers with the scheme Bearer (RFC 6750 section 2.1)."""
    parts = (value.partition(" ") for value in authorization)
    return [token.strip() for scheme, _, token in parts if scheme.lower() == "bearer"]


class Proof(Struct, frozen=True, kw_only=True):
    """What valid credentials prove.

    `expires` is when the token itself expires, Unix seconds. `credential` is the id of a token that can be revoked.
    """

    owner: str
    admin: bool = False
    weight: float = 1.0
    expires: float | None = None
    credential: str | None = None


class Session(Struct, frozen=True):
    """The value of a session cookie, and when it expires in Unix seconds."""

    value: str
    expires: float


class Grant(Struct, frozen=True, kw_only=True):
    """The result of a successful authentication.

    `session` is a cookie that the response has to set: that of a new anonymous identity, or a renewed one.
    """

    identity: Identity
    proof: Proof
    session: Session | None = None
