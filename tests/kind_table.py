"""One table of kinds with what each needs, and a home to live through: whatever holds for one kind holds for all.

A kind that is not yet among KINDS is not tried. `test_every_kind` holds that each of KINDS has its row.
"""

import asyncio
import io
import sqlite3
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import aiohttp
import pytest
from _pytest.mark import ParameterSet
from aiohttp import web
from aiohttp.test_utils import TestServer
from PIL import Image

from clients import Json, Recorder, WireClient, is_end
from streams import stored, who
from xinflight.app import setup
from xinflight.demo import EmulatedModel, Faults, serve_emulator
from xinflight.model import identify
from xinflight.settings import Settings
from xinflight.upstream import KINDS

ANN, BOB, BOSS = "ann", "bob", "boss"
SECRET = "a boat that nobody else knows of"
HOLD = 2
"""Steps, of a chat tokens, after which a frozen request stands."""
QUICK: Json = {"step_seconds": 0.005, "decode_seconds": 0.005}


class Row(NamedTuple):
    """What a kind needs, and what is true of it."""

    kind: str
    model: EmulatedModel
    post: str
    """The route that its model is asked by."""
    fields: Json
    """A request, but for its id and its images."""
    other: Json
    """What makes it another request, so that its id stands for other content."""
    images: Mapping[str, Json] = MappingProxyType({})
    """The images that it needs, each as arguments of `picture`, by the field for its id."""
    media_type: str = "image/jpeg"
    action: str = "generate"
    true_cancel: bool = True
    text: bool = False
    """Whether its output is a text, which streams and has no file."""
    seeded: bool = True
    """Whether the same seed gives the same bytes."""

    @property
    def steps(self) -> int:
        """The steps that the upstream counts."""
        return int(self.fields["steps"])


PICTURE: Json = {"colour": (200, 30, 30)}
DRAW: Json = {"prompt": SECRET, "steps": 4, "seed": 7}
PAINTER = EmulatedModel(uid="painter", abilities=("text2image", "image2image", "inpainting"), **QUICK)
EDITOR = EmulatedModel(uid="editor", abilities=("image2image",), **QUICK)
ANIMATOR = EmulatedModel(uid="animator", type="video", abilities=("text2video", "image2video"), **QUICK)
WRITER = EmulatedModel(
    uid="writer", type="LLM", abilities=("chat",), engine="transformers", step_seconds=0.005, burst=2
)

TABLE = [
    Row("text2image", PAINTER, "txt2img", DRAW, {"seed": 8}),
    Row("image2image", PAINTER, "img2img", {**DRAW, "strength": 1.0}, {"strength": 0.9}, {"image": PICTURE}),
    Row(
        "inpainting",
        PAINTER,
        "img2img",
        {**DRAW, "strength": 1.0},
        {"strength": 0.9},
        {"image": PICTURE, "mask": {"hole": True}},
        media_type="image/png",
    ),
    Row("edit", EDITOR, "img2img", DRAW, {"seed": 8}, {"image": PICTURE}),
    Row(
        "video",
        ANIMATOR,
        "video",
        {**DRAW, "kind": "video", "size": "64x64", "frames": 5, "fps": 5},
        {"frames": 9},
        media_type="video/mp4",
        true_cancel=False,
    ),
    Row(
        "chat",
        WRITER,
        "chat",
        {"messages": [{"role": "user", "content": SECRET}], "max_tokens": 12},
        {"messages": [{"role": "user", "content": "something else"}]},
        media_type="text/plain",
        action="chat",
        text=True,
        seeded=False,
    ),
]
ROWS = [row for row in TABLE if row.kind in KINDS]
FAST = {"image2image", "video", "chat"}
"""What the fast lane tries. The other kinds of images differ from these in their requests only."""


def lives(rows: Iterable[Row]) -> list[ParameterSet]:
    """Return kinds as parameters of the fixture `place`, each in its lane."""
    return [pytest.param(row, id=row.kind, marks=() if row.kind in FAST else pytest.mark.slow) for row in rows]


def picture(colour: tuple[int, int, int] = (255, 255, 255), *, hole: bool = False) -> bytes:
    """Return a small PNG: of one colour, or as a mask black with a white hole."""
    image = Image.new("RGB", (64, 64), (0, 0, 0) if hole else colour)
    if hole:
        image.paste((255, 255, 255), (16, 16, 48, 48))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


class Life:
    """One start of the server, whose callers say who they are."""

    def __init__(self, row: Row, url: str, http: aiohttp.ClientSession) -> None:
        self.url = url
        self.http = http
        self._row = row

    @asynccontextmanager
    async def client(self, owner: str = ANN) -> AsyncIterator[WireClient]:
        async with WireClient.connect(self.url, headers={"X-User": owner}) as client:
            yield client

    async def ask(self, method: str, path: str, owner: str = ANN, **options: Any) -> tuple[int, bytes]:
        """Return the status and the body of an answer."""
        headers = {"X-User": owner, **options.pop("headers", {})}
        async with self.http.request(method, path, headers=headers, **options) as response:
            return response.status, await response.read()

    async def request(self, task_id: str, owner: str = ANN, **fields: Any) -> Json:
        """Return a request of this kind, as the WebSocket takes it; its images have been uploaded."""
        images = {}
        for field, what in self._row.images.items():
            headers = {"X-User": owner, "Content-Type": "image/png"}
            async with self.http.post("/api/v1/uploads", data=picture(**what), headers=headers) as response:
                assert response.status in (200, 201), await response.text()
                images[field] = (await response.json())["upload_id"]
        return {"action": self._row.action, "task_id": task_id, **self._row.fields, **images, **fields}

    async def start(self, client: WireClient, *task_ids: str, **fields: Any) -> None:
        """Start tasks, each of which must be acknowledged."""
        for task_id in task_ids:
            ack = await client.ask(**await self.request(task_id, client.seen[0]["owner"], **fields))
            assert ack["type"] == "ack", ack

    async def until_running(self, client: WireClient, task_id: str) -> Json:
        """Receive until the upstream has shown that it works on a task: the first progress, or the first text."""
        kind = "delta" if self._row.text else "progress"
        return await client.until(
            lambda m: m["type"] == kind and m["task_id"] == task_id and (self._row.text or m["progress"] > 0)
        )


