"""A manager on a scripted upstream and a clock that is moved by hand: every order of events can be played."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, TypeVar

import aiohttp
import msgspec
from PIL import Image

from kit import FakeClock
from xinflight.errors import XinflightError
from xinflight.journal import Follower, Journal, MemoryBus
from xinflight.model import MediaInfo, Task, identify
from xinflight.protocol import Generate, UpstreamState
from xinflight.settings import Settings
from xinflight.storage import Event, MemoryBlobs, MemoryStore, StoredFile
from xinflight.supervise import Supervisor
from xinflight.tasks import Manager
from xinflight.upstream import TEXT2IMAGE, Model, Xinference, failure

T = TypeVar("T")


def _picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 64)).save(out, "JPEG")
    return out.getvalue()


ANSWER = msgspec.json.encode({"images": [base64.b64encode(_picture()).decode()]})
FALLBACK_ANSWER = msgspec.json.encode({"data": [{"url": None, "b64_json": base64.b64encode(_picture()).decode()}]})
DIED = b'{"detail":"Remote server 127.0.0.1:1 closed: 0 bytes read on a total of 11 expected bytes"}'

MODELS = {
    uid: Model(
        uid=uid, name=uid, replicas=replicas, size="64x64", steps=10, guidance_scale=0.0, true_cancel=true, pool=pool
    )
    for uid, replicas, true, pool in (("m", 1, True, "m"), ("two", 2, True, "two"), ("old", 1, False, "old"))
}


class Post:
    """One request for a picture: under way until `running` is false, answered when `answer` is done."""

    def __init__(self, path: str, body: Any) -> None:
        self.route = "txt2img" if "txt2img" in path else "generations"
        self.uid: str = body["model"]
        self.request_id: str = body.get("request_id") or msgspec.json.decode(body["kwargs"])["request_id"]
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.progress = 0.0
        self.moved = 0.0
        self.running = True
        self.aborted = False

    def end(self, how: str) -> None:
        """Answer in one of the ways of the real thing; `lost` breaks the connection and goes on computing."""
        if self.answer.done():
            return
        if how == "lost":
            self.answer.set_exception(aiohttp.ServerDisconnectedError())
            return
        self.running = False
        self.progress = 1.0
        if how == "picture":
            self.answer.set_result(ANSWER if self.route == "txt2img" else FALLBACK_ANSWER)
        elif how == "garbage":
            self.answer.set_result(b"<html>")
        elif how == "refused":
            key: Any = SimpleNamespace(host="h", port=1, ssl=True, is_ssl=False)
            self.answer.set_exception(aiohttp.ClientConnectorError(key, OSError(111, "refused")))
        elif how == "unheard":
            self.answer.set_exception(aiohttp.ConnectionTimeoutError("Connection timeout to host h"))
        else:
            status, text = {
                "died": (500, DIED),
                "error": (500, b'{"detail":"[address=x, pid=1] boom"}'),
                "busy": (503, b'{"detail":"loading"}'),
                "aborted": (409, b'{"detail":"The request has been cancelled: x"}'),
                "gone": (404, b'{"detail":"Model not found"}'),
                "auth": (401, b'{"detail":"Could not validate credentials"}'),
                "other route": (500, b'{"detail":"X is not for txt2img"}'),
            }[how]
            self.answer.set_exception(failure(status, text))
        # Nobody may be there any more to take it.
        self.answer.exception()


class Script(Xinference):
    """An upstream that does what a test says, and holds on to the promise that no model is overloaded."""

    def __init__(self, settings: Settings, clock: FakeClock, supervisor: Supervisor) -> None:
        super().__init__(settings, clock, supervisor, on_change=lambda: self.changed())
        self.posts: list[Post] = []
        self.aborts: list[str] = []
        self.manager: Manager | None = None
        # What becomes of every call but those for a picture; None answers them.
        self.calls: Callable[[], Awaitable[bytes]] | None = None
        self.state = UpstreamState.READY
        self.models = dict(MODELS)

    def changed(self) -> None:
        if self.manager is not None:
            self.manager.upstream_changed()

    def become(self, state: UpstreamState) -> None:
        """Change what is known of it."""
        self._update(state, self.models, self.unsuitable)

    @property
    def pending(self) -> list[Post]:
        """The requests that are not answered."""
        return [post for post in self.posts if not post.answer.done()]

    def running(self, uid: str) -> int:
        """How many requests a model computes; those that stood still for the quarantine are taken for gone."""
        alive = self.clock.monotonic() - TEXT2IMAGE.timeouts.silence
        return sum(post.running and post.uid == uid and post.moved > alive for post in self.posts)

    def advance(self, post: Post, progress: float) -> None:
        """Let a request come further."""
        if progress > post.progress:
            post.progress, post.moved = progress, self.clock.monotonic()

    async def _send(self, method: str, path: str, body: object = None, most: int = 0) -> bytes:
        await asyncio.sleep(0)
        if method == "POST" and not path.endswith("/abort"):
            post = Post(path, body)
            post.moved = self.clock.monotonic()
            assert all(post.request_id != other.request_id for other in self.posts), "a request id used twice"
            self.posts.append(post)
            assert self.running(post.uid) <= MODELS[post.uid].replicas, "more in flight than replicas"
            return await post.answer
        if self.calls is not None:
            return await self.calls()
        if path.endswith("/replicas"):
            return b'[{"replica_id":0,"status":"READY","created_ts":1}]'
        found = next((post for post in self.posts if post.request_id in path), None)
        if path.endswith("/abort"):
            self.aborts.append(path)
            if found is not None:
                assert found.route == "txt2img", "an abort on the route that it spoils"
                found.aborted = True
                if found.answer.done():
                    found.running, found.progress = False, 1.0
            return b'{"msg":"DONE"}'
        if found is None:
            raise failure(400, b'{"detail":"unknown"}')
        return msgspec.json.encode({"progress": found.progress})


class InlineImages(MemoryBlobs):
    """Pictures in memory that are looked at on the loop: a thread would be back after any number of its turns."""

    async def put(self, picture_id: str, data: bytes) -> MediaInfo:
        info = identify(data)
        self._pictures[picture_id] = StoredFile(media_type=info.media_type, data=data)
        return info


class Inline(ThreadPoolExecutor):
    """Runs what is meant for a thread at once, so that a count of the loop's turns tells when all is at rest."""

    def submit(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        done: Future[T] = Future()
        try:
            done.set_result(function(*args, **kwargs))
        except Exception as error:
            done.set_exception(error)
        return done


class Life:
    """The parts together, and every event that each owner was told."""

    def __init__(self, store: MemoryStore | None = None, **settings: Any) -> None:
        self.clock = FakeClock()
        self.supervisor = Supervisor(self.clock)
        self.settings = Settings(default_size="64x64", **settings)
        self.store = store or MemoryStore(1000)
        self.journal = Journal(self.store, MemoryBus(), self.clock, self.supervisor)
        self.upstream = Script(self.settings, self.clock, self.supervisor)
        self.images = InlineImages(2**20)
        self.manager = Manager(
            self.settings, self.upstream, self.journal, self.images, self.clock, self.supervisor, runner_id="test"
        )
        self.upstream.manager = self.manager
        self.told: dict[str, list[Event]] = {}
        self._watchers: dict[str, Follower] = {}

    @classmethod
    @asynccontextmanager
    async def begin(cls, store: MemoryStore | None = None, **settings: Any) -> AsyncIterator["Life"]:
        """Open everything, on an empty store or what an earlier life left; hold that nothing is left behind."""
        asyncio.get_running_loop().set_default_executor(Inline())
        before = asyncio.all_tasks()
        life = cls(store, **settings)
        await life.journal.open()
        await life.manager.start()
        life.upstream.changed()
        await turns()
        yield life
        closing = asyncio.create_task(life.close())
        while not closing.done():
            await life.clock.advance(1.0)
        await closing
        leaked = asyncio.all_tasks() - before
        assert not leaked, f"left behind: {sorted(task.get_name() for task in leaked)}"

    async def close(self) -> None:
        """Stop as the gateway does."""
        await self.manager.drain(0.0)
        await self.manager.stop()
        await self.journal.close()

    async def watch(self, owner: str) -> None:
        """Start to note down what an owner is told."""
        if owner not in self._watchers:
            await self.journal.load(owner)
            follower = self.journal.follow(owner)
            follower.watch_all([], after=None)
            self._watchers[owner] = follower
            self.told[owner] = []

    async def drain(self) -> None:
        """Note down what waits."""
        for owner, follower in self._watchers.items():
            while follower.wake.is_set():
                item = await follower.take()
                if isinstance(item, Event):
                    self.told[owner].append(item)

    async def submit(self, owner: str = "ann", **fields: Any) -> Task | XinflightError:
        """Submit and return the task, or why it was refused."""
        await self.watch(owner)
        message = Generate(**{"prompt": "boat", **fields})
        try:
            task, _ = await self.manager.submit(message, owner, lambda task: None)
        except XinflightError as error:
            return error
        return task

    def ends(self, owner: str, task_id: str) -> list[Event]:
        """Return the ends that an owner was told of a task."""
        return [
            event
            for event in self.told[owner]
            if event.message.task_id == task_id and event.message.stored and event.message.ends
        ]


async def turns(count: int = 40) -> None:
    """Let the loop go round; 40 are enough for anything here to come to rest."""
    for _ in range(count):
        await asyncio.sleep(0)
