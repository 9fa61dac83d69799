"""Texts over connections that are cut anywhere, by readers of any speed: no character is lost or doubled."""

import asyncio
import random
from collections.abc import Sequence
from itertools import pairwise

import pytest

from factories import FENCE, POOL, make_task
from xinflight.clock import SystemClock
from xinflight.journal import Journal, MemoryBus, Subscriber
from xinflight.journal import subscriber as subscriber_module
from xinflight.model import Event, Task, end_message, merge_deltas, output_message
from xinflight.protocol import ChatEnd, Delta, Error, OutputEvent, Recovered, Result, State
from xinflight.storage import MemoryStore, Outcome, Write
from xinflight.supervise import Supervisor

SIGNS = "ab 你好🚣🏽‍♀️\n"


def make_chat(task_id: str) -> Task:
    task = make_task(task_id)
    task.kind = task.params.kind = "chat"
    return task


def delta(task: Task, offset: int, text: str, channel: str = "text") -> Delta:
    return Delta(task_id=task.task_id, timestamp=0, index=0, offset=offset, text=text, channel=channel)  # type: ignore[arg-type]


class SlowStore(MemoryStore):
    """A store that lets others run before and after what it does."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__(10**6)
        self._dice = dice

    async def _turns(self) -> None:
        for _ in range(self._dice.randrange(8)):
            await asyncio.sleep(0)

    async def commit(self, writes: Sequence[Write]) -> list[Outcome]:
        await self._turns()
        outcomes = await super().commit(writes)
        await self._turns()
        return outcomes

    async def events_of_owner(self, owner: str, *, after: int, upto: int, limit: int) -> list[Event]:
        await self._turns()
        found = await super().events_of_owner(owner, after=after, upto=upto, limit=limit)
        await self._turns()
        return found


class World:
    """Chats that are written, some of them at a time."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.store = SlowStore(dice)
        clock = SystemClock()
        self.journal = Journal(self.store, MemoryBus(), clock, Supervisor(clock))
        self.texts: dict[str, str] = {}
        """The whole texts by task id."""
        self.over = False

    async def produce(self, chats: int) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(chats):
                group.create_task(self._write(make_chat(f"c{number}")), name=f"chat {number}")
                for _ in range(self.dice.randrange(60)):
                    await asyncio.sleep(0)
        self.over = True

    async def _write(self, task: Task) -> None:
        assert isinstance(await self.journal.accept(task), Event)
        output = task.outputs[0]
        output.text = ""
        for _ in range(self.dice.randrange(1, 60)):
            text = "".join(self.dice.choices(SIGNS, k=self.dice.randrange(1, 9)))
            _ = self.journal.extend(task, delta(task, len(output.text), text), FENCE)
            output.text += text
            for _ in range(self.dice.choice((0, 0, 1, 5))):
                await asyncio.sleep(0)
        self.texts[task.task_id] = output.text
        output.state, output.code, output.chat = State.COMPLETED, None, ChatEnd()
        if self.dice.random() < 0.5:
            output.state, output.code = State.FAILED, "interrupted"
        else:
            _ = self.journal.append(task, output_message(task, output, 0.0), FENCE, compacts=True)
        task.ended_at = 1.0
        await self.journal.append(task, end_message(task), FENCE, compacts=True)


