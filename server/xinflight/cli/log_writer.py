"""Write log lines without waiting for whoever reads them."""

import logging
import os
import select
import stat
import sys
import threading
from collections import deque
from typing import Protocol

__all__ = ["LogWriter"]

log = logging.getLogger(__name__)

AT_ONCE = select.PIPE_BUF if sys.platform != "win32" else 0
"""Bytes that a pipe or a socket takes at once if it takes any (POSIX: write; pipe(7))."""
WAITING_BYTES = 2**22
"""Bytes of lines that may wait, some 10,000 of them. Further ones are only counted."""
LAST_SECONDS = 2.0
"""Seconds within which the lines that still wait at the end of the process must be read."""


class _Poll(Protocol):
    def poll(self, timeout: float) -> object: ...


class LogWriter:
    """A text stream over a file descriptor that never blocks its caller, which may be the event loop.

    A log that is read too slowly (a pipe to a collector that hangs, a terminal that is stopped with Ctrl+S) would
    otherwise stop the server with the first line that doesn't fit. Lines that aren't taken at once wait, in
    order, for a thread that writes them. Threads may share it.
    """

    def __init__(self, descriptor: int) -> None:
        self._fd = descriptor
        self._ready = _readiness(self._fd)
        self._lock = threading.Lock()
        # Bounded by WAITING_BYTES. The first one is being written by the thread.
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._lost = 0
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """Return how many bytes wait."""
        return self._bytes

    def write(self, text: str) -> None:
        """Write a text, or queue it."""
        data = text.encode("utf-8", "backslashreplace")
        with self._lock:
            if not self._waiting and (self._ready is None or (len(data) <= AT_ONCE and self._ready.poll(0))):
                _write_all(self._fd, data)
            elif self._bytes + len(data) > WAITING_BYTES:
                self._lost += 1
            else:
                self._waiting.append(data)
                self._bytes += len(data)
                if self._thread is None:
                    # Not waited for at the end of the process by the interpreter: nobody may ever read it.
                    self._thread = threading.Thread(target=self._write_waiting, name="log writer", daemon=True)
                    self._thread.start()

    def flush(self) -> None:
        """Do nothing: nothing is buffered that could be written now."""

    def finish(self) -> None:
        """Wait for the lines that wait, for some seconds."""
        thread = self._thread
        if thread is not None:
            thread.join(LAST_SECONDS)

    def _write_waiting(self) -> None:
        while True:
            # Stays in the queue while it is written, so that no later line overtakes it.
            _write_all(self._fd, self._waiting[0])
            with self._lock:
                self._bytes -= len(self._waiting.popleft())
                if self._waiting:
                    continue
                self._thread = None
                lost, self._lost = self._lost, 0
            if lost:
                log.warning("%d log lines lost: nobody read them in time", lost)
            return


def _readiness(fd: int) -> _Poll | None:
    """Return what tells whether a descriptor takes AT_ONCE bytes; None where a write has nobody to wait for."""
    if stat.S_ISREG(os.fstat(fd).st_mode) or sys.platform == "win32":
        return None
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return poll


def _write_all(fd: int, data: bytes) -> None:
    """Write all of it; nothing if nobody can read it any more, since there is no other place to say so."""
    try:
        while data:
            data = data[os.write(fd, data) :]
    except OSError:
        pass
