"""The emulator's img2img: what is drawn over what, and the odd corners as measured on Xinference 4.1.0."""

import asyncio
import base64
import io
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest
from PIL import Image, ImageChops

from emulator_client import PAINTER, Answer, Server, emulated
from xinflight.demo import EmulatedModel, Faults, OverdrawingRequest

ALL = msgspec.structs.replace(PAINTER, abilities=("text2image", "image2image", "inpainting"))
EDITOR = msgspec.structs.replace(PAINTER, uid="editor", abilities=("image2image",))


def picture(size: tuple[int, int] = (64, 64), colour: Any = "navy", mode: str = "RGB", form: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, colour).save(out, form)
    return out.getvalue()


def masked(box: tuple[int, int, int, int], mode: str = "L") -> str:
    image = Image.new("L", (64, 64), 0)
    image.paste(255, box)
    out = io.BytesIO()
    image.convert(mode).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def drawn(answer: Answer) -> Image.Image:
    assert answer.status == 200, answer.body
    return Image.open(io.BytesIO(base64.b64decode(answer.body["images"][0])))


def order(answer: Answer) -> OverdrawingRequest:
    assert answer.status == 200, answer.body
    return msgspec.json.decode(base64.b64decode(answer.body["images"][0]), type=OverdrawingRequest)


def difference(one: Image.Image, other: Image.Image) -> int:
    """Return the greatest difference of two pixels, of 255."""
    bands = ImageChops.difference(one.convert("RGB"), other.convert("RGB")).getextrema()
    return max(high for _, high in bands)  # type: ignore[misc]


async def serve(stack: AsyncExitStack, *models: EmulatedModel, **options: Any) -> Server:
    return await stack.enter_async_context(emulated(*(models or (ALL,)), **options))


async def test_the_start_shows_through_as_the_strength_allows(stack: AsyncExitStack) -> None:
    """The weaker, the nearer to the start; the same request is the same bytes."""
    server = await serve(stack, draws=True)
    start = Image.new("RGB", (64, 64), "navy")
    weak, again, strong = [
        drawn(await server.img2img(picture(), seed=1, denoising_strength=strength)) for strength in (0.1, 0.1, 1.0)
    ]
    assert weak.tobytes() == again.tobytes()
    assert difference(weak.crop((0, 0, 64, 40)), start.crop((0, 0, 64, 40))) < 70
    assert difference(weak, strong) > 70


async def test_only_what_the_mask_covers_is_drawn_over(stack: AsyncExitStack) -> None:
    """White is repainted; the rest comes through a JPEG, so it is near, not equal."""
    server = await serve(stack, draws=True)
    image = drawn(await server.img2img(picture(), mask=masked((0, 0, 32, 64)), denoising_strength=1.0, seed=1))
    start = Image.new("RGB", (64, 64), "navy")
    right, left = (40, 0, 64, 64), (0, 0, 24, 64)
    assert difference(image.crop(right), start.crop(right)) < 12
    assert difference(image.crop(left), start.crop(left)) > 60
    other = drawn(
        await server.img2img(
            picture(), mask=masked((0, 0, 32, 64)), denoising_strength=1.0, seed=1, inpainting_mask_invert=1
        )
    )
    assert difference(other.crop(left), start.crop(left)) < 12


@pytest.mark.parametrize("mask", ["", masked((0, 0, 64, 64))])
async def test_an_empty_mask_and_a_white_one_are_none(stack: AsyncExitStack, mask: str) -> None:
    """Either gives the bytes of a request without a mask."""
    server = await serve(stack, draws=True)
    bare = drawn(await server.img2img(picture(), seed=1, denoising_strength=0.5))
    same = drawn(await server.img2img(picture(), seed=1, denoising_strength=0.5, mask=mask))
    assert same.tobytes() == bare.tobytes()


