"""Logging of the standalone server; a host application configures its own."""

import atexit
import io
import json
import logging
import sys
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, TextIO, cast

import msgspec
import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

from xinflight.cli.log_writer import LogWriter

__all__ = ["formatter", "printable", "processors", "redact", "set_log_level", "set_up_logs"]

_LEVELS = {"exception": logging.ERROR, **{name.lower(): no for name, no in logging.getLevelNamesMapping().items()}}
"""The level of each method of a logger, by its name."""

SHORTEST_SECRET = 8
"""Characters below which a secret is not replaced in the log: what is short stands in other words, too."""


def set_up_logs(level: str, secrets: Collection[str] = ()) -> None:
    """Configure logging to stderr: readable lines on a terminal, JSON lines otherwise, without any of the secrets."""
    people = sys.stderr.isatty()
    stream = _stderr()
    # Not through records of `logging`, which cost twice as much as the line itself; those are for libraries.
    structlog.configure(
        processors=[_drop_below_level, *processors(people=people, secrets=secrets)],
        logger_factory=structlog.WriteLoggerFactory(stream),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter(people=people, secrets=secrets))
    logging.basicConfig(handlers=[handler], level=level.upper())
    # One line per request would bury everything else.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)


def set_log_level(level: str) -> None:
    """Change the minimum level of what is logged."""
    logging.getLogger().setLevel(level.upper())


def _drop_below_level(logger: WrappedLogger, name: str, event_dict: EventDict) -> EventDict:
    """Drop an event below the level of the root logger of `logging`, which may change at any time."""
    if _LEVELS[name] < logging.getLogger().level:
        raise structlog.DropEvent
    return event_dict


def _stderr() -> TextIO:
    """Return stderr so that it never blocks, or as it is where Python code has replaced it."""
    try:
        descriptor = sys.stderr.fileno()
    except io.UnsupportedOperation:
        return sys.stderr
    writer = LogWriter(descriptor)
    atexit.register(writer.finish)
    return cast(TextIO, writer)


def _shared(*, people: bool) -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if people else "iso", utc=not people),
    ]


def _writers(*, people: bool, secrets: Collection[str]) -> list[Processor]:
    """Return the processors that make a line: JSON, or readable text with its control characters escaped.

    Values and tracebacks may contain text of Xinference, and an escape sequence in it could rewrite the terminal. In
    JSON they are escaped anyway. `secrets` are replaced wherever they stand: a server may repeat the key that it was
    sent in the text of an error.
    """
    writers: list[Processor] = (
        [_escape_values, structlog.dev.ConsoleRenderer(exception_formatter=_write_traceback)]
        if people
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(_to_json)]
    )
    return [*writers, partial(_redact, secrets)] if secrets else writers


def processors(*, people: bool, secrets: Collection[str] = ()) -> list[Processor]:
    """Return the structlog processors that make one line of an event: JSON, or readable text for `people`."""
    return [*_shared(people=people), *_writers(people=people, secrets=secrets)]


def formatter(*, people: bool, secrets: Collection[str] = ()) -> logging.Formatter:
    """Return the formatter of the records of libraries: lines of the same form as `processors` makes."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_shared(people=people), structlog.stdlib.add_logger_name],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *_writers(people=people, secrets=secrets),
        ],
    )


def _to_json(event_dict: EventDict, default: Callable[[Any], Any]) -> str:
    """Encode an event as ASCII: whatever shows the log, no character in it is obeyed."""
    try:
        line = msgspec.json.encode(event_dict, enc_hook=default)
    except (TypeError, ValueError):
        # Half of a surrogate pair, or a key that is no text.
        line = b"\xff"
    return line.decode() if line.isascii() else json.dumps(event_dict, default=default)


def redact(text: str, secrets: Collection[str]) -> str:
    """Return a text with each of the secrets replaced."""
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, "***")
    return text


def _redact(secrets: Collection[str], logger: WrappedLogger, name: str, line: str) -> str:
    return redact(line, secrets)


def printable(text: str) -> str:
    """Return a text with all control and format characters escaped, newlines too; letters of any script are kept."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def _escape_values(logger: WrappedLogger, name: str, event_dict: EventDict) -> EventDict:
    # Other values are written as their repr, which escapes control characters itself.
    return {key: printable(value) if isinstance(value, str) else value for key, value in event_dict.items()}


def _write_traceback(stream: TextIO, exc_info: ExcInfo) -> None:
    buffer = io.StringIO()
    structlog.dev.plain_traceback(buffer, exc_info)
    stream.write("\n".join(printable(line) for line in buffer.getvalue().split("\n")))
