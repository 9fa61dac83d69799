"""The painter's styles: each fills a `Scene` from its chance, hue, chroma and detail (extra `demo`)."""

import math
from collections.abc import Sequence
from typing import cast

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from xinflight.demo.scene import SMOOTH, Colour, Point, Scene, ellipse, mix, shades

__all__ = ["bloom", "city", "contours", "flow", "night", "ridges", "sea"]


def _sun(scene: Scene, centre: Point, radius: float) -> None:
    light = scene.colour(0.95, 0.07, 1.0)
    scene.glow(centre, radius * 5, light, 0.75)
    scene.disc(centre, radius, [mix(light, (255, 255, 255), 0.6), light])


def ridges(scene: Scene) -> None:
    """Mountains behind mountains, each nearer one darker, with mist between and a low sun."""
    rng, height = scene.rng, scene.height
    haze = scene.colour(0.88, 0.06, 1.0)
    scene.sky([scene.colour(0.45, 0.11), scene.colour(0.68, 0.11, 0.5), haze], bottom=0.75)
    scene.sky([haze, haze], top=0.75)
    _sun(scene, (scene.width * rng.uniform(0.2, 0.8), height * rng.uniform(0.2, 0.42)), scene.unit * 0.055)
    layers = min(9, scene.count(6))
    for layer in range(layers):
        near = (layer + 1) / layers
        rock = scene.colour(0.78 - 0.6 * near, 0.05 + 0.05 * near, 1 - near)
        foot = mix(rock, haze, 0.75 * (1 - near) + 0.1)
        level = height * (0.38 + 0.5 * near**1.15)
        line = scene.outline(level, scene.unit * (0.2 - 0.1 * near), 0.5 + 0.06 * (1 - near))
        scene.fill([[*line, (scene.width, height), (0, height)]], [rock, mix(rock, foot, 0.6), foot])
        if near > 0.6:
            _trees(scene, line, mix(rock, (0, 0, 0), 0.12), scene.unit * 0.05 * near)
    _birds(scene)


def _trees(scene: Scene, line: Sequence[Point], colour: Colour, size: float) -> None:
    trees = []
    for x, y in line:
        if scene.rng.random() < 0.5 * scene.detail:
            tall = size * scene.rng.uniform(0.5, 1.0)
            x += scene.rng.uniform(-1, 1) * size * 0.3
            for part in range(3):
                top, wide = y - tall * (1 - 0.28 * part), tall * (0.1 + 0.06 * part)
                trees.append([(x, top), (x + wide, top + tall * 0.45), (x - wide, top + tall * 0.45)])
    if trees:
        scene.fill(trees, colour)


def _birds(scene: Scene) -> None:
    rng, wing = scene.rng, scene.unit * 0.012
    x, y = scene.width * rng.uniform(0.15, 0.75), scene.height * rng.uniform(0.12, 0.3)
    birds = []
    for _ in range(rng.randrange(3, 7)):
        x, y = x + rng.uniform(1, 4) * wing, y + rng.uniform(-2, 2) * wing
        birds.append([(x - wing, y - wing * 0.5), (x, y), (x + wing, y - wing * 0.5), (x, y + wing * 0.22)])
    scene.fill(birds, scene.colour(0.3, 0.04))


def sea(scene: Scene) -> None:
    """Sun over water, its light broken by waves, a far coast and a sail."""
    rng, width, height = scene.rng, scene.width, scene.height
    horizon = height * rng.uniform(0.45, 0.6)
    glow = scene.colour(0.92, 0.08, 1.0)
    scene.sky([scene.colour(0.5, 0.12), scene.colour(0.74, 0.1, 0.6), glow], bottom=horizon / height)
    sun = (width * rng.uniform(0.25, 0.75), horizon - scene.unit * rng.uniform(0.04, 0.2))
    _sun(scene, sun, scene.unit * 0.07)
    coast = scene.outline(horizon - scene.unit * 0.015, scene.unit * 0.03, 0.55)
    scene.fill([[*coast, (width, horizon + 2), (0, horizon + 2)]], scene.colour(0.5, 0.07, 0.4))
    scene.sky(
        [scene.colour(0.66, 0.1, 0.7), scene.colour(0.42, 0.1, 0.2), scene.colour(0.26, 0.08)],
        top=horizon / height,
    )
    dark: list[list[Point]] = []
    bright: list[list[Point]] = []
    for _ in range(scene.count(420)):
        depth = rng.random() ** 1.6
        y = horizon + 2 + depth * (height - horizon)
        long, thick = (
            scene.unit * (0.01 + 0.1 * depth) * rng.uniform(0.4, 1.3),
            scene.unit * (0.0008 + 0.005 * depth),
        )
        spread = scene.unit * (0.05 + 0.22 * depth)
        lit = rng.random() < 0.5
        x = rng.gauss(sun[0], spread) if lit else rng.uniform(0, width)
        (bright if lit else dark).append([(x - long, y), (x, y - thick), (x + long, y), (x, y + thick)])
    scene.fill(dark, scene.colour(0.36, 0.1, 0.1))
    scene.fill(bright, scene.colour(0.9, 0.08, 1.0))
    _sail(scene, (width * rng.uniform(0.2, 0.8), horizon + (height - horizon) * rng.uniform(0.12, 0.3)))


