"""Images that start from images, through the server: what is asked of the model, and what comes back."""

from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest
from PIL import Image

from clients import Json, WireClient, eventually
from conftest import Serve
from image_files import png
from images import encoded, gradient, opened
from start_studio import ALL, EDITOR, Studio, open_studio
from xinflight.demo import Faults
from xinflight.imaging import imaging

SIZE = (96, 64)
LEFT = Image.new("L", SIZE, 0)
LEFT.paste(255, (0, 0, 48, 64))


@pytest.fixture
async def studio(stack: AsyncExitStack, emulate: Serve, serve: Serve) -> Studio:
    """Give a server in front of models that draw over images, that draw, and that edit."""
    return await open_studio(stack, emulate, serve)


# What is made


async def test_an_image_over_an_image(studio: Studio) -> None:
    """Its size is that of the start, and so is that of the image; the strength has a default that is told."""
    start = await studio.upload(encoded(gradient()))
    ack, [made] = await studio.make("a", image=start)
    assert ack["params"] | {"kind": "image2image", "image": start, "size": "96x64", "strength": 0.6} == ack["params"]
    assert opened(made).size == SIZE
    assert [route for route, _, _ in studio.engine.posts] == ["img2img"]
    assert opened(studio.starts[0]).tobytes() == gradient().tobytes()
    [body] = studio.engine.img2img_bodies
    assert (body.width, body.height, body.denoising_strength, body.mask) == (96, 64, 0.6, None)
    # The same request is the same bytes; another strength is another image. No prompt is none.
    assert (await studio.make("b", image=start))[1] == [made]
    assert (await studio.make("c", image=start, strength=0.9))[1] != [made]
    assert (await studio.make("d", image=start, prompt=None))[0]["params"].get("prompt", "") == ""


async def test_only_what_the_mask_covers_changes(studio: Studio) -> None:
    """The kept pixels are those of the start, although what was made is a JPEG; the file is a PNG."""
    start, mask = await studio.upload(encoded(gradient())), await studio.upload(encoded(LEFT))
    ack, [made] = await studio.make("a", image=start, mask=mask)
    assert (ack["params"]["kind"], ack["params"]["strength"], ack["params"]["mask"]) == ("inpainting", 1.0, mask)
    image = opened(made)
    assert (image.format, image.size) == ("PNG", SIZE)
    assert image.crop((48, 0, 96, 64)).tobytes() == gradient().crop((48, 0, 96, 64)).tobytes()
    assert image.crop((0, 0, 48, 64)).tobytes() != gradient().crop((0, 0, 48, 64)).tobytes()
    [output] = studio.client.of("a", "output")
    assert (output["media_type"], output["width"], output["height"], output["bytes"]) == (
        "image/png",
        96,
        64,
        len(made),
    )
    assert (await studio.make("b", image=start, mask=mask))[1] == [made]
    # By its alpha, the same mask.
    holes = gradient().convert("RGBA")
    holes.putalpha(LEFT.point([255 - value for value in range(256)]))
    assert (await studio.make("c", image=start, mask=await studio.upload(encoded(holes))))[1] == [made]


async def test_an_edit_has_the_size_that_the_model_chooses(studio: Studio) -> None:
    """The start keeps its proportions, whatever size is asked for; what comes back says what it is."""
    start = await studio.upload(encoded(gradient((128, 64))))
    ack, [made] = await studio.make("a", image=start, model="editor")
    assert ack["params"]["kind"] == "edit"
    assert not {"size", "strength"} & ack["params"].keys()
    assert opened(made).size == (1440, 720)
    [output] = studio.client.of("a", "output")
    assert (output["width"], output["height"]) == (1440, 720)
    ack, _ = await studio.make("b", image=start, model="editor", size="64x64")
    assert ack["params"]["size"] == "64x64"
    assert [opened(image).size for image in studio.starts] == [(128, 64), (128, 64)]
    assert [(body.width, body.height) for body in studio.engine.img2img_bodies] == [(128, 64), (64, 64)]


async def test_an_output_is_a_start(studio: Studio) -> None:
    """By the id in its address."""
    await studio.make("a", size="128x64")
    [output] = studio.client.of("a", "output")
    ack, [made] = await studio.make("b", image=output["output_id"])
    assert ack["params"]["size"] == "128x64"
    assert opened(made).size == (128, 64)


