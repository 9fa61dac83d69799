"""Authentication by tokens and by session cookies, with guesses slowed down per address."""

import asyncio
import secrets
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from xinflight.auth.authenticator import Authenticator, identity_of
from xinflight.auth.credentials import BadToken, Credentials, Grant, Proof, Session
from xinflight.auth.guesses import Guesses
from xinflight.auth.secret_files import session_key
from xinflight.auth.sessions import Sessions
from xinflight.clock import Clock
from xinflight.errors import TokenExpired, Unauthorised
from xinflight.forwarded import Network, client_address
from xinflight.request_limits import address_key

__all__ = ["Anonymous", "SignedIn", "Verifier"]

ANONYMOUS = "anon-"


class Verifier:
    """Verifies the tokens of one mode."""

    async def open(self) -> None:
        """Read the tokens or keys; raise StoreUnusable if that is impossible."""

    async def run(self) -> None:
        """Watch for changes until cancelled."""

    async def verify(self, token: str) -> Proof:
        """Return what a token proves; raise BadToken or TokenExpired."""
        raise NotImplementedError

    def current(self, proof: Proof) -> Proof:
        """Return what the proof of a session proves by now; raise BadToken if its token has been revoked."""
        return proof

    def on_revoked(self, credential: str, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` once when a token is revoked. Call the returned function to stop that."""
        return lambda: None


class _WithSessions(Authenticator):
    """What both kinds share: the key of sessions, and the count of failures per address.

    Without a `folder` the key is lost with the process, as all tasks are.
    """

    def __init__(self, folder: Path | None, purpose: str, proxies: Sequence[Network], clock: Clock) -> None:
        self._folder = folder
        self._purpose = purpose
        self._proxies = proxies
        self._clock = clock
        self._guesses = Guesses(clock)
        self._sessions = Sessions(secrets.token_bytes(32), purpose, clock)

    async def open(self) -> None:
        """Read or create the key of sessions."""
        if self._folder is not None:
            key = await asyncio.to_thread(session_key, self._folder)
            self._sessions = Sessions(key, self._purpose, self._clock)

    def close(self) -> None:
        """Log the failures that have been counted."""
        self._guesses.close()

    def _network(self, credentials: Credentials) -> str:
        """Return what failures are counted by: the client's address, its /64 with IPv6."""
        forwarded = ",".join(credentials.header("X-Forwarded-For"))
        address = client_address(credentials.remote, forwarded, self._proxies)
        # Other limits don't apply on loopback, this one does: a machine may be shared, and each of its users has all
        # 2^24 addresses of it.
        return address_key(address) or "loopback"


class SignedIn(_WithSessions):
    """Tokens that a verifier accepts, and session cookies that they were exchanged for."""

    sessions = True

    def __init__(
        self,
        verifier: Verifier,
        purpose: str,
        folder: Path | None,
        proxies: Sequence[Network],
        admins: Collection[str],
        clock: Clock,
    ) -> None:
        super().__init__(folder, purpose, proxies, clock)
        self._verifier = verifier
        self._admins = admins

    async def open(self) -> None:
        """Read the key of sessions, and the tokens or their keys."""
        await super().open()
        await self._verifier.open()

    async def run(self) -> None:
        """Watch the files of the verifier."""
        await self._verifier.run()

    async def authenticate(self, credentials: Credentials) -> Grant:
        """Return who the token, or without one the session, is from."""
        token = credentials.token
        if token is not None:
            with self._guesses.checking(self._network(credentials)):
                proof = await self._verifier.verify(token)
                return self._grant(proof, proof.expires)
        if credentials.session is None:
            raise Unauthorised
        try:
            proof, expires = self._sessions.read(credentials.session)
        except BadToken:
            # Counted like a wrong token. A signed session is never refused because of others at its address.
            with self._guesses.checking(self._network(credentials)):
                raise
        try:
            proof = self._verifier.current(proof)
            renewed = self._sessions.renewed(proof, expires)
            return self._grant(proof, expires if renewed is None else renewed.expires, renewed)
        except BadToken:
            raise Unauthorised from None

    def _grant(self, proof: Proof, expires: float | None, session: Session | None = None) -> Grant:
        return Grant(identity=identity_of(proof, self._admins, expires=expires), proof=proof, session=session)

    def create_session(self, grant: Grant) -> Session:
        """Return a session that is never valid for longer than its token."""
        return self._sessions.create(grant.proof)

    def on_revoked(self, grant: Grant, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` once when the token of a grant, or of its session, is revoked."""
        if grant.proof.credential is None:
            return lambda: None
        return self._verifier.on_revoked(grant.proof.credential, callback)


class Anonymous(_WithSessions):
    """An identity per browser: a random id in a session cookie, whose value scripts may send as a token."""

    async def authenticate(self, credentials: Credentials) -> Grant:
        """Return who the session is from, a new identity for a request without a valid one."""
        token = credentials.token
        if token is not None:
            with self._guesses.checking(self._network(credentials)):
                return self._known(token)
        if credentials.session is not None:
            try:
                return self._known(credentials.session)
            except (BadToken, TokenExpired):
                pass
        proof = Proof(owner=ANONYMOUS + secrets.token_hex(16))
        return Grant(identity=identity_of(proof, ()), proof=proof, session=self._sessions.create(proof))

    def _known(self, session: str) -> Grant:
        proof, expires = self._sessions.read(session)
        return Grant(identity=identity_of(proof, ()), proof=proof, session=self._sessions.renewed(proof, expires))
