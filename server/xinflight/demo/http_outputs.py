"""Endpoints of the emulated Xinference that make images and videos."""

from collections.abc import Callable
from uuid import uuid4

from aiohttp import web
from multidict import MultiDictProxy

from xinflight.demo.bodies import (
    VariationsBody,
    VideoBody,
    decode_generations,
    decode_img2img,
    decode_txt2img,
    decode_video,
)
from xinflight.demo.emulator import Emulator
from xinflight.demo.errors import HttpError
from xinflight.demo.http_answers import EMULATOR, respond

__all__ = ["ROUTES"]

Form = MultiDictProxy[str | bytes | bytearray | web.FileField]

FOLDER = "/xinference"  # where the files are that a real server returns as `url`


async def _txt2img(request: web.Request) -> web.StreamResponse:
    emulator = request.app[EMULATOR]
    job = await emulator.txt2img(decode_txt2img(await request.read()))
    return await respond(request, job, _sdapi_answer(emulator))


async def _img2img(request: web.Request) -> web.StreamResponse:
    emulator = request.app[EMULATOR]
    job = await emulator.img2img(decode_img2img(await request.read()))
    return await respond(request, job, _sdapi_answer(emulator))


def _sdapi_answer(emulator: Emulator) -> Callable[[list[str]], object]:
    return lambda images: {"images": images, "info": {"created": int(emulator.clock.time())}, "parameters": {}}


async def _generations(request: web.Request) -> web.StreamResponse:
    emulator = request.app[EMULATOR]
    body = decode_generations(await request.read())
    job = await emulator.generations(body)
    return await respond(request, job, _openai_answer(emulator, body.response_format, "image", "jpg"))


async def _variations(request: web.Request) -> web.StreamResponse:
    """A form with `model`, `image` (files), `prompt`, `negative_prompt`, `size`, `response_format` and `kwargs`."""
    return await _make_variation(request, await _form(request, "model", "image"), None)


async def _inpainting(request: web.Request) -> web.StreamResponse:
    """The same with a `mask_image`."""
    form = await _form(request, "model", "image", "mask_image")
    return await _make_variation(request, form, _files(form, "mask_image")[0])


async def _make_variation(request: web.Request, form: Form, mask: bytes | None) -> web.StreamResponse:
    emulator = request.app[EMULATOR]
    texts = {name: value for name, value in form.items() if isinstance(value, str)}
    body = VariationsBody(
        model=texts["model"],
        prompt=texts.get("prompt", ""),
        negative_prompt=texts.get("negative_prompt", ""),
        size=texts.get("size"),
        response_format=texts.get("response_format", "url"),
        kwargs=texts.get("kwargs"),
        images=_files(form, "image"),
        mask=mask,
    )
    job = await emulator.variations(body)
    return await respond(request, job, _openai_answer(emulator, body.response_format, "image", "jpg"))


async def _video_from_text(request: web.Request) -> web.StreamResponse:
    body = decode_video(await request.read())
    return await _make_video(request, body, None)


async def _video_from_image(request: web.Request) -> web.StreamResponse:
    """A form with `model`, `image` (a file), `prompt`, `negative_prompt`, `n` and `kwargs`."""
    form = await _form(request, "model", "image")
    prompt, kwargs = form.get("prompt"), form.get("kwargs")
    if prompt is None:
        raise HttpError(500, "Provide either `prompt` or `prompt_embeds`. Cannot leave both undefined.")
    body = VideoBody(
        model=str(form["model"]),
        prompt=str(prompt),
        n=int(str(form.get("n", 1))),
        kwargs=None if kwargs is None else str(kwargs),
    )
    return await _make_video(request, body, _files(form, "image")[0])


async def _form(request: web.Request, *required: str) -> Form:
    """Read a form; raise HttpError 422 as FastAPI does if a field is missing, or no file."""
    form = await request.post()
    for name in required:
        if name not in form or (name != "model" and not isinstance(form[name], web.FileField)):
            field = {"type": "missing", "loc": ["body", name], "msg": "Field required", "input": None}
            raise HttpError(422, [field])
    return form


def _files(form: Form, name: str) -> list[bytes]:
    return [value.file.read() for value in form.getall(name) if isinstance(value, web.FileField)]


async def _make_video(request: web.Request, body: VideoBody, image: bytes | None) -> web.StreamResponse:
    emulator = request.app[EMULATOR]
    job = await emulator.video(body, image)
    return await respond(request, job, _openai_answer(emulator, job.response_format, "video", "mp4"))


def _openai_answer(
    emulator: Emulator, response_format: object, folder: str, suffix: str
) -> Callable[[list[str]], object]:
    """Return what shapes the answer. An unknown format is found only then, after the whole computation."""

    def answer(files: list[str]) -> object:
        if response_format == "b64_json":
            data = [{"url": None, "b64_json": file} for file in files]
        elif response_format == "url":
            data = [{"url": f"{FOLDER}/{folder}/{uuid4().hex}.{suffix}", "b64_json": None} for _ in files]
        else:
            raise HttpError(500, f"Unsupported response format: {response_format}")
        return {"created": int(emulator.clock.time()), "data": data}

    return answer


ROUTES = [
    web.post("/sdapi/v1/txt2img", _txt2img),
    web.post("/sdapi/v1/img2img", _img2img),
    web.post("/v1/images/generations", _generations),
    web.post("/v1/images/variations", _variations),
    web.post("/v1/images/inpainting", _inpainting),
    web.post("/v1/video/generations", _video_from_text),
    web.post("/v1/video/generations/image", _video_from_image),
]
