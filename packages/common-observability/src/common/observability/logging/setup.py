"""Connects the root logger, and with it every logger of every library, to one handler."""

import logging
import re
import sys
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import BinaryIO, TextIO

from common.observability.logging.flight_recorder import RING_BYTES, FlightRecorder
from common.observability.logging.formatter import JsonFormatter
from common.observability.logging.handler import LineHandler, RootHandler
from common.observability.logging.processors import Processor
from common.observability.logging.redaction import Redaction
from common.observability.logging.sampling import TraceSampling

__all__ = ["configure_logging", "take_over_root", "unify_server_loggers", "writes_access_line"]

writes_access_line: ContextVar[bool] = ContextVar("common_log_access_line", default=False)
"""True inside a request whose access line somebody else writes, or which needs none: a probe."""

_PROBE = re.compile(r"/(?:livez|readyz|startupz|info|health(?:/[^?]*)?)(?:\?.*)?")
_SERVER_LOGGERS = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")


def configure_logging(
    *,
    level: int | str = logging.INFO,
    levels: Mapping[str, int | str] | None = None,
    service: Mapping[str, str] | None = None,
    stream: BinaryIO | TextIO | None = None,
    processors: Sequence[Processor] = (),
    redaction: Redaction | None = None,
    caller: bool = False,
    sampled: bool = False,
    flight_recorder: bool | int = False,
) -> LineHandler:
    """Send every stdlib log line of the process to one stream, as JSON; a second call replaces the first.

    Handlers that write to the terminal (``logging.basicConfig``, the Lambda runtime's) are taken off the root logger,
    so that no line comes twice; others stay. uvicorn's loggers are unified with the rest.

    Args:
        level: Of the root logger.
        levels: Of single loggers, by name.
        service: Fields of every line, such as ``service.name``.
        stream: Where lines go; ``None`` is standard output.
        processors: See :class:`~common.observability.logging.formatter.JsonFormatter`.
        redaction: What is masked; defaults to the built-in names.
        caller: Add file, line and function of the call.
        sampled: Write INFO and below of sampled traces only, see
            :class:`~common.observability.logging.sampling.TraceSampling`.
        flight_recorder: Keep what is not written, DEBUG included, for each request, and write it before an ERROR;
            a number is the bytes per request, 20,480 by default. Every logger then works at level DEBUG, see
            :class:`~common.observability.logging.flight_recorder.FlightRecorder`.

    Returns:
        The handler, already in place.
    """
    formatter = JsonFormatter(service=service, processors=processors, redaction=redaction, caller=caller)
    handler = LineHandler(formatter, stream)
    if sampled:
        handler.addFilter(TraceSampling())
    root = take_over_root(level, levels)
    if flight_recorder:
        handler.setLevel(level)
        root.setLevel(logging.DEBUG)
        # First, so that what led to an error comes before it.
        root.addHandler(FlightRecorder(handler, capacity=RING_BYTES if flight_recorder is True else flight_recorder))
    root.addHandler(handler)
    unify_server_loggers()
    return handler


def take_over_root(level: int | str, levels: Mapping[str, int | str] | None) -> logging.Logger:
    """Take the handlers that write to the terminal off the root logger, set levels, and return it."""
    root = logging.getLogger()
    for old in [old for old in root.handlers if _writes_to_the_terminal(old)]:
        root.removeHandler(old)
    root.setLevel(level)
    for name, own in (levels or {}).items():
        logging.getLogger(name).setLevel(own)
    return root


def unify_server_loggers() -> None:
    """Let uvicorn's loggers write through the root logger; harmless where uvicorn is not used.

    uvicorn sets its own handlers up when a server is made, maybe after :func:`configure_logging`; the middlewares of
    this distribution therefore call this again when the server starts. Nothing happens before logging is configured.
    """
    if not any(isinstance(handler, RootHandler) for handler in logging.getLogger().handlers):
        return
    for name in _SERVER_LOGGERS:
        logger = logging.getLogger(name)
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
        logger.propagate = True
    access = logging.getLogger("uvicorn.access")
    if _wants_access_line not in access.filters:
        access.addFilter(_wants_access_line)


def _writes_to_the_terminal(handler: logging.Handler) -> bool:
    if isinstance(handler, RootHandler) or type(handler).__name__ == "LambdaLoggerHandler":
        return True
    terminal = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    return type(handler) is logging.StreamHandler and handler.stream in terminal


def _wants_access_line(record: logging.LogRecord) -> bool:
    """Drop uvicorn's access line of a probe, and of a request that has one already.

    uvicorn logs ``'%s - "%s %s HTTP/%s" %d'`` with the full path as third argument, in the task of the request.
    """
    if writes_access_line.get():
        return False
    arguments = record.args
    return not (isinstance(arguments, tuple) and len(arguments) > 2 and _PROBE.fullmatch(str(arguments[2])))
