"""From a stdlib log record to one line of JSON; the fields are those of the guide ``docs/guides/observability.md``."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from common.observability.logging.exception_fields import MAX_STACK, add_exception
from common.observability.logging.json_safe import json_safe
from common.observability.logging.processors import (
    OWN_FIELDS,
    Fields,
    Processor,
    add_bound_fields,
    add_trace_ids,
)
from common.observability.logging.redaction import Redaction
from common.observability.logging.render import render
from common.observability.logging.timestamps import Timestamps

__all__ = ["JsonFormatter"]

_STANDARD = tuple(vars(logging.makeLogRecord({})))
"""What a record of the standard library has before its extra fields, in its order."""
_COUNT = len(_STANDARD)
_RESERVED = frozenset(_STANDARD) | {"message", "asctime", "taskName"}


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
        self._timestamps = Timestamps()

    def format(self, record: logging.LogRecord) -> str:
        return self.render(record).decode()

    def render(self, record: logging.LogRecord, *, bare: bool = False) -> bytes:
        """Return *record* as one JSON object in UTF-8, without the line end.

        Never raises for what the record holds. *bare* leaves out the service's own processors.
        """
        return render(self._fields(record, bare=bare), redaction=self._redaction)

    def safe_fields(self, record: logging.LogRecord, *, bare: bool = False) -> dict[str, Any]:
        """Return the fields of the line as JSON values, cut and redacted: same as :meth:`render`, before its last step."""
        return json_safe(self._fields(record, bare=bare), self._redaction)

    def identify(self, service: Mapping[str, str]) -> None:
        """Replace fields of every line, such as ``service.instance.id`` in a forked process."""
        self._service = {**self._service, **service}

    def _fields(self, record: logging.LogRecord, *, bare: bool) -> Fields:
        fields = self._head(record)
        add_trace_ids(None, "", fields)
        self._add_event(record, fields)
        add_bound_fields(None, "", fields)
        if record.exc_info and record.exc_info[1] is not None:
            add_exception(record.exc_info[1], fields, self._redaction)
        if record.stack_info:
            fields["stack"] = record.stack_info[-MAX_STACK:]
        if self._processors and not bare:
            fields = self._processed(record, fields)
        return fields

    def _head(self, record: logging.LogRecord) -> Fields:
        fields: Fields = {
            "timestamp": self._timestamps.text(record.created),
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

    def _add_event(self, record: logging.LogRecord, fields: Fields) -> None:
        # What add_event_field does, once for all fields.
        values = vars(record)
        names = tuple(values)
        # Most records begin with the standard fields, so that these need not be looked at one by one.
        for name in names[_COUNT:] if names[:_COUNT] == _STANDARD else names:
            if name not in _RESERVED:
                value = values[name]
                fields[f"event.{name}" if name in OWN_FIELDS or name in fields else name] = value

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


def _message(record: logging.LogRecord) -> str:
    if not record.args and isinstance(record.msg, str):
        return record.msg
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - wrong arguments, or one that cannot be printed: the template still tells
        return f"{record.msg if isinstance(record.msg, str) else type(record.msg).__name__} <unprintable: {type(error).__name__}>"
