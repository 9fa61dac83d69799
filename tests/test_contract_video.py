"""One contract for the emulator and the real Xinference 4.1.0 in videos, over HTTP.

What the real server does is right: where the emulator differs, the emulator is wrong.
"""

import asyncio
import base64
import struct
from typing import Any

import pytest

from clients import LONG
from emulator_client import Answer, XinferenceClient, new_id
from xinference_kinds import ANIMATOR, CONTEXT, WRITER
from xinference_real import MODEL

pytest_plugins = ["xinference_fixtures", "contract_fixtures"]
pytestmark = pytest.mark.timeout(900)  # the first one on the real server also starts it and its models


def film(answer: Answer) -> bytes:
    assert answer.status == 200, answer.body
    [entry] = answer.body["data"]
    assert entry["url"] is None
    return base64.b64decode(entry["b64_json"])


def film_shape(data: bytes) -> tuple[int, int, float]:
    """Return width, height and seconds of an MP4, from the header of its only track."""
    assert data[4:12] == b"ftypisom"
    at = data.index(b"mdhd") + 4
    if data[at] == 1:
        scale, length = struct.unpack_from(">IQ", data, at + 20)
    else:
        scale, length = struct.unpack_from(">II", data, at + 12)
    at = data.index(b"tkhd") + 4
    width, height = struct.unpack_from(">II", data, at + (88 if data[at] == 1 else 76))
    return width >> 16, height >> 16, length / scale


async def test_a_video_is_an_mp4(kinds: XinferenceClient) -> None:
    """Of the asked size, in 4k+1 frames at the asked pace; the same seed is the same bytes."""
    kwargs = {"seed": 7, "num_frames": 8, "fps": 5}
    first = film(await kinds.video(kwargs, model=ANIMATOR))
    assert film_shape(first) == (64, 64, 9 / 5)
    assert film(await kinds.video(kwargs, model=ANIMATOR)) == first
    assert film(await kinds.video(kwargs | {"seed": 8}, model=ANIMATOR)) != first


async def test_progress_of_a_video_is_whole_before_the_answer(kinds: XinferenceClient) -> None:
    request_id = new_id()
    kwargs = {"request_id": request_id, "num_inference_steps": 10, "width": 128, "height": 128}
    post = asyncio.create_task(kinds.video(kwargs, model=ANIMATOR))
    await kinds.reach(request_id, lambda p: p == 1.0)
    assert not post.done()
    film(await post)


@pytest.mark.parametrize(
    ("kwargs", "fields", "status", "text"),
    [
        ({"foo": 1}, {}, 500, "WanPipeline.__call__() got an unexpected keyword argument 'foo'"),
        ({"height": 65}, {}, 500, "`height` and `width` have to be divisible by 16 but are 65 and 64."),
        ({"response_format": "gif"}, {}, 500, "gif"),
        ({}, {"model": "nope"}, 404, "uid: nope"),
        ({}, {"model": MODEL}, 500, "object has no attribute 'model_spec'"),
        ({}, {"model": WRITER}, 500, "is not for creating video."),
        ({}, {"prompt": None}, 500, "1 validation error for TextToVideoRequest\nprompt\n"),
    ],
)
async def test_video_errors(
    kinds: XinferenceClient, kwargs: dict[str, Any], fields: dict[str, Any], status: int, text: str
) -> None:
    """Unknown kwargs go straight into the pipeline; nothing but an unknown model is told by a status of its own."""
    answer = await kinds.video(kwargs, **{"model": ANIMATOR, **fields})
    said = answer.body if isinstance(answer.body, str) else answer.detail
    assert (answer.status, text in said) == (status, True), said


async def test_an_abort_never_stops_a_video(kinds: XinferenceClient) -> None:
    """NO_OP, and a 409 at once, running or waiting. When the compute has ended, videos are whole again."""
    reference = film(await kinds.video({"seed": 7}, model=ANIMATOR))
    running, waiting = new_id(), new_id()
    slow = {"request_id": running, "num_inference_steps": 40, "width": 128, "height": 128}
    post = asyncio.create_task(kinds.video(slow, model=ANIMATOR))
    await kinds.reach(running, lambda p: p > 0)
    behind = asyncio.create_task(kinds.video({"request_id": waiting}, model=ANIMATOR))
    await kinds.reach(waiting, lambda p: p == 0)
    duplicate = await kinds.video({"request_id": waiting}, model=ANIMATOR)
    assert (duplicate.status, "Duplicate request id" in duplicate.detail) == (500, True)
    for request_id, ended in ((waiting, behind), (running, post)):
        assert (await kinds.abort(request_id, ANIMATOR)).body == {"msg": "NO_OP"}
        assert (await asyncio.wait_for(ended, LONG)).status == 409
    assert (await kinds.progress(running)).body["progress"] == 1.0
    async with asyncio.timeout(LONG):
        while True:
            # Those that share the pipeline with the compute that goes on fail.
            answer = await kinds.video({"seed": 7}, model=ANIMATOR)
            if answer.status == 200 and film(answer) == reference:
                return
            await asyncio.sleep(0.2)


async def test_whether_an_id_is_in_use(kinds: XinferenceClient) -> None:
    """Two prompts fail for the id while it is in use, to the answer, else for themselves, and no model is asked."""

    async def refused_for(request_id: str) -> str:
        answer = await kinds.video({"request_id": request_id, "prompt": ""}, model=ANIMATOR)
        assert answer.status == 500
        return answer.detail

    running, unused = new_id(), new_id()
    kwargs = {"request_id": running, "num_inference_steps": 20, "width": 128, "height": 128, "num_frames": 17}
    post = asyncio.create_task(kinds.video(kwargs, model=ANIMATOR))
    before = await kinds.reach(running, lambda p: p > 0)
    assert "Duplicate request id" in await refused_for(running)
    assert (await kinds.progress(running)).body["progress"] >= before
    assert "multiple values for" in await refused_for(unused)
    assert (await kinds.progress(unused)).status == 400
    assert not post.done(), "it did not wait for its turn"
    await kinds.reach(running, lambda p: p == 1.0)
    assert "Duplicate request id" in await refused_for(running)
    assert not post.done()
    film(await post)
    assert "multiple values for" in await refused_for(running)


async def test_models_of_each_kind_are_listed(kinds: XinferenceClient) -> None:
    """With their type and abilities."""
    listed = {model["id"]: model for model in (await kinds.get("/v1/models")).body["data"]}
    assert (listed[ANIMATOR]["model_type"], listed[ANIMATOR]["model_ability"]) == ("video", ["text2video"])
    assert (listed[WRITER]["model_type"], listed[WRITER]["model_ability"]) == ("LLM", ["chat", "generate"])
    assert listed[WRITER]["context_length"] == CONTEXT
    for uid in (ANIMATOR, WRITER):
        [replica] = (await kinds.get(f"/v1/models/{uid}/replicas")).body
        assert replica["status"] == "READY"
