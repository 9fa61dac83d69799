"""The figures of the benchmark as they are kept in `docs/performance.json`, and where and when they were measured."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from msgspec import Struct

from bench.cancel import Cancels
from bench.capacity import Capacity
from bench.contenders import ROOT
from bench.delivery import Delivery
from bench.growth import Growth
from bench.idle import Idle
from bench.load import Measured
from bench.storm import Storm

__all__ = ["Conditions", "Results", "conditions", "ms"]


class Conditions(Struct, kw_only=True):
    """Where, when and how one scenario was measured."""

    when: str
    commit: str
    processor: str
    cores: int
    software: str
    rounds: int
    quick: bool
    load_average: float
    """Of the last minute, before it began: what else the machine did."""


class Results(Struct, kw_only=True):
    """The figures of every round, by scenario and by name of the contender."""

    conditions: dict[str, Conditions] = {}
    cost: dict[str, list[Measured]] = {}
    capacity: dict[str, list[Capacity]] = {}
    cancel: dict[str, list[Cancels]] = {}
    storm: dict[str, list[Storm]] = {}
    idle: dict[str, list[Idle]] = {}
    delivery: dict[str, list[Delivery]] = {}
    growth: dict[str, list[Growth]] = {}


def conditions(rounds: int, *, quick: bool) -> Conditions:
    """Return what is known of this machine now."""
    describe = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(describe, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
    packages = ("aiohttp", "uvloop", "httptools", "fastapi", "uvicorn")
    return Conditions(
        when=f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        commit=commit,
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)),
        software=", ".join(
            [f"Python {platform.python_version()}", *(f"{package} {version(package)}" for package in packages)]
        ),
        rounds=rounds,
        quick=quick,
        load_average=os.getloadavg()[0],
    )


def ms(seconds: float | None) -> float | None:
    """Return milliseconds."""
    return None if seconds is None else 1000 * seconds


def _processor() -> str:
    """Return the processor's name (proc_cpuinfo(5)), which some machines do not tell."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
