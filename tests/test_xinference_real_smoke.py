"""Hold the real Xinference to the facts that the gateway is built on; no code of xinflight's runs here."""

import asyncio
import base64
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp
import pytest

from clients import LONG
from xinference_real import MODEL, PAIR, RealXinference

pytest_plugins = ["xinference_fixtures"]
pytestmark = [pytest.mark.xinference, pytest.mark.timeout(900)]  # the first test also starts the server

LONG_STEPS = 120  # at 256x256: about 0.2 s each on one core


@pytest.fixture
async def http(real_xinference: RealXinference) -> AsyncIterator[aiohttp.ClientSession]:
    async with _session(real_xinference) as session:
        yield session


def _session(server: RealXinference, headers: dict[str, str] | None = None) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(server.url, headers=headers, timeout=aiohttp.ClientTimeout(total=300))


def _job(*, size: int = 64, steps: int = 4, **more: Any) -> dict[str, Any]:
    job = {"model": MODEL, "prompt": "a red boat", "width": size, "height": size, "steps": steps}
    return job | {"cfg_scale": 3.5, "seed": 7, "request_id": str(uuid.uuid4())} | more


async def _answer(request: AbstractAsyncContextManager[aiohttp.ClientResponse]) -> tuple[int, Any]:
    async with request as response:
        return response.status, await response.json()


async def _txt2img(http: aiohttp.ClientSession, job: dict[str, Any]) -> tuple[int, Any]:
    return await _answer(http.post("/sdapi/v1/txt2img", json=job))


async def _image(http: aiohttp.ClientSession, job: dict[str, Any]) -> bytes:
    status, answer = await _txt2img(http, job)
    assert status == 200, answer
    return base64.b64decode(answer["images"][0], validate=True)


async def _progress(http: aiohttp.ClientSession, request_id: str) -> tuple[int, Any]:
    return await _answer(http.get(f"/v1/requests/{request_id}/progress"))


async def _abort(http: aiohttp.ClientSession, request_id: str) -> str:
    status, answer = await _answer(http.post(f"/v1/models/{MODEL}/requests/{request_id}/abort", json={}))
    assert status == 200
    return str(answer["msg"])


async def _until_it_runs(http: aiohttp.ClientSession, request_id: str) -> None:
    async with asyncio.timeout(LONG):
        while True:
            status, answer = await _progress(http, request_id)
            if status == 200 and answer["progress"] > 0:
                return
            await asyncio.sleep(0.02)


# What there is


async def test_models_tell_ability_and_replicas(http: aiohttp.ClientSession) -> None:
    status, models = await _answer(http.get("/v1/models"))
    entry = next(model for model in models["data"] if model["id"] == MODEL)
    del entry["address"]
    assert status == 200
    assert entry == {
        "id": MODEL,
        "object": "model",
        "created": 0,
        "owned_by": "xinference",
        "model_type": "image",
        "accelerators": [],
        "model_name": MODEL,
        "model_engine": "diffusers",
        "model_family": "stable_diffusion",
        "model_revision": None,
        "model_ability": ["text2image", "image2image", "inpainting"],
        "controlnet": [],
        "model_base": None,
        "replica": 1,
    }


@pytest.mark.parametrize(
    ("name", "defaults"),
    [(MODEL, {}), ("Z-Image-Turbo", {"num_inference_steps": 9, "guidance_scale": 0})],
)
async def test_registration_holds_the_defaults(
    http: aiohttp.ClientSession, name: str, defaults: dict[str, Any]
) -> None:
    status, registration = await _answer(http.get(f"/v1/model_registrations/image/{name}"))
    assert (status, registration["default_generate_config"]) == (200, defaults)


async def test_openapi_shows_that_txt2img_can_be_aborted(http: aiohttp.ClientSession) -> None:
    status, openapi = await _answer(http.get("/openapi.json"))
    assert status == 200
    assert "/sdapi/v1/interrupt" in openapi["paths"]


# Images and progress


async def test_a_seed_fixes_every_byte(http: aiohttp.ClientSession) -> None:
    first, again = [await _image(http, _job()) for _ in range(2)]
    other = await _image(http, _job(seed=8))
    assert first.startswith(b"\xff\xd8\xff"), "a JPEG"
    assert first == again
    assert first != other


