"""A small emulation of Xinference that draws images and videos and writes text, with the behaviour of the real one.

What draws is left out of this face: it needs Pillow, which only the extra `demo` brings.
"""

from xinflight.demo.auth import KeyGuard
from xinflight.demo.bodies import GenerationsBody, Img2imgBody, Txt2imgBody, VariationsBody, VideoBody
from xinflight.demo.chat_bodies import ChatBody
from xinflight.demo.chat_replica import Chat
from xinflight.demo.demo_models import demo_emulator
from xinflight.demo.drawing_request import AnimationRequest, DrawingRequest, OverdrawingRequest
from xinflight.demo.emulator import DemoUnavailable, Emulator
from xinflight.demo.faults import Faults
from xinflight.demo.http import emulator_app, serve_emulator
from xinflight.demo.job import Job
from xinflight.demo.model import EmulatedModel
from xinflight.demo.options import EmulatorOptions
from xinflight.demo.replica import Replica

__all__ = [
    "AnimationRequest",
    "Chat",
    "ChatBody",
    "DemoUnavailable",
    "DrawingRequest",
    "EmulatedModel",
    "Emulator",
    "EmulatorOptions",
    "Faults",
    "GenerationsBody",
    "Img2imgBody",
    "Job",
    "KeyGuard",
    "OverdrawingRequest",
    "Replica",
    "Txt2imgBody",
    "VariationsBody",
    "VideoBody",
    "demo_emulator",
    "emulator_app",
    "serve_emulator",
]