@pytest.mark.parametrize(
    ("size", "orientation", "asked", "sent"),
    [
        ((100, 70), 1, None, (96, 64)),
        ((300, 200), 6, None, (208, 304)),
        ((300, 200), 1, "64x128", (64, 128)),
        ((1000, 10), 1, None, (256, 64)),
        ((2, 2), 1, None, (64, 64)),
    ],
)
async def test_what_is_sent_has_exactly_the_size_that_is_asked_for(
    size: tuple[int, int],
    orientation: int,
    asked: str | None,
    sent: tuple[int, int],
    stack: AsyncExitStack,
    emulate: Serve,
    serve: Serve,
) -> None:
    """One of another size would keep the model busy for minutes."""
    studio = await open_studio(stack, emulate, serve, ALL, size_max=512 if max(size) < 1000 else 256)
    exif = Image.Exif()
    exif[0x0112] = orientation
    start = await studio.upload(encoded(gradient(size), "JPEG", exif=exif))
    ack, [made] = await studio.make("a", image=start, **({} if asked is None else {"size": asked}))
    assert ack["params"]["size"] == f"{sent[0]}x{sent[1]}"
    assert opened(studio.starts[0]).size == opened(made).size == sent


async def test_progress_counts_the_steps_that_run(studio: Studio) -> None:
    """Ten at a strength of 0.3 are three."""
    start = await studio.upload(encoded(gradient()))
    await studio.make("a", image=start, steps=10, strength=0.3)
    counts = {message.get("step_count") for message in studio.client.of("a", "progress")} - {None}
    assert counts == {3}


async def test_without_the_other_route_a_form_is_sent_and_nothing_aborted(
    stack: AsyncExitStack, emulate: Serve, serve: Serve
) -> None:
    """A cancel says that the model works on, the next one waits for it, and is whole."""
    studio = await open_studio(stack, emulate, serve, msgspec.structs.replace(ALL, txt2img=False))
    start, mask = await studio.upload(encoded(gradient())), await studio.upload(encoded(LEFT))
    _, [made] = await studio.make("a", image=start)
    _, [masked] = await studio.make("b", image=start, mask=mask)
    assert opened(masked).crop((48, 0, 96, 64)).tobytes() == gradient().crop((48, 0, 96, 64)).tobytes()
    studio.engine.faults = Faults(freeze=1, requests=1)
    await studio.generate("c", image=start)
    await studio.client.until(lambda m: m.get("task_id") == "c" and m.get("state") == "running")
    await studio.client.ask(action="cancel", task_id="c")
    assert (await studio.end("c"))["upstream"] == "running_on"
    studio.engine.thaw()
    assert (await studio.make("d", image=start))[1] == [made]
    assert [route for route, _, _ in studio.engine.posts][-4:] == [
        "variations",
        "inpainting",
        "variations",
        "variations",
    ]
    assert studio.engine.aborts == []


async def test_a_cancel_stops_the_model(studio: Studio) -> None:
    """And the next one is whole."""
    start = await studio.upload(encoded(gradient()))
    _, [made] = await studio.make("a", image=start)
    studio.engine.faults = Faults(freeze=2, requests=1)
    await studio.generate("b", image=start, strength=1.0)
    await studio.client.until(lambda m: m.get("task_id") == "b" and m.get("state") == "running")
    await studio.client.ask(action="cancel", task_id="b")
    await eventually(lambda: studio.engine.aborts)
    studio.engine.thaw()
    assert (await studio.end("b"))["upstream"] == "stopped"
    assert (await studio.make("c", image=start))[1] == [made]


# What is refused


async def refused(client: WireClient, **fields: Any) -> tuple[str, str | None]:
    answer: Json = await client.ask(action="generate", **fields)
    assert answer["type"] == "error", answer
    assert client.of(fields.get("task_id", "-")) == []
    return answer["code"], answer.get("field")


