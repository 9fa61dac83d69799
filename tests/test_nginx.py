"""Behind a real nginx with the shipped configuration: every transport, streams at once, uploads, TLS, limits."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType

from clients import LONG, Json, Recorder, WireClient, eventually, painter
from conftest import Serve
from image_files import image_file
from kind_table import WRITER
from nginx_process import HOST, SETTINGS, Nginx, nginx
from xinflight.demo import Faults

pytestmark = pytest.mark.process

Before = Callable[..., Awaitable[Nginx]]


@pytest.fixture
async def engine() -> Recorder:
    return Recorder([painter(), WRITER])


@pytest.fixture
async def before(
    engine: Recorder, emulate: Serve, serve: Serve, stack: AsyncExitStack, tmp_path: Path
) -> AsyncIterator[Before]:
    """Start a server and nginx before it, with some texts of its configuration changed."""

    async def start(changes: dict[str, str] | None = None, *, prefix: bool = False, **settings: Any) -> Nginx:
        server = await serve(
            **{"xinference_url": await emulate(engine), "default_size": "64x64", **SETTINGS, **settings}
        )
        return await stack.enter_async_context(nginx(server, tmp_path / "nginx", changes or {}, prefix=prefix))

    yield start
    engine.thaw()


async def drawn(client: WireClient, task_id: str) -> str:
    """Generate an image; return the URL that is told of it."""
    await client.send(action="generate", prompt="boat", task_id=task_id)
    end = (await client.ends(task_id))[task_id]
    url: str = end["data"]["data"][0]["url"]
    return url


async def test_the_way_of_an_image(before: Before) -> None:
    proxy = await before()
    async with proxy.connected() as client, proxy.session() as http:
        url = await drawn(client, "a")
        assert url.startswith(f"{proxy.url}outputs/")
        async with http.get(url) as response:
            assert (response.status, response.content_type) == (200, "image/jpeg")
            assert len(await response.read()) == response.content_length
        async with http.get("/") as response:
            assert (response.status, response.content_type) == (200, "text/html")
        async with http.post("/api/v1/tasks", json={"prompt": "boat"}) as response:
            assert response.status == 202
            assert response.headers["Location"].startswith(f"{proxy.url}api/v1/tasks/")
        async with http.post("/v1/images/generations", json={"prompt": "boat"}) as response:
            assert (await response.json())["data"][0]["url"].startswith(f"{proxy.url}outputs/")


async def test_without_tls_nothing_is_served(before: Before) -> None:
    proxy = await before()
    async with proxy.session() as http, http.get(f"{proxy.plain}a?b=c", allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (301, f"https://{HOST}/a?b=c")


async def test_cookies_are_for_tls_only(before: Before) -> None:
    proxy = await before(auth="anonymous")
    async with proxy.session() as http, http.get("/api/v1/account") as response:
        assert response.status == 200
        cookie = response.headers["Set-Cookie"]
        assert "Secure" in cookie
        assert cookie.startswith("__Host-")


async def test_origins(before: Before) -> None:
    """Pages of the server itself may connect, and no others."""
    proxy = await before()
    async with proxy.connected(origin=proxy.url.rstrip("/")):
        pass
    for origin in ("https://evil.example", f"http://{HOST}:{proxy.port}"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with proxy.connected(origin=origin):
                pass
        assert refused.value.status == 403


async def test_request_ids(before: Before) -> None:
    """A well-formed one is the client's, any other is replaced by nginx; its log has what is answered."""
    proxy = await before()
    async with proxy.session() as http:
        async with http.get("/api/v1/models?token=secret", headers={"X-Request-Id": "mine-1234"}) as response:
            assert response.headers.getall("X-Request-Id") == ["mine-1234"]
        async with http.get("/api/v1/models", headers={"X-Request-Id": "mine 1234"}) as response:
            (replaced,) = response.headers.getall("X-Request-Id")
            assert len(replaced) == 32
    await eventually(lambda: len(proxy.log) == 2)
    assert [line.rpartition(" ")[2] for line in proxy.log] == ["mine-1234", replaced]
    assert "secret" not in str(proxy.log)


async def test_what_clients_forge_is_dropped(before: Before) -> None:
    proxy = await before(auth="proxy")
    forged = {"X-Forwarded-User": "root", "X-Forwarded-Host": "evil.example", "X-Forwarded-Prefix": "/evil"}
    async with proxy.session(headers=forged) as http, http.get("/api/v1/models") as response:
        assert response.status == 401, "neither a user nor another host"


