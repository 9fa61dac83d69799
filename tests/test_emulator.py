"""The emulator's odd corners, each as measured on Xinference 4.1.0, over real HTTP."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from itertools import pairwise
from typing import Any

import aiohttp
import msgspec
import pytest

from clients import FakeClock, Recorder, ShiftedClock, eventually
from emulator_client import PAINTER, STANDING, Answer, Server, ordered, paint
from xinflight.demo import (
    EmulatedModel,
    Emulator,
    EmulatorOptions,
    Faults,
    demo_emulator,
    serve_emulator,
)
from xinflight.demo import http as web_emulator
from xinflight.demo import process as emulator_process

pytestmark = pytest.mark.slow

Serve = Callable[..., Any]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    async with AsyncExitStack() as stack:

        async def start(*models: EmulatedModel, engine: Emulator | None = None, **options: Any) -> Server:
            engine = engine or Recorder(models or (PAINTER,), options=EmulatorOptions(**options), paint=paint)
            session = await stack.enter_async_context(aiohttp.ClientSession())
            url = await stack.enter_async_context(serve_emulator(engine))
            return Server(engine, url, session)

        yield start


@pytest.fixture
async def server(serve: Serve) -> Server:
    started: Server = await serve()
    return started


def standing(clock: FakeClock, *models: EmulatedModel) -> Emulator:
    """Return an emulator whose time stands still until the clock is moved; requests arrive at once."""
    return Emulator(models, options=EmulatorOptions(latency=0.0), clock=clock, paint=paint)


async def passes(clock: FakeClock, seconds: float) -> None:
    """Let time pass, once something waits for it."""
    await eventually(lambda: clock.waiting)
    await clock.advance(seconds)


def changed(**fields: Any) -> EmulatedModel:
    return msgspec.structs.replace(PAINTER, **fields)


async def test_txt2img_answers_one_bare_base64_image(server: Server) -> None:
    """An image comes as bare base64 with the moment it was made, and nothing else."""
    answer = await server.txt2img(seed=42, steps=5)
    assert answer.status == 200
    assert answer.body.keys() == {"images", "info", "parameters"}
    assert ordered(answer.body["images"][0]).seed == 42
    assert ordered(answer.body["images"][0]).steps == 5


async def test_both_routes_make_the_same_image(server: Server) -> None:
    """The same inputs are the same bytes on both routes, with the model's own guidance when none is given."""
    one = await server.txt2img(seed=7, kwargs='{"cfg_scale":null}')
    other = await server.generations({"seed": 7, "num_inference_steps": 4})
    assert one.body["images"] == [other.body["data"][0]["b64_json"]]


async def test_a_missing_cfg_scale_means_seven(serve: Serve) -> None:
    """Without cfg_scale txt2img takes 7.0 and overrides what the model is registered with."""
    server = await serve(changed(default_generate_config={"guidance_scale": 0.0}))
    assert ordered((await server.txt2img()).body["images"][0]).guidance == 7.0
    assert ordered((await server.txt2img(kwargs='{"cfg_scale":null}')).body["images"][0]).guidance == 0.0


async def test_txt2img_floors_sizes_and_ignores_batches(server: Server) -> None:
    """Sizes fall to a multiple of eight, and one image comes whatever the batch."""
    answer = await server.txt2img(width=71, height=64, batch_size=3, n_iter=2)
    [image] = answer.body["images"]
    assert (ordered(image).width, ordered(image).height) == (64, 64)


async def test_negative_prompt_steps_and_guidance_reach_the_image(server: Server) -> None:
    """Kwargs of a generations request arrive in the image's order."""
    kwargs = {"seed": 5, "negative_prompt": "fog", "num_inference_steps": 3, "guidance_scale": 2.5}
    answer = await server.generations(kwargs)
    order = ordered(answer.body["data"][0]["b64_json"])
    assert (order.seed, order.negative_prompt, order.steps, order.guidance) == (5, "fog", 3, 2.5)


async def test_seed_minus_one_is_random(server: Server) -> None:
    """Seed -1, and none, are another image each time."""
    seeds = [ordered((await server.txt2img(seed=-1)).body["images"][0]).seed for _ in range(3)]
    assert len(set(seeds)) == 3
    assert min(seeds) >= 0


async def test_n_images_are_one_batch_with_rising_seeds(server: Server) -> None:
    """A generations request for two answers two images."""
    answer = await server.generations({"seed": 5}, n=2)
    assert [ordered(entry["b64_json"]).seed for entry in answer.body["data"]] == [5, 6]


async def test_url_is_a_path_on_the_model_host(server: Server) -> None:
    """The default response format answers a file path, which nobody else can open."""
    answer = await server.generations(response_format="url")
    assert answer.body["data"][0]["url"].startswith("/")
    assert answer.body["data"][0]["b64_json"] is None


