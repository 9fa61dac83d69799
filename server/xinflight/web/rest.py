"""REST: the same tasks as over the WebSocket, one request at a time."""

import msgspec
from aiohttp import hdrs, web
from msgspec.structs import replace

from xinflight.auth import acting_for, audit, check_admin
from xinflight.errors import NotFound
from xinflight.model import Task
from xinflight.protocol import (
    CancelBody,
    ChangedTasks,
    ListTasks,
    Models,
    NoticeBody,
    TaskPage,
    from_json,
    from_texts,
)
from xinflight.render import render_task
from xinflight.web.bodies import NO_STORE, PLAIN, read_body, respond
from xinflight.web.context import HttpContext, choose_type, task_id_of, write_whole
from xinflight.web.streams import NDJSON

__all__ = ["Rest"]

PAGING = ListTasks.__struct_fields__[1:]
"""The fields of a list, but for its `ref`."""


class Rest:
    """The handlers of `/api/v1/`, except for event streams."""

    def __init__(self, context: HttpContext) -> None:
        self._context = context
        self._gateway = context.gateway

    async def page(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /tasks: return a page of tasks, newest first, as JSON or NDJSON; Link names the next page."""
        owner = await self._context.owner(request)
        media_type = choose_type(request, (PLAIN, NDJSON))
        query = from_texts({name: request.query[name] for name in PAGING if name in request.query}, ListTasks)
        cursor = await self._gateway.cursor(owner)
        rows, following = await self._gateway.page(owner, query)
        # A page is one message: with the bytes of all its outputs inline its size would be unbounded.
        render_context = replace(self._context.render_context(request), inline_bytes=0)
        infos = [await render_task(row.task, render_context, row.marks) for row in rows]
        headers: dict[str, str] = {"Xinflight-Cursor": cursor}
        if following is not None:
            # Relative (RFC 8288 section 3.1), so that it works behind any proxy.
            # Without a token, which must not be in more places than the address that the client already has.
            url = request.rel_url.without_query_params("token").update_query(cursor=following)
            headers[hdrs.LINK] = f'<?{url.raw_query_string}>; rel="next"'
        if media_type == PLAIN:
            return respond(TaskPage(tasks=infos, next=following, cursor=cursor), headers=headers)
        lines = b"".join(msgspec.json.encode(info) + b"\n" for info in infos)
        return web.Response(body=lines, content_type=NDJSON, headers={**NO_STORE, **headers})

    async def task(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /tasks/{task_id}: return a task in its current state."""
        choose_type(request, (PLAIN,))
        task = await self._find(request)
        marks = await self._gateway.journal.store.library.marks(task.uid)
        info = await render_task(task, self._context.render_context(request), marks)
        response = respond(info)
        if not task.params.store and await write_whole(request, response, self._context.cors(request)):
            inline = {output.index for output in info.data if output.b64_json is not None}
            self._gateway.deliveries.shown(task, [each.output_id for each in task.completed if each.index in inline])
        return response

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        """Handle POST /tasks/{task_id}/cancel: cancel a task or one of its outputs; return its state before.

        Idempotent. Admins cancel those of anybody with `?owner=`.
        """
        identity = await self._context.identity(request)
        choose_type(request, (PLAIN,))
        body = await read_body(self._context, request)
        index = from_json(body or b"{}", CancelBody).index
        task_id = task_id_of(request)
        owner = acting_for(identity, request.query.get("owner"), "cancel", task=task_id, index=index)
        cancelled = await self._gateway.cancel(owner, task_id, index)
        if cancelled.was == "unknown":
            known = index is not None and await self._gateway.find(owner, cancelled.task_id)
            raise NotFound(field="index" if known else "task_id")
        return respond(cancelled)

    async def cancel_all(self, request: web.Request) -> web.StreamResponse:
        """Handle POST /tasks/cancel: cancel all unfinished tasks of the caller; return their states before.

        Idempotent. Admins cancel those of anybody with `?owner=`.
        """
        identity = await self._context.identity(request)
        choose_type(request, (PLAIN,))
        owner = acting_for(identity, request.query.get("owner"), "cancel", task="all")
        return respond(ChangedTasks(tasks=await self._gateway.cancel_all(owner, set())))

    async def cancel_group(self, request: web.Request) -> web.StreamResponse:
        """Handle POST /groups/{group}/cancel: cancel the unfinished tasks of a group; return their states before.

        Idempotent. A group that nobody named has no tasks. Admins cancel those of anybody with `?owner=`.
        """
        identity = await self._context.identity(request)
        choose_type(request, (PLAIN,))
        group = from_texts({"group": request.match_info["group"]}, ListTasks).group
        owner = acting_for(identity, request.query.get("owner"), "cancel", group=group)
        return respond(ChangedTasks(tasks=await self._gateway.cancel_all(owner, set(), group)))

    async def delete(self, request: web.Request) -> web.StreamResponse:
        """Handle DELETE /tasks/{task_id}: delete an ended task and its files."""
        owner = await self._context.owner(request)
        task_id = task_id_of(request)
        if await self._gateway.delete(owner, task_id) is None:
            raise NotFound(field="task_id")
        return web.Response(status=204)

    async def output(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /tasks/{task_id}/outputs/{index}: redirect to the file of an output."""
        task = await self._find(request)
        index = int(request.match_info["index"])
        for output in task.files:
            if output.index == index:
                location = self._context.render_context(request).output_url(output.output_id)
                return web.Response(status=303, headers={**NO_STORE, hdrs.LOCATION: location})
        raise NotFound(field="index")

    async def models(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /models: return the models with what they can do, and their defaults."""
        await self._context.owner(request)
        choose_type(request, (PLAIN,))
        return respond(Models(models=self._gateway.upstream.infos()))

    async def notify(self, request: web.Request) -> web.StreamResponse:
        """Handle POST /notices: send a text of an admin to all connections of one owner, or to all connections."""
        identity = await self._context.identity(request)
        check_admin(identity)
        notice = from_json(await read_body(self._context, request), NoticeBody)
        audit(identity, "notify", owner=notice.owner)
        await self._gateway.notify(notice.owner, notice.text)
        return web.Response(status=204)

    async def _find(self, request: web.Request) -> Task:
        """Return the task in a request's path; raise NotFound unless the caller owns one with this id."""
        task = await self._gateway.find(await self._context.owner(request), task_id_of(request))
        if task is None:
            raise NotFound(field="task_id")
        return task
