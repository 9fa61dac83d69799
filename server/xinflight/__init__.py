"""xinflight: one aiohttp process between people and their Xinference model servers."""

from xinflight.app import setup
from xinflight.auth import Identity
from xinflight.config import BadSettings, ModelSettings, Settings
from xinflight.errors import XinflightError
from xinflight.gateway import Gateway

__all__ = ["BadSettings", "Gateway", "Identity", "ModelSettings", "Settings", "XinflightError", "setup"]
