"""Run blocking calls on threads of asyncio's pool, which is bounded, without leaving one behind that is under way."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["on_thread", "to_end"]

T = TypeVar("T")


async def on_thread(function: Callable[..., T], *arguments: Any, **options: Any) -> T:
    """Call a function on a thread; when cancelled, wait for its return first: what it uses is closed right after."""
    return await to_end(asyncio.to_thread(function, *arguments, **options))


async def to_end(work: Coroutine[Any, Any, T]) -> T:
    """Await something that must not stop half way; when cancelled, wait for its end first."""
    under_way = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(under_way)
    except asyncio.CancelledError:
        await asyncio.gather(under_way, return_exceptions=True)
        raise
