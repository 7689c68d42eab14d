"""Spans for the page: what is kept of them, and the processor that sees them end."""

from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from common.observability.monitoring.spans import AttributeValue, SpanRecord

if TYPE_CHECKING:
    from common.observability.dev.view import LiveView

__all__ = ["LiveSpans", "lean"]

_KEPT = (
    "aws.dynamodb.consumed_capacity",
    "aws.dynamodb.table_names",
    "common.dynamo.page.count",
    "common.dynamo.retry.count",
    "common.dynamo.transaction.cancellation_codes",
    "db.collection.name",
    "db.operation.name",
    "db.query.summary",
    "db.response.status_code",
    "db.system.name",
    "error.type",
    "http.response.status_code",
    "server.address",
)
_MOST_TEXT = 1_000
_MOST_VALUES = 20


def lean(span: SpanRecord) -> SpanRecord:
    """Return *span* with the attributes that the page reads and no other, so that it is small and tells nothing else."""
    kept = {name: _cut(span.attributes[name]) for name in _KEPT if name in span.attributes}
    return SpanRecord(
        name=span.name[:_MOST_TEXT],
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_id=span.parent_id,
        start_ns=span.start_ns,
        end_ns=span.end_ns,
        kind=span.kind,
        failed=span.failed,
        attributes=kept,
        service=span.service[:_MOST_TEXT],
    )


def _cut(value: AttributeValue) -> AttributeValue:
    if isinstance(value, str):
        return value[:_MOST_TEXT]
    if isinstance(value, tuple):
        return tuple(str(part)[:_MOST_TEXT] for part in value[:_MOST_VALUES])
    return value


class LiveSpans(SpanProcessor):
    """Shows every span that ends on a live view. Spans that end before :meth:`show_on` are not shown."""

    def __init__(self, view: "LiveView | None" = None) -> None:
        self._view = view

    def show_on(self, view: "LiveView") -> None:
        """Show further spans on *view*."""
        self._view = view

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing: a span is shown when it has ended."""

    def on_end(self, span: ReadableSpan) -> None:
        """Show *span*."""
        if self._view is not None:
            self._view.add_span(SpanRecord.of(span))

    def shutdown(self) -> None:
        """Do nothing: the view goes with the process."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return at once: nothing waits."""
        return True
