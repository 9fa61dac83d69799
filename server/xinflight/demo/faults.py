"""Faults that can be injected into emulated generations, by tests or by words in a prompt."""

import re
from typing import Literal

import msgspec

__all__ = ["Faults", "faults_in"]


class Faults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Faults of a generation. Several may be set at once. In a chat, tokens are counted where others count steps.

    Attributes:
        hang: the output is made, but the POST is never answered; a chat's stream has its text, but no end.
        reset: the connection is aborted in the middle of the response, or after the first token of a chat.
        drop: the connection is aborted after this many steps; the computation continues, except that of a chat.
        error: a 500 with this text after the usual address prefix; a chat's stream ends with an error event.
        garbage: a 200 whose body is not JSON, has the wrong shape, is not base64, or is not an image. Events of a
            chat are in turn: no event at all, of the wrong shape, not JSON, not UTF-8.
        slow: every step takes this many times longer.
        freeze: computation and progress stop after this many steps until `Emulator.thaw`. After the last step, the
            output is not decoded until then.
        refuse: a 503 with this Retry-After in seconds, as while a model is loading.
        die: the model's process is killed after this many steps.
        requests: number of generations affected; None affects all until the faults are reset.
    """

    hang: bool = False
    reset: bool = False
    drop: int | None = None
    error: str | None = None
    garbage: Literal["text", "shape", "base64", "image"] | None = None
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
    """Parse the faults in a prompt such as `a red boat demo:slow=3 demo:die`.

    Returns None if there are none. Words with an unknown fault or an invalid value are part of the prompt.
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
