"""A thread of its own for blocking calls: their order, their errors, its end."""

import asyncio
import threading

import pytest

from clients import eventually
from xinflight.storage.worker_thread import WorkerThread


def fail() -> None:
    raise OSError("full")


async def test_calls_run_in_their_order_and_what_they_raise_is_their_own() -> None:
    worker = WorkerThread("worker")
    seen: list[int] = []
    calls = [worker.call(seen.append, number) for number in range(3)]
    with pytest.raises(OSError, match="full"):
        await worker.call(fail)
    assert await worker.call(lambda: threading.current_thread().name) == "worker"
    assert all(call.done() for call in calls)
    assert seen == [0, 1, 2]
    worker.close()


async def test_a_call_that_nobody_waits_for_is_run_all_the_same() -> None:
    worker = WorkerThread("worker")
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    go_on, ran = threading.Event(), threading.Event()
    first, second = worker.call(go_on.wait), worker.call(ran.set)
    second.cancel()
    go_on.set()
    await first
    await worker.call(lambda: None)
    assert ran.is_set()
    assert complaints == []
    worker.close()


async def test_it_ends_after_the_calls_that_wait() -> None:
    worker = WorkerThread("worker that ends")
    call = worker.call(lambda: 1)
    worker.close()
    worker.close()
    assert await call == 1
    await eventually(lambda: all(thread.name != "worker that ends" for thread in threading.enumerate()))
    with pytest.raises(RuntimeError, match="closed"):
        await worker.call(lambda: 1)


def test_a_call_may_outlive_its_loop() -> None:
    worker = WorkerThread("worker")
    go_on, ran = threading.Event(), threading.Event()

    async def leave() -> None:
        _ = worker.call(go_on.wait)

    asyncio.run(leave())
    go_on.set()

    async def come_back() -> None:
        await worker.call(ran.set)

    asyncio.run(come_back())
    assert ran.is_set()
    worker.close()
