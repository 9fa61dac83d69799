"""The contract of the bus, held against every implementation."""

import asyncio

import pytest

from factories import accepted, make_task, picture, progress
from kit import LONG
from xinflight.journal import Bus, CancelCommand, MemoryBus
from xinflight.model import Task
from xinflight.storage import Event, EventMessage


@pytest.fixture(params=["memory"])
def bus() -> Bus:
    return MemoryBus()


class Ear:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.seqs: list[int] = []

    def push(self, event: Event) -> None:
        self.seqs.append(event.seq)


def event(task: Task, seq: int) -> Event:
    return Event(owner=task.owner, uid=task.uid, seq=seq, lang=None, message=picture(task))


async def test_who_listens_to_a_task_hears_that_task(bus: Bus) -> None:
    first, second, foreign = make_task("a"), make_task("b"), make_task("a", "bob")
    one, everything = Ear(), Ear()
    bus.attach(one, "ann", first.uid)
    bus.attach(everything, "ann", None)
    for seq, task in enumerate((first, second, foreign, first), 1):
        bus.publish(event(task, seq))
    assert one.seqs == [1, 4]
    assert everything.seqs == [1, 2, 4]


async def test_events_and_snapshots_come_in_the_order_of_the_calls(bus: Bus) -> None:
    task = make_task()
    ears = [Ear(), Ear()]
    for ear in ears:
        bus.attach(ear, "ann", task.uid)
    messages: list[EventMessage] = [accepted(task), progress(task, 5), picture(task)]
    for seq, message in enumerate(messages, 1):
        bus.publish(Event(owner="ann", uid=task.uid, seq=seq, lang=None, message=message))
    assert [ear.seqs for ear in ears] == [[1, 2, 3]] * 2


async def test_nobody_hears_what_was_before_or_after(bus: Bus) -> None:
    task = make_task()
    ear = Ear()
    bus.publish(event(task, 1))
    bus.attach(ear, "ann", task.uid)
    bus.publish(event(task, 2))
    bus.detach(ear, "ann", task.uid)
    bus.publish(event(task, 3))
    assert ear.seqs == [2]


async def test_attached_twice_hears_once_and_a_strange_detach_is_nothing(bus: Bus) -> None:
    task = make_task()
    ear = Ear()
    bus.detach(ear, "ann", task.uid)
    bus.attach(ear, "ann", task.uid)
    bus.attach(ear, "ann", task.uid)
    bus.publish(event(task, 1))
    bus.detach(ear, "ann", task.uid)
    bus.detach(ear, "ann", task.uid)
    bus.publish(event(task, 2))
    assert ear.seqs == [1]


async def test_a_listener_may_go_while_it_is_told(bus: Bus) -> None:
    task = make_task()
    others = [Ear(), Ear()]

    class Leaver(Ear):
        def push(self, event: Event) -> None:
            super().push(event)
            bus.detach(self, "ann", task.uid)

    leaver = Leaver()
    for ear in (others[0], leaver, others[1]):
        bus.attach(ear, "ann", task.uid)
    bus.publish(event(task, 1))
    bus.publish(event(task, 2))
    assert leaver.seqs == [1]
    assert [ear.seqs for ear in others] == [[1, 2]] * 2


async def test_a_command_reaches_whoever_runs_the_task(bus: Bus) -> None:
    command = CancelCommand(owner="ann", task_id="a", index=2)
    assert await bus.command(command) is False, "nobody serves"
    got: list[CancelCommand] = []

    async def handle(command: CancelCommand) -> bool:
        got.append(command)
        return command.task_id == "a"

    bus.serve(handle)
    assert await bus.command(command) is True
    assert await bus.command(CancelCommand(owner="ann", task_id="b")) is False
    assert got == [command, CancelCommand(owner="ann", task_id="b", index=None)]


async def test_a_free_slot_is_taken_at_once_and_given_back(bus: Bus) -> None:
    async with asyncio.timeout(LONG):
        for _ in range(3):
            await bus.take_slot("painter", 1)
            await bus.give_slot("painter")


def test_memory_keeps_no_place_for_who_has_gone() -> None:
    bus = MemoryBus()
    ears = [Ear(), Ear()]
    for ear in ears:
        bus.attach(ear, "ann", "uid")
        bus.attach(ear, "ann", None)
    for ear in ears:
        bus.detach(ear, "ann", "uid")
        bus.detach(ear, "ann", None)
    bus.publish(event(make_task(), 1))
    assert not bus._listeners
