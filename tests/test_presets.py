"""Presets of an owner: over the wire, on all devices, within bounds, over a restart, in an export, and erased."""

import asyncio
import io
import zipfile
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from clients import Json, Recorder, WireClient
from conftest import Serve
from xinflight.cli import serving
from xinflight.errors import StorageUnavailable
from xinflight.protocol import Preferences, Preset
from xinflight.settings import Settings
from xinflight.storage import SqliteStore, Store, StoredPreferences, StoredPresets, sqlite_schema

PORTRAIT = {"name": "Portrait", "settings": {"size": "512x768", "n": 2}, "prompt": "photo of {prompt}, 85mm"}
SKETCH = {"name": "速写 ✏", "settings": {"steps": 4, "negative_prompt": None}}

WITHOUT_PRESETS = 6
"""The last schema that had none."""


async def names(client: WireClient) -> list[str]:
    return [preset["name"] for preset in (await client.ask(action="preset"))["presets"]]


async def test_presets_are_the_same_on_all_devices(server: str, client: WireClient, stack: AsyncExitStack) -> None:
    other = await stack.enter_async_context(WireClient.connect(server))
    http = await stack.enter_async_context(aiohttp.ClientSession())
    path = f"{server}api/v1/account/presets"
    empty = await client.ask(action="preset")
    assert (empty["version"], empty["presets"]) == (0, [])
    answer = await client.ask(action="preset", change={"save": [PORTRAIT, SKETCH]})
    assert (answer["type"], answer["version"], answer["presets"]) == ("presets", 1, [PORTRAIT, SKETCH])
    notice = await other.has(lambda m: m["type"] == "notice" and m["kind"] == "presets")
    assert notice["version"] == 1
    assert "presets" not in notice
    wide = {**PORTRAIT, "settings": {"size": "768x512"}}
    async with http.patch(path, json={"save": [wide], "delete": [SKETCH["name"], "unknown"]}) as response:
        assert await response.json() == {"version": 2, "presets": [wide]}
    async with http.patch(path, json={"save": [wide], "delete": ["unknown"]}) as response:
        assert (await response.json())["version"] == 2, "nothing changed"
    renamed = {**wide, "name": "Wide"}
    await other.ask(action="preset", change={"save": [SKETCH, renamed], "delete": ["Portrait"]})
    async with http.get(path) as response:
        assert await response.json() == {"version": 3, "presets": [SKETCH, renamed]}
    await client.ask(action="preset", change={"save": [PORTRAIT]})
    await other.ask(action="preset", change={"save": [{**SKETCH, "settings": {}}]})
    assert await names(client) == [SKETCH["name"], "Wide", "Portrait"], "one that is replaced keeps its place"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"save": [{"name": "", "settings": {}}]}, "out_of_bounds"),
        ({"save": [{"name": "x" * 61, "settings": {}}]}, "out_of_bounds"),
        ({"save": [{"settings": {}}]}, "wrong_shape"),
        ({"save": [{"name": "A"}]}, "wrong_shape"),
        ({"save": [{**PORTRAIT, "settings": {"size": ["512x768"]}}]}, "wrong_shape"),
        ({"save": [{**PORTRAIT, "settings": {"size": "x" * 2001}}]}, "out_of_bounds"),
        ({"save": [{**PORTRAIT, "prompt": ""}]}, "out_of_bounds"),
        ({"save": [{**PORTRAIT, "prompt": "x" * 2001}]}, "out_of_bounds"),
        ({"save": [{"name": str(number), "settings": {}} for number in range(101)]}, "out_of_bounds"),
        ({"delete": [""]}, "out_of_bounds"),
        ({"save": PORTRAIT}, "wrong_shape"),
    ],
)
async def test_a_wrong_preset_is_refused_and_changes_nothing(client: WireClient, change: Json, code: str) -> None:
    assert (await client.ask(action="preset", change=change))["code"] == code
    assert await names(client) == []


