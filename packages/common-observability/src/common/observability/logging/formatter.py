"""From a stdlib log record to one line of JSON; the fields are those of the guide ``docs/guides/observability.md``."""

import logging
import traceback
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from common.observability.logging.processors import Fields, Processor, add_bound_fields, add_trace_ids
from common.observability.logging.redaction import Redaction
from common.observability.logging.render import render

__all__ = ["MAX_STACK", "JsonFormatter"]

MAX_STACK = 8_000
"""Characters of a stack trace that are kept; its end is, where the error is told."""

_RESERVED = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_OURS = frozenset({"timestamp", "level", "logger", "message", "exception.type", "exception.message"})


class JsonFormatter(logging.Formatter):
    """Renders records; :meth:`render` gives bytes, :meth:`format` the same as text."""

    def __init__(
        self,
        *,
        service: Mapping[str, str] | None = None,
        processors: Sequence[Processor] = (),
        redaction: Redaction | None = None,
        caller: bool = False,
    ) -> None:
        """Prepare a formatter.

        Args:
            service: Fields of every line, such as ``service.name``.
            processors: Run in order after the family's own, before redaction; one that raises is skipped for that line.
            redaction: Defaults to the built-in names, and patterns in exception text only.
            caller: Add ``code.file.path``, ``code.line.number`` and ``code.function.name``.
        """
        super().__init__()
        self._service = dict(service or {})
        self._processors = tuple(processors)
        self._redaction = redaction or Redaction()
        self._caller = caller
        # The text of the latest second; one tuple, so that threads never see half of it.
        self._second = (-1, "")

    def format(self, record: logging.LogRecord) -> str:
        return self.render(record).decode()

    def render(self, record: logging.LogRecord, *, bare: bool = False) -> bytes:
        """Return *record* as one JSON object in UTF-8, without the line end.

        Never raises for what the record holds. *bare* leaves out the service's own processors.
        """
        fields = self._head(record)
        add_trace_ids(None, "", fields)
        self._add_event(record, fields)
        add_bound_fields(None, "", fields)
        if record.exc_info and record.exc_info[1] is not None:
            self._add_exception(record.exc_info[1], fields)
        if record.stack_info:
            fields["stack"] = record.stack_info[-MAX_STACK:]
        if self._processors and not bare:
            fields = self._processed(record, fields)
        return render(fields, redaction=self._redaction)

    def _head(self, record: logging.LogRecord) -> Fields:
        fields: Fields = {
            "timestamp": self._timestamp(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
        }
        fields.update(self._service)
        if self._caller:
            fields["code.file.path"] = record.pathname
            fields["code.line.number"] = record.lineno
            fields["code.function.name"] = record.funcName
        return fields

    def _timestamp(self, created: float) -> str:
        second = int(created)
        known, text = self._second
        if second != known:
            text = datetime.fromtimestamp(second, UTC).isoformat()[:-6]
            self._second = (second, text)
        return f"{text}.{int((created - second) * 1_000_000):06d}Z"

    def _add_event(self, record: logging.LogRecord, fields: Fields) -> None:
        for name, value in vars(record).items():
            if name in _RESERVED:
                continue
            # A field of the event cannot pose as one of the line's own.
            fields[f"event.{name}" if name in _OURS or name in fields else name] = value

    def _add_exception(self, error: BaseException, fields: Fields) -> None:
        kind = type(error)
        fields["exception.type"] = (
            kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        )
        try:
            fields["exception.message"] = self._redaction.mask(str(error))
            # Without capture_locals: a stack trace tells where, never with which values.
            stack = "".join(traceback.format_exception(error))
            fields["exception.stacktrace"] = self._redaction.mask(stack)[-MAX_STACK:]
        except Exception as broken:  # noqa: BLE001 - an error whose text cannot be made is still told by its type
            fields["exception.message"] = f"<unprintable: {type(broken).__name__}>"

    def _processed(self, record: logging.LogRecord, fields: Fields) -> Fields:
        for processor in self._processors:
            try:
                fields = _checked(processor(None, record.levelname.lower(), fields))
            except Exception as error:  # noqa: BLE001 - a broken processor costs its own work, never the line
                fields["logging.error"] = f"A processor raised {type(error).__name__}."
        return fields


def _checked(fields: Any) -> Fields:
    if not isinstance(fields, dict):
        raise TypeError("A processor returns the mapping of fields.")
    return fields


def _message(record: logging.LogRecord) -> Any:
    if not record.args:
        return record.msg if isinstance(record.msg, str) else _printed(record)
    return _printed(record)


def _printed(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - wrong arguments, or one that cannot be printed: the template still tells
        return f"{record.msg if isinstance(record.msg, str) else type(record.msg).__name__} <unprintable: {type(error).__name__}>"
