"""Verify tokens by their hashes."""

import asyncio
import hmac
from collections import defaultdict
from collections.abc import Callable

import structlog

from xinflight.auth.credentials import BadToken, Proof
from xinflight.auth.signed_in import Verifier
from xinflight.auth.token_file import TokenFile, TokenRecord, token_hash, token_id
from xinflight.auth.watched_file import WatchedFile
from xinflight.clock import Clock
from xinflight.errors import TokenExpired

__all__ = ["Tokens"]

log = structlog.stdlib.get_logger(__name__)

MAX_TOKEN = 512
"""Characters above which a text is not hashed."""


class Tokens(Verifier):
    """The tokens of a `TokenFile`, which is watched: a new token is valid at once, a revoked one for a second."""

    def __init__(self, file: TokenFile, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self._known: WatchedFile[dict[str, TokenRecord]] = WatchedFile(
            file.path, lambda: {record.id: record for record in file.read()}, {}, clock
        )
        # Per token id: what to call when it is revoked. One entry per open connection.
        self._watchers: defaultdict[str, dict[object, Callable[[], None]]] = defaultdict(dict)

    async def open(self) -> None:
        """Read the file; raise StoreUnusable if it is damaged."""
        await asyncio.to_thread(self._file.take_over)
        await self._known.open()
        if not self._known.content:
            log.warning(
                "there are no tokens, nobody can log in; xinflight token makes one", file=str(self._file.path)
            )

    async def run(self) -> None:
        """Watch the file until cancelled."""
        await self._known.run(self._changed)

    async def verify(self, token: str) -> Proof:
        """Return what a token proves; raise BadToken or TokenExpired."""
        if len(token) > MAX_TOKEN or not token.isascii():
            raise BadToken("not a token")
        known_id = token_id(token)
        if known_id not in self._known.content:
            # It may have been made within the last second.
            await self._known.reload(self._changed)
        record = self._known.content.get(known_id)
        if record is None or not hmac.compare_digest(token_hash(token), record.sha256):
            raise BadToken("unknown token")
        return self._proof(record)

    def current(self, proof: Proof) -> Proof:
        """Return what the token behind a session proves by now; raise BadToken if it has been revoked."""
        record = self._known.content.get(proof.credential or "")
        if record is None:
            raise BadToken("its token has been revoked")
        return self._proof(record)

    def _proof(self, record: TokenRecord) -> Proof:
        if record.expires is not None and record.expires <= self._clock.time():
            raise TokenExpired
        return Proof(
            owner=record.owner,
            admin=record.admin,
            weight=record.weight,
            expires=record.expires,
            credential=record.id,
        )

    def on_revoked(self, credential: str, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` once when a token is revoked, at once if it has been already."""
        if credential not in self._known.content:
            callback()
            return lambda: None
        key = object()
        self._watchers[credential][key] = callback

        def stop() -> None:
            watchers = self._watchers.get(credential, {})
            watchers.pop(key, None)
            if not watchers:
                self._watchers.pop(credential, None)

        return stop

    def _changed(self, before: dict[str, TokenRecord]) -> None:
        for credential in before.keys() - self._known.content.keys():
            for callback in self._watchers.pop(credential, {}).values():
                callback()
