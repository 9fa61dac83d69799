"""What the tests share: a clock that is moved by hand, and clients that speak the wire."""

import asyncio
import heapq
import itertools
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any, Self, TypeVar

import aiohttp
import msgspec
import pytest
from aiohttp import web

from xinflight.clock import SystemClock, Timer
from xinflight.demo import (
    Chat,
    ChatBody,
    EmulatedModel,
    Emulator,
    Faults,
    GenerationsBody,
    Img2imgBody,
    Job,
    KeyGuard,
    Txt2imgBody,
    VariationsBody,
    VideoBody,
)
from xinflight.demo.prose import text_of
from xinflight.upstream import KINDS, TEXT2IMAGE

Json = dict[str, Any]
JobT = TypeVar("JobT", Job, Chat)

LONG = 60.0
"""Seconds after which something is not coming any more, on a machine that is as slow as you like."""

PAINTER = EmulatedModel(
    uid="painter",
    step_seconds=0.005,
    decode_seconds=0.005,
    default_generate_config={"num_inference_steps": 10, "guidance_scale": 0.0},
)
"""A model quick enough for tests, and slow enough to cancel."""


def painter(**fields: Any) -> EmulatedModel:
    """Return PAINTER with some fields changed."""
    return msgspec.structs.replace(PAINTER, **fields)


def set_timeouts(monkeypatch: pytest.MonkeyPatch, **seconds: float) -> None:
    """Change `Timeouts` of text to image."""
    timeouts = msgspec.structs.replace(TEXT2IMAGE.timeouts, **seconds)
    monkeypatch.setitem(KINDS, TEXT2IMAGE.name, msgspec.structs.replace(TEXT2IMAGE, timeouts=timeouts))


ENDS = ("result", "cancelled")


class FakeTimer:
    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class TimedByCalls:
    """What sleeps and times out by the timers of its clock, as tests move them."""

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        done = asyncio.Event()
        timer = self.call_later(seconds, done.set)
        try:
            await done.wait()
        finally:
            timer.cancel()

    @asynccontextmanager
    async def timeout(self, seconds: float | None) -> AsyncIterator[None]:
        async with asyncio.timeout(None) as scope:
            if seconds is None:
                yield
                return
            timer = self.call_later(seconds, lambda: scope.reschedule(asyncio.get_running_loop().time()))
            try:
                yield
            finally:
                timer.cancel()


class FakeClock(TimedByCalls):
    """A clock that stands until `advance` moves it. Timers run in order, with the loop let through between."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now
        self.timers_set = 0
        self._count = itertools.count()
        self._timers: list[tuple[float, int, FakeTimer]] = []

    def time(self) -> float:
        return self.now + 1_700_000_000.0

    def monotonic(self) -> float:
        return self.now

    def call_later(self, seconds: float, callback: Callable[[], object]) -> FakeTimer:
        timer = FakeTimer(callback)
        self.timers_set += 1
        heapq.heappush(self._timers, (self.now + seconds, next(self._count), timer))
        return timer

    @property
    def waiting(self) -> int:
        """How many timers have neither run nor been cancelled."""
        return sum(timer.callback is not None for _, _, timer in self._timers)

    async def advance(self, seconds: float, *, turns: int = 20) -> None:
        """Move on; let the loop take `turns` turns after each timer that ran."""
        until = self.now + seconds
        while self._timers and self._timers[0][0] <= until:
            when, _, timer = heapq.heappop(self._timers)
            self.now = max(self.now, when)
            if timer.callback is not None:
                timer.callback()
                for _ in range(turns):
                    await asyncio.sleep(0)
        self.now = until
        for _ in range(turns):
            await asyncio.sleep(0)


class ShiftedClock(TimedByCalls, SystemClock):
    """The system's clock, with hours that pass when told: `advance` calls what falls due meanwhile."""

    def __init__(self) -> None:
        self.shift = 0.0
        self._stands_since: float | None = None
        self._timers: set[ShiftedTimer] = set()

    def time(self) -> float:
        return super().time() + self.shift - self._stood()

    def monotonic(self) -> float:
        return super().monotonic() + self.shift - self._stood()

    def stand(self) -> None:
        """Show the same time from now on, except for `advance`; what is timed already is called nevertheless."""
        self._stands_since = super().monotonic()

    def _stood(self) -> float:
        return 0.0 if self._stands_since is None else super().monotonic() - self._stands_since

    def call_later(self, seconds: float, callback: Callable[[], object]) -> "ShiftedTimer":
        timer = ShiftedTimer(self._timers, self.monotonic() + seconds, callback)
        timer.start(seconds)
        return timer

    def advance(self, seconds: float) -> None:
        """Let seconds pass at once; what is due then is called by the loop, in order."""
        self.shift += seconds
        now = self.monotonic()
        for timer in sorted(self._timers, key=lambda timer: timer.due):
            timer.start(max(0.0, timer.due - now))


