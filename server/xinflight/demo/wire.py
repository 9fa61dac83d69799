"""What the emulated Xinference is asked: bodies, picture orders, and faults on request.

Sources: Xinference 4.1.0, `api/schemas/requests.py`, `model/image/sdapi.py` and
`model/image/stable_diffusion/core.py`.
"""

import re
import secrets
from typing import Annotated, Any, Literal

import msgspec

__all__ = [
    "SUPERVISOR",
    "EmulatedModel",
    "Faults",
    "GenerationRequest",
    "GenerationsBody",
    "Refusal",
    "Txt2imgBody",
    "decode_generations",
    "decode_txt2img",
    "faults_in",
    "generations_orders",
    "txt2img_orders",
]

SUPERVISOR = "[address=127.0.0.1:52965, pid=13680]"
"""What stands before an error's text when the supervisor says it."""
PIPELINE_STEPS = 50  # what ZImagePipeline takes when nobody says otherwise
PIPELINE_GUIDANCE = 5.0
MAX_PIXELS = 4096 * 4096  # a real card runs out of memory here, and the painter would, too


class Refusal(Exception):
    """An HTTP answer other than 200.

    `plain` bodies are text/plain without FastAPI's `{"detail": ...}` around them: what an exception that no
    handler of Xinference expects looks like.
    """

    def __init__(
        self, status: int, detail: str, *, headers: dict[str, str] | None = None, plain: bool = False
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.plain = plain


class EmulatedModel(msgspec.Struct, frozen=True, kw_only=True):
    """One launched model. `step_seconds` and `decode_seconds` are what a picture costs, whatever its size.

    `txt2img=False` is a model class without that method; an `engine` other than diffusers has neither that
    nor a lock nor progress between 0 and 1. `request_limit` is per replica and counts waiting requests too.
    """

    uid: str
    abilities: tuple[str, ...] = ("text2image",)
    family: str = "stable_diffusion"
    engine: str = "diffusers"
    replicas: Annotated[int, msgspec.Meta(ge=1)] = 1
    step_seconds: float = 0.02
    decode_seconds: float = 0.02
    size_multiple: int = 16
    default_generate_config: dict[str, Any] = {}
    request_limit: int | None = None
    txt2img: bool = True

    @property
    def serial(self) -> bool:
        """Tell whether a replica works on one picture at a time."""
        return self.engine == "diffusers"


class Faults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes wrong with a generation. Several may be set at once.

    Attributes:
        hang: the picture is drawn, the POST is never answered.
        reset: the connection is torn in the middle of the answer.
        drop: the connection is torn after this many steps; the compute runs on.
        error: a 500 with this text, behind the usual address prefix.
        garbage: 200 with something that is not JSON, not of the right shape, not base64, or not a picture.
        slow: every step takes this many times as long.
        freeze: compute and progress stand still after this many steps, until `Emulator.thaw`; after the last one,
            the picture is not decoded before that.
        refuse: 503 with this Retry-After, in seconds, as while a model loads.
        die: the model's process is killed after this many steps.
        requests: how many generations are struck; None strikes all until the faults are taken away.
    """

    hang: bool = False
    reset: bool = False
    drop: int | None = None
    error: str | None = None
    garbage: Literal["text", "shape", "base64", "picture"] | None = None
    slow: float = 1.0
    freeze: int | None = None
    refuse: int | None = None
    die: int | None = None
    requests: int | None = None


_BARE: dict[str, object] = {
    "hang": True,
    "reset": True,
    "drop": 2,
    "error": "CUDA out of memory. Tried to allocate 2.00 GiB.",
    "garbage": "text",
    "slow": 4,
    "freeze": 3,
    "refuse": 5,
    "die": 3,
}


def faults_in(prompt: str) -> Faults | None:
    """Read the faults that a person wrote into a prompt: `a red boat demo:slow=3 demo:die`.

    Returns None when there are none; words that name no fault, or give an impossible value, are just prompt.
    """
    asked = {
        name: value or _BARE[name]
        for name, value in re.findall(r"(?<!\S)demo:(\w+)(?:=(\S+))?", prompt)
        if name in _BARE
    }
    try:
        return msgspec.convert(asked, Faults, strict=False) if asked else None
    except msgspec.ValidationError:
        return None


_Pixels = Annotated[int, msgspec.Meta(ge=8)]
_Count = Annotated[int, msgspec.Meta(ge=1)]


class Txt2imgBody(msgspec.Struct, kw_only=True):
    """The body of `POST /sdapi/v1/txt2img`, as far as a text2image model reads it."""

    model: str | None = None
    prompt: str = ""
    negative_prompt: str = ""
    steps: _Count | None = None
    seed: int = -1
    batch_size: _Count = 1
    n_iter: _Count = 1
    cfg_scale: float = 7.0
    override_settings: dict[str, Any] = {}
    width: _Pixels = 512
    height: _Pixels = 512
    kwargs: str | None = None
    enable_hr: bool = False
    alwayson_scripts: dict[str, Any] = {}
    request_id: str | None = None


class GenerationsBody(msgspec.Struct, kw_only=True):
    """The body of `POST /v1/images/generations`."""

    model: str
    prompt: str | list[str]
    n: int | None = 1
    response_format: str | None = "url"
    size: str | None = "1024*1024"
    kwargs: str | None = None


class GenerationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """All that decides a picture; equal orders give equal bytes. Width and height are pixels."""

    prompt: str
    negative_prompt: str
    seed: int
    width: int
    height: int
    steps: int
    guidance: float


def decode_txt2img(raw: bytes) -> Txt2imgBody:
    """Decode a body, or refuse it with 422 and pydantic's words."""
    try:
        return msgspec.json.decode(raw, type=Txt2imgBody, strict=False)
    except msgspec.ValidationError as wrong:
        raise Refusal(422, _in_pydantic_words(wrong, "SDAPITxt2imgRequst")) from wrong
    except msgspec.DecodeError as wrong:
        raise Refusal(422, "Expecting value: line 1 column 1 (char 0)") from wrong


def decode_generations(raw: bytes) -> GenerationsBody:
    """Decode a body, or refuse it with the plain 500 of an exception nobody caught."""
    try:
        return msgspec.json.decode(raw, type=GenerationsBody, strict=False)
    except msgspec.ValidationError as wrong:
        text = _in_pydantic_words(wrong, "TextToImageRequest")
        raise Refusal(500, f"Internal Server Error: {text}", plain=True) from wrong
    except msgspec.DecodeError as wrong:
        text = "Internal Server Error: Expecting value: line 1 column 1 (char 0)"
        raise Refusal(500, text, plain=True) from wrong


_TYPE_WORDS = {
    "str": "str type expected (type=type_error.str)",
    "int": "value is not a valid integer (type=type_error.integer)",
    "float": "value is not a valid float (type=type_error.float)",
    "object": "value is not a valid dict (type=type_error.dict)",
    "bool": "value could not be parsed to a boolean (type=type_error.bool)",
}


def _in_pydantic_words(wrong: msgspec.ValidationError, schema: str) -> str:
    text = str(wrong)
    if missing := re.search(r"missing required field `(\w+)`", text):
        field, words = missing[1], "field required (type=value_error.missing)"
    elif low := re.search(r">= (\d+) - at `\$\.(\w+)", text):
        words = f"ensure this value is greater than or equal to {low[1]} "
        words += f"(type=value_error.number.not_ge; limit_value={low[1]})"
        field = low[2]
    elif "got `null`" in text:
        field, words = _field(text), "none is not an allowed value (type=type_error.none.not_allowed)"
    else:
        expected = re.search(r"Expected `(\w+)", text)
        field, words = _field(text), _TYPE_WORDS.get(expected[1] if expected else "", text)
    return f"1 validation error for {schema}\n{field}\n  {words}"


def _field(text: str) -> str:
    at = re.search(r"at `\$\.(\w+)", text)
    return at[1] if at else "__root__"


def txt2img_orders(params: dict[str, Any], model: EmulatedModel) -> list[GenerationRequest]:
    """Turn the merged parameters into one order: counts are ignored and sizes floored to multiples of 8.

    Raises:
        ValueError: web UI extensions, or a size that the pipeline can't do; answered with 400.
    """
    if params.get("enable_hr") or params.get("alwayson_scripts"):
        raise ValueError("SD WebUI extensions require a Stable Diffusion or SDXL model")
    return [
        _order(
            model,
            params["prompt"],
            {
                "negative_prompt": params["negative_prompt"],
                "seed": params["seed"],
                "num_inference_steps": params.get("steps"),
                "guidance_scale": params.get("cfg_scale"),
            },
            (params["width"] // 8 * 8, params["height"] // 8 * 8),
        )
    ]


def generations_orders(
    body: GenerationsBody, kwargs: dict[str, Any], model: EmulatedModel
) -> list[GenerationRequest]:
    """Turn a body and its decoded kwargs into an order per picture.

    Raises:
        ValueError, TypeError, IndexError: as Python itself words the server's careless conversions.
    """
    if taken := kwargs.keys() & {"prompt", "n", "size", "response_format"}:
        raise TypeError(f"call() got multiple values for keyword argument {min(taken)!r}")
    # A null fails in these two lines upstream as well.
    width, height = map(int, re.split(r"[^\d]+", body.size))  # type: ignore[arg-type]
    count = int(body.n)  # type: ignore[arg-type]
    prompts = [body.prompt] if isinstance(body.prompt, str) else body.prompt
    orders = []
    for index, prompt in enumerate(prompt for prompt in prompts for _ in range(count)):
        seed = kwargs.get("seed")
        if isinstance(seed, list):
            seed = seed[index]
        elif isinstance(seed, int) and seed != -1:
            seed += index
        orders.append(_order(model, prompt, kwargs | {"seed": seed}, (width, height)))
    if not orders:
        raise IndexError("list index out of range")
    return orders


def _order(model: EmulatedModel, prompt: str, asked: dict[str, Any], size: tuple[int, int]) -> GenerationRequest:
    chosen = model.default_generate_config | {k: v for k, v in asked.items() if v is not None}
    width, height = size
    for name, length in (("Height", height), ("Width", width)):
        if length < model.size_multiple or length % model.size_multiple:
            raise ValueError(
                f"{name} must be divisible by {model.size_multiple} (got {length}). "
                f"Please adjust the {name.lower()} to a multiple of {model.size_multiple}."
            )
    if width * height > MAX_PIXELS:
        raise RuntimeError("CUDA out of memory. Tried to allocate 64.00 GiB.")
    seed = chosen.get("seed", -1)
    if not isinstance(seed, int):
        raise RuntimeError("manual_seed expected a long, but got str")
    return GenerationRequest(
        prompt=prompt,
        negative_prompt=str(chosen.get("negative_prompt", "")),
        seed=secrets.randbelow(2**32) if seed == -1 else seed,
        width=width,
        height=height,
        steps=int(chosen.get("num_inference_steps", 0)) or PIPELINE_STEPS,
        guidance=float(chosen.get("guidance_scale", PIPELINE_GUIDANCE)),
    )
