"""Entry to what owners can do with all that is theirs."""

import asyncio
import contextvars
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from functools import partial

import structlog

from xinflight.account.erasure import Erased, Erasure
from xinflight.account.export import Export
from xinflight.account.preferences import OwnPreferences
from xinflight.account.presets import OwnPresets
from xinflight.clock import Clock
from xinflight.errors import AccountBusy
from xinflight.journal import Journal
from xinflight.model import Usage
from xinflight.storage import Blobs, Retention
from xinflight.tasks import Front, Marking
from xinflight.uploads import Uploads

__all__ = ["Account"]

log = structlog.stdlib.get_logger(__name__)

USAGE_PAGE = 500
"""Rows of usage that are read at once."""


class Account:
    """Usage, exports, erasures, preferences and presets of owners.

    `notify` notifies the connections of an owner who was erased, or has new preferences or presets.
    """

    def __init__(
        self,
        front: Front,
        journal: Journal,
        retention: Retention,
        blobs: Blobs,
        uploads: Uploads,
        marking: Marking,
        clock: Clock,
        notify: Callable[..., None],
    ) -> None:
        self.preferences = OwnPreferences(journal.store, notify)
        self.presets = OwnPresets(journal.store, notify)
        self._marking = marking
        self._journal = journal
        self._store = journal.store
        self._blobs = blobs
        self._uploads = uploads
        self._clock = clock
        self._erasure = Erasure(front, journal, retention, uploads, clock, partial(notify, kind="erased"))
        # Owners with an export or an erasure under way; bounded by the connections that wait for them.
        self._busy: set[str] = set()
        self._erasing: set[asyncio.Task[Erased]] = set()

    async def usage(self, owner: str | None, first: str, last: str) -> AsyncIterator[Usage]:
        """Yield what an owner used per day, or with None all owners, by day; days are `YYYY-MM-DD`, in UTC.

        Raises StorageUnavailable.
        """
        await self._journal.store_charges()
        if owner is not None:
            for usage in await self._store.usage(owner, first=first, last=last):
                yield usage
            return
        after = first, ""
        while page := await self._store.usage_of_all(after=after, last=last, limit=USAGE_PAGE):
            for usage in page:
                yield usage
            after = page[-1].day, page[-1].owner

    async def erase(self, owner: str) -> Erased:
        """Cancel and delete all that an owner has; repeat it while it says that something is unfinished.

        Cancelling the call does not stop it; `close` does.

        Raises:
            AccountBusy: an export or another erasure of the owner is under way.
            StorageUnavailable: not now; some may be deleted already.
        """
        # Of its own: whoever closes the page after the click means it to go on.
        erasing = asyncio.create_task(self._erase(owner), name=f"erase {owner}", context=contextvars.copy_context())
        self._erasing.add(erasing)
        erasing.add_done_callback(self._over)
        return await asyncio.shield(erasing)

    async def _erase(self, owner: str) -> Erased:
        with self._alone(owner):
            return await self._erasure.erase(owner)

    def _over(self, erasing: asyncio.Task[Erased]) -> None:
        self._erasing.discard(erasing)
        if not erasing.cancelled() and erasing.exception() is not None:
            log.info("erasure failed", error=str(erasing.exception()))

    async def close(self) -> None:
        """Stop erasures that are under way; repeated after the next start, they delete the rest."""
        for erasing in tuple(self._erasing):
            erasing.cancel()
        await asyncio.gather(*self._erasing, return_exceptions=True)

    async def export(self, owner: str) -> AsyncGenerator[bytes, None]:
        """Yield a ZIP of all that an owner has. Whoever stops early must close the iterator.

        Raises:
            AccountBusy: another export or an erasure of the owner is under way; before anything is yielded.
            StorageUnavailable: the store can't be read now.
        """
        with self._alone(owner):
            await self._journal.store_charges()
            export = Export(self._store, self._blobs, self._uploads, owner, self._clock.time(), self._marking.visible)
            async with aclosing(export.parts()) as parts:
                async for part in parts:
                    yield part

    @contextmanager
    def _alone(self, owner: str) -> Iterator[None]:
        if owner in self._busy:
            raise AccountBusy
        self._busy.add(owner)
        try:
            yield
        finally:
            self._busy.remove(owner)
