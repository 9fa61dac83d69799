"""Drawing of every kind of output with Pillow (extra `demo`)."""

from xinflight.demo.animation import animate
from xinflight.demo.drawing import draw
from xinflight.demo.drawing_request import AnimationRequest, DrawingRequest, OverdrawingRequest
from xinflight.demo.overdrawing import draw_over

__all__ = ["paint"]


def paint(request: DrawingRequest) -> bytes:
    """Return the file of an output: a JPEG, or an MP4 of an AnimationRequest. Call it in a thread."""
    match request:
        case OverdrawingRequest():
            return draw_over(request)
        case AnimationRequest():
            return animate(request)
        case _:
            return draw(
                prompt=request.prompt,
                negative_prompt=request.negative_prompt,
                seed=request.seed,
                width=request.width,
                height=request.height,
                steps=request.steps,
                guidance=request.guidance,
            )