async def test_an_owner_has_so_many_and_so_long_ones(client: WireClient) -> None:
    many = [{"name": str(number), "settings": {}} for number in range(100)]
    assert len((await client.ask(action="preset", change={"save": many}))["presets"]) == 100
    refused = await client.ask(action="preset", change={"save": [PORTRAIT]})
    assert (refused["code"], refused["field"], refused["limit"]) == ("out_of_bounds", "change", "100 presets")
    await client.ask(action="preset", change={"save": [PORTRAIT], "delete": ["99"]})
    assert len(await names(client)) == 100
    await client.ask(action="preset", change={"delete": [str(number) for number in range(100)]})
    # In two frames, each of which may have 64 KiB.
    halves = [
        [{"name": str(number), "settings": {}, "prompt": "x" * 2000} for number in range(at, at + 20)]
        for at in (0, 20)
    ]
    fits, refused = [await client.ask(action="preset", change={"save": half}) for half in halves]
    assert fits["version"] == 4
    assert (refused["code"], refused["limit"]) == ("out_of_bounds", "65536 bytes in all")
    assert len(await names(client)) == 21


async def test_changes_of_several_devices_at_once_all_count(server: str) -> None:
    async with aiohttp.ClientSession(server) as http:

        async def save(number: int) -> None:
            body = {"save": [{"name": str(number), "settings": {}}]}
            async with http.patch("api/v1/account/presets", json=body) as response:
                assert response.status == 200

        await asyncio.gather(*(save(number) for number in range(10)))
        async with http.get("api/v1/account/presets") as response:
            told = await response.json()
    assert (told["version"], len(told["presets"])) == (10, 10)


async def test_they_survive_a_restart_and_are_exported_and_erased(
    engine: Recorder, emulate: Serve, tmp_path: Path
) -> None:
    settings = Settings(port=0, data_dir=str(tmp_path / "data"), drain=0.0, xinference_url=await emulate(engine))
    async with serving(settings, demo=False) as (url, _), WireClient.connect(url) as client:
        await client.ask(action="preset", change={"save": [PORTRAIT, SKETCH]})
    async with (
        serving(settings, demo=False) as (url, _),
        WireClient.connect(url) as client,
        aiohttp.ClientSession(url) as http,
    ):
        assert (await client.ask(action="preset"))["presets"] == [PORTRAIT, SKETCH]
        async with http.get("/api/v1/account/export") as response:
            archive = zipfile.ZipFile(io.BytesIO(await response.read()))
        assert '"photo of {prompt}, 85mm"' in archive.read("presets.json").decode()
        async with http.delete("/api/v1/account") as response:
            assert (await response.json())["complete"] is True
        assert (await client.ask(action="preset"))["version"] == 0


async def test_presets_are_an_owners_until_it_is_forgotten(store: Store) -> None:
    assert await store.library.presets("ann") is None
    mine = StoredPresets(
        version=2, presets=[Preset(name="A", settings={"n": 4, "size": None}), Preset(name="B", settings={})]
    )
    await store.library.set_presets("ann", StoredPresets(version=1, presets=[]))
    await store.library.set_presets("ann", mine)
    assert await store.library.presets("ann") == mine
    assert await store.library.presets("bob") is None
    await store.forget("ann", used_before="2000-01-01")
    assert await store.library.presets("ann") is None


async def test_a_database_without_presets_is_brought_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was set before is still there."""
    preferences = StoredPreferences(version=1, preferences=Preferences(theme="dark"))
    with monkeypatch.context() as patch:
        patch.setattr(sqlite_schema, "MIGRATIONS", sqlite_schema.MIGRATIONS[:WITHOUT_PRESETS])
        store = SqliteStore(tmp_path, full=False)
        await store.open()
        await store.library.set_preferences("ann", preferences)
        with pytest.raises(StorageUnavailable):
            await store.library.presets("ann")
        await store.close()
    store = SqliteStore(tmp_path, full=False)
    await store.open()
    assert await store.library.preferences("ann") == preferences
    assert await store.library.presets("ann") is None
    await store.library.set_presets("ann", StoredPresets(version=1, presets=[Preset(name="A", settings={})]))
    await store.close()
