"""A finished span as a plain value: what the terminal views draw, whichever process the span comes from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

__all__ = ["AttributeValue", "SpanRecord"]

AttributeValue: TypeAlias = (
    "str | bool | int | float | tuple[str, ...] | tuple[bool, ...] | tuple[int, ...] | tuple[float, ...]"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanRecord:
    """One span. Times are in nanoseconds since the epoch, ids in hexadecimal (W3C Trace Context)."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str | None = None
    start_ns: int
    end_ns: int | None
    """``None`` while the span is still open."""
    kind: str = "INTERNAL"
    """``INTERNAL``, ``SERVER``, ``CLIENT``, ``PRODUCER`` or ``CONSUMER``."""
    failed: bool = False
    """Whether the status is ERROR."""
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    service: str = ""
    """``service.name`` of the process that made the span."""

    @classmethod
    def of(cls, span: "ReadableSpan") -> "SpanRecord":
        """Return *span* of the SDK as a value; events, links and the status text are left out."""
        return cls(
            name=span.name,
            trace_id=f"{span.context.trace_id:032x}",
            span_id=f"{span.context.span_id:016x}",
            parent_id=f"{span.parent.span_id:016x}" if span.parent is not None else None,
            start_ns=span.start_time or 0,
            end_ns=span.end_time,
            kind=span.kind.name,
            failed=not span.status.is_unset and not span.status.is_ok,
            attributes={name: _frozen(value) for name, value in (span.attributes or {}).items()},
            service=str(span.resource.attributes.get("service.name", "")),
        )

    def text(self, name: str) -> str:
        """Return the attribute *name* as text; empty where it is absent."""
        value = self.attributes.get(name, "")
        return value if isinstance(value, str) else str(value)

    def number(self, name: str) -> int:
        """Return the whole number under *name*; 0 where it is absent."""
        value = self.attributes.get(name, 0)
        return value if isinstance(value, int) else 0

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the list of texts under *name*; empty where it is absent."""
        value = self.attributes.get(name, ())
        return tuple(str(part) for part in value) if isinstance(value, tuple) else ()


def _frozen(value: object) -> AttributeValue:
    if isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return tuple(value)
    return str(value)
