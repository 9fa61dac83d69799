"""A host that derives errors of its own from the exported one takes nothing away from us."""

import aiohttp
import pytest
from aiohttp import web

from clients import hosted
from scripted_gateway import ScriptedGateway, turns
from xinflight import Identity, Settings, XinflightError, setup
from xinflight.errors import TaskTimeout, by_code, leaves
from xinflight.protocol import Error


@pytest.fixture
def out_of_credit() -> type[XinflightError]:
    """Give a host's own error."""

    class OutOfCredit(XinflightError):
        pass

    return OutOfCredit


@pytest.fixture
def lateness() -> type[XinflightError]:
    """Give a host's own error below one that has a code."""

    class TooLate(TaskTimeout):
        pass

    return TooLate


@pytest.mark.usefixtures("out_of_credit", "lateness")
async def test_failing_tasks_still_end() -> None:
    """An image that fails is told of once, with its code, and its slot is free."""
    async with ScriptedGateway.begin() as gateway:
        await gateway.submit(task_id="a", model="m")
        await turns()
        gateway.upstream.pending[0].end("error")
        await turns()
        await gateway.drain()
        [end] = gateway.ends("ann", "a")
        assert isinstance(end.message, Error)
        assert end.message.code == "upstream_failed"
        await gateway.submit(task_id="b", model="m")
        await turns()
        assert len(gateway.upstream.pending) == 1


def test_codes_stand_for_our_own_errors(lateness: type[XinflightError], out_of_credit: type[XinflightError]) -> None:
    """What a host derives is in no list, and is never made in place of ours."""
    assert by_code("timeout") is TaskTimeout
    assert not {lateness, out_of_credit} & set(leaves())


@pytest.mark.parametrize(
    ("kind", "status", "code"), [("out_of_credit", 500, "internal"), ("lateness", 504, "timeout")]
)
async def test_one_that_is_raised_is_answered(
    request: pytest.FixtureRequest, unused_tcp_port: int, kind: str, status: int, code: str
) -> None:
    """Raised where the host says who somebody is, it has the code of the nearest error of ours."""
    error: type[XinflightError] = request.getfixturevalue(kind)

    async def who(request: web.Request, token: str | None) -> Identity | None:
        raise error(detail="not for everybody's eyes")

    app = web.Application()
    setup(app, Settings(xinference_url=f"http://127.0.0.1:{unused_tcp_port}"), authenticate=who)
    async with (
        hosted(app) as url,
        aiohttp.ClientSession() as http,
        http.get(f"{url}api/v1/tasks") as answer,
    ):
        told = await answer.json(content_type="application/problem+json")
    assert (answer.status, told["status"], told["code"]) == (status, status, code)
    assert "eyes" not in str(told)
