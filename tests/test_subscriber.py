"""Readers of the journal at any speed, cut at any point: each stored event once, in order, and no gap."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence

import pytest

from factories import FENCE, POOL, cancelled, end, make_task, output_event, progress, result
from xinflight.clock import SystemClock
from xinflight.journal import Journal, MemoryBus, Subscriber
from xinflight.journal import subscriber as subscriber_module
from xinflight.model import Event, Task
from xinflight.protocol import Accepted, Progress, Recovered
from xinflight.storage import MemoryStore, Outcome, Write
from xinflight.supervise import Supervisor


class SlowStore(MemoryStore):
    """A store that lets others run while it works, as the real one's threads do."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__(10**6)
        self.dice = dice
        self.all: list[Event] = []

    async def _turns(self) -> None:
        for _ in range(self.dice.randrange(8)):
            await asyncio.sleep(0)

    async def commit(self, writes: Sequence[Write]) -> list[Outcome]:
        await self._turns()
        outcomes = await super().commit(writes)
        self.all += [outcome for outcome in outcomes if isinstance(outcome, Event)]
        await self._turns()
        return outcomes

    async def last_seq(self, owner: str) -> int:
        await self._turns()
        seq = await super().last_seq(owner)
        await self._turns()
        return seq

    async def events_of_owner(self, owner: str, *, after: int, upto: int, limit: int) -> list[Event]:
        await self._turns()
        found = await super().events_of_owner(owner, after=after, upto=upto, limit=limit)
        await self._turns()
        return found

    async def events_of_tasks(self, uids: Sequence[str], *, after: int, upto: int, limit: int) -> list[Event]:
        await self._turns()
        found = await super().events_of_tasks(uids, after=after, upto=upto, limit=limit)
        await self._turns()
        return found


class World:
    """Tasks that live their lives, and readers of them."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.store = SlowStore(dice)
        clock = SystemClock()
        self.journal = Journal(self.store, MemoryBus(), clock, Supervisor(clock))
        self.live: dict[str, Task] = {}
        """Unfinished tasks, and those that are being accepted."""
        self.accepted: set[str] = set()
        self.percent: dict[str, int] = {}
        self.over = False

    async def produce(self, tasks: int) -> None:
        """Let tasks come, show progress, have outputs and end; several at a time."""
        started = 0
        async with asyncio.TaskGroup() as group:
            while started < tasks or self.live:
                if started < tasks and self.dice.random() < 0.3:
                    started += 1
                    task = make_task(f"t{started}")
                    self.live[task.uid] = task
                    accepting = group.create_task(self._accept(task), name="accept")
                    if self.dice.random() < 0.5:
                        await accepting
                elif self.live:
                    self._go_on(self.dice.choice(list(self.live.values())))
                for _ in range(self.dice.randrange(3)):
                    await asyncio.sleep(0)
        self.over = True

    async def _accept(self, task: Task) -> None:
        assert isinstance(await self.journal.accept(task), Event)
        self.accepted.add(task.uid)

    def _go_on(self, task: Task) -> None:
        act = self.dice.random()
        if task.ended or task.uid not in self.accepted:
            return
        if act < 0.6:
            self.percent[task.uid] = min(self.percent.get(task.uid, 0) + self.dice.randrange(5), 99)
            self.journal.snapshot(task, progress(task, self.percent[task.uid]))
        elif act < 0.7:
            # A cancel's intent: a write without an event.
            _ = self.journal.save(task, FENCE)
        elif act < 0.9:
            _ = self.journal.append(task, output_event(task), FENCE)
        else:
            end(task)
            message = result(task) if self.dice.random() < 0.5 else cancelled(task)
            ended = self.journal.append(task, message, FENCE)
            ended.add_done_callback(lambda _: self.live.pop(task.uid))


class Client:
    """Subscribes to all by cursor, over many connections that are cut anywhere."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cursor = 0
        self.events: dict[int, Event] = {}
        self.percent: dict[str, int] = {}

    async def connection(self, most: int) -> None:
        """Read at most so many items of one connection."""
        dice, journal = self.world.dice, self.world.journal
        subscriber = await journal.subscribe("ann")
        highest, open_replays, has_all = self.cursor, 0, False
        last: dict[str, int] = {}
        ended: set[str] = set()
        asks = dice.choice((["all"], ["some", "all"], ["all", "some"], ["some", "some", "all", "all"]))
        again = len(asks) > 1
        for _ in range(most):
            while asks and dice.random() < 0.4:
                self._ask(subscriber, asks.pop(0))
                open_replays += 1
            if dice.random() < 0.02:
                await asyncio.sleep(0.002)  # a reader that stalls, and falls behind
            item = await subscriber.next_item()
            if item is None:
                await asyncio.sleep(0)
                if self.world.over and not asks and not self.world.journal._pending:
                    break
            elif isinstance(item, Recovered):
                open_replays -= 1
                if item.ref == "all":
                    has_all = True
                    highest = max(highest, int(item.cursor))
            else:
                assert isinstance(item, Event)
                self._note(item, last, ended, again=again)
                highest = max(highest, item.seq)
            if has_all and not open_replays:
                self.cursor = highest
        journal.unsubscribe(subscriber)

    def _ask(self, subscriber: Subscriber, what: str) -> None:
        live = list(self.world.live)
        done = Recovered(ref=what, recovered=True, cursor=str(self.world.journal.position("ann")))
        if what == "all":
            subscriber.subscribe_all(after=self.cursor, done=done)
        else:
            uids = self.world.dice.sample(live, min(len(live), 3))
            subscriber.subscribe(uids, uids, after=self.cursor, done=done)

    def _note(self, event: Event, last: dict[str, int], ended: set[str], *, again: bool) -> None:
        if again and event.stored and event.uid in ended:
            # Asked for once more: nothing is subscribed of what has ended, and it is replayed as a whole.
            ended.discard(event.uid)
            del last[event.uid]
        assert event.uid not in ended, "after the end"
        if isinstance(event.message, Progress):
            assert event.seq == 0
            percent = event.message.progress
            assert percent >= self.percent.get(event.uid, 0), "the percentage fell"
            self.percent[event.uid] = percent
            return
        assert event.seq > last.get(event.uid, 0), "twice, or out of order"
        last[event.uid] = event.seq
        self.events[event.seq] = event
        if event.ends:
            ended.add(event.uid)


