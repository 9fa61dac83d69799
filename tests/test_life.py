"""The life of tasks in any order of events: one end each, nothing left running, no slot lost."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scripted_gateway import MODELS, Held, ScriptedGateway, turns
from xinflight.errors import NotFound, OutOfBounds
from xinflight.model import ENDED, MOVES, Task
from xinflight.protocol import State, UpstreamState
from xinflight.storage import MemoryStore

OWNERS = st.sampled_from(["ann", "bob"])
IDS = st.sampled_from(["t0", "t1", "t2", "t3"])
OUTCOMES = st.sampled_from(
    [
        "image",
        "image",
        "died",
        "error",
        "busy",
        "lost",
        "refused",
        "garbage",
        "aborted",
        "gone",
        "other route",
        "auth",
    ]
)
SUBMITS = st.fixed_dictionaries(
    {"task_id": IDS},
    optional={
        "n": st.integers(1, 3),
        "timeout": st.sampled_from([0.3, 5.0, 100.0]),
        "on_disconnect": st.sampled_from(["continue", "cancel"]),
        "model": st.sampled_from(["m", "two", "old"]),
        "priority": st.integers(-1, 1),
    },
)
STATES = st.sampled_from([UpstreamState.UNREACHABLE, UpstreamState.READY, UpstreamState.UNAUTHORISED])
OPS = st.one_of(
    st.tuples(st.just("submit"), OWNERS, SUBMITS),
    st.tuples(st.just("submit"), OWNERS, SUBMITS),
    st.tuples(st.just("cancel"), OWNERS, IDS, st.none() | st.integers(0, 2)),
    st.tuples(st.just("cancel all"), OWNERS, st.sets(IDS)),
    st.tuples(st.just("move"), OWNERS, IDS, IDS | st.sampled_from(["first", "last"])),
    st.tuples(st.just("pause"), OWNERS, st.none() | IDS, st.booleans()),
    st.tuples(st.just("progress"), st.integers(0, 5), st.floats(0, 1)),
    st.tuples(st.just("answer"), st.integers(0, 5), OUTCOMES),
    st.tuples(st.just("answer"), st.integers(0, 5), OUTCOMES),
    st.tuples(st.just("obey"), st.integers(0, 5)),
    st.tuples(st.just("join"), OWNERS),
    st.tuples(st.just("leave"), OWNERS),
    st.tuples(st.just("upstream"), STATES),
    st.tuples(st.just("wait"), st.sampled_from([0.05, 0.5, 3.0, 31.0, 700.0])),
)
# After each step the loop goes round a few times only: steps meet each other half way.
PLAYS = st.lists(st.tuples(OPS, st.sampled_from([0, 1, 2, 3, 5, 8, 40])), min_size=10, max_size=60)


class Player:
    """Play steps; what a step needs and is not there makes it nothing."""

    def __init__(self, gateway: ScriptedGateway) -> None:
        self.gateway = gateway
        self.present: Counter[str] = Counter()
        self.accepted: set[tuple[str, str]] = set()
        self.calls: list[asyncio.Task[Any]] = []

    async def play(self, step: Sequence[Any]) -> None:
        gateway = self.gateway
        match step:
            case ("submit", owner, fields):
                await gateway.watch(owner)
                self._call(self._submit(owner, fields))
            case ("cancel", owner, task_id, index):
                self._call(gateway.front.cancel(owner, task_id, index))
            case ("cancel all", owner, keep):
                self._call(gateway.front.cancel_all(owner, keep))
            case ("move", owner, task_id, "first" | "last" as to):
                self._call(self._allowed(gateway.queue.move(owner, task_id, to=to)))
            case ("move", owner, task_id, before):
                self._call(self._allowed(gateway.queue.move(owner, task_id, before=before)))
            case ("pause", owner, task_id, paused):
                self._call(self._allowed(gateway.queue.pause(owner, task_id, paused=paused)))
            case ("progress", which, value) if which < len(gateway.upstream.pending):
                gateway.upstream.advance(gateway.upstream.pending[which], value)
            case ("answer", which, how) if which < len(gateway.upstream.pending):
                gateway.upstream.pending[which].end(how)
            case ("obey", which) if which < len(gateway.upstream.pending):
                if gateway.upstream.pending[which].aborted:
                    gateway.upstream.pending[which].end("aborted")
            case ("join", owner):
                self.present[owner] += 1
                await gateway.join(owner)
            case ("leave", owner) if self.present[owner]:
                self.present[owner] -= 1
                gateway.leave(owner)
            case ("upstream", state):
                gateway.upstream.become(state)
            case ("wait", seconds):
                await gateway.clock.advance(seconds)

    def _call(self, work: Any) -> None:
        self.calls.append(asyncio.create_task(work, name="call"))

    async def _allowed(self, work: Coroutine[Any, Any, object]) -> None:
        """Carry out what is refused where there is nothing to move or to pause."""
        try:
            await work
        except (NotFound, OutOfBounds):
            pass

    async def _submit(self, owner: str, fields: dict[str, Any]) -> None:
        task = await self.gateway.submit(owner, **fields)
        if isinstance(task, Task):
            self.accepted.add((owner, task.task_id))

    async def finish(self) -> None:
        """Answer everything with an image until nothing is under way."""
        gateway = self.gateway
        gateway.upstream.become(UpstreamState.READY)
        for owner in ("ann", "bob"):
            # What is held would wait for ever.
            await gateway.queue.pause(owner, None, paused=False)
        for _ in range(2000):
            await turns()
            for post in gateway.upstream.pending:
                post.end("aborted" if post.aborted else "image")
            for post in gateway.upstream.posts:
                # Those whose answer was lost come to their end, too.
                post.running, post.progress = False, 1.0
            await turns()
            await gateway.drain()
            if not gateway.pools.size and not gateway.running:
                break
            await gateway.clock.advance(5.0)
        await asyncio.gather(*self.calls)


BUSY_AFTER_PROGRESS = [
    (("submit", "ann", {"task_id": "t0"}), 0),
    (("wait", 0.05), 0),
    (("submit", "ann", {"task_id": "t1"}), 0),
    (("answer", 0, "image"), 40),
    (("progress", 0, 1.0), 0),
    (("wait", 0.05), 0),
    (("answer", 0, "busy"), 0),
]


@settings(max_examples=250)
@example(BUSY_AFTER_PROGRESS)
@given(PLAYS)
def test_any_order_of_events(play: list[tuple[Sequence[Any], int]]) -> None:
    """Whatever happens in whatever order, every task has one end, in order, and nothing is lost or left."""
    asyncio.run(_any_order(play))


async def _any_order(play: list[tuple[Sequence[Any], int]]) -> None:
    async with ScriptedGateway.begin(disconnect_grace=30.0) as gateway:
        player = Player(gateway)
        for step, pause in play:
            await player.play(step)
            await turns(pause)
            await gateway.drain()
        await player.finish()
        assert not gateway.pools.size, "a task without an end"
        assert not gateway.running, "an output without an end"
        for uid in MODELS:
            assert gateway.runner(uid)._scheduler.busy(uid) == 0, "a slot is lost"
            assert gateway.upstream.running(uid) == 0, "something runs on upstream"
        for owner, task_id in player.accepted:
            (end,) = gateway.ends(owner, task_id)
            task = await gateway.front.find(owner, task_id)
            assert task is not None
            assert task.state in ENDED
            assert "internal" not in [output.code for output in task.outputs]
            if getattr(end.message, "upstream", None) == "never_started":
                assert not any(output.attempt for output in task.outputs if output.state is State.CANCELLED)
        for events in gateway.sent.values():
            hold_order(events)


def hold_order(events: list[Any]) -> None:
    """Hold what one owner was told to the promises of the wire."""
    seqs = [event.seq for event in events if event.stored]
    assert all(event.seq == 0 for event in events if not event.stored)
    assert all(earlier < later for earlier, later in pairwise(seqs))
    shown: dict[tuple[str, int, int], int] = {}
    begun: set[str] = set()
    ended: set[str] = set()
    for event in events:
        message = event.message
        assert message.task_id not in ended, "told after the end"
        assert getattr(message, "code", None) != "internal"
        kind = type(message).__name__
        if kind == "Accepted":
            begun.add(message.task_id)
        assert message.task_id in begun, "told before the beginning"
        if kind == "Progress":
            attempt = message.details.attempt if message.details is not None else 0
            key = message.task_id, message.index, attempt
            assert shown.get(key, 0) <= message.progress < 100
            shown[key] = message.progress
        elif message.ends:
            ended.add(message.task_id)


@pytest.mark.parametrize("state", list(State))
def test_moves_lead_to_an_end(state: State) -> None:
    """From every state an end can be reached, and from an end nothing."""
    seen, reach = set(), {state}
    while reach:
        seen |= reach
        reach = {move for one in reach for move in MOVES[one]} - seen
    assert seen & ENDED
    assert bool(MOVES[state]) != (state in ENDED)


async def test_a_cancel_that_meets_the_saving_of_the_acceptance() -> None:
    """While the acceptance is being stored a cancel from elsewhere waits for it: the task is never sent."""
    async with ScriptedGateway.begin() as gateway:
        store = Held(gateway.store, "commit")
        submitting = asyncio.create_task(gateway.submit(task_id="a"))
        await store.entered.wait()
        cancelling = asyncio.create_task(gateway.front.cancel("ann", "a"))
        await turns()
        assert not cancelling.done()
        store.go_on.set()
        assert (await cancelling).was in (State.QUEUED, State.STARTING)
        assert isinstance(await submitting, Task)
        await turns()
        await gateway.drain()
        (end,) = gateway.ends("ann", "a")
        assert end.message.upstream == "never_started"  # type: ignore[union-attr]
        assert gateway.upstream.posts == []


async def test_an_acceptance_whose_caller_has_gone() -> None:
    """Who stops waiting for the acceptance does not take it back: the task runs to its end."""
    async with ScriptedGateway.begin() as gateway:
        store = Held(gateway.store, "commit")
        submitting = asyncio.create_task(gateway.submit(task_id="a"))
        await store.entered.wait()
        submitting.cancel()
        await asyncio.gather(submitting, return_exceptions=True)
        store.go_on.set()
        await turns()
        gateway.upstream.pending[0].end("image")
        await turns()
        await gateway.drain()
        assert len(gateway.ends("ann", "a")) == 1


async def test_two_submits_of_one_id_at_once() -> None:
    """The second one finds the first one, although that is not stored yet."""
    async with ScriptedGateway.begin() as gateway:
        tasks = await asyncio.gather(
            gateway.submit(task_id="a"), gateway.submit(task_id="a"), gateway.submit(task_id="b")
        )
        first, again, other = tasks
        assert isinstance(first, Task)
        assert isinstance(again, Task)
        assert first.uid == again.uid
        assert gateway.pools.size == 2
        assert isinstance(other, Task)
        assert len(gateway.upstream.posts) <= 1
        conflict = await gateway.submit(task_id="a", prompt="ship")
        assert getattr(conflict, "code", None) == "task_id_conflict"


async def test_ended_tasks_are_forgotten_and_new_ones_go_on() -> None:
    """The store in memory keeps its cap, task after task."""
    async with ScriptedGateway.begin(MemoryStore(2)) as gateway:
        for number in range(8):
            task = await gateway.submit(task_id=f"t{number}")
            assert isinstance(task, Task)
            await turns()
            gateway.upstream.pending[0].end("image")
            await turns()
            await gateway.drain()
            assert len(gateway.ends("ann", f"t{number}")) == 1
        assert await gateway.store.task("ann", "t5") is None
        assert await gateway.store.task("ann", "t7") is not None


@pytest.mark.parametrize("pause", range(12))
async def test_a_cancel_at_every_moment_around_the_answer(pause: int) -> None:
    """However a cancel meets the answer of the POST, one end comes and no helper is left behind."""
    async with ScriptedGateway.begin() as gateway:
        await gateway.submit(task_id="a")
        await turns()
        gateway.upstream.advance(gateway.upstream.pending[0], 0.5)
        await gateway.clock.advance(0.5)
        gateway.upstream.pending[0].end("image")
        await turns(pause)
        await gateway.front.cancel("ann", "a")
        await turns()
        await gateway.drain()
        (end,) = gateway.ends("ann", "a")
        assert type(end.message).__name__ == "Result"
        names = [task.get_name() for task in asyncio.all_tasks()]
        assert not [name for name in names if name.startswith(("watch", "abort", "progress", "post"))]


async def test_an_answer_that_is_lost_while_nothing_may_be_asked() -> None:
    """A refused key, as any error of the question, is no proof that the old request has ended: its slot stays out."""
    async with ScriptedGateway.begin() as gateway:
        await gateway.submit(task_id="a", model="m")
        await turns()
        gateway.upstream.become(UpstreamState.UNAUTHORISED)
        gateway.upstream.pending[0].end("lost")
        await gateway.clock.advance(20.0)
        assert gateway.runner("m")._scheduler.busy("m") == 1
        gateway.upstream.become(UpstreamState.READY)
        await gateway.clock.advance(20.0)
        assert len(gateway.upstream.aborts) == 1
        assert len(gateway.upstream.posts) == 2
        gateway.upstream.pending[0].end("image")
        await turns()
        await gateway.drain()
        assert len(gateway.ends("ann", "a")) == 1
