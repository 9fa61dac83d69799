"""Opening connections, keeping them and closing them, by each transport of the upstream client."""

import asyncio
import datetime
import ipaddress
import socket
import ssl
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from clients import eventually
from http_peer import BODY, OK, TRANSPORTS, Line, Make, always, fetch, opened, peer, sized
from xinflight.upstream import NotSent, ResponseLost
from xinflight.upstream.http import Response

pytestmark = pytest.mark.parametrize("make", TRANSPORTS)


# Names


async def test_a_name_that_nobody_knows(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: object, **options: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    async with opened(make, "http://gpu.invalid:9997") as transport:
        with pytest.raises(NotSent, match=r"gpu\.invalid"):
            await fetch(transport, "POST", BODY)


@pytest.mark.parametrize("name", ["a..b", "a" * 64])
async def test_a_name_that_is_none(make: Make, name: str) -> None:
    async with opened(make, f"http://{name}:9997") as transport:
        with pytest.raises(NotSent):
            await fetch(transport, "POST", BODY)


async def test_a_name_with_an_address_where_nobody_is(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of `localhost`, which is `::1` first: the next address is tried."""
    async with peer(always(sized(b"{}"))) as there:
        port = int(there.url.rpartition(":")[2])
        addresses = [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: addresses)
        async with opened(make, f"http://gpu.example:{port}") as transport:
            assert await fetch(transport, "POST", BODY) == b"{}"


# Time


async def test_an_idle_connection_is_closed_before_the_server_does_it(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Xinference closes it after five seconds."""
    for module in ("http_aiohttp", "http_httptools"):
        monkeypatch.setattr(f"xinflight.upstream.{module}.KEEP_ALIVE_SECONDS", 0.05)
    closed = asyncio.Event()

    async def serve(line: Line) -> None:
        await line.request()
        await line.send(sized(b"{}"))
        await line.closed()
        closed.set()

    async with peer(serve) as there, opened(make, there.url) as transport:
        await fetch(transport)
        async with asyncio.timeout(60):
            await closed.wait()


async def test_after_a_post_is_lost_the_next_ones_do_not_meet_the_other_dead_connections(make: Make) -> None:
    """Whatever drops idle connections without a word drops all of them, and an image that is lost twice fails."""
    both = asyncio.Barrier(2)

    async def serve(line: Line) -> None:
        request = await line.request()
        if request.line.startswith("GET"):
            await both.wait()
        await line.send(sized(b"{}"))
        if (await line.request()).line.startswith("GET"):
            await line.send(sized(b"{}"))

    async with peer(serve) as there, opened(make, there.url) as transport:
        await asyncio.gather(fetch(transport), fetch(transport))
        with pytest.raises(ResponseLost):
            await fetch(transport, "POST", BODY)
        for _ in range(2):
            assert await fetch(transport, "POST", BODY) == b"{}"
        assert await fetch(transport) == b"{}"
    assert there.used[3:5] == [3, 4]


async def test_a_server_that_writes_the_head_first_does_not_wait_for_our_acknowledgement(make: Make) -> None:
    """As Xinference does, by Nagle's algorithm, which with a delayed acknowledgement costs 40 ms a request."""

    async def serve(line: Line) -> None:
        line.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        while True:
            await line.request()
            line.writer.write(OK + b"Content-Length: 2\r\n\r\n")
            line.writer.write(b"{}")

    took = []
    async with peer(serve) as there, opened(make, there.url) as transport:
        for _ in range(20):
            start = time.perf_counter()
            await fetch(transport)
            took.append(time.perf_counter() - start)
    assert there.connections == 1
    # Without it, only the first ones are faster.
    assert sorted(took)[10] < 0.035


# TLS


class Authority:
    """Makes certificates for one address that nobody but SSL_CERT_FILE trusts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def serving(self, address: str) -> ssl.SSLContext:
        """Return the context of a server with a certificate for an address, and write that to `authority.pem`."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "xinflight test")])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (self.folder / "authority.pem").write_bytes(certificate.public_bytes(pem))
        (self.folder / "server.pem").write_bytes(secret + certificate.public_bytes(pem))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "server.pem")
        return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Give an authority that nobody trusts yet."""
    return Authority(tmp_path)


@pytest.fixture
async def secure(
    make: Make, authority: Authority, monkeypatch: pytest.MonkeyPatch, stack: AsyncExitStack
) -> tuple[Any, Any]:
    """Give a server with a certificate that is trusted, and a transport to it."""
    context = await asyncio.to_thread(authority.serving, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.folder / "authority.pem"))
    there = await stack.enter_async_context(peer(always(sized(b"{}")), context))
    return there, await stack.enter_async_context(opened(make, there.url))


async def test_https(secure: tuple[Any, Any]) -> None:
    there, transport = secure
    for _ in range(2):
        assert await fetch(transport, "POST", BODY) == b"{}"
    large = type(BODY)("application/json", bytes(3_000_000))
    assert await fetch(transport, "POST", large) == b"{}"
    assert there.used == [1, 1, 1]
    assert there.requests[2].body == large.data


@pytest.mark.parametrize("fault", ["unknown authority", "another address", "no TLS"])
async def test_a_server_that_is_not_the_one(
    make: Make, authority: Authority, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent to it: neither a prompt nor our key."""
    address = "127.0.0.1" if fault == "unknown authority" else "127.0.0.2"
    context = await asyncio.to_thread(authority.serving, address)
    if fault != "unknown authority":
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.folder / "authority.pem"))

    async def serve(line: Line) -> None:
        if fault == "no TLS":
            await line.send(b"SSH-2.0-OpenSSH_9\r\n")
            await line.closed()
        else:
            await line.request()

    async with peer(serve, None if fault == "no TLS" else context) as there:
        async with opened(make, there.url.replace("http:", "https:")) as transport:
            with pytest.raises(NotSent):
                await fetch(transport, "POST", BODY)
    assert not there.requests


# Leaving


@pytest.mark.parametrize("how", ["cancel", "close"])
async def test_leaving_while_a_connection_is_opened(make: Make, how: str) -> None:
    """It is closed once it is there. A TLS handshake that is not answered holds it in between."""
    closed = asyncio.Event()
    entered = asyncio.Event()

    async def serve(line: Line) -> None:
        entered.set()
        await line.closed()
        closed.set()

    async with peer(serve) as there, opened(make, there.url.replace("http:", "https:")) as transport:
        request = asyncio.create_task(transport.send("POST", "/", BODY, Response(lambda data: None, 9)), name="post")
        await entered.wait()
        if how == "close":
            await transport.close()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        async with asyncio.timeout(60):
            await closed.wait()


async def test_closing_ends_all_requests(make: Make) -> None:
    async def serve(line: Line) -> None:
        await line.request()
        await line.closed()

    async with peer(serve) as there, opened(make, there.url) as transport:
        requests = [asyncio.create_task(fetch(transport), name=f"request {number}") for number in range(5)]
        await eventually(lambda: len(there.requests) == 5)
        await transport.close()
        for request in requests:
            with pytest.raises((NotSent, ResponseLost)):
                await request