def _sail(scene: Scene, foot: Point) -> None:
    x, y = foot
    u = scene.unit * 0.075
    hull = [
        (x - u, y - u * 0.25),
        (x + u, y - u * 0.25),
        (x + u * 0.65, y + u * 0.12),
        (x - u * 0.7, y + u * 0.12),
    ]
    sails = [
        [(x + u * 0.04, y - u * 2.2), (x + u * 0.04, y - u * 0.38), (x + u * 0.85, y - u * 0.38)],
        [(x - u * 0.05, y - u * 1.9), (x - u * 0.05, y - u * 0.38), (x - u * 0.6, y - u * 0.38)],
    ]
    mirrored = [[(px, 2 * y + u * 0.24 - py) for px, py in part] for part in (hull, *sails)]
    scene.fill(mirrored, scene.colour(0.32, 0.08, 0.3))
    scene.fill(sails, [scene.colour(0.97, 0.02, 1.0), scene.colour(0.86, 0.06, 1.0)])
    scene.fill([hull], [scene.colour(0.55, 0.19), scene.colour(0.4, 0.15)])


def night(scene: Scene) -> None:
    """A nebula, stars near and far, and a planet that may have a ring."""
    rng = scene.rng
    clouds = scene.noise(3, 4).convert("L")
    stops = [(0.1, 0.03, 0.0), (0.15, 0.06, 0.1), (0.3, 0.13, 0.4), (0.55, 0.16, 0.8), (0.85, 0.1, 1.0)]
    palette = shades([scene.colour(*stop) for stop in stops], 256)
    clouds.putpalette([channel for colour in palette for channel in colour])
    scene.image.paste(clouds.convert("RGB"))
    canvas = ImageDraw.Draw(scene.image, "RGBA")
    for _ in range(scene.count(scene.width * scene.height / 1300)):
        x, y, alpha = rng.random() * scene.width, rng.random() * scene.height, int(255 * rng.random())
        canvas.point((x, y), fill=(255, 250, 240, alpha))
    for _ in range(scene.count(22)):
        star = (rng.random() * scene.width, rng.random() * scene.height)
        size = scene.unit * rng.uniform(0.004, 0.02)
        scene.glow(star, size * 2, scene.colour(0.95, 0.05, rng.random()), 0.9)
        scene.disc(star, max(0.7, size * 0.16), (255, 255, 255))
    _planet(scene, (scene.width * rng.uniform(0.3, 0.7), scene.height * rng.uniform(0.35, 0.65)))


def _planet(scene: Scene, centre: Point) -> None:
    rng, radius = scene.rng, scene.unit * scene.rng.uniform(0.13, 0.24)
    tilt, flat, ringed = rng.uniform(-0.6, 0.6), rng.uniform(0.18, 0.34), rng.random() < 0.7
    scene.glow(centre, radius * 2.1, scene.colour(0.75, 0.12, 0.8), 0.55)
    rings = [(1.9, scene.colour(0.8, 0.07, 0.9)), (1.65, scene.colour(0.62, 0.1, 0.6))] if ringed else []

    def ring(front: bool) -> None:
        for wide, colour in rings:
            whole, hole = (ellipse(centre, radius * w, radius * w * flat, tilt) for w in (wide, wide - 0.2))
            half = slice(0, 37) if front else slice(36, 73)
            outer, inner = [*whole, whole[0]][half], [*hole, hole[0]][half]
            scene.fill([[*outer, *reversed(inner)]], colour)

    ring(front=False)
    bands = [scene.colour(rng.uniform(0.5, 0.8), 0.11, rng.random()) for _ in range(scene.count(7) + 1)]
    scene.disc(centre, radius, bands)
    _shade(scene, centre, radius)
    ring(front=True)


