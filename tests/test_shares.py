"""Share links: what its owner gives out, anybody may load, until it is revoked."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from clients import Recorder, ShiftedClock
from conftest import Serve
from streams import all_lines, shared_server
from xinflight.demo import Faults
from xinflight.storage import sharing
from xinflight.web.headers import VIEWABLE

ANN, BOB, BOSS = {"X-User": "ann"}, {"X-User": "bob"}, {"X-User": "boss"}


@pytest.fixture(params=["memory", "sqlite"])
async def base(
    request: pytest.FixtureRequest, engine: Recorder, emulate: Serve, clock: ShiftedClock, tmp_path: Path
) -> AsyncIterator[str]:
    """Give the URL of a server with several owners."""
    folder = None if request.param == "memory" else str(tmp_path)
    async with shared_server(xinference_url=await emulate(engine), data_dir=folder) as (url, _):
        yield url


@pytest.fixture
async def http(base: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(base) as session:
        yield session


async def draw(http: aiohttp.ClientSession, task_id: str = "a", owner: dict[str, str] = ANN) -> None:
    sent = {**owner, "Accept": "application/x-ndjson"}
    body = {"prompt": "boat", "steps": 1, "task_id": task_id}
    async with http.post("/api/v1/tasks", json=body, headers=sent) as response:
        assert (await all_lines(response))[-1].data["type"] == "result"


async def share(http: aiohttp.ClientSession, owner: dict[str, str] = ANN, **body: Any) -> tuple[int, dict[str, Any]]:
    async with http.post("/api/v1/shares", json={"task_id": "a", **body}, headers=owner) as response:
        return response.status, await response.json(content_type=None)


async def shares(http: aiohttp.ClientSession, owner: dict[str, str] = ANN, **query: str) -> dict[str, Any]:
    async with http.get("/api/v1/shares", params=query, headers=owner) as response:
        found: dict[str, Any] = await response.json()
        return found


async def status(http: aiohttp.ClientSession, url: str, **options: Any) -> int:
    async with http.get(url, **options) as response:
        return response.status


async def revoke(http: aiohttp.ClientSession, share_id: str, owner: dict[str, str] = ANN) -> int:
    async with http.delete(f"/api/v1/shares/{share_id}", headers=owner) as response:
        return response.status


def database(folder: Path) -> bytes:
    """Return all bytes of the database and its log; none with a store in memory."""
    return b"".join(file.read_bytes() for file in folder.glob("xinflight.db*"))


async def test_a_share_is_for_anybody_until_it_is_revoked(http: aiohttp.ClientSession, base: str) -> None:
    await draw(http)
    code, made = await share(http)
    assert (code, made["task_id"], made["index"], "expires" in made) == (201, "a", 0, False)
    assert made["url"].startswith(f"{base}/shared/")
    async with http.get(made["url"]) as response:
        assert (response.status, response.content_type) == (200, "image/jpeg")
        data = await response.read()
        protection = {
            "Cache-Control": "no-cache",
            "Content-Security-Policy": VIEWABLE["Content-Security-Policy"],
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Robots-Tag": "noindex",
        }
        assert {name: response.headers[name] for name in protection} == protection
        etag = response.headers["ETag"]
    assert await status(http, made["url"], headers={"If-None-Match": etag}) == 304
    async with http.head(made["url"]) as response:
        assert (response.status, response.content_length) == (200, len(data))
    assert await revoke(http, made["id"]) == 204
    assert await status(http, made["url"]) == 404
    assert await status(http, made["url"], headers={"If-None-Match": etag}) == 404
    assert await revoke(http, made["id"]) == 404


@pytest.mark.parametrize("lang", ["en", "zh-CN"])
async def test_whoever_follows_a_dead_link_in_a_browser_is_told_so_in_words(
    http: aiohttp.ClientSession, lang: str
) -> None:
    headers = {"Accept": "text/html,application/xhtml+xml,image/avif,*/*;q=0.8", "Accept-Language": lang}
    async with http.get("/shared/nothing", headers=headers) as response:
        assert (response.status, response.content_type) == (404, "text/plain")
        assert response.headers["Content-Language"] == lang
        assert response.headers["Cache-Control"] == "no-store"
        assert ("opens nothing" if lang == "en" else "已失效") in await response.text()
    async with http.get("/shared/nothing", headers={"Accept": "image/avif,*/*;q=0.8"}) as response:
        assert (response.status, response.content_type) == (404, "application/problem+json")


async def test_links_are_told_once(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    await draw(http)
    _, made = await share(http)
    secret = made.pop("url").rpartition("/")[2]
    assert (await shares(http))["shares"] == [made]
    stored = database(tmp_path)
    assert secret.encode() not in stored
    assert stored == b"" or made["id"].encode() in stored
    assert await status(http, f"/shared/{made['id']}") == 404, "its id opens nothing"


async def test_a_share_expires(http: aiohttp.ClientSession, clock: ShiftedClock) -> None:
    await draw(http)
    _, made = await share(http, expires=3600)
    assert made["expires"] == pytest.approx(made["created"] + 3600)
    assert await status(http, made["url"]) == 200
    clock.advance(3601)
    assert await status(http, made["url"]) == 404
    assert await shares(http) == {"shares": []}


async def test_a_share_goes_with_its_task(http: aiohttp.ClientSession) -> None:
    await draw(http)
    _, made = await share(http)
    async with http.delete("/api/v1/tasks/a", headers=ANN) as response:
        assert response.status == 204
    assert await status(http, made["url"]) == 404
    assert await shares(http) == {"shares": []}
    assert (await share(http))[1]["code"] == "not_found"


async def test_nobody_shares_or_sees_or_revokes_what_is_not_theirs(http: aiohttp.ClientSession) -> None:
    await draw(http)
    _, made = await share(http)
    for other in (BOB, BOSS):
        assert (await share(http, other))[0] == 404
        assert await shares(http, other) == {"shares": []}
        assert await revoke(http, made["id"], other) == 404
    for call in (http.get, http.post):
        async with call("/api/v1/shares", json={"task_id": "a"}) as response:
            assert response.status == 401
    assert await status(http, made["url"]) == 200


async def test_shares_are_listed_in_pages(http: aiohttp.ClientSession) -> None:
    await draw(http)
    await draw(http, "b")
    made = [(await share(http))[1]["id"] for _ in range(3)]
    other = (await share(http, task_id="b"))[1]["id"]
    first = await shares(http, limit="3")
    assert [each["id"] for each in first["shares"]] == [other, made[2], made[1]]
    last = await shares(http, limit="3", cursor=first["next"])
    assert ([each["id"] for each in last["shares"]], "next" in last) == ([made[0]], False)
    assert [each["id"] for each in (await shares(http, task_id="b"))["shares"]] == [other]


async def test_an_owner_has_only_so_many(http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "SHARES_PER_OWNER", 2)
    await draw(http)
    made = [(await share(http))[1] for _ in range(2)]
    code, problem = await share(http)
    assert (code, problem["code"], problem["limit"]) == (409, "too_many_shares", "2 shares")
    await draw(http, owner=BOB)
    assert (await share(http, BOB))[0] == 201
    assert await revoke(http, made[0]["id"]) == 204
    assert (await share(http))[0] == 201


async def test_only_what_is_finished_is_shared(http: aiohttp.ClientSession, engine: Recorder) -> None:
    engine.faults = Faults(freeze=1)
    async with http.post("/api/v1/tasks", json={"prompt": "boat", "task_id": "a"}, headers=ANN) as response:
        assert response.status == 202
    code, problem = await share(http)
    assert (code, problem["field"]) == (404, "index")
    engine.faults = Faults()
    engine.thaw()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"task_id": "no such"}, "bad_task_id"),
        ({"task_id": "b"}, "not_found"),
        ({"index": 1}, "not_found"),
        ({"index": 64}, "out_of_bounds"),
        ({"index": "0"}, "wrong_shape"),
        ({"expires": 0}, "out_of_bounds"),
        ({"expires": -5}, "out_of_bounds"),
        ({"expires": 1e300}, "out_of_bounds"),
        ({"expires": "soon"}, "wrong_shape"),
        ({"task_id": None}, "wrong_shape"),
    ],
)
async def test_bad_requests(http: aiohttp.ClientSession, body: dict[str, Any], code: str) -> None:
    await draw(http)
    assert (await share(http, **body))[1]["code"] == code


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "201"}, {"cursor": "x"}, {"task_id": "a b"}])
async def test_bad_queries(http: aiohttp.ClientSession, query: dict[str, str]) -> None:
    assert await status(http, "/api/v1/shares", params=query, headers=ANN) == 422
