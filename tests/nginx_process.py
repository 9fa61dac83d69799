"""A real nginx on loopback with the shipped configuration, of which only names, ports and paths are replaced."""

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from clients import WireClient, eventually

CONFIG = Path(__file__).parent.parent / "deploy" / "nginx" / "xinflight.conf"
HOST = "example.org"
SETTINGS: dict[str, Any] = {"trusted_proxies": ("127.0.0.1",), "allow_hosts": (HOST,)}
"""What the configuration says that xinflight has to be told."""

MAIN = """
daemon off;
{user}
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  include {folder}/xinflight.conf;
}}
"""


class OneHost(AbstractResolver):
    """Finds the host of the configuration on loopback."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        assert host == HOST
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        pass


class Nginx:
    """A running nginx. `url` is its address with TLS, `plain` that without, and the log has a line per request."""

    def __init__(self, folder: Path, port: int, plain_port: int) -> None:
        self.folder = folder
        self.url = f"https://{HOST}:{port}/"
        self.plain = f"http://{HOST}:{plain_port}/"
        self.port = port
        self._tls = ssl.create_default_context(cafile=folder / "certificate.pem")

    def session(self, **options: Any) -> aiohttp.ClientSession:
        """Return a client that knows the host and trusts its certificate."""
        connector = aiohttp.TCPConnector(ssl=self._tls, resolver=OneHost())
        return aiohttp.ClientSession(self.url, connector=connector, **options)

    @asynccontextmanager
    async def connected(self, path: str = "/ws/generate", **options: Any) -> AsyncIterator[WireClient]:
        """Connect a WebSocket."""
        async with self.session() as http, http.ws_connect(path, **options) as ws:
            client = WireClient(ws)
            await client.receive()
            yield client

    @property
    def log(self) -> list[str]:
        """The lines of the access log."""
        return (self.folder / "access.log").read_text("utf-8").splitlines()


def below_a_prefix(text: str) -> str:
    """Uncomment what serves it below /images, in place of the locations at the root."""
    marker = "    # Below a prefix"
    head, rest = text.split(marker)
    head = head[: head.index("    location / {")]
    lines = [line.removeprefix("    # ") for line in rest.splitlines()]
    start = next(number for number, line in enumerate(lines) if line.startswith("location = /images "))
    return head + "\n".join(lines[start:])


def adapted(text: str, replacements: Mapping[str, str]) -> str:
    """Return a configuration with each text replaced, which stands in it once."""
    for old, new in replacements.items():
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {CONFIG.name}"
        text = text.replace(old, new)
    return text


def certificate(folder: Path) -> None:
    """Make a folder with a certificate that signs itself."""
    folder.mkdir()
    command = [
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-days", "2", "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"),
        *("-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def program() -> str:
    """Return the path of nginx; skip the test where there is none, and fail it in CI."""
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("the configuration for nginx must be tried in CI, and nginx is not installed")
    if found is None:
        pytest.skip("nginx is not installed")
    return found


@asynccontextmanager
async def nginx(server: str, folder: Path, changes: Mapping[str, str], *, prefix: bool) -> AsyncIterator[Nginx]:
    """Run nginx before a server, with further texts replaced, and with `prefix` below one."""
    command = program()
    await asyncio.to_thread(certificate, folder)
    with ExitStack() as stack:
        holders = [stack.enter_context(socket.socket()) for _ in range(2)]
        for holder in holders:
            # As the fixture unused_tcp_port: nginx may listen there, and nobody else is given the port.
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("127.0.0.1", 0))
        running = Nginx(folder, *(holder.getsockname()[1] for holder in holders))
        text = CONFIG.read_text("utf-8")
        replacements = {
            "    server 127.0.0.1:8000;": f"    server {URL(server).authority};",
            "    listen 80;\n    listen [::]:80;\n": f"    listen 127.0.0.1:{URL(running.plain).port};\n",
            "    listen 443 ssl http2;\n    listen [::]:443 ssl http2;\n": f"    listen {running.port} ssl http2;\n",
            "/etc/letsencrypt/live/example.org/fullchain.pem": str(folder / "certificate.pem"),
            "/etc/letsencrypt/live/example.org/privkey.pem": str(folder / "key.pem"),
            "/var/log/nginx/xinflight.log": str(folder / "access.log"),
        }
        text = adapted(below_a_prefix(text) if prefix else text, {**replacements, **changes})
        (folder / "xinflight.conf").write_text(
            text.replace(f"listen {running.port}", f"listen 127.0.0.1:{running.port}")
        )
        # Workers of another user could not enter the folders of a test.
        user = "user root;" if os.geteuid() == 0 else ""
        main = folder / "nginx.conf"
        main.write_text(MAIN.format(folder=folder, user=user))
        process = await asyncio.create_subprocess_exec(command, "-c", str(main), "-e", str(folder / "error.log"))
        try:
            await eventually(lambda: process.returncode is not None or (folder / "pid").exists())
            assert process.returncode is None, (folder / "error.log").read_text("utf-8")
            yield running
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()
