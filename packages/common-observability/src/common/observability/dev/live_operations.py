"""What the operations of the data layer do now: totals, latencies and rates."""

from dataclasses import dataclass

from common.observability.dev.rates import Rate, SecondCounts
from common.observability.monitoring.capacity import consumed_capacity
from common.observability.monitoring.operations import OperationKey, OperationRow, OperationTotals
from common.observability.monitoring.spans import SpanRecord

__all__ = ["LiveOperation", "LiveOperations", "OperationsShown"]


@dataclass(frozen=True, slots=True)
class LiveOperation:
    """One operation: its row, and how often it was called of late."""

    row: OperationRow
    calls: Rate


@dataclass(frozen=True, slots=True)
class OperationsShown:
    """All operations at one moment."""

    operations: tuple[LiveOperation, ...]
    """The busiest of late first."""
    calls: Rate
    errors: Rate
    units: Rate
    """Capacity units, reads and writes together."""


class LiveOperations:
    """Counts the calls of the data layer among spans. Not thread-safe: its owner holds a lock."""

    def __init__(self, now: int) -> None:
        """Begin to count in the second *now*, since the epoch."""
        self._began = now
        self._totals = OperationTotals()
        self._calls_of: dict[OperationKey, SecondCounts] = {}
        self._calls, self._errors, self._units = (SecondCounts(now) for _ in range(3))

    def add(self, span: SpanRecord, now: int) -> None:
        """Count *span*, where it is a call of the data layer, in the second in which it ended; not after *now*."""
        if (key := self._totals.add(span)) is None:
            return
        second = min((span.end_ns or span.start_ns) // 1_000_000_000, now)
        consumed = consumed_capacity(span)
        self._calls_of.setdefault(key, SecondCounts(self._began)).add(second)
        self._calls.add(second)
        self._errors.add(second, float(span.failed))
        self._units.add(second, consumed.read + consumed.write)

    def shown(self, now: int) -> OperationsShown:
        """Return all of it as it is in the second *now*."""
        rows = (
            LiveOperation(row, self._calls_of[row.operation, row.api, row.table].rate(now))
            for row in self._totals.rows()
        )
        busiest = sorted(rows, key=lambda found: (-found.calls.per_second, -found.row.calls, found.row.operation))
        return OperationsShown(tuple(busiest), *(each.rate(now) for each in (self._calls, self._errors, self._units)))
