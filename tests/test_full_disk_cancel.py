"""A cancel while the disk takes nothing: it counts at once, and nothing is left of the image."""

import pytest
from structlog.testing import capture_logs

from scripted_gateway import ScriptedGateway, turns


async def full(output_id: str, data: bytes) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("unsaved_bytes", [0, 2**20])
@pytest.mark.parametrize("crossed", [True, False])
async def test_a_cancel_counts_while_the_disk_is_full(
    crossed: bool, unsaved_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it comes while the image waits for the disk, or crosses the image: it ends at once."""
    async with ScriptedGateway.begin(unsaved_bytes=unsaved_bytes) as gateway:
        with monkeypatch.context() as patch:
            patch.setattr(gateway.blobs, "put", full)
            await gateway.submit(task_id="a")
            await turns()
            if crossed:
                await gateway.front.cancel("ann", "a")
            gateway.upstream.pending[0].end("image")
            await turns()
            if not crossed:
                await gateway.drain()
                assert gateway.ends("ann", "a") == []
                await gateway.front.cancel("ann", "a")
            await turns()
            await gateway.drain()
            (end,) = gateway.ends("ann", "a")
            assert (type(end.message).__name__, getattr(end.message, "upstream", None)) == ("Cancelled", "stopped")
            task = await gateway.front.find("ann", "a")
            assert task is not None
            assert task.outputs[0].code is None
        await gateway.clock.advance(10.0)
        await gateway.submit(task_id="b")
        await turns()
        gateway.upstream.pending[0].end("image")
        await turns()
        await gateway.drain()
        (end,) = gateway.ends("ann", "b")
        assert type(end.message).__name__ == "Result"
        assert len(gateway.blobs._files) == 1


async def test_the_log_tells_once_that_an_image_waits_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log may be on the same disk."""
    async with ScriptedGateway.begin() as gateway:
        with monkeypatch.context() as patch, capture_logs() as lines:
            patch.setattr(gateway.blobs, "put", full)
            await gateway.submit(task_id="a")
            await turns()
            gateway.upstream.pending[0].end("image")
            for _ in range(5):
                await gateway.clock.advance(2.0)
        told = [line["log_level"] for line in lines if line["event"] == "output not stored"]
        assert told == ["error"]
        await gateway.clock.advance(2.0)
        await gateway.drain()
        assert [type(end.message).__name__ for end in gateway.ends("ann", "a")] == ["Result"]
