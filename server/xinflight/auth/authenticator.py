"""Authenticate requests: the interface that transports use, and the modes without tokens."""

from collections.abc import Callable, Collection, Sequence

from xinflight.auth.credentials import BadToken, Credentials, Grant, Proof, Session
from xinflight.auth.identity import LOCAL, Identity
from xinflight.errors import Unauthorised
from xinflight.forwarded import Network, in_networks

__all__ = ["Authenticator", "Everyone", "Proxy", "identity_of"]


def _do_nothing() -> None:
    """Stop to wait for the revocation of what can't be revoked: a lambda for each idle connection takes memory."""


class Authenticator:
    """Decides who a request is from. One per mounted gateway; independent of aiohttp."""

    sessions: bool = False
    """Whether tokens can be exchanged for session cookies."""

    async def open(self) -> None:
        """Read keys and tokens; called once, before any other method.

        Raises:
            StoreUnusable: a file can't be read or is damaged.
        """

    async def run(self) -> None:
        """Watch the files for changes until cancelled; returns at once if there are none to watch."""

    def close(self) -> None:
        """Log what has been counted so far. The last call."""

    async def authenticate(self, credentials: Credentials) -> Grant:
        """Return who a request is from.

        Raises:
            Unauthorised: missing or invalid credentials.
            TokenExpired: the credentials were valid.
            AmbiguousCredentials: two different tokens in one request.
            RateLimited: too many invalid credentials from this address; these were not checked.
        """
        raise NotImplementedError

    def create_session(self, grant: Grant) -> Session | None:
        """Return a session cookie for a grant, None if this mode has no `sessions`."""
        return None

    def on_revoked(self, grant: Grant, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` once if the token behind a grant is revoked. Call the returned function to stop that."""
        return _do_nothing


class Everyone(Authenticator):
    """No log-in: every request is from `local`, who is an admin."""

    _GRANT = Grant(identity=LOCAL, proof=Proof(owner=LOCAL.id, admin=True))

    async def authenticate(self, credentials: Credentials) -> Grant:
        """Return LOCAL; credentials are ignored."""
        return self._GRANT


class Proxy(Authenticator):
    """The user that a trusted proxy names in a header after its own log-in. Everything else is ignored."""

    def __init__(self, header: str, proxies: Sequence[Network], admins: Collection[str]) -> None:
        self._header = header
        self._proxies = proxies
        self._admins = admins

    async def authenticate(self, credentials: Credentials) -> Grant:
        """Return the user in the header; anyone can send it, so only that of a trusted peer counts."""
        if not in_networks(credentials.remote, self._proxies):
            raise Unauthorised
        users = credentials.header(self._header)
        # A proxy that appends its header would leave the one of the client in place.
        if len(users) != 1:
            raise Unauthorised
        proof = Proof(owner=users[0])
        try:
            return Grant(identity=identity_of(proof, self._admins), proof=proof)
        except BadToken:
            raise Unauthorised from None


def identity_of(proof: Proof, admins: Collection[str], *, expires: float | None = None) -> Identity:
    """Return the identity of a proof; raise BadToken if its owner's id or weight is out of bounds."""
    try:
        return Identity(
            id=proof.owner, admin=proof.admin or proof.owner in admins, weight=proof.weight, expires=expires
        )
    except ValueError as error:
        raise BadToken(str(error)) from None
