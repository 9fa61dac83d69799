"""REST: what each request answers, what headers say, who may come, and what a stopping server does."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from yarl import URL

from clients import PAINTER, Json, Recorder, WireClient, eventually
from conftest import Front, Serve
from streams import EVENT_STREAM, NDJSON, STREAMS, all_lines, lines, shared_server, unfinished
from xinflight.demo import Emulator

JSON_TYPE = {"Content-Type": "application/json"}


@pytest.fixture
async def http(server: str) -> AsyncIterator[aiohttp.ClientSession]:
    """Give a session on `server`."""
    async with aiohttp.ClientSession(server) as http:
        yield http


async def submit(http: aiohttp.ClientSession, **fields: Any) -> Json:
    """Start a generation."""
    async with http.post("/api/v1/tasks", json={"prompt": "boat", "steps": 1, **fields}) as response:
        assert response.status == 202, await response.text()
        task: Json = await response.json()
        return task


async def ended(http: aiohttp.ClientSession, task_id: str) -> Json:
    """Wait for a task's end by following it; return the task."""
    async with http.get(f"/api/v1/tasks/{task_id}/events", headers={"Accept": NDJSON}) as response:
        await all_lines(response)
    async with http.get(f"/api/v1/tasks/{task_id}") as response:
        task: Json = await response.json()
        return task


