"""Send a large file that is made while it is sent, at the speed of the client."""

from collections.abc import AsyncIterator

import structlog
from aiohttp import web

from xinflight.errors import TokenExpired, Unauthorised
from xinflight.protocol import Notice
from xinflight.web.context import GRANT, HttpContext
from xinflight.web.streams import PATIENCE

__all__ = ["Download"]

log = structlog.stdlib.get_logger(__name__)


class Download:
    """The client of a download, as one of the gateway's connections. A gateway that closes aborts it."""

    def __init__(self, context: HttpContext, request: web.Request, owner: str) -> None:
        self.owner = owner
        self.lang = context.lang(request)
        self._context = context
        self._request = request

    def notify(self, notice: Notice) -> None:
        """Do nothing: a download carries no notices."""

    def upstream_changed(self) -> None:
        """Do nothing: a download is about nothing that runs."""

    def access_expires(self, seconds: float) -> None:
        """Do nothing: as any response in one piece, a download may outlive its credentials."""

    def access_ended(self, error: TokenExpired | Unauthorised) -> None:
        """Abort the connection if the credentials were revoked: whoever stole them must not get the rest."""
        if isinstance(error, Unauthorised):
            self.close()

    def close(self) -> None:
        """Abort the connection: the client sees that the file is not whole."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def send(self, response: web.StreamResponse, begin: bytes, parts: AsyncIterator[bytes]) -> None:
        """Write `begin` and all parts.

        A part that the client doesn't take within PATIENCE seconds aborts the connection. An error in the middle
        does, too, since the status is already sent.
        """
        gateway = self._context.gateway
        access = self._context.access(self._request, self._request[GRANT])
        gateway.connections.register(self)
        try:
            with access.watched(self):
                await self._write(response, begin)
                async for part in parts:
                    await self._write(response, part)
                await response.write_eof()
        except ConnectionError:
            log.info("download left by its client", path=self._request.path)
        except TimeoutError:
            log.info("download not read by its client", path=self._request.path)
            self.close()
        except Exception:
            log.exception("download aborted", path=self._request.path)
            self.close()
        finally:
            gateway.connections.unregister(self)

    async def _write(self, response: web.StreamResponse, part: bytes) -> None:
        async with self._context.gateway.clock.timeout(PATIENCE):
            await response.write(part)
