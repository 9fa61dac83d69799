"""A request without a sign of life is taken for gone after ten minutes, whatever else the upstream does meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from scripted_gateway import Post, ScriptedGateway, turns
from xinflight.protocol import Cancelled
from xinflight.upstream import TEXT2IMAGE, NotSent, ResponseLost

SILENCE = TEXT2IMAGE.timeouts.silence
SECONDS = 20.0
"""How far from the ten minutes the end of the quarantine may be."""


async def never() -> bytes:
    """Hold a call open for ever."""
    answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    return await answer


async def given_up(gateway: ScriptedGateway) -> Post:
    """Cancel an image of a model with one slot, whose request then never ends; return the request."""
    await gateway.submit(task_id="a", model="m")
    await turns()
    [post] = gateway.upstream.pending
    await gateway.front.cancel("ann", "a")
    await gateway.submit(task_id="b", model="m")
    await turns()
    return post


def ways(gateway: ScriptedGateway) -> dict[str, Callable[[], Awaitable[bytes]]]:
    """Return what may become of the calls that ask about it."""

    async def unheard() -> bytes:
        await gateway.clock.sleep(10.0)
        raise NotSent

    async def torn() -> bytes:
        raise ResponseLost

    return {"held open": never, "unheard": unheard, "torn": torn}


@pytest.mark.parametrize("how", ["held open", "unheard", "torn", None])
async def test_the_slot_comes_back_after_ten_minutes(how: str | None) -> None:
    """Not before, and not much later, be the questions about it answered or not."""
    async with ScriptedGateway.begin() as gateway:
        post = await given_up(gateway)
        began = gateway.clock.monotonic()
        gateway.upstream.calls = None if how is None else ways(gateway)[how]
        await gateway.clock.advance(SILENCE - SECONDS)
        assert gateway.upstream.posts == [post]
        while len(gateway.upstream.posts) == 1 and gateway.clock.monotonic() - began < 2 * SILENCE:
            await gateway.clock.advance(1.0)
        assert gateway.clock.monotonic() - began <= SILENCE + SECONDS
        gateway.upstream.calls = None
        post.running = False


async def test_a_sign_of_life_begins_it_anew() -> None:
    """Ten minutes count from the last progress."""
    async with ScriptedGateway.begin() as gateway:
        post = await given_up(gateway)
        for progress in (0.2, 0.4, 0.6):
            await gateway.clock.advance(SILENCE - SECONDS)
            gateway.upstream.advance(post, progress)
            await gateway.clock.advance(10.0)
        await gateway.clock.advance(SILENCE - 2 * SECONDS)
        assert gateway.upstream.posts == [post]
        await gateway.clock.advance(3 * SECONDS)
        assert len(gateway.upstream.posts) == 2
        post.running = False


async def test_a_cancel_that_nobody_confirms_says_so_however_slow_the_steps_are() -> None:
    """Steps of some minutes give the model more time, but not until its request is taken for gone."""
    async with ScriptedGateway.begin() as gateway:
        await gateway.submit(task_id="a", model="m")
        await turns()
        [post] = gateway.upstream.pending
        for progress in (0.1, 0.2):
            await gateway.clock.advance(200.0)
            gateway.upstream.advance(post, progress)
            await gateway.clock.advance(5.0)
        await gateway.front.cancel("ann", "a")
        await gateway.clock.advance(SILENCE + SECONDS)
        await gateway.drain()
        [end] = gateway.ends("ann", "a")
        assert isinstance(end.message, Cancelled)
        assert end.message.upstream == "unconfirmed"
        post.running = False
