"""How the bytes of an upload arrive: in forms and raw, at once, slowly, too many, not to their end, or not at all."""

import asyncio
import base64
import gzip
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from clients import Recorder, ShiftedClock, eventually
from conftest import Serve
from image_files import image_file
from upload_server import ANN, BOB, UPLOADS, UploadServer, upload_server
from xinflight.storage import IncomingFile, UploadFiles, upload_files
from xinflight.uploads import uploads as uploads_module
from xinflight.web import upload_bodies

IMAGE = image_file()
MOST = 100_000
FORM = "multipart/form-data; boundary=b"
FILE = b'Content-Disposition: form-data; name="file"; filename="boat.png"\r\n'
FIELD = b'Content-Disposition: form-data; name="note"\r\n'


@pytest.fixture
async def server(
    engine: Recorder, emulate: Serve, clock: ShiftedClock, tmp_path: Path
) -> AsyncIterator[UploadServer]:
    async with upload_server(
        xinference_url=await emulate(engine),
        data_dir=str(tmp_path),
        upload_bytes=MOST,
        allow_origins=("https://friend.example",),
    ) as server:
        yield server


def form(*parts: tuple[bytes, bytes], end: bytes = b"--b--\r\n") -> bytes:
    """Return a form of parts, each with its headers."""
    return b"".join(b"--b\r\n" + headers + b"\r\n" + data + b"\r\n" for headers, data in parts) + end


