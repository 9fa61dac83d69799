"""The journal and what goes out on one connection, each rule by itself."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from life import turns

from factories import accepted, make_task, picture, progress, result
from kit import FakeClock, eventually
from xinflight.connection import Outbox, SlowReader
from xinflight.connection.outbox import ROOM_ANSWERS, ROOM_REPLAYS, WAITING_ANSWERS
from xinflight.journal import Follower, Journal, MemoryBus
from xinflight.protocol import JSON, Pong, State
from xinflight.render import RenderContext
from xinflight.storage import Event, MemoryStore, Write
from xinflight.supervise import Supervisor


class GatedStore(MemoryStore):
    """A store whose commits wait for a gate."""

    def __init__(self) -> None:
        super().__init__(100)
        self.gate = asyncio.Event()
        self.gate.set()
        self.batches: list[int] = []

    async def commit(self, writes: Sequence[Write]) -> None:
        self.batches.append(len(writes))
        await self.gate.wait()
        await super().commit(writes)


@pytest.fixture
async def store() -> GatedStore:
    """Give the store."""
    return GatedStore()


@pytest.fixture
async def journal(store: GatedStore) -> AsyncIterator[Journal]:
    """Give an open journal."""
    clock = FakeClock()
    journal = Journal(store, MemoryBus(), clock, Supervisor(clock))
    await journal.open()
    await journal.load("ann")
    yield journal
    store.gate.set()
    await journal.close()


async def taken(follower: Follower) -> list[Any]:
    """Take all that waits."""
    items = []
    while (item := await follower.take()) is not None:
        items.append(item)
    return items


def kinds(items: list[Any]) -> list[str]:
    """Return the names of what was taken."""
    return [type(item.message).__name__ for item in items if isinstance(item, Event)]


async def test_only_the_newest_snapshot_waits_for_a_reader(journal: Journal) -> None:
    """Snapshots of one picture replace each other, stored events never; the order stays that of the numbers."""
    task = make_task("a")
    follower = journal.follow("ann")
    follower.watch([task.uid], [task.uid], after=None)
    await journal.append(task, accepted(task))
    for percent in range(50):
        journal.snapshot(task, progress(task, percent))
    await journal.append(task, picture(task, 0))
    journal.snapshot(task, progress(task, 70))
    items = await taken(follower)
    assert kinds(items) == ["Accepted", "Picture", "Progress"]
    assert [item.seq for item in items] == sorted(item.seq for item in items)
    assert items[-1].message.progress == 70
    assert not follower.wake.is_set()
    follower.close()


async def test_a_snapshot_waits_for_the_event_before_it(journal: Journal, store: GatedStore) -> None:
    """What happened before a snapshot is told before it: it stays back while its task is in the writer."""
    task = make_task("a")
    follower = journal.follow("ann")
    follower.watch([task.uid], [task.uid], after=None)
    store.gate.clear()
    stored = journal.append(task, accepted(task))
    await turns()
    for percent in (10, 20):
        journal.snapshot(task, progress(task, percent))
    await turns()
    assert await taken(follower) == []
    store.gate.set()
    await stored
    items = await taken(follower)
    assert kinds(items) == ["Accepted", "Progress"]
    assert items[1].message.progress == 20
    follower.close()


async def test_nothing_is_told_before_it_is_stored(journal: Journal, store: GatedStore) -> None:
    """A reader hears of an end when the store has it; the position is behind it until then."""
    task = make_task("a")
    follower = journal.follow("ann")
    follower.watch([task.uid], [task.uid], after=None)
    await journal.append(task, accepted(task))
    await taken(follower)
    before = journal.position("ann")
    store.gate.clear()
    task.state = State.FAILED
    stored = journal.append(task, result(task))
    await turns()
    assert await taken(follower) == []
    assert journal.position("ann") == before
    store.gate.set()
    await stored
    assert kinds(await taken(follower)) == ["Result"]
    assert journal.latest(task.uid) == []
    follower.close()


async def test_what_comes_while_the_store_works_is_one_batch(journal: Journal, store: GatedStore) -> None:
    """Commits grow with the load: ten events behind a slow one are stored together."""
    tasks = [make_task(f"t{number}") for number in range(11)]
    store.gate.clear()
    futures = [journal.append(tasks[0], accepted(tasks[0]))]
    await turns()
    futures += [journal.append(task, accepted(task)) for task in tasks[1:]]
    await turns()
    store.gate.set()
    await asyncio.gather(*futures)
    assert store.batches == [1, 10]


# One connection


class Line:
    """An outbox on a line that takes a frame when it is told to."""

    def __init__(self, journal: Journal) -> None:
        async def no_bytes(picture_id: str) -> bytes | None:
            return None

        self.clock = FakeClock()
        self.sent: list[bytes] = []
        self.free = asyncio.Event()
        self.follower = journal.follow("ann")
        viewer = RenderContext(lang="en", picture_url=str, picture_bytes=no_bytes, inline_bytes=0)
        self.outbox = Outbox(self._send, self.follower, viewer, JSON, self.clock, patience=5.0)
        self.running = asyncio.create_task(self.outbox.run(), name="outbox")

    async def _send(self, frame: bytes) -> None:
        await self.free.wait()
        self.sent.append(frame)

    async def end(self) -> None:
        """Stop, whatever waits."""
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)
        self.follower.close()


@pytest.fixture
async def line(journal: Journal) -> AsyncIterator[Line]:
    """Give a line."""
    line = Line(journal)
    yield line
    await line.end()


async def test_events_stay_behind_the_answer_that_must_be_first(journal: Journal, line: Line) -> None:
    """While an ack is being made nothing of its task leaves, and after it everything does."""
    line.free.set()
    task = make_task("a")
    with line.outbox.events_held():
        line.follower.watch([task.uid], [task.uid], after=None)
        await journal.append(task, accepted(task))
        await turns()
        assert line.sent == []
        line.outbox.put(Pong(nonce="the ack"))
    await eventually(lambda: len(line.sent) == 2)
    assert b"the ack" in line.sent[0]
    assert b"accepted" in line.sent[1]


async def test_a_frame_that_does_not_leave_in_time(line: Line) -> None:
    """After its patience the outbox gives the peer up."""
    line.outbox.put(Pong())
    await turns()
    await line.clock.advance(4.9)
    assert not line.running.done()
    await line.clock.advance(0.2)
    with pytest.raises(SlowReader):
        await line.running


async def test_answers_that_nobody_takes(line: Line) -> None:
    """One answer more than the bound, and the peer is given up as soon as the line is free."""
    line.outbox.put(Pong(nonce="stuck"))
    await turns()
    for _ in range(WAITING_ANSWERS):
        line.outbox.put(Pong())
    await turns()
    assert not line.running.done()
    line.outbox.put(Pong(nonce="one too many"))
    line.free.set()
    with pytest.raises(SlowReader):
        await line.running
    assert len(line.sent) <= WAITING_ANSWERS + 1


@pytest.mark.parametrize(
    ("message", "most"),
    [(Pong(), ROOM_ANSWERS), (Pong(nonce="x" * 2**16), 5)],
)
async def test_no_room_for_more_answers_than_a_peer_takes(line: Line, message: Pong, most: int) -> None:
    """Many answers, or a few large ones: the next question waits until some have left."""
    line.outbox.put(Pong(nonce="on its way"))
    await turns()
    waiting = 0
    while not (room := asyncio.create_task(line.outbox.room(), name="room")).done():
        await turns()
        if not room.done():
            break
        line.outbox.put(message)
        waiting += 1
    assert waiting <= most
    line.free.set()
    assert await room
    line.running.cancel()
    await turns()
    assert not await line.outbox.room()


async def test_no_room_for_more_replays_than_a_peer_takes(line: Line) -> None:
    """Who asks again and again for what it missed, and takes none of it, has asked for a few replays at most."""
    line.outbox.put(Pong(nonce="on its way"))
    await turns()
    for _ in range(ROOM_REPLAYS):
        assert await line.outbox.room()
        line.follower.watch_all([], after=0, done=Pong(nonce="replayed"))
    room = asyncio.create_task(line.outbox.room(), name="room")
    await turns()
    assert not room.done()
    line.free.set()
    assert await room


async def test_closing_sends_what_waits(journal: Journal, line: Line) -> None:
    """An outbox that is closed ends when all is sent that waited then."""
    task = make_task("a")
    line.follower.watch([task.uid], [task.uid], after=None)
    await journal.append(task, accepted(task))
    line.outbox.put(Pong())
    line.outbox.close()
    await turns()
    assert not line.running.done()
    line.free.set()
    await line.running
    assert len(line.sent) == 2
