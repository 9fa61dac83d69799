"""SIGHUP: read the settings again, and apply what can change while the server runs."""

import asyncio
import os
import sys
from collections.abc import Callable

import structlog

from xinflight.cli.logs import set_log_level
from xinflight.cli.service_manager import notify_reloading, notify_service_manager
from xinflight.gateway import Gateway
from xinflight.settings import BadSettings, Settings

__all__ = ["Reloads", "lost_terminal"]

log = structlog.stdlib.get_logger(__name__)


class Reloads:
    """What SIGHUP asks for. `read` reads the settings from where they were read at the start; it blocks."""

    def __init__(self, read: Callable[[], Settings]) -> None:
        self._read = read
        self._wanted = asyncio.Event()

    def request(self) -> None:
        """Reload soon; several requests before that are one."""
        self._wanted.set()

    async def run(self, gateway: Gateway, resolve: Callable[[Settings], Settings]) -> None:
        """Reload whenever that was requested, until cancelled. `resolve` completes settings as at the start.

        Settings that can't be used change nothing, and the log says why.
        """
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            notify_reloading()
            try:
                settings = resolve(await asyncio.to_thread(self._read))
            except BadSettings as error:
                log.error("settings not reloaded; the former ones stay in effect", reason=str(error))
            else:
                gateway.reload(settings)
                set_log_level(gateway.settings.log_level)
            notify_service_manager("READY=1")


def lost_terminal(*, had_one: bool) -> bool:
    """Return whether a SIGHUP says that the terminal is gone, as that of a closed window, rather than to reload."""
    try:
        return had_one and not os.isatty(sys.stderr.fileno())
    except (OSError, ValueError):
        return had_one
