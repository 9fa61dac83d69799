"""The emulator's videos: what is served, and the odd corners as measured on Xinference 4.1.0."""

import asyncio
import base64
import io
import json
import struct
from contextlib import AsyncExitStack
from itertools import pairwise
from typing import Any

import aiohttp
import msgspec
import pytest
from PIL import Image, features

from emulator_client import PAINTER, Answer, Server, emulated
from xinflight.demo import AnimationRequest, EmulatedModel, Faults

ANIMATOR = EmulatedModel(
    uid="animator", type="video", abilities=("text2video", "image2video"), step_seconds=0.02, decode_seconds=0.0
)


def order(answer: Answer) -> AnimationRequest:
    assert answer.status == 200, answer.body
    return msgspec.json.decode(base64.b64decode(answer.body["data"][0]["b64_json"]), type=AnimationRequest)


def image(size: tuple[int, int] = (100, 50), mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.new(mode, size).save(out, "PNG")
    return out.getvalue()


async def serve(stack: AsyncExitStack, *models: EmulatedModel, **options: Any) -> Server:
    return await stack.enter_async_context(emulated(*(models or (ANIMATOR,)), **options))


async def from_image(
    server: Server, data: bytes | None, kwargs: dict[str, Any] | None = None, **fields: str
) -> Answer:
    form = aiohttp.FormData()
    steps = {"num_inference_steps": 2, "num_frames": 5} | (kwargs or {})
    for name, value in {"model": "animator", "prompt": "a cat", "kwargs": json.dumps(steps), **fields}.items():
        if value:
            form.add_field(name, value)
    if data is not None:
        form.add_field("image", data, filename="start.png", content_type="image/png")
    async with server.session.post(server.url + "/v1/video/generations/image", data=form) as response:
        return Answer(response.status, await response.json(), {})


def boxes(data: bytes) -> dict[bytes, bytes]:
    """Return the outermost boxes of an MP4."""
    found, at = {}, 0
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        found[kind] = data[at + 8 : at + length]
        at += length
    return found


async def test_a_video_is_an_mp4(stack: AsyncExitStack) -> None:
    """An AV1 track in an MP4 of the asked size and length, the same bytes for the same seed."""
    server = await serve(stack, draws=True)
    one, again, other = [await server.video({"seed": seed, "fps": 12}) for seed in (1, 1, 2)]
    assert (one.status, one.body["data"][0]["url"]) == (200, None)
    data = base64.b64decode(one.body["data"][0]["b64_json"])
    assert again.body["data"] == one.body["data"] != other.body["data"]
    film = boxes(data)
    assert film.keys() == {b"ftyp", b"free", b"moov", b"mdat"}
    assert film[b"ftyp"].startswith(b"isom")
    moov = film[b"moov"]
    assert b"vide" in moov
    assert b"av01" in moov
    scale, length = struct.unpack_from(">IQ", moov, moov.index(b"mdhd") + 4 + 20)
    assert length / scale == 9 / 12
    assert struct.unpack_from(">IQ", moov, moov.index(b"mvhd") + 4 + 20) == (scale, length)
    track = moov.index(b"tkhd") + 4
    assert struct.unpack_from(">Q", moov, track + 28) == (length,)
    assert struct.unpack_from(">II", moov, track + 88) == (64 << 16, 64 << 16)


async def test_frames_move(stack: AsyncExitStack) -> None:
    """Read as the animated picture that it is, too, no two neighbours are the same frame."""
    server = await serve(stack, draws=True)
    data = bytearray(base64.b64decode((await server.video({"seed": 1})).body["data"][0]["b64_json"]))
    data[8:12] = b"avis"
    data[16:20] = b"avis"
    data[data.index(b"free") : data.index(b"free") + 4] = b"meta"
    data[data.rindex(b"vide") : data.rindex(b"vide") + 4] = b"pict"
    with Image.open(io.BytesIO(data)) as film:
        assert (film.size, film.n_frames) == ((64, 64), 9)  # type: ignore[attr-defined]
        shown = []
        for frame in range(9):
            film.seek(frame)
            shown.append(film.tobytes())
    assert all(one != other for one, other in pairwise(shown))


async def test_a_pillow_without_an_encoder(stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with the real one: a 500 after the whole computation that says what is missing."""
    monkeypatch.setattr(features, "check", lambda feature: False)
    answer = await (await serve(stack, draws=True)).video()
    assert (answer.status, "AVIF" in answer.detail) == (500, True)


async def test_progress_is_whole_long_before_the_answer(stack: AsyncExitStack) -> None:
    """1.0 comes with the last step; decoding and encoding follow."""
    server = await serve(stack)
    server.engine.faults = Faults(freeze=4, requests=1)
    post = asyncio.create_task(server.video({"request_id": "a"}))
    await server.reach("a", lambda p: p == 1.0)
    assert not post.done()
    server.engine.thaw()
    assert (await post).status == 200


@pytest.mark.parametrize(("frames", "made"), [(16, 17), (17, 17), (18, 17), (20, 21), (3, 1)])
async def test_frames_are_rounded(stack: AsyncExitStack, frames: int, made: int) -> None:
    """4k+1 frames, silently."""
    assert order(await (await serve(stack)).video({"num_frames": frames})).frames == made


async def test_defaults(stack: AsyncExitStack) -> None:
    """Without kwargs: 480x832, 81 frames, 10 a second."""
    server = await serve(stack, msgspec.structs.replace(ANIMATOR, step_seconds=0.0))
    answer = await server.call("POST", "/v1/video/generations", {"model": "animator", "prompt": "a cat"})
    asked = order(answer)
    assert (asked.width, asked.height, asked.frames, asked.fps, asked.steps) == (832, 480, 81, 10, 50)


@pytest.mark.parametrize(
    ("kwargs", "detail"),
    [
        ({"foo": 1}, "WanPipeline.__call__() got an unexpected keyword argument 'foo'"),
        ({"width": 64, "height": 65}, "`height` and `width` have to be divisible by 16 but are 65 and 64."),
        ({"prompt": "x"}, "got multiple values for keyword argument 'prompt'"),
        ({"response_format": "gif"}, "Unsupported response format: gif"),
        ({"num_frames": 4001, "width": 832}, "out of memory"),
        ({"max_area": "64*64"}, "unexpected keyword argument 'max_area'"),
    ],
)
async def test_kwargs_go_straight_into_the_pipeline(
    stack: AsyncExitStack, kwargs: dict[str, Any], detail: str
) -> None:
    """Whatever it doesn't know or take is a 500."""
    answer = await (await serve(stack)).video(kwargs)
    assert (answer.status, detail in answer.detail) == (500, True), answer.body


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"model": "nope", "prompt": "a"}, 404, "uid: nope"),
        ({"model": "painter", "prompt": "a"}, 500, "object has no attribute 'model_spec'"),
        ({"prompt": "a"}, 500, "TextToVideoRequest\nmodel\n  field required"),
        ({"model": "animator"}, 500, "TextToVideoRequest\nprompt\n  field required"),
        ({"model": "animator", "prompt": "a", "kwargs": {}}, 500, "str type expected"),
        ({"model": "animator", "prompt": "a", "kwargs": "{x"}, 500, "Expecting property name"),
    ],
)
async def test_input_errors(stack: AsyncExitStack, body: dict[str, Any], status: int, text: str) -> None:
    """As measured: bodies that don't validate are plain text."""
    server = await serve(stack, ANIMATOR, PAINTER)
    answer = await server.call("POST", "/v1/video/generations", body)
    assert (answer.status, text in str(answer.body if isinstance(answer.body, str) else answer.detail)) == (
        status,
        True,
    )


