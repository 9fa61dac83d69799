"""REST: start generations and chats, and read the messages of a chat again."""

from contextlib import nullcontext

from aiohttp import hdrs, web

from xinflight.auth import Identity
from xinflight.errors import NotFound
from xinflight.protocol import JSON, TaskRequest
from xinflight.render import render_task
from xinflight.tasks import adjusted
from xinflight.web.bodies import PLAIN, idempotency_key, read_body, respond
from xinflight.web.context import HttpContext, choose_type, task_id_of
from xinflight.web.streams import EVENT_STREAM, NDJSON, stream

__all__ = ["Submissions"]


class Submissions:
    """The handlers that start tasks. With Accept of SSE or NDJSON they answer with the events of the task."""

    def __init__(self, context: HttpContext) -> None:
        self._context = context
        self._gateway = context.gateway

    async def generate(self, request: web.Request) -> web.StreamResponse:
        """Handle POST /tasks: start a generation."""
        identity = await self._context.identity(request)
        media_type = _media_type(request)
        body = await read_body(self._context, request)
        return await self._submit(request, identity, media_type, JSON.decode_generate(body), body)

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """Handle POST /chats: start a chat completion."""
        identity = await self._context.identity(request)
        media_type = _media_type(request)
        body = await read_body(self._context, request, self._gateway.settings.chat_bytes)
        return await self._submit(request, identity, media_type, JSON.decode_chat(body), body)

    async def _submit(
        self, request: web.Request, identity: Identity, media_type: str, wanted: TaskRequest, body: bytes
    ) -> web.StreamResponse:
        context = self._context
        wanted.task_id = idempotency_key(request, wanted.task_id)
        # Everything that can refuse the request comes before `submit`: after it, the task runs.
        ignored = JSON.unknown_fields(body, wanted)
        with nullcontext() if media_type == PLAIN else context.stream(request, identity.id):
            subscriber = await self._gateway.subscribe(identity.id)
            try:
                task, fresh = await self._gateway.submit(
                    wanted, identity, subscriber, context.addresses.client(request)
                )
                headers: dict[str, str] = {hdrs.LOCATION: context.url(request, "task", task_id=task.task_id)}
                if media_type == PLAIN:
                    info = await render_task(task, context.render_context(request))
                    info.adjusted, info.ignored = adjusted(wanted, task), ignored
                    return respond(info, 202 if fresh else 200, headers)
                return await stream(context, request, media_type, subscriber, until_end=True, headers=headers)
            finally:
                self._gateway.unsubscribe(subscriber)

    async def messages(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /tasks/{task_id}/messages: return the messages and tools that a chat was started with."""
        owner = await self._context.owner(request)
        choose_type(request, (PLAIN,))
        task = await self._gateway.find(owner, task_id_of(request))
        if task is None:
            raise NotFound(field="task_id")
        content = await self._gateway.content(task)
        if content is None:
            raise NotFound(field="messages")
        return respond(content)


def _media_type(request: web.Request) -> str:
    return choose_type(request, (PLAIN, EVENT_STREAM, NDJSON))
