"""Count what a server does for a generation: calls that go to a thread, files, asyncio tasks.

Counts stay the same on any machine, whatever else runs on it; seconds do not.
"""

import asyncio
import functools
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import aiohttp
import pytest
from msgspec import Struct, field

from clients import Json, WireClient
from xinflight.storage.worker_thread import WorkerThread

__all__ = ["WorkCounts", "counted", "generate"]

FILES = {"open", "os.rename", "os.mkdir", "os.remove"}
"""The audit events of what is done with files (docs.python.org/3/library/audit_events.html)."""
CALLS = {
    "xinflight store writer": "commit",
    "xinflight store reader": "read",
    "xinflight store checkpoint": "check",
    "xinflight files": "put",
}
"""What a call on a thread of its own is, by the name of the thread: one transaction of the store, or one file."""


class WorkCounts(Struct):
    """What was done inside a block. `hand_overs` are calls on threads by what they are for, `tasks` by coroutine."""

    hand_overs: Counter[str] = field(default_factory=Counter)
    files: Counter[str] = field(default_factory=Counter)
    tasks: Counter[str] = field(default_factory=Counter)

    def table(self, generations: int) -> str:
        """Return all of it per generation, for people."""
        groups = {"hand-overs": self.hand_overs, "files": self.files, "asyncio tasks": self.tasks}
        lines = []
        for title, counts in groups.items():
            lines.append(f"{title}: {counts.total() / generations:.2f}")
            lines += [f"    {name}: {count / generations:.2f}" for name, count in counts.most_common()]
        return "\n".join(lines)


class _Auditor:
    """Passes the events of files on to whoever counts now: a hook of the interpreter can't be removed again."""

    def __init__(self) -> None:
        self.counting: WorkCounts | None = None
        self._hooked = False

    def hook(self) -> None:
        if not self._hooked:
            self._hooked = True
            sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: Any) -> None:
        if self.counting is not None and event in FILES:
            self.counting.files[event.removeprefix("os.")] += 1


_auditor = _Auditor()


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkCounts]:
    """Count what is done inside the block, in all threads."""
    counts = WorkCounts()
    loop = asyncio.get_running_loop()
    submit, call = ThreadPoolExecutor.submit, WorkerThread.call

    def counting_submit(pool: ThreadPoolExecutor, work: Callable[..., Any], /, *args: Any, **kw: Any) -> Future[Any]:
        counts.hand_overs[_name(work)] += 1
        return submit(pool, work, *args, **kw)

    def counting_call(thread: WorkerThread, function: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        caller = asyncio.current_task()
        # Whatever is kept in order from time to time belongs to no generation.
        if caller is None or caller.get_name() != "retention":
            counts.hand_overs[CALLS[thread.name]] += 1
        return call(thread, function, *args)

    def counting_tasks(loop: asyncio.AbstractEventLoop, coro: Any, **kw: Any) -> Any:
        counts.tasks[coro.__qualname__] += 1
        return asyncio.Task(coro, loop=loop, **kw)

    _auditor.hook()
    with monkeypatch.context() as patch:
        patch.setattr(ThreadPoolExecutor, "submit", counting_submit)
        patch.setattr(WorkerThread, "call", counting_call)
        patch.setattr(_auditor, "counting", counts)
        loop.set_task_factory(counting_tasks)
        try:
            yield counts
        finally:
            loop.set_task_factory(None)


def _name(call: Callable[..., Any]) -> str:
    """Return the name of what a thread is to call, also through `asyncio.to_thread`."""
    while isinstance(call, functools.partial):
        call = call.args[0] if call.args else call.func
    return getattr(call, "__qualname__", repr(call))


async def generate(client: WireClient, http: aiohttp.ClientSession, task_id: str, **fields: Any) -> Json:
    """Generate an image as the page does, fetch it, and return the result."""
    await client.send(action="generate", task_id=task_id, prompt=task_id, **fields)
    result = (await client.ends(task_id))[task_id]
    async with http.get(result["data"]["data"][0]["url"]) as response:
        response.raise_for_status()
        assert len(await response.read()) == result["data"]["data"][0]["bytes"]
    return result
