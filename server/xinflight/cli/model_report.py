"""What `xinflight doctor` says about models: what each can do, with which defaults, and what to set."""

from collections.abc import Sequence

from xinflight.protocol import ModelInfo
from xinflight.upstream import KINDS

__all__ = ["describe_missing", "describe_model"]


def describe_model(model: ModelInfo) -> list[str]:
    """Return the lines that describe one model."""
    lines = [f"Model        {model.id}, {model.replicas} replica(s)"]
    for kind in model.kinds:
        start = f", from {' or '.join(model.starts_from)}" if kind == "video" else ""
        lines.append(f"  makes      {kind}{' (default)' if kind in model.default_for else ''}{start}")
    if "chat" in model.kinds:
        context = "unknown" if model.context_length is None else f"{model.context_length} tokens"
        lines.append(f"  context    {context}; {model.slots} chat(s) at once")
    else:
        lines.append(f"  defaults   {_defaults(model)}")
        if not model.defaults_known:
            usual = (
                "steps = 50, guidance_scale = 5.0" if "video" in model.kinds else "steps = 9, guidance_scale = 0.0"
            )
            lines.append(f"  to do      set its defaults in xinflight.toml: [models.{model.id}] {usual}")
    return lines + _cancel(model)


def _defaults(model: ModelInfo) -> str:
    guidance = "the model's own" if model.guidance_scale is None else f"{model.guidance_scale:g}"
    steps = "the model's own" if model.steps is None else str(model.steps)
    film = "" if model.frames is None else f", {model.frames} frames at {model.fps} a second"
    return f"size {model.size}{film}, steps {steps}, guidance {guidance}"


def _cancel(model: ModelInfo) -> list[str]:
    if model.true_cancel:
        return ["  cancel     frees the model"]
    if "video" in model.kinds:
        # There is nothing to do about it.
        return ["  cancel     gives up the video; the model works on"]
    return [
        "  cancel     gives up the image; the model works on",
        "  to do      a true cancel needs Xinference 3.4.0 or newer and a diffusers model with txt2img",
    ]


def describe_missing(models: Sequence[ModelInfo]) -> list[str]:
    """Return a line with the kinds that no model can do, if there are any."""
    missing = [kind for kind in KINDS if all(kind not in model.kinds for model in models)]
    return [f"No model for {', '.join(missing)}"] if models and missing else []
