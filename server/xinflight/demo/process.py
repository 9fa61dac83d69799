"""One process of an emulated model: its state as the server lists it, its death and its recovery.

Source: Xinference 4.1.0, `core/worker.py`; the texts and times are measured.
"""

import itertools
from abc import ABC, abstractmethod
from typing import Literal

import msgspec

from xinflight.clock import Clock
from xinflight.demo.errors import SUPERVISOR, HttpError
from xinflight.demo.model import EmulatedModel

__all__ = ["Process", "ReplicaView"]

STALE_SECONDS = 0.3  # how long a dead process is still listed as READY
RECOVERY_SECONDS = 12.0  # after this, another process has taken its place

_pids = itertools.count(13680, 237)
_ports = itertools.count(40537, 11)


class ReplicaView(msgspec.Struct, frozen=True):
    """An entry of `GET /v1/models/{uid}/replicas`; a dead replica has no address and no accelerators."""

    replica_id: int
    replica_model_uid: str
    worker_address: str
    model_address: str | None
    accelerators: list[str] | None
    status: Literal["READY", "TERMINATING", "TERMINATED"]
    created_ts: int
    error_message: str | None = None
    replica_uid: str | None = None
    gpu_idx: list[int] | None = None


class Process(ABC):
    """The process of one replica, which can be killed. What it computes is up to the subclass."""

    def __init__(self, model: EmulatedModel, index: int, clock: Clock) -> None:
        self.uid = f"{model.uid}-rep{index}"
        self.model = model
        self._index = index
        self._clock = clock
        self._terminated = False
        self._created = int(clock.time())  # time of the launch, which a recovery doesn't change
        self._start_process()

    @abstractmethod
    def _reset(self) -> None:
        """Forget all requests: the process is a new one."""

    @abstractmethod
    def _fail_all(self, error: HttpError) -> None:
        """Fail all pending requests and stop computing: the process has died."""

    @abstractmethod
    def abort(self, request_id: str, block_seconds: float) -> str:
        """Abort a request and return what the abort endpoint says of it: DONE, NO_OP or NOT_FOUND.

        Raises:
            HttpError: 500, the process is dead.
        """

    def _start_process(self) -> None:
        self._died_at: float | None = None
        self._port = next(_ports)
        self._pid = next(_pids)
        self._reset()

    def _revive(self) -> None:
        if self._died_at is None or self._terminated:
            return
        if self._clock.monotonic() - self._died_at >= RECOVERY_SECONDS:
            self._start_process()

    def _fault(self, error: Exception, status: int = 500) -> HttpError:
        return HttpError(status, f"[address=127.0.0.1:{self._port}, pid={self._pid}] {error}")

    def view(self) -> ReplicaView:
        """Return the state of this replica as the server reports it."""
        self._revive()
        stale = self._died_at is not None and self._clock.monotonic() - self._died_at < STALE_SECONDS
        there = not self._terminated and (self._died_at is None or stale)
        return ReplicaView(
            replica_id=self._index,
            replica_model_uid=self.uid,
            worker_address="127.0.0.1:26588",
            model_address=f"127.0.0.1:{self._port}" if there else None,
            accelerators=[] if there else None,
            status="READY" if there else "TERMINATED" if self._terminated else "TERMINATING",
            created_ts=self._created,
        )

    def check_alive(self) -> None:
        """Raise the error of a dead process, unless the process is alive.

        Raises:
            HttpError: 500, first connection refused, then in stopping state.
        """
        self._revive()
        if self._died_at is None:
            return
        if self._clock.monotonic() - self._died_at < STALE_SECONDS:
            raise HttpError(500, f"[Errno 111] Connect call failed ('127.0.0.1', {self._port})")
        raise HttpError(500, f"{SUPERVISOR} Model {self.uid} is in stopping state")

    def kill(self) -> None:
        """Kill the process. Pending requests fail, and another process starts later."""
        self._die("Server may be closed")

    def terminate(self) -> None:
        """End the process for good, as an administrator does. Pending requests fail with another text."""
        self._terminated = True
        self._die("0 bytes read on a total of 11 expected bytes")

    def _die(self, reason: str) -> None:
        if self._died_at is not None:
            return
        self._died_at = self._clock.monotonic()
        self._fail_all(HttpError(500, f"Remote server 127.0.0.1:{self._port} closed: {reason}"))
