"""Short videos, drawn with Pillow (extra `demo`): a slow move over a drawing or over the image they start from."""

import math

from PIL import Image, ImageOps

from xinflight.demo.drawing import draw_scene, write_label
from xinflight.demo.drawing_request import AnimationRequest
from xinflight.demo.mp4 import encode_mp4
from xinflight.demo.overdrawing import opened_rgb

__all__ = ["animate"]

ROOM = 1.3  # how much larger than a frame the drawing is, to move over it


def animate(request: AnimationRequest) -> bytes:
    """Return an MP4 (AV1, no sound), labelled as drawn. Takes some 20 ms a frame: call it in a thread."""
    size = (request.width, request.height)
    wide = (round(request.width * ROOM), round(request.height * ROOM))
    if request.image is None:
        scene = draw_scene(
            prompt=request.prompt,
            negative_prompt=request.negative_prompt,
            seed=request.seed,
            width=wide[0],
            height=wide[1],
            steps=request.steps,
            guidance=request.guidance,
        )
    else:
        scene = ImageOps.fit(opened_rgb(request.image), wide)
    turn = request.seed % 8 * math.tau / 8  # the way the camera goes
    return encode_mp4([_frame(scene, size, turn, at / request.frames) for at in range(request.frames)], request.fps)


def _frame(scene: Image.Image, size: tuple[int, int], turn: float, time: float) -> Image.Image:
    """Return the frame at a time from 0 to 1."""
    swing = 0.5 - 0.5 * math.cos(math.tau * time)
    zoom = 1 + 0.12 * swing
    view = (size[0] * zoom, size[1] * zoom)
    room = (scene.width - view[0], scene.height - view[1])
    left = room[0] * (0.5 + 0.5 * swing * math.cos(turn))
    top = room[1] * (0.5 + 0.5 * swing * math.sin(turn))
    frame = scene.resize(size, Image.Resampling.BILINEAR, (left, top, left + view[0], top + view[1]))
    write_label(frame)
    return frame
