"""Log records by OTLP in place of lines on standard output: the same fields, cut and redacted alike."""

import logging
from collections.abc import Mapping
from typing import Any, Protocol

from common.observability.logging import JsonFormatter, LineHandler
from common.observability.logging.handler import RootHandler
from common.observability.suppression import is_suppressed

__all__ = ["LogExportHandler", "LogRecordSink", "severity"]

# Logs data model of OpenTelemetry, "Severity Fields": the first of each range of four.
_SEVERITIES = (
    (logging.CRITICAL, 21),
    (logging.ERROR, 17),
    (logging.WARNING, 13),
    (logging.INFO, 9),
    (logging.DEBUG, 5),
)
_TRACE = 1
_NOT_ATTRIBUTES = frozenset({"timestamp", "level", "message", "trace_id", "span_id", "trace_flags"})


class LogRecordSink(Protocol):
    """Takes one record; where it goes, and when, is the sink's business."""

    def emit(
        self,
        *,
        timestamp: int,
        severity_number: int,
        severity_text: str,
        body: Any,
        attributes: Mapping[str, Any],
    ) -> None:
        """Take a record in the current context, whose span it belongs to; *timestamp* in nanoseconds since the epoch."""


class LogExportHandler(RootHandler):
    """Gives every record to a sink. A sink that fails loses records, counted in :attr:`lost`, and nothing else.

    What exporters log, and the libraries below them, would come back to them: it becomes a line. So does what a health
    check logs, where instrumentation is silent too.
    """

    def __init__(self, formatter: JsonFormatter, sink: LogRecordSink, beside: LineHandler) -> None:
        """Prepare a handler.

        Args:
            formatter: Makes the fields; the service's own are part of the resource already.
            sink: Takes the records.
            beside: Takes what the SDK itself logs.
        """
        super().__init__()
        self.setFormatter(formatter)
        self._lines = formatter
        self._sink = sink
        self._beside = beside
        self._is_emitting = False
        self.lost = 0
        """Records that the sink did not take."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] == "opentelemetry" or is_suppressed():
            self._beside.handle(record)
            return
        # The handler's own reentrant lock is held here: only this very thread can come in a second time.
        outermost = not self._is_emitting
        self._is_emitting = True
        try:
            self._send(record, self._lines.safe_fields(record, bare=not outermost))
        except Exception:  # noqa: BLE001 - logging never harms the code that logs
            self.lost += 1
        finally:
            self._is_emitting = not outermost

    def _send(self, record: logging.LogRecord, fields: dict[str, Any]) -> None:
        attributes = {name: value for name, value in fields.items() if name not in _NOT_ATTRIBUTES}
        self._sink.emit(
            timestamp=int(record.created * 1e9),
            severity_number=severity(record.levelno),
            severity_text=record.levelname,
            body=fields.get("message"),
            attributes=attributes,
        )


def severity(level: int) -> int:
    """Return the severity number of a level of :mod:`logging`."""
    return next((number for least, number in _SEVERITIES if level >= least), _TRACE)
