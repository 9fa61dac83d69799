"""Videos from the request to the end: rounded, never aborted, decoded for long, and served as films."""

from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from clients import Json, Recorder, WireClient, eventually, hosted, painter
from conftest import Front, Serve
from xinflight import Settings, setup
from xinflight.demo import EmulatedModel, Faults
from xinflight.model import identify

ANIMATOR = EmulatedModel(
    uid="animator",
    type="video",
    abilities=("text2video", "image2video"),
    step_seconds=0.01,
    decode_seconds=0.01,
    default_generate_config={"num_inference_steps": 4},
)
SMALL = {"kind": "video", "size": "96x64", "frames": 5, "fps": 10}


@pytest.fixture
async def engine() -> Recorder:
    return Recorder([painter(), ANIMATOR])


async def ask(client: WireClient, task_id: str, **fields: Any) -> Json:
    """Start a short video; return the reply."""
    request = {"action": "generate", "prompt": f"video {task_id}", "task_id": task_id, **SMALL}
    return await client.ask(**request | fields)


async def film_of(output: Json, headers: dict[str, str] | None = None) -> tuple[int, bytes, Any]:
    """Return status, body and headers of the file of an output."""
    async with aiohttp.ClientSession() as http, http.get(output["url"], headers=headers) as response:
        return response.status, await response.read(), response.headers


def steps_shown(client: WireClient, task_id: str) -> list[str]:
    """Return the steps that were shown, without repetitions."""
    steps = [m["step"] for m in client.of(task_id, "progress")]
    return [step for before, step in zip([None, *steps], steps, strict=False) if step != before]


async def test_a_video(client: WireClient, engine: Recorder) -> None:
    """Its output tells size and duration, and is served whole and in parts."""
    ack = await ask(client, "a", seed=7)
    assert ack["params"] == {
        "kind": "video",
        "prompt": "video a",
        "model": "animator",
        "n": 1,
        "size": "96x64",
        "frames": 5,
        "fps": 10,
        "steps": 4,
        "seed": 7,
        "timeout": 14400.0,
        "on_disconnect": "continue",
    }
    assert "adjusted" not in ack
    [output] = (await client.ends("a"))["a"]["data"]["data"]
    told = {name: output[name] for name in ("media_type", "width", "height", "duration", "seed")}
    assert told == {"media_type": "video/mp4", "width": 96, "height": 64, "duration": 0.5, "seed": 7}
    status, film, headers = await film_of(output)
    assert (status, headers["Content-Type"], headers["Accept-Ranges"]) == (200, "video/mp4", "bytes")
    assert "media-src 'self'" in headers["Content-Security-Policy"], "a browser that opens it plays it"
    [told] = client.of("a", "output")
    assert told["message"] == "A video is ready"
    assert headers["Content-Disposition"].endswith('.mp4"')
    assert identify(film).bytes == output["bytes"] == len(film)
    status, part, headers = await film_of(output, {"Range": "bytes=4-11"})
    assert (status, part, headers["Content-Range"]) == (206, b"ftypisom", f"bytes 4-11/{len(film)}")
    assert engine.aborts == []


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        ({"size": "100x75", "frames": 16}, {"size": "96x80", "frames": 17}),
        ({"size": "104x72", "frames": 18}, {"size": "96x64", "frames": 17}),
        ({"size": "64x64", "frames": 17}, {}),
        ({"size": "64x64", "frames": 6}, {"frames": 5}),
    ],
)
async def test_what_is_rounded_is_told(client: WireClient, server: str, asked: Json, made: Json) -> None:
    """Sides of 16 pixels and 4k + 1 frames: in the answer, when it is asked for again, over REST, and in the film."""
    ack = await ask(client, "a", **asked)
    again = await ask(client, "a", **asked)
    assert ack.get("adjusted", []) == again.get("adjusted", []) == list(made)
    assert {name: ack["params"][name] for name in asked} == asked | made
    [output] = (await client.ends("a"))["a"]["data"]["data"]
    assert f"{output['width']}x{output['height']}" == ack["params"]["size"]
    assert output["duration"] == ack["params"]["frames"] / 10
    body = {"prompt": "video b", **SMALL, **asked}
    async with aiohttp.ClientSession() as http, http.post(f"{server}api/v1/tasks", json=body) as response:
        info = await response.json()
    assert (info["params"]["size"], info.get("adjusted", [])) == (ack["params"]["size"], list(made))