@pytest.mark.parametrize(("steps", "strength", "run"), [(10, 0.3, 3), (10, None, 6), (4, 0.01, 1), (10, 1.0, 10)])
async def test_strength_shortens_the_run(stack: AsyncExitStack, steps: int, strength: float | None, run: int) -> None:
    """Steps are multiplied by the strength, 0.6 by default, and rounded up; progress counts those."""
    server = await serve(stack)
    given = {} if strength is None else {"denoising_strength": strength}
    assert order(await server.img2img(picture(), steps=steps, **given)).steps == run


async def test_inpainting_repaints_in_full_by_default(stack: AsyncExitStack) -> None:
    """With a mask the default strength is another pipeline's, 1.0."""
    server = await serve(stack)
    assert order(await server.img2img(picture(), steps=10, mask=masked((0, 0, 9, 9)))).strength == 1.0


@pytest.mark.parametrize(
    ("mode", "form", "colour"),
    [
        ("RGB", "JPEG", "navy"),
        ("RGB", "WEBP", "navy"),
        ("RGBA", "PNG", (0, 0, 128, 9)),
        ("L", "PNG", 40),
        ("P", "GIF", 3),
        ("RGB", "BMP", "navy"),
        ("RGB", "TIFF", "navy"),
    ],
)
async def test_many_formats_are_read(stack: AsyncExitStack, mode: str, form: str, colour: Any) -> None:
    """Whatever Pillow reads, as a bare base64 or a data URL."""
    server = await serve(stack, draws=True)
    data = picture(mode=mode, form=form, colour=colour)
    bare = drawn(await server.img2img(data, seed=1))
    url = f"data:image/{form.lower()};base64,{base64.b64encode(data).decode()}"
    assert drawn(await server.img2img(url, seed=1)).tobytes() == bare.tobytes()


@pytest.mark.parametrize(
    ("fields", "status", "detail"),
    [
        ({"init_images": []}, 422, "at least 1 items"),
        ({"init_images": None}, 422, "none is not an allowed value"),
        ({"denoising_strength": 0}, 422, "greater than 0"),
        ({"denoising_strength": 1.1}, 422, "less than or equal to 1"),
        ({"init_images": ["?"]}, 400, "Invalid encoded image"),
        ({"init_images": ["AA\nAA"]}, 400, "Invalid encoded image"),
        ({"init_images": ["https://example.org/a.png"]}, 400, "Invalid encoded image"),
        ({"init_images": [base64.b64encode(b"<svg/>").decode()]}, 400, "Invalid image data"),
        ({"init_images": [base64.b64encode(picture()[:60]).decode()]}, 400, "Invalid image data"),
        ({"mask": base64.b64encode(b"<svg/>").decode()}, 400, "Invalid image data"),
        ({"sampler_name": "Euler"}, 500, "unexpected keyword argument 'mu'"),
        ({"sampler_name": "nonsense"}, 400, "Unknown sampler: nonsense"),
        ({"enable_hr": True}, 400, "SD WebUI extensions"),
        ({"init_images": [base64.b64encode(picture()).decode()] * 2}, 500, "must match the size of tensor"),
        ({"model": "nope"}, 404, "uid: nope"),
    ],
)
async def test_input_errors(stack: AsyncExitStack, fields: dict[str, Any], status: int, detail: str) -> None:
    """Each as measured, with the words of Xinference."""
    server = await serve(stack)
    answer = await server.img2img(picture(), **fields)
    assert (answer.status, detail in answer.detail) == (status, True), answer.body


async def test_a_missing_image_is_422(stack: AsyncExitStack) -> None:
    server = await serve(stack)
    answer = await server.call("POST", "/sdapi/v1/img2img", {"model": "painter", "prompt": "a cat"})
    assert (answer.status, "init_images\n  field required" in answer.detail) == (422, True)


async def test_another_size_fails_after_the_whole_computation(stack: AsyncExitStack) -> None:
    """The painter does not resize: its steps are made, progress is 1.0, and then it is a 500."""
    server = await serve(stack)
    server.engine.faults = Faults(freeze=4, requests=1)
    post = asyncio.create_task(server.img2img(picture((96, 64)), request_id="a", denoising_strength=1))
    await server.reach("a", lambda p: p == 1.0)
    assert not post.done()
    server.engine.thaw()
    answer = await post
    assert (answer.status, "The size of tensor a (32) must match the size of tensor b (48)" in answer.detail) == (
        500,
        True,
    )


