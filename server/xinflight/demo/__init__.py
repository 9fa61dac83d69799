"""A small emulation of Xinference that draws images, with the behaviour and faults of the real one.

`drawing` is left out of this face: it needs Pillow, which only the extra `demo` brings.
"""

from xinflight.demo.auth import KeyGuard
from xinflight.demo.bodies import GenerationsBody, Txt2imgBody
from xinflight.demo.drawing_request import DrawingRequest
from xinflight.demo.emulator import DemoUnavailable, Emulator, EmulatorOptions, demo_emulator
from xinflight.demo.faults import Faults
from xinflight.demo.http import emulator_app, serve_emulator
from xinflight.demo.model import EmulatedModel
from xinflight.demo.replica import Job, Replica

__all__ = [
    "DemoUnavailable",
    "DrawingRequest",
    "EmulatedModel",
    "Emulator",
    "EmulatorOptions",
    "Faults",
    "GenerationsBody",
    "Job",
    "KeyGuard",
    "Replica",
    "Txt2imgBody",
    "demo_emulator",
    "emulator_app",
    "serve_emulator",
]
