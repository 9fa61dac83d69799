"""The kinds that start from an image: what is sent to either route, how many steps run, and what is kept."""

from typing import Any

import msgspec
import pytest
from PIL import Image

from images import encoded, gradient, opened
from xinflight.errors import ModelUnsuitable
from xinflight.protocol import Params
from xinflight.upstream import KINDS, GenerationRequest, Inputs, Kind
from xinflight.upstream.kinds import EDIT, IMAGE2IMAGE, INPAINTING, Form

PARAMS = Params(n=1, timeout=60.0, on_disconnect="continue")
REQUEST = GenerationRequest(
    model="m",
    prompt="a red boat",
    negative_prompt=None,
    width=64,
    height=32,
    steps=None,
    guidance_scale=None,
    seed=7,
    request_id="r",
    params=msgspec.structs.replace(PARAMS, strength=0.6),
    inputs=Inputs(image=b"start", size=(64, 32)),
)
FULL = msgspec.structs.replace(
    REQUEST,
    negative_prompt="fog",
    steps=4,
    guidance_scale=0.0,
    inputs=Inputs(image=b"start", size=(64, 32), mask=b"mask"),
)


def sdapi_body(kind: Kind, request: GenerationRequest) -> dict[str, Any]:
    assert kind.cancel_route is not None
    assert kind.cancel_route.path(request) == "/sdapi/v1/img2img"
    body = kind.cancel_route.body(request)
    assert isinstance(body, dict)
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(body))
    return decoded


def form(kind: Kind, request: GenerationRequest) -> tuple[str, dict[str, Any], dict[str, bytes]]:
    body = kind.plain_route.body(request)
    assert isinstance(body, Form)
    assert {file.media_type for file in body.files.values()} == {"image/png"}
    fields: dict[str, Any] = dict(body.fields)
    fields["kwargs"] = msgspec.json.decode(body.fields["kwargs"])
    return kind.plain_route.path(request), fields, {name: file.data for name, file in body.files.items()}


def test_a_body_leaves_to_the_model_what_is_not_given() -> None:
    """All but the strength, whose default differs from model to model."""
    assert sdapi_body(IMAGE2IMAGE, REQUEST) == {
        "model": "m",
        "prompt": "a red boat",
        "seed": 7,
        "request_id": "r",
        "kwargs": '{"cfg_scale":null}',
        "width": 64,
        "height": 32,
        "init_images": ["c3RhcnQ="],
        "denoising_strength": 0.6,
    }
    assert form(IMAGE2IMAGE, REQUEST) == (
        "/v1/images/variations",
        {
            "model": "m",
            "prompt": "a red boat",
            "n": "1",
            "response_format": "b64_json",
            "size": "64*32",
            "kwargs": {"request_id": "r", "seed": 7, "strength": 0.6},
        },
        {"image": b"start"},
    )


def test_a_body_with_everything_given() -> None:
    body = sdapi_body(INPAINTING, FULL)
    assert (body["negative_prompt"], body["steps"], body["cfg_scale"], body["mask"]) == ("fog", 4, 0.0, "bWFzaw==")
    assert "kwargs" not in body
    path, fields, files = form(INPAINTING, FULL)
    assert path == "/v1/images/inpainting"
    assert fields["negative_prompt"] == "fog"
    assert fields["kwargs"] == {
        "request_id": "r",
        "seed": 7,
        "strength": 0.6,
        "num_inference_steps": 4,
        "guidance_scale": 0.0,
    }
    assert files == {"image": b"start", "mask_image": b"mask"}


def test_an_edit_asks_for_the_proportions_of_its_start() -> None:
    """Unless others are given; it has no strength."""
    request = msgspec.structs.replace(REQUEST, width=0, height=0, params=PARAMS)
    body = sdapi_body(EDIT, request)
    assert (body["width"], body["height"]) == (64, 32)
    assert "denoising_strength" not in body
    _, fields, _ = form(EDIT, request)
    assert "size" not in fields
    assert "strength" not in fields["kwargs"]
    other = sdapi_body(EDIT, msgspec.structs.replace(request, width=128, height=128))
    assert (other["width"], other["height"]) == (128, 128)


def test_further_images_follow_the_first() -> None:
    request = msgspec.structs.replace(REQUEST, inputs=Inputs(image=b"start", references=(b"a", b"b")), params=PARAMS)
    assert sdapi_body(EDIT, request)["init_images"] == ["c3RhcnQ=", "YQ==", "Yg=="]
    with pytest.raises(ModelUnsuitable) as caught:
        EDIT.plain_route.body(request)
    assert caught.value.field == "images"


@pytest.mark.parametrize(
    ("steps", "strength", "run"),
    [(10, 0.3, 3), (10, 0.35, 4), (10, 1.0, 10), (10, 0.01, 1), (1, 0.5, 1), (100, 0.29, 29), (None, 0.5, None)],
)
def test_the_strength_decides_how_many_steps_run(steps: int | None, strength: float, run: int | None) -> None:
    """As diffusers computes it, with the same floats: 100 - 100 x 0.29 is a little more than 71."""
    params = msgspec.structs.replace(PARAMS, steps=steps, strength=strength)
    for kind in (IMAGE2IMAGE, INPAINTING):
        assert kind.step_count(params) == run
        assert kind.duration_key("m", params).steps == run
    assert EDIT.step_count(msgspec.structs.replace(PARAMS, steps=steps)) == steps


def test_each_kind_has_durations_of_its_own() -> None:
    keys = {kind.duration_key("m", PARAMS) for kind in (KINDS["text2image"], IMAGE2IMAGE, INPAINTING, EDIT)}
    assert len(keys) == 4


def test_only_inpainting_keeps_a_part_of_the_start() -> None:
    start, mask = encoded(gradient()), encoded(Image.new("L", (96, 64), 255))
    made = encoded(Image.new("RGB", (96, 64), "red"))
    assert INPAINTING.finish is not None
    assert opened(INPAINTING.finish(Inputs(image=start, mask=mask), made)).tobytes() == opened(made).tobytes()
    assert (IMAGE2IMAGE.finish, EDIT.finish) == (None, None)


def test_a_response_may_be_as_large_as_the_largest_image() -> None:
    """An edit model makes 1 megapixel and more, whatever is asked for."""
    large = msgspec.structs.replace(REQUEST, width=2048, height=2048)
    assert IMAGE2IMAGE.max_bytes(large) > 2048 * 2048 * 8 * 4 / 3
    assert EDIT.max_bytes(msgspec.structs.replace(REQUEST, width=0, height=0)) > 2048 * 2048 * 8 * 4 / 3
