"""OpenAI's list of models, so that its clients work unchanged."""

import msgspec
from aiohttp import web

from xinflight.errors import ModelNotFound
from xinflight.protocol import OpenAiModel, OpenAiModels
from xinflight.web.context import HttpContext

__all__ = ["OpenAi"]


class OpenAi:
    """The handlers of `/v1/models`."""

    def __init__(self, context: HttpContext) -> None:
        self._context = context
        self._gateway = context.gateway

    async def models(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /v1/models: return the models."""
        await self._context.owner(request)
        models = [OpenAiModel(id=info.id) for info in self._gateway.upstream.infos()]
        body = msgspec.json.encode(OpenAiModels(data=models))
        return web.Response(body=body, content_type="application/json")

    async def model(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /v1/models/{model}: return one model."""
        await self._context.owner(request)
        wanted = request.match_info["model"]
        if all(info.id != wanted for info in self._gateway.upstream.infos()):
            raise ModelNotFound(field="model")
        return web.Response(body=msgspec.json.encode(OpenAiModel(id=wanted)), content_type="application/json")
