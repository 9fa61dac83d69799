"""Size, number of frames and pace of videos, as models can make them. No I/O."""

import math

from msgspec import Struct

from xinflight.protocol import parse_size
from xinflight.settings import ModelSettings, Settings
from xinflight.upstream.messages import GenerateConfig

__all__ = ["VideoShape", "default_shape", "fit_frames", "fit_size", "size_like"]

SIDE = 16
"""Sides are multiples of so many pixels, else Wan fails."""


class VideoShape(Struct, frozen=True, kw_only=True):
    """What a request for a video says of its form. `size` is `WIDTHxHEIGHT` in pixels, `fps` frames per second."""

    size: str
    frames: int
    fps: int


def default_shape(
    settings: Settings, configured: ModelSettings | None = None, config: GenerateConfig | None = None
) -> VideoShape:
    """Return the form of a video if its request says nothing, within the limits of the server.

    It is that of the model's settings, else of its registration, else of the settings for all models.
    """
    configured, config = configured or ModelSettings(), config or GenerateConfig()
    return VideoShape(
        size=fit_size(configured.size or _registered_size(config) or settings.video_size, settings.size_max),
        frames=fit_frames(configured.frames or config.num_frames or settings.video_frames, settings.frames),
        fps=configured.fps or config.fps or settings.video_fps,
    )


def _registered_size(config: GenerateConfig) -> str | None:
    if config.width and config.height:
        return f"{config.width}x{config.height}"
    # Height and width of a landscape; a text has them in any order.
    match config.max_area:
        case [int(height), int(width)]:
            return f"{width}x{height}"
        case _:
            return None


def fit_size(size: str, largest: int) -> str:
    """Return the nearest size that models make; both sides shrink if one is above `largest` pixels."""
    sides = parse_size(size)
    scale = min(largest / max(sides), 1.0)
    width, height = (_fit_side(side * scale, largest) for side in sides)
    return f"{width}x{height}"


def size_like(size: str, width: int, height: int, largest: int) -> str:
    """Return the size of a video that starts from an image: with its aspect, and about the area of `WIDTHxHEIGHT`."""
    asked = parse_size(size)
    aspect, area = width / height, asked[0] * asked[1]
    return fit_size(f"{round(math.sqrt(area * aspect))}x{round(math.sqrt(area / aspect))}", largest)


def _fit_side(side: float, largest: int) -> int:
    return max(min(round(side / SIDE), largest // SIDE), 1) * SIDE


def fit_frames(frames: int, most: int) -> int:
    """Return how many frames models make when asked for some: 4k + 1, and at most `most`."""
    made = frames // 4 * 4 + 1
    return max(made if made <= most else made - 4, 1)
