"""A server that takes uploads of several owners, and its files."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from clients import Json
from streams import shared_server
from xinflight.gateway import Gateway

__all__ = ["ANN", "BOB", "DAY", "UPLOADS", "UploadServer", "upload_server"]

ANN, BOB = {"X-User": "ann"}, {"X-User": "bob"}
UPLOADS = "/api/v1/uploads"
DAY = 86400.0


class UploadServer:
    """A server with several owners, and its files."""

    def __init__(self, http: aiohttp.ClientSession, gateway: Gateway, url: str) -> None:
        self.http, self.gateway, self.url = http, gateway, url
        self.folder = gateway.uploads._files.folder

    @property
    def files(self) -> list[Path]:
        """Everything in the folder of uploads."""
        return sorted(self.folder.glob("*"))

    async def upload(
        self,
        data: Any,
        media_type: str | None = "image/png",
        user: Mapping[str, str] = ANN,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Json]:
        """Send a body, with None under the media type that it has itself; return status and answer."""
        sent = {**user, **(headers or {})} | ({} if media_type is None else {"Content-Type": media_type})
        async with self.http.post(UPLOADS, data=data, headers=sent) as response:
            return response.status, await response.json(content_type=None)

    async def listed(self, user: dict[str, str] = ANN, **query: str) -> Json:
        async with self.http.get(UPLOADS, headers=user, params=query) as response:
            assert response.status == 200
            found: Json = await response.json()
            return found

    async def get(self, upload_id: str, user: dict[str, str] = ANN) -> tuple[int, bytes]:
        async with self.http.get(f"{UPLOADS}/{upload_id}", headers=user) as response:
            return response.status, await response.read()

    async def delete(self, upload_id: str, user: dict[str, str] = ANN) -> int:
        async with self.http.delete(f"{UPLOADS}/{upload_id}", headers=user) as response:
            return response.status


@asynccontextmanager
async def upload_server(**settings: Any) -> AsyncIterator[UploadServer]:
    """Serve uploads with some settings."""
    async with shared_server(**settings) as (url, gateway), aiohttp.ClientSession(url) as http:
        yield UploadServer(http, gateway, url)