async def test_a_video_of_an_image_has_its_aspect(stack: AsyncExitStack) -> None:
    """Within the area that is asked for, in sides of 16 pixels; width and height have no effect."""
    server = await serve(stack)
    asked = order(await from_image(server, image(), {"max_area": "64*64", "width": 512, "height": 512}))
    assert (asked.width, asked.height) == (80, 32)
    assert asked.image == image()
    assert order(await from_image(server, image(), {"max_area": [64, 64]})).width == 80


async def test_a_video_of_an_image_is_drawn(stack: AsyncExitStack) -> None:
    server = await serve(stack, draws=True)
    answer = await from_image(server, image(), {"max_area": "64*64"})
    assert b"ftyp" in base64.b64decode(answer.body["data"][0]["b64_json"])[:12]


@pytest.mark.parametrize(
    ("data", "kwargs", "fields", "status"),
    [
        (image(mode="RGBA"), {}, {}, 500),
        (b"<svg/>", {}, {}, 500),
        (image(), {"max_area": 4096}, {}, 500),
        (image(), {"foo": 1}, {}, 500),
        (image(), {}, {"prompt": ""}, 500),
        (None, {}, {}, 422),
        (image(), {}, {"model": ""}, 422),
        (image(), {}, {"model": "nope"}, 404),
    ],
)
async def test_form_errors(
    stack: AsyncExitStack, data: bytes | None, kwargs: dict[str, Any], fields: dict[str, str], status: int
) -> None:
    """Each with the status that was measured."""
    assert (await from_image(await serve(stack), data, kwargs, **fields)).status == status


