"""Uploads over REST: what is sent is there for a day, for its owner, under the hash of its bytes."""

import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clients import Recorder, ShiftedClock, eventually
from conftest import Serve
from image_files import BAD, GOOD, image_file
from upload_server import ANN, BOB, DAY, UPLOADS, UploadServer, upload_server


@pytest.fixture(params=["memory", "sqlite"])
async def server(
    request: pytest.FixtureRequest, engine: Recorder, emulate: Serve, clock: ShiftedClock, tmp_path: Path
) -> AsyncIterator[UploadServer]:
    folder = None if request.param == "memory" else str(tmp_path)
    url = await emulate(engine)
    async with upload_server(
        xinference_url=url, data_dir=folder, uploads_per_owner=3, uploads_bytes=20_000, upload_bytes=10_000
    ) as made:
        yield made


def numbered(number: int) -> bytes:
    """Return an image that differs from those of other numbers."""
    return image_file(size=(64, 48 + number))


async def test_an_image_gets_the_hash_of_its_bytes_as_its_id(server: UploadServer, clock: ShiftedClock) -> None:
    clock.stand()
    data = image_file()
    expected = "u" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
    async with server.http.post(UPLOADS, data=data, headers={**ANN, "Content-Type": "image/png"}) as response:
        assert response.status == 201
        assert response.headers["Location"].endswith(f"{UPLOADS}/{expected}")
        assert await response.json() == {
            "upload_id": expected,
            "media_type": "image/png",
            "width": 64,
            "height": 48,
            "bytes": len(data),
            "expires": pytest.approx(clock.time() + DAY),
        }
    async with server.http.get(f"{UPLOADS}/{expected}", headers=ANN) as response:
        assert (response.status, response.content_type, await response.read()) == (200, "image/png", data)
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")


async def test_the_same_bytes_are_one_upload_that_expires_later(server: UploadServer, clock: ShiftedClock) -> None:
    clock.stand()
    _, first = await server.upload(image_file())
    clock.advance(3600)
    status, second = await server.upload(image_file())
    assert (status, second) == (200, {**first, "expires": pytest.approx(first["expires"] + 3600)})
    assert [one["expires"] for one in (await server.listed())["uploads"]] == [second["expires"]]
    assert len(server.files) == 1


async def test_the_bytes_say_what_an_image_is(server: UploadServer) -> None:
    """Files are often named wrongly, so what a client says of them counts for nothing."""
    for number, (data, media_type) in enumerate(GOOD.values()):
        for said in ("image/gif", "application/octet-stream"):
            status, info = await server.upload(data, said, {"X-User": f"user-{number}"})
            assert status in (200, 201)
            assert (info["media_type"], info["width"], info["height"]) == (media_type, 64, 48)


async def test_what_is_no_usable_image_is_refused_and_leaves_nothing(server: UploadServer) -> None:
    for name, data in BAD.items():
        if len(data) <= 10_000:
            status, problem = await server.upload(data)
            assert (status, problem["code"], problem["retryable"]) == (422, "bad_image", False), name
            assert problem["limit"]
    assert server.files == []
    assert await server.listed() == {"uploads": []}


async def test_uploads_are_their_owners_only(server: UploadServer) -> None:
    _, ours = await server.upload(image_file())
    upload_id = ours["upload_id"]
    assert (await server.get(upload_id, BOB))[0] == 404
    assert await server.delete(upload_id, BOB) == 404
    assert await server.listed(BOB) == {"uploads": []}
    status, theirs = await server.upload(image_file(), user=BOB)
    # Not 200: that would tell that somebody has this image.
    assert (status, theirs["upload_id"]) == (201, upload_id)
    assert await server.delete(upload_id, BOB) == 204
    assert (await server.get(upload_id))[0] == 200


async def test_a_deleted_upload_is_gone_with_its_file(server: UploadServer) -> None:
    _, info = await server.upload(image_file())
    assert await server.delete(info["upload_id"]) == 204
    assert server.files == []
    assert await server.delete(info["upload_id"]) == 404
    assert (await server.get(info["upload_id"]))[0] == 404
    assert (await server.upload(image_file()))[0] == 201


async def test_an_upload_expires_a_day_after_it_was_uploaded_last(server: UploadServer, clock: ShiftedClock) -> None:
    clock.stand()
    _, info = await server.upload(image_file())
    clock.advance(DAY - 10)
    assert (await server.get(info["upload_id"]))[0] == 200
    clock.advance(11)
    assert (await server.get(info["upload_id"]))[0] == 404
    assert await server.listed() == {"uploads": []}
    assert await server.delete(info["upload_id"]) == 404
    clock.advance(5)
    await eventually(lambda: server.files == [])
    assert (await server.upload(image_file()))[0] == 201


async def test_uploads_are_listed_newest_first_in_pages(server: UploadServer) -> None:
    ids = [(await server.upload(numbered(number)))[1]["upload_id"] for number in range(3)]
    first = await server.listed(limit="2")
    assert [one["upload_id"] for one in first["uploads"]] == [ids[2], ids[1]]
    second = await server.listed(limit="2", cursor=first["next"])
    assert ([one["upload_id"] for one in second["uploads"]], "next" in second) == ([ids[0]], False)


async def test_the_number_of_uploads_is_bounded(server: UploadServer) -> None:
    for number in range(3):
        assert (await server.upload(numbered(number)))[0] == 201
    status, problem = await server.upload(numbered(3))
    assert (status, problem["code"], problem["retryable"]) == (429, "too_many_uploads", True)
    assert problem["limit"] == "3 uploads, 20000 bytes"
    assert len(server.files) == 3
    assert (await server.upload(numbered(0)))[0] == 200
    assert (await server.upload(numbered(3), user=BOB))[0] == 201
    listed = (await server.listed())["uploads"]
    assert await server.delete(listed[0]["upload_id"]) == 204
    assert (await server.upload(numbered(3)))[0] == 201


async def test_the_bytes_of_uploads_are_bounded(server: UploadServer) -> None:
    for number in range(2):
        assert (await server.upload(numbered(number) + bytes(7000)))[0] == 201
    assert (await server.upload(numbered(2) + bytes(7000)))[1]["code"] == "too_many_uploads"
    assert (await server.upload(numbered(2)))[0] == 201


async def test_nothing_is_left_when_the_server_stops_without_a_folder(
    engine: Recorder, emulate: Serve, clock: ShiftedClock
) -> None:
    async with upload_server(xinference_url=await emulate(engine)) as server:
        await server.upload(image_file())
        (file,) = server.files
        assert file.parent.stat().st_mode & 0o777 == 0o700
        assert file.stat().st_mode & 0o777 == 0o600
    assert not file.parent.exists()
