"""The family's lines from a service's own structlog chain. structlog itself is not imported.

structlog.configure(processors=structlog_chain(), logger_factory=structlog.BytesLoggerFactory())
"""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from common.observability.logging.exception_fields import add_exception
from common.observability.logging.processors import Fields, add_bound_fields, add_event_field, add_trace_ids
from common.observability.logging.redaction import Redaction
from common.observability.logging.render import render
from common.observability.logging.timestamps import Timestamps

__all__ = ["structlog_chain"]

_LEVELS = {"WARN": "WARNING", "EXCEPTION": "ERROR", "MSG": "INFO", "FATAL": "CRITICAL"}
_EXCEPTION = "exc_info"


def structlog_chain(
    *,
    service: Mapping[str, str] | None = None,
    redaction: Redaction | None = None,
    clock: Callable[[], float] = time.time,
) -> "list[_StructlogProcessor]":
    """Return structlog processors whose result is the line that the formatter would write, as bytes without line end.

    Own processors go before them. The name of the logger is the event's ``logger``, else the wrapped logger's ``name``.

    Args:
        service: Fields of every line, such as ``service.name``.
        redaction: Defaults to the built-in names, and patterns in exception text only.
        clock: Seconds since the epoch.
    """
    chosen = redaction or Redaction()
    return [_Head(dict(service or {}), clock), add_bound_fields, _Exceptions(chosen), _Renderer(chosen)]


class _Head:
    """Begins a line: what every line has comes first, and no event's field can pose as one of it."""

    def __init__(self, service: Mapping[str, str], clock: Callable[[], float]) -> None:
        self._service = service
        self._clock = clock
        self._timestamps = Timestamps()

    def __call__(self, logger: Any, method: str, event: Fields) -> Fields:
        level = method.upper()
        fields: Fields = {
            "timestamp": self._timestamps.text(self._clock()),
            "level": _LEVELS.get(level, level),
            "logger": event.pop("logger", None) or getattr(logger, "name", None) or "root",
            "message": event.pop("event", ""),
            **self._service,
        }
        add_trace_ids(logger, method, fields)
        for name, value in event.items():
            add_event_field(fields, name, value)
        return fields


class _Exceptions:
    """Writes ``exc_info`` out, in whichever of structlog's forms it comes."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction

    def __call__(self, logger: Any, method: str, fields: Fields) -> Fields:
        given = fields.pop(_EXCEPTION, None)
        if given is True:
            given = sys.exception()
        elif isinstance(given, tuple):
            given = given[1]
        if isinstance(given, BaseException):
            add_exception(given, fields, self._redaction)
        return fields


class _Renderer:
    """Ends the chain."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction

    def __call__(self, logger: Any, method: str, fields: Fields) -> bytes:
        return render(fields, redaction=self._redaction)


_StructlogProcessor: TypeAlias = Callable[[Any, str, Fields], Fields | bytes]
