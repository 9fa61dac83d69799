"""Whose the file of an output is: the owner's by credentials, others' by a signed address, and nobody else's."""

import asyncio
import re
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from clients import FakeClock, Recorder, ShiftedClock, WireClient
from conftest import Serve
from streams import all_lines, shared_server
from xinflight.auth import UrlSigner
from xinflight.errors import StoreUnusable

PAGE = "https://page.example"
"""An origin in `allow_origins`."""
CHANGING = ("Date", "RateLimit", "RateLimit-Policy")
"""Headers that differ between any two answers."""
SIGNED = re.compile(r".*/outputs/[A-Za-z0-9_-]{24}\?expires=[0-9]{10}&signature=[A-Za-z0-9_-]{43}")


@pytest.fixture(params=["memory", "sqlite"])
async def base(
    request: pytest.FixtureRequest, engine: Recorder, emulate: Serve, clock: ShiftedClock, tmp_path: Path
) -> AsyncIterator[str]:
    """Give the URL of a server with several owners; `boss` is an admin."""
    folder = None if request.param == "memory" else str(tmp_path)
    settings = {"xinference_url": await emulate(engine), "allow_origins": (PAGE,), "data_dir": folder}
    async with shared_server(**settings) as (url, _):
        yield url


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def drawn(http: aiohttp.ClientSession, base: str, owner: str = "ann", **headers: str) -> str:
    """Let an owner generate an image; return its URL."""
    sent = {"X-User": owner, "Accept": "application/x-ndjson", **headers}
    async with http.post(f"{base}/api/v1/tasks", json={"prompt": "boat", "steps": 1}, headers=sent) as response:
        url: str = (await all_lines(response))[-1].data["data"]["data"][0]["url"]
    return url


async def status(http: aiohttp.ClientSession, url: str, **headers: str) -> int:
    async with http.get(url, headers=headers) as response:
        return response.status


def as_user(name: str) -> dict[str, str]:
    return {"X-User": name}


async def test_only_the_owner_reads_an_output(http: aiohttp.ClientSession, base: str) -> None:
    url = await drawn(http, base)
    async with http.get(url, headers=as_user("ann")) as response:
        assert (response.status, response.content_type) == (200, "image/jpeg")
        assert response.headers["Cache-Control"] == "private, no-cache"
        assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert await status(http, url) == 401


async def test_an_output_of_another_owner_is_like_none(http: aiohttp.ClientSession, base: str) -> None:
    """Nothing but the id tells the two answers apart."""
    url = await drawn(http, base)
    answers = []
    for path in (url, re.sub("[^/]+$", "A" * 24, url)):
        for method in ("GET", "HEAD"):
            headers = {**as_user("bob"), "X-Request-Id": "the-same-one"}
            async with http.request(method, path, headers=headers) as response:
                told = {name: value for name, value in response.headers.items() if name not in CHANGING}
                answers.append((response.status, method, told, await response.read()))
    assert {answer[0] for answer in answers} == {404}
    assert answers[:2] == answers[2:]


