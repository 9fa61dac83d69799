"""A small Xinference that draws, with the manners and the faults of the real one.

`drawing` is left out of this face: it needs Pillow, which only the extra `demo` brings.
"""

from xinflight.demo.book import KeyGuard
from xinflight.demo.emulator import DemoUnavailable, EmulatedModel, Emulator, EmulatorOptions, Faults, demo_engine
from xinflight.demo.http import emulator_app, serve_emulator
from xinflight.demo.replica import Job, Replica
from xinflight.demo.wire import GenerationRequest, GenerationsBody, Txt2imgBody

__all__ = [
    "DemoUnavailable",
    "EmulatedModel",
    "Emulator",
    "EmulatorOptions",
    "Faults",
    "GenerationRequest",
    "GenerationsBody",
    "Job",
    "KeyGuard",
    "Replica",
    "Txt2imgBody",
    "demo_engine",
    "emulator_app",
    "serve_emulator",
]
