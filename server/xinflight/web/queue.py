"""REST: the caller's own queue, and what may be done about its order."""

from aiohttp import web

from xinflight.auth import acting_for
from xinflight.errors import WrongShape
from xinflight.protocol import ChangedTasks, MoveBody, from_json
from xinflight.web.bodies import PLAIN, read_body, respond
from xinflight.web.context import HttpContext, choose_type, task_id_of

__all__ = ["OwnQueue"]


class OwnQueue:
    """The handlers of `/api/v1/queue`, and of moves and pauses."""

    def __init__(self, context: HttpContext) -> None:
        self._context = context
        self._queue = context.gateway.queue

    async def queue(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /queue: return the waiting outputs of the caller, the next one first."""
        owner = await self._context.owner(request)
        choose_type(request, (PLAIN,))
        return respond(await self._queue.of_owner(owner))

    async def move(self, request: web.Request) -> web.StreamResponse:
        """Handle POST /tasks/{task_id}/move: move a waiting task among the caller's; return its state before.

        Admins move those of anybody among that owner's with `?owner=`.
        """
        identity = await self._context.identity(request)
        choose_type(request, (PLAIN,))
        body = from_json(await read_body(self._context, request) or b"{}", MoveBody)
        if (body.before is None) == (body.to is None):
            raise WrongShape(field="to", limit="either before or to")
        task_id = task_id_of(request)
        owner = acting_for(identity, request.query.get("owner"), "move", task=task_id)
        return respond(await self._queue.move(owner, task_id, before=body.before, to=body.to))

    async def pause(self, request: web.Request) -> web.StreamResponse:
        """Handle POST /tasks/{task_id}/pause: hold the waiting outputs of a task; return its state before.

        Here and below, admins act for anybody with `?owner=`.
        """
        return await self._one(request, paused=True)

    async def unpause(self, request: web.Request) -> web.StreamResponse:
        """Handle POST /tasks/{task_id}/unpause: let held outputs of a task wait for their turns again."""
        return await self._one(request, paused=False)

    async def pause_all(self, request: web.Request) -> web.StreamResponse:
        """Handle POST /tasks/pause: hold all waiting outputs of the caller, and what the caller submits."""
        return await self._all(request, paused=True)

    async def unpause_all(self, request: web.Request) -> web.StreamResponse:
        """Handle POST /tasks/unpause: let all held outputs of the caller wait for their turns again."""
        return await self._all(request, paused=False)

    async def _one(self, request: web.Request, *, paused: bool) -> web.StreamResponse:
        identity = await self._context.identity(request)
        choose_type(request, (PLAIN,))
        task_id = task_id_of(request)
        action = "pause" if paused else "unpause"
        owner = acting_for(identity, request.query.get("owner"), action, task=task_id)
        (changed,) = await self._queue.pause(owner, task_id, paused=paused)
        return respond(changed)

    async def _all(self, request: web.Request, *, paused: bool) -> web.StreamResponse:
        identity = await self._context.identity(request)
        choose_type(request, (PLAIN,))
        action = "pause" if paused else "unpause"
        owner = acting_for(identity, request.query.get("owner"), action, task="all")
        return respond(ChangedTasks(tasks=await self._queue.pause(owner, None, paused=paused)))