@pytest.mark.parametrize("size", ["64*64", "64x64", "64X64", "64,64", "64 x 64"])
async def test_generations_reads_any_size_separator(server: Server, size: str) -> None:
    """Width and height may stand apart by anything but digits."""
    assert (await server.generations(size=size)).status == 200


@pytest.mark.parametrize(
    ("fields", "kwargs", "status", "detail"),
    [
        (
            {"model": "nope"},
            {},
            404,
            "Model not found in the model list, uid: nope. Available model uids: ['pai",
        ),
        ({"size": "big"}, {}, 500, "invalid literal for int() with base 10: ''"),
        ({"size": "64"}, {}, 500, "not enough values to unpack (expected 2, got 1)"),
        ({"size": "64*64*64"}, {}, 500, "too many values to unpack (expected 2)"),
        ({"size": None}, {}, 500, "expected string or bytes-like object, got 'NoneType'"),
        ({"size": "65*65"}, {}, 500, "Height must be divisible by 16 (got 65). Please adjust the height"),
        ({"response_format": "png"}, {}, 500, "Unsupported response format: png"),
        ({"n": 0}, {}, 500, "list index out of range"),
        ({"n": None}, {}, 500, "int() argument must be"),
        ({}, {"prompt": "a dog"}, 500, "call() got multiple values for keyword argument 'prompt'"),
        ({}, {"seed": "7"}, 500, "manual_seed expected a long"),
    ],
)
async def test_generations_input_errors(
    server: Server, fields: dict[str, Any], kwargs: dict[str, Any], status: int, detail: str
) -> None:
    """Bad input to generations is a 500 with the words of whatever broke first."""
    answer = await server.generations(kwargs, **fields)
    assert answer.status == status
    assert detail in answer.detail


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"{", "Expecting value: line 1 column 1 (char 0)"),
        (
            b'{"prompt":"a"}',
            "1 validation error for TextToImageRequest\nmodel\n  field required (type=value_error.missing)",
        ),
        (
            b'{"model":"painter","prompt":"a","kwargs":{}}',
            "1 validation error for TextToImageRequest\nkwargs\n  str type expected (type=type_error.str)",
        ),
    ],
)
async def test_generations_bodies_that_nobody_catches(server: Server, body: bytes, text: str) -> None:
    """A body that does not validate is a plain-text 500."""
    answer = await server.call("POST", "/v1/images/generations", body)
    assert (answer.status, answer.body) == (500, f"Internal Server Error: {text}")
    assert answer.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("kwargs", "detail"),
    [
        ("{x", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("[1]", "'list' object has no attribute 'get'"),
    ],
)
async def test_generations_kwargs_must_be_a_json_object(server: Server, kwargs: str, detail: str) -> None:
    """Kwargs are a string that holds a JSON object."""
    body = {"model": "painter", "prompt": "a", "kwargs": kwargs}
    answer = await server.call("POST", "/v1/images/generations", body)
    assert (answer.status, answer.detail) == (500, detail)


@pytest.mark.parametrize(
    ("fields", "status", "detail"),
    [
        ({"steps": 0}, 422, "steps\n  ensure this value is greater than or equal to 1"),
        ({"width": 7}, 422, "width\n  ensure this value is greater than or equal to 8"),
        ({"cfg_scale": None}, 422, "cfg_scale\n  none is not an allowed value"),
        ({"kwargs": {}}, 422, "kwargs\n  str type expected"),
        ({"model": "nope"}, 404, "uid: nope. Available"),
        ({"model": None}, 404, "uid: None. Available"),
        ({"enable_hr": True}, 400, "SD WebUI extensions require"),
    ],
)
async def test_txt2img_input_errors(server: Server, fields: dict[str, Any], status: int, detail: str) -> None:
    """Bad input to txt2img is 422 or 400, an unknown model 404."""
    answer = await server.txt2img(**fields)
    assert answer.status == status
    assert detail in answer.detail


async def test_txt2img_body_must_be_json(server: Server) -> None:
    """What is not JSON is 422 here."""
    answer = await server.call("POST", "/sdapi/v1/txt2img", b"{")
    assert (answer.status, answer.detail) == (422, "Expecting value: line 1 column 1 (char 0)")


async def test_an_unknown_model_is_remembered_until_launched(server: Server) -> None:
    """The second 404 comes from a cache, which a launch empties."""
    assert "Available model uids" in (await server.txt2img(model="late")).detail
    assert "(cached, retry after 10.0s)" in (await server.txt2img(model="late")).detail
    server.engine.launch(changed(uid="late"))
    assert (await server.txt2img(model="late")).status == 200


async def test_get_on_generations_is_not_found(server: Server) -> None:
    """A GET on a POST route finds nothing; so does an unknown path."""
    for path in ("/v1/images/generations", "/v1/nothing"):
        answer = await server.get(path)
        assert (answer.status, answer.detail) == (404, "Not Found")


