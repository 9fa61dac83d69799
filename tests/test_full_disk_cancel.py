"""A cancel while the disk takes nothing: it counts at once, and nothing is left of the picture."""

import pytest

from life import Life, turns


async def full(picture_id: str, data: bytes) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("held_bytes", [0, 2**20])
@pytest.mark.parametrize("crossed", [True, False])
async def test_a_cancel_counts_while_the_disk_is_full(
    crossed: bool, held_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it comes while the picture waits for the disk, or crosses the picture: it ends at once."""
    async with Life.begin(held_bytes=held_bytes) as life:
        with monkeypatch.context() as patch:
            patch.setattr(life.images, "put", full)
            await life.submit(task_id="a")
            await turns()
            if crossed:
                await life.manager.cancel("ann", "a")
            life.upstream.pending[0].end("picture")
            await turns()
            if not crossed:
                await life.drain()
                assert life.ends("ann", "a") == []
                await life.manager.cancel("ann", "a")
            await turns()
            await life.drain()
            (end,) = life.ends("ann", "a")
            assert (type(end.message).__name__, getattr(end.message, "upstream", None)) == ("Cancelled", "stopped")
            task = await life.manager.find("ann", "a")
            assert task is not None
            assert task.jobs[0].code is None
        await life.clock.advance(10.0)
        await life.submit(task_id="b")
        await turns()
        life.upstream.pending[0].end("picture")
        await turns()
        await life.drain()
        (end,) = life.ends("ann", "b")
        assert type(end.message).__name__ == "Result"
        assert len(life.images._pictures) == 1
