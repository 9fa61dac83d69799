"""An upstream that goes away, tears, freezes and answers garbage while work is on its way."""

import asyncio
import os
import random
from pathlib import Path

import msgspec
import pytest

from clients import Json, WireClient, eventually
from conftest import Serve
from server_process import QUICK, Counting, running
from xinflight.demo import Faults

pytestmark = pytest.mark.process

AWAY = float(os.environ.get("XINFLIGHT_TEST_AWAY", "2"))
SEED = int(os.environ.get("XINFLIGHT_TEST_SEED", random.randrange(2**32)))
PAIR = msgspec.structs.replace(QUICK, replicas=2, step_seconds=0.03)


async def start(client: WireClient, *task_ids: str, **fields: object) -> None:
    for task_id in task_ids:
        ack = await client.ask(**{"action": "generate", "prompt": task_id, "task_id": task_id, **fields})
        assert ack["type"] == "ack", ack


def check_percentages(client: WireClient) -> None:
    """Hold that within an attempt no percentage fell."""
    shown: dict[tuple[str, int], int] = {}
    for message in client.seen:
        if message["type"] == "progress":
            key = message["task_id"], message.get("details", {}).get("attempt", 1)
            assert message["progress"] >= shown.get(key, 0)
            shown[key] = message["progress"]


@pytest.mark.timeout(300 + 3 * AWAY)
async def test_away_for_a_while(tmp_path: Path, emulate: Serve) -> None:
    """What runs is lost or goes on, what waits waits; when it is back everything comes to its end."""
    engine = Counting(PAIR)
    names = [f"t{i}" for i in range(6)]
    async with running(tmp_path / "data", await emulate(engine)) as server, WireClient.connect(server.url) as client:
        # The connections of the first two are cut, and it goes while they compute; their compute goes on.
        engine.faults = Faults(drop=3, freeze=3, requests=2)
        await start(client, *names, timeout=AWAY + 60)
        await start(client, "short", timeout=AWAY / 2)
        await eventually(lambda: engine.in_flight["painter"] == 2)
        engine.unreachable = True
        engine.thaw()
        away = await client.until(lambda m: m["type"] == "notice")
        assert away["upstream"]["state"] == "unreachable"
        await asyncio.sleep(AWAY)
        assert (await client.ends("short"))["short"]["code"] == "timeout"
        assert not [m for m in client.seen if m["type"] in ("result", "cancelled")]
        posts = len(engine.posts)
        assert posts == 2
        engine.unreachable = False
        ends = await client.ends(*names)
    assert {end["type"] for end in ends.values()} == {"result"}
    assert engine.peak["painter"] <= 2
    assert not engine.twice_at_once
    assert "short" not in engine.prompts
    check_percentages(client)


CLEAR = {"timeout", "upstream_died", "upstream_failed", "upstream_garbage", "upstream_unreachable", "upstream_busy"}
CLEAR |= {"upstream_out_of_memory"}


async def test_everything_at_once(tmp_path: Path, emulate: Serve) -> None:
    """Whatever strikes, each task ends, with a clear code, and never runs twice at once."""
    print(f"XINFLIGHT_TEST_SEED={SEED}")
    dice = random.Random(SEED)
    engine = Counting(PAIR)
    timeout = 6.0
    async with running(tmp_path / "data", await emulate(engine)) as server, WireClient.connect(server.url) as client:

        async def strike() -> None:
            while True:
                fault: Json = dice.choice(
                    (
                        {"reset": True},
                        {"drop": 2},
                        {"garbage": dice.choice(("text", "shape", "base64", "image"))},
                        {"freeze": 2},
                        {"refuse": 1},
                        {"error": "CUDA out of memory"},
                        {"slow": 4},
                        {},
                        {},
                        {},
                    )
                )
                engine.faults = Faults(requests=1, **fault)
                engine.unreachable = dice.random() < 0.15
                await asyncio.sleep(dice.uniform(0.05, 0.4))
                engine.thaw()
                engine.unreachable = False

        striking = asyncio.create_task(strike())
        names = [f"t{i}" for i in range(20)]
        for name in names:
            await start(client, name, timeout=timeout)
            await asyncio.sleep(dice.uniform(0, 0.2))
        await client.ends(*names)
        striking.cancel()
        await asyncio.gather(striking, return_exceptions=True)
        engine.faults, engine.unreachable = Faults(), False
        engine.thaw()
        tasks = (await client.ask(action="list", limit=200))["tasks"]
        # The slots come back.
        await start(client, "after", timeout=60)
        assert (await client.ends("after"))["after"]["type"] == "result"
    for task in tasks:
        assert task["state"] == "completed" or task["code"] in CLEAR, task
    print(sorted(task.get("code", task["state"]) for task in tasks))
    assert engine.peak["painter"] <= 2
    assert not engine.twice_at_once
    check_percentages(client)