async def test_progress_of_unknown_ids_is_400(server: Server) -> None:
    """An id that nobody submitted is a 400 with the id in quotes behind an address."""
    answer = await server.progress("never-seen")
    assert answer.status == 400
    assert answer.detail.startswith("[address=127.0.0.1:")
    assert answer.detail.endswith("] 'never-seen'")


async def test_progress_rises_by_steps_to_one_before_the_image_is_there(server: Server) -> None:
    """Progress is (step+1)/steps, and 1.0 while the image is still being decoded."""
    server.engine.faults = Faults(freeze=4, requests=1)
    post = asyncio.create_task(server.txt2img(request_id="a", steps=4))
    seen = [await server.reach("a", lambda p: p > 0)]
    while seen[-1] < 1.0:
        seen.append(await server.reach("a", lambda p: p > seen[-1]))
    assert set(seen) <= {0.25, 0.5, 0.75, 1.0}
    assert not post.done()
    server.engine.thaw()
    assert (await post).status == 200
    assert (await server.progress("a")).body["progress"] == 1.0


async def test_small_steps_are_told_by_the_span(server: Server) -> None:
    """Progress moves by at least 0.05, however small the steps, but for the last to 1.0."""
    post = asyncio.create_task(server.txt2img(request_id="a", steps=80))
    seen = [0.0]
    while seen[-1] < 1.0:
        seen.append(await server.reach("a", lambda p: p > seen[-1]))
    rises = [b - a for a, b in pairwise(seen[:-1])]
    assert min(rises) > 0.0499
    assert (await post).status == 200


async def test_elapsed_and_eta(serve: Serve) -> None:
    """Elapsed counts from the submission, eta needs two samples and is null at 0 and 1."""
    clock = FakeClock()
    server = await serve(engine=standing(clock, STANDING))
    post = asyncio.create_task(server.txt2img(request_id="a", steps=4))
    await server.reach("a", lambda p: p == 0.0)
    await passes(clock, 0.25)
    await server.reach("a", lambda p: p == 0.25)
    assert (await server.progress("a")).body["eta_seconds"] is None
    await passes(clock, 0.25)
    await server.reach("a", lambda p: p == 0.5)
    body = (await server.progress("a")).body
    assert body["elapsed_seconds"] == pytest.approx(0.5)
    assert body["eta_seconds"] == pytest.approx(0.5)
    await passes(clock, 0.5)
    await post
    assert (await server.progress("a")).body["eta_seconds"] is None


async def test_a_queued_job_has_progress_zero_and_its_wait_pollutes_the_eta(serve: Serve) -> None:
    """A waiting request shows 0.0, its time goes on, and the wait is the pace's first sample."""
    clock = FakeClock()
    server = await serve(engine=standing(clock, STANDING))
    first = asyncio.create_task(server.txt2img(request_id="first", steps=25))
    await server.reach("first", lambda p: p == 0.0)
    await passes(clock, 0.25)
    second = asyncio.create_task(server.txt2img(request_id="second", steps=10))
    await server.reach("second", lambda p: p == 0.0)
    assert (await server.progress("second")).body["eta_seconds"] is None
    await passes(clock, 24 * 0.25)
    assert (await first).status == 200
    await passes(clock, 2 * 0.25)
    await server.reach("second", lambda p: p == 0.2)
    body = (await server.progress("second")).body
    assert body["elapsed_seconds"] == pytest.approx(26 * 0.25)
    assert body["eta_seconds"] > 8 * 0.25 * 2
    await passes(clock, 8 * 0.25)
    assert (await second).status == 200


async def test_ids_that_are_integers_have_no_progress(server: Server) -> None:
    """An integer request id generates, but progress looks for text."""
    assert (await server.generations({"request_id": 7, "num_inference_steps": 2})).status == 200
    assert (await server.progress("7")).status == 400


async def test_sdapi_progress_tells_only_progress(server: Server) -> None:
    """The sdapi route tells the figure alone; unknown is 400, a missing id 422."""
    await server.txt2img(request_id="a")
    assert (await server.get("/sdapi/v1/progress?request_id=a")).body == {"progress": 1.0}
    assert (await server.get("/sdapi/v1/progress?request_id=b")).status == 400
    assert (await server.get("/sdapi/v1/progress")).status == 422


async def test_a_replica_is_strictly_serial_and_first_in_first_out(server: Server) -> None:
    """Three jobs on one replica end one after the other, in order."""
    ends: list[str] = []

    async def one(name: str) -> None:
        assert (await server.txt2img(request_id=name, steps=5)).status == 200
        ends.append(name)

    server.engine.faults = Faults(freeze=3, requests=1)
    async with asyncio.TaskGroup() as group:
        for name in ("a", "b", "c"):
            group.create_task(one(name))
            await server.reach(name, lambda p: p >= 0)
        await server.reach("a", lambda p: p == 0.6)
        assert [(await server.progress(name)).body["progress"] for name in ("b", "c")] == [0.0, 0.0]
        server.engine.thaw()
    assert ends == ["a", "b", "c"]


