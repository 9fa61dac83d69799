"""A model that runs on Xinference, and which models may share a pool."""

import msgspec
from msgspec import Struct

from xinflight.upstream.kinds import KINDS, Kind

__all__ = ["Model", "with_equal_pools"]


class Model(Struct, frozen=True, kw_only=True):
    """A running model that can do one of KINDS. With `true_cancel` an abort stops its compute.

    `slots` is how many outputs all its replicas make at once.
    """

    uid: str
    name: str
    abilities: frozenset[str] = frozenset({"text2image"})
    replicas: int
    slots: int
    size: str | None
    frames: int | None = None
    fps: int | None = None
    steps: int | None
    guidance_scale: float | None
    context_length: int | None = None
    true_cancel: bool
    pool: str

    @property
    def kinds(self) -> list[Kind]:
        """Return the kinds that it can do."""
        return [kind for kind in KINDS.values() if kind.abilities & self.abilities]

    @property
    def defaults_known(self) -> bool:
        """Whether the steps and guidance of a request that names none are known beforehand."""
        return self.steps is not None and self.guidance_scale is not None


def with_equal_pools(models: dict[str, Model]) -> dict[str, Model]:
    """Give each model a pool of its own that can't do what the first one of its configured pool can.

    Whatever waits in a pool goes to any model of it.
    """
    models = dict(models)
    while True:
        # A pool with the name of a model is first of all that model's.
        first = {uid: model for uid, model in models.items() if model.pool == uid}
        unequal = [
            uid for uid, model in models.items() if first.setdefault(model.pool, model).abilities != model.abilities
        ]
        if not unequal:
            return models
        for uid in unequal:
            models[uid] = msgspec.structs.replace(models[uid], pool=uid)
