"""One contract for the emulator and the real Xinference 4.1.0 in images that start from images, over HTTP.

What the real server does is right: where the emulator differs, the emulator is wrong.
"""

import asyncio
import base64
import io
from typing import Any

import pytest
from PIL import Image

from clients import LONG
from emulator_client import XinferenceClient, new_id
from xinference_kinds import ANIMATOR, WRITER
from xinference_real import MODEL

pytest_plugins = ["xinference_fixtures", "contract_fixtures"]
pytestmark = pytest.mark.timeout(900)  # the first one on the real server also starts it and its models

SLOW: dict[str, Any] = {"width": 256, "height": 256, "steps": 60, "denoising_strength": 1.0}
"""Some 10 s on the real server with one core: nothing that is to be aborted ends by itself."""


def picture(size: tuple[int, int] = (64, 64), mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert(mode).save(out, "PNG")
    return out.getvalue()


def mask(box: tuple[int, int, int, int]) -> str:
    image = Image.new("L", (64, 64), 0)
    image.paste(255, box)
    out = io.BytesIO()
    image.save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


async def over(client: XinferenceClient, **fields: Any) -> str:
    """Return the image that is made over a gradient, as base64."""
    answer = await client.img2img(picture(), **{"model": MODEL, "seed": 7, "cfg_scale": 3.5, **fields})
    assert answer.status == 200, answer.body
    assert answer.body.keys() == {"images", "info", "parameters"}
    [image] = answer.body["images"]
    assert isinstance(image, str)
    return image


async def test_a_seed_and_a_start_fix_every_byte(images: XinferenceClient) -> None:
    """A data URL is the same start; another seed, start, strength and mask are other images."""
    first = await over(images)
    with Image.open(io.BytesIO(base64.b64decode(first))) as image:
        assert (image.format, image.size) == ("JPEG", (64, 64))
    url = "data:image/png;base64," + base64.b64encode(picture()).decode()
    assert await over(images, init_images=[url]) == first
    others = [
        await over(images, seed=8),
        await over(images, denoising_strength=0.9),
        await over(images, mask=mask((0, 0, 32, 64))),
        await over(images, init_images=[base64.b64encode(picture(mode="1")).decode()]),
    ]
    assert len({first, *others}) == 5


async def test_the_other_routes_give_the_same_bytes(images: XinferenceClient) -> None:
    """A form in place of JSON. What is no image is a 500 there."""
    same: dict[str, Any] = {"seed": 7, "guidance_scale": 3.5, "strength": 0.7}
    for masked in (None, mask((0, 0, 32, 64))):
        ours = {} if masked is None else {"mask": masked}
        expected = await over(images, denoising_strength=0.7, **ours)
        white = None if masked is None else base64.b64decode(masked)
        answer = await images.variation(picture(), same, white, model=MODEL)
        assert answer.status == 200, answer.body
        assert [image["b64_json"] for image in answer.body["data"]] == [expected]
    assert (await images.variation(b"<svg/>", same, model=MODEL)).status == 500
    assert (await images.variation(picture(), same, model="nope")).status == 404


async def test_masks_that_are_none(images: XinferenceClient) -> None:
    """An empty text is no mask; a white one gives the same bytes, but its default strength is 1.0 in place of 0.6."""
    white = mask((0, 0, 64, 64))
    bare = await over(images)
    assert await over(images, mask="") == bare
    assert await over(images, denoising_strength=0.6) == bare
    assert await over(images, denoising_strength=0.6, mask=white) == bare
    assert await over(images, mask=white) == await over(images, denoising_strength=1.0) != bare


async def test_an_inverted_mask(images: XinferenceClient) -> None:
    one = await over(images, mask=mask((0, 0, 32, 64)), inpainting_mask_invert=1)
    assert one == await over(images, mask=mask((32, 0, 64, 64)))


async def test_progress_counts_the_steps_that_run(images: XinferenceClient) -> None:
    """Ten steps at a strength of 0.3 are three."""
    request_id = new_id()
    start = picture((256, 256))
    fields = {"width": 256, "height": 256, "steps": 10, "denoising_strength": 0.3, "request_id": request_id}
    post = asyncio.create_task(images.img2img(start, model=MODEL, **fields))
    seen = {await images.reach(request_id, lambda p: p >= 0)}
    while not post.done():
        answer = await images.progress(request_id)
        seen.add(round(answer.body["progress"], 3))
        await asyncio.sleep(0.01)
    assert (await post).status == 200
    seen.add((await images.progress(request_id)).body["progress"])
    assert seen <= {0.0, 0.333, 0.667, 1.0}
    assert 1.0 in seen


@pytest.mark.parametrize(
    ("fields", "status", "detail"),
    [
        ({"init_images": []}, 422, ""),
        ({"init_images": None}, 422, ""),
        ({"denoising_strength": 0}, 422, ""),
        ({"denoising_strength": 1.5}, 422, ""),
        ({"init_images": ["?"]}, 400, "Invalid encoded image"),
        ({"init_images": ["AAAA\nAAAA"]}, 400, "Invalid encoded image"),
        ({"init_images": [base64.b64encode(b"<svg/>").decode()]}, 400, "Invalid image data"),
        ({"init_images": [base64.b64encode(picture()[:80]).decode()]}, 400, "Invalid image data"),
        ({"sampler_name": "Euler"}, 500, "got an unexpected keyword argument 'mu'"),
        ({"sampler_name": "nonsense"}, 400, "Unknown sampler: nonsense"),
        ({"enable_hr": True}, 400, "SD WebUI extensions require"),
        (
            {"init_images": [base64.b64encode(picture((96, 64))).decode()]},
            500,
            "a (32) must match the size of tensor b (48)",
        ),
        (
            {"init_images": [base64.b64encode(picture((64, 96))).decode()]},
            500,
            "tensor b (48) at non-singleton dimension 2",
        ),
        ({"init_images": [base64.b64encode(picture()).decode()] * 2}, 500, "at non-singleton dimension 0"),
        ({"model": "nope"}, 404, "uid: nope"),
    ],
)
async def test_img2img_errors(images: XinferenceClient, fields: dict[str, Any], status: int, detail: str) -> None:
    """Status and words of each."""
    answer = await images.img2img(picture(), **{"model": MODEL, **fields})
    assert (answer.status, detail in str(answer.body)) == (status, True), answer.body


async def test_an_abort_of_img2img_is_a_true_one(images: XinferenceClient) -> None:
    """It ends within a few steps with 409, a waiting one at once, and the next image is as if nothing had been."""
    reference = await over(images)
    running, waiting = new_id(), new_id()
    start = picture((256, 256))
    post = asyncio.create_task(images.img2img(start, **SLOW, model=MODEL, request_id=running))
    await images.reach(running, lambda p: p > 0)
    behind = asyncio.create_task(images.img2img(picture(), model=MODEL, request_id=waiting))
    await images.reach(waiting, lambda p: p == 0)
    for request_id, ended in ((waiting, behind), (running, post)):
        assert (await images.abort(request_id, MODEL)).body == {"msg": "DONE"}
        assert (await asyncio.wait_for(ended, LONG)).status == 409
    assert (await images.progress(running)).body["progress"] == 1.0
    assert await over(images) == reference


@pytest.mark.parametrize("model", [ANIMATOR, WRITER])
async def test_models_of_other_kinds_make_no_images(kinds: XinferenceClient, model: str) -> None:
    """A 500 that says what they are not for."""
    answer = await kinds.img2img(picture(), model=model)
    assert (answer.status, "is not for img2img." in answer.detail) == (500, True)
    assert (await kinds.txt2img(model=model)).status == 500
    assert (await kinds.generations(model=model)).status == 500
