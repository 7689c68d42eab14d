"""What each operation of the data layer cost so far, from its spans."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import ceil
from statistics import median
from typing import TypeAlias

from common.observability.monitoring.capacity import Capacity, consumed_capacity
from common.observability.monitoring.spans import SpanRecord

__all__ = ["OperationKey", "OperationRow", "OperationTotals", "operation_key", "operation_rows"]

OperationKey: TypeAlias = tuple[str, str, str]
"""DAO method, API operation, tables."""

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
    p99_ms: float = 0.0
    capacity: Capacity = field(default_factory=Capacity)
    """The same units, reads and writes apart."""


@dataclass(slots=True)
class _Tally:
    calls: int = 0
    errors: int = 0
    longest: float = 0.0
    capacity: Capacity = field(default_factory=Capacity)
    durations: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def add(self, span: SpanRecord) -> None:
        ms = ((span.end_ns or span.start_ns) - span.start_ns) / 1e6
        self.calls += 1
        self.errors += span.failed
        self.longest = max(self.longest, ms)
        self.capacity += consumed_capacity(span)
        self.durations.append(ms)

    def row(self, key: OperationKey) -> OperationRow:
        return OperationRow(
            *key,
            calls=self.calls,
            errors=self.errors,
            p50_ms=median(self.durations),
            max_ms=self.longest,
            units=self.capacity.read + self.capacity.write,
            p99_ms=_nearest_rank(self.durations, 0.99),
            capacity=self.capacity,
        )


def _nearest_rank(durations: Iterable[float], share: float) -> float:
    """Return the smallest duration that *share* of them do not exceed."""
    ordered = sorted(durations)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


class OperationTotals:
    """Adds spans up, in bounded memory. Not thread-safe: its owner holds a lock."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str, str], _Tally] = {}

    def add(self, span: SpanRecord) -> OperationKey | None:
        """Count *span* where it is a call of the data layer; return what it is counted under, if it is one."""
        if (key := operation_key(span)) is None:
            return None
        if key not in self._tallies and len(self._tallies) >= _MOST:
            key = ("(others)", "", "")
        self._tallies.setdefault(key, _Tally()).add(span)
        return key

    def rows(self) -> list[OperationRow]:
        """Return one row per operation, by name."""
        return [tally.row(key) for key, tally in sorted(self._tallies.items())]


def operation_key(span: SpanRecord) -> OperationKey | None:
    """Return what tells the operation of *span* from others; ``None`` where it is no call of the data layer."""
    if span.text("db.system.name") != "aws.dynamodb":
        return None
    tables = span.text("db.collection.name") or ",".join(span.texts("aws.dynamodb.table_names"))
    return span.text("db.query.summary") or span.name, span.text("db.operation.name"), tables


def operation_rows(spans: Iterable[SpanRecord]) -> list[OperationRow]:
    """Return one row per operation among *spans*, by name."""
    totals = OperationTotals()
    for span in spans:
        totals.add(span)
    return totals.rows()
