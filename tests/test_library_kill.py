"""SIGKILL while images are starred, tagged, deleted and restored: what was answered holds, and is found."""

import asyncio
import os
import random
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import aiohttp
import pytest

from clients import LONG, Json, WireClient
from conftest import Serve
from server_process import QUICK, Counting, running

pytestmark = pytest.mark.process

KILLS = int(os.environ.get("XINFLIGHT_TEST_KILLS", "5"))
SEED = int(os.environ.get("XINFLIGHT_TEST_SEED", random.randrange(2**32)))
TASKS = 12
OUTPUTS = 2
TAGS = ("sea", "海", "red boat")

Key = tuple[str, int]
Marks = tuple[bool, tuple[str, ...], bool]
"""Starred, tags, deleted."""


class Album:
    """One person's images: what their marks may be, as answers and events have told."""

    def __init__(self, dice: random.Random) -> None:
        self.marks: dict[Key, Marks] = {
            (f"t{n}", i): (False, (), False) for n in range(TASKS) for i in range(OUTPUTS)
        }
        # What was asked for and not answered yet: it may have been stored, or not.
        self.asked: dict[Key, Marks] = {}
        self.answers = 0
        self.cursor = ""
        self._dice = dice

    def _change(self) -> tuple[Key, Json, Marks]:
        key = self._dice.choice(sorted(self.marks))
        starred, tags, deleted = self.marks[key]
        message: Json = {"task_id": key[0], "index": key[1]}
        match self._dice.choice(("star", "tag", "delete", "restore")):
            case "star" if not deleted:
                return key, {"action": "mark", "starred": not starred, **message}, (not starred, tags, deleted)
            case "tag" if not deleted:
                wanted = tuple(self._dice.sample(TAGS, self._dice.randrange(len(TAGS) + 1)))
                return key, {"action": "mark", "tags": wanted, **message}, (starred, wanted, deleted)
            case "delete":
                return key, {"action": "delete", **message}, (starred, tags, True)
            case _:
                return key, {"action": "restore", **message}, (starred, tags, False)

    async def use(self, client: WireClient) -> None:
        """Change one image after the other until the line breaks."""
        with suppress(aiohttp.ClientError, ConnectionError, TypeError):
            while True:
                key, message, marks = self._change()
                self.asked[key] = marks
                answer = await client.ask(**message)
                assert answer["type"] == "ok", answer
                self.marks[key] = self.asked.pop(key)
                self.answers += 1

    async def check(self, client: WireClient) -> None:
        """Hold the list against what was answered; what was not is known from now on."""
        page = (await client.ask(action="list", limit=TASKS))["tasks"]
        shown = {
            (task["task_id"], each["index"]): (each.get("starred", False), tuple(each.get("tags", ())), False)
            for task in page
            for each in task.get("data", ())
        }
        for key, marks in self.marks.items():
            possible = {each if not each[2] else None for each in (marks, self.asked.get(key, marks))}
            assert shown.get(key) in possible, (key, marks, self.asked)
            if key in self.asked:
                self.marks[key] = shown.get(key) or (*self.asked[key][:2], True)
        self.asked.clear()
        assert await listed(client, starred=True) == {key[0] for key, each in shown.items() if each[0]}
        for tag in TAGS:
            tagged = {key[0] for key, each in shown.items() if tag in each[1]}
            assert await listed(client, tag=tag) == await listed(client, search=tag) == tagged


async def listed(client: WireClient, **query: object) -> set[str]:
    """Return the ids of the tasks that a query finds."""
    return {task["task_id"] for task in (await client.ask(action="list", limit=TASKS, **query))["tasks"]}


async def make(client: WireClient) -> None:
    """Generate what the album has."""
    names = [f"t{number}" for number in range(TASKS)]
    for name in names:
        await client.ask(action="generate", task_id=name, prompt=f"prompt {name}", n=OUTPUTS)
    await client.ends(*names)


@pytest.mark.timeout(300 + 10 * KILLS)
async def test_marks_survive_kills(tmp_path: Path, emulate: Serve) -> None:
    print(f"XINFLIGHT_TEST_SEED={SEED}")
    dice = random.Random(SEED)
    album = Album(dice)
    folder = tmp_path / "data"
    xinference = await emulate(Counting(QUICK))
    async with running(folder, xinference) as server, WireClient.connect(server.url) as client:
        await make(client)
        server.terminate()
        await server.ended()
    for _ in range(KILLS):
        async with running(folder, xinference) as server:
            async with WireClient.connect(server.url) as client:
                await album.check(client)
                using = asyncio.create_task(album.use(client))
                wanted = album.answers + dice.randrange(1, 60)
                async with asyncio.timeout(LONG):
                    while album.answers < wanted:
                        assert not using.done(), using
                        await asyncio.sleep(0.002)
                await server.kill()
                await using
            assert not [line for line in server.log if "Traceback" in line]
        with closing(sqlite3.connect(folder / "xinflight.db")) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            database.execute("INSERT INTO search (search) VALUES ('integrity-check')")
    async with running(folder, xinference) as server, WireClient.connect(server.url) as client:
        await album.check(client)
    print(f"{album.answers} changes answered")
