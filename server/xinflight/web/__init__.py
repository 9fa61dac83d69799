"""aiohttp: the WebSocket, REST, streams, OpenAI's API, the page, files, and who a request is from."""

from xinflight.web.address import Addresses
from xinflight.web.auth import LOCAL, Identity, Token, host_allowed, is_loopback, kept_token, origin_allowed
from xinflight.web.connections import Connections, most_connections, raise_descriptor_limit
from xinflight.web.context import Authenticate, HttpContext, preflight_handler
from xinflight.web.docs import DOCUMENT, docs_handler
from xinflight.web.errors import Handler, guarded
from xinflight.web.files import PICTURE_ID, health_handler, picture_handler
from xinflight.web.headers import hide_versions, protect
from xinflight.web.login import login_handler, token_authenticate
from xinflight.web.openai import generations_handler, openai_error, openai_models_handler
from xinflight.web.pages import asset_handler, own_page_handler, page_handler, prepare_templates
from xinflight.web.rest import (
    cancel_handler,
    delete_handler,
    list_handler,
    models_handler,
    notices_handler,
    submit_handler,
    task_handler,
    task_picture_handler,
)
from xinflight.web.streams import events_handler, task_events_handler
from xinflight.web.websocket import ws_handler

__all__ = [
    "DOCUMENT",
    "LOCAL",
    "PICTURE_ID",
    "Addresses",
    "Authenticate",
    "Connections",
    "Handler",
    "HttpContext",
    "Identity",
    "Token",
    "asset_handler",
    "cancel_handler",
    "delete_handler",
    "docs_handler",
    "events_handler",
    "generations_handler",
    "guarded",
    "health_handler",
    "hide_versions",
    "host_allowed",
    "is_loopback",
    "kept_token",
    "list_handler",
    "login_handler",
    "models_handler",
    "most_connections",
    "notices_handler",
    "openai_error",
    "openai_models_handler",
    "origin_allowed",
    "own_page_handler",
    "page_handler",
    "picture_handler",
    "preflight_handler",
    "prepare_templates",
    "protect",
    "raise_descriptor_limit",
    "submit_handler",
    "task_events_handler",
    "task_handler",
    "task_picture_handler",
    "token_authenticate",
    "ws_handler",
]
