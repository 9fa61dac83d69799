"""Canvas and drawing operations: colours, masks, light and grain (extra `demo`)."""

import math
import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from PIL import Image, ImageDraw, ImageMath

__all__ = ["SMOOTH", "Colour", "Point", "Scene", "ellipse", "mix", "shades"]

Colour = tuple[int, int, int]
Point = tuple[float, float]
SMOOTH = 2  # masks are drawn this much larger and reduced, for smooth edges


def _oklch(light: float, chroma: float, hue: float) -> Colour:
    """Return sRGB for lightness 0 to 1, chroma 0 to about 0.3 and a hue in degrees (Ottosson's OKLab)."""
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (light + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (light - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (light - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        _gamma(4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short),
        _gamma(-1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short),
        _gamma(-0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short),
    )


def _gamma(linear: float) -> int:
    linear = min(1.0, max(0.0, linear))
    return round(255 * (12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055))


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """Return `one` with a share, 0 to 1, of `other`."""
    return (
        round(one[0] + (other[0] - one[0]) * share),
        round(one[1] + (other[1] - one[1]) * share),
        round(one[2] + (other[2] - one[2]) * share),
    )


def shades(colours: Sequence[Colour], number: int) -> list[Colour]:
    """Return `number` evenly spaced colours on the way through two `colours` or more."""
    last = len(colours) - 1
    found = []
    for index in range(number):
        at = last * index / max(1, number - 1)
        stop = min(int(at), last - 1)
        found.append(mix(colours[stop], colours[stop + 1], at - stop))
    return found


class Scene:
    """An image being drawn, with operations to draw on it. Lengths are in pixels of `image`."""

    def __init__(
        self, *, rng: random.Random, width: int, height: int, hue: float, chroma: float, detail: float
    ) -> None:
        self.rng = rng
        self.width = width
        self.height = height
        self.unit = min(width, height)
        self.hue = hue
        self.second = hue + rng.choice((-60, -40, 40, 60, 150, 180))
        self.chroma = chroma
        self.detail = detail
        self.image = Image.new("RGB", (width, height))

    def colour(self, light: float, chroma: float, share: float = 0.0, turn: float = 0.0) -> Colour:
        """Return a colour between the scene's first hue (share 0) and its second (share 1)."""
        hue = self.hue + ((self.second - self.hue + 180) % 360 - 180) * share + turn
        return _oklch(light, chroma * self.chroma, hue)

    def count(self, number: float) -> int:
        """Return a number of things, more of them with more detail, at least one."""
        return max(1, round(number * self.detail))

    def sky(self, colours: Sequence[Colour], top: float = 0.0, bottom: float = 1.0) -> None:
        """Fill a band of the image, given as shares of its height, with a vertical gradient."""
        box = (0, round(top * self.height), self.width, round(bottom * self.height))
        if box[3] > box[1]:
            self.image.paste(self.gradient(colours, (self.width, box[3] - box[1])), box[:2])

    def gradient(self, colours: Sequence[Colour], size: tuple[int, int]) -> Image.Image:
        """Return a vertical gradient through `colours`."""
        column = Image.new("RGB", (1, size[1]))
        column.putdata(shades(colours, size[1]))
        return column.resize(size, Image.Resampling.NEAREST)

    def fill(self, polygons: Sequence[Sequence[Point]], paint: Colour | Sequence[Colour]) -> None:
        """Paint polygons with smooth edges, in one colour or in a gradient down their common height."""
        xs = [x for polygon in polygons for x, _ in polygon]
        ys = [y for polygon in polygons for _, y in polygon]
        left, top = max(0, math.floor(min(xs))), max(0, math.floor(min(ys)))
        right, bottom = min(self.width, math.ceil(max(xs)) + 1), min(self.height, math.ceil(max(ys)) + 1)
        if right <= left or bottom <= top:
            return
        size = (right - left, bottom - top)
        mask = Image.new("L", (size[0] * SMOOTH, size[1] * SMOOTH))
        canvas = ImageDraw.Draw(mask)
        for polygon in polygons:
            canvas.polygon([((x - left) * SMOOTH, (y - top) * SMOOTH) for x, y in polygon], fill=255)
        mask = mask.reduce(SMOOTH)
        if isinstance(paint[0], int):
            self.image.paste(paint, (left, top, right, bottom), mask)  # type: ignore[arg-type]
        else:
            self.image.paste(self.gradient(paint, size), (left, top), mask)  # type: ignore[arg-type]

    def disc(self, centre: Point, radius: float, paint: Colour | Sequence[Colour]) -> None:
        """Paint a disc."""
        self.fill([ellipse(centre, radius, radius)], paint)

    def glow(self, centre: Point, radius: float, colour: Colour, strength: float) -> None:
        """Lay light around a point: `strength`, 0 to 1, at its middle and nothing at `radius`."""
        side = max(2, round(2 * radius))
        left, top = round(centre[0] - radius), round(centre[1] - radius)
        # The radial gradient is 0 in the middle, 181 where its circle meets the edges and 255 in the corners.
        fall = [round(strength * 255 * max(0.0, 1 - value / 180) ** 2) for value in range(256)]
        light = Image.radial_gradient("L").point(fall).resize((side, side), Image.Resampling.BILINEAR)
        self.image.paste(colour, (left, top, left + side, top + side), light)

    def noise(self, cells: int, octaves: int) -> Image.Image:
        """Return smooth noise, about 0 to 255 in mode F, with `cells` bumps along the short side."""
        side = (min(self.width, 384), min(self.height, 384))
        total = Image.new("F", side)
        for octave in range(octaves):
            wide = max(2, round(cells * self.width / self.unit)) << octave
            high = max(2, round(cells * self.height / self.unit)) << octave
            grid = Image.frombytes("L", (wide, high), self.rng.randbytes(wide * high)).convert("F")
            weight = 0.5**octave / (2 - 2 * 0.5**octaves)
            layer = grid.resize(side, Image.Resampling.BICUBIC)

            def add(of: dict[str, Any], weight: float = weight) -> Any:
                return of["total"] + of["layer"] * weight

            total = ImageMath.lambda_eval(add, total=total, layer=layer)
        return total.resize((self.width, self.height), Image.Resampling.BICUBIC)

    def outline(self, level: float, rough: float, jag: float) -> list[Point]:
        """Return a ridge line across the image around `level` (pixels from the top), left to right."""
        points = [self.rng.uniform(-rough, rough) for _ in range(3)]
        while len(points) < 130:
            rough *= jag
            points = [
                value
                for one, other in pairwise(points)
                for value in (one, (one + other) / 2 + self.rng.uniform(-rough, rough))
            ] + [points[-1]]
        return [(self.width * i / (len(points) - 1), level + y) for i, y in enumerate(points)]


def ellipse(centre: Point, across: float, down: float, turn: float = 0.0) -> list[Point]:
    """Return an ellipse as a polygon, turned by `turn` radians."""
    cos, sin = math.cos(turn), math.sin(turn)
    points = []
    for step in range(72):
        x, y = across * math.cos(step * math.tau / 72), down * math.sin(step * math.tau / 72)
        points.append((centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos))
    return points
