"""The upstream of the soak: the demo's engine with quick painters of small images and a quick writer.

`python -m soak.upstream` serves it.
"""

import asyncio

from bench.processes import serve_until_terminated
from xinflight.demo import EmulatedModel, Emulator, serve_emulator

__all__ = ["SLOTS"]

PAINTERS, WRITERS = 32, 4
SLOTS = PAINTERS + 8 * WRITERS
"""What the server makes of them: one output per painter, 8 chats per writer."""

MODELS = [
    EmulatedModel(
        uid="painter",
        abilities=("text2image", "image2image", "inpainting"),
        replicas=PAINTERS,
        step_seconds=0.1,
        decode_seconds=0.1,
        default_generate_config={"num_inference_steps": 8, "guidance_scale": 0.0},
    ),
    EmulatedModel(
        uid="writer",
        type="LLM",
        abilities=("chat", "generate"),
        engine="transformers",
        replicas=WRITERS,
        step_seconds=0.1,
    ),
]

if __name__ == "__main__":
    asyncio.run(serve_until_terminated(serve_emulator(Emulator(MODELS)), "upstream"))
