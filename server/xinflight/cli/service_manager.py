"""Tell a service manager about the server's state: the protocol of systemd (sd_notify(3)), without its library.

Nothing happens where NOTIFY_SOCKET is not set.
"""

import os
import socket
import time
from contextlib import suppress

from xinflight.clock import Clock

__all__ = ["notify_reloading", "notify_service_manager", "notify_watchdog"]


def notify_service_manager(*state: str) -> None:
    """Send assignments like READY=1. Never blocks, and never fails: the server runs on without its manager."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.setblocking(False)
        # A name that begins with @ is one of Linux's abstract namespace, which has a zero byte there (unix(7)).
        sender.connect(address.replace("@", "\0", 1) if address[0] == "@" else address)
        sender.send("\n".join(state).encode())


def notify_reloading() -> None:
    """Say that the settings are being reloaded; READY=1 ends that."""
    notify_service_manager("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")


async def notify_watchdog(clock: Clock) -> None:
    """Say twice per period of the watchdog that the event loop runs, until cancelled; return if there is none."""
    try:
        period = int(os.environ["WATCHDOG_USEC"]) / 1e6
    except (KeyError, ValueError):
        return
    if os.environ.get("WATCHDOG_PID") not in (None, str(os.getpid())):
        return
    while True:
        notify_service_manager("WATCHDOG=1")
        await clock.sleep(period / 2)
