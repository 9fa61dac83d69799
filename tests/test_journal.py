"""The journal and what goes out on one connection, each rule by itself."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from clients import FakeClock, eventually
from factories import FENCE, POOL, end, make_task, output_event, progress, result, stored_before
from scripted_gateway import turns
from xinflight.connection import Outbox, SlowReader
from xinflight.connection.outbox import ROOM_ANSWERS, ROOM_REPLAYS, WAITING_ANSWERS
from xinflight.journal import Journal, MemoryBus, Subscriber
from xinflight.model import Event, Task
from xinflight.protocol import JSON, Pong
from xinflight.render import RenderContext
from xinflight.storage import MemoryStore, Outcome, Write
from xinflight.supervise import Supervisor


class GatedStore(MemoryStore):
    """A store whose commits wait at `gate`, and at `stored` once they are done; reads of a position at `read`."""

    def __init__(self) -> None:
        super().__init__(100)
        self.gate, self.stored, self.read = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.batches: list[int] = []
        self.open_gates()

    def open_gates(self) -> None:
        for gate in (self.gate, self.stored, self.read):
            gate.set()

    async def commit(self, writes: Sequence[Write]) -> list[Outcome]:
        self.batches.append(len(writes))
        await self.gate.wait()
        outcomes = await super().commit(writes)
        await self.stored.wait()
        return outcomes

    async def last_seq(self, owner: str) -> int:
        seq = await super().last_seq(owner)
        await self.read.wait()
        return seq


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
    assert await store.lease(POOL) == FENCE
    yield journal
    store.open_gates()
    await journal.close()


async def items(subscriber: Subscriber) -> list[Any]:
    """Return all that waits."""
    found = []
    while (item := await subscriber.next_item()) is not None:
        found.append(item)
    return found


def kinds(items: list[Any]) -> list[str]:
    """Return the names of the events among some items."""
    return [type(item.message).__name__ for item in items if isinstance(item, Event)]


async def subscribed(journal: Journal, task: Task) -> Subscriber:
    """Return a subscriber of one task that runs."""
    subscriber = await journal.subscribe("ann")
    subscriber.subscribe([task.uid], [task.uid], after=None)
    return subscriber


# Append


async def test_only_the_newest_snapshot_waits_for_a_reader(journal: Journal) -> None:
    """Snapshots of one output replace each other, stored events never; the order stays that of what happened."""
    task = make_task("a")
    subscriber = await subscribed(journal, task)
    await journal.accept(task)
    for percent in range(50):
        journal.snapshot(task, progress(task, percent))
    await journal.append(task, output_event(task, 0), FENCE)
    journal.snapshot(task, progress(task, 70))
    found = await items(subscriber)
    assert kinds(found) == ["Accepted", "OutputEvent", "Progress"]
    assert [item.seq for item in found] == [1, 2, 0]
    assert found[-1].message.progress == 70
    assert not subscriber.wake.is_set()
    journal.unsubscribe(subscriber)


async def test_a_snapshot_moves_no_cursor(journal: Journal, store: GatedStore) -> None:
    """It may pass an event that the store is working on; the cursor stays before that event, so nothing is lost."""
    task = make_task("a")
    subscriber = await subscribed(journal, task)
    await journal.accept(task)
    before = journal.cursor("ann")
    store.gate.clear()
    stored = journal.append(task, output_event(task), FENCE)
    await turns()
    journal.snapshot(task, progress(task, 20))
    found = await items(subscriber)
    assert kinds(found) == ["Accepted", "Progress"]
    assert b"seq" not in JSON.encode(found[1].message)
    assert journal.cursor("ann") == before
    store.gate.set()
    await stored
    assert kinds(await items(subscriber)) == ["OutputEvent"]
    assert journal.cursor("ann") == f"{journal.epoch}:2"
    journal.unsubscribe(subscriber)


async def test_nothing_is_told_before_it_is_stored(journal: Journal, store: GatedStore) -> None:
    """A reader hears of an end when the store has it; the position is behind it until then."""
    task = make_task("a")
    subscriber = await subscribed(journal, task)
    await journal.accept(task)
    journal.snapshot(task, progress(task, 20))
    await items(subscriber)
    assert len(journal.latest("ann", task.uid)) == 1
    before = journal.position("ann")
    store.gate.clear()
    end(task)
    stored = journal.append(task, result(task), FENCE)
    await turns()
    assert await items(subscriber) == []
    assert journal.position("ann") == before
    store.gate.set()
    await stored
    assert kinds(await items(subscriber)) == ["Result"]
    assert (journal.latest("ann", task.uid), journal.running("ann")) == ([], [])
    journal.unsubscribe(subscriber)


async def test_an_id_that_is_known_returns_its_task_and_tells_nothing(journal: Journal) -> None:
    """Also where both were sent at the same moment, and stored in one batch."""
    first, second, other = make_task("a"), make_task("a"), make_task("b")
    subscriber = await journal.subscribe("ann")
    subscriber.subscribe_all(after=None)
    outcomes = await asyncio.gather(*(journal.accept(task) for task in (first, second, other)))
    assert [outcome for outcome in outcomes if not isinstance(outcome, Event)] == [first]
    assert [(item.uid, item.seq) for item in await items(subscriber)] == [(first.uid, 1), (other.uid, 2)]
    assert await journal.accept(make_task("b")) == other
    assert journal.position("ann") == 2
    journal.unsubscribe(subscriber)


async def test_what_comes_while_the_store_works_is_one_batch(journal: Journal, store: GatedStore) -> None:
    """Commits grow with the load: ten events behind a slow one are stored together."""
    tasks = [make_task(f"t{number}") for number in range(11)]
    store.gate.clear()
    accepting = [journal.accept(tasks[0])]
    await turns()
    accepting += [journal.accept(task) for task in tasks[1:]]
    await turns()
    store.gate.set()
    await asyncio.gather(*accepting)
    assert store.batches == [1, 10]


# Subscribe


def ask(subscriber: Subscriber, task: Task, scope: str, after: int) -> None:
    """Ask for the events of a task, or of all, above a seq."""
    done = Pong(nonce="replayed")
    if scope == "all":
        subscriber.subscribe_all(after=after, done=done)
    else:
        subscriber.subscribe([task.uid], [task.uid], after=after, done=done)


@pytest.mark.parametrize("scope", ["one", "all"])
@pytest.mark.parametrize("read", ["before", "after"])
async def test_an_event_that_is_stored_but_not_published_yet_comes_once(
    journal: Journal, store: GatedStore, scope: str, read: str
) -> None:
    """Who subscribes then reads a position ahead of what was published: the replay brings it, the bus no more."""
    task = make_task("a")
    await stored_before(store, task)
    store.stored.clear()
    appended = journal.append(task, output_event(task), FENCE)
    await turns()
    subscriber = await journal.subscribe("ann")
    assert journal.position("ann") == 2
    ask(subscriber, task, scope, after=0)
    found = await items(subscriber) if read == "before" else []
    store.stored.set()
    await appended
    assert journal.position("ann") == 2
    found += await items(subscriber)
    assert [getattr(item, "seq", "replayed") for item in found] == [1, 2, "replayed"]
    await journal.append(task, output_event(task), FENCE)
    assert [item.seq for item in await items(subscriber)] == [3]
    journal.unsubscribe(subscriber)


@pytest.mark.parametrize("scope", ["one", "all"])
@pytest.mark.parametrize("after", [0, 1])
async def test_an_event_that_is_published_while_a_position_is_read_is_not_lost(
    journal: Journal, store: GatedStore, scope: str, after: int
) -> None:
    """The store answers with what was the newest then; the newer of the two stands."""
    task = make_task("a")
    await stored_before(store, task)
    store.read.clear()
    subscribing = asyncio.create_task(journal.subscribe("ann"), name="subscribe")
    await turns()
    await journal.append(task, output_event(task), FENCE)
    store.read.set()
    subscriber = await subscribing
    assert journal.position("ann") == 2
    ask(subscriber, task, scope, after)
    assert [getattr(item, "seq", "replayed") for item in await items(subscriber)] == [
        *range(after + 1, 3),
        "replayed",
    ]
    journal.unsubscribe(subscriber)


async def test_who_comes_later_moves_nobodys_cursor_past_an_event(journal: Journal, store: GatedStore) -> None:
    """An owner's first event is stored and not published yet: one whose cursor were above it could lose it."""
    first = await journal.subscribe("ann")
    first.subscribe_all(after=None)
    store.stored.clear()
    accepting = journal.accept(make_task("a"))
    await turns()
    second = await journal.subscribe("ann")
    assert await items(first) == []
    assert journal.cursor("ann") == f"{journal.epoch}:0"
    second.subscribe_all(after=0, done=Pong(nonce="replayed"))
    store.stored.set()
    await accepting
    assert [item.seq for item in await items(first)] == [1]
    assert [item.seq for item in await items(second) if isinstance(item, Event)] == [1]
    for subscriber in (first, second):
        journal.unsubscribe(subscriber)


