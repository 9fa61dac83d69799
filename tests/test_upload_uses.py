"""Uploads and the tasks that start from them: a task keeps what it was accepted with until it ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from clients import LONG, Json, Recorder, ShiftedClock, eventually, painter
from conftest import Serve
from image_files import image_file
from streams import all_lines
from upload_server import ANN, BOB, DAY, UploadServer, upload_server
from xinflight.demo import Faults
from xinflight.model import Upload
from xinflight.storage import StoredUploads, draw_id

IMAGE, MASK, OTHER = image_file(), image_file(mode="1"), image_file(size=(64, 64))
LINES = {**ANN, "Accept": "application/x-ndjson"}
WEEK = 7 * DAY


class Drawing(UploadServer):
    """A server whose models start from images."""

    async def ask(self, method: str, path: str, status: int, user: dict[str, str] = ANN, **body: Any) -> Json:
        options: Json = {"json": body} if body else {}
        async with self.http.request(method, f"/api/v1/{path}", headers=user, **options) as response:
            assert response.status == status, await response.text()
            answer: Json = await response.json(content_type=None)
            return answer

    async def id_of(self, data: bytes, user: dict[str, str] = ANN) -> str:
        return str((await self.upload(data, user=user))[1]["upload_id"])

    async def start(self, task_id: str, status: int = 202, **fields: Any) -> Json:
        return await self.ask("POST", "tasks", status, prompt="a boat", task_id=task_id, steps=2, **fields)

    async def status(self, path: str) -> int:
        async with self.http.get(path, headers=ANN) as response:
            return response.status

    async def end(self, task_id: str) -> Json:
        """Wait for the end of a task and return it."""
        async with self.http.get(f"/api/v1/tasks/{task_id}/events", headers=LINES) as response:
            return (await all_lines(response))[-1].data

    async def stays_at(self, count: int) -> None:
        """Hold that so many files are there once all that may go has gone."""
        await self.gateway.uploads.enforce()
        assert len(self.files) == count


@pytest.fixture
def engine() -> Recorder:
    return Recorder([painter(abilities=("text2image", "image2image", "inpainting"))])


@pytest.fixture
async def settings(engine: Recorder, emulate: Serve, clock: ShiftedClock) -> Json:
    return {"xinference_url": await emulate(engine), "timeout": WEEK, "timeout_max": WEEK}


@pytest.fixture(params=["memory", "sqlite"])
async def server(
    request: pytest.FixtureRequest, settings: Json, engine: Recorder, tmp_path: Path
) -> AsyncIterator[Drawing]:
    folder = None if request.param == "memory" else str(tmp_path)
    async with upload_server(data_dir=folder, **settings) as made:
        yield Drawing(made.http, made.gateway, made.url)
        engine.faults = Faults()
        engine.thaw()


async def thaw_when_aborted(engine: Recorder) -> None:
    """Let what is frozen go on as soon as it was aborted, which it heeds only then."""
    await eventually(lambda: engine.aborts)
    engine.thaw()


async def test_a_waiting_task_keeps_a_deleted_upload(server: Drawing, engine: Recorder) -> None:
    image, mask = await server.id_of(IMAGE), await server.id_of(MASK)
    engine.script = [Faults(freeze=1)]
    await server.start("first")
    await server.start("waiting", image=image, mask=mask)
    for upload_id in (image, mask):
        assert await server.delete(upload_id) == 204
        assert await server.delete(upload_id) == 404
        assert (await server.get(upload_id))[0] == 404
    assert await server.listed() == {"uploads": []}
    refused = await server.start("second", 404, image=image)
    assert (refused["code"], refused["field"]) == ("image_not_found", "image")
    await server.stays_at(2)
    engine.thaw()
    assert (await server.end("waiting"))["type"] == "result"
    await server.stays_at(0)
    (body,) = engine.img2img_bodies
    assert body.mask is not None


async def test_a_waiting_task_keeps_an_upload_that_expires(
    server: Drawing, engine: Recorder, clock: ShiftedClock
) -> None:
    image = await server.id_of(IMAGE)
    engine.script = [Faults(freeze=1)]
    await server.start("first")
    clock.advance(3600)
    await server.start("waiting", image=image)
    # Accepted an hour later, so it expires an hour later.
    clock.advance(DAY - 600)
    assert (await server.get(image))[0] == 200
    clock.advance(700)
    assert (await server.get(image))[0] == 404
    await server.stays_at(1)
    engine.thaw()
    assert (await server.end("waiting"))["type"] == "result"
    await server.stays_at(0)


async def test_a_cancelled_task_lets_go(server: Drawing, engine: Recorder) -> None:
    image = await server.id_of(IMAGE)
    engine.script = [Faults(freeze=1)]
    await server.start("first")
    await server.start("waiting", image=image)
    await server.delete(image)
    await server.stays_at(1)
    await server.ask("POST", "tasks/waiting/cancel", 200)
    assert (await server.end("waiting"))["type"] == "cancelled"
    await server.stays_at(0)


async def test_the_last_task_lets_go(server: Drawing, engine: Recorder) -> None:
    image = await server.id_of(IMAGE)
    engine.script = [Faults(freeze=1)]
    await server.start("first")
    for task_id in "abc":
        await server.start(task_id, image=image)
    await server.delete(image)
    for task_id in "ab":
        await server.ask("POST", f"tasks/{task_id}/cancel", 200)
        await server.end(task_id)
        await server.stays_at(1)
    engine.thaw()
    assert (await server.end("c"))["type"] == "result"
    await server.stays_at(0)


async def test_a_request_that_is_repeated_finds_its_task_although_its_upload_is_gone(
    server: Drawing, engine: Recorder
) -> None:
    image = await server.id_of(IMAGE)
    await server.start("a", image=image)
    assert (await server.end("a"))["type"] == "result"
    await server.delete(image)
    assert (await server.start("a", 200, image=image))["state"] == "completed"
    assert (await server.start("a", 409, image=await server.id_of(OTHER)))["code"] == "task_id_conflict"


async def test_what_is_not_ones_own_is_not_found(server: Drawing) -> None:
    theirs, mine = await server.id_of(IMAGE, BOB), await server.id_of(OTHER)
    for field, value in (("image", theirs), ("image", draw_id()), ("image", "u" + "A" * 43)):
        refused = await server.start("a", 404, **{field: value})
        assert (refused["code"], refused["field"]) == ("image_not_found", field)
    for fields in ({"mask": theirs}, {"images": [mine, theirs]}):
        refused = await server.start("a", 404, image=mine, **fields)
        assert (refused["code"], refused["field"]) == ("image_not_found", next(iter(fields)))
    for url in ("https://example.org/a.png", "file:///etc/passwd", "../x", "data:image/png;base64,AAAA", "a b", ""):
        refused = await server.start("a", 422, image=url)
        assert (refused["code"], refused["field"]) == ("out_of_bounds", "image")
    await server.ask("GET", "tasks/a", 404)


async def test_an_upload_that_goes_while_a_request_is_accepted_refuses_it(
    server: Drawing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at it and the commit of its task: the store decides, so nothing is accepted without it."""
    image = await server.id_of(IMAGE)
    uploads = server.gateway.uploads
    resolve = uploads.resolve

    async def resolve_and_delete(owner: str, image_id: str) -> Upload:
        upload = await resolve(owner, image_id)
        assert await uploads.delete(owner, upload.upload_id)
        return upload

    monkeypatch.setattr(uploads, "resolve", resolve_and_delete)
    refused = await server.start("a", 404, image=image)
    assert (refused["code"], refused["field"]) == ("image_not_found", "image")
    await server.ask("GET", "tasks/a", 404)
    assert server.files == []
    monkeypatch.undo()
    await server.start("a", image=await server.id_of(IMAGE))
    assert (await server.end("a"))["type"] == "result"


