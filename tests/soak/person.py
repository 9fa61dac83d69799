"""One person of the soak: does what people do, one thing after the other, and says what was not as promised."""

import asyncio
import io
import random
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import msgspec
from PIL import Image

from bench.lean_client import WebSocket

__all__ = ["Broken", "Person"]

Json = dict[str, Any]

PATIENCE = 300.0
"""Seconds in which anything must be over, however many wait."""
ERASED_AGAIN = 1.0
"""Seconds until an erasure is asked for again that was not complete."""
GRACE = 2.0
"""Seconds after which the server cancels what was to be cancelled without its owner."""
ENDS = ("result", "cancelled")
UNFINISHED = ("queued", "starting", "running")
UPLOADS_KEPT = 3
IMAGES = 100
"""Images that all people have between them: the server keeps up to 64 MB of those that it made ready for a model."""


class Broken(Exception):
    """The server did not do what it promises. The text says what."""


class Person:
    """An owner with a browser of its own: a cookie, a socket at a time, and a cursor."""

    def __init__(self, url: str, number: int) -> None:
        self._url = url
        self._random = random.Random(number)
        self._name = f"p{number}"
        self._count = 0
        self._epoch = ""
        self._seen = 0
        self._task = ""
        self._ws: WebSocket | None = None
        self._inbox: asyncio.Queue[Json] = asyncio.Queue()
        self._uploads: list[str] = []
        # Tasks whose end came since this was cleared.
        self._ended: set[str] = set()
        self._cookies = aiohttp.CookieJar(unsafe=True)
        self._http: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Become somebody for the server, or the same person again, and connect."""
        self._http = aiohttp.ClientSession(self._url, cookie_jar=self._cookies, headers={"Origin": self._url})
        async with self._http.get("/api/v1/account") as response:
            response.raise_for_status()
        await self._connect()

    async def live(self, did: Callable[[str], None]) -> None:
        """Do something, again and again, until cancelled; `did` hears what.

        Raises:
            Broken: something was not as promised.
        """
        doings: list[tuple[Callable[[], Awaitable[None]], int]] = [
            (self.generate, 6),
            (self.chat, 6),
            (self.edit, 3),
            (self.cancel_running, 3),
            (self.cancel_waiting, 3),
            (self.cut_and_resume, 4),
            (self.reload, 3),
            (self.read_slowly, 2),
            (self.delete, 3),
            (self.keep_nothing, 2),
            (self.leave, 1),
            (self.stream_and_go, 3),
            (self.openai_chat, 2),
        ]
        methods, weights = zip(*doings, strict=True)
        while True:
            (doing,) = self._random.choices(methods, weights)
            try:
                async with asyncio.timeout(PATIENCE):
                    await doing()
            except TimeoutError:
                raise Broken(f"{self._name}: {doing.__name__} was not over after {PATIENCE:g} s") from None
            except Broken as error:
                raise Broken(f"{self._name}: {doing.__name__}: {error}") from None
            did(doing.__name__)
            await asyncio.sleep(self._random.uniform(2.0, 10.0))

    async def erase(self) -> None:
        """Disconnect and erase everything of this owner, again while tasks of it had not ended.

        Raises:
            Broken: something was left.
        """
        assert self._http is not None
        if self._ws is not None:
            self._ws.abort()
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    if await self._erased():
                        return
                    await asyncio.sleep(ERASED_AGAIN)
        except TimeoutError:
            raise Broken(f"{self._name}: an erasure was not complete after {PATIENCE:g} s") from None
        finally:
            # Whatever was answered, uploads may be gone. Kept connections to the server would be open files there.
            self._uploads.clear()
            await self._http.close()

    async def _erased(self) -> bool:
        """Ask for an erasure; return whether it is complete."""
        assert self._http is not None
        async with self._http.delete("/api/v1/account") as response:
            answer = await response.text()
            if response.status != 200:
                raise Broken(f"{self._name}: an erasure was answered {response.status}: {answer[:500]}")
            return bool(msgspec.json.decode(answer)["complete"])

    async def close(self) -> None:
        """Close both connections."""
        if self._ws is not None:
            self._ws.abort()
        if self._http is not None:
            await self._http.close()

    # What people do

    async def generate(self) -> None:
        """Have one or two images made, and fetch them."""
        await self._send_generate(n=self._random.choice((1, 1, 2)))
        await self._fetch_all(await self._until(*ENDS))

    async def chat(self) -> None:
        """Chat, and read to the end."""
        await self._send_chat(max_tokens=self._random.randint(10, 120))
        await self._until(*ENDS)

    async def edit(self) -> None:
        """Upload an image, or one that is there already, and have another one made over it."""
        assert self._http is not None
        headers = {"Content-Type": "image/png"}
        image = _noise(self._random.randrange(IMAGES))
        async with self._http.post("/api/v1/uploads", data=image, headers=headers) as response:
            if response.status not in (200, 201):
                raise Broken(f"an upload was answered {response.status}: {await response.text()}")
            upload = (await response.json())["upload_id"]
        if upload not in self._uploads:
            self._uploads.append(upload)
        await self._send_generate(image=upload, strength=0.5)
        if len(self._uploads) > UPLOADS_KEPT:
            # While it is used, sometimes.
            async with self._http.delete(f"/api/v1/uploads/{self._uploads.pop(0)}") as response:
                if response.status != 204:
                    raise Broken(f"the deletion of an upload was answered {response.status}")
        await self._fetch_all(await self._until(*ENDS))

    async def cancel_running(self) -> None:
        """Cancel an image that runs."""
        task = await self._send_generate()
        if (await self._until("progress", *ENDS, when=_runs))["type"] == "progress":
            self._send({"action": "cancel", "task_id": task})
            await self._until(*ENDS)

    async def cancel_waiting(self) -> None:
        """Ask for many images and cancel them all, most of which still wait."""
        self._ended.clear()
        tasks = {await self._send_generate(n=4) for _ in range(3)}
        self._send({"action": "cancel", "scope": "all"})
        # In whatever order they end, the first perhaps before the last is accepted, and what was left behind too.
        while not tasks <= self._ended:
            await self._until(*ENDS, task="")

    async def cut_and_resume(self) -> None:
        """Lose the line while an image runs, and resume."""
        task = await self._send_generate() if self._random.random() < 0.5 else await self._send_chat(max_tokens=200)
        await self._until("progress", "delta", *ENDS)
        await self._reconnect(self._random.uniform(0.0, 2.0))
        self._send({"action": "resume", "after": f"{self._epoch}:{self._seen}", "tasks": [task]})
        if not (await self._until("recovered", task=""))["recovered"]:
            raise Broken("a gap")
        await self._until_ended(task)

    async def reload(self) -> None:
        """Lose everything but the cookie while an image runs: list, and follow."""
        task = await self._send_generate()
        await self._reconnect(0.0)
        self._send({"action": "follow", "scope": "all"})
        await self._until("recovered", task="")
        await self._until_ended(task)

    async def read_slowly(self) -> None:
        """Stop reading while a chat streams and images come inline, then read on or begin anew."""
        assert self._ws is not None
        chat = await self._send_chat(max_tokens=600)
        await self._send_generate(n=4, response_format="b64_json")
        self._ws.read(False)
        await asyncio.sleep(self._random.uniform(1.0, 12.0))
        if self._ws.lost.done():
            await self._reconnect(0.0)
        else:
            self._ws.read(True)
        await self._until_ended(chat)

    async def delete(self) -> None:
        """Delete the oldest image of the first page of the history."""
        self._send({"action": "list", "limit": 20})
        page = await self._until("tasks", task="")
        ended = [each["task_id"] for each in page["tasks"] if each["state"] in ("completed", "cancelled", "failed")]
        if ended:
            self._send({"action": "delete", "task_id": ended[-1]})
            answer = await self._until("ok", "error", task="")
            # The server may have deleted it meanwhile: the history is full.
            if answer.get("code", "not_found") != "not_found":
                raise Broken(f"a deletion was answered {answer}")

    async def keep_nothing(self) -> None:
        """Have an image made that is deleted once it was fetched."""
        await self._send_generate(store=False)
        await self._fetch_all(await self._until(*ENDS))

    async def leave(self) -> None:
        """Leave while images wait that are to be cancelled then, and come back."""
        await self._send_generate(n=4, on_disconnect="cancel")
        await self._reconnect(self._random.uniform(0.0, 2.5 * GRACE))

    async def stream_and_go(self) -> None:
        """Follow an image over HTTP, and go before it has ended."""
        assert self._http is not None
        body = {"prompt": "a boat", "size": "64x64"}
        headers = {"Accept": self._random.choice(("text/event-stream", "application/x-ndjson"))}
        async with self._http.post("/api/v1/tasks", json=body, headers=headers) as response:
            if response.status != 200:
                raise Broken(f"a stream was answered {response.status}: {await response.text()}")
            for _ in range(self._random.randint(1, 6)):
                await response.content.readline()

    async def openai_chat(self) -> None:
        """Chat as OpenAI's clients do, and go before the end, or not."""
        assert self._http is not None
        body = {"model": "writer", "messages": [{"role": "user", "content": "Tell me of boats"}], "stream": True}
        async with self._http.post("/v1/chat/completions", json=body | {"max_tokens": 80}) as response:
            if response.status != 200:
                raise Broken(f"a chat was answered {response.status}: {await response.text()}")
            if self._random.random() < 0.5:
                await response.content.readline()
            else:
                await response.read()

    # The socket

    async def _connect(self) -> None:
        cookies = "; ".join(f"{cookie.key}={cookie.value}" for cookie in self._cookies)
        inbox = self._inbox = asyncio.Queue()
        headers = {"Cookie": cookies, "Origin": self._url}
        self._ws = await WebSocket.connect(
            self._url, lambda text: inbox.put_nowait(msgspec.json.decode(text)), headers
        )
        self._ws.lost.add_done_callback(lambda _: inbox.put_nowait({"type": "lost"}))
        self._epoch = (await self._until("welcome", task=""))["epoch"]

    async def _reconnect(self, pause: float) -> None:
        """Drop the connection without a word and open another one later."""
        assert self._ws is not None
        self._ws.abort()
        await asyncio.sleep(pause)
        await self._connect()

    def _send(self, message: Json) -> None:
        assert self._ws is not None
        self._ws.send(msgspec.json.encode(message))

    async def _send_generate(self, **fields: object) -> str:
        return await self._submit({"action": "generate", "prompt": "a boat", "size": "64x64", **fields})

    async def _send_chat(self, **fields: object) -> str:
        messages = [{"role": "user", "content": "Tell me of boats"}]
        return await self._submit({"action": "chat", "messages": messages, **fields})

    async def _submit(self, message: Json) -> str:
        self._count += 1
        self._task = f"{self._name}-{self._count}-{self._random.getrandbits(64):x}"
        self._send({**message, "task_id": self._task})
        await self._until("ack")
        return self._task

    async def _until(
        self, *types: str, task: str | None = None, when: Callable[[Json], bool] = lambda message: True
    ) -> Json:
        """Return the next message of some types about a task (the last one), or about none if `task` is empty."""
        wanted = self._task if task is None else task
        while True:
            message = await self._next()
            self._seen = max(self._seen, message.get("seq", 0))
            if message["type"] in ENDS:
                self._ended.add(message["task_id"])
            if message["type"] in types and (not wanted or message.get("task_id") == wanted) and when(message):
                return message
            if message["type"] == "error" and message.get("task_id", wanted) == wanted:
                raise Broken(f"the server answered {message}")

    async def _next(self) -> Json:
        message = await self._inbox.get()
        if message["type"] == "lost":
            raise Broken("the server closed the connection")
        return message

    async def _until_ended(self, task: str) -> None:
        """Wait for the end of a task, whether it came already or is still to come on this connection."""
        assert self._http is not None
        while True:
            async with self._http.get(f"/api/v1/tasks/{task}") as response:
                if response.status != 200:
                    raise Broken(f"a task was answered {response.status}: {await response.text()}")
                state = (await response.json())["state"]
            if state in ("completed", "cancelled"):
                return
            if state not in UNFINISHED:
                raise Broken(f"a task is {state}")
            await asyncio.sleep(0.5)

    async def _fetch_all(self, result: Json) -> None:
        assert self._http is not None
        if result["type"] != "result":
            raise Broken(f"instead of a result came {result}")
        for image in result["data"]["data"]:
            async with self._http.get(image["url"]) as response:
                body = await response.read()
                if response.status != 200 or not body.startswith(b"\xff\xd8"):
                    raise Broken(f"an image was answered {response.status}")


def _noise(number: int) -> bytes:
    """Return a PNG of noise, for each number another one."""
    out = io.BytesIO()
    size = 48 + 16 * (number % 3)
    Image.frombytes("RGB", (size, size), random.Random(number).randbytes(3 * size * size)).save(out, "PNG")
    return out.getvalue()


def _runs(message: Json) -> bool:
    return bool(message["type"] != "progress" or message["progress"] > 0)