async def test_replicas_are_dealt_round_robin_not_by_load(serve: Serve) -> None:
    """With two replicas the third job waits behind the first, though the second replica is free again."""
    server = await serve(changed(replicas=2))
    long = asyncio.create_task(server.txt2img(request_id="long", prompt="a cat demo:freeze=1"))
    await server.reach("long", lambda p: p > 0)
    assert (await server.txt2img(request_id="short", steps=2)).status == 200
    third = asyncio.create_task(server.txt2img(request_id="third", steps=2))
    await server.reach("third", lambda p: p == 0.0)
    assert (await server.progress("third")).body["progress"] == 0.0
    assert not long.done()
    server.engine.thaw()
    assert [(await task).status for task in (long, third)] == [200, 200]


async def test_aborting_txt2img_stops_the_compute_then_answers_409(server: Server) -> None:
    """The pending request answers at the next step's end, and the next image is unharmed."""
    post = asyncio.create_task(server.txt2img(request_id="a", prompt="a cat demo:freeze=1"))
    before = await server.reach("a", lambda p: p > 0)
    assert (await server.abort("a")).body == {"msg": "DONE"}
    assert (await server.progress("a")).body["progress"] == before
    server.engine.thaw()
    answer = await post
    assert (answer.status, answer.detail) == (409, "The request has been cancelled: a")
    assert (await server.progress("a")).body["progress"] == 1.0
    assert (await server.txt2img(steps=2)).status == 200


async def test_an_abort_during_decode_waits_for_the_decode(server: Server) -> None:
    """Decoding is not interrupted: 409 comes after it."""
    server.engine.faults = Faults(freeze=2, requests=1)
    post = asyncio.create_task(server.txt2img(request_id="a", steps=2))
    await server.reach("a", lambda p: p == 1.0)
    assert (await server.abort("a")).body == {"msg": "DONE"}
    assert (await server.progress("a")).body["progress"] == 1.0
    assert not post.done()
    server.engine.thaw()
    assert (await post).status == 409


async def test_aborting_generations_answers_at_once_and_spoils_the_next(server: Server) -> None:
    """Generations answer 409 at once while the pipeline runs on, and the next image meets it and fails."""
    post = asyncio.create_task(server.generations({"request_id": "a", "num_inference_steps": 500}))
    await server.reach("a", lambda p: p > 0)
    assert (await server.abort("a")).body == {"msg": "DONE"}
    answer = await post
    assert (answer.status, answer.detail) == (409, "The request has been cancelled: a")
    assert (await server.progress("a")).body["progress"] == 1.0
    spoilt = await server.generations({"request_id": "b", "num_inference_steps": 20})
    assert spoilt.status == 500
    assert spoilt.detail.endswith("index 21 is out of bounds for dimension 0 with size 21")
    assert spoilt.detail.startswith("[address=127.0.0.1:")
    assert (await server.progress("b")).body["progress"] == 1.0


async def test_aborting_a_queued_job_leaves_the_others_alone(server: Server) -> None:
    """A waiting job answers 409 at once and never runs; the one before and the one behind finish."""
    server.engine.faults = Faults(freeze=1, requests=1)
    posts = {}
    for name in ("a", "b", "c"):
        posts[name] = asyncio.create_task(server.txt2img(request_id=name, steps=10))
        await server.reach(name, lambda p: p >= 0)
    assert (await server.abort("b")).body == {"msg": "DONE"}
    assert (await posts["b"]).status == 409
    assert not posts["a"].done()
    server.engine.thaw()
    assert [(await posts[name]).status for name in ("a", "c")] == [200, 200]


async def test_aborts_of_nothing_are_no_op(server: Server) -> None:
    """Unknown and finished ids, unknown models and second aborts answer NO_OP."""
    await server.txt2img(request_id="done")
    post = asyncio.create_task(server.txt2img(request_id="twice", prompt="a cat demo:freeze=1"))
    await server.reach("twice", lambda p: p > 0)
    assert (await server.abort("twice")).body == {"msg": "DONE"}
    for answer in (
        await server.abort("twice"),
        await server.abort("done"),
        await server.abort("never"),
        await server.abort("never", uid="nope"),
    ):
        assert (answer.status, answer.body) == (200, {"msg": "NO_OP"})
    server.engine.thaw()
    assert (await post).status == 409


async def test_an_abort_without_a_json_body_is_500(server: Server) -> None:
    """The abort route reads its body before anything else."""
    answer = await server.call("POST", "/v1/models/painter/requests/a/abort")
    assert (answer.status, answer.detail) == (500, "Expecting value: line 1 column 1 (char 0)")