async def test_an_output_that_is_started_from_is_kept_by_the_task(server: Drawing, engine: Recorder) -> None:
    await server.start("a")
    end = await server.end("a")
    output_id = end["data"]["data"][0]["output_id"]
    engine.script = [Faults(freeze=1)]
    await server.start("first")
    await server.start("b", image=output_id)
    await server.ask("DELETE", "tasks/a", 204)
    for upload in (await server.listed())["uploads"]:
        await server.delete(upload["upload_id"])
    engine.thaw()
    assert (await server.end("b"))["type"] == "result"
    assert (await server.ask("GET", "tasks/b", 200))["params"]["image"] == output_id
    await server.stays_at(0)


# store: false


async def test_what_is_not_kept_takes_its_uploads_along(server: Drawing) -> None:
    image, mask = await server.id_of(IMAGE), await server.id_of(MASK)
    await server.id_of(OTHER)
    async with server.http.post(
        "/api/v1/tasks",
        headers=LINES,
        json={"prompt": "boat", "image": image, "mask": mask, "store": False, "response_format": "b64_json"},
    ) as response:
        assert (await all_lines(response))[-1].data["type"] == "result"
    await eventually(lambda: len(server.files) == 1)
    assert [upload["height"] for upload in (await server.listed())["uploads"]] == [64]


