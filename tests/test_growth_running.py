"""What a generation costs does not grow with those that run beside it: counted, not timed."""

import asyncio

import pytest
from msgspec.structs import replace

from clients import Steps
from scripted_gateway import MODELS, ScriptedGateway, turns
from xinflight.model import Task

pytestmark = pytest.mark.slow

BURST = 100
"""Tasks that are accepted at once."""
MEASURED = 10


async def steps_beside(running: int, monkeypatch: pytest.MonkeyPatch) -> float:
    """Return the steps of one generation of an owner who has so many others under way, from `accept` to its end."""
    monkeypatch.setitem(MODELS, "m", replace(MODELS["m"], replicas=running + 1, slots=running + 1))
    async with ScriptedGateway.begin(tasks=2 * running, tasks_per_owner=2 * running) as gateway:
        for first in range(0, running, BURST):
            ids = [f"t{number}" for number in range(first, first + BURST)]
            await asyncio.gather(*(gateway.submit("ann", task_id=task_id) for task_id in ids))
        await turns()
        assert len(gateway.upstream.pending) == running
        # In another order than they began.
        others = gateway.upstream.pending[1 :: running // MEASURED]
        with Steps() as steps:
            for number, other in enumerate(others):
                other.end("image")
                await turns()
                assert isinstance(await gateway.submit("ann", task_id=f"new{number}"), Task)
                await turns()
        assert len(gateway.upstream.pending) == running
        return steps.count / len(others)


async def test_a_generation_costs_the_same_beside_100_and_2000_others(monkeypatch: pytest.MonkeyPatch) -> None:
    few = await steps_beside(100, monkeypatch)
    many = await steps_beside(2000, monkeypatch)
    assert many < 1.3 * few