@pytest.mark.parametrize("route", ["txt2img", "generations"])
async def test_an_abort_blocks_its_id_for_a_while(serve: Serve, route: str) -> None:
    """A blocked id answers 500 until its block is over; a block of 0 blocks nothing."""
    clock = ShiftedClock()
    server: Server = await serve(engine=Emulator([PAINTER], clock=clock, paint=paint))

    async def submit(request_id: str) -> Answer:
        if route == "txt2img":
            return await server.txt2img(request_id=request_id, steps=2)
        return await server.generations({"request_id": request_id, "num_inference_steps": 2})

    await server.abort("a", block_duration=600)
    refused = await submit("a")
    assert refused.status == 500
    assert refused.detail.endswith("The request has been aborted: a")
    clock.advance(600)
    assert (await submit("a")).status == 200
    await server.abort("b", block_duration=0)
    assert (await submit("b")).status == 200


async def test_an_abort_that_overtakes_its_request_wins(serve: Serve) -> None:
    """Sent within the first milliseconds an abort answers NO_OP and the request 500, aborted."""
    clock = FakeClock()
    server: Server = await serve(engine=Emulator([PAINTER], clock=clock, paint=paint))
    post = asyncio.create_task(server.txt2img(request_id="a"))
    assert (await server.abort("a")).body == {"msg": "NO_OP"}
    await passes(clock, 1.0)
    answer = await post
    assert answer.status == 500
    assert "The request has been aborted: a" in answer.detail


@pytest.mark.parametrize("route", ["txt2img", "generations"])
async def test_an_id_that_runs_is_refused_again(server: Server, route: str) -> None:
    """The same id is a duplicate while the first runs, and free once it is done."""
    server.engine.faults = Faults(freeze=1, requests=1)
    first = asyncio.create_task(server.generations({"request_id": "a", "num_inference_steps": 20}))
    await server.reach("a", lambda p: p > 0)
    if route == "txt2img":
        again = await server.txt2img(request_id="a")
    else:
        again = await server.generations({"request_id": "a"})
    assert again.status == 500
    assert again.detail.endswith("Duplicate request id: a")
    server.engine.thaw()
    assert (await first).status == 200
    assert (await server.generations({"request_id": "a", "num_inference_steps": 2})).status == 200


async def test_request_limits_count_waiting_jobs(serve: Serve) -> None:
    """One more than the limit is 429 and leaves no progress entry."""
    server = await serve(changed(request_limit=2))
    server.engine.faults = Faults(freeze=1, requests=1)
    posts = []
    for name in ("a", "b"):
        posts.append(asyncio.create_task(server.txt2img(request_id=name, steps=10)))
        await server.reach(name, lambda p: p >= 0)
    over = await server.txt2img(request_id="c")
    assert over.status == 429
    text = "Rate limit reached for the model. Request limit 2 for the model: painter-rep0"
    assert over.detail.endswith(text)
    assert (await server.progress("c")).status == 400
    server.engine.thaw()
    assert [(await post).status for post in posts] == [200, 200]


async def test_closing_the_connection_stops_nothing(server: Server) -> None:
    """A generation whose client has gone runs to its end; so does one that waits."""
    server.engine.faults = Faults(freeze=1, requests=1)
    for name in ("runs", "waits"):
        post = asyncio.create_task(server.txt2img(request_id=name))
        await server.reach(name, lambda p: p >= 0)
        post.cancel()
        await asyncio.gather(post, return_exceptions=True)
    server.engine.thaw()
    await server.reach("waits", lambda p: p == 1.0)