async def test_what_was_used_since_stays(server: Drawing, clock: ShiftedClock) -> None:
    """Another task or the owner counts on it, so that one decides."""
    image = await server.id_of(IMAGE)
    await server.start("a", image=image, store=False)
    end = await server.end("a")
    clock.advance(1)
    assert (await server.upload(IMAGE))[0] == 200
    async with server.http.get(end["data"]["data"][0]["url"], headers=ANN) as response:
        await response.read()

    async with asyncio.timeout(LONG):
        while await server.status("/api/v1/tasks/a") != 404:
            pass
    assert (await server.get(image))[0] == 200


# Restarts and erasures


async def test_a_restart_lets_go_of_nothing_that_waits(
    settings: Json, engine: Recorder, stack: AsyncExitStack, tmp_path: Path
) -> None:
    engine.script = [Faults(freeze=1)]
    async with upload_server(data_dir=str(tmp_path), **settings) as made:
        server = Drawing(made.http, made.gateway, made.url)
        image = await server.id_of(IMAGE)
        await server.start("first")
        await server.start("waiting", image=image)
        await server.delete(image)
        await eventually(lambda: engine.posts)
        thawing = asyncio.create_task(thaw_when_aborted(engine), name="thaw")
    await thawing
    async with upload_server(data_dir=str(tmp_path), **settings) as made:
        server = Drawing(made.http, made.gateway, made.url)
        assert (await server.end("waiting"))["type"] == "result"
        await server.stays_at(0)


async def test_an_erasure_takes_uploads_that_tasks_wait_with(server: Drawing, engine: Recorder) -> None:
    image = await server.id_of(IMAGE)
    await server.id_of(OTHER, BOB)
    engine.script = [Faults(freeze=1)]
    await server.start("first")
    await server.start("waiting", image=image)
    await eventually(lambda: engine.posts)
    erasure = asyncio.create_task(server.ask("DELETE", "account", 200), name="erasure")
    await thaw_when_aborted(engine)
    erased = await erasure
    assert (erased["complete"], erased["uploads"]) == (True, 1)
    assert len(server.files) == 1
    assert (await server.get(await server.id_of(IMAGE)))[0] == 200


async def test_an_upload_that_comes_during_an_erasure_is_refused(
    server: Drawing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be there after an answer that says that all is gone."""
    erasing, go_on = asyncio.Event(), asyncio.Event()
    rows: StoredUploads = server.gateway.journal.store.uploads
    erase = rows.erase

    async def erase_slowly(owner: str) -> int:
        erasing.set()
        await go_on.wait()
        return await erase(owner)

    monkeypatch.setattr(rows, "erase", erase_slowly)
    erasure = asyncio.create_task(server.ask("DELETE", "account", 200), name="erasure")
    await erasing.wait()
    status, problem = await server.upload(IMAGE)
    assert (status, problem["code"]) == (409, "account_busy")
    assert (await server.upload(IMAGE, user=BOB))[0] == 201
    go_on.set()
    await erasure
    assert len(server.files) == 1
    assert (await server.upload(IMAGE))[0] == 201