async def test_progress_rises_and_reaches_one_before_the_answer(http: aiohttp.ClientSession) -> None:
    job = _job(size=256, steps=28)
    answer = asyncio.create_task(_txt2img(http, job), name="txt2img")
    seen: list[float] = []
    whole_before = False
    while not answer.done():
        status, progress = await _progress(http, job["request_id"])
        if status == 200:
            assert progress.keys() == {"progress", "elapsed_seconds", "eta_seconds"}
            seen.append(progress["progress"])
            whole_before |= seen[-1] == 1.0 and not answer.done()
        else:
            assert status == 400
            assert not seen, "400 only before the first figure"
        await asyncio.sleep(0.02)
    assert (await answer)[0] == 200
    assert seen == sorted(seen)
    assert len(set(seen)) > 5
    assert whole_before, "1.0 for a while before the image is there"


async def test_progress_of_an_unknown_request_is_400(http: aiohttp.ClientSession) -> None:
    status, answer = await _progress(http, "never-seen")
    assert status == 400
    assert answer["detail"].endswith("'never-seen'")


async def test_unknown_model_is_404(http: aiohttp.ClientSession) -> None:
    status, answer = await _txt2img(http, _job(model="nope"))
    assert status == 404
    assert "Model not found in the model list, uid: nope" in answer["detail"]


# Cancelling


async def test_abort_of_txt2img_frees_the_model(http: aiohttp.ClientSession, real_xinference: RealXinference) -> None:
    reference = await _image(http, _job())
    mark = await asyncio.to_thread(real_xinference.log_size)
    job = _job(size=256, steps=LONG_STEPS)
    answer = asyncio.create_task(_txt2img(http, job), name="txt2img")
    await _until_it_runs(http, job["request_id"])
    await asyncio.to_thread(real_xinference.wait_busy)

    assert await _abort(http, job["request_id"]) == "DONE"
    status, error = await answer
    assert (status, error["detail"]) == (409, f"The request has been cancelled: {job['request_id']}")
    assert await asyncio.to_thread(real_xinference.cpu_share, 1.5) < 0.15, "idle after the answer"
    steps = await asyncio.to_thread(real_xinference.steps, mark)
    assert max(done for done, of in steps if of == LONG_STEPS) < LONG_STEPS
    assert await _image(http, _job()) == reference
    assert await _abort(http, job["request_id"]) == "NO_OP"


async def test_a_job_right_after_an_abort_is_sound(http: aiohttp.ClientSession) -> None:
    reference = await _image(http, _job())
    job = _job(size=256, steps=LONG_STEPS)
    answer = asyncio.create_task(_txt2img(http, job), name="txt2img")
    await _until_it_runs(http, job["request_id"])
    await _abort(http, job["request_id"])
    assert await _image(http, _job()) == reference, "sent before the aborted one has answered"
    assert (await answer)[0] == 409


async def test_abort_of_generations_stops_nothing(
    http: aiohttp.ClientSession, real_xinference: RealXinference
) -> None:
    mark = await asyncio.to_thread(real_xinference.log_size)
    request_id, steps = str(uuid.uuid4()), 37
    body = {
        "model": MODEL,
        "prompt": "a red boat",
        "size": "256*256",
        "response_format": "b64_json",
        "kwargs": json.dumps({"request_id": request_id, "num_inference_steps": steps}),
    }
    answer = asyncio.create_task(_answer(http.post("/v1/images/generations", json=body)), name="generations")
    await _until_it_runs(http, request_id)
    assert await _abort(http, request_id) == "DONE"
    assert (await answer)[0] == 409
    assert (steps, steps) not in await asyncio.to_thread(real_xinference.steps, mark), "answered before its end"
    await asyncio.to_thread(real_xinference.wait_busy)
    async with asyncio.timeout(60):  # and leave the pipeline in peace for the next test
        while await asyncio.to_thread(real_xinference.cpu_share, 0.5) > 0.15:
            pass
    assert (steps, steps) in await asyncio.to_thread(real_xinference.steps, mark), "it ran to its last step"


# Replicas, limits, death


async def test_two_replicas_work_at_the_same_time(
    real_xinference_pair: RealXinference, http: aiohttp.ClientSession
) -> None:
    status, replicas = await _answer(http.get(f"/v1/models/{PAIR}/replicas"))
    assert status == 200
    assert [(r["replica_model_uid"], r["status"]) for r in replicas] == [
        (f"{PAIR}-rep0", "READY"),
        (f"{PAIR}-rep1", "READY"),
    ]
    jobs = [_job(size=256, steps=30, model=PAIR) for _ in range(2)]
    answers = [asyncio.create_task(_image(http, job), name="txt2img") for job in jobs]
    for job in jobs:
        await _until_it_runs(http, job["request_id"])
    assert not any(answer.done() for answer in answers), "both run"
    one, other = await asyncio.gather(*answers)
    assert one == other, "any replica draws the same image"


