"""xinflight: one aiohttp process between people and their Xinference model servers."""

from xinflight.app import setup
from xinflight.auth import Identity
from xinflight.errors import XinflightError
from xinflight.gateway import Gateway
from xinflight.settings import BadSettings, ModelSettings, Settings

__all__ = ["BadSettings", "Gateway", "Identity", "ModelSettings", "Settings", "XinflightError", "setup"]
