"""What each operation of the data layer cost so far, from its spans."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median

from common.observability.monitoring.spans import SpanRecord
from common.observability.monitoring.trace_tree import capacity_units

__all__ = ["OperationRow", "OperationTotals", "operation_rows"]

_KEPT = 1_000
"""Durations kept per operation for the median: the latest ones."""
_MOST = 500
"""Operations told apart; what comes later is counted as one."""


@dataclass(frozen=True, slots=True)
class OperationRow:
    """One operation of a DAO. Durations are in milliseconds."""

    operation: str
    """The DAO method, such as ``OrderDAO.place``."""
    api: str
    table: str
    calls: int
    errors: int
    p50_ms: float
    max_ms: float
    units: float
    """Capacity units, reads and writes together."""


@dataclass(slots=True)
class _Tally:
    calls: int = 0
    errors: int = 0
    longest: float = 0.0
    units: float = 0.0
    durations: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def add(self, span: SpanRecord) -> None:
        ms = ((span.end_ns or span.start_ns) - span.start_ns) / 1e6
        self.calls += 1
        self.errors += span.failed
        self.longest = max(self.longest, ms)
        self.units += capacity_units(span)
        self.durations.append(ms)


class OperationTotals:
    """Adds spans up, in bounded memory. Not thread-safe: its owner holds a lock."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str, str], _Tally] = {}

    def add(self, span: SpanRecord) -> None:
        """Count *span* where it is a call of the data layer; leave any other aside."""
        if span.text("db.system.name") != "aws.dynamodb":
            return
        tables = span.text("db.collection.name") or ",".join(span.texts("aws.dynamodb.table_names"))
        key = (span.text("db.query.summary") or span.name, span.text("db.operation.name"), tables)
        if key not in self._tallies and len(self._tallies) >= _MOST:
            key = ("(others)", "", "")
        self._tallies.setdefault(key, _Tally()).add(span)

    def rows(self) -> list[OperationRow]:
        """Return one row per operation, by name."""
        return [
            OperationRow(*key, tally.calls, tally.errors, median(tally.durations), tally.longest, tally.units)
            for key, tally in sorted(self._tallies.items())
        ]


def operation_rows(spans: Iterable[SpanRecord]) -> list[OperationRow]:
    """Return one row per operation among *spans*, by name."""
    totals = OperationTotals()
    for span in spans:
        totals.add(span)
    return totals.rows()