@pytest.fixture
async def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Give a world of a seed, with little room before a reader falls behind."""
    dice = random.Random(request.param)
    monkeypatch.setattr(subscriber_module, "BUFFERED_EVENTS", dice.choice((4, 16, 512)))
    monkeypatch.setattr(subscriber_module, "BUFFERED_BYTES", dice.choice((3_000, 20_000, 2**20)))
    monkeypatch.setattr(subscriber_module, "PAGE", dice.choice((2, 8, 64)))
    monkeypatch.setattr(subscriber_module, "PAGE_BYTES", dice.choice((1, 5_000, 2**18)))
    world = World(dice)
    await world.journal.open()
    assert await world.store.lease(POOL) == FENCE
    yield world
    await world.journal.close()


@pytest.mark.parametrize("world", range(40), indirect=True)
async def test_cut_anywhere_nothing_is_lost(world: World) -> None:
    async def read(client: Client) -> None:
        while not world.over:
            await client.connection(world.dice.choice((1, 5, 30, 300)))
        await client.connection(10**4)

    clients = [Client(world) for _ in range(3)]
    async with asyncio.TaskGroup() as group:
        group.create_task(world.produce(30), name="producer")
        for client in clients:
            group.create_task(read(client), name="client")
    stored = {event.seq: event for event in world.store.all}
    for client in clients:
        assert client.events == stored


def waiting_bytes(subscriber: Subscriber) -> int:
    """Return the bytes of the events that wait for a reader."""
    items = [*subscriber._live.values(), *(subscriber._page or ())]
    events = [item for item in items if isinstance(item, Event)]
    return sum(len(event.message.params.prompt) for event in events if isinstance(event.message, Accepted))


async def test_what_waits_for_a_slow_reader_is_bounded_in_bytes() -> None:
    """A thousand prompts of 40 KB are due: a few of them wait in memory, and all come."""
    clock = SystemClock()
    journal = Journal(MemoryStore(10**6), MemoryBus(), clock, Supervisor(clock))
    await journal.open()
    await journal.store.lease(POOL)
    slow = await journal.subscribe("ann")
    slow.subscribe_all(after=None)
    prompt = "\N{GRINNING FACE}" * 10_000
    most = 0
    for number in range(1000):
        assert isinstance(await journal.accept(make_task(f"t{number}", prompt=prompt)), Event)
        most = max(most, 4 * waiting_bytes(slow))
    seen = 0
    while await slow.next_item() is not None:
        seen += 1
        most = max(most, 4 * waiting_bytes(slow))
    assert seen == 1000
    assert not slow._live_bytes
    journal.unsubscribe(slow)
    await journal.close()
    assert most <= subscriber_module.BUFFERED_BYTES + 8 * len(prompt)


async def test_a_replay_is_over_only_when_what_was_dropped_before_it_has_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else who is cut right behind it, and comes back with its cursor, would miss that."""
    monkeypatch.setattr(subscriber_module, "BUFFERED_EVENTS", 2)
    clock = SystemClock()
    journal = Journal(MemoryStore(10**6), MemoryBus(), clock, Supervisor(clock))
    await journal.open()
    await journal.store.lease(POOL)
    reader = await journal.subscribe("ann")
    live = make_task("live")
    reader.subscribe([live.uid], [live.uid], after=None)
    assert isinstance(await journal.accept(live), Event)
    cursor = journal.position("ann")
    reader.subscribe_all(after=cursor, done=Recovered(ref="all", recovered=True, cursor=str(cursor)))
    # It reads nothing meanwhile: the first event is dropped with the others, and read again.
    for number in range(3):
        assert isinstance(await journal.accept(make_task(f"t{number}")), Event)
    assert reader._behind
    seen = []
    while (item := await reader.next_item()) is not None:
        seen.append(item.seq if isinstance(item, Event) else type(item).__name__)
    assert seen == [1, 2, 3, 4, "Recovered"]
    journal.unsubscribe(reader)
    await journal.close()
