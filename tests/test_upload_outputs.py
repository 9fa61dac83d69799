"""Outputs as images to start from: they become uploads of their owner, and outlive their task."""

import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clients import Json, Recorder, ShiftedClock, eventually
from conftest import Serve
from image_files import image_file
from streams import all_lines
from upload_server import ANN, BOB, DAY, UploadServer, upload_server
from xinflight.errors import BadImage, ImageNotFound, TooManyUploads
from xinflight.protocol import Chat, ChatMessage, ImagePart, TextPart
from xinflight.storage import StoredFile, draw_id
from xinflight.tasks.new_task import resolve_inputs


@pytest.fixture(params=["memory", "sqlite"])
async def server(
    request: pytest.FixtureRequest, engine: Recorder, emulate: Serve, clock: ShiftedClock, tmp_path: Path
) -> AsyncIterator[UploadServer]:
    folder = None if request.param == "memory" else str(tmp_path)
    async with upload_server(xinference_url=await emulate(engine), data_dir=folder, uploads_per_owner=2) as server:
        yield server


async def draw(server: UploadServer, task_id: str, user: dict[str, str] = ANN) -> Json:
    """Generate an image; return its `output`."""
    sent = {**user, "Accept": "application/x-ndjson"}
    body = {"prompt": "a boat", "steps": 1, "task_id": task_id}
    async with server.http.post("/api/v1/tasks", json=body, headers=sent) as response:
        return next(line.data for line in await all_lines(response) if line.data["type"] == "output")


async def file_of(server: UploadServer, output: Json) -> bytes:
    async with server.http.get(output["url"], headers=ANN) as response:
        assert response.status == 200
        return await response.read()


async def test_an_output_becomes_an_upload_under_the_hash_of_its_bytes(server: UploadServer) -> None:
    output = await draw(server, "a")
    data = await file_of(server, output)
    upload = await server.gateway.uploads.resolve("ann", output["output_id"])
    assert upload.upload_id == "u" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
    assert (upload.width, upload.height, upload.bytes) == (output["width"], output["height"], len(data))
    assert await server.get(upload.upload_id) == (200, data)
    again = await server.gateway.uploads.resolve("ann", output["output_id"])
    assert again.blob_id == upload.blob_id
    assert (await server.gateway.uploads.resolve("ann", upload.upload_id)).blob_id == upload.blob_id
    assert len(server.files) == 1
    if server.gateway.settings.data_dir is not None:
        assert server.files[0].stat().st_nlink == 2, "the same file under two names, so that it takes no room"


async def test_it_outlives_its_task(server: UploadServer) -> None:
    output = await draw(server, "a")
    data = await file_of(server, output)
    upload = await server.gateway.uploads.resolve("ann", output["output_id"])
    async with server.http.delete("/api/v1/tasks/a", headers=ANN) as response:
        assert response.status == 204
    assert await server.get(upload.upload_id) == (200, data)
    with pytest.raises(ImageNotFound):
        await server.gateway.uploads.resolve("ann", output["output_id"])


async def test_a_deleted_upload_leaves_the_output(server: UploadServer, clock: ShiftedClock) -> None:
    output = await draw(server, "a")
    data = await file_of(server, output)
    upload = await server.gateway.uploads.resolve("ann", output["output_id"])
    assert await server.delete(upload.upload_id) == 204
    assert await file_of(server, output) == data
    await server.gateway.uploads.resolve("ann", output["output_id"])
    clock.advance(DAY + 5)
    await eventually(lambda: server.files == [])
    assert await file_of(server, output) == data


async def test_only_ones_own_outputs_are_found(server: UploadServer) -> None:
    output = await draw(server, "a")
    upload = await server.gateway.uploads.resolve("ann", output["output_id"])
    for image_id in (output["output_id"], upload.upload_id, draw_id(), "x", "u" + "A" * 43, output["url"]):
        with pytest.raises(ImageNotFound):
            await server.gateway.uploads.resolve("bob", image_id)
    assert await server.listed(BOB) == {"uploads": []}


async def test_an_output_without_a_file_is_not_found(
    server: UploadServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It failed, or its file went between two looks, as when the history is pruned."""
    output = await draw(server, "a")

    async def gone(_: str) -> StoredFile:
        return StoredFile(media_type="image/jpeg", path=tmp_path / "gone")

    monkeypatch.setattr(server.gateway.blobs, "get", gone)
    with pytest.raises(ImageNotFound):
        await server.gateway.uploads.resolve("ann", output["output_id"])
    assert server.files == []


async def test_an_output_that_is_no_image_is_refused(server: UploadServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A video, that is."""
    output = await draw(server, "a")

    async def video(_: str) -> StoredFile:
        return StoredFile(media_type="video/mp4", data=b"\0\0\0\x20ftypisom" + bytes(100))

    monkeypatch.setattr(server.gateway.blobs, "get", video)
    with pytest.raises(BadImage):
        await server.gateway.uploads.resolve("ann", output["output_id"])
    assert server.files == []


async def test_they_count_as_uploads(server: UploadServer) -> None:
    for task_id in ("a", "b"):
        await server.gateway.uploads.resolve("ann", (await draw(server, task_id))["output_id"])
    with pytest.raises(TooManyUploads):
        await server.gateway.uploads.resolve("ann", (await draw(server, "c"))["output_id"])


async def test_images_of_a_chat_are_found_in_their_order(server: UploadServer) -> None:
    first, second = [(await draw(server, task_id))["output_id"] for task_id in "ab"]
    uploads = server.gateway.uploads
    ids = [(await uploads.resolve("ann", output_id)).upload_id for output_id in (first, second)]
    talk = [
        ChatMessage(role="user", content=[TextPart(text="What?"), ImagePart(image=first), ImagePart(image=ids[1])]),
        ChatMessage(role="assistant", content="A boat."),
        ChatMessage(role="user", content=[ImagePart(image=ids[0])]),
    ]
    found = await resolve_inputs(Chat(messages=talk), "ann", uploads)
    assert [(role, upload.upload_id) for role, upload in found] == [("reference", ids[place]) for place in (0, 1, 0)]
    with pytest.raises(ImageNotFound) as missing:
        await resolve_inputs(Chat(messages=talk), "bob", uploads)
    assert missing.value.field == "messages"


async def test_the_hosts_own_code_uploads_whole_or_in_parts(server: UploadServer) -> None:
    image = image_file()

    async def parts() -> AsyncIterator[bytes]:
        yield image[:10]
        yield image[10:]

    whole = await server.gateway.upload(image, owner="ann")
    assert (await server.gateway.upload(parts(), owner="ann")).blob_id == whole.blob_id
    assert await server.get(whole.upload_id) == (200, image)
    with pytest.raises(BadImage):
        await server.gateway.upload(b"no image", owner="ann")
    with pytest.raises(ValueError, match="owner"):
        await server.gateway.upload(image, owner="a\nb")
