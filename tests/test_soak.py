"""The soak itself: that it runs, and that it notices what does not come back."""

import sys
from contextlib import nullcontext
from xml.etree import ElementTree

import aiohttp
import msgspec
import pytest
from aiohttp import web

from clients import Json, hosted
from soak import person
from soak.checks import FEW, LOADED, RESIDENT, SLOPE, growth, quiescence
from soak.plot import plot
from soak.run import SoakOptions, soak, table
from soak.samples import Sample
from soak.upstream import SLOTS

REST = Sample(
    at=60.0,
    phase="rest",
    resident=100_000_000,
    open_files=20,
    threads=10,
    asyncio_tasks=15,
    connections=0,
    unfinished=0,
    slots_free=SLOTS,
    database=5_000_000,
    wal=10_000,
    files=0,
    file_bytes=0,
    failing=0,
)


@pytest.mark.process
@pytest.mark.timeout(300)
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_short_soak_passes() -> None:
    soaked = await soak(SoakOptions(minutes=0.1, clients=10, warm_up=5.0))
    assert soaked.passed, table(soaked)
    assert sum(soaked.done.values()) > 10
    assert {one.phase for one in soaked.samples} == {"warm-up", "rest", LOADED}


@pytest.mark.parametrize(
    ("answers", "broken"),
    [
        ([(200, {"complete": True})], None),
        ([(200, {"complete": False}), (200, {"complete": False}), (200, {"complete": True})], None),
        ([(200, {"complete": False}), (503, {"complete": False})], "503"),
    ],
)
async def test_a_person_erases_until_nothing_is_left(
    answers: list[tuple[int, Json]], broken: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And has no uploads any more, whatever came of it."""
    monkeypatch.setattr(person, "ERASED_AGAIN", 0.0)

    async def erase(_: web.Request) -> web.Response:
        status, answer = answers.pop(0)
        return web.json_response(answer, status=status)

    app = web.Application()
    app.router.add_delete("/api/v1/account", erase)
    async with hosted(app) as url:
        ann = person.Person(url, 1)
        ann._http = aiohttp.ClientSession(url)
        ann._uploads = ["a"]
        with pytest.raises(person.Broken, match=broken) if broken else nullcontext():
            await ann.erase()
        assert ann._http.closed
    assert (answers, ann._uploads) == ([], [])


def test_nothing_has_to_be_less_than_before() -> None:
    assert all(check.passed for check in quiescence(REST, REST))


@pytest.mark.parametrize(
    ("field", "more"),
    [
        ("resident", RESIDENT + 1),
        ("open_files", FEW + 1),
        ("threads", FEW + 1),
        ("asyncio_tasks", 1),
        ("connections", 1),
        ("unfinished", 1),
        ("slots_free", -1),
        ("database", 6_000_000),
        ("wal", 40_000_000),
        ("files", 1),
        ("file_bytes", 1),
        ("failing", 1),
    ],
)
def test_whatever_stays_is_noticed(field: str, more: int) -> None:
    after = msgspec.structs.replace(REST, **{field: getattr(REST, field) + more})
    assert sum(not check.passed for check in quiescence(REST, after)) == 1


def loaded(resident: list[int]) -> list[Sample]:
    """Return samples under load, between others that do not count."""
    under_load = [msgspec.structs.replace(REST, phase=LOADED, resident=value) for value in resident]
    return [REST, *under_load, msgspec.structs.replace(REST, resident=10**9)]


@pytest.mark.parametrize(("grown", "passed"), [(0, True), (SLOPE, True), (SLOPE + 4, False)])
def test_memory_that_grows_under_load_is_noticed(grown: int, passed: bool) -> None:
    (check,) = growth(loaded([50_000_000, 100_000_000, 100_000_000 + grown // 2, 100_000_000 + grown]))
    assert check.passed is passed


def test_few_samples_tell_nothing_of_growth() -> None:
    assert growth(loaded([1, 2, 3])) == []


def test_the_plot_is_valid_svg() -> None:
    drawn = ElementTree.fromstring(plot([REST, msgspec.structs.replace(REST, at=120.0)]))
    assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
    for text in drawn.iter("{http://www.w3.org/2000/svg}text"):
        if text.get("text-anchor") == "middle":
            # Seven pixels are the most that a digit takes.
            assert float(text.attrib["x"]) + 7 * len(text.text or "") / 2 <= float(drawn.attrib["width"])
