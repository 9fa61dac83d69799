"""REST for all that is an owner's: who they are, usage as JSON and CSV, export and erasure."""

import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import date, timedelta
from typing import NamedTuple

import msgspec
from aiohttp import hdrs, web

from xinflight.account import CSV_HEADER, csv_line
from xinflight.auth import Identity, acting_for, audit, check_admin
from xinflight.errors import OutOfBounds, WrongShape
from xinflight.model import Usage, day_of
from xinflight.protocol import AccountInfo, ErasedInfo, UsageInfo
from xinflight.tasks import limits
from xinflight.web.context import HttpContext, choose_type
from xinflight.web.downloads import Download
from xinflight.web.headers import CLEAR_CACHE

__all__ = ["AccountApi"]

PLAIN, CSV, ZIP = "application/json", "text/csv", "application/zip"
NO_STORE: dict[str, str] = {hdrs.CACHE_CONTROL: "no-store"}

DEFAULT_DAYS = 30
"""Days of usage that are returned if none are requested; today is the last."""
MOST_DAYS = 366
"""Days of usage that one request may ask for."""


class _Period(NamedTuple):
    first: str
    last: str


class AccountApi:
    """The handlers of `/api/v1/account`."""

    def __init__(self, context: HttpContext) -> None:
        self._context = context
        self._gateway = context.gateway

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /account: return who the caller is, the limits, and what was used today."""
        identity = await self._context.identity(request)
        choose_type(request, (PLAIN,))
        today = day_of(self._gateway.clock.time())
        usage = [usage async for usage in self._gateway.account.usage(identity.id, today, today)]
        info = AccountInfo(
            owner=identity.id,
            admin=identity.admin,
            expires=identity.expires,
            limits=limits(self._gateway.settings),
            usage=_info(usage[0] if usage else Usage(owner=identity.id, day=today)),
        )
        return _respond(info)

    async def usage(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /account/usage: return what was used per UTC day, as JSON or CSV.

        Admins may name another `owner`, or with `scope=all` ask for all owners.
        """
        identity = await self._context.identity(request)
        media_type = _media_type(request)
        owner = _owner(request, identity)
        period = _period(request, day_of(self._gateway.clock.time()))
        rows = self._gateway.account.usage(owner, *period)
        content = _csv(rows) if media_type == CSV else _json(rows, period, every_owner=owner is None)
        response = web.StreamResponse(headers={**NO_STORE, **self._context.cors(request)})
        response.content_type, response.charset = media_type, "utf-8"
        # Before the status is sent: a store that can't be read is an error of its own.
        begin = await anext(content)
        await response.prepare(request)
        if request.method != hdrs.METH_HEAD:
            await response.write(begin)
            async for part in content:
                await response.write(part)
        await response.write_eof()
        return response

    async def export(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /account/export: send one ZIP of all that the caller has, as it is made."""
        context, gateway = self._context, self._gateway
        owner = await context.owner(request)
        choose_type(request, (ZIP,))
        day = day_of(gateway.clock.time())
        headers: dict[str, str] = {
            **NO_STORE,
            hdrs.CONTENT_TYPE: ZIP,
            hdrs.CONTENT_DISPOSITION: f'attachment; filename="xinflight-{day}.zip"',
            **context.cors(request),
        }
        response = web.StreamResponse(headers=headers)
        if request.method == hdrs.METH_HEAD:
            return response
        with context.stream(request, owner):
            async with aclosing(gateway.account.export(owner)) as parts:
                # Before the status is sent: what refuses an export is an error of its own.
                begin = await anext(parts)
                await response.prepare(request)
                await Download(context, request, owner).send(response, begin, parts)
        return response

    async def erase(self, request: web.Request) -> web.StreamResponse:
        """Handle DELETE /account: cancel and delete all that the caller has. Idempotent."""
        owner = await self._context.owner(request)
        choose_type(request, (PLAIN,))
        erased = await self._gateway.account.erase(owner)
        response = _respond(
            ErasedInfo(
                complete=not erased.unfinished,
                tasks=erased.tasks,
                outputs=erased.outputs,
                uploads=erased.uploads,
                unfinished=erased.unfinished,
                running_on=erased.running_on,
            )
        )
        response.headers.update(CLEAR_CACHE)
        return response


def _respond(content: msgspec.Struct) -> web.Response:
    return web.Response(body=msgspec.json.encode(content), content_type=PLAIN, headers=NO_STORE)


def _media_type(request: web.Request) -> str:
    """Return what `?format=` names, else what Accept prefers; raise OutOfBounds or NotAcceptable."""
    named = request.query.get("format")
    if named is None:
        return choose_type(request, (PLAIN, CSV))
    try:
        return {"json": PLAIN, "csv": CSV}[named]
    except KeyError:
        raise OutOfBounds(field="format", limit="json or csv") from None


def _owner(request: web.Request, identity: Identity) -> str | None:
    """Return whose usage is asked for, None for that of all owners; raise Forbidden unless the caller may see it."""
    owner, scope = request.query.get("owner"), request.query.get("scope")
    if scope is None:
        return acting_for(identity, owner, "read usage")
    if scope != "all":
        raise OutOfBounds(field="scope", limit="all")
    if owner is not None:
        raise WrongShape(field="owner", limit="either owner or scope")
    check_admin(identity)
    audit(identity, "read usage of all")
    return None


def _period(request: web.Request, today: str) -> _Period:
    """Return the days that are asked for; raise OutOfBounds with the field and its limit."""
    last = _day(request, "to") or date.fromisoformat(today)
    try:
        first = _day(request, "from") or last - timedelta(days=DEFAULT_DAYS - 1)
    except OverflowError:
        first = date.min
    if first > last:
        raise OutOfBounds(field="from", limit=f"at most {last}, the day in to")
    if (last - first).days >= MOST_DAYS:
        raise OutOfBounds(field="from", limit=f"at most {MOST_DAYS} days")
    return _Period(first.isoformat(), last.isoformat())


def _day(request: web.Request, field: str) -> date | None:
    text = request.query.get(field)
    if text is None:
        return None
    try:
        # `fromisoformat` takes other forms of ISO 8601, too.
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise OutOfBounds(field=field, limit="a day, YYYY-MM-DD")


def _info(usage: Usage, *, with_owner: bool = False) -> UsageInfo:
    return UsageInfo(
        owner=usage.owner if with_owner else None,
        day=usage.day,
        seconds=round(usage.seconds, 3),
        outputs=usage.outputs,
        bytes=usage.bytes,
    )


async def _csv(rows: AsyncIterator[Usage]) -> AsyncIterator[bytes]:
    """Yield a document line by line, so that the usage of any number of owners is never in memory as a whole."""
    begin = CSV_HEADER
    async for usage in rows:
        yield begin + csv_line(usage)
        begin = b""
    yield begin


async def _json(rows: AsyncIterator[Usage], period: _Period, *, every_owner: bool) -> AsyncIterator[bytes]:
    """Yield a UsageReport row by row."""
    begin = b'{"from":"%b","to":"%b","days":[' % (period.first.encode(), period.last.encode())
    async for usage in rows:
        yield begin + msgspec.json.encode(_info(usage, with_owner=every_owner))
        begin = b","
    yield b"]}" if begin == b"," else begin + b"]}"