async def test_an_admin_reads_all_and_that_is_logged(
    http: aiohttp.ClientSession, base: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = await drawn(http, base)
    capsys.readouterr()
    assert await status(http, url, **as_user("boss")) == 200
    line = next(line for line in capsys.readouterr().out.splitlines() if "admin action" in line)
    assert all(word in line for word in ("admin=boss", "owner=ann", url.rpartition("/")[2]))
    assert "read output" in line


async def test_conditional_requests_and_head(http: aiohttp.ClientSession, base: str) -> None:
    url = await drawn(http, base)
    async with http.get(url, headers=as_user("ann")) as response:
        etag, size = response.headers["ETag"], len(await response.read())
    async with http.get(url, headers={**as_user("ann"), "If-None-Match": etag}) as response:
        assert (response.status, response.headers["ETag"], await response.read()) == (304, etag, b"")
    assert await status(http, url, **as_user("ann"), **{"If-None-Match": '"other"'}) == 200
    assert await status(http, url, **as_user("bob"), **{"If-None-Match": etag}) == 404
    async with http.head(url, headers=as_user("ann")) as response:
        assert (response.status, response.content_length) == (200, size)


async def test_a_deleted_output_is_gone_for_everybody(http: aiohttp.ClientSession, base: str) -> None:
    url, signed = await drawn(http, base), await drawn(http, base, Origin=PAGE)
    async with http.get(f"{base}/api/v1/tasks", headers=as_user("ann")) as response:
        tasks = (await response.json())["tasks"]
    for task in tasks:
        async with http.delete(f"{base}/api/v1/tasks/{task['task_id']}", headers=as_user("ann")) as response:
            assert response.status == 204
    assert [await status(http, each, **as_user("ann")) for each in (url, signed)] == [404, 404]


# Signed addresses


async def test_a_page_of_another_origin_gets_signed_addresses(
    http: aiohttp.ClientSession, base: str, clock: ShiftedClock
) -> None:
    """Over every API, also in a replay; whoever has the address reads the file until it expires."""
    url = await drawn(http, base, Origin=PAGE)
    sent = {"X-User": "ann", "Origin": PAGE}
    urls = [url]
    async with WireClient.connect(base, headers=sent) as client:
        (task,) = (await client.ask(action="list"))["tasks"]
        task_id = task["task_id"]
        urls.append(task["data"][0]["url"])
        epoch = client.seen[0]["epoch"]
        await client.ask(action="resume", tasks=[task_id], after=f"{epoch}:0")
        end = (await client.ends(task_id))[task_id]
        urls += [client.of(task_id, "output")[0]["url"], end["data"]["data"][0]["url"]]
    async with http.get(f"{base}/api/v1/tasks/{task_id}", headers=sent) as response:
        urls.append((await response.json())["data"][0]["url"])
    async with http.get(f"{base}/api/v1/tasks/{task_id}/outputs/0", headers=sent, allow_redirects=False) as response:
        urls.append(response.headers["Location"])
    assert all(SIGNED.fullmatch(each) for each in urls)
    for each in urls:
        async with http.get(each) as response:
            assert response.status == 200
            assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
            assert re.fullmatch(r"private, max-age=[0-9]+, immutable", response.headers["Cache-Control"])
    clock.advance(5 * 3600)
    assert await status(http, url) == 401, "it has expired"
    async with http.get(f"{base}/api/v1/tasks/{task_id}", headers=sent) as response:
        fresh = (await response.json())["data"][0]["url"]
    assert await status(http, fresh) == 200, "a message is signed when it is sent"


async def test_openai_gets_signed_addresses(http: aiohttp.ClientSession, base: str) -> None:
    body = {"prompt": "boat", "n": 2}
    async with http.post(f"{base}/v1/images/generations", json=body, headers=as_user("ann")) as response:
        urls = [image["url"] for image in (await response.json())["data"]]
    assert all(SIGNED.fullmatch(url) for url in urls)
    assert [await status(http, url) for url in urls] == [200, 200]


async def test_scripts_and_own_pages_get_stable_addresses(http: aiohttp.ClientSession, base: str) -> None:
    for origin in ({}, {"Origin": base}):
        url = await drawn(http, base, **origin)
        assert re.fullmatch(rf"{base}/outputs/[A-Za-z0-9_-]{{24}}", url)


async def test_a_changed_address_is_refused(http: aiohttp.ClientSession, base: str) -> None:
    url, other = await drawn(http, base, Origin=PAGE), await drawn(http, base, Origin=PAGE)
    output_id, _, query = url.rpartition("/")[2].partition("?")
    expires, signature = re.findall("=([^&]+)", query)
    changed = [
        f"{base}/outputs/{output_id}",
        f"{base}/outputs/{output_id}?signature={signature}",
        f"{base}/outputs/{output_id}?expires={expires}&signature=",
        f"{base}/outputs/{output_id}?expires={int(expires) + 1}&signature={signature}",
        f"{base}/outputs/{output_id}?expires={expires}&signature={signature[:-2]}AA",
        f"{base}/outputs/{output_id}?expires={expires}&signature=%ff%fe",
        f"{base}/outputs/{output_id}?expires=1e9&signature={signature}",
        f"{base}/outputs/{output_id}?expires=-1&signature={signature}",
        f"{base}/outputs/{output_id}?expires={'9' * 400}&signature={signature}",
        other.partition("?")[0] + "?" + query,
    ]
    assert await asyncio.gather(*(status(http, each) for each in changed)) == [401] * len(changed)
    assert await asyncio.gather(*(status(http, each, **as_user("bob")) for each in changed)) == [404] * len(changed)


def test_an_address_is_the_same_for_an_hour_and_valid_for_hours() -> None:
    clock = FakeClock(now=-1_700_000_000.0 + 1_000 * 3600.0)
    signer = UrlSigner(None, clock)
    first = signer.query("one")
    clock.now += 1.0
    second = signer.query("one")
    clock.now += 3599.0
    assert (signer.query("one"), signer.query("one") == first) == (second, False)
    expires, signature = re.findall("=([^&]+)", second)
    assert signer.seconds_left("one", expires, signature) == 4 * 3600
    assert signer.seconds_left("two", expires, signature) == 0
    clock.now += 4 * 3600 - 1.0
    assert signer.seconds_left("one", expires, signature) == 1.0
    clock.now += 1.0
    assert signer.seconds_left("one", expires, signature) == 0


def test_another_server_or_a_clock_that_was_wrong_signs_nothing_valid() -> None:
    clock = FakeClock()
    signer = UrlSigner(None, clock)
    expires, signature = re.findall("=([^&]+)", UrlSigner(None, clock).query("one"))
    assert signer.seconds_left("one", expires, signature) == 0
    expires, signature = re.findall("=([^&]+)", signer.query("one"))
    clock.now -= 365 * 86400.0
    assert signer.seconds_left("one", expires, signature) == 0


async def test_addresses_survive_a_restart_and_their_key_is_private(tmp_path: Path) -> None:
    clock = FakeClock()
    first, second = UrlSigner(tmp_path, clock), UrlSigner(tmp_path, clock)
    await first.open()
    await second.open()
    expires, signature = re.findall("=([^&]+)", first.query("one"))
    assert second.seconds_left("one", expires, signature) > 0
    key = tmp_path / "urls.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    key.write_text("not a key")
    with pytest.raises(StoreUnusable, match=r"signed addresses .*urls\.key can't be read"):
        await first.open()


async def test_a_signed_address_of_a_deleted_output_opens_nothing_until_it_is_restored(
    http: aiohttp.ClientSession, base: str
) -> None:
    url = await drawn(http, base, Origin=PAGE)
    async with http.get(f"{base}/api/v1/tasks", headers=as_user("ann")) as response:
        output = f"{base}/api/v1/tasks/{(await response.json())['tasks'][0]['task_id']}/outputs/0"
    assert (SIGNED.fullmatch(url) is not None, await status(http, url)) == (True, 200)
    async with http.delete(output, headers=as_user("ann")) as response:
        assert response.status == 204
    assert await status(http, url) == 401
    async with http.post(f"{output}/restore", headers=as_user("ann")) as response:
        assert response.status == 200
    assert await status(http, url) == 200