async def test_the_address_of_a_client_is_nginxs_word(before: Before, capsys: pytest.CaptureFixture[str]) -> None:
    proxy = await before(auth="tokens")
    headers = {"X-Forwarded-For": "192.0.2.9", "Authorization": "Bearer wrong"}
    async with proxy.session(headers=headers) as http, http.get("/api/v1/models") as response:
        assert response.status == 401
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "log-in failed" in line]
    assert "address=loopback" in line


IDLE = {"proxy_read_timeout 75s;": "proxy_read_timeout 3s;"}


async def test_a_websocket_outlives_the_idle_timeout(before: Before) -> None:
    """By the pings of the server; the client sends nothing by itself."""
    proxy = await before(IDLE, heartbeat=1.0)
    async with proxy.session() as http, http.ws_connect("/ws/generate", autoping=False) as ws:
        loop = asyncio.get_running_loop()
        started = loop.time()
        pings = 0
        while pings < 3 or loop.time() - started < 4.0:
            frame = await ws.receive(LONG)
            assert frame.type in (WSMsgType.TEXT, WSMsgType.PING), frame
            if frame.type is WSMsgType.PING:
                pings += 1
                await ws.pong(frame.data)
        await ws.send_json({"action": "ping", "nonce": "still here"})
        answer = None
        while answer is None or answer.type is not WSMsgType.TEXT:
            answer = await ws.receive(LONG)
        assert json.loads(answer.data)["nonce"] == "still here"


async def test_without_pings_it_does_not(before: Before) -> None:
    """So the timeout of the other test is one."""
    proxy = await before(IDLE, heartbeat=3600.0)
    async with proxy.session() as http, http.ws_connect("/ws/generate") as ws:
        frame = await ws.receive(LONG)
        while frame.type is WSMsgType.TEXT:
            frame = await ws.receive(LONG)
    assert ws.close_code == 1006


CHAT: Json = {"messages": [{"role": "user", "content": "60 words about boats"}], "model": WRITER.uid, "stream": True}


@pytest.mark.parametrize(
    ("path", "accept", "body"),
    [
        ("/api/v1/tasks", "text/event-stream", {"prompt": "boat"}),
        ("/api/v1/tasks", "application/x-ndjson", {"prompt": "boat"}),
        ("/api/v1/chats", "text/event-stream", {"messages": CHAT["messages"]}),
        ("/v1/chat/completions", "text/event-stream", CHAT),
    ],
)
async def test_streams_arrive_at_once(before: Before, engine: Recorder, path: str, accept: str, body: Json) -> None:
    """What is written arrives while the generation stands still, and the rest when it goes on."""
    engine.faults = Faults(freeze=3)
    proxy = await before()
    async with proxy.session() as http, http.post(path, json=body, headers={"Accept": accept}) as response:
        assert response.status == 200
        async with asyncio.timeout(LONG):
            first = await response.content.readline()
            wanted = b"content" if path.startswith("/v1") else b"delta" if "chats" in path else b"progress"
            while wanted not in first:
                first = await response.content.readline()
        engine.thaw()
        rest = await response.read()
    assert (b"[DONE]" if path.startswith("/v1") else b'"result"') in rest


async def test_an_openai_client_waits_longer_than_the_idle_timeout(before: Before, engine: Recorder) -> None:
    engine.faults = Faults(freeze=3)
    proxy = await before(IDLE)
    async with proxy.session() as http:
        asked = asyncio.create_task(_generated(http))
        await eventually(lambda: engine.prompts)
        await asyncio.sleep(4.0)  # the timeout is what is waited for
        engine.thaw()
        assert await asked == 200


async def _generated(http: aiohttp.ClientSession) -> int:
    async with http.post("/v1/images/generations", json={"prompt": "boat"}) as response:
        return response.status


async def test_uploads_are_passed_on_as_they_arrive(before: Before, tmp_path: Path) -> None:
    """20 MB, of which xinflight has the first half before the second is sent; nginx stores none of it."""
    proxy = await before()
    image = image_file(size=(64, 64))
    half = asyncio.Event()
    folder = tmp_path / "data" / "uploads"

    async def body() -> AsyncIterator[bytes]:
        yield image
        for _ in range(10):
            yield bytes(2**20)
        await half.wait()
        for _ in range(10):
            yield bytes(2**20)

    def stored() -> int:
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

    async with proxy.session() as http:
        sending = asyncio.create_task(_uploaded(http, body()))
        await eventually(lambda: stored() > 5 * 2**20)
        assert not any((proxy.folder / "body").rglob("*"))
        half.set()
        status, answer = await sending
    assert (status, answer["bytes"]) == (201, len(image) + 20 * 2**20)