class Client:
    """Keeps texts as the protocol says: a delta is written at its offset; an output has all of it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cursor = 0
        self.texts: dict[str, str] = {}
        self.ended: set[str] = set()
        self.sent = 0

    async def connection(self, most: int) -> None:
        """Read at most so many items of one connection."""
        journal, dice = self.world.journal, self.world.dice
        subscriber = await journal.subscribe("ann")
        done = Recovered(recovered=True, cursor=str(journal.position("ann")))
        subscriber.subscribe_all(after=self.cursor, done=done)
        highest, recovered = self.cursor, False
        for _ in range(most):
            if dice.random() < 0.02:
                await asyncio.sleep(0.002)
            item = await subscriber.next_item()
            if item is None:
                await asyncio.sleep(0)
                if self.world.over and recovered:
                    break
            elif isinstance(item, Recovered):
                recovered = True
                highest = max(highest, int(item.cursor))
            else:
                assert isinstance(item, Event)
                assert not item.stored or item.seq > 0
                highest = max(highest, item.seq)
                self._note(item)
            if recovered:
                self.cursor = highest
        journal.unsubscribe(subscriber)

    def _note(self, event: Event) -> None:
        self.sent += 1
        message = event.message
        task_id = message.task_id or ""
        known = self.texts.get(task_id, "")
        assert task_id not in self.ended or not isinstance(message, Delta), "after the end"
        match message:
            case Delta(offset=offset, text=text):
                assert offset <= len(known), "a gap"
                end = offset + len(text)
                self.texts[task_id] = known if end <= len(known) else known[:offset] + text
            case OutputEvent(text=str() as text):
                assert text.startswith(known)
                self.texts[task_id] = text
            case Result(data=data):
                assert data.data[0].text == known
            case Error(data=[output]):
                assert output.text is not None
                assert output.text.startswith(known)
                self.texts[task_id] = output.text
        if event.ends:
            self.ended.add(task_id)


@pytest.mark.parametrize("seed", range(40))
async def test_texts_cut_anywhere(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reader has each text whole at its end, and a beginning of it at any moment before."""
    dice = random.Random(seed)
    monkeypatch.setattr(subscriber_module, "BUFFERED_EVENTS", dice.choice((2, 8, 512)))
    monkeypatch.setattr(subscriber_module, "BUFFERED_BYTES", dice.choice((1_000, 20_000, 2**20)))
    monkeypatch.setattr(subscriber_module, "PAGE", dice.choice((2, 8, 64)))
    world = World(dice)
    await world.journal.open()
    assert await world.store.lease(POOL) == FENCE

    async def read(client: Client) -> None:
        while not world.over:
            await client.connection(dice.choice((1, 5, 30, 300)))
        await client.connection(10**5)

    clients = [Client(world) for _ in range(3)]
    async with asyncio.TaskGroup() as group:
        group.create_task(world.produce(12), name="producer")
        for client in clients:
            group.create_task(read(client), name="client")
    for client in clients:
        assert client.texts == world.texts
        assert client.ended == world.texts.keys()
    await world.journal.close()


async def drain(subscriber: Subscriber) -> list[Event]:
    events = []
    while (item := await subscriber.next_item()) is not None:
        assert isinstance(item, Event)
        events.append(item)
    return events


@pytest.mark.parametrize("behind", [False, True])
async def test_a_slow_reader_is_sent_few_long_deltas(behind: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two texts grow by thousands of deltas, with other events between them: what waits is one delta of each."""
    monkeypatch.setattr(subscriber_module, "BUFFERED_BYTES", 10_000 if behind else 2**20)
    clock = SystemClock()
    journal = Journal(MemoryStore(1000), MemoryBus(), clock, Supervisor(clock))
    await journal.open()
    await journal.store.lease(POOL)
    tasks = [make_chat("a"), make_chat("b")]
    slow = await journal.subscribe("ann")
    slow.subscribe_all(after=None)
    for task in tasks:
        await journal.accept(task)
    for number in range(2000):
        for task in tasks:
            _ = journal.extend(task, delta(task, number * 2, "ab"), FENCE)
        if number % 500 == 499:
            await journal.accept(make_chat(f"other {number}"))
    assert len(slow._live) <= 2 + 2 + 4
    events = await drain(slow)
    assert len(events) <= (4000 / 64 + 1) * 2 + 6 if behind else len(events) == 8
    assert all(one.seq < other.seq for one, other in pairwise(events))
    for task in tasks:
        text = ""
        for event in events:
            if event.uid == task.uid and isinstance(event.message, Delta):
                assert event.message.offset == len(text)
                text += event.message.text
        assert text == "ab" * 2000
    journal.unsubscribe(slow)
    await journal.close()


def test_what_is_not_merged() -> None:
    """Other texts, other channels, and what does not follow directly."""
    one, other = make_chat("a"), make_chat("b")

    def event(task: Task, seq: int, message: Delta) -> Event:
        return Event(owner="ann", uid=task.uid, seq=seq, lang=None, message=message)

    first = event(one, 1, delta(one, 0, "ab"))
    for message in (delta(one, 2, "c", "reasoning"), delta(one, 3, "c"), delta(one, 1, "c")):
        assert merge_deltas(first, event(one, 2, message)) is None
    assert merge_deltas(first, event(other, 2, delta(other, 2, "c"))) is None
    joined = merge_deltas(first, event(one, 2, delta(one, 2, "你")))
    assert joined is not None
    assert isinstance(joined.message, Delta)
    assert (joined.seq, joined.message.offset, joined.message.text) == (1, 0, "ab你")
    assert isinstance(first.message, Delta)
    assert first.message.text == "ab", "events are shared"
