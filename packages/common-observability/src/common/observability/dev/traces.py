"""The last traces, put together from spans that come in any order and from any process; in bounded memory."""

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from common.observability.monitoring.spans import SpanRecord

__all__ = ["MAX_SPANS", "MAX_TRACES", "RecentTraces", "Trace"]

MAX_TRACES = 60
"""Traces kept; the oldest are dropped."""
MAX_SPANS = 200
"""Spans kept per trace; the oldest are dropped, and their number is told."""
_QUIET = 1.0
"""Seconds without a further span after which a trace is shown, though its root has not come: it may be elsewhere."""


@dataclass(frozen=True, slots=True)
class Trace:
    """The spans of one trace that have ended."""

    trace_id: str
    spans: tuple[SpanRecord, ...]
    dropped: int
    """Spans of this trace that were too many."""

    @property
    def root(self) -> SpanRecord:
        """The span that the others are below: one without a parent, else the earliest."""
        return min(self.spans, key=lambda span: (span.parent_id is not None, span.start_ns))

    @property
    def start_ns(self) -> int:
        """When the earliest span began."""
        return min(span.start_ns for span in self.spans)

    @property
    def end_ns(self) -> int:
        """When the last span ended."""
        return max(span.end_ns or span.start_ns for span in self.spans)

    @property
    def services(self) -> tuple[str, ...]:
        """The services on the way, in order of their first span."""
        ordered = sorted(self.spans, key=lambda span: span.start_ns)
        return tuple(dict.fromkeys(span.service for span in ordered if span.service))


@dataclass(slots=True)
class _Growing:
    came_at: float
    spans: deque[SpanRecord] = field(default_factory=lambda: deque(maxlen=MAX_SPANS))
    has_root: bool = False
    dropped: int = 0


class RecentTraces:
    """Gathers spans by trace. Not thread-safe: its owner holds a lock."""

    def __init__(self, settle: float = 0.0) -> None:
        """Prepare.

        Args:
            settle: Seconds without a further span after which a trace whose root has ended is shown: the spans of other
                processes may come later than the root.
        """
        self._settle = settle
        self._traces: OrderedDict[str, _Growing] = OrderedDict()

    def add(self, span: SpanRecord, now: float) -> None:
        """Take *span* in at the time *now*, in seconds."""
        trace = self._traces.setdefault(span.trace_id, _Growing(now))
        trace.dropped += len(trace.spans) == MAX_SPANS
        trace.spans.append(span)
        trace.has_root |= span.parent_id is None
        trace.came_at = now
        if len(self._traces) > MAX_TRACES:
            self._traces.popitem(last=False)

    def latest(self, most: int, now: float) -> tuple[Trace, ...]:
        """Return up to *most* traces, the newest first: those whose root has ended, and those that have become quiet."""
        settled = [
            Trace(trace_id, tuple(trace.spans), trace.dropped)
            for trace_id, trace in self._traces.items()
            if now - trace.came_at >= (self._settle if trace.has_root else max(_QUIET, self._settle))
        ]
        return tuple(sorted(settled, key=lambda trace: trace.start_ns, reverse=True)[:most])
