"""HTTP and WebSocket endpoints on aiohttp, and the checks that apply to each request."""

from xinflight.web.account import AccountApi
from xinflight.web.address import Addresses
from xinflight.web.admin import Admin
from xinflight.web.assets import Assets
from xinflight.web.connections import Connections, most_connections, most_long_lived, raise_descriptor_limit
from xinflight.web.context import Handler, HttpContext, RequestLogin
from xinflight.web.custom_page import CustomFiles, CustomPage
from xinflight.web.docs import DOCUMENT, Docs
from xinflight.web.errors import Endpoint, ErrorBody
from xinflight.web.files import OUTPUT_ID, Files
from xinflight.web.headers import protect, protect_all
from xinflight.web.health import HealthCheck
from xinflight.web.login import Authenticate, HostsLogin, Login
from xinflight.web.marks import Marks
from xinflight.web.metrics import MetricsApi
from xinflight.web.openai import OpenAi
from xinflight.web.openai_chat import OpenAiChats
from xinflight.web.openai_images import OpenAiImagesApi
from xinflight.web.openai_reader import openai_error
from xinflight.web.origins import host_allowed, is_loopback, origin_allowed
from xinflight.web.pages import Page
from xinflight.web.preflight import Preflight
from xinflight.web.queue import OwnQueue
from xinflight.web.rest import Rest
from xinflight.web.shares import Shares
from xinflight.web.streams import Streams
from xinflight.web.submissions import Submissions
from xinflight.web.uploads import UploadApi
from xinflight.web.websocket import WebSocket

__all__ = [
    "DOCUMENT",
    "OUTPUT_ID",
    "AccountApi",
    "Addresses",
    "Admin",
    "Assets",
    "Authenticate",
    "Connections",
    "CustomFiles",
    "CustomPage",
    "Docs",
    "Endpoint",
    "ErrorBody",
    "Files",
    "Handler",
    "HealthCheck",
    "HostsLogin",
    "HttpContext",
    "Login",
    "Marks",
    "MetricsApi",
    "OpenAi",
    "OpenAiChats",
    "OpenAiImagesApi",
    "OwnQueue",
    "Page",
    "Preflight",
    "RequestLogin",
    "Rest",
    "Shares",
    "Streams",
    "Submissions",
    "UploadApi",
    "WebSocket",
    "host_allowed",
    "is_loopback",
    "most_connections",
    "most_long_lived",
    "openai_error",
    "origin_allowed",
    "protect",
    "protect_all",
    "raise_descriptor_limit",
]