async def test_a_task_from_its_start_to_its_image(http: aiohttp.ClientSession, server: str) -> None:
    """202 and Location; the task as it stands; its image by index."""
    async with http.post("/api/v1/tasks", json={"prompt": "boat", "n": 2, "steps": 2, "colour": "red"}) as response:
        assert (response.status, response.content_type) == (202, "application/json")
        assert response.headers["Cache-Control"] == "no-store"
        task = await response.json()
        assert response.headers["Location"] == f"{server}api/v1/tasks/{task['task_id']}"
        location = response.headers["Location"]
    assert task["state"] in ("queued", "starting")
    assert (task["ignored"], task["params"]["n"]) == (["colour"], 2)
    await ended(http, task["task_id"])
    async with http.get(location) as response:
        assert response.status == 200
        done = await response.json()
    assert (done["state"], len(done["data"]), done["params"]["seed"]) == ("completed", 2, task["params"]["seed"])
    async with http.head(location) as response:
        assert (response.status, await response.read()) == (200, b"")
    for image in done["data"]:
        async with http.get(f"{location}/outputs/{image['index']}", allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (303, image["url"])
    async with http.get(f"{location}/outputs/2") as response:
        assert (response.status, (await response.json(content_type=None))["field"]) == (404, "index")


async def test_the_same_again_is_no_second_task(http: aiohttp.ClientSession, engine: Recorder) -> None:
    """An id, in the body or as Idempotency-Key, stands for one content: 200 for the same, 409 for other."""
    body = {"prompt": "boat", "steps": 1}
    for headers, extra in (
        ({"Idempotency-Key": "key"}, {}),
        ({"Idempotency-Key": '"key"'}, {}),
        ({}, {"task_id": "key"}),
        ({"Idempotency-Key": "key"}, {"task_id": "key"}),
    ):
        async with http.post("/api/v1/tasks", json={**body, **extra}, headers=headers) as response:
            assert response.status == (200 if engine.posts else 202)
            assert (await response.json())["task_id"] == "key"
            assert response.headers["Location"].endswith("/api/v1/tasks/key")
        await ended(http, "key")
        async with http.post("/api/v1/tasks", json={**body, **extra, "seed": 1}, headers=headers) as response:
            problem = await response.json(content_type=None)
            assert (response.status, problem["code"], problem["field"]) == (409, "task_id_conflict", "task_id")
    assert len(engine.posts) == 1


async def test_one_key_sent_many_times_at_once(http: aiohttp.ClientSession, engine: Recorder) -> None:
    async def post() -> int:
        async with http.post("/api/v1/tasks", json={"prompt": "boat", "task_id": "a", "steps": 1}) as response:
            return response.status

    assert sorted(await asyncio.gather(*(post() for _ in range(8)))) == [200] * 7 + [202]
    await ended(http, "a")
    assert len(engine.posts) == 1


async def test_cancel_all_of_a_task_or_one_image(http: aiohttp.ClientSession, engine: Recorder) -> None:
    """It is answered with what was; twice is no error; what is unknown is not found."""
    await submit(http, task_id="a", n=3, steps=60)
    await eventually(lambda: engine.in_flight["painter"] == 1)
    async with http.post("/api/v1/tasks/a/cancel", json={"index": 2}) as response:
        assert (response.status, await response.json()) == (200, {"task_id": "a", "was": "queued", "index": 2})
    async with http.post("/api/v1/tasks/a/cancel") as response:
        assert (response.status, (await response.json())["was"] in ("starting", "running")) == (200, True)
    task = await ended(http, "a")
    assert (task["state"], task["cancelled"]) == ("cancelled", [0, 1, 2])
    async with http.post("/api/v1/tasks/a/cancel", json={}) as response:
        assert (response.status, await response.json()) == (200, {"task_id": "a", "was": "cancelled"})
    for path, body, field in (("a", {"index": 3}, "index"), ("b", {"index": 0}, "task_id"), ("b", {}, "task_id")):
        async with http.post(f"/api/v1/tasks/{path}/cancel", json=body) as response:
            assert (response.status, (await response.json(content_type=None))["field"]) == (404, field)


async def test_delete(http: aiohttp.ClientSession) -> None:
    """204 with its images, 404 from then on, 409 while it is on its way."""
    await submit(http, task_id="a")
    image = (await ended(http, "a"))["data"][0]["url"]
    await submit(http, task_id="b", steps=100)
    async with http.delete("/api/v1/tasks/b") as response:
        problem = await response.json(content_type=None)
        assert (response.status, problem["code"]) == (409, "task_unfinished")
    async with http.delete("/api/v1/tasks/a") as response:
        assert (response.status, await response.read()) == (204, b"")
    for method in ("DELETE", "GET"):
        async with http.request(method, "/api/v1/tasks/a") as response:
            assert response.status == 404
    async with http.get(image) as response:
        assert response.status == 404


async def test_paging(http: aiohttp.ClientSession, server: str) -> None:
    """The newest first, each once, as JSON with `next` and as NDJSON with Link; by state."""
    ids = [f"t{i}" for i in range(7)]
    for task_id in ids:
        await submit(http, task_id=task_id)
    for task_id in ids:
        await ended(http, task_id)
    await submit(http, task_id="more", steps=100)
    seen: list[str] = []
    params: dict[str, str] = {"limit": "3", "state": "completed"}
    while True:
        async with http.get("/api/v1/tasks", params=params) as response:
            page = await response.json()
            assert page["cursor"] == response.headers["Xinflight-Cursor"]
            assert ("Link" in response.headers) == ("next" in page)
        assert len(page["tasks"]) <= 3
        seen += [task["task_id"] for task in page["tasks"]]
        if "next" not in page:
            break
        params["cursor"] = page["next"]
    assert seen == ids[::-1]
    seen = []
    url = URL(f"{server}api/v1/tasks?limit=3&state=completed")
    pages = 0
    while True:
        async with http.get(url, headers={"Accept": NDJSON}) as response:
            assert response.content_type == NDJSON
            seen += [json.loads(line)["task_id"] for line in (await response.text()).splitlines()]
            pages += 1
            if not response.links:
                break
            url = URL(str(response.links["next"]["url"]))
    assert (seen, pages) == (ids[::-1], 3)
    async with http.get("/api/v1/tasks", params={"state": "unfinished"}) as response:
        assert [task["task_id"] for task in (await response.json())["tasks"]] == ["more"]


async def test_what_happened_since_a_page(http: aiohttp.ClientSession) -> None:
    """The cursor of a page leads into the stream of events, with nothing lost between."""
    async with http.get("/api/v1/tasks") as response:
        cursor = (await response.json())["cursor"]
    await submit(http, task_id="a")
    await ended(http, "a")
    kinds = []
    async with http.get("/api/v1/events", params={"after": cursor}) as response:
        async for line in lines(response):
            kinds.append(line.data["type"])
            if kinds[-1] == "result":
                break
    assert [kind for kind in kinds if kind not in ("progress", "queue")] == ["accepted", "output", "result"]


async def test_images_over_http(http: aiohttp.ClientSession) -> None:
    """Revalidated, with ranges and HEAD; nothing in it runs as a page."""
    await submit(http, task_id="a")
    image = (await ended(http, "a"))["data"][0]
    async with http.get(image["url"]) as response:
        data = await response.read()
        assert (response.status, response.content_type, len(data)) == (200, "image/jpeg", image["bytes"])
        assert response.headers["Cache-Control"] == "private, no-cache"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none';")
        etag = response.headers["ETag"]
    async with http.get(image["url"], headers={"Range": "bytes=10-19"}) as response:
        assert (response.status, await response.read()) == (206, data[10:20])
        assert response.headers["Content-Range"] == f"bytes 10-19/{len(data)}"
    async with http.get(image["url"], headers={"Range": f"bytes={len(data)}-"}) as response:
        assert response.status == 416
    async with http.head(image["url"]) as response:
        assert (response.status, response.content_length) == (200, len(data))
    async with http.get(image["url"], headers={"If-None-Match": etag}) as response:
        assert response.status == 304
    async with http.get("/api/v1/tasks/a/outputs/0") as response:
        assert await response.read() == data


async def test_models(http: aiohttp.ClientSession, client: WireClient) -> None:
    """The same models as in `welcome`; OpenAI's list has their names."""
    async with http.get("/api/v1/models") as response:
        assert (await response.json())["models"] == client.seen[0]["models"]
    async with http.get("/v1/models") as response:
        assert [model["id"] for model in (await response.json())["data"]] == ["painter"]


# Words


@pytest.mark.parametrize("asked", [{"headers": {"Accept-Language": "zh-CN,zh;q=0.9"}}, {"params": {"lang": "zh-CN"}}])
async def test_problems_in_chinese(http: aiohttp.ClientSession, asked: Json) -> None:
    """The detail is in the reader's language, code and title are not."""
    async with http.get("/api/v1/tasks/none", **asked) as response:
        assert response.headers["Content-Language"] == "zh-CN"
        assert await response.json(content_type=None) == {
            "type": "about:blank",
            "title": "Not Found",
            "status": 404,
            "detail": "找不到该内容",
            "code": "not_found",
            "field": "task_id",
            "retryable": False,
            "request_id": response.headers["X-Request-Id"],
        }
    async with http.post("/v1/images/generations", json={"prompt": ""}, **asked) as response:
        assert (await response.json())["error"]["message"].startswith("提示词为空")


@pytest.mark.parametrize("accept", STREAMS)
async def test_events_in_chinese(http: aiohttp.ClientSession, accept: str) -> None:
    headers = {"Accept": accept, "Accept-Language": "zh"}
    async with http.post("/api/v1/tasks", json={"prompt": "boat", "steps": 1}, headers=headers) as response:
        assert (await all_lines(response))[-1].data["message"] == "已完成"


# Where people reach it


async def test_addresses_behind_a_proxy(front: Front) -> None:
    """Location, Link and images lead back through the proxy that is trusted."""
    _, client = await front(trusted_proxies=("127.0.0.1",), allow_hosts=("example.org",))
    said = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "example.org", "X-Forwarded-Prefix": "/draw"}
    async with aiohttp.ClientSession(str(client.ws._response.url.origin()), headers=said) as http:
        async with http.post("/api/v1/tasks", json={"prompt": "boat", "steps": 1, "task_id": "a"}) as response:
            assert response.headers["Location"] == "https://example.org/draw/api/v1/tasks/a"
        await client.send(action="follow", task_id="a", after=client.seen[0]["cursor"])
        await client.ends("a")
        async with http.get("/api/v1/tasks/a/outputs/0", allow_redirects=False) as response:
            assert response.headers["Location"].startswith("https://example.org/draw/outputs/")
        async with http.get("/api/v1/tasks?limit=1", headers={"Accept": NDJSON}) as response:
            assert "Link" not in response.headers


