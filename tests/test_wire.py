"""Several generations on one connection, through the whole server, on the emulator."""

from clients import Recorder, WireClient, is_end
from xinflight.demo import Faults


async def test_three_generations_and_a_cancel_in_the_middle(client: WireClient, engine: Recorder) -> None:
    """Two of three arrive whole while the one between them is cancelled."""
    engine.faults = Faults(freeze=12, requests=1)
    for name in ("a", "b", "c"):
        ack = await client.ask(action="generate", prompt=f"boat {name}", task_id=name, steps=20)
        assert ack["type"] == "ack"
    await client.has(lambda m: m["type"] == "progress" and m["task_id"] == "a" and m["progress"] > 10)
    answer = await client.ask(action="cancel", task_id="b")
    assert answer["tasks"] == [{"task_id": "b", "was": "queued"}]
    engine.thaw()
    ends = await client.ends("a", "b", "c")
    assert ends["b"]["upstream"] == "never_started"
    for name in ("a", "c"):
        assert ends[name]["type"] == "result"
        assert ends[name]["progress"] == 100
        shown = [m["progress"] for m in client.of(name, "progress")]
        assert shown == sorted(shown)
        assert max(shown) < 100
    assert client.of("a")[0]["type"] == "ack"
    seqs = [m["seq"] for m in client.seen if "seq" in m]
    assert seqs == sorted(set(seqs))
    assert sum(is_end(m) for m in client.seen) == 3


async def test_a_running_one_is_cancelled(client: WireClient) -> None:
    """A cancel says that the model stopped, and the next image is made."""
    await client.ask(action="generate", prompt="boat", task_id="a", steps=100)
    await client.until(lambda m: m["type"] == "progress" and m["progress"] > 3)
    assert (await client.ask(action="cancel", task_id="a"))["tasks"][0]["was"] == "running"
    assert (await client.ask(action="cancel", task_id="a"))["tasks"][0]["was"] in ("cancelling", "cancelled")
    end = (await client.ends("a"))["a"]
    assert (end["type"], end["upstream"]) == ("cancelled", "stopped")
    await client.ask(action="generate", prompt="boat", task_id="b")
    assert (await client.ends("b"))["b"]["type"] == "result"