@asynccontextmanager
async def raw(server: UploadServer, *lines: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Begin an upload on a connection of its own, with some headers."""
    place = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    head = (f"POST {UPLOADS} HTTP/1.1", f"Host: {place.netloc}", "X-User: ann", "Content-Type: image/png", *lines)
    writer.write("".join(f"{line}\r\n" for line in (*head, "")).encode())
    try:
        yield reader, writer
    finally:
        writer.close()


async def status(reader: asyncio.StreamReader) -> int:
    return int((await reader.readline()).split()[1])


# Forms


NAMES = (
    *(
        "boat.png",
        "boat.svg",
        "",
        "../../etc/passwd",
        "C:\\\\Windows\\\\boat.exe",
        "/dev/null",
        "船.png",
        "con",
        "%00.png",
    ),
    "a" * 5000,
)


async def test_the_name_of_a_file_counts_for_nothing(server: UploadServer) -> None:
    for name in NAMES:
        headers = f'Content-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: text/html\r\n'
        code, info = await server.upload(form((headers.encode(), IMAGE)), FORM)
        assert (code in (200, 201), info.get("media_type")) == (True, "image/png"), (name, info)
    assert {file.name for file in server.files} == await server.gateway.journal.store.uploads.blob_ids()
    assert len(server.files) == 1


FORMS = {
    "a field before it": form((FIELD, b"hello"), (FILE, IMAGE)),
    "a field behind it": form((FILE, IMAGE), (FIELD, b"hello")),
    "under any name": form((FILE.replace(b'"file"', b'"image[]"'), IMAGE)),
    "text before and behind": b"preamble\r\n" + form((FILE, IMAGE)) + b"epilogue",
    "a length of its own, which lies": form((FILE + b"Content-Length: 3\r\n", IMAGE)),
    "without a line at the end": form((FILE, IMAGE), end=b"--b--"),
}


async def test_a_form_has_one_file_and_any_fields(server: UploadServer) -> None:
    for name, body in FORMS.items():
        code, info = await server.upload(body, FORM)
        assert (code in (200, 201), info.get("bytes")) == (True, len(IMAGE)), (name, info)


async def test_forms_as_clients_make_them(server: UploadServer) -> None:
    data = aiohttp.FormData()
    data.add_field("file", IMAGE, filename="boat.png", content_type="image/png")
    assert (await server.upload(data, None))[0] == 201


BROKEN = {
    "two files": form((FILE, IMAGE), (FILE, IMAGE)),
    "no file": form((FIELD, IMAGE)),
    "nothing": b"",
    "no part": b"--b--\r\n",
    "another boundary": form((FILE, IMAGE)).replace(b"--b", b"--c"),
    "no end": form((FILE, IMAGE), end=b""),
    "cut within the file": form((FILE, IMAGE))[:-200],
    "cut within its headers": form((FILE, IMAGE))[:30],
    "a form within the form": form((b"Content-Type: multipart/mixed; boundary=c\r\n", b"--c\r\n\r\nx\r\n--c--")),
    "headers without end": b"--b\r\n" + b"X: y\r\n" * 10_000,
    "a header of 100 kB": b"--b\r\nX: " + b"y" * MOST,
    "no text": b"--b\r\n\xff\xfe\r\n\r\n",
    "something behind a part": form((FILE, IMAGE)).replace(b"--b--", b"--b-x"),
}


async def test_broken_forms_are_refused_and_leave_nothing(server: UploadServer) -> None:
    for name, body in BROKEN.items():
        code, problem = await server.upload(body, FORM)
        assert (code, problem["code"]) == (422, "wrong_shape"), (name, problem)
        assert server.files == []
    for boundary in ("", "; boundary=", f"; boundary={'b' * 71}"):
        code, problem = await server.upload(form((FILE, IMAGE)), f"multipart/form-data{boundary}")
        assert (code, problem["code"]) == (422, "wrong_shape")


async def test_a_part_in_base64_is_no_image(server: UploadServer) -> None:
    """RFC 7578 section 4.7 has done away with it, and no client sends it."""
    part = FILE + b"Content-Transfer-Encoding: base64\r\n", b"iVBORw0KGgoAAAANSUhEUgAA"
    assert (await server.upload(form(part), FORM))[1]["code"] == "bad_image"


async def test_the_bytes_of_a_file_are_whole_however_they_are_cut(server: UploadServer) -> None:
    """What looks like the beginning of a boundary is part of the image, wherever a piece of the body ends."""
    image = IMAGE[:200] + b"\r\n--\r\n-\r\r\n--a--\r\n--" * 10
    image = image_file(size=(8, 8)) + image
    body = form((FIELD, b"\r\n--"), (FILE, image))
    expected = "u" + base64.urlsafe_b64encode(hashlib.sha256(image).digest()).decode().rstrip("=")

    async def pieces(size: int) -> AsyncIterator[bytes]:
        for start in range(0, len(body), size):
            yield body[start : start + size]

    for size in (1, 2, 3, 7, 64, len(body)):
        code, info = await server.upload(pieces(size), FORM)
        assert (code in (200, 201), info.get("upload_id")) == (True, expected), size


async def test_fields_beside_the_file_are_bounded(server: UploadServer) -> None:
    code, problem = await server.upload(form((FIELD, b"x" * 70_000), (FILE, IMAGE)), FORM)
    assert (code, problem["code"]) == (413, "frame_too_large")


# Media types and encodings


async def test_other_bodies_are_refused(server: UploadServer) -> None:
    types = ("text/plain", "application/json", "application/x-www-form-urlencoded", "video/mp4", "multipart/mixed")
    for media_type in types:
        code, problem = await server.upload(IMAGE, media_type)
        assert (code, problem["code"], problem["field"]) == (415, "unsupported_type", "Content-Type")


async def test_a_compressed_body_is_refused(server: UploadServer) -> None:
    headers = {"Content-Encoding": "gzip"}
    code, problem = await server.upload(gzip.compress(IMAGE), "image/png", headers=headers)
    assert (code, problem["code"], problem["field"]) == (415, "unsupported_type", "Content-Encoding")


# Other websites


def browser(**headers: str) -> dict[str, str]:
    return {"Cookie": "a=b", **{name.replace("_", "-"): value for name, value in headers.items()}}


async def test_another_website_can_upload_nothing(server: UploadServer) -> None:
    """A form of another website is sent with the cookies of whoever visits it."""
    own = server.url.rstrip("/")
    for media_type, body in ((FORM, form((FILE, IMAGE))), ("image/png", IMAGE)):
        for origin in ("https://evil.example", "null"):
            code, problem = await server.upload(body, media_type, headers=browser(Origin=origin))
            assert (code, problem["code"]) == (403, "forbidden")
        for site in ("cross-site", "same-site"):
            assert (await server.upload(body, media_type, headers=browser(Sec_Fetch_Site=site)))[0] == 403
        assert server.files == []
        same = browser(Origin=own, Sec_Fetch_Site="same-origin")
        assert (await server.upload(body, media_type, headers=same))[0] == 201
        await server.delete((await server.listed())["uploads"][0]["upload_id"])
    # An old browser tells nothing of a form's origin, and a script with a cookie can send the image itself.
    assert (await server.upload(form((FILE, IMAGE)), FORM, headers=browser()))[0] == 415
    assert (await server.upload(IMAGE, "image/png", headers=browser()))[0] == 201
    assert (await server.upload(form((FILE, IMAGE)), FORM))[0] == 200


async def test_pages_of_allowed_origins_can(server: UploadServer) -> None:
    friend = {"Origin": "https://friend.example"}
    async with server.http.post(UPLOADS, data=IMAGE, headers={**ANN, **friend, "Content-Type": "image/png"}) as found:
        assert (found.status, found.headers["Access-Control-Allow-Origin"]) == (201, friend["Origin"])
        assert "Location" in found.headers["Access-Control-Expose-Headers"]
    asked = {**friend, "Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "authorization"}
    async with server.http.options(f"{UPLOADS}/x", headers=asked) as found:
        assert (found.status, found.headers["Access-Control-Allow-Methods"]) == (204, "GET, HEAD, DELETE")


# Too long, too slow, cut off


async def test_an_upload_that_says_it_is_too_long_is_not_read(server: UploadServer) -> None:
    async with raw(server, f"Content-Length: {MOST + 1}") as (reader, _):
        assert await status(reader) == 413


async def test_an_upload_that_turns_out_too_long_is_refused(server: UploadServer) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield IMAGE
        while True:
            yield bytes(10_000)

    try:
        code, problem = await server.upload(endless())
        assert (code, problem["code"]) == (413, "frame_too_large")
    except aiohttp.ClientError:
        # The server closes the connection of a client that does not stop.
        pass
    await eventually(lambda: server.files == [])
    assert (await server.upload(IMAGE + bytes(MOST - len(IMAGE))))[0] == 201
    assert (await server.upload(form((FILE, IMAGE + bytes(MOST - len(IMAGE) - 1))), FORM))[0] == 201


async def test_what_is_no_image_is_refused_before_all_of_it_has_come(server: UploadServer) -> None:
    async with raw(server, f"Content-Length: {MOST}") as (reader, writer):
        writer.write(b"\0\0\0\x20ftypisom" + bytes(100))
        assert await status(reader) == 422
    await eventually(lambda: server.files == [])


@pytest.mark.parametrize("bound", ["BODY_SECONDS", "UPLOAD_SECONDS"])
async def test_a_body_that_stops_or_drips_is_given_up(
    server: UploadServer, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    """Neither a pause nor the whole may last for ever. The body never ends, so no machine is too slow for this."""
    monkeypatch.setattr(upload_bodies, "BODY_SECONDS", 10_000.0)
    monkeypatch.setattr(upload_bodies, bound, 0.1)
    async with raw(server, f"Content-Length: {MOST}") as (reader, writer):
        writer.write(IMAGE[:100])
        assert await status(reader) == 408
    await eventually(lambda: server.files == [])


@pytest.mark.parametrize("size", [0, 1, len(IMAGE) // 2, len(IMAGE) - 1])
async def test_a_client_that_leaves_in_the_middle_leaves_nothing(server: UploadServer, size: int) -> None:
    async with raw(server, f"Content-Length: {len(IMAGE)}") as (_, writer):
        writer.write(IMAGE[:size])
        await eventually(lambda: server.files)
    await eventually(lambda: server.files == [])
    assert await server.listed() == {"uploads": []}


async def test_broken_chunks_are_refused(server: UploadServer) -> None:
    async with raw(server, "Transfer-Encoding: chunked") as (reader, writer):
        writer.write(b"%x\r\n%b\r\nnonsense\r\n" % (len(IMAGE), IMAGE))
        assert await status(reader) in (400, 422)
    await eventually(lambda: server.files == [])


# At once


async def test_two_equal_uploads_at_once_are_one(server: UploadServer) -> None:
    answers = await asyncio.gather(*(server.upload(IMAGE) for _ in range(4)))
    assert sorted(code for code, _ in answers) == [200, 200, 200, 201]
    assert len({info["upload_id"] for _, info in answers}) == 1
    assert len(server.files) == 1


async def test_uploads_that_are_being_received_are_bounded(
    server: UploadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They count only once they are there, so one owner could otherwise fill the disk with beginnings."""
    monkeypatch.setattr(uploads_module, "AT_ONCE", 2)
    length = f"Content-Length: {len(IMAGE)}"
    async with raw(server, length) as (first, writer), raw(server, length):
        await eventually(lambda: len(server.files) == 2)
        code, problem = await server.upload(IMAGE)
        assert (code, problem["code"], problem["retry_after"]) == (429, "too_many_uploads", 1.0)
        assert (await server.upload(IMAGE, user=BOB))[0] == 201
        writer.write(IMAGE)
        assert await status(first) == 201
        assert (await server.upload(IMAGE))[0] == 200
    await eventually(lambda: len(server.files) == 2)


# A disk that takes nothing


def full(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.fixture(params=["open", "write", "keep"])
def full_disk(request: pytest.FixtureRequest) -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UploadFiles if request.param == "keep" else IncomingFile, request.param, full)
        yield patch


async def test_uploads_leave_the_last_of_a_disk_free(server: UploadServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Owners may be as many as there are browsers, and accepted tasks need room for what they make."""
    disk = os.statvfs(server.folder.parent)
    with monkeypatch.context() as patch:
        patch.setattr(upload_files, "RESERVE", 10**18)
        patch.setattr(os, "fstatvfs", lambda _: os.statvfs_result((*disk[:4], disk.f_blocks // 20, *disk[5:])))
        code, problem = await server.upload(IMAGE)
        assert (code, problem["code"]) == (503, "storage_unavailable")
        assert server.files == []
        patch.setattr(upload_files, "RESERVE", 10_000)
        assert (await server.upload(IMAGE))[0] == 201


async def test_a_full_disk_refuses_uploads_until_there_is_room(
    server: UploadServer, full_disk: pytest.MonkeyPatch
) -> None:
    code, problem = await server.upload(IMAGE)
    assert (code, problem["code"], problem["retryable"]) == (503, "storage_unavailable", True)
    assert server.files == []
    full_disk.undo()
    assert (await server.upload(IMAGE))[0] == 201