# Notices


async def test_notices(emulate: Serve) -> None:
    """An admin tells one or all; it reaches WebSocket, SSE and NDJSON of whom it is for, and nobody else may."""
    async with (
        shared_server(xinference_url=await emulate(Emulator([PAINTER]))) as (url, _),
        aiohttp.ClientSession(url) as http,
        WireClient.connect(url, headers={"X-User": "ann"}) as ann,
        WireClient.connect(url, headers={"X-User": "bob"}) as bob,
        http.get("/api/v1/events", headers={"X-User": "ann", "Accept": EVENT_STREAM}) as sse,
        http.get("/api/v1/events", headers={"X-User": "ann", "Accept": NDJSON}) as ndjson,
        http.get("/api/v1/events", headers={"X-User": "bob", "Accept": NDJSON}) as bobs,
    ):
        boss = {"X-User": "boss"}
        for user in ("ann", "boss"):
            for body, status in (({"text": ""}, 422), ({"text": 7}, 422), ({}, 422), ({"text": "x" * 1001}, 422)):
                async with http.post("/api/v1/notices", json=body, headers={"X-User": user}) as response:
                    assert response.status == (status if user == "boss" else 403)
        async with http.post("/api/v1/notices", json={"text": "to ann", "owner": "ann"}, headers=boss) as response:
            assert response.status == 204
        async with http.post("/api/v1/notices", json={"text": "to all"}, headers=boss) as response:
            assert response.status == 204
        for client, told in ((ann, ["to ann", "to all"]), (bob, ["to all"])):
            assert [(await client.receive())["message"] for _ in told] == told
        for response, told in ((sse, ["to ann", "to all"]), (ndjson, ["to ann", "to all"]), (bobs, ["to all"])):
            heard = lines(response)
            notices = [await anext(heard) for _ in told]
            assert [line.data["message"] for line in notices] == told
            assert all(line.id is None for line in notices)
            assert {line.data["kind"] for line in notices} == {"host"}


