"""What a request costs does not grow with what is kept: steps of SQLite and lines of ours, not seconds."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from clients import FakeClock, Json, Steps, WireClient, hosted
from factories import accept, append, draw, end, lease, make_task, output_event, result
from xinflight import Settings, setup
from xinflight.protocol import State
from xinflight.storage import SqliteStore, Write
from xinflight.storage.page_cursors import PageCursors

pytestmark = pytest.mark.slow

OWNERS = 1000
EVENTS_OF_TASK = 10
FEW, MANY = 100, 10_000
"""Tasks: MANY have 100,000 events. Half of them belong to one owner, as where nobody logs in."""
PAGE = 5

Cost = tuple[int, int]
"""Steps of SQLite, and lines of the package."""


class Connections:
    """Every connection that is made to a database, and how many steps its statements take from `count` on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps = 0
        self._made: list[sqlite3.Connection] = []
        self._connect: Callable[..., sqlite3.Connection] = sqlite3.connect
        monkeypatch.setattr(sqlite3, "connect", self._note)

    def _note(self, *args: Any, **options: Any) -> sqlite3.Connection:
        connection = self._connect(*args, **options)
        self._made.append(connection)
        return connection

    def count(self) -> None:
        """Count from now on; call it when nothing is under way."""
        for connection in self._made:
            connection.set_progress_handler(self._step, 1)

    def forget(self) -> None:
        """Forget what was closed."""
        self._made.clear()

    def _step(self) -> int:
        self.steps += 1
        return 0


async def fill(folder: Path, tasks: int) -> None:
    """Keep so many ended tasks, of OWNERS owners."""
    store = SqliteStore(folder, full=False)
    await store.open()
    await lease(store)
    for first in range(0, tasks, 500):
        writes: list[Write] = []
        for number in range(first, min(first + 500, tasks)):
            owner = "local" if number % 2 == 0 else f"owner-{number % (OWNERS - 1)}"
            task = make_task(f"t{number}", owner)
            draw(task)
            end(task, at=1010.0 + number)
            images = [output_event(task, index) for index in range(EVENTS_OF_TASK - 2)]
            writes += [accept(task), *(append(task, told) for told in images), append(task, result(task))]
        await store.commit(writes)
    # Else the server begins with that, beside the requests.
    while await store.library.index():
        pass
    await store.close()


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[str]:
    """Serve what is kept in a folder; Xinference is away, and no timer runs."""
    app = web.Application()
    # Nothing listens at the discard port.
    setup(app, Settings(xinference_url="http://127.0.0.1:9", data_dir=str(folder)), clock=FakeClock())
    async with hosted(app) as url:
        yield url


async def ask_everything(url: str, connections: Connections, tasks: int) -> dict[str, Cost]:
    """Make every request that reads or writes what is kept; return what each cost."""
    steps: dict[str, Cost] = {}
    last = tasks // 2 * EVENTS_OF_TASK
    async with WireClient.connect(url) as client, aiohttp.ClientSession() as http:
        epoch = client.seen[0]["epoch"]

        async def cancel(task_id: str) -> Json:
            await client.ask(action="cancel", task_id=task_id)
            return await client.ends(task_id)

        # The look at size and age, which every start begins with, is over when something was written after it.
        await client.ask(action="generate", prompt="boat", task_id="first")
        await cancel("first")
        # It is prepared for searches now, not beside what is counted.
        await client.ask(action="list", search="boat", limit=1)
        connections.count()

        async def counted(name: str, work: Coroutine[Any, Any, Json]) -> Json:
            before = connections.steps
            with Steps() as lines:
                answer = await work
            steps[name] = connections.steps - before, lines.count
            return answer

        async def get(path: str) -> Json:
            async with http.get(f"{url}api/v1/tasks/{path}") as response:
                assert response.status == 200, await response.text()
                return {"text": await response.text()}

        page = await counted("first page", client.ask(action="list", limit=PAGE))
        assert len(page["tasks"]) == PAGE
        page = await counted("last page", client.ask(action="list", limit=PAGE, cursor="9"))
        assert page["tasks"][-1]["task_id"] == "t0"
        for state in ("unfinished", State.COMPLETED, State.FAILED, State.CANCELLED, State.EXPIRED):
            await counted(f"first page of {state}", client.ask(action="list", limit=PAGE, state=state))
        await counted("known id", client.ask(action="generate", prompt="other", task_id="t2"))
        await counted("resume of one", client.ask(action="resume", after=f"{epoch}:0", tasks=["t4"]))
        assert len(client.of("t4")) == EVENTS_OF_TASK
        cursor = f"{epoch}:{last - EVENTS_OF_TASK}"
        await counted("resume of all", client.ask(action="resume", after=cursor, scope="all"))
        assert len(client.of(f"t{tasks - 2}", "output", "result")) == EVENTS_OF_TASK - 1
        await counted("follow", client.ask(action="follow", task_id="t6"))
        await counted("GET of a task", get("t8"))
        events = await counted("GET of events", get("t10/events"))
        assert events["text"].count('"type":"output"') == EVENTS_OF_TASK - 2
        ack = await counted("accept", client.ask(action="generate", prompt="boat", task_id="new"))
        assert ack["type"] == "ack"
        await counted("end", cancel("new"))
        await counted("cancel of an ended one", client.ask(action="cancel", task_id="t12"))
        await counted("cancel of an unknown one", client.ask(action="cancel", task_id="unknown"))
        deleted = await counted("delete", client.ask(action="delete", task_id="t14"))
        assert deleted["type"] == "ok"
    return steps


async def test_no_request_reads_more_when_more_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 100 tasks and with 10,000, each request costs about the same: it finds what it needs by an index."""
    # The last page without asking for all before it.
    monkeypatch.setattr(PageCursors, "decode", lambda _, cursor: int(cursor))
    connections = Connections(monkeypatch)
    taken = {}
    for tasks in (FEW, MANY):
        await fill(tmp_path / f"{tasks}", tasks)
        connections.forget()
        async with serving(tmp_path / f"{tasks}") as url:
            taken[tasks] = await ask_everything(url, connections, tasks)
        connections.forget()
    grown = {
        name: (few, taken[MANY][name])
        for name, few in taken[FEW].items()
        # Pages differ by a few rows.
        if any(more > 1.5 * less + 50 for less, more in zip(few, taken[MANY][name], strict=True))
    }
    assert not grown, f"steps and lines with {FEW} and with {MANY} tasks"
    assert all(min(cost) > 0 for cost in taken[FEW].values()), "something was not counted"
