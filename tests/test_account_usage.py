"""The account over HTTP: who one is, and what was used per day, as JSON and CSV."""

import csv
import io
from collections.abc import AsyncIterator

import aiohttp
import pytest

from clients import Json
from factories import charge
from streams import shared_server
from xinflight.account import CSV_HEADER, csv_line
from xinflight.gateway import Gateway
from xinflight.model import Usage, day_of

ACCOUNT = "/api/v1/account"


class Api:
    """A server of several owners with some usage, and its HTTP API as `ann` unless another is named."""

    def __init__(self, http: aiohttp.ClientSession, gateway: Gateway) -> None:
        self.gateway = gateway
        self._http = http

    async def get(self, path: str, user: str | None = "ann", **headers: str) -> tuple[int, str, str]:
        named = {} if user is None else {"X-User": user}
        async with self._http.get(path, headers={**named, **headers}) as response:
            return response.status, response.content_type, await response.text()

    async def json(self, path: str, user: str | None = "ann", status: int = 200) -> Json:
        named = {} if user is None else {"X-User": user}
        async with self._http.get(path, headers=named) as response:
            assert response.status == status, await response.text()
            body: Json = await response.json(content_type=None)
            return body


USED = [
    ("ann", "2026-01-30", 1.5, 1, 100),
    ("ann", "2026-01-31", 2.25, 3, 300),
    ("ann", "2026-02-01", 4.0, 1, 50),
    ("=cmd()", "2026-01-31", 1.0, 1, 10),
    ('bob, "the\u00e9"', "2026-01-31", 8.0, 2, 20),
]


def usage(row: tuple[str, str, float, int, int]) -> Usage:
    owner, day, seconds, outputs, size = row
    return Usage(owner=owner, day=day, seconds=seconds, outputs=outputs, bytes=size)


async def use(gateway: Gateway, *rows: Usage) -> None:
    store = gateway.journal.store
    fence = await store.lease("models of these tests")
    await store.commit([charge(row, pool="models of these tests", fence=fence) for row in rows])


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with shared_server() as (url, gateway), aiohttp.ClientSession(url) as http:
        await use(gateway, *map(usage, USED))
        yield Api(http, gateway)


async def test_the_account_tells_who_one_is_and_what_was_used_today(api: Api) -> None:
    today = day_of(api.gateway.clock.time())
    account = await api.json(ACCOUNT)
    assert account["owner"] == "ann"
    assert account["admin"] is False
    assert account["limits"]["outputs"] == api.gateway.settings.outputs
    assert account["usage"] == {"day": today, "seconds": 0.0, "outputs": 0, "bytes": 0}
    await use(api.gateway, Usage(owner="ann", day=today, seconds=1.23456, outputs=2, bytes=7))
    assert (await api.json(ACCOUNT))["usage"] == {"day": today, "seconds": 1.235, "outputs": 2, "bytes": 7}
    assert (await api.json(ACCOUNT, "boss"))["admin"] is True


async def test_usage_per_day(api: Api) -> None:
    report = await api.json(f"{ACCOUNT}/usage?from=2026-01-30&to=2026-01-31")
    assert report == {
        "from": "2026-01-30",
        "to": "2026-01-31",
        "days": [
            {"day": "2026-01-30", "seconds": 1.5, "outputs": 1, "bytes": 100},
            {"day": "2026-01-31", "seconds": 2.25, "outputs": 3, "bytes": 300},
        ],
    }
    assert (await api.json(f"{ACCOUNT}/usage?from=2026-02-02&to=2026-02-03"))["days"] == []
    assert len((await api.json(f"{ACCOUNT}/usage?to=2026-02-01"))["days"]) == 3
    assert len((await api.json(f"{ACCOUNT}/usage?to=2026-03-01"))["days"]) == 2, "29 days before"