async def test_one_replica_works_in_turn(http: aiohttp.ClientSession, real_xinference: RealXinference) -> None:
    first, second = _job(size=256, steps=30), _job()
    mark = await asyncio.to_thread(real_xinference.log_size)
    running = asyncio.create_task(_txt2img(http, first), name="txt2img")
    await _until_it_runs(http, first["request_id"])
    waiting = asyncio.create_task(_txt2img(http, second), name="txt2img")
    async with asyncio.timeout(LONG):
        while True:
            status, progress = await _progress(http, second["request_id"])
            if status == 200:
                break
            await asyncio.sleep(0.02)
    assert (progress["progress"], progress["eta_seconds"]) == (0.0, None)
    assert (await running)[0] == 200
    assert (await waiting)[0] == 200
    steps = [of for _, of in await asyncio.to_thread(real_xinference.steps, mark)]
    assert steps == sorted(steps, reverse=True), "not one step before the first had ended"
    assert set(steps) == {30, 4}


async def test_request_limits_answer_429(http: aiohttp.ClientSession, real_xinference: RealXinference) -> None:
    uid = "tiny-limited"
    await asyncio.to_thread(real_xinference.launch, uid, request_limits=1)
    first = _job(size=256, steps=30, model=uid)
    running = asyncio.create_task(_txt2img(http, first), name="txt2img")
    await _until_it_runs(http, first["request_id"])
    status, answer = await _txt2img(http, _job(model=uid))
    assert status == 429
    assert "Rate limit reached for the model. Request limit 1 for the model" in answer["detail"]
    assert (await running)[0] == 200
    await asyncio.to_thread(real_xinference.terminate, uid)
    assert (await _txt2img(http, _job(model=uid)))[0] == 404


async def test_a_killed_model_answers_500_and_comes_back(
    http: aiohttp.ClientSession, real_xinference: RealXinference
) -> None:
    reference = await _image(http, _job())
    _, [replica] = await _answer(http.get(f"/v1/models/{MODEL}/replicas"))
    job = _job(size=256, steps=LONG_STEPS)
    answer = asyncio.create_task(_txt2img(http, job), name="txt2img")
    await _until_it_runs(http, job["request_id"])
    killed = await asyncio.to_thread(real_xinference.kill_model)
    status, error = await asyncio.wait_for(answer, LONG)
    assert status == 500
    assert error["detail"].startswith(f"Remote server {replica['model_address']} closed: ")
    status, error = await _txt2img(http, _job())
    assert status == 500, error

    await asyncio.to_thread(real_xinference.wait_model)
    assert not {*killed} & {*await asyncio.to_thread(real_xinference.model_pids)}
    _, [successor] = await _answer(http.get(f"/v1/models/{MODEL}/replicas"))
    assert successor["model_address"] != replica["model_address"], "the sign of a new process"
    assert successor["created_ts"] == replica["created_ts"], "the launch's time, which recovery keeps"
    assert await _image(http, _job()) == reference
    frozen = [await _progress(http, job["request_id"]) for _ in range(2)]
    assert frozen[0][1]["progress"] == frozen[1][1]["progress"] < 1, "nobody ends the dead request's progress"


# Accounts


async def test_with_auth_on_a_key_is_needed(real_xinference_auth: RealXinference) -> None:
    async with _session(real_xinference_auth) as stranger:
        assert (await _answer(stranger.get("/v1/models")))[0] == 401
        assert (await _txt2img(stranger, _job()))[0] == 401
        assert (await _answer(stranger.get("/openapi.json")))[0] == 200, "open to all"
    async with _session(real_xinference_auth, real_xinference_auth.headers) as known:
        status, models = await _answer(known.get("/v1/models"))
        assert (status, [model["id"] for model in models["data"]]) == (200, [MODEL])
        assert (await _answer(known.get(f"/v1/model_registrations/image/{MODEL}")))[0] == 200
        job = _job()
        assert (await _image(known, job)).startswith(b"\xff\xd8\xff")
        assert (await _progress(known, job["request_id"]))[0] == 200
        assert await _abort(known, job["request_id"]) == "NO_OP"
        assert (await _answer(known.get("/v1/cluster/version")))[0] == 403