async def test_a_deletion_is_told(http: aiohttp.ClientSession, client: WireClient) -> None:
    """Whoever follows all hears that a task is gone, whichever API deleted it; not by a task's own stream."""
    for task_id in ("a", "b"):
        await submit(http, task_id=task_id)
        await ended(http, task_id)
    async with http.get("/api/v1/events") as response:
        async with http.delete("/api/v1/tasks/a"):
            pass
        assert (await client.ask(action="delete", task_id="b"))["tasks"] == [{"task_id": "b", "was": "completed"}]
        heard = lines(response)
        assert [(await anext(heard)).data["task_id"] for _ in "ab"] == ["a", "b"]
    assert [m["task_id"] for m in client.seen if m["type"] == "notice"] == ["a", "b"]


# Not now


async def test_no_room_for_one_more(front: Front) -> None:
    """Sockets and streams count alike; what is refused says when to come back, and starts nothing."""
    engine, client = await front(connections=2, tasks=1)
    async with aiohttp.ClientSession(str(client.ws._response.url.origin())) as http, http.get("/api/v1/events"):
        for accept in STREAMS:
            for asked in (
                http.get("/api/v1/events", headers={"Accept": accept}),
                http.post("/api/v1/tasks", json={"prompt": "boat"}, headers={"Accept": accept}),
            ):
                async with asked as response:
                    problem = await response.json(content_type=None)
                    assert (response.status, problem["code"]) == (503, "too_many_connections")
                    assert (response.headers["Retry-After"], problem["retry_after"]) == ("5", 5.0)
        assert engine.posts == []
        async with http.ws_connect("/ws/generate") as ws:
            await ws.receive()
            assert ws.close_code == 1013
        await submit(http, steps=100)
        async with http.post("/api/v1/tasks", json={"prompt": "boat"}) as response:
            problem = await response.json(content_type=None)
            assert (response.status, problem["code"], problem["retryable"]) == (429, "too_many_tasks", True)
            assert response.headers["Retry-After"] == "60"


