"""Measure what a token of a chat costs: a bare aiohttp proxy that stores nothing, and xinflight, in one run.

`make bench-chat` runs this. Options are environment variables: CHATS, RATE (tokens per second of each), SECONDS,
ROUNDS.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from bench.chat_load import ChatLoad, ChatMeasured
from bench.chat_upstream import MODEL
from bench.contenders import ROOT, environ
from bench.processes import Process, cores, running

__all__ = ["BARE", "OURS", "ChatOptions", "compare_chats", "table"]

BARE, OURS = "bare proxy", "xinflight, everything stored"


class ChatOptions(Struct, frozen=True, kw_only=True):
    """How to measure. A variable of the environment has the option's name in capitals."""

    chats: int = 1000
    rate: float = 30.0
    seconds: float = 15.0
    rounds: int = 3

    @classmethod
    def from_environ(cls) -> "ChatOptions":
        """Read the variables that are set; raise msgspec.ValidationError for one that is not a number."""
        given = {name: os.environ[name.upper()] for name in cls.__struct_fields__ if os.environ.get(name.upper())}
        return msgspec.convert(given, cls, strict=False)


def compare_chats(options: ChatOptions) -> dict[str, list[ChatMeasured]]:
    """Measure both once per round, one after the other; return the figures of each.

    Raises:
        RuntimeError: a server does not start.
        subprocess.CalledProcessError: the load failed.
    """
    figures: dict[str, list[ChatMeasured]] = {BARE: [], OURS: []}
    for number in range(options.rounds):
        for name, measured in figures.items():
            print(f"round {number + 1} of {options.rounds}: {name}", file=sys.stderr, flush=True)
            measured.append(_measure(name, options))
    return figures


def _measure(name: str, options: ChatOptions) -> ChatMeasured:
    server_core, load_core = cores()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="xinflight-bench-")))
        command = [sys.executable, "-m", "bench.chat_upstream", str(options.rate)]
        variables = environ(ROOT / "tests")
        upstream = stack.enter_context(running(command, folder / "upstream", core=load_core, environ=variables))
        server = stack.enter_context(_serving(name, upstream, folder, server_core, options))
        load = ChatLoad(
            url=server.url,
            server_pid=server.pid,
            chats=options.chats,
            rate=options.rate,
            seconds=options.seconds,
            core=load_core,
        )
        command = [sys.executable, "-m", "bench.chat_load", msgspec.json.encode(load).decode()]
        answer = subprocess.run(command, env=variables, stdout=subprocess.PIPE, check=True)
    return msgspec.json.decode(answer.stdout, type=ChatMeasured)


@contextmanager
def _serving(name: str, upstream: Process, folder: Path, core: int | None, options: ChatOptions) -> Iterator[Process]:
    if name == BARE:
        command = [sys.executable, "-m", "bench.bare_proxy", upstream.url]
        variables = environ(ROOT / "tests")
    else:
        arguments = ["--port", "0", "--data-dir", str(folder / "data"), "--xinference", upstream.url]
        command = [sys.executable, "-c", "from xinflight.cli import main; main()", "serve", *arguments]
        models = msgspec.json.encode({MODEL: {"slots": options.chats}}).decode()
        variables = environ(ROOT / "server") | {
            "XINFLIGHT_MODELS": models,
            "XINFLIGHT_TASKS_PER_OWNER": str(2 * options.chats),
            "XINFLIGHT_LOG_LEVEL": "warning",
            "XINFLIGHT_DRAIN": "0",
        }
    with running(command, folder / "server", core=core, environ=variables) as server:
        yield server


def table(figures: dict[str, list[ChatMeasured]]) -> str:
    """Return the medians as a Markdown table, with the least and the greatest; the ratio is to the bare proxy."""
    header = ["", "CPU s per 1,000 tokens", "ratio", "tokens/s", "busy", "p50 ms", "p99 ms", "RSS MB", "load busy"]
    rows = [header, ["---"] * len(header)]
    for name, measured in figures.items():
        ratio = statistics.median(ours.cpu / bare.cpu for ours, bare in zip(measured, figures[BARE], strict=True))
        rows.append(
            [
                name,
                _spread([one.cpu for one in measured], ".4f"),
                f"{ratio:.2f}x",
                _spread([one.tokens / one.seconds for one in measured], ".0f"),
                _spread([one.busy for one in measured], ".0%"),
                _spread([1000 * one.p50 for one in measured], ".1f"),
                _spread([1000 * one.p99 for one in measured], ".1f"),
                _spread([one.resident / 1e6 for one in measured], ".0f"),
                _spread([one.load_cpu for one in measured], ".0%"),
            ]
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _spread(values: list[float], form: str) -> str:
    median = format(statistics.median(values), form)
    return median if len(values) == 1 else f"{median} [{min(values):{form}}..{max(values):{form}}]"


def main() -> None:
    """Measure and print the table."""
    if sys.platform != "linux":
        sys.exit("The benchmark reads /proc and pins processes to cores: it needs Linux.")
    options = ChatOptions.from_environ()
    print(f"{options.chats} chats at {options.rate:g} tokens/s, {options.rounds} rounds of {options.seconds:g} s.")
    print(table(compare_chats(options)), flush=True)


if __name__ == "__main__":
    main()
