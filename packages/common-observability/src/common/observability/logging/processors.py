"""Steps that complete the fields of a line before it is rendered.

Each has the signature of a structlog processor (logger, method name, event mapping, to event mapping), so a service's
own structlog chain can use them as they are, with :func:`~common.observability.logging.render.render` at its end.
"""

from collections.abc import Callable, MutableMapping
from typing import Any, TypeAlias

from opentelemetry.trace import INVALID_SPAN_CONTEXT, SpanContext, get_current_span

from common.observability.logging.context import bound_fields

__all__ = ["OWN_FIELDS", "Fields", "Processor", "add_bound_fields", "add_event_field", "add_trace_ids"]

Fields: TypeAlias = MutableMapping[str, Any]
Processor: TypeAlias = Callable[[Any, str, Fields], Fields]

OWN_FIELDS = frozenset({"timestamp", "level", "logger", "message", "exception.type", "exception.message"})
"""Fields of the line itself, beside those that it has already."""


class _Latest:
    """The ids of the valid span that logged last: most lines come several to a span. One tuple, so that threads do not mix."""

    ids: tuple[SpanContext, dict[str, str]] = (INVALID_SPAN_CONTEXT, {})


def add_trace_ids(logger: Any, method: str, fields: Fields) -> Fields:
    """Add ``trace_id``, ``span_id`` and ``trace_flags`` of the current span, in hexadecimal (W3C Trace Context).

    A span that is not sampled counts too: its ids are valid, and other services may have logged them.
    """
    context = get_current_span().get_span_context()
    known, ids = _Latest.ids
    if known is not context:
        if not context.is_valid:
            return fields
        ids = {
            "trace_id": f"{context.trace_id:032x}",
            "span_id": f"{context.span_id:016x}",
            "trace_flags": f"{context.trace_flags:02x}",
        }
        _Latest.ids = (context, ids)
    fields.update(ids)
    return fields


def add_bound_fields(logger: Any, method: str, fields: Fields) -> Fields:
    """Add the fields of :func:`~common.observability.logging.context.bind`; what the line says itself wins."""
    for name, value in bound_fields().items():
        fields.setdefault(name, value)
    return fields


def add_event_field(fields: Fields, name: str, value: object) -> None:
    """Add a field of the event; it cannot pose as one of the line's own, and is then called ``event.<name>``."""
    fields[f"event.{name}" if name in OWN_FIELDS or name in fields else name] = value