@pytest.mark.parametrize("durable", [True, False], ids=["folder", "memory"])
async def test_a_server_that_stops(emulate: Serve, tmp_path: Any, *, durable: bool) -> None:
    """It takes nothing new; streams go on while running tasks may, are told, and end whole, not torn."""
    settings: Json = {"data_dir": str(tmp_path)} if durable else {}
    engine = Recorder([PAINTER])
    async with (
        shared_server(xinference_url=await emulate(engine), drain=5.0, **settings) as (url, gateway),
        aiohttp.ClientSession(url, headers={"X-User": "ann"}) as http,
        http.get("/api/v1/events", headers={"Accept": EVENT_STREAM}) as sse,
        http.get("/api/v1/events", headers={"Accept": NDJSON}) as ndjson,
    ):
        await submit(http, task_id="runs", steps=30)
        await submit(http, task_id="waits", steps=30)
        await eventually(lambda: engine.in_flight["painter"] == 1)
        async with http.get("/api/v1/tasks/waits/events") as waits:
            image = asyncio.create_task(http.post("/v1/images/generations", json={"prompt": "never"}))
            await eventually(lambda: unfinished(gateway, "ann") == 3)
            draining = asyncio.create_task(gateway.drain())
            await eventually(lambda: gateway.draining)
            async with http.post("/api/v1/tasks", json={"prompt": "boat"}) as response:
                problem = await response.json(content_type=None)
                assert (response.status, problem["code"]) == (503, "shutting_down")
                assert response.headers["Retry-After"] == "5"
            async with http.post(
                "/api/v1/tasks", json={"prompt": "boat", "steps": 30, "task_id": "runs"}
            ) as response:
                assert response.status == 200
            for stream in (sse, ndjson):
                told = [line.data for line in await all_lines(stream)]
                assert {"draining"} == {m["kind"] for m in told if m["type"] == "notice"}
                assert [m["task_id"] for m in told if m["type"] == "result"] == ["runs"]
            kinds = [line.data["type"] for line in await all_lines(waits)]
            # Without a folder it would be gone, and says so; with one it goes on after the next start.
            assert kinds[-1] in (("progress", "queue") if durable else ("error",))
            async with await image as response:
                assert (response.status, (await response.json())["error"]["code"]) == (503, "shutting_down")
        await draining
        # What came too late ends too, with what there is to tell.
        async with http.get("/api/v1/tasks/runs/events") as response:
            assert [line.data["type"] for line in await all_lines(response)] == ["accepted", "output", "result"]
    assert engine.prompts == ["boat"]


# Pages of other websites

FRIEND = "https://friend.example"


@pytest.fixture
async def open_server(emulate: Serve, serve: Serve) -> str:
    """Give a server that lets pages of one website in."""
    url = await emulate(Recorder([PAINTER]))
    return await serve(xinference_url=url, default_size="64x64", allow_origins=(FRIEND,))


PATHS = {
    "/api/v1/tasks": {"GET", "HEAD", "POST"},
    "/api/v1/tasks/a": {"GET", "HEAD", "DELETE"},
    "/api/v1/tasks/a/cancel": {"POST"},
    "/api/v1/tasks/a/events": {"GET"},
    "/api/v1/tasks/a/outputs/0": {"DELETE", "GET", "HEAD"},
    "/api/v1/events": {"GET"},
    "/api/v1/models": {"GET", "HEAD"},
    "/api/v1/notices": {"POST"},
    "/v1/models": {"GET", "HEAD"},
    "/v1/images/generations": {"POST"},
}


