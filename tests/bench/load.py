"""The load: clients that ask for one image after the other, as the page does, and measure what they get.

`python -m bench.load '{"url": ..., ...}'` runs it and prints a `Measured` as JSON. It speaks the dialect of the
tutorial, which every version of ours and the bare handler know.
"""

import asyncio
import base64
import os
import statistics
import sys
import time
from contextlib import AsyncExitStack

import aiohttp
import msgspec
from msgspec import Struct

from bench.fake_upstream import VALUES, Generation, UpstreamLog, step_seconds
from bench.processes import cpu_seconds, resident_bytes

__all__ = ["Load", "Measured"]

WARM_UP = 2.0
"""Generations per client before anything counts: from the first ones the server learns how long they take."""
BETWEEN_CANCELS = 0.01
"""Seconds, so that a cancel is not measured behind all the others."""


class Load(Struct, kw_only=True):
    """What to do: `seconds` is the measured time, `generation` how long each takes upstream."""

    url: str
    upstream_url: str
    server_pid: int
    upstream_pid: int
    clients: int
    seconds: float
    generation: float
    core: int | None
    """The core to run on, None for any."""


class Measured(Struct, kw_only=True):
    """The figures of one run. Times in seconds, sizes in bytes."""

    generations: int
    cpu: float
    """CPU seconds of the server per 1,000 generations."""
    added_p50: float
    added_p99: float
    """From sending `generate` to having the image's bytes, less what the upstream took."""
    progress_p50: float
    """From the moment that a value is the current one upstream to the client's having it, or a newer one."""
    cancel_p50: float | None
    """From sending `cancel` to the upstream's having the abort, while the others go on; None where none was sent."""
    polls: float
    messages: float
    """Per generation: questions for its progress, and messages to the client from `ack` to `result`."""
    resident: int
    load_cpu: float
    """The share of a core that the load itself took, driver and upstream together."""


class _Image(Struct):
    url: str | None = None
    b64_json: str | None = None


class _Images(Struct):
    data: list[_Image]


class _Message(Struct):
    type: str
    task_id: str | None = None
    progress: int | None = None
    data: _Images | None = None


_decode = msgspec.json.Decoder(_Message).decode


class _Sample(Struct):
    """One generation as its client saw it."""

    sent: float
    ended: float = 0.0
    messages: int = 0
    # When each percentage came first; 100 is the result.
    shown: dict[int, float] = {}
    cancel_sent: float | None = None
    image_bytes: int | None = None


