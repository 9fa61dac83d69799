"""Launched models of the emulated Xinference: look-up, listing, and the cache of unknown models."""

from collections.abc import Callable
from math import inf

from xinflight.clock import Clock
from xinflight.demo.chat_replica import ChatReplica
from xinflight.demo.errors import SUPERVISOR, HttpError
from xinflight.demo.model import EmulatedModel
from xinflight.demo.process import ReplicaView
from xinflight.demo.replica import Replica

__all__ = ["Launched", "LaunchedModels", "Worker"]

NOT_FOUND_SECONDS = 10.0  # XINFERENCE_MODEL_NOT_FOUND_CACHE_TTL
NOT_FOUND_KEPT = 1000
LISTING_SECONDS = 3.0  # XINFERENCE_LIST_MODELS_DEBOUNCE_SECONDS

Worker = Replica | ChatReplica


class Launched:
    """A launched model and its replicas, which get requests round robin."""

    def __init__(self, model: EmulatedModel, make: Callable[[EmulatedModel, int], Worker]) -> None:
        self.model = model
        self.replicas = [make(model, index) for index in range(model.replicas)]
        self._next = 0

    def next_replica(self) -> Worker:
        """Return the replica whose turn it is."""
        replica = self.replicas[self._next % len(self.replicas)]
        self._next += 1
        return replica

    def gone(self) -> bool:
        """Return whether every replica is known to be dead."""
        return all(replica.view().status == "TERMINATING" for replica in self.replicas)


class LaunchedModels:
    """The models that run, and those that ran."""

    def __init__(self, clock: Clock, make: Callable[[EmulatedModel, int], Worker]) -> None:
        self._clock = clock
        self._make = make
        self._not_found: dict[str, float] = {}
        self._launched: dict[str, Launched] = {}
        # Grows by one entry per terminated uid, as upstream.
        self._terminated: dict[str, Launched] = {}
        self._listing: list[EmulatedModel] = []
        self._listed_at = -inf

    def launch(self, model: EmulatedModel) -> None:
        """Launch or relaunch a model."""
        self.terminate(model.uid)
        self._not_found.pop(model.uid, None)
        self._launched[model.uid] = Launched(model, self._make)
        self._listed_at = -inf

    def terminate(self, uid: str) -> None:
        """Terminate a model as DELETE does upstream. Its running jobs fail. Unknown uids are ignored."""
        if launched := self._launched.pop(uid, None):
            for replica in launched.replicas:
                replica.terminate()
            self._terminated[uid] = launched
            self._listed_at = -inf

    def kill_all(self) -> None:
        """Kill the process of every replica."""
        for launched in self._launched.values():
            for replica in launched.replicas:
                replica.kill()

    def models(self) -> dict[str, EmulatedModel]:
        """Return the launched models by uid, dead or alive."""
        return {uid: launched.model for uid, launched in self._launched.items()}

    def find(self, uid: str) -> Launched | None:
        """Return a launched model, or None."""
        return self._launched.get(uid)

    def listed(self) -> list[EmulatedModel]:
        """Return the listed models: those with a live replica, checked at most every three seconds."""
        now = self._clock.monotonic()
        if now - self._listed_at >= LISTING_SECONDS:
            self._listing = [launched.model for launched in self._launched.values() if not launched.gone()]
            self._listed_at = now
        return self._listing

    def describe(self, uid: str) -> EmulatedModel:
        """Return one model.

        Raises:
            HttpError: 400, not launched, or all of its replicas are dead.
        """
        launched = self._launched.get(uid)
        if launched is None or launched.gone():
            missing = f"{uid}-rep0" if launched else uid
            raise HttpError(400, f"{SUPERVISOR} Model not found in the model list, uid: {missing}")
        return launched.model

    def replicas(self, uid: str) -> list[ReplicaView]:
        """Return the replicas of a model, even if it was terminated. Empty for an unknown model."""
        launched = self._launched.get(uid) or self._terminated.get(uid)
        return [replica.view() for replica in launched.replicas] if launched else []

    def next_replica(self, uid: str | None) -> Worker:
        """Return the replica that gets the next request.

        Raises:
            HttpError: 404, no such model; for ten seconds the answer comes from a cache and says so.
        """
        if launched := self._launched.get(uid or ""):
            return launched.next_replica()
        now = self._clock.monotonic()
        name = str(uid)
        if self._not_found.get(name, 0.0) > now:
            detail = f"Model not found in the model list, uid: {name} (cached, retry after {NOT_FOUND_SECONDS}s)"
            raise HttpError(404, detail)
        while len(self._not_found) >= NOT_FOUND_KEPT:
            del self._not_found[next(iter(self._not_found))]
        self._not_found[name] = now + NOT_FOUND_SECONDS
        raise HttpError(
            404,
            f"{SUPERVISOR} Model not found in the model list, uid: {name}. "
            f"Available model uids: {list(self._launched)}",
        )
