"""REST: stars and tags of outputs, deletion of one output, and the tags, preferences and presets of the caller."""

from aiohttp import web

from xinflight.errors import NotFound
from xinflight.protocol import (
    CancelledTask,
    ListTags,
    MarkBody,
    PreferencesChange,
    PreferencesInfo,
    PresetsChange,
    PresetsInfo,
    TagsInfo,
    from_json,
    from_texts,
)
from xinflight.storage import StoredPreferences, StoredPresets
from xinflight.web.bodies import PLAIN, read_body, respond
from xinflight.web.context import HttpContext, choose_type, task_id_of

__all__ = ["Marks"]

FIELDS = ListTags.__struct_fields__


class Marks:
    """The handlers of marks, single outputs, `/api/v1/tags`, `/api/v1/account/preferences` and `.../presets`."""

    def __init__(self, context: HttpContext) -> None:
        self._context = context
        self._library = context.gateway.journal.store.library
        self._marking = context.gateway.marking
        self._preferences = context.gateway.account.preferences
        self._presets = context.gateway.account.presets

    async def mark(self, request: web.Request) -> web.StreamResponse:
        """Handle POST /tasks/{task_id}/mark: star or tag an output, or all; return the state of the task."""
        owner = await self._context.owner(request)
        choose_type(request, (PLAIN,))
        body = from_json(await read_body(self._context, request), MarkBody)
        marked = await self._marking.mark(
            owner, task_id_of(request), body.index, starred=body.starred, tags=body.tags
        )
        return respond(_known(marked))

    async def tags(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /tags: return tags of the caller, or those that begin with something."""
        owner = await self._context.owner(request)
        choose_type(request, (PLAIN,))
        query = from_texts({name: request.query[name] for name in FIELDS if name in request.query}, ListTags)
        return respond(TagsInfo(tags=await self._library.tags(owner, prefix=query.prefix or "", limit=query.limit)))

    async def delete(self, request: web.Request) -> web.StreamResponse:
        """Handle DELETE /tasks/{task_id}/outputs/{index}: delete an output, which can be restored for a while."""
        owner = await self._context.owner(request)
        _known(await self._marking.delete(owner, task_id_of(request), int(request.match_info["index"])))
        return web.Response(status=204)

    async def restore(self, request: web.Request) -> web.StreamResponse:
        """Handle POST /tasks/{task_id}/outputs/{index}/restore: bring back an output; return the task's state."""
        owner = await self._context.owner(request)
        choose_type(request, (PLAIN,))
        return respond(
            _known(await self._marking.restore(owner, task_id_of(request), int(request.match_info["index"])))
        )

    async def preferences(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /account/preferences: return what the caller has set."""
        owner = await self._context.owner(request)
        choose_type(request, (PLAIN,))
        return respond(_info(await self._preferences.get(owner)))

    async def change(self, request: web.Request) -> web.StreamResponse:
        """Handle PATCH /account/preferences: replace the given fields; return all."""
        owner = await self._context.owner(request)
        choose_type(request, (PLAIN,))
        change = from_json(await read_body(self._context, request), PreferencesChange)
        return respond(_info(await self._preferences.change(owner, change)))

    async def presets(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /account/presets: return the presets of the caller."""
        owner = await self._context.owner(request)
        choose_type(request, (PLAIN,))
        return respond(_presets_info(await self._presets.get(owner)))

    async def change_presets(self, request: web.Request) -> web.StreamResponse:
        """Handle PATCH /account/presets: delete and save presets; return all."""
        owner = await self._context.owner(request)
        choose_type(request, (PLAIN,))
        change = from_json(await read_body(self._context, request), PresetsChange)
        return respond(_presets_info(await self._presets.change(owner, change)))


def _known(task: CancelledTask) -> CancelledTask:
    """Return a task that there is, else raise NotFound."""
    if task.was == "unknown":
        raise NotFound(field="task_id")
    return task


def _info(stored: StoredPreferences) -> PreferencesInfo:
    return PreferencesInfo(version=stored.version, preferences=stored.preferences)


def _presets_info(stored: StoredPresets) -> PresetsInfo:
    return PresetsInfo(version=stored.version, presets=stored.presets)