class _Client:
    """One page: a socket, one generation at a time, the image fetched over HTTP where the result has a URL."""

    def __init__(self, session: aiohttp.ClientSession, load: Load, number: int) -> None:
        self._session = session
        self._load = load
        self._number = number
        self._ws: aiohttp.ClientWebSocketResponse | None = None
        self._task_id = ""
        self.began = asyncio.Event()
        self.samples: dict[str, _Sample] = {}
        self.stopping = False

    async def run(self) -> None:
        """Generate until `stopping`; the clients start one by one over the time of a generation."""
        async with self._session.ws_connect(f"{self._load.url}/ws/generate", compress=0) as self._ws:
            await asyncio.sleep(self._number * self._load.generation / self._load.clients)
            while not self.stopping:
                await self._generate(self._ws)

    async def cancel(self) -> None:
        """Cancel what runs now."""
        assert self._ws is not None
        self.samples[self._task_id].cancel_sent = time.monotonic()
        await self._ws.send_json({"action": "cancel", "task_id": self._task_id})

    async def _generate(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._task_id = task_id = f"{self._number}-{len(self.samples)}"
        sample = self.samples[task_id] = _Sample(sent=time.monotonic())
        await ws.send_json({"action": "generate", "task_id": task_id, "prompt": task_id})
        self.began.set()
        while not sample.ended:
            message = _decode(await ws.receive_str())
            if message.type == "error":
                raise RuntimeError(f"the server answered {message}")
            if message.task_id != task_id:
                continue
            sample.messages += 1
            if message.type == "progress" and message.progress:
                sample.shown.setdefault(message.progress, time.monotonic())
            elif message.type == "result":
                sample.shown[100] = time.monotonic()
                assert message.data is not None
                sample.image_bytes = len(await self._fetch(message.data.data[0]))
                sample.ended = time.monotonic()
            elif message.type == "cancelled":
                sample.ended = time.monotonic()

    async def _fetch(self, image: _Image) -> bytes:
        if image.b64_json is not None:
            return base64.b64decode(image.b64_json)
        assert image.url is not None
        async with self._session.get(image.url) as response:
            response.raise_for_status()
            return await response.read()


class _Window(Struct):
    """What was used within the measured time, which began and ended at these moments."""

    began: float
    over: float
    server_cpu: float
    load_cpu: float
    resident: int


async def measure(load: Load) -> Measured:
    """Run the load and return what was measured between the warm-up and the cancels at the end."""
    async with AsyncExitStack() as stack:
        connector = aiohttp.TCPConnector(limit=0)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        clients = [_Client(session, load, number) for number in range(load.clients)]
        group = await stack.enter_async_context(asyncio.TaskGroup())
        for number, client in enumerate(clients):
            group.create_task(client.run(), name=f"client {number}")
        await asyncio.sleep(WARM_UP * load.generation)
        for client in clients:
            await client.began.wait()
        window = await _wait(load)
        for client in clients:
            client.stopping = True
            await client.cancel()
            await asyncio.sleep(BETWEEN_CANCELS)
    samples = {task_id: sample for client in clients for task_id, sample in client.samples.items()}
    return _evaluate(load, window, samples, await _log(load))


async def _wait(load: Load) -> _Window:
    """Let the measured time pass, and return what was used meanwhile."""
    began, server, own = time.monotonic(), cpu_seconds(load.server_pid), _load_cpu(load)
    await asyncio.sleep(load.seconds)
    return _Window(
        began=began,
        over=time.monotonic(),
        server_cpu=cpu_seconds(load.server_pid) - server,
        load_cpu=_load_cpu(load) - own,
        resident=resident_bytes(load.server_pid),
    )


def _load_cpu(load: Load) -> float:
    return time.process_time() + cpu_seconds(load.upstream_pid)


def _evaluate(load: Load, window: _Window, samples: dict[str, _Sample], upstream: UpstreamLog) -> Measured:
    """Put what the clients saw beside what the upstream saw."""
    ended = {
        task_id: sample
        for task_id, sample in samples.items()
        if window.began <= sample.ended < window.over and sample.image_bytes is not None
    }
    if not ended:
        raise RuntimeError("no generation ended within the measured time")
    if any(sample.image_bytes != upstream.image_bytes for sample in ended.values()):
        raise RuntimeError("an image came with another length than the upstream sent")
    asked = {task_id: upstream.generations[task_id] for task_id in ended}
    added = [_added(sample, asked[task_id]) for task_id, sample in ended.items()]
    late = [
        seconds for task_id, sample in ended.items() for seconds in _lateness(sample, asked[task_id], load.generation)
    ]
    cancels = [
        generation.aborted - sample.cancel_sent
        for task_id, sample in samples.items()
        # A cancel may arrive before its generation is sent upstream.
        if (generation := upstream.generations.get(task_id)) is not None
        if sample.cancel_sent is not None and generation.aborted is not None
    ]
    return Measured(
        generations=len(ended),
        cpu=window.server_cpu * 1000 / len(ended),
        added_p50=statistics.median(added),
        added_p99=_p99(added),
        progress_p50=statistics.median(late),
        cancel_p50=statistics.median(cancels) if cancels else None,
        polls=statistics.mean(generation.polls for generation in asked.values()),
        messages=statistics.mean(sample.messages for sample in ended.values()),
        resident=window.resident,
        load_cpu=window.load_cpu / (window.over - window.began),
    )


async def _log(load: Load) -> UpstreamLog:
    async with aiohttp.ClientSession() as session, session.get(f"{load.upstream_url}/bench/log") as response:
        return msgspec.json.decode(await response.read(), type=UpstreamLog)


def _added(sample: _Sample, generation: Generation) -> float:
    assert generation.answered is not None
    return (sample.ended - sample.sent) - (generation.answered - generation.posted)


def _lateness(sample: _Sample, generation: Generation, seconds: float) -> list[float]:
    """Return for each value how long it was the current one upstream before the client had it, or a newer one."""
    late: list[float] = []
    for percent, came in sorted(sample.shown.items()):
        reached = round(percent / 100 * VALUES)
        late += [
            came - generation.began - value * step_seconds(seconds) for value in range(len(late) + 1, reached + 1)
        ]
    return late


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98] if len(values) > 1 else values[0]


def main(arguments: list[str]) -> None:
    """Run the load that the first argument describes."""
    load = msgspec.json.decode(arguments[0], type=Load)
    if load.core is not None:
        os.sched_setaffinity(0, {load.core})
    print(msgspec.json.encode(asyncio.run(measure(load))).decode())


if __name__ == "__main__":
    main(sys.argv[1:])