async def test_defaults(front: Front) -> None:
    """Those of the model's settings, else of its registration, else of all, and never above the limits."""
    registered = {"width": 512, "height": 512, "num_frames": 33, "fps": 24}
    models = [
        ANIMATOR,
        msgspec.structs.replace(ANIMATOR, uid="tuned"),
        msgspec.structs.replace(ANIMATOR, uid="other", family="x", default_generate_config=registered),
        msgspec.structs.replace(ANIMATOR, uid="area", default_generate_config={"max_area": [720, 1280]}),
    ]
    tuned = {"size": "200x100", "frames": 18, "fps": 8, "steps": 3}
    _, client = await front(
        *models, models={"tuned": tuned}, size_max=600, frames=80, timeout_max=9000.0, video_fps=15
    )
    [welcome] = client.seen
    told = {
        model["id"]: (model["kinds"], model["size"], model["frames"], model["fps"]) for model in welcome["models"]
    }
    assert told == {
        "animator": (["video"], "592x352", 77, 15),
        "tuned": (["video"], "192x96", 17, 8),
        "other": (["video"], "512x512", 33, 24),
        "area": (["video"], "592x336", 77, 15),
    }
    ack = await client.ask(action="generate", prompt="a", kind="video", model="tuned", task_id="a")
    params = ack["params"]
    assert (params["size"], params["frames"], params["fps"], params["steps"]) == ("192x96", 17, 8, 3)
    assert params["timeout"] == 9000.0
    assert "adjusted" not in ack
    assert (await client.ends("a"))["a"]["type"] == "result"


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"frames": 258}, "out_of_bounds", "frames"),
        ({"frames": 0}, "out_of_bounds", "frames"),
        ({"fps": 121}, "out_of_bounds", "fps"),
        ({"size": "48x64"}, "out_of_bounds", "size"),
        ({"size": "64x2049"}, "out_of_bounds", "size"),
        ({"prompt": " "}, "prompt_missing", "prompt"),
        ({"model": "painter"}, "model_unsuitable", "model"),
        ({"model": "nobody"}, "model_not_found", "model"),
        ({"kind": "text2image"}, "wrong_shape", "frames"),
        ({"image": "u" + "0" * 42}, "image_not_found", "image"),
    ],
)
async def test_bad_requests(client: WireClient, engine: Recorder, fields: Json, code: str, field: str) -> None:
    answer = await ask(client, "a", **fields)
    assert (answer["type"], answer["code"], answer["field"]) == ("error", code, field)
    assert engine.posts == []


async def test_the_kind_follows_from_the_model(client: WireClient, engine: Recorder) -> None:
    """A model of videos makes one, whatever is said of it; without a name an image is meant."""
    small = {"size": "64x64", "frames": 5}
    for task_id, fields in (("a", {"model": "animator", **small}), ("b", small), ("c", {"size": "64x64"})):
        ack = await client.ask(action="generate", prompt=task_id, task_id=task_id, **fields)
        assert ack["type"] == "ack", ack
        assert ack["params"].get("kind", "text2image") == ("text2image" if task_id == "c" else "video")
    await client.ends("a", "b", "c")
    assert [(route, model) for route, model, _ in engine.posts if route == "video"] == [("video", "animator")] * 2


async def test_openai_clients_for_images_get_no_videos(server: str, client: WireClient, engine: Recorder) -> None:
    """They would take it for an image."""
    for fields in ({"model": "animator"}, {"kind": "video"}, {"frames": 5}):
        async with aiohttp.ClientSession() as http:
            async with http.post(f"{server}v1/images/generations", json={"prompt": "a", **fields}) as response:
                answer = await response.json()
        assert (response.status, answer["error"]["code"]) == (422, "model_unsuitable")
    assert engine.posts == []