async def test_two_who_subscribe_at_the_same_moment_share_a_position(journal: Journal, store: GatedStore) -> None:
    task = make_task("a")
    await stored_before(store, task)
    store.read.clear()
    subscribing = [asyncio.create_task(journal.subscribe("ann"), name="subscribe") for _ in range(3)]
    await turns()
    subscribing.pop().cancel()
    store.read.set()
    first, second = await asyncio.gather(*subscribing)
    assert journal.position("ann") == 1
    journal.unsubscribe(first)
    assert journal.has_subscriber("ann")
    journal.unsubscribe(second)
    assert not journal.has_subscriber("ann")


# One connection


class Line:
    """An outbox on a line that takes a frame when it is told to."""

    def __init__(self, subscriber: Subscriber) -> None:
        async def no_bytes(output_id: str) -> bytes | None:
            return None

        self.clock = FakeClock()
        self.sent: list[bytes] = []
        self.free = asyncio.Event()
        self.subscriber = subscriber
        context = RenderContext(
            lang="en",
            output_url=str,
            output_bytes=no_bytes,
            inline_bytes=0,
            hidden=lambda uid: (),
            written=lambda event, message: None,
        )
        self.outbox = Outbox(self, subscriber, context, JSON, self.clock, patience=5.0)
        self.running = asyncio.create_task(self.outbox.run(), name="outbox")

    def takes(self, size: int) -> bool:
        return False

    async def send(self, messages: Sequence[bytes]) -> None:
        await self.free.wait()
        self.sent += messages

    async def end(self) -> None:
        """Stop, whatever waits."""
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)