async def test_a_huge_start_of_another_size_wedges_the_replica(stack: AsyncExitStack) -> None:
    """A PNG of a few kilobytes: an abort says DONE and frees nothing; only a termination helps."""
    server = await serve(stack)
    start = picture((4000, 4000), 1, mode="1")
    assert len(start) < 10_000
    post = asyncio.create_task(server.img2img(start, request_id="a"))
    await server.reach("a", lambda p: p == 0.0)
    behind = asyncio.create_task(server.txt2img(request_id="b"))
    await server.reach("b", lambda p: p == 0.0)
    assert (await server.abort("a")).body == {"msg": "DONE"}
    assert (await server.progress("a")).body["progress"] == 0.0
    assert not post.done()
    server.engine.terminate("painter")
    assert [(await post).status, (await behind).status] == [500, 500]


async def test_a_model_without_masks(stack: AsyncExitStack) -> None:
    """A mask is a 500 where the model has no inpainting; so is any start where it has no image2image."""
    server = await serve(
        stack, msgspec.structs.replace(ALL, abilities=("text2image", "image2image")), EDITOR, _painter("plain")
    )
    answer = await server.img2img(picture(), mask=masked((0, 0, 9, 9)))
    assert (answer.status, "does not support inpainting" in answer.detail) == (500, True)
    answer = await server.img2img(picture(), model="plain")
    assert (answer.status, "is not for img2img" in answer.detail) == (500, True)
    answer = await server.txt2img(model="editor")
    assert answer.status == 500


def _painter(uid: str) -> EmulatedModel:
    return msgspec.structs.replace(PAINTER, uid=uid)


async def test_an_edit_model_has_a_size_of_its_own(stack: AsyncExitStack) -> None:
    """It takes any input size, keeps the asked aspect at a megapixel, and ignores the strength."""
    server = await serve(stack, EDITOR)
    asked = order(
        await server.img2img(picture((70, 50)), model="editor", width=256, height=128, denoising_strength=0.2)
    )
    assert (asked.width, asked.height, asked.steps, asked.edit) == (1440, 720, 4, True)


async def test_an_abort_of_the_other_routes_stops_nothing(stack: AsyncExitStack) -> None:
    """It says NO_OP, the request is answered 409, and the pipeline works on, with the next one beside it."""
    server = await serve(stack)
    for white in (None, base64.b64decode(masked((0, 0, 32, 64)))):
        server.engine.faults = Faults(freeze=2, requests=1)
        kwargs = {"request_id": f"a{white is None}", "strength": 1.0}
        post = asyncio.create_task(server.variation(picture(), kwargs, white))
        await server.reach(str(kwargs["request_id"]), lambda p: p == 0.5)
        assert (await server.abort(str(kwargs["request_id"]))).body == {"msg": "NO_OP"}
        assert (await post).status == 409
        behind = asyncio.create_task(server.img2img(picture(), steps=2, request_id=f"b{white is None}"))
        await server.reach(f"b{white is None}", lambda p: p > 0)
        server.engine.thaw()
        await behind


async def test_an_abort_stops_it_and_frees_the_model(stack: AsyncExitStack) -> None:
    """A running one ends with 409 at the next step, and a waiting one at once."""
    server = await serve(stack)
    server.engine.faults = Faults(freeze=2, requests=1)
    post = asyncio.create_task(server.img2img(picture(), request_id="a", denoising_strength=1))
    await server.reach("a", lambda p: p == 0.5)
    waiting = asyncio.create_task(server.img2img(picture(), request_id="b"))
    await server.reach("b", lambda p: p == 0.0)
    assert (await server.abort("b")).body == {"msg": "DONE"}
    assert (await waiting).status == 409
    assert (await server.abort("a")).body == {"msg": "DONE"}
    server.engine.thaw()
    assert (await post).status == 409
    assert (await server.img2img(picture(), request_id="c")).status == 200
