"""Verify tokens by their hashes, and notice when the file of tokens was replaced."""

import asyncio
import hmac
from collections import defaultdict
from collections.abc import Callable

import structlog

from xinflight.auth.credentials import BadToken, Proof
from xinflight.auth.signed_in import Verifier
from xinflight.auth.token_file import TokenFile, TokenRecord, token_hash, token_id
from xinflight.clock import Clock
from xinflight.errors import StoreUnusable, TokenExpired

__all__ = ["Tokens"]

log = structlog.stdlib.get_logger(__name__)

CHECK = 1.0
"""Seconds between two looks at the file, so after which a revoked token is no longer accepted."""
MAX_TOKEN = 512
"""Characters above which a text is not hashed."""


class Tokens(Verifier):
    """The tokens of a `TokenFile`. While it is damaged or missing, those of its last good version stay valid."""

    def __init__(self, file: TokenFile, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self._seen: object = None
        self._records: dict[str, TokenRecord] = {}
        self._reading = asyncio.Lock()
        # Per token id: what to call when it is revoked. One entry per open connection.
        self._watchers: defaultdict[str, dict[object, Callable[[], None]]] = defaultdict(dict)

    async def open(self) -> None:
        """Read the file; raise StoreUnusable if it is damaged."""
        self._records = await asyncio.to_thread(self._read)
        # A replacement in between is read once more.
        self._seen = None
        if not self._records:
            log.warning(
                "there are no tokens, nobody can log in; xinflight token makes one", file=str(self._file.path)
            )

    def _read(self) -> dict[str, TokenRecord]:
        return {record.id: record for record in self._file.read()}

    async def run(self) -> None:
        """Reload the file whenever it was replaced, until cancelled."""
        while True:
            await self._clock.sleep(CHECK)
            await self._reload()

    async def verify(self, token: str) -> Proof:
        """Return what a token proves; raise BadToken or TokenExpired."""
        if len(token) > MAX_TOKEN or not token.isascii():
            raise BadToken("not a token")
        known_id = token_id(token)
        if known_id not in self._records:
            # It may have been made within the last second.
            await self._reload()
        record = self._records.get(known_id)
        if not hmac.compare_digest(token_hash(token), record.sha256 if record is not None else "") or record is None:
            raise BadToken("unknown token")
        return self._proof(record)

    def current(self, proof: Proof) -> Proof:
        """Return what the token behind a session proves by now; raise BadToken if it has been revoked."""
        record = self._records.get(proof.credential or "")
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
        if credential not in self._records:
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

    async def _reload(self) -> None:
        """Read the file again if it was replaced, and call those that wait for the revocation of a token."""
        async with self._reading:
            seen = await asyncio.to_thread(self._look)
            if seen == self._seen:
                return
            # Before reading: whatever is replaced in between is read once more. A damaged version is logged once.
            self._seen = seen
            try:
                if not isinstance(seen, tuple):
                    raise StoreUnusable(seen or f"{self._file.path} is missing")
                records = await asyncio.to_thread(self._read)
            except StoreUnusable as error:
                if self._records:
                    log.error("tokens not read; those known so far stay valid", reason=str(error))
                return
            revoked = self._records.keys() - records.keys()
            self._records = records
            log.info("tokens read", tokens=len(records), revoked=len(revoked))
        for credential in revoked:
            for callback in self._watchers.pop(credential, {}).values():
                callback()

    def _look(self) -> tuple[int, ...] | str | None:
        try:
            return self._file.version()
        except OSError as error:
            return str(error)
