"""Logging of the standalone server; a host application configures its own."""

import io
import logging
import sys
from collections.abc import Collection
from functools import partial
from typing import TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

__all__ = ["formatter", "printable", "processors", "redact", "set_log_level", "set_up_logs"]

SHORTEST_SECRET = 8
"""Characters below which a secret is not replaced in the log: what is short stands in other words, too."""


def set_up_logs(level: str, secrets: Collection[str] = ()) -> None:
    """Configure logging to stderr: readable lines on a terminal, JSON lines otherwise, without any of the secrets."""
    people = sys.stderr.isatty()
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *processors(people=people)],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(people=people, secrets=secrets))
    logging.basicConfig(handlers=[handler], level=level.upper())
    # One line per request would bury everything else.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)


def set_log_level(level: str) -> None:
    """Change the minimum level of what is logged."""
    logging.getLogger().setLevel(level.upper())


def _shared(*, people: bool) -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if people else "iso", utc=not people),
    ]


def processors(*, people: bool) -> list[Processor]:
    """Return the structlog processors that prepare an event for `formatter`."""
    return [*_shared(people=people), structlog.stdlib.ProcessorFormatter.wrap_for_formatter]


def formatter(*, people: bool, secrets: Collection[str] = ()) -> logging.Formatter:
    """Return the formatter of all log records, those of libraries too: one line of JSON each, or readable text.

    Readable text has its control characters escaped: values and tracebacks may contain text of Xinference, and an
    escape sequence in it could rewrite the terminal. JSON escapes them anyway. `secrets` are replaced wherever they
    stand: a server may repeat the key that it was sent in the text of an error.
    """
    writers: list[Processor] = (
        [_escape_values, structlog.dev.ConsoleRenderer(exception_formatter=_write_traceback)]
        if people
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_shared(people=people), structlog.stdlib.add_logger_name],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *writers, partial(_redact, secrets)],
    )


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
