"""Write into each file that a model made it, and into images with which parameters."""

from importlib.metadata import version

from xinflight.clock import Clock
from xinflight.file_metadata import COMPOSITE, GENERATED, Provenance, embed, generation_parameters
from xinflight.model import Output, Task
from xinflight.settings import Settings
from xinflight.threads import on_thread

__all__ = ["FileLabels"]

TOOL = f"xinflight {version('xinflight')}"
LARGE = 2**23
"""Bytes above which a file is copied on a thread. One of 4 MB takes 0.1 to 0.25 ms, no more than the hand-over."""


class FileLabels:
    """Labels the files of outputs before they are stored, so that every API, export and link delivers the same."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock

    async def add(self, task: Task, output: Output, model_uid: str, data: bytes) -> bytes:
        """Return a file with what the setting `file_metadata` asks for. One that is damaged stays as it is."""
        contents = self._settings.file_metadata
        if contents == "none":
            return data
        provenance = Provenance(
            # Outside of a mask, every pixel is that of the image to start from.
            source_type=COMPOSITE if task.kind == "inpainting" else GENERATED,
            producer=self._settings.content_producer,
            produce_id=f"{task.uid}-{output.index}",
            tool=TOOL,
            system=model_uid,
            created=self._clock.time(),
        )
        parameters = _parameters(task, output, model_uid) if contents == "full" else None
        if len(data) > LARGE:
            return await on_thread(embed, data, provenance, parameters)
        return embed(data, provenance, parameters)


def _parameters(task: Task, output: Output, model_uid: str) -> str:
    params = task.params
    return generation_parameters(
        params.prompt,
        params.negative_prompt,
        {
            "Steps": params.steps,
            "CFG scale": params.guidance_scale,
            "Seed": output.seed,
            "Size": params.size,
            "Model": model_uid,
            "Denoising strength": params.strength,
            "Version": TOOL,
        },
    )