async def test_preflights(open_server: str) -> None:
    """A browser asks before it sends JSON, DELETE or our headers: its page may if it is in `allow_origins`."""
    asked = "authorization,content-type,idempotency-key,last-event-id"
    async with aiohttp.ClientSession(open_server) as http:
        for path, methods in PATHS.items():
            headers = {
                "Origin": FRIEND,
                "Access-Control-Request-Method": min(methods),
                "Access-Control-Request-Headers": asked,
            }
            async with http.options(path, headers=headers) as response:
                assert response.status == 204, path
                assert response.headers["Access-Control-Allow-Origin"] == FRIEND
                assert set(response.headers["Access-Control-Allow-Methods"].split(", ")) == methods
                assert response.headers["Access-Control-Allow-Headers"] == asked
                assert response.headers["Access-Control-Allow-Credentials"] == "true"
                assert "Origin" in response.headers["Vary"]
            for origin in ("https://foe.example", "null", FRIEND + ".evil.example", "http://friend.example"):
                async with http.options(path, headers={**headers, "Origin": origin}) as response:
                    assert response.status == 403
                    assert not any(name.startswith("Access-Control") for name in response.headers)
            async with http.options(path) as response:
                assert (response.status, set(response.headers["Allow"].split(", "))) == (204, methods)
                assert not any(name.startswith("Access-Control") for name in response.headers)


async def test_foreign_pages_are_refused(open_server: str) -> None:
    """Over every transport, with the setting that would let them in; nothing is done for them."""
    async with aiohttp.ClientSession(open_server, headers={"Origin": "https://foe.example"}) as http:
        for path, methods in PATHS.items():
            for method in methods - {"HEAD"}:
                async with http.request(
                    method, path, json={"prompt": "boat"} if method == "POST" else None
                ) as response:
                    body = await response.json(content_type=None)
                    told = body["error"] if path.startswith("/v1/") else body
                    assert (response.status, told["code"]) == (403, "forbidden"), path
                    assert "allow_origins" in str(told)
                    assert "Access-Control-Allow-Origin" not in response.headers
                    assert "Origin" in response.headers["Vary"]
    async with aiohttp.ClientSession(open_server) as http, http.get("/api/v1/tasks") as response:
        assert (await response.json())["tasks"] == []
        assert "Access-Control-Allow-Origin" not in response.headers
        async with http.get("/api/v1/tasks", headers={"Host": "rebound.example"}) as response:
            problem = await response.json(content_type=None)
            assert (response.status, problem["field"]) == (403, "Host")


async def test_answers_can_be_read_by_allowed_pages(open_server: str) -> None:
    """Successes, problems, streams and images alike."""
    async with aiohttp.ClientSession(open_server, headers={"Origin": FRIEND}) as http:

        def readable(response: aiohttp.ClientResponse) -> bool:
            exposed = response.headers["Access-Control-Expose-Headers"]
            assert {"Location", "Link", "Retry-After", "Xinflight-Cursor"} <= set(exposed.split(", "))
            return response.headers["Access-Control-Allow-Origin"] == FRIEND and "Origin" in response.headers["Vary"]

        for accept in ("application/json", *STREAMS):
            body = {"prompt": "boat", "steps": 1, "task_id": f"a{len(accept)}"}
            async with http.post("/api/v1/tasks", json=body, headers={"Accept": accept}) as response:
                assert readable(response)
                await response.read()
        async with http.get("/api/v1/tasks/none") as response:
            assert (response.status, readable(response)) == (404, True)
        async with http.get("/api/v1/tasks") as response:
            assert readable(response)
        image = (await ended(http, "a16"))["data"][0]["url"]
        async with http.get(image) as response:
            assert (response.status, readable(response)) == (200, True)
        async with http.post("/v1/images/generations", json={"prompt": "b", "steps": 1, "stream": True}) as response:
            assert readable(response)
