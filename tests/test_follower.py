"""Readers of the journal at any speed, cut at any point: each stored event once, in order, and no gap."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence

import pytest

from factories import accepted, cancelled, end, make_task, picture, progress, result
from xinflight.clock import SystemClock
from xinflight.journal import Follower, Journal, MemoryBus
from xinflight.journal import subscriber as follower_module
from xinflight.model import Task
from xinflight.protocol import Recovered, State
from xinflight.storage import Event, MemoryStore, Write
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

    async def commit(self, writes: Sequence[Write]) -> None:
        await self._turns()
        await super().commit(writes)
        self.all += [write.event for write in writes if write.event is not None]
        await self._turns()

    async def events(
        self, owner: str, *, after: int, upto: int, uids: Sequence[str] | None, limit: int
    ) -> list[Event]:
        await self._turns()
        found = await super().events(owner, after=after, upto=upto, uids=uids, limit=limit)
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
        self.percent: dict[str, int] = {}
        self.over = False

    async def produce(self, tasks: int) -> None:
        """Let tasks come, show progress, have pictures and end; several at a time."""
        started = 0
        while started < tasks or self.live:
            if started < tasks and self.dice.random() < 0.3:
                started += 1
                task = make_task(f"t{started}")
                self.live[task.uid] = task
                stored = self.journal.append(task, accepted(task))
                if self.dice.random() < 0.5:
                    await stored
            elif self.live:
                self._go_on(self.dice.choice(list(self.live.values())))
            for _ in range(self.dice.randrange(3)):
                await asyncio.sleep(0)
        self.over = True

    def _go_on(self, task: Task) -> None:
        act = self.dice.random()
        if task.ended:
            return
        if act < 0.6:
            self.percent[task.uid] = min(self.percent.get(task.uid, 0) + self.dice.randrange(5), 99)
            self.journal.snapshot(task, progress(task, self.percent[task.uid]))
        elif act < 0.7:
            # A cancel's intent: a write without an event.
            _ = self.journal.save(task)
        elif act < 0.9:
            _ = self.journal.append(task, picture(task))
        else:
            end(task, State.COMPLETED)
            ended = self.journal.append(task, result(task) if self.dice.random() < 0.5 else cancelled(task))
            ended.add_done_callback(lambda _: self.live.pop(task.uid))


class Client:
    """Follows all by cursor, over many connections that are cut anywhere."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cursor = 0
        self.events: dict[int, Event] = {}
        self.percent: dict[str, int] = {}

    async def connection(self, most: int) -> None:
        """Take at most so many items of one connection."""
        dice, journal = self.world.dice, self.world.journal
        follower = journal.follow("ann")
        highest, open_replays, follows_all = self.cursor, 0, False
        last: dict[str, int] = {}
        ended: set[str] = set()
        asks = dice.choice((["all"], ["some", "all"], ["all", "some"], ["some", "some", "all", "all"]))
        again = len(asks) > 1
        for _ in range(most):
            while asks and dice.random() < 0.4:
                self._ask(follower, asks.pop(0))
                open_replays += 1
            if dice.random() < 0.02:
                await asyncio.sleep(0.002)  # a reader that stalls, and falls behind
            item = await follower.take()
            if item is None:
                await asyncio.sleep(0)
                if self.world.over and not asks and not self.world.journal._pending:
                    break
            elif isinstance(item, Recovered):
                open_replays -= 1
                follows_all |= item.ref == "all"
            else:
                assert isinstance(item, Event)
                self._take(item, last, ended, again=again)
                highest = max(highest, item.seq)
            if follows_all and not open_replays:
                self.cursor = highest
        follower.close()

    def _ask(self, follower: Follower, what: str) -> None:
        live = list(self.world.live)
        done = Recovered(ref=what, recovered=True, cursor="")
        if what == "all":
            follower.watch_all(live, after=self.cursor, done=done)
        else:
            uids = self.world.dice.sample(live, min(len(live), 3))
            follower.watch(uids, uids, after=self.cursor, done=done)

    def _take(self, event: Event, last: dict[str, int], ended: set[str], *, again: bool) -> None:
        if again and event.uid in ended:
            # Asked for once more: what has ended is not followed any more, and is replayed as a whole.
            ended.discard(event.uid)
            del last[event.uid]
        assert event.uid not in ended, "after the end"
        if not event.message.stored:
            assert event.seq >= last.get(event.uid, 0), "a snapshot out of order"
            percent = event.message.progress  # type: ignore[union-attr]
            assert percent >= self.percent.get(event.uid, 0), "the percentage fell"
            self.percent[event.uid] = percent
            return
        assert event.seq > last.get(event.uid, 0), "twice, or out of order"
        last[event.uid] = event.seq
        self.events[event.seq] = event
        if event.message.ends:
            ended.add(event.uid)


@pytest.fixture
async def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Give a world of a seed, with little room before a reader falls behind."""
    dice = random.Random(request.param)
    monkeypatch.setattr(follower_module, "WAITING_EVENTS", dice.choice((4, 16, 512)))
    monkeypatch.setattr(follower_module, "PAGE", dice.choice((2, 8, 64)))
    world = World(dice)
    await world.journal.open()
    await world.journal.load("ann")
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
