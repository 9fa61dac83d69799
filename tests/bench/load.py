"""The load: clients that ask for one image after the other, as the page does, and measure what they get.

`python -m bench.load '{"stage": ..., ...}'` runs it and prints a list of `Measured` as JSON. It speaks the dialect of
the tutorial, which every contender knows.
"""

import asyncio
import base64
import statistics
import time

import msgspec
from msgspec import Struct

from bench.contenders import Stage
from bench.fake_upstream import VALUES, Generation, UpstreamLog, step_seconds
from bench.lean_client import KeptConnection, WebSocket
from bench.processes import answer, cpu_seconds, resident_bytes

__all__ = ["Image", "Images", "Load", "Measured", "Message", "Page", "upstream_log"]

LATE = 0.005
"""Seconds between two looks at how late the load itself is."""


class Load(Struct, kw_only=True):
    """What to do: run `clients[0]` clients, measure for `seconds`, then start more up to `clients[1]`, and so on.

    `warm_up` and `settle` are in generations, without the one over which clients are started: the first after the
    first start, so that a server may learn how long generations take, the other after each further one. It stops
    after what adds more than `limit` seconds at p99 twice.
    """

    stage: Stage
    clients: list[int]
    seconds: float
    warm_up: float = 1.0
    settle: float = 1.0
    limit: float | None = None


class Measured(Struct, kw_only=True):
    """The figures of one number of clients. Times in seconds, sizes in bytes."""

    clients: int
    generations: int
    cpu: float
    """CPU seconds of the server per 1,000 generations."""
    busy: float
    """The share of a core that the server took."""
    added_p50: float
    added_p99: float
    """From sending `generate` to having the image's bytes, less what the upstream took."""
    progress_p50: float | None
    """From the moment that a value is the current one upstream to the client's having it, or a newer one."""
    polls: float
    messages: float
    """Per generation: questions for its progress, and messages to the client from `ack` to `result`."""
    resident: int
    driver_cpu: float
    upstream_cpu: float
    """The share of a core that the load itself took."""
    driver_late: float
    """How late the load's own timers were at p99: it is no better than that."""


class Image(Struct):
    """An image of a result: its URL, or its bytes as base64."""

    url: str | None = None
    b64_json: str | None = None


class Images(Struct):
    """The images of a result."""

    data: list[Image]


class Message(Struct):
    """What the load reads of a server's message."""

    type: str
    task_id: str | None = None
    progress: int | None = None
    seq: int | None = None
    epoch: str | None = None
    data: Images | None = None


_decode = msgspec.json.Decoder(Message).decode


class Sample(Struct, gc=False):
    """One generation as its client saw it."""

    sent: float
    ended: float = 0.0
    messages: int = 0
    # When each percentage came first; 100 is the result.
    shown: dict[int, float] = {}
    image_bytes: int | None = None


class Page:
    """One page: a socket, one generation at a time, the image fetched over HTTP where the result has a URL."""

    def __init__(self, stage: Stage, name: str) -> None:
        self._stage = stage
        self._name = name
        self._http = KeptConnection(stage.url)
        self._ws: WebSocket | None = None
        self._count = 0
        self._task_id = ""
        self._sample = Sample(sent=0.0)
        self._images: asyncio.Future[Images | None] | None = None

    async def open(self) -> None:
        """Open the socket."""
        self._ws = await WebSocket.connect(self._stage.url, self._receive)
        self._ws.lost.add_done_callback(self._lost)

    async def generate(self) -> tuple[str, Sample]:
        """Have one image made and fetch it; return the name of the generation, and what was seen of it.

        Raises:
            RuntimeError: the server answered with an error.
            ConnectionError: a connection was lost.
        """
        images = await self.start()
        sample = self._sample
        if images is not None:
            sample.image_bytes = len(await self.fetch(images.data[0]))
        sample.ended = time.monotonic()
        return self._task_id, sample

    def start(self) -> "asyncio.Future[Images | None]":
        """Send `generate`; the future has the result, or None if it was cancelled."""
        assert self._ws is not None
        self._task_id = f"{self._name}-{self._count}"
        self._count += 1
        self._images = asyncio.get_running_loop().create_future()
        request = {"action": "generate", "task_id": self._task_id, "prompt": self._task_id}
        self._sample = Sample(sent=time.monotonic())
        self._ws.send(msgspec.json.encode(request))
        return self._images

    def cancel(self) -> str:
        """Send `cancel`, and return the name of the generation."""
        assert self._ws is not None
        self._ws.send(msgspec.json.encode({"action": "cancel", "task_id": self._task_id}))
        return self._task_id

    async def fetch(self, image: Image) -> bytes:
        """Return the bytes of an image of a result."""
        if image.b64_json is not None:
            return base64.b64decode(image.b64_json)
        assert image.url is not None
        return await self._http.get(image.url)

    def close(self) -> None:
        """Drop both connections."""
        self._http.close()
        if self._ws is not None:
            self._ws.abort()

    def _receive(self, text: bytes) -> None:
        message = _decode(text)
        if message.type == "error":
            self._end(RuntimeError(f"the server answered {text[:500]!r}"))
        if message.task_id != self._task_id:
            return
        self._sample.messages += 1
        if message.type == "progress" and message.progress:
            self._sample.shown.setdefault(message.progress, time.monotonic())
        elif message.type == "result":
            self._sample.shown[100] = time.monotonic()
            self._end(message.data)
        elif message.type == "cancelled":
            self._end(None)

    def _lost(self, _: object) -> None:
        self._end(ConnectionError("the socket was lost"))

    def _end(self, how: Images | Exception | None) -> None:
        if self._images is None or self._images.done():
            return
        if isinstance(how, Exception):
            self._images.set_exception(how)
        else:
            self._images.set_result(how)