async def test_an_abort_never_stops_a_video(stack: AsyncExitStack) -> None:
    """NO_OP and a 409 at once; it computes on, and what runs meanwhile fails with it, and the next one is whole."""
    server = await serve(stack)
    server.engine.faults = Faults(freeze=2, requests=1)
    post = asyncio.create_task(server.video({"request_id": "a", "num_inference_steps": 10}))
    await server.reach("a", lambda p: p == 0.2)
    assert (await server.abort("a", "animator")).body == {"msg": "NO_OP"}
    assert (await post).status == 409
    assert (await server.progress("a")).body["progress"] == 1.0
    server.engine.faults = Faults(freeze=1, requests=1)
    meanwhile = asyncio.create_task(server.video({"request_id": "b", "num_inference_steps": 4}))
    await server.reach("b", lambda p: p == 0.25)
    server.engine.thaw()
    answer = await meanwhile
    assert (answer.status, "is out of bounds for dimension 0" in answer.detail) == (500, True)


async def test_a_waiting_video_is_aborted_and_never_runs(stack: AsyncExitStack) -> None:
    server = await serve(stack)
    server.engine.faults = Faults(freeze=2, requests=1)
    post = asyncio.create_task(server.video({"request_id": "a"}))
    await server.reach("a", lambda p: p == 0.5)
    waiting = asyncio.create_task(server.video({"request_id": "b"}))
    await server.reach("b", lambda p: p == 0.0)
    assert (await server.video({"request_id": "b"})).detail.endswith("Duplicate request id: b")
    assert (await server.abort("b", "animator")).body == {"msg": "NO_OP"}
    assert (await waiting).status == 409
    server.engine.thaw()
    assert (await post).status == 200


async def test_a_termination_is_the_only_true_cancel(stack: AsyncExitStack) -> None:
    server = await serve(stack)
    server.engine.faults = Faults(freeze=2, requests=1)
    post = asyncio.create_task(server.video({"request_id": "a"}))
    await server.reach("a", lambda p: p == 0.5)
    server.engine.terminate("animator")
    assert "closed: 0 bytes" in (await post).detail


async def test_faults_in_a_prompt(stack: AsyncExitStack) -> None:
    """They strike a video as they strike an image."""
    server = await serve(stack)
    assert (await server.video(prompt="a boat demo:error=kaput")).detail.endswith("] kaput")
    assert (await server.video(prompt="a boat demo:refuse=2")).headers["Retry-After"] == "2"
    assert (await server.video(prompt="a boat demo:garbage=shape")).body["data"] == "none"
