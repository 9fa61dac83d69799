"""Positions of owners: what is kept of whom, so that it is bounded by what is unfinished and by who is connected."""

from factories import accepted, end, event, make_task, result
from xinflight.journal.positions import Positions
from xinflight.model import Marks, marked_message
from xinflight.storage import MemoryStore


async def test_nothing_is_kept_of_an_owner_without_subscribers_and_unfinished_tasks() -> None:
    """Whatever comes after an end: an image may be starred years later."""
    positions = Positions(MemoryStore(10))
    task = make_task("a")
    marked = marked_message(task, [Marks(index=0, starred=True)], 1.0)
    positions.publish(event(task, 1, accepted(task)))
    positions.publish(event(task, 2, marked))
    assert positions.of_task(task.owner, task.uid) == 2
    end(task)
    positions.publish(event(task, 3, result(task)))
    assert positions._positions == {}
    positions.publish(event(task, 4, marked))
    assert positions._positions == {}
    await positions.join(task.owner)
    positions.publish(event(task, 5, marked))
    assert positions.of_task(task.owner, task.uid) is None
    assert positions.of_owner(task.owner) == 5
    positions.leave(task.owner)
    assert positions._positions == {}