async def test_a_killed_model_fails_what_is_pending_and_comes_back(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Death is closed, then refused, then stopping, then another process; progress of the dead stays."""
    # The clock goes on by itself: as long as a machine could be slow.
    monkeypatch.setattr(emulator_process, "STALE_SECONDS", 300.0)
    monkeypatch.setattr(emulator_process, "RECOVERY_SECONDS", 12_000.0)
    clock = ShiftedClock()
    engine = Emulator([PAINTER], clock=clock, paint=paint)
    server = await serve(engine=engine)
    [before] = (await server.get("/v1/models/painter/replicas")).body
    engine.faults = Faults(freeze=2, requests=1)
    post = asyncio.create_task(server.txt2img(request_id="a"))
    await server.reach("a", lambda p: p == 0.5)
    engine.kill("painter")
    answer = await post
    assert answer.status == 500
    assert answer.detail.startswith("Remote server 127.0.0.1:")
    assert answer.detail.endswith("closed: Server may be closed")
    assert "[Errno 111] Connect call failed ('127.0.0.1', " in (await server.txt2img()).detail
    assert (await server.get("/v1/models/painter/replicas")).body[0]["status"] == "READY"
    clock.advance(3000)
    assert (await server.txt2img()).detail.endswith("Model painter-rep0 is in stopping state")
    [dead] = (await server.get("/v1/models/painter/replicas")).body
    assert (dead["status"], dead["model_address"], dead["accelerators"]) == ("TERMINATING", None, None)
    assert (await server.get("/v1/models")).body["data"] == []
    assert (await server.get("/v1/models/painter")).status == 400
    clock.advance(10_000)
    [after] = (await server.get("/v1/models/painter/replicas")).body
    assert after["status"] == "READY"
    assert after["model_address"] != before["model_address"]
    assert after["created_ts"] == before["created_ts"]
    assert len((await server.get("/v1/models")).body["data"]) == 1
    assert (await server.txt2img()).status == 200
    clock.advance(1000)
    assert (await server.progress("a")).body["progress"] == 0.5


async def test_finished_progress_expires_after_five_minutes(serve: Serve) -> None:
    """A finished entry is there for five minutes, and gone with the sweep after."""
    clock = ShiftedClock()
    server: Server = await serve(engine=Emulator([PAINTER], clock=clock, paint=paint))
    await server.txt2img(request_id="a", steps=1)
    clock.advance(240)
    assert (await server.progress("a")).status == 200
    clock.advance(121)
    assert (await server.progress("a")).status == 400


async def test_a_terminated_model_is_gone_and_its_jobs_fail(server: Server) -> None:
    """Taking a model down kills what runs on it; then it is unknown."""
    post = asyncio.create_task(server.txt2img(request_id="a", prompt="a cat demo:freeze=1"))
    await server.reach("a", lambda p: p > 0)
    server.engine.terminate("painter")
    assert "closed: 0 bytes" in (await post).detail
    assert (await server.get("/v1/models")).body["data"] == []
    assert (await server.get("/v1/models/painter")).status == 400
    [gone] = (await server.get("/v1/models/painter/replicas")).body
    assert (gone["status"], gone["model_address"]) == ("TERMINATED", None)


async def test_discovery_tells_models_replicas_and_defaults(serve: Serve) -> None:
    """Models, one model, its replicas and its registration carry what a client needs to choose."""
    config = {"num_inference_steps": 9, "guidance_scale": 0.0}
    server = await serve(changed(replicas=2, default_generate_config=config), changed(uid="eye", abilities=("ocr",)))
    painter, eye = (await server.get("/v1/models")).body["data"]
    assert (painter["id"], painter["model_type"], painter["replica"]) == ("painter", "image", 2)
    assert (painter["model_ability"], eye["model_ability"]) == (["text2image"], ["ocr"])
    one = (await server.get("/v1/models/painter")).body
    assert one["n_worker"] == 1
    assert "id" not in one
    assert len((await server.get("/v1/models/painter/replicas")).body) == 2
    registration = (await server.get("/v1/model_registrations/image/painter")).body
    assert registration["default_generate_config"] == config
    assert (await server.get("/v1/model_registrations/image/nope")).status == 400
    assert (await server.get("/status")).body["uptime"] >= 0
    assert (await server.get("/v1/cluster/auth")).body == {"auth": False}
    assert (await server.get("/v1/cluster/version")).body["version"] == "4.1.0"
    assert "/sdapi/v1/interrupt" in (await server.get("/openapi.json")).body["paths"]


@pytest.mark.parametrize("route", ["txt2img", "generations"])
async def test_a_reader_does_not_paint(serve: Serve, route: str) -> None:
    """An image model without text2image answers 500 on either route."""
    server = await serve(changed(abilities=("ocr",)))
    answer = await (server.txt2img() if route == "txt2img" else server.generations())
    assert answer.status == 500
    assert "is not for" in answer.detail


async def test_a_model_class_without_txt2img_still_has_generations(serve: Serve) -> None:
    """Such a model answers txt2img with 500, not for txt2img, and generations with an image."""
    server = await serve(changed(txt2img=False))
    answer = await server.txt2img()
    assert answer.status == 500
    assert answer.detail.endswith("is not for txt2img.")
    assert (await server.generations()).status == 200


async def test_other_engines_run_at_once_and_tell_no_progress(serve: Serve) -> None:
    """An engine other than diffusers takes jobs side by side; progress is 0.0, then 1.0."""
    server = await serve(changed(engine="sglang"))
    assert (await server.txt2img()).detail.endswith("is not for txt2img.")
    server.engine.faults = Faults(freeze=1, requests=1)
    kwargs = {"num_inference_steps": 2}
    held = asyncio.create_task(server.generations({"request_id": "0", **kwargs}))
    await server.reach("0", lambda p: p == 0.0)
    assert [(await server.generations(kwargs)).status for _ in range(3)] == [200, 200, 200]
    assert (await server.progress("0")).body["progress"] == 0.0
    assert not held.done()
    server.engine.thaw()
    assert (await held).status == 200
    assert (await server.progress("0")).body["progress"] == 1.0


async def test_before_3_4_0_txt2img_has_no_request_id(serve: Serve) -> None:
    """An old server lists no interrupt, and its txt2img jobs can be neither watched nor aborted."""
    engine = Recorder([PAINTER], options=EmulatorOptions(txt2img_abort=False, version="3.3.0"), paint=paint)
    server = await serve(engine=engine)
    assert "/sdapi/v1/interrupt" not in (await server.get("/openapi.json")).body["paths"]
    assert (await server.get("/sdapi/v1/progress?request_id=a")).status == 404
    post = asyncio.create_task(server.txt2img(request_id="a", prompt="a cat demo:freeze=1"))
    await eventually(lambda: engine.in_flight["painter"])
    assert (await server.progress("a")).status == 400
    assert (await server.abort("a")).body == {"msg": "NO_OP"}
    engine.thaw()
    assert (await post).status == 200


async def test_before_4_1_0_progress_is_a_bare_figure(serve: Serve) -> None:
    """An old server tells neither elapsed nor remaining seconds."""
    server = await serve(progress_times=False)
    await server.txt2img(request_id="a")
    assert (await server.progress("a")).body == {"progress": 1.0}


async def test_auth_wants_the_key_and_bans_after_ten_bad_ones(serve: Serve) -> None:
    """No and bad keys are 401, an admin path 403, and ten bad keys ban the good one, too, for an hour."""
    clock = ShiftedClock()
    engine = Emulator([PAINTER], options=EmulatorOptions(api_key="xf-good"), clock=clock, paint=paint)
    server = await serve(engine=engine)
    good = {"headers": {"Authorization": "Bearer xf-good"}}
    for path in ("/status", "/openapi.json", "/v1/cluster/auth"):
        assert (await server.get(path)).status == 200
    bare = await server.get("/v1/models")
    assert (bare.status, bare.detail) == (401, "Could not validate credentials")
    assert bare.headers["WWW-Authenticate"].startswith("Bearer")
    assert (await server.get("/v1/models", **good)).status == 200
    assert (await server.get("/v1/cluster/version", **good)).status == 403
    for _ in range(10):
        bad = await server.get("/v1/models", headers={"Authorization": "Bearer xf-bad"})
        assert bad.status == 401
    banned = await server.get("/v1/models", **good)
    assert (banned.status, banned.detail) == (429, "Too many failed attempts. IP temporarily banned.")
    assert "Retry-After" not in banned.headers
    clock.advance(3601)
    assert (await server.get("/v1/models", **good)).status == 200


async def test_idle_connections_are_kept_for_five_seconds(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection is used again at once, and closed by the server when it idles."""
    assert web_emulator.KEEPALIVE_SECONDS == 5
    monkeypatch.setattr(web_emulator, "KEEPALIVE_SECONDS", 0.1)
    server = await serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
    writer.write(b"GET /v1/cluster/auth HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    await reader.read(-1)
    writer.close()
    await writer.wait_closed()


async def test_a_restarted_server_has_forgotten_its_requests(serve: Serve) -> None:
    """An engine that is served again has its models and no progress."""
    engine = Emulator([PAINTER], paint=paint)
    async with aiohttp.ClientSession() as session:
        async with serve_emulator(engine) as url:
            server = Server(engine, url, session)
            await server.txt2img(request_id="a")
            post = asyncio.create_task(server.txt2img(request_id="b", prompt="a cat demo:freeze=1"))
            await server.reach("b", lambda p: p > 0)
        assert (await post).status == 500
        async with serve_emulator(engine) as url:
            server = Server(engine, url, session)
            assert (await server.progress("a")).status == 400
            assert (await server.txt2img(request_id="a")).status == 200


async def test_faults_strike_the_next_requests_and_go(server: Server) -> None:
    """A fault for two requests strikes two."""
    server.engine.faults = Faults(error="CUDA error: an illegal memory access", requests=2)
    answers = [await server.txt2img(steps=1) for _ in range(3)]
    assert [answer.status for answer in answers] == [500, 500, 200]
    assert answers[0].detail.endswith("] CUDA error: an illegal memory access")


async def test_a_hanging_request_is_never_answered(server: Server) -> None:
    """The work ends, the answer does not come."""
    server.engine.faults = Faults(hang=True)
    post = asyncio.create_task(server.txt2img(request_id="a", steps=1))
    await server.reach("a", lambda p: p == 1.0)
    assert (await server.txt2img(request_id="b", steps=1, prompt="a cat demo:slow=1")).status == 200
    assert not post.done()
    await server.engine.aclose()
    with pytest.raises(aiohttp.ClientError):
        await post


async def test_a_reset_tears_the_answer(server: Server) -> None:
    """The connection breaks in the middle of a 200."""
    server.engine.faults = Faults(reset=True)
    with pytest.raises(aiohttp.ClientPayloadError):
        await server.txt2img(steps=1)


async def test_a_drop_tears_the_connection_and_the_compute_runs_on(server: Server) -> None:
    """After two steps the client hears nothing more, and progress goes on to 1.0."""
    server.engine.faults = Faults(drop=2, freeze=3)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await server.txt2img(request_id="a", steps=10)
    await server.reach("a", lambda p: p == 0.3)
    server.engine.thaw()
    await server.reach("a", lambda p: p == 1.0)


@pytest.mark.parametrize("garbage", ["text", "shape", "base64", "image"])
async def test_garbage_is_a_200_that_is_no_image(server: Server, garbage: str) -> None:
    """Each kind of garbage is wrong in its own way."""
    server.engine.faults = msgspec.convert({"garbage": garbage}, Faults)
    answer = await server.txt2img(steps=1)
    assert answer.status == 200
    match garbage:
        case "text":
            assert answer.headers["Content-Type"].startswith("text/html")
        case "shape":
            assert answer.body["images"] == 7
        case "base64":
            assert answer.body["images"] == ["?"]
        case _:
            assert base64.b64decode(answer.body["images"][0]) == b"not an image"


async def test_slow_frozen_and_thawed(serve: Serve) -> None:
    """A slow step takes its multiple; a frozen one does not end, abort or not, until thawed."""
    clock = FakeClock()
    server = await serve(engine=standing(clock, STANDING))
    server.engine.faults = Faults(slow=10, requests=1)
    post = asyncio.create_task(server.txt2img(request_id="slow", steps=2))
    await server.reach("slow", lambda p: p == 0.0)
    await passes(clock, 19 * 0.25)
    assert (await server.progress("slow")).body["progress"] == 0.5
    await passes(clock, 0.25)
    assert (await post).status == 200
    server.engine.faults = Faults(freeze=2)
    post = asyncio.create_task(server.txt2img(request_id="a", steps=4))
    await server.reach("a", lambda p: p == 0.0)
    await passes(clock, 10 * 0.25)
    await server.reach("a", lambda p: p == 0.5)
    assert (await server.abort("a")).body == {"msg": "DONE"}
    assert not clock.waiting
    assert not post.done()
    assert (await server.progress("a")).body["progress"] == 0.5
    server.engine.thaw()
    await passes(clock, 10 * 0.25)
    assert (await post).status == 409


async def test_a_refusal_names_when_to_come_back(server: Server) -> None:
    """503 with Retry-After, as while a model loads, and no progress entry."""
    server.engine.faults = Faults(refuse=3)
    answer = await server.txt2img(request_id="a")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "3")
    assert (await server.progress("a")).status == 400


async def test_a_model_can_die_at_a_step(server: Server) -> None:
    """The process is killed after the asked number of steps, and takes the queue with it."""
    server.engine.faults = Faults(freeze=1, die=2, requests=1)
    post = asyncio.create_task(server.txt2img(request_id="a", steps=4))
    await server.reach("a", lambda p: p >= 0)
    behind = asyncio.create_task(server.txt2img(request_id="b"))
    await server.reach("b", lambda p: p == 0.0)
    server.engine.thaw()
    assert "closed: Server may be closed" in (await post).detail
    assert "closed: Server may be closed" in (await behind).detail
    assert (await server.progress("a")).body["progress"] == 0.5


async def test_an_unreachable_server_works_on(server: Server) -> None:
    """While unreachable every connection breaks, and the generation goes on behind it."""
    server.engine.faults = Faults(freeze=2, requests=1)
    post = asyncio.create_task(server.txt2img(request_id="a", steps=4))
    await server.reach("a", lambda p: p > 0)
    server.engine.unreachable = True
    with pytest.raises(aiohttp.ClientConnectionError):
        await server.progress("a")
    server.engine.unreachable = False
    server.engine.thaw()
    assert (await post).status == 200


async def test_people_write_faults_into_the_prompt(server: Server) -> None:
    """`demo:` words in a prompt strike that generation alone; unknown ones are prompt."""
    answer = await server.txt2img(prompt="a boat demo:error=kaput demo:slow=2", steps=1)
    assert answer.detail.endswith("] kaput")
    assert (await server.txt2img(prompt="a boat demo:refuse", steps=1)).status == 503
    assert (await server.txt2img(prompt="a boat demo:colour=red demo:die=soon", steps=1)).status == 200


async def test_the_demo_has_two_painters_and_a_reader() -> None:
    """The demo's first model can't paint, its first painter has two replicas, its second one."""
    engine = demo_emulator()
    models = list(engine.models().values())
    painters = [model for model in models if "text2image" in model.abilities]
    assert models[0] not in painters
    assert [(painter.uid, painter.replicas) for painter in painters] == [
        ("demo-painter", 2),
        ("demo-slow-painter", 1),
    ]
    await engine.aclose()