async def _uploaded(http: aiohttp.ClientSession, body: Any) -> tuple[int, Json]:
    async with http.post("/api/v1/uploads", data=body, headers={"Content-Type": "image/png"}) as response:
        return response.status, await response.json(content_type=None)


async def in_parts(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 2**20):
        yield data[start : start + 2**20]


@pytest.mark.parametrize("body", [io.BytesIO, in_parts])
async def test_too_large_an_upload_is_refused_by_xinflight(before: Before, body: Callable[[bytes], Any]) -> None:
    """With words for the client, and not with a page of nginx's; whether its length is known before or not."""
    proxy = await before(upload_bytes=2**20)
    async with proxy.session() as http:
        status, answer = await _uploaded(http, body(image_file(size=(64, 64)) + bytes(30 * 2**20)))
    assert (status, answer["code"]) == (413, "frame_too_large")


async def test_below_a_prefix(before: Before) -> None:
    proxy = await before(prefix=True)
    async with proxy.connected("/images/ws/generate") as client, proxy.session() as http:
        url = await drawn(client, "a")
        assert url.startswith(f"{proxy.url}images/outputs/")
        for path in (url, "/images/", "/images/assets/page/main.js", "/images/docs/", "/images/healthz"):
            async with http.get(path) as response:
                assert response.status == 200, path
        async with http.post("/images/v1/images/generations", json={"prompt": "boat"}) as response:
            assert (await response.json())["data"][0]["url"].startswith(f"{proxy.url}images/outputs/")
        for path in ("/healthz", "/images/metrics"):
            async with http.get(path) as response:
                assert response.status == 404, path
        async with http.get("/images", allow_redirects=False) as response:
            assert response.status == 301


async def test_a_public_url_in_place_of_forwarded_headers(before: Before) -> None:
    proxy = await before(prefix=True, public_url=f"https://{HOST}/images", trusted_proxies=(), allow_hosts=())
    async with proxy.connected("/images/ws/generate", origin=f"https://{HOST}") as client:
        assert (await drawn(client, "a")).startswith(f"https://{HOST}/images/outputs/")


@pytest.mark.parametrize("limit", ["xinflight_addresses 200", "xinflight_all       10000"])
async def test_connections_are_limited(before: Before, limit: str) -> None:
    """Per address and in all: with 429, before xinflight is asked."""
    proxy = await before({f"limit_conn {limit};": f"limit_conn {limit.split()[0]} 2;"})
    async with proxy.connected() as one, proxy.connected():
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with proxy.connected():
                pass
        assert refused.value.status == 429
        assert (await one.ask(action="ping"))["type"] == "pong"
    async with proxy.session() as http, http.get("/healthz") as response:
        assert response.status in (200, 429)


async def test_the_limit_of_xinflight_counts_addresses(before: Before) -> None:
    """Loopback is never limited; an address that nginx names is."""
    named = {"proxy_set_header X-Forwarded-For    $remote_addr;": "proxy_set_header X-Forwarded-For 192.0.2.7;"}
    proxy = await before(named, connections_per_address=1)
    async with proxy.connected():
        async with proxy.session() as http, http.ws_connect("/ws/generate") as ws:
            await ws.receive(LONG)
        assert ws.close_code == 1013


async def test_health_and_metrics(before: Before) -> None:
    """Load balancers in front may ask; the figures are for those who ask xinflight itself."""
    proxy = await before()
    async with proxy.session() as http:
        for path, status in (("/healthz", 200), ("/readyz", 200), ("/metrics", 404)):
            async with http.get(path) as response:
                assert response.status == status, path


async def test_a_drain_tells_clients_to_come_back(before: Before) -> None:
    proxy = await before()
    async with proxy.session() as http, http.ws_connect("/ws/generate") as ws:
        await ws.receive(LONG)
        async with http.post("/api/v1/admin/drain") as response:
            assert response.status == 202
        frame = await ws.receive(LONG)
        assert frame.json()["kind"] == "draining"
        frame = await ws.receive(LONG)
        assert (frame.type, frame.data) == (WSMsgType.CLOSE, 1012)