def _shade(scene: Scene, centre: Point, radius: float) -> None:
    """Turn a disc into a ball that is lit from the upper left."""
    side = max(2, round(radius * 2))
    ball = Image.new("L", (side * SMOOTH, side * SMOOTH))
    ImageDraw.Draw(ball).ellipse((0, 0, side * SMOOTH - 1, side * SMOOTH - 1), fill=255)
    light = Image.radial_gradient("L").resize((side * 2, side * 2), Image.Resampling.BILINEAR)
    at = round(side * 0.72)
    dark = light.crop((at, at, at + side, at + side)).point([min(235, max(0, v - 40) * 2) for v in range(256)])
    shade = ImageChops.multiply(dark, ball.reduce(SMOOTH))
    scene.image.paste(scene.colour(0.08, 0.03), (round(centre[0] - radius), round(centre[1] - radius)), shade)


def city(scene: Scene) -> None:
    """A skyline in three depths with lit windows under a moon."""
    rng, height = scene.rng, scene.height
    haze = scene.colour(0.72, 0.1, 1.0)
    scene.sky([scene.colour(0.22, 0.08), scene.colour(0.42, 0.12, 0.5), haze])
    _sun(scene, (scene.width * rng.uniform(0.15, 0.85), height * rng.uniform(0.15, 0.35)), scene.unit * 0.06)
    for layer in range(3):
        near = layer / 2
        wall = mix(scene.colour(0.2, 0.06, 0.1), haze, 0.62 * (1 - near))
        houses, lights, x = [], [], -scene.unit * 0.05
        while x < scene.width:
            wide = scene.unit * rng.uniform(0.05, 0.12) * (0.7 + 0.6 * near)
            top = height * (rng.uniform(0.3, 0.6) + 0.16 * near)
            houses.append([(x, top), (x + wide, top), (x + wide, height), (x, height)])
            if rng.random() < 0.4:
                mast = x + wide * rng.uniform(0.3, 0.7)
                houses.append([(mast - wide * 0.25, top), (mast, top - wide * 0.9), (mast + wide * 0.25, top)])
            lights += _windows(scene, x, top, wide)
            x += wide + scene.unit * rng.uniform(0.0, 0.012)
        scene.fill(houses, [wall, mix(wall, haze, 0.35 * (1 - 0.7 * near))])
        scene.fill(lights, mix(scene.colour(0.92, 0.13, 0.0, turn=rng.uniform(-30, 30)), haze, 0.5 * (1 - near)))


def _windows(scene: Scene, x: float, top: float, wide: float) -> list[list[Point]]:
    pitch = scene.unit * 0.017
    windows: list[list[Point]] = []
    for row in range(int((scene.height - top) / pitch) - 1):
        for column in range(int(wide / pitch) - 1):
            if scene.rng.random() < 0.2 * scene.detail:
                left, up = x + (column + 0.75) * pitch, top + (row + 0.8) * pitch
                right, down = left + pitch * 0.5, up + pitch * 0.6
                windows.append([(left, up), (right, up), (right, down), (left, down)])
    return windows or [[(x, top), (x, top), (x, top)]]


def bloom(scene: Scene) -> None:
    """Rings of petals around a heart, outer ones first, on a soft ground."""
    rng, height = scene.rng, scene.height
    scene.sky([scene.colour(0.93, 0.03, 1.0), scene.colour(0.78, 0.07, 0.8)])
    centre = (scene.width * rng.uniform(0.42, 0.58), height * rng.uniform(0.42, 0.55))
    scene.glow(centre, scene.unit * 0.75, scene.colour(0.99, 0.02, 1.0), 0.8)
    rings, petals = min(8, scene.count(5) + 1), rng.randrange(7, 13)
    slim = rng.uniform(0.9, 1.3)
    start = rng.random() * math.tau
    for ring in range(rings):
        inner = ring / rings
        reach = scene.unit * (0.46 - 0.38 * inner)
        turn = start + ring * math.pi / petals
        tip = scene.colour(0.5 + 0.4 * inner, 0.17 - 0.06 * inner, inner * 0.9)
        edge = mix(tip, scene.colour(0.3, 0.1), 0.35)
        for petal in range(petals):
            angle = turn + petal * math.tau / petals
            shape = _petal(centre, angle, reach, reach * slim * 2.4 / petals)
            scene.fill([shape], edge)
            core = _petal(centre, angle, reach * 0.965, reach * slim * 2.25 / petals)
            up = math.sin(angle) < 0
            tones = [mix(tip, (255, 255, 255), 0.18), mix(tip, edge, 0.55)]
            scene.fill([core], tones if up else tones[::-1])
    scene.disc(
        centre,
        scene.unit * 0.045,
        [scene.colour(0.85, 0.15, 0.0, turn=60), scene.colour(0.55, 0.13, 0.0, turn=40)],
    )


