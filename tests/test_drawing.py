"""The painter: the same inputs are the same bytes, any size works, and the image says what it is."""

import io
import time
from typing import Any

import pytest
from PIL import Image, ImageChops

from xinflight.demo.drawing import draw

pytestmark = pytest.mark.slow

WORDS = [
    "a red boat",
    "stars",
    "city",
    "lotus flower",
    "mountain",
    "abstract",
    "paper map",
    "LiuJuan",
    "星空",
]


def drawn(**fields: Any) -> bytes:
    defaults = {"prompt": "a red boat", "negative_prompt": "", "seed": 7, "width": 256, "height": 192}
    return draw(**{**defaults, "steps": 12, "guidance": 0.0, **fields})


@pytest.mark.parametrize("prompt", WORDS)
def test_equal_inputs_are_equal_bytes(prompt: str) -> None:
    """Drawing twice gives the same bytes in every style."""
    assert drawn(prompt=prompt) == drawn(prompt=prompt)


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "a blue boat"},
        {"negative_prompt": "fog"},
        {"seed": 8},
        {"steps": 30},
        {"guidance": 7.0},
    ],
)
def test_every_input_shows(change: dict[str, Any]) -> None:
    """Changing any one input changes the image."""
    assert drawn() != drawn(**change)


@pytest.mark.parametrize("size", [(8, 8), (16, 1024), (1024, 16), (65, 31), (1600, 1200)])
@pytest.mark.parametrize("prompt", WORDS)
def test_any_size_is_the_size_of_the_image(prompt: str, size: tuple[int, int]) -> None:
    """Tiny, narrow, odd and large sizes come out as asked, as JPEG, at either end of steps and guidance."""
    for steps, guidance in ((1, -1.0), (100, 20.0)):
        image = drawn(prompt=prompt, width=size[0], height=size[1], steps=steps, guidance=guidance)
        with Image.open(io.BytesIO(image)) as opened:
            assert (opened.format, opened.size) == ("JPEG", size)


@pytest.mark.parametrize("prompt", ["", "\udc80", "🚀" * 1000, "a\0b"])
def test_any_text_can_be_drawn(prompt: str) -> None:
    """Empty, broken, long and odd text are prompts like any other."""
    assert drawn(prompt=prompt, negative_prompt=prompt)


def test_an_image_says_that_it_is_drawn() -> None:
    """The file's comment says so, and light text stands in the corner."""
    with Image.open(io.BytesIO(drawn(prompt="city", width=512, height=512))) as opened:
        assert opened.info["comment"].startswith(b"drawn, not generated")
        corner = opened.convert("L").crop((400, 490, 512, 512))
    light = sum(corner.histogram()[150:])
    assert 20 < light < 112 * 22 / 2


def test_images_of_one_prompt_differ_by_seed() -> None:
    """Four seeds of a prompt that names no motif are four clearly different images."""
    images = [Image.open(io.BytesIO(drawn(prompt="LiuJuan", seed=seed))) for seed in range(4)]
    for image in images[1:]:
        difference = ImageChops.difference(images[0], image).convert("L").resize((1, 1))
        assert difference.getpixel((0, 0)) not in range(8)


def test_a_megapixel_takes_a_moment_of_cpu() -> None:
    """The slowest style draws 1024x1024 in well under half a second of CPU."""
    for prompt in WORDS:
        began = time.thread_time()
        drawn(prompt=prompt, width=1024, height=1024)
        assert time.thread_time() - began < 0.5