class ShiftedTimer:
    """A timer of the loop that can be brought forward. `all_` has those that have not run."""

    def __init__(self, all_: set["ShiftedTimer"], due: float, callback: Callable[[], object]) -> None:
        self.due = due
        self._all = all_
        self._callback = callback
        self._handle: asyncio.TimerHandle | None = None

    def start(self, seconds: float) -> None:
        """Run in so many seconds, whatever was said before."""
        self.cancel()
        self._all.add(self)
        self._handle = asyncio.get_running_loop().call_later(seconds, self._run)

    def cancel(self) -> None:
        self._all.discard(self)
        if self._handle is not None:
            self._handle.cancel()

    def _run(self) -> None:
        self._all.discard(self)
        self._callback()


@asynccontextmanager
async def hosted(app: web.Application) -> AsyncIterator[str]:
    """Serve somebody's application on a free port; yield its base URL."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


class WireClient:
    """One WebSocket; remembers all that it was sent."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.seen: list[Json] = []

    @classmethod
    @asynccontextmanager
    async def connect(cls, url: str, **options: Any) -> AsyncIterator[Self]:
        """Connect to a server's base URL; the welcome is the first thing seen."""
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(f"{url.rstrip('/')}/ws/generate", **options) as ws,
        ):
            client = cls(ws)
            await client.until(lambda message: message["type"] == "welcome")
            yield client

    async def send(self, **message: Any) -> None:
        await self.ws.send_str(json.dumps(message))

    async def receive(self, timeout: float = LONG) -> Json:
        message: Json = await self.ws.receive_json(timeout=timeout)
        self.seen.append(message)
        return message

    async def until(self, wanted: Callable[[Json], bool], timeout: float = LONG) -> Json:
        """Receive until a message is wanted; return it."""
        async with asyncio.timeout(timeout):
            while True:
                message = await self.receive(timeout)
                if wanted(message):
                    return message

    async def has(self, wanted: Callable[[Json], bool]) -> Json:
        """Return the first message that is wanted: of those seen, or else receive until it comes.

        For what may have come before the answer to an `ask`.
        """
        seen = next((message for message in self.seen if wanted(message)), None)
        return seen or await self.until(wanted)

    async def closed(self, timeout: float = LONG) -> None:
        """Receive until the server closes; the code is in `ws.close_code`."""
        async with asyncio.timeout(timeout):
            while (frame := await self.ws.receive()).type is aiohttp.WSMsgType.TEXT:
                self.seen.append(frame.json())

    async def ask(self, **message: Any) -> Json:
        """Send a message with a ref and return its direct answer."""
        ref = f"ref-{len(self.seen)}"
        await self.send(**message, ref=ref)
        return await self.until(lambda answer: answer.get("ref") == ref)

    async def ends(self, *task_ids: str, timeout: float = LONG) -> dict[str, Json]:
        """Receive until each of these tasks has ended; return the ends."""
        ends = {m["task_id"]: m for m in self.seen if is_end(m) and m["task_id"] in task_ids}
        while set(ends) != set(task_ids):
            message = await self.until(is_end, timeout)
            if message["task_id"] in task_ids:
                assert message["task_id"] not in ends, "a second end"
                ends[message["task_id"]] = message
        return ends

    def of(self, task_id: str, *types: str) -> list[Json]:
        """Return what was seen of a task, of some types or of all."""
        return [m for m in self.seen if m.get("task_id") == task_id and (not types or m["type"] in types)]