def _petal(centre: Point, angle: float, reach: float, half: float) -> list[Point]:
    cos, sin = math.cos(angle), math.sin(angle)
    side = []
    for step in range(31):
        along = 1 - (1 - step / 30) ** 1.6  # closer together where the tip is round
        across = half * math.sin(math.pi * along**1.3) ** 0.8
        side.append((reach * along, across))
    outline = side + [(x, -y) for x, y in reversed(side)]
    return [(centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos) for x, y in outline]


def flow(scene: Scene) -> None:
    """Ribbons that follow a field of noise."""
    rng, unit = scene.rng, scene.unit
    scene.sky([scene.colour(0.2, 0.05), scene.colour(0.14, 0.04, 0.5)])
    side = 64
    field = scene.noise(2, 2).resize((side, side)).load()
    assert field is not None, "a loaded image has pixels"
    base = rng.random() * math.tau
    tones = [scene.colour(0.45 + 0.45 * i / 7, 0.14, i / 7) for i in range(8)]
    large = Image.new("RGB", (scene.width * SMOOTH, scene.height * SMOOTH))
    large.paste(scene.image.resize(large.size, Image.Resampling.NEAREST))
    canvas = ImageDraw.Draw(large)
    for _ in range(scene.count(330)):
        x, y = rng.uniform(-0.1, 1.1) * scene.width, rng.uniform(-0.1, 1.1) * scene.height
        thick = unit * rng.choice((0.0015, 0.003, 0.005, 0.009, 0.016))
        points = []
        for _ in range(rng.randrange(18, 46)):
            points.append((x * SMOOTH, y * SMOOTH))
            column = min(side - 1, max(0, int(x / scene.width * side)))
            row = min(side - 1, max(0, int(y / scene.height * side)))
            angle = base + float(field[column, row]) / 255 * math.tau * 0.8  # type: ignore[arg-type]
            x, y = x + math.cos(angle) * unit * 0.014, y + math.sin(angle) * unit * 0.014
        colour = rng.choice(tones)
        canvas.line(points, fill=colour, width=max(1, round(thick * SMOOTH)), joint="curve")
        if thick * SMOOTH > 4:
            for end in (points[0], points[-1]):
                canvas.circle(end, thick * SMOOTH / 2, fill=colour)
    scene.image.paste(large.reduce(SMOOTH))


def contours(scene: Scene) -> None:
    """Sheets of paper cut along the heights of a noise, each with its shadow on the one below."""
    layers = min(12, scene.count(8))
    heights = scene.noise(scene.rng.choice((2, 3)), 3)
    low, high = cast(tuple[float, float], heights.getextrema())
    scene.sky([scene.colour(0.24, 0.09), scene.colour(0.17, 0.07)])
    drop = max(1, round(scene.unit * 0.01))
    small = (max(1, scene.width // 4), max(1, scene.height // 4))
    for layer in range(layers):
        share = (layer + 1) / layers
        edge = low + (high - low) * (0.08 + 0.78 * share)
        # A slope of 40 per grey value takes the edge from nothing to all within about a pixel.
        sheet = heights.point(lambda value, edge=edge: value * 40 + (128 - edge * 40)).convert("L")
        shadow = sheet.resize(small, Image.Resampling.BOX).filter(ImageFilter.BoxBlur(drop / 2.5))
        shadow = shadow.point([value * 5 // 9 for value in range(256)]).resize(sheet.size, Image.Resampling.BILINEAR)
        scene.image.paste(scene.colour(0.08, 0.04), (drop, drop), shadow)
        scene.image.paste(scene.colour(0.32 + 0.6 * share, 0.15 - 0.08 * share, share), (0, 0), sheet)
