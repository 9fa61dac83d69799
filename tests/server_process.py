"""The real server in a process of its own, and a client that puts its events together over many connections."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from clients import LONG, Json, Recorder, eventually, is_end, painter
from xinflight.demo import EmulatedModel, Job, Txt2imgBody

STORED = ("accepted", "output", "result", "cancelled")
LOOPS = {
    "uvloop": "from xinflight.cli import main; main()",
    "asyncio": "import sys; sys.modules['uvloop'] = None; from xinflight.cli import main; main()",
}
"""What starts a server with each of the event loops: uvloop's, and asyncio's where uvloop is not installed."""
QUICK = painter(step_seconds=0.01, decode_seconds=0.01, default_generate_config={"num_inference_steps": 5})
"""Some 60 ms for an image, so that a second of load has queued, running and ended ones."""


class Server:
    """One process of `xinflight serve`. `log` has its lines."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.log: list[str] = []
        self.url = ""
        self._up = asyncio.Event()
        self._reader = asyncio.create_task(self._read(), name=f"log of process {process.pid}")

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            text = line.decode().rstrip()
            self.log.append(text)
            if text.startswith("xinflight is at "):
                self.url = text.removeprefix("xinflight is at ")
                self._up.set()
        self._up.set()

    async def up(self) -> None:
        """Wait until it serves."""
        async with asyncio.timeout(LONG):
            await self._up.wait()
        assert self.url, "\n".join(self.log)

    async def kill(self) -> None:
        """Kill it at once."""
        self.process.kill()
        await self.ended()

    def terminate(self) -> None:
        """Ask it to stop."""
        self.process.send_signal(signal.SIGTERM)

    async def ended(self) -> int:
        """Wait for its end and return its exit code."""
        async with asyncio.timeout(LONG):
            await self._reader
            return await self.process.wait()


async def launch(
    folder: Path, xinference_url: str, files: object = None, loop: object = "uvloop", **settings: object
) -> Server:
    """Start a server on a free port, or on `port`; settings by name. Does not wait until it serves.

    `files` is how many file descriptors it may have open, and can't change; `loop` is one of LOOPS.
    """
    port = str(settings.pop("port", 0))
    limited = () if files is None else ("sh", "-c", f'ulimit -n {files} && exec "$@"', "sh")
    environ = {key: value for key, value in os.environ.items() if not key.startswith("XINFLIGHT_")}
    environ |= {f"XINFLIGHT_{name.upper()}": str(value) for name, value in settings.items()}
    process = await asyncio.create_subprocess_exec(
        *limited,
        *(sys.executable, "-W", "error", "-c", LOOPS[str(loop)], "serve", "--port", port),
        *("--data-dir", str(folder), "--xinference", xinference_url),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={"XINFLIGHT_DEFAULT_SIZE": "64x64", "XINFLIGHT_DRAIN": "0", **environ},
        cwd=folder.parent,
    )
    return Server(process)


@asynccontextmanager
async def running(
    folder: Path, xinference_url: str, files: object = None, loop: object = "uvloop", **settings: object
) -> AsyncIterator[Server]:
    """Run a server inside the block; it is killed at the end if it lives. Otherwise as `launch`."""
    server = await launch(folder, xinference_url, files, loop, **settings)
    try:
        await server.up()
        yield server
    finally:
        if server.process.returncode is None:
            server.process.kill()
        await server.ended()


class Counting(Recorder):
    """An emulator that counts how often each single image was asked for, and how often at once."""

    def __init__(self, *models: EmulatedModel) -> None:
        super().__init__(models)
        self.asked: Counter[tuple[str, int | None]] = Counter()
        self.at_once: Counter[tuple[str, int | None]] = Counter()
        self.twice_at_once: set[tuple[str, int | None]] = set()

    async def txt2img(self, body: Txt2imgBody) -> Job:
        key = body.prompt, body.seed
        self.asked[key] += 1
        job = await super().txt2img(body)
        self.at_once[key] += 1
        if self.at_once[key] > 1:
            self.twice_at_once.add(key)
        job.answer.add_done_callback(lambda _: self.at_once.subtract([key]))
        return job


class Assembler:
    """One client over many connections: it resumes, and holds every event against the promises.

    `events` are the stored events by seq; `ended` the ends by task id; `shown` the percentages.
    """

    def __init__(self) -> None:
        self.epoch = ""
        self.seen = 0
        self.events: dict[int, Json] = {}
        self.ended: dict[str, Json] = {}
        self.acks: dict[str, Json] = {}
        self.shown: dict[tuple[str, int, int], int] = {}
        self.resumed = 0
        self.ws: aiohttp.ClientWebSocketResponse | None = None

    async def watch(self, url: str, heartbeat: float | None = None) -> None:
        """Resume all on a new connection and follow until it breaks or is closed."""
        highest = self.seen
        last: dict[str, int] = {}
        over: set[str] = set()
        recovered = False
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(f"{url.rstrip('/')}/ws/generate", heartbeat=heartbeat) as ws,
        ):
            welcome = await ws.receive_json(timeout=LONG)
            assert self.epoch in ("", welcome["epoch"])
            self.epoch = welcome["epoch"]
            self.ws = ws
            cursor = f"{self.epoch}:{self.seen}"
            await ws.send_json({"action": "resume", "after": cursor, "scope": "all", "ref": "resume"})
            async for frame in ws:
                message: Json = frame.json()
                if message["type"] == "recovered" and message["ref"] == "resume":
                    assert message["recovered"], "a gap"
                    self.resumed += 1
                    recovered = True
                elif message["type"] == "ack":
                    self.acks[message["task_id"]] = message
                elif message["type"] == "progress":
                    self._show(message, over)
                elif "seq" in message:
                    self._take(message, last)
                    highest = max(highest, message["seq"])
                    if is_end(message):
                        over.add(message["task_id"])
                if recovered:
                    # Not before: a replay that was cut off must be asked for again.
                    self.seen = highest
        self.ws = None

    async def acknowledged(self, count: int) -> None:
        """Wait until so many generations have been acknowledged."""
        await eventually(lambda: len(self.acks) >= count)

    def _show(self, message: Json, over: set[str]) -> None:
        """Hold a snapshot against the promises. A client ignores one of a task that it saw ending on another line."""
        task_id = message["task_id"]
        assert "seq" not in message, "a snapshot with a number"
        assert task_id not in over, "a snapshot after the end, on the same connection"
        if task_id in self.ended:
            return
        key = task_id, message["index"], message.get("details", {}).get("attempt", 1)
        assert message["progress"] >= self.shown.get(key, 0), "the percentage fell"
        self.shown[key] = message["progress"]

    def _take(self, message: Json, last: dict[str, int]) -> None:
        task_id, seq = message["task_id"], message["seq"]
        assert seq > last.get(task_id, 0), "an event twice, or out of order"
        last[task_id] = seq
        known = self.events.setdefault(seq, message)
        assert lasting(known) == lasting(message), "the same event looks different"
        if is_end(message):
            assert lasting(self.ended.setdefault(task_id, message)) == lasting(message), "a second end"


def lasting(message: Json) -> Any:
    """Return what of an event does not depend on the connection: the server's port changes with each start."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(item) for key, item in value.items() if key != "url"}
        return [strip(item) for item in value] if isinstance(value, list) else value

    return strip(message)
