"""What another version of the server has stored is told by this one, if only in general words."""

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from clients import Recorder, WireClient
from conftest import Serve
from xinflight.i18n import translate


async def test_a_stored_code_without_words(engine: Recorder, emulate: Serve, tmp_path: Path, serve: Serve) -> None:
    """Who resumes over it gets it, and whatever came after it, on a connection that lives on."""
    settings = {"xinference_url": await emulate(engine), "default_size": "64x64", "data_dir": str(tmp_path / "kept")}
    url = await serve(**settings)
    async with WireClient.connect(url) as client:
        cursor = client.seen[0]["cursor"]
        await client.ask(action="generate", prompt="boat", task_id="late", timeout=0.01)
        assert (await client.ends("late"))["late"]["code"] == "timeout"
        with closing(sqlite3.connect(tmp_path / "kept" / "xinflight.db")) as database, database:
            renamed = [
                (msgspec.msgpack.encode(message | {"code": "a_code_of_tomorrow"}), seq)
                for seq, blob in database.execute("SELECT seq, body FROM events")
                if (message := msgspec.msgpack.decode(blob))["type"] == "error"
            ]
            assert len(renamed) == 1
            database.executemany("UPDATE events SET body = ? WHERE seq = ?", renamed)
    async with WireClient.connect(url) as client:
        await client.send(action="resume", after=cursor, scope="all")
        end = (await client.ends("late"))["late"]
        assert (end["code"], end["message"]) == ("a_code_of_tomorrow", translate("unknown", "en"))
        assert (await client.ask(action="ping"))["type"] == "pong"