class _Crowd:
    """All pages, each of which generates for ever, and what they have seen since they were asked last."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._pages: list[Page] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.samples: dict[str, Sample] = {}

    async def grow(self, clients: int) -> None:
        """Start more pages, spread over the time of a generation."""
        missing = clients - len(self._pages)
        began = time.monotonic()
        for number in range(missing):
            await asyncio.sleep(began + number * self._stage.generation / missing - time.monotonic())
            self.check()
            page = Page(self._stage, str(len(self._pages)))
            self._pages.append(page)
            self._tasks.append(asyncio.create_task(self._run(page), name="page"))

    async def _run(self, page: Page) -> None:
        await page.open()
        while True:
            name, sample = await page.generate()
            self.samples[name] = sample

    def check(self) -> None:
        """Raise the error of a page that has one."""
        for task in self._tasks:
            if task.done():
                task.result()

    async def close(self) -> None:
        """Stop all."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for page in self._pages:
            page.close()


class _Window(Struct):
    """What was used within the measured time, which began and ended at these moments."""

    began: float
    over: float
    server_cpu: float
    driver_cpu: float
    upstream_cpu: float
    resident: int
    late: float


async def measure(load: Load) -> list[Measured]:
    """Run the load and return the figures of each number of clients that it came to.

    Raises:
        RuntimeError: the server answered with an error, or an image is not the upstream's.
        ConnectionError: the server dropped a connection.
    """
    crowd = _Crowd(load.stage)
    every: list[Measured] = []
    try:
        for clients in load.clients:
            await crowd.grow(clients)
            await asyncio.sleep(load.stage.generation * (load.settle if every else load.warm_up))
            figures = await _measure(load, clients, crowd)
            if load.limit is not None and figures.added_p99 > load.limit:
                # Once more: a pause of the machine is not the server's.
                figures = await _measure(load, clients, crowd)
            every.append(figures)
            if load.limit is not None and figures.added_p99 > load.limit:
                break
    finally:
        await crowd.close()
    return every


async def _measure(load: Load, clients: int, crowd: _Crowd) -> Measured:
    crowd.samples = {}
    window = await _wait(load)
    crowd.check()
    return _evaluate(load, clients, window, crowd.samples, await upstream_log(load.stage))


async def _wait(load: Load) -> _Window:
    """Let the measured time pass, and return what was used meanwhile."""
    stage = load.stage
    began, late = time.monotonic(), [0.0]
    server, driver, upstream = cpu_seconds(stage.server_pid), time.process_time(), cpu_seconds(stage.upstream_pid)
    while (now := time.monotonic()) < began + load.seconds:
        await asyncio.sleep(LATE)
        late.append(time.monotonic() - now - LATE)
    return _Window(
        began=began,
        over=now,
        server_cpu=cpu_seconds(stage.server_pid) - server,
        driver_cpu=time.process_time() - driver,
        upstream_cpu=cpu_seconds(stage.upstream_pid) - upstream,
        resident=resident_bytes(stage.server_pid),
        late=_p99(late),
    )


def _evaluate(
    load: Load, clients: int, window: _Window, samples: dict[str, Sample], upstream: UpstreamLog
) -> Measured:
    """Put what the clients saw beside what the upstream saw."""
    ended = {
        name: sample
        for name, sample in samples.items()
        if window.began <= sample.ended < window.over and sample.image_bytes is not None
    }
    if not ended:
        raise RuntimeError("no generation ended within the measured time")
    # Longer by its metadata, where the server adds some.
    if any((sample.image_bytes or 0) < upstream.image_bytes for sample in ended.values()):
        raise RuntimeError("an image came shorter than the upstream sent it")
    asked = {name: upstream.generations[name] for name in ended}
    added = [_added(sample, asked[name]) for name, sample in ended.items()]
    late = [
        seconds for name, sample in ended.items() for seconds in _lateness(sample, asked[name], load.stage.generation)
    ]
    seconds = window.over - window.began
    return Measured(
        clients=clients,
        generations=len(ended),
        cpu=window.server_cpu * 1000 / len(ended),
        busy=window.server_cpu / seconds,
        added_p50=statistics.median(added),
        added_p99=_p99(added),
        progress_p50=statistics.median(late) if late else None,
        polls=statistics.mean(generation.polls for generation in asked.values()),
        messages=statistics.mean(sample.messages for sample in ended.values()),
        resident=window.resident,
        driver_cpu=window.driver_cpu / seconds,
        upstream_cpu=window.upstream_cpu / seconds,
        driver_late=window.late,
    )


async def upstream_log(stage: Stage) -> UpstreamLog:
    """Fetch what the upstream was asked."""
    http = KeptConnection(stage.upstream_url)
    log = msgspec.json.decode(await http.get("/bench/log"), type=UpstreamLog)
    http.close()
    return log


def _added(sample: Sample, generation: Generation) -> float:
    assert generation.answered is not None
    return (sample.ended - sample.sent) - (generation.answered - generation.posted)


def _lateness(sample: Sample, generation: Generation, seconds: float) -> list[float]:
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


if __name__ == "__main__":
    answer(Load, measure)
