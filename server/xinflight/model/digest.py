"""What two requests with the same content share, by which a request that is sent again finds its task. No I/O."""

import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec

from xinflight.protocol import Chat, Generate, TaskRequest

__all__ = ["digest", "has_content"]

_DIGEST_FORM = "2:"
"""What digests of this form begin with; those of the first one begin with nothing."""
_NO_CONTENT = ("ref", "task_id", "lang", "traceparent")
_FIRST_FIELDS = (
    *("ref", "prompt", "negative_prompt", "model", "n", "size", "steps", "guidance_scale", "seed", "task_id"),
    *("timeout", "on_disconnect", "priority", "metadata", "lang", "response_format"),
)


def digest(request: TaskRequest) -> str:
    """Return what two requests with the same content share, whatever their ids and refs.

    It is stored, so it must stay what it is: only fields that differ from their defaults count, since a field that
    a later version adds would change the digest of every request.
    """
    content = {name: value for name, value in _changed(request) if name not in _NO_CONTENT}
    if isinstance(request, Chat):
        content["action"] = "chat"
    return _DIGEST_FORM + _hash(msgspec.json.encode(content, order="deterministic"))


def has_content(stored: str, request: TaskRequest) -> bool:
    """Tell whether a stored digest is that of a request, whichever version stored it."""
    if stored.startswith(_DIGEST_FORM):
        return stored == digest(request)
    return stored == _first_digest(request)


def _first_digest(request: TaskRequest) -> str | None:
    """Return the digest as tasks of schema 1 have it: of all fields that there were, in their order."""
    if not isinstance(request, Generate) or any(name not in _FIRST_FIELDS for name, _ in _changed(request)):
        return None
    content = {name: None if name in _NO_CONTENT else getattr(request, name) for name in _FIRST_FIELDS}
    content["metadata"] = msgspec.Raw(msgspec.json.encode(request.metadata, order="deterministic"))
    return _hash(msgspec.json.encode({"action": "generate", **content}))


def _changed(request: TaskRequest) -> Iterator[tuple[str, Any]]:
    """Yield the fields that are not what they are when they are left out."""
    default = type(request)()
    for name in request.__struct_fields__:
        if getattr(request, name) != getattr(default, name):
            yield name, getattr(request, name)


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