@pytest.fixture
async def line(journal: Journal) -> AsyncIterator[Line]:
    """Give a line."""
    subscriber = await journal.subscribe("ann")
    line = Line(subscriber)
    yield line
    await line.end()
    journal.unsubscribe(subscriber)


async def test_events_stay_behind_the_answer_that_must_be_first(journal: Journal, line: Line) -> None:
    """While an ack is being made nothing of its task leaves, and after it everything does."""
    line.free.set()
    task = make_task("a")
    with line.outbox.events_held():
        line.subscriber.subscribe([task.uid], [task.uid], after=None)
        await journal.accept(task)
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
        line.subscriber.subscribe_all(after=0, done=Pong(nonce="replayed"))
    room = asyncio.create_task(line.outbox.room(), name="room")
    await turns()
    assert not room.done()
    line.free.set()
    assert await room


async def test_closing_sends_what_waits(journal: Journal, line: Line) -> None:
    """An outbox that is closed ends when all is sent that waited then."""
    task = make_task("a")
    line.subscriber.subscribe([task.uid], [task.uid], after=None)
    await journal.accept(task)
    line.outbox.put(Pong())
    line.outbox.close()
    await turns()
    assert not line.running.done()
    line.free.set()
    await line.running
    assert len(line.sent) == 2
