"""A gateway's tasks on a scripted upstream and a clock that is moved by hand: every order of events can be played."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec
from PIL import Image

from clients import FakeClock
from scripted_transport import ScriptedTransport
from xinflight.auth import Identity
from xinflight.errors import XinflightError
from xinflight.journal import Journal, MemoryBus, Subscriber
from xinflight.model import Event, MediaInfo, Task, identify
from xinflight.protocol import Generate, Queue, UpstreamState
from xinflight.settings import Settings
from xinflight.storage import MemoryBlobs, MemoryStore, Retention, Store, StoredFile
from xinflight.supervise import Supervisor
from xinflight.tasks import Front, Pools, QueueCommands
from xinflight.tasks.pool_runner import PoolRunner
from xinflight.telemetry import Telemetry
from xinflight.uploads import Uploads
from xinflight.upstream import TEXT2IMAGE, Model, NotSent, ResponseLost, Xinference, failure

T = TypeVar("T")


def _image() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 64)).save(out, "JPEG")
    return out.getvalue()


ANSWER = msgspec.json.encode({"images": [base64.b64encode(_image()).decode()]})
FALLBACK_ANSWER = msgspec.json.encode({"data": [{"url": None, "b64_json": base64.b64encode(_image()).decode()}]})
DIED = b'{"detail":"Remote server 127.0.0.1:1 closed: 0 bytes read on a total of 11 expected bytes"}'

MODELS = {
    uid: Model(
        uid=uid,
        name=uid,
        replicas=replicas,
        slots=replicas,
        size="64x64",
        steps=10,
        guidance_scale=0.0,
        true_cancel=true,
        pool=pool,
    )
    for uid, replicas, true, pool in (("m", 1, True, "m"), ("two", 2, True, "two"), ("old", 1, False, "old"))
}


class Post:
    """One request for an image: under way until `running` is false, answered when `answer` is done."""

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
            self.answer.set_exception(ResponseLost())
            return
        self.running = False
        self.progress = 1.0
        if how == "image":
            self.answer.set_result(ANSWER if self.route == "txt2img" else FALLBACK_ANSWER)
        elif how == "garbage":
            self.answer.set_result(b"<html>")
        elif how == "refused":
            self.answer.set_exception(NotSent())
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


class ScriptedUpstream(Xinference):
    """An upstream that does what a test says, and holds on to the promise that no model is overloaded."""

    def __init__(self, settings: Settings, clock: FakeClock, supervisor: Supervisor) -> None:
        transport = ScriptedTransport(lambda *call: self.serve(*call))
        super().__init__(settings, clock, supervisor, lambda: self.changed(), transport=transport)
        self.posts: list[Post] = []
        self.aborts: list[str] = []
        self.progress_asked: list[tuple[float, str]] = []
        """When its progress was asked for, and of which request."""
        self.pools: Pools | None = None
        # What becomes of every call but those for an image; None answers them.
        self.calls: Callable[[], Awaitable[bytes]] | None = None
        self.state = UpstreamState.READY
        self.models = dict(MODELS)

    def changed(self) -> None:
        if self.pools is not None:
            self.pools.upstream_changed()

    def become(self, state: UpstreamState, *uids: str) -> None:
        """Change what is known of it: its state, and with `uids` which of MODELS it has."""
        models = {uid: MODELS[uid] for uid in uids} if uids else self.models
        self._update(state, models, self.unsuitable)

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

    async def serve(self, method: str, path: str, body: Any) -> bytes:
        """Answer one request with 200 and what is returned."""
        if method == "POST" and not path.endswith("/abort"):
            post = Post(path, body)
            post.moved = self.clock.monotonic()
            assert all(post.request_id != other.request_id for other in self.posts), "a request id used twice"
            self.posts.append(post)
            assert self.running(post.uid) <= MODELS[post.uid].slots, "more in flight than slots"
            return await post.answer
        if path.endswith("/progress"):
            self.progress_asked.append((self.clock.monotonic(), path.split("/")[-2]))
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


class InlineBlobs(MemoryBlobs):
    """Files in memory that are identified on the loop: a thread would be back after any number of its turns."""

    async def put(self, output_id: str, data: bytes) -> MediaInfo:
        info = identify(data)
        self._files[output_id] = StoredFile(media_type=info.media_type, data=data)
        return info


class InlineExecutor(ThreadPoolExecutor):
    """Runs what is meant for a thread at once, so that a count of the loop's turns tells when all is at rest."""

    def submit(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        done: Future[T] = Future()
        try:
            done.set_result(function(*args, **kwargs))
        except Exception as error:
            done.set_exception(error)
        return done


class RecordingTelemetry(Telemetry):
    """Note down every call: the method's name, then its arguments."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("_") or name not in vars(Telemetry):
            return super().__getattribute__(name)
        return lambda *args: self.calls.append((name, *args))

    def of(self, name: str) -> list[list[Any]]:
        """Return the arguments of the calls of a method."""
        return [arguments for called, *arguments in self.calls if called == name]


class ScriptedGateway:
    """The parts together, and all that each owner was sent. `watching` False subscribes nobody by itself."""

    watching = True

    def __init__(self, store: Store | None = None, **settings: Any) -> None:
        self.clock = FakeClock()
        self.telemetry = RecordingTelemetry()
        self.supervisor = Supervisor(self.clock, self.telemetry)
        self.settings = Settings(default_size="64x64", **settings)
        self.store = store or MemoryStore(1000)
        self.journal = Journal(self.store, MemoryBus(), self.clock, self.supervisor, self.telemetry)
        self.upstream = ScriptedUpstream(self.settings, self.clock, self.supervisor)
        self.upstream.telemetry = self.telemetry
        self.blobs = InlineBlobs(2**20)
        self.retention = Retention(self.store, self.blobs, self.settings, self.clock, self.supervisor)
        self.uploads = Uploads(self.store, self.blobs, self.settings, self.clock, self.supervisor)
        self.pools = Pools(
            self.settings,
            self.upstream,
            self.journal,
            self.blobs,
            self.uploads,
            self.clock,
            self.supervisor,
            self.telemetry,
        )
        self.front = Front(
            self.settings, self.upstream, self.journal, self.pools, self.retention, self.uploads, self.clock
        )
        self.queue = QueueCommands(self.front, self.pools, self.clock)
        self.upstream.pools = self.pools
        self.sent: dict[str, list[Event]] = {}
        self.queues: dict[str, list[Queue]] = {}
        self._watchers: dict[str, Subscriber] = {}
        self._present: dict[str, list[Subscriber]] = {}

    @classmethod
    @asynccontextmanager
    async def begin(cls, store: Store | None = None, **settings: Any) -> AsyncIterator["ScriptedGateway"]:
        """Open everything, on an empty store or what an earlier process left; hold that nothing is left behind."""
        asyncio.get_running_loop().set_default_executor(InlineExecutor())
        before = asyncio.all_tasks()
        gateway = cls(store, **settings)
        await gateway.journal.open()
        await gateway.front.open()
        gateway.retention.start()
        await turns()
        yield gateway
        closing = asyncio.create_task(gateway.close())
        while not closing.done():
            await gateway.clock.advance(1.0)
        await closing
        leaked = asyncio.all_tasks() - before
        assert not leaked, f"left behind: {sorted(task.get_name() for task in leaked)}"

    async def close(self) -> None:
        """Stop as the gateway does."""
        await self.front.drain(0.0)
        await self.front.close()
        await self.retention.close()
        await self.journal.close()

    async def watch(self, owner: str) -> None:
        """Start to note down what an owner is sent, without counting as the owner's presence."""
        if owner not in self._watchers:
            subscriber = await self.journal.subscribe(owner)
            subscriber.subscribe_all(after=None)
            self._watchers[owner] = subscriber
            self.sent.setdefault(owner, [])
            self.queues.setdefault(owner, [])
            # As the front does for whoever comes.
            self.pools.queue.changed()

    async def unwatch(self, owner: str) -> None:
        """Stop that, after what waits."""
        await self.drain()
        self.journal.unsubscribe(self._watchers.pop(owner))

    async def drain(self) -> None:
        """Note down what waits."""
        for owner, subscriber in self._watchers.items():
            while subscriber.wake.is_set():
                item = await subscriber.next_item()
                if isinstance(item, Event):
                    self.sent[owner].append(item)
                elif isinstance(item, Queue):
                    self.queues[owner].append(item)

    async def join(self, owner: str) -> None:
        """Let an owner be there, by one more connection."""
        self._present.setdefault(owner, []).append(await self.front.subscribe(owner))

    def leave(self, owner: str) -> None:
        """Close one of the owner's connections."""
        self.front.unsubscribe(self._present[owner].pop())

    async def submit(self, owner: str = "ann", **fields: Any) -> Task | XinflightError:
        """Submit and return the task, or why it was refused."""
        if self.watching:
            await self.watch(owner)
        subscriber = await self.journal.subscribe(owner)
        try:
            task, _ = await self.front.accept(
                Generate(**{"prompt": "boat", **fields}), Identity(id=owner), subscriber, None
            )
        except XinflightError as error:
            return error
        finally:
            self.journal.unsubscribe(subscriber)
        return task

    def unfinished(self, owner: str, task_id: str) -> bool:
        """Tell whether a task is on its way."""
        return self.pools.find(owner, task_id) is not None

    def runner(self, pool: str) -> PoolRunner:
        """Return the runner of a pool."""
        return self.pools._runners[pool]

    @property
    def running(self) -> int:
        """How many outputs are in a slot."""
        return sum(len(runner._running) for runner in self.pools._runners.values())

    def ends(self, owner: str, task_id: str) -> list[Event]:
        """Return the ends that an owner was sent of a task."""
        return [event for event in self.sent[owner] if event.message.task_id == task_id and event.ends]


class Held:
    """Hold the calls of a method, a coroutine function, until `go_on` is set; `entered` is set by the first one."""

    def __init__(self, part: object, method: str) -> None:
        self.entered, self.go_on = asyncio.Event(), asyncio.Event()
        call = getattr(part, method)

        async def held(*args: Any, **kwargs: Any) -> Any:
            self.entered.set()
            await self.go_on.wait()
            return await call(*args, **kwargs)

        setattr(part, method, held)


async def turns(count: int = 40) -> None:
    """Let the loop go round; 40 are enough for anything here to come to rest."""
    for _ in range(count):
        await asyncio.sleep(0)
