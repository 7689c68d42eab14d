"""Finished spans in a file, one line each, so that one process can show what several did.

The lines are those of the OpenTelemetry Protocol File Exporter (OTLP in JSON, opentelemetry-proto 1.x): a Collector
reads them as they are. Every line is one appending write, so processes may share a file on a local disk.
"""

import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from common.observability.monitoring.spans import AttributeValue, SpanRecord

__all__ = ["SpanFileExporter", "decode_spans", "read_spans", "span_line"]

# opentelemetry/proto/trace/v1/trace.proto: SpanKind and StatusCode are numbers in OTLP/JSON.
_KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_ERROR = 2


class SpanFileExporter(SpanExporter):
    """Appends spans to a file; made for development and demonstrations, not for production traffic.

    The file is opened at the first span and made where it is missing. Safe across threads and after a fork.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._file: int | None = None
        self._lock = threading.Lock()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        lines = [span_line(SpanRecord.of(span)) for span in spans]
        try:
            with self._lock:
                file = self._opened()
                for line in lines:
                    os.write(file, line)
        except OSError:
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        with self._lock:
            file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True

    def _opened(self) -> int:
        if self._file is None:
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._file


def read_spans(*paths: str | os.PathLike[str], trace_id: str | None = None) -> list[SpanRecord]:
    """Return the spans of *paths* in the order of their lines.

    A last line without its end is still being written and left out; a file that is not there yet has no spans.

    Args:
        paths: Files of this form, or folders, whose ``*.jsonl`` files are read in order of name.
        trace_id: Only spans of this trace, 32 hexadecimal digits.

    Raises:
        ValueError: A whole line is not OTLP in JSON.
    """
    found = (span for path in paths for file in _files(Path(path)) for span in _spans_of(file))
    return [span for span in found if trace_id is None or span.trace_id == trace_id]


def span_line(span: SpanRecord) -> bytes:
    """Return *span* as one line of OTLP in JSON (``TracesData``), with its line end."""
    status = {"code": _ERROR} if span.failed else {}
    encoded = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "parentSpanId": span.parent_id or "",
        "name": span.name,
        "kind": _KINDS.index(span.kind),
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.end_ns or span.start_ns),
        "attributes": _encoded(span.attributes),
        "status": status,
    }
    resource = {"attributes": _encoded({"service.name": span.service})}
    tree = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [encoded]}]}]}
    return json.dumps(tree, separators=(",", ":")).encode() + b"\n"


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(path.glob("*.jsonl"))
    return [path] if path.exists() else []


def _spans_of(file: Path) -> Iterator[SpanRecord]:
    for line in file.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n") and line.strip():
            yield from decode_spans(json.loads(line))


def decode_spans(tree: Mapping[str, Any]) -> Iterator[SpanRecord]:
    """Yield the spans of one line that was parsed (``TracesData``).

    Raises:
        ValueError, LookupError, TypeError, AttributeError: It is not OTLP in JSON.
    """
    for resource in tree.get("resourceSpans", ()):
        about = _decoded(resource.get("resource", {}).get("attributes", ()))
        for scope in resource.get("scopeSpans", ()):
            for span in scope.get("spans", ()):
                yield _decoded_span(span, str(about.get("service.name", "")))


def _decoded_span(span: Mapping[str, Any], service: str) -> SpanRecord:
    return SpanRecord(
        name=span["name"],
        trace_id=span["traceId"],
        span_id=span["spanId"],
        parent_id=span.get("parentSpanId") or None,
        start_ns=int(span["startTimeUnixNano"]),
        end_ns=int(span["endTimeUnixNano"]),
        kind=_KINDS[span.get("kind", 1)],
        failed=span.get("status", {}).get("code") == _ERROR,
        attributes=_decoded(span.get("attributes", ())),
        service=service,
    )


def _encoded(attributes: Mapping[str, AttributeValue]) -> list[dict[str, Any]]:
    return [{"key": name, "value": _any_value(value)} for name, value in attributes.items()]


def _any_value(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case tuple():
            return {"arrayValue": {"values": [_any_value(part) for part in value]}}
    return {"stringValue": str(value)}


def _decoded(attributes: Iterable[Mapping[str, Any]]) -> dict[str, AttributeValue]:
    return {attribute["key"]: _plain(attribute["value"]) for attribute in attributes}


def _plain(value: Mapping[str, Any]) -> Any:
    ((kind, content),) = value.items()
    if kind == "arrayValue":
        return tuple(_plain(part) for part in content.get("values", ()))
    return int(content) if kind == "intValue" else content
