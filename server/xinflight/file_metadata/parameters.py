"""How an image was made, as one text in the form that AUTOMATIC1111's web UI writes and many tools read."""

import json

__all__ = ["generation_parameters"]


def generation_parameters(prompt: str, negative_prompt: str | None, settings: dict[str, object]) -> str:
    """Return the prompt, the negative prompt, and the settings that are not None as one line of `name: value`.

    Values with a comma, a colon or a line break are quoted as JSON, as there.
    """
    lines = [prompt]
    if negative_prompt:
        lines.append(f"Negative prompt: {negative_prompt}")
    lines.append(", ".join(f"{name}: {_quoted(value)}" for name, value in settings.items() if value is not None))
    return "\n".join(lines).replace("\0", "")


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(char in text for char in ',:\n"') else text
