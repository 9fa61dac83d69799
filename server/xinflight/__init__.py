"""xinflight: one aiohttp process between people and their Xinference model servers."""

from xinflight.app import setup
from xinflight.errors import XinflightError
from xinflight.gateway import Gateway
from xinflight.settings import BadSettings, ModelSettings, Settings
from xinflight.web import Identity

__all__ = ["BadSettings", "Gateway", "Identity", "ModelSettings", "Settings", "XinflightError", "setup"]