class Steps:
    """Count the lines of the package that this thread executes inside the block: what grows shows in them."""

    def __enter__(self) -> "Steps":
        self.count = 0
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _trace(self, frame: FrameType, event: str, _: object) -> Any:
        if "/xinflight/" not in frame.f_code.co_filename:
            return None
        self.count += 1
        return self._trace


def is_end(message: Json) -> bool:
    """Tell whether a message ends its task."""
    return message["type"] in ENDS or (message["type"] == "error" and "seq" in message)


async def eventually(holds: Callable[[], object], timeout: float = LONG) -> None:
    """Wait until something holds; a TimeoutError says that it never did."""
    async with asyncio.timeout(timeout):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event to give
            await asyncio.sleep(0.005)


class Recorder(Emulator):
    """An emulator that remembers what it was asked, and how much of it was under way at once."""

    def __init__(self, models: Iterable[EmulatedModel], **parts: Any) -> None:
        super().__init__(models, **parts)
        self.posts: list[tuple[str, str | None, str]] = []
        """Route, model and prompt of each generation, in the order of their arrival."""
        self.img2img_bodies: list[Img2imgBody] = []
        self.aborts: list[str] = []
        self.polls: Counter[str] = Counter()
        self.id_checks = 0
        """How often it was asked whether the id of a video is in use, in a way that no model is asked."""
        self.keys: list[str | None] = []
        """The key of each call that needs one."""
        self.script: list[Faults] = []
        """What strikes the next generations, one after the other, in place of `faults`."""
        self.in_flight: Counter[str] = Counter()
        self.peak: Counter[str] = Counter()

    @property
    def prompts(self) -> list[str]:
        """The prompts in the order of their arrival."""
        return [prompt for _, _, prompt in self.posts]

    def check_key(self, address: str, authorization: str | None, scope: str) -> None:
        self.keys.append(authorization)
        super().check_key(address, authorization, scope)

    def abort(self, uid: str, request_id: str, block_seconds: float = 30.0) -> str:
        self.aborts.append(request_id)
        return super().abort(uid, request_id, block_seconds)

    def progress(self, request_id: str) -> dict[str, float | None]:
        self.polls[request_id] += 1
        return super().progress(request_id)

    def thaw(self) -> None:
        """Let frozen generations go on, those too that would freeze only now."""
        self._thawed.set()

    def change_key(self, key: str) -> None:
        """Let only this key in from now on."""
        self._guard = KeyGuard(self.clock, key)

    async def txt2img(self, body: Txt2imgBody) -> Job:
        self.posts.append(("txt2img", body.model, body.prompt))
        self._follow_script()
        return self._counted(body.model or "", await super().txt2img(body))

    async def generations(self, body: GenerationsBody) -> Job:
        self.posts.append(("generations", body.model, str(body.prompt)))
        self._follow_script()
        return self._counted(body.model, await super().generations(body))

    async def img2img(self, body: Img2imgBody) -> Job:
        self.posts.append(("img2img", body.model, body.prompt))
        self.img2img_bodies.append(body)
        self._follow_script()
        return self._counted(body.model or "", await super().img2img(body))

    async def variations(self, body: VariationsBody) -> Job:
        self.posts.append(("variations" if body.mask is None else "inpainting", body.model, body.prompt))
        self._follow_script()
        return self._counted(body.model, await super().variations(body))

    async def video(self, body: VideoBody, image: bytes | None = None) -> Job:
        if '"prompt"' in (body.kwargs or ""):
            self.id_checks += 1
            return await super().video(body, image)
        self.posts.append(("video", body.model, str(body.prompt)))
        self._follow_script()
        return self._counted(body.model, await super().video(body, image))

    async def chat(self, body: ChatBody) -> Chat:
        self.posts.append(("chat", body.model, text_of(body.messages[-1]) if body.messages else ""))
        self._follow_script()
        return self._counted(body.model, await super().chat(body))

    def _follow_script(self) -> None:
        if self.script:
            self.faults = msgspec.structs.replace(self.script.pop(0), requests=1)

    def _counted(self, uid: str, job: JobT) -> JobT:
        self.in_flight[uid] += 1
        self.peak[uid] = max(self.peak[uid], self.in_flight[uid])
        job.answer.add_done_callback(lambda _: self.in_flight.subtract([uid]))
        return job
