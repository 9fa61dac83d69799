"""The contract of the bus, held against every implementation."""

import pytest

from factories import accepted, event, make_task, output_event, progress
from xinflight.journal import Bus, MemoryBus
from xinflight.model import Event, EventMessage, OwnerQueue, Task


@pytest.fixture(params=["memory"])
def bus() -> Bus:
    return MemoryBus()


class Listener:
    """Remembers what was delivered to it."""

    def __init__(self) -> None:
        self.seqs: list[int] = []
        self.messages: list[EventMessage] = []

    def deliver(self, event: Event | OwnerQueue) -> None:
        assert isinstance(event, Event)
        self.seqs.append(event.seq)
        self.messages.append(event.message)


def output(task: Task, seq: int) -> Event:
    return event(task, seq, output_event(task))


async def test_who_listens_to_a_task_hears_that_task(bus: Bus) -> None:
    first, second, foreign = make_task("a"), make_task("b"), make_task("a", "bob")
    one, everything = Listener(), Listener()
    bus.attach(one, "ann", first.uid)
    bus.attach(everything, "ann", None)
    for seq, task in enumerate((first, second, foreign, first), 1):
        bus.publish(output(task, seq))
    assert one.seqs == [1, 4]
    assert everything.seqs == [1, 2, 4]


async def test_events_and_snapshots_come_in_the_order_of_the_calls(bus: Bus) -> None:
    task = make_task()
    listeners = [Listener(), Listener()]
    for listener in listeners:
        bus.attach(listener, "ann", task.uid)
    messages: list[EventMessage] = [accepted(task), progress(task, 5), output_event(task)]
    for seq, message in zip((1, 0, 2), messages, strict=True):
        bus.publish(event(task, seq, message))
    assert [listener.messages for listener in listeners] == [messages] * 2


async def test_nobody_hears_what_was_before_or_after(bus: Bus) -> None:
    task = make_task()
    listener = Listener()
    bus.publish(output(task, 1))
    bus.attach(listener, "ann", task.uid)
    bus.publish(output(task, 2))
    bus.detach(listener, "ann", task.uid)
    bus.publish(output(task, 3))
    assert listener.seqs == [2]


async def test_attached_twice_hears_once_and_a_strange_detach_is_nothing(bus: Bus) -> None:
    task = make_task()
    listener = Listener()
    bus.detach(listener, "ann", task.uid)
    bus.attach(listener, "ann", task.uid)
    bus.attach(listener, "ann", task.uid)
    bus.publish(output(task, 1))
    bus.detach(listener, "ann", task.uid)
    bus.detach(listener, "ann", task.uid)
    bus.publish(output(task, 2))
    assert listener.seqs == [1]


async def test_a_listener_may_go_while_it_is_told(bus: Bus) -> None:
    task = make_task()
    others = [Listener(), Listener()]

    class Leaver(Listener):
        def deliver(self, event: Event | OwnerQueue) -> None:
            super().deliver(event)
            bus.detach(self, "ann", task.uid)

    leaver = Leaver()
    for listener in (others[0], leaver, others[1]):
        bus.attach(listener, "ann", task.uid)
    bus.publish(output(task, 1))
    bus.publish(output(task, 2))
    assert leaver.seqs == [1]
    assert [listener.seqs for listener in others] == [[1, 2]] * 2


def test_memory_keeps_no_place_for_who_has_gone() -> None:
    bus = MemoryBus()
    listeners = [Listener(), Listener()]
    for listener in listeners:
        bus.attach(listener, "ann", "uid")
        bus.attach(listener, "ann", None)
    for listener in listeners:
        bus.detach(listener, "ann", "uid")
        bus.detach(listener, "ann", None)
    bus.publish(output(make_task(), 1))
    assert not bus._listeners
