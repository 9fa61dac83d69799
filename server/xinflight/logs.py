"""Logs of the standalone server; an application that mounts us sets up its own."""

import logging
import sys

import structlog

__all__ = ["set_up_logs"]


def set_up_logs(level: str) -> None:
    """Write constant events with their values to stderr: for people on a terminal, as JSON lines otherwise."""
    people = sys.stderr.isatty()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if people else "iso", utc=not people),
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if people else structlog.processors.JSONRenderer()
    )
    last = [] if people else [structlog.processors.format_exc_info]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, *last, renderer],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(format="%(message)s", stream=sys.stderr, level=level.upper())
    # Its lines on every request would bury ours.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