async def test_usage_as_csv(api: Api) -> None:
    path = f"{ACCOUNT}/usage?from=2026-01-01&to=2026-02-28"
    by_accept = await api.get(path, Accept="text/csv")
    assert by_accept == await api.get(f"{path}&format=csv") == await api.get(f"{path}&format=csv", Accept="*/*")
    status, media_type, text = by_accept
    assert (status, media_type) == (200, "text/csv")
    assert text == (
        "owner,day,seconds,outputs,bytes\r\n"
        "ann,2026-01-30,1.5,1,100\r\nann,2026-01-31,2.25,3,300\r\nann,2026-02-01,4.0,1,50\r\n"
    )
    assert (await api.get(f"{ACCOUNT}/usage?from=2020-01-01&to=2020-01-02&format=csv"))[2].splitlines() == [
        "owner,day,seconds,outputs,bytes"
    ]
    assert (await api.get(f"{path}&format=json", Accept="text/csv"))[1] == "application/json"


async def test_an_admin_sees_one_owner_or_all(api: Api) -> None:
    days = "from=2026-01-31&to=2026-01-31"
    named = await api.json(f"{ACCOUNT}/usage?{days}&owner=ann", "boss")
    assert [(row["day"], row["seconds"]) for row in named["days"]] == [("2026-01-31", 2.25)]
    everybody = await api.json(f"{ACCOUNT}/usage?{days}&scope=all", "boss")
    assert [row["owner"] for row in everybody["days"]] == sorted({row[0] for row in USED})
    text = (await api.get(f"{ACCOUNT}/usage?{days}&scope=all&format=csv", "boss"))[2]
    read = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert [row[0] for row in read] == ["owner", "'=cmd()", "ann", 'bob, "the\u00e9"']


async def test_all_of_many_owners_come(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from xinflight.account import account

    monkeypatch.setattr(account, "USAGE_PAGE", 2)
    report = await api.json(f"{ACCOUNT}/usage?from=2026-01-01&to=2026-02-28&scope=all", "boss")
    rows = [(row["owner"], row["day"]) for row in report["days"]]
    assert rows == sorted({(row[0], row[1]) for row in USED}, key=lambda row: (row[1], row[0]))


@pytest.mark.parametrize(
    ("query", "status", "code", "field"),
    [
        ("from=2026-02-30", 422, "out_of_bounds", "from"),
        ("from=yesterday", 422, "out_of_bounds", "from"),
        ("from=20260101", 422, "out_of_bounds", "from"),
        ("from=", 422, "out_of_bounds", "from"),
        ("to=2026-1-1", 422, "out_of_bounds", "to"),
        ("to=2026-01-01T00:00:00Z", 422, "out_of_bounds", "to"),
        ("to=٢٠٢٦-01-01", 422, "out_of_bounds", "to"),
        ("from=2026-02-02&to=2026-02-01", 422, "out_of_bounds", "from"),
        ("from=2025-01-01&to=2026-01-02", 422, "out_of_bounds", "from"),
        ("from=0001-01-01", 422, "out_of_bounds", "from"),
        ("format=xml", 422, "out_of_bounds", "format"),
        ("scope=mine", 422, "out_of_bounds", "scope"),
        ("scope=all", 403, "forbidden", None),
        ("owner=bob", 403, "forbidden", "owner"),
        ("owner=bob&scope=all", 422, "wrong_shape", "owner"),
    ],
)
async def test_what_is_refused(api: Api, query: str, status: int, code: str, field: str | None) -> None:
    problem = await api.json(f"{ACCOUNT}/usage?{query}", status=status)
    assert (problem["code"], problem.get("field")) == (code, field)
    assert status == 403 or problem["limit"]


async def test_the_first_days_of_time_are_no_error(api: Api) -> None:
    assert (await api.json(f"{ACCOUNT}/usage?to=0001-01-02"))["from"] == "0001-01-01"


async def test_other_types_and_other_people_are_refused(api: Api) -> None:
    assert (await api.get(f"{ACCOUNT}/usage", Accept="image/png"))[0] == 406
    assert (await api.get(ACCOUNT, user=None))[0] == 401
    assert (await api.get(f"{ACCOUNT}/usage", user=None))[0] == 401


@pytest.mark.parametrize("owner", ["=1+1", "+1", "-1", "@sum", "＝1", "＠x"])
def test_no_owner_is_a_formula(owner: str) -> None:
    line = csv_line(Usage(owner=owner, day="2026-01-01"))
    assert line == f"'{owner},2026-01-01,0.0,0,0\r\n".encode()
    assert CSV_HEADER.count(b",") == line.count(b",")