async def test_a_server_without_a_model_for_videos(front: Front) -> None:
    """It says so at once, whether a model is named or not."""
    _, client = await front(painter())
    for fields in ({}, {"model": "painter"}):
        answer = await ask(client, "a", **fields)
        assert (answer["type"], answer["field"]) == ("error", "model")
        assert answer["code"] in ("model_not_found", "model_unsuitable")


async def test_a_server_with_videos_only(front: Front) -> None:
    """A plain prompt means an image: it is refused, and the listing says why."""
    engine, client = await front(ANIMATOR)
    [model] = client.seen[0]["models"]
    assert (model["kinds"], model["default_for"], model["default"]) == (["video"], ["video"], False)
    answer = await client.ask(action="generate", prompt="a boat")
    assert (answer["type"], answer["code"]) == ("error", "model_not_found")
    await ask(client, "a")
    assert (await client.ends("a"))["a"]["type"] == "result"
    assert engine.posts == [("video", "animator", "video a")]


async def test_a_long_end_is_shown_as_decoding(client: WireClient, engine: Recorder) -> None:
    """Progress is 1.0 long before the film is there; how long that takes is told once one such film was made."""
    for task_id, known in (("a", False), ("b", True)):
        engine.faults = Faults(freeze=4, requests=1)
        await ask(client, task_id)
        while "decoding" not in steps_shown(client, task_id):
            await client.receive()
        shown = client.of(task_id, "progress")[-1]
        assert shown["progress"] == 99
        assert ("estimated_time" in shown) == known
        assert client.of(task_id, "output") == []
        engine._thawed.set()
        engine._thawed.clear()
        assert (await client.ends(task_id))[task_id]["type"] == "result"
        assert steps_shown(client, task_id)[-1] == "decoding"


async def test_a_cancel_of_a_running_video(client: WireClient, engine: Recorder) -> None:
    """It ends at once and says that the model works on; the next one waits until it does not, and is whole."""
    engine.script = [Faults(freeze=2)]
    await ask(client, "a", seed=1)
    await client.until(lambda m: m["type"] == "progress" and m["progress"] > 0)
    await ask(client, "b", seed=1)
    await ask(client, "c", seed=2)
    await client.ask(action="cancel", task_id="a")
    await client.ask(action="cancel", task_id="c")
    ends = await client.ends("a", "c")
    assert (ends["a"]["type"], ends["a"]["upstream"]) == ("cancelled", "running_on")
    assert ends["c"]["upstream"] == "never_started"
    assert engine.prompts == ["video a"]
    engine.thaw()
    [output] = (await client.ends("b"))["b"]["data"]["data"]
    assert output["duration"] == 0.5
    assert engine.prompts == ["video a", "video b"]
    assert (engine.aborts, engine.peak["animator"]) == ([], 1)


async def test_the_deadline_of_a_running_video(client: WireClient, engine: Recorder) -> None:
    """It expires, and its model is still taken until the request is answered."""
    engine.script = [Faults(freeze=2)]
    await ask(client, "a", timeout=0.3)
    end = (await client.ends("a"))["a"]
    assert (end["type"], end["code"], end["state"]) == ("error", "timeout", "expired")
    await ask(client, "b")
    assert engine.prompts == ["video a"]
    engine.thaw()
    assert (await client.ends("b"))["b"]["type"] == "result"
    assert (engine.aborts, engine.peak["animator"]) == ([], 1)