async def test_what_makes_no_sense_is_refused(studio: Studio) -> None:
    """Before anything is sent to a model, with the field that is wrong."""
    start, mask = await studio.upload(encoded(gradient())), await studio.upload(encoded(LEFT))
    other = await studio.upload(encoded(gradient((64, 96))))
    wrong: list[tuple[Json, str, str]] = [
        ({"kind": "image2image"}, "wrong_shape", "image"),
        ({"kind": "inpainting", "image": start}, "wrong_shape", "mask"),
        ({"mask": mask}, "wrong_shape", "image"),
        ({"kind": "image2image", "image": start, "mask": mask}, "wrong_shape", "mask"),
        ({"kind": "text2image", "image": start}, "wrong_shape", "image"),
        ({"kind": "edit", "image": start, "strength": 0.5}, "wrong_shape", "strength"),
        ({"images": [start]}, "wrong_shape", "image"),
        ({"strength": 0.5}, "wrong_shape", "strength"),
        ({"image": start, "frames": 9, "kind": "image2image"}, "wrong_shape", "frames"),
        ({"image": start, "strength": 0}, "out_of_bounds", "strength"),
        ({"image": start, "strength": 1.01}, "out_of_bounds", "strength"),
        ({"image": start, "size": "65x64"}, "out_of_bounds", "size"),
        ({"image": start, "mask": other}, "bad_image", "mask"),
        ({"image": "http://example.org/a.png"}, "out_of_bounds", "image"),
        ({"image": "u" + "A" * 22}, "image_not_found", "image"),
        ({"image": start, "mask": "u" + "A" * 22}, "image_not_found", "mask"),
        ({"image": start, "model": "plain"}, "model_unsuitable", "model"),
        ({"image": start, "mask": mask, "model": "editor"}, "model_unsuitable", "model"),
        ({"image": start, "images": [other], "model": "painter"}, "model_unsuitable", "model"),
        ({"image": start, "mask": mask, "prompt": " "}, "prompt_missing", "prompt"),
        ({"image": start, "model": "editor", "prompt": None}, "prompt_missing", "prompt"),
    ]
    for fields, code, field in wrong:
        assert await refused(studio.client, **{"prompt": "a boat", **fields}) == (code, field), fields
    assert studio.engine.posts == []


async def test_too_many_references_are_told_how_many_there_may_be(studio: Studio) -> None:
    start = await studio.upload(encoded(gradient()))
    answer = await studio.generate("a", image=start, images=[start] * 9, kind="edit")
    assert (answer["code"], answer["field"]) == ("out_of_bounds", "images")
    assert answer["limit"] == "at most 8 ids of uploads or outputs"


async def test_without_pillow_nothing_starts_from_an_image(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """What needs none goes on."""
    start = await studio.upload(encoded(gradient()))
    monkeypatch.setattr(imaging, "HAS_PILLOW", False)
    assert await refused(studio.client, prompt="a boat", image=start) == ("images_unsupported", None)
    await studio.make("a")


async def test_a_model_that_only_edits_is_found(stack: AsyncExitStack, emulate: Serve, serve: Serve) -> None:
    """Where nothing else can start from an image, that is what an image means."""
    studio = await open_studio(stack, emulate, serve, EDITOR)
    ack, _ = await studio.make("a", image=await studio.upload(encoded(gradient())))
    assert (ack["params"]["kind"], ack["params"]["model"]) == ("edit", "editor")


async def test_damage_that_only_decoding_shows_fails_the_task(studio: Studio) -> None:
    """Once, for all of its outputs, and nothing is sent to the model."""
    start = await studio.upload(png(96, 64, b"far too few pixels"))
    ack = await studio.generate("a", image=start, n=3)
    assert ack["type"] == "ack"
    end = await studio.end("a")
    assert (end["type"], end["code"], end["retryable"]) == ("error", "bad_image", False)
    assert (end["field"], end["limit"]) == ("image", "an image that can be decoded")
    assert studio.engine.posts == []
    black = await studio.upload(encoded(Image.new("L", SIZE, 0)))
    await studio.generate("b", image=await studio.upload(encoded(gradient())), mask=black)
    end = await studio.end("b")
    assert (end["code"], end["field"]) == ("bad_image", "mask")
    assert end["limit"] == "something to repaint: transparent, or white"
    assert studio.engine.posts == []
    await studio.make("c")
