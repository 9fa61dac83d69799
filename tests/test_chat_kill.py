"""SIGKILL while chats are written: what anybody was sent stays the beginning of what there is, and each ends once."""

import asyncio
import os
import random
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest

from clients import Json, WireClient
from conftest import Serve
from server_process import running
from test_chats import WRITER, ask, text_of
from xinflight.demo import Emulator

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

KILLS = int(os.environ.get("XINFLIGHT_TEST_KILLS", "5"))
SEED = int(os.environ.get("XINFLIGHT_TEST_SEED", random.randrange(2**32)))
CHATS = 4


async def read(client: WireClient) -> None:
    """Receive until the line breaks."""
    while True:
        await client.receive()


def known(clients: list[WireClient], task_id: str) -> list[str]:
    return [text_of(client.of(task_id, "delta")) for client in clients]


def end_of(client: WireClient, task_id: str) -> Json:
    [end] = [m for m in client.of(task_id) if m["type"] in ("result", "error", "cancelled") and "seq" in m]
    return end


@pytest.mark.parametrize("kill", range(KILLS))
async def test_killed_while_chats_are_written(kill: int, tmp_path: Path, emulate: Serve) -> None:
    """Two subscribers, one of which comes later, agree with each other and with what is there after the restart."""
    print(f"XINFLIGHT_TEST_SEED={SEED}")
    dice = random.Random(SEED + kill)
    # One replica with two sequences upstream: some chats have not begun when the server dies.
    writer = msgspec.structs.replace(WRITER, step_seconds=0.02, sequences=2)
    xinference = await emulate(Emulator([writer]))
    names = [f"c{number}" for number in range(CHATS)]
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(running(tmp_path / "data", xinference))
        clients = [await stack.enter_async_context(WireClient.connect(server.url))]
        for name in names:
            # Whoever asked again for a chat that had begun would get another text.
            await ask(clients[0], name, temperature=1.0)
        await clients[0].until(lambda m: m["type"] == "delta")
        clients.append(await stack.enter_async_context(WireClient.connect(server.url)))
        epoch = clients[0].seen[0]["epoch"]
        await clients[1].send(action="resume", scope="all", after=f"{epoch}:0")
        readers = [asyncio.create_task(read(client), name="reader") for client in clients]
        await asyncio.sleep(dice.uniform(0.0, 0.6))
        await server.kill()
        await asyncio.gather(*readers, return_exceptions=True)
        seen = {name: known(clients, name) for name in names}
        ended = {name for name in names for client in clients if client.of(name, "result")}
    async with running(tmp_path / "data", xinference) as server:
        async with WireClient.connect(server.url) as client:
            assert client.seen[0]["epoch"] == epoch
            await client.send(action="resume", scope="all", after=f"{epoch}:0")
            await client.ends(*names)
            for name in names:
                end = end_of(client, name)
                data = end["data"]["data"] if end["type"] == "result" else end["data"]
                texts = [output["text"] for output in data]
                whole = texts[0] if texts else ""
                assert all(whole.startswith(text) for text in seen[name]), (name, seen[name], whole)
                if name in ended or end["type"] != "error":
                    assert end["type"] == "result"
                else:
                    assert (end["code"], end["retryable"], data[0]["incomplete"]) == ("interrupted", True, True)
        assert not [line for line in server.log if "Traceback" in line]