async def test_a_line_that_breaks(client: WireClient, engine: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The video is asked for again only when the first request has ended, which its id tells, not its progress."""
    monkeypatch.setattr("xinflight.upstream.attempt.CHECK_PAUSE", 0.1)
    monkeypatch.setattr("xinflight.tasks.runner.RETRY_PAUSES", (0.01,))
    engine.script = [Faults(drop=2, freeze=4)]
    await ask(client, "a")
    await client.has(lambda m: m.get("step") == "decoding")
    await eventually(lambda: engine.id_checks > 2)
    assert engine.prompts.count("video a") == 1
    assert client.of("a", "output") == []
    engine.thaw()
    assert (await client.ends("a"))["a"]["type"] == "result"
    assert engine.prompts.count("video a") == 2
    assert (engine.aborts, engine.peak["animator"]) == ([], 1)


@pytest.mark.parametrize("garbage", ["text", "shape", "base64", "image"])
async def test_answers_that_are_no_film(client: WireClient, engine: Recorder, garbage: Any) -> None:
    engine.faults = Faults(garbage=garbage, requests=1)
    await ask(client, "a")
    end = (await client.ends("a"))["a"]
    assert (end["type"], end["code"]) == ("error", "upstream_garbage")
    await ask(client, "b")
    assert (await client.ends("b"))["b"]["type"] == "result"


async def test_an_answer_that_is_too_large(client: WireClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up as soon as that shows."""
    monkeypatch.setattr("xinflight.upstream.kinds.video.MOST_BYTES", 500)
    await ask(client, "a")
    assert (await client.ends("a"))["a"]["code"] == "upstream_garbage"


async def test_inline_films(emulate: Serve, serve: Serve, engine: Recorder) -> None:
    """`b64_json` has the film up to `inline_bytes`; a larger one has its address only."""
    xinference = await emulate(engine)
    for most in (4_000_000, 500):
        url = await serve(xinference_url=xinference, inline_bytes=most)
        async with WireClient.connect(url) as client:
            await ask(client, "a", response_format="b64_json")
            await client.ends("a")
            [output] = client.of("a", "output")
            assert output["url"]
            assert ("b64_json" in output) == (output["bytes"] <= most)


async def test_the_same_seed_is_the_same_film(client: WireClient) -> None:
    films = []
    for task_id, seed in (("a", 7), ("b", 7), ("c", 8)):
        await ask(client, task_id, prompt="a boat", seed=seed)
        [output] = (await client.ends(task_id))[task_id]["data"]["data"]
        # Without what it says of itself, which stands behind it.
        films.append((await film_of(output))[1].partition(b"uuid")[0])
    assert films[0] == films[1] != films[2]


async def test_films_in_memory_are_served_in_parts(engine: Recorder, emulate: Serve, stack: AsyncExitStack) -> None:
    """In a host without a data folder, too: Safari plays nothing else."""
    app = web.Application()
    setup(app, Settings(xinference_url=await emulate(engine), drain=0.0))
    url = await stack.enter_async_context(hosted(app))
    client = await stack.enter_async_context(WireClient.connect(url))
    await ask(client, "a")
    [output] = (await client.ends("a"))["a"]["data"]["data"]
    status, film, headers = await film_of(output)
    assert (status, headers["Accept-Ranges"], len(film)) == (200, "bytes", output["bytes"])
    size = len(film)
    parts = {"4-11": (4, 11), "0-": (0, size - 1), "-10": (size - 10, size - 1), f"4-{size + 9}": (4, size - 1)}
    for asked, (first, last) in parts.items():
        status, part, headers = await film_of(output, {"Range": f"bytes={asked}"})
        assert (status, headers["Content-Range"]) == (206, f"bytes {first}-{last}/{size}")
        assert part == film[first : last + 1]
    for asked in (f"bytes={size}-", "bytes=9-4", "lines=1-2"):
        status, _, headers = await film_of(output, {"Range": asked})
        assert (status, headers["Content-Range"]) == (416, f"bytes */{size}")
    etag = f'"{output["output_id"]}"'
    for known, expected in (('"another"', 200), (etag, 206)):
        assert (await film_of(output, {"Range": "bytes=0-3", "If-Range": known}))[0] == expected
    assert (await film_of(output, {"Range": "bytes=0-3", "If-None-Match": etag}))[:2] == (304, b"")


async def test_several_films_at_once(client: WireClient, engine: Recorder) -> None:
    """Each output is a request of its own, one after the other on one replica."""
    await ask(client, "a", n=3, seed=5)
    end = (await client.ends("a"))["a"]
    assert [output["seed"] for output in end["data"]["data"]] == [5, 6, 7]
    assert (engine.prompts, engine.peak["animator"]) == (["video a"] * 3, 1)
