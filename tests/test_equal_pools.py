"""Only models that can do the same share a pool: what waits in it goes to any of them."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from clients import FakeClock, Recorder, painter
from conftest import Front, Serve
from xinflight.settings import Settings
from xinflight.supervise import Supervisor
from xinflight.upstream import Xinference

DRAWS, EDITS, BOTH = ("text2image",), ("image2image",), ("text2image", "image2image")


@pytest.mark.parametrize(
    ("models", "pools"),
    [
        ([("a", DRAWS, "p"), ("b", DRAWS, "p")], {"a": "p", "b": "p"}),
        ([("a", DRAWS, "p"), ("b", BOTH, "p"), ("c", DRAWS, "p")], {"a": "p", "b": "b", "c": "p"}),
        ([("a", DRAWS, None), ("b", EDITS, "a")], {"a": "a", "b": "b"}),
        ([("b", EDITS, "a"), ("a", DRAWS, None)], {"a": "a", "b": "b"}),
        # One that is left out is alone, also where others have its name for a pool.
        ([("c", DRAWS, "b"), ("a", DRAWS, "p"), ("b", EDITS, "p")], {"a": "p", "b": "b", "c": "c"}),
    ],
)
async def test_pools(emulate: Serve, models: list[tuple[str, Any, str | None]], pools: dict[str, str]) -> None:
    """Who is left out is told once, however often it is asked what there is."""
    engine = Recorder([painter(uid=uid, abilities=abilities) for uid, abilities, _ in models])
    configured: Any = {uid: {"pool": pool} for uid, _, pool in models if pool is not None}
    settings = Settings(xinference_url=await emulate(engine), models=configured)
    clock = FakeClock()
    upstream = Xinference(settings, clock, Supervisor(clock), on_change=lambda: None)
    upstream.open()
    try:
        with capture_logs() as logs:
            for _ in range(3):
                await upstream._probe()
        assert {uid: model.pool for uid, model in upstream.models.items()} == pools
        told = [line["model"] for line in logs if "left out" in line["event"]]
        assert sorted(told) == sorted(uid for uid, _, pool in models if pool not in (None, pools[uid]))
    finally:
        await upstream.close()


async def test_a_video_never_goes_to_a_painter_of_its_pool(front: Front) -> None:
    """Nor an image to a model of videos, whatever the settings say."""
    animator = painter(uid="animator", type="video", abilities=("text2video",))
    shared: Any = {"painter": {"pool": "gpu"}, "animator": {"pool": "gpu"}}
    engine, client = await front(painter(), animator, models=shared)
    for number in range(3):
        await client.ask(action="generate", prompt="i", task_id=f"i{number}")
        await client.ask(action="generate", prompt="v", task_id=f"v{number}", kind="video", size="64x64", frames=5)
    ends = await client.ends(*(f"{kind}{number}" for kind in "iv" for number in range(3)))
    assert {end["type"] for end in ends.values()} == {"result"}
    assert {(model, prompt) for _, model, prompt in engine.posts} == {("painter", "i"), ("animator", "v")}