class Home:
    """A data folder and an upstream that outlive every server on them."""

    def __init__(self, row: Row, engine: Recorder, xinference: str, folder: Path) -> None:
        self.row, self.engine, self.folder = row, engine, folder
        self.xinference = xinference

    @asynccontextmanager
    async def life(self, **settings: Any) -> AsyncIterator[Life]:
        """Serve the folder; at the end whatever is frozen goes on, since a stop waits for what it aborts."""
        app = web.Application()
        common = {"drain": 0.0, "default_size": "64x64", "data_dir": str(self.folder)}
        setup(app, Settings(**{"xinference_url": self.xinference, **common, **settings}), authenticate=who)
        server = TestServer(app)
        await server.start_server()
        try:
            async with aiohttp.ClientSession(str(server.make_url(""))) as http:
                yield Life(self.row, str(server.make_url("")), http)
        finally:
            closing = asyncio.create_task(server.close(), name="close")
            while not closing.done():
                self.thaw()
                await asyncio.wait([closing], timeout=0.02)
            await closing

    def freeze(self, requests: int | None = None, after: int = HOLD) -> None:
        """Let the next requests, or all of them, stand after some steps."""
        self.engine._thawed.clear()
        self.engine.faults = Faults(freeze=after, requests=requests)

    def thaw(self) -> None:
        """Let everything go on, and nothing stand from now on."""
        self.engine.faults = Faults()
        self.engine.thaw()

    def files(self) -> list[Path]:
        """Return the files of outputs and uploads."""
        return [path for part in ("outputs", "uploads") for path in (self.folder / part).glob("??/*")]

    def made(self) -> list[Path]:
        """Return the files of outputs."""
        return [path for path in self.files() if "outputs" in path.parts]

    def bytes(self) -> bytes:
        """Return all that is in the database, and what of its log is not deleted."""
        with closing(sqlite3.connect(self.folder / "xinflight.db")) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return b"".join(path.read_bytes() for path in self.folder.glob("xinflight.db*"))


@asynccontextmanager
async def home(row: Row, folder: Path) -> AsyncIterator[Home]:
    """Give a home with one model, which can do what the kind needs."""
    engine = Recorder([row.model])
    async with serve_emulator(engine) as url:
        yield Home(row, engine, url, folder)


# What was told


def events_of(client: WireClient, task_id: str) -> list[Json]:
    """Return the stored events of a task without what changes between connections, deltas aside."""
    return [without_urls(m) for m in stored(client.of(task_id))]


def without_urls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_urls(inner) for key, inner in value.items() if key not in ("url", "thumbnail_url")}
    return [without_urls(inner) for inner in value] if isinstance(value, list) else value


def text_of(messages: list[Json]) -> str:
    """Put the text of a chat together, as a client does: from its deltas, and from the whole text at its end.

    Once it has ended, its deltas are not kept: a client that comes then is told the text as a whole.
    """
    text = ""
    for message in messages:
        whole = [
            one["text"] for one in (message, *outputs_of(message)) if message["type"] != "delta" and "text" in one
        ]
        if whole:
            assert whole[0].startswith(text), "characters that are not in the whole text"
            text = whole[0]
        elif message["type"] == "delta" and message.get("channel", "text") == "text":
            assert message["offset"] <= len(text), "a gap"
            known = message["offset"] + len(message["text"]) <= len(text)
            text = text if known else text[: message["offset"]] + message["text"]
    return text


def outputs_of(end: Json) -> list[Json]:
    """Return what is told of the outputs at the end of a task."""
    data = end.get("data") or []
    found: list[Json] = data["data"] if isinstance(data, dict) else data
    return found


def assert_in_order(client: WireClient, task_id: str) -> None:
    """Hold that every event of a task came once, in order, the first one first and nothing after the end."""
    messages = client.of(task_id)
    seqs = [m["seq"] for m in messages if "seq" in m]
    assert seqs == sorted(set(seqs)), "an event twice, or out of order"
    told = [m for m in messages if m["type"] not in ("ack", "notice")]
    assert next(m["type"] for m in told if "seq" in m) == "accepted"
    assert [is_end(m) for m in told] == [False] * (len(told) - 1) + [True], "one end, and the last of all"


async def assert_whole(life: Life, row: Row, output: Json, owner: str = ANN) -> bytes:
    """Hold that what is told of an output is what it is; return its bytes."""
    assert output["media_type"] == row.media_type
    if row.text:
        data = output["text"].encode()
        assert (data != b"", output["bytes"], "url" in output) == (True, len(data), False)
        return bytes(data)
    status, data = await life.ask("GET", output["url"], owner)
    found = identify(data)
    told = {"media_type": output["media_type"], "width": output["width"], "height": output["height"]}
    assert (status, found.media_type, len(data)) == (200, row.media_type, output["bytes"])
    assert told == {"media_type": found.media_type, "width": found.width, "height": found.height}
    return data
