"""The models of the demo."""

import msgspec

from xinflight.clock import Clock
from xinflight.demo.emulator import Emulator
from xinflight.demo.model import EmulatedModel

__all__ = ["demo_emulator"]

FAMILY = "drawn-by-xinflight"


def demo_emulator(clock: Clock | None = None) -> Emulator:
    """Return the emulator of the demo: two painters, the second one slow, and a model each for the other kinds.

    The first of its models can't make anything, and the painters come next.

    Raises:
        DemoUnavailable: Pillow is not installed.
    """
    turbo = {"num_inference_steps": 12, "guidance_scale": 0.0}
    painter = EmulatedModel(
        uid="demo-painter",
        family=FAMILY,
        abilities=("text2image", "image2image", "inpainting"),
        replicas=2,
        step_seconds=0.25,
        decode_seconds=0.3,
        default_generate_config=turbo,
    )
    slow = msgspec.structs.replace(
        painter,
        uid="demo-slow-painter",
        replicas=1,
        step_seconds=0.5,
        default_generate_config={"num_inference_steps": 24, "guidance_scale": 4.0},
    )
    reader = EmulatedModel(uid="demo-reader", family=FAMILY, abilities=("ocr",), engine="demo")
    editor = msgspec.structs.replace(painter, uid="demo-editor", abilities=("image2image",), replicas=1)
    animator = EmulatedModel(
        uid="demo-animator",
        type="video",
        family=FAMILY,
        abilities=("text2video", "image2video"),
        step_seconds=0.3,
        decode_seconds=4.0,
        default_generate_config={"num_inference_steps": 20},
    )
    writer = EmulatedModel(
        uid="demo-writer",
        type="LLM",
        family=FAMILY,
        abilities=("chat", "generate", "tools"),
        engine="transformers",
        step_seconds=0.25,
        burst=8,
    )
    return Emulator([reader, painter, slow, editor, animator, writer], clock=clock)
