"""New text on its way to the store: few batches, however many tokens come and however slow the store is."""

import asyncio
from collections.abc import Sequence

from clients import FakeClock
from factories import FENCE, POOL, make_task
from scripted_gateway import turns
from xinflight.journal import Journal, MemoryBus
from xinflight.protocol import Delta
from xinflight.storage import Extend, MemoryStore, Outcome, Write
from xinflight.supervise import Supervisor
from xinflight.tasks.runs import ActiveTask, OutputRun
from xinflight.tasks.texts import FLUSH_SECONDS, Texts, restore_text
from xinflight.upstream import Piece


class HeldStore(MemoryStore):
    """A store that keeps each batch until it is let go, and remembers the deltas of each."""

    def __init__(self) -> None:
        super().__init__(1000)
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.batches: list[list[tuple[str, int, str]]] = []

    async def commit(self, writes: Sequence[Write]) -> list[Outcome]:
        await self.go_on.wait()
        deltas = [write.message for write in writes if isinstance(write, Extend)]
        if deltas:
            self.batches.append([(delta.channel, delta.offset, delta.text) for delta in deltas])
        return await super().commit(writes)


async def test_tokens_become_few_deltas_while_the_store_is_slow() -> None:
    """One batch at a time; what comes meanwhile is one delta of each text and channel, and nothing is lost."""
    store, clock = HeldStore(), FakeClock()
    journal = Journal(store, MemoryBus(), clock, Supervisor(clock))
    await journal.open()
    assert await store.lease(POOL) == FENCE
    tasks = [make_task("a"), make_task("b")]
    runs = []
    for task in tasks:
        await journal.accept(task)
        active = ActiveTask(task=task, sequence=1, bytes=0)
        runs.append(OutputRun(active=active, output=task.outputs[0], sequence=1))
    texts = Texts(journal, clock, FENCE)

    def write(text: str, *, channel: str = "text") -> None:
        for run in runs:
            for sign in text:
                texts.add(run, Piece(sign, "reasoning" if channel == "reasoning" else "text"))

    write("嗯…", channel="reasoning")
    write("你好")
    await turns()
    assert store.batches == [], "not for every token"
    await clock.advance(FLUSH_SECONDS)
    assert store.batches == [[("reasoning", 0, "嗯…"), ("text", 0, "你好")] * 2]
    store.go_on.clear()
    for sign in "🚣🏽 sails":
        write(sign)
        await clock.advance(FLUSH_SECONDS)
    store.go_on.set()
    await clock.advance(0.0)
    await clock.advance(FLUSH_SECONDS)
    assert store.batches[1:] == [[("text", 2, "🚣")] * 2, [("text", 3, "🏽 sails")] * 2]
    assert clock.waiting == 0, "no timer without new text"
    write("!")
    texts.flush_all()
    await turns()
    assert {run.output.text for run in runs} == {"你好🚣🏽 sails!"}
    assert {run.output.reasoning for run in runs} == {"嗯…"}
    # What a process that dies now leaves.
    stored = make_task("a")
    stored.uid = tasks[0].uid
    await restore_text(store, stored)
    assert (stored.outputs[0].text, stored.outputs[0].reasoning) == ("你好🚣🏽 sails!", "嗯…")
    events = await store.events_of_tasks([tasks[1].uid], after=0, upto=100, limit=100)
    assert sum(isinstance(event.message, Delta) for event in events) == 5
    await journal.close()
