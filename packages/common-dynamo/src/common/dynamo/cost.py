"""What calls cost: consumed capacity and round trips, as values that add up.

>>> with metered() as meter:
...     meter.cost
Cost(read 0, write 0, 0 trips)
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from common.dynamo.locking import ForkSafeLock
from common.dynamo.requests import Request
from common.dynamo.value_classes import dataclass

__all__ = ["NOTHING", "Cost", "Meter", "cost_of", "metered"]

_NO_INDEXES: Final[Mapping[str, float]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Cost:
    """Consumed capacity and round trips. Costs add: ``a + b``."""

    rcu: float = 0.0
    """Read capacity units, indexes included; halves are exact."""
    wcu: float = 0.0
    """Write capacity units, indexes included."""
    indexes: Mapping[str, float] = field(default_factory=lambda: _NO_INDEXES, hash=False)
    """The part of both that each index consumed, by the index's name."""
    trips: int = 0
    """Attempts sent to the engine, those without an answer included."""

    def __add__(self, other: "Cost") -> "Cost":
        if not isinstance(other, Cost):
            return NotImplemented
        if self is NOTHING:
            return other
        indexes = self.indexes
        if other.indexes:
            merged = dict(self.indexes)
            for name, units in other.indexes.items():
                merged[name] = merged.get(name, 0.0) + units
            indexes = MappingProxyType(merged)
        return Cost(self.rcu + other.rcu, self.wcu + other.wcu, indexes, self.trips + other.trips)

    def __repr__(self) -> str:
        indexes = "".join(f", {name} {units:g}" for name, units in self.indexes.items())
        return f"Cost(read {self.rcu:g}, write {self.wcu:g}{indexes}, {self.trips} trips)"


NOTHING: Final = Cost()

_WRITES: Final = frozenset({"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"})


def cost_of(request: Request, body: Mapping[str, Any], trips: int) -> Cost:
    """Return what *request* cost by the ``ConsumedCapacity`` of its answer.

    The units are of the kind of the operation, except where the answer fills the read or the write field: an idempotent
    replay of a transaction reports read units.
    """
    consumed = body.get("ConsumedCapacity")
    if not consumed:
        return Cost(trips=trips)
    tables: Sequence[Mapping[str, Any]] = consumed if isinstance(consumed, list) else (consumed,)
    writes = request.operation in _WRITES
    if len(tables) == 1 and "GlobalSecondaryIndexes" not in tables[0]:
        read, write = _units(tables[0], writes=writes)
        return _plain_cost(read, write, trips)
    return _sum(tables, writes=writes, trips=trips)


@lru_cache(maxsize=1024)
def _plain_cost(read: float, write: float, trips: int) -> Cost:
    """Return a cost without indexes; most calls cost one of a few."""
    return Cost(read, write, _NO_INDEXES, trips)


def _units(consumed: Mapping[str, Any], *, writes: bool) -> tuple[float, float]:
    read, write = consumed.get("ReadCapacityUnits"), consumed.get("WriteCapacityUnits")
    if read or write:
        return float(read or 0), float(write or 0)
    total = float(consumed.get("CapacityUnits", 0))
    return (0.0, total) if writes else (total, 0.0)


def _sum(tables: Sequence[Mapping[str, Any]], *, writes: bool, trips: int) -> Cost:
    read = write = 0.0
    indexes: dict[str, float] = {}
    for consumed in tables:
        more_read, more_write = _units(consumed, writes=writes)
        read, write = read + more_read, write + more_write
        for name, units in consumed.get("GlobalSecondaryIndexes", {}).items():
            indexes[name] = indexes.get(name, 0.0) + float(units.get("CapacityUnits", 0))
    return Cost(read, write, MappingProxyType(indexes), trips)


class Meter:
    """Adds up the cost of a block; see :func:`metered`. Thread-safe."""

    __slots__ = ("_lock", "_outer", "cost")

    def __init__(self, outer: "Meter | None") -> None:
        self.cost = NOTHING
        self._outer = outer
        self._lock = ForkSafeLock()

    def add(self, cost: Cost) -> None:
        """Count *cost* here and in every enclosing block."""
        with self._lock:
            self.cost += cost
        if self._outer is not None:
            self._outer.add(cost)


_METER: ContextVar[Meter | None] = ContextVar("common.dynamo.meter", default=None)


def count(cost: Cost) -> None:
    """Add *cost* to the meter of this context, if there is one."""
    meter = _METER.get()
    if meter is not None:
        meter.add(cost)


@contextmanager
def unmetered() -> Iterator[None]:
    """Count nothing of the block: the layer's own preparations are no cost of the call that they happen in."""
    token = _METER.set(None)
    try:
        yield
    finally:
        _METER.reset(token)


@contextmanager
def metered() -> Iterator[Meter]:
    """Add up what every call of the block costs, in this thread or task, on whatever database.

    Blocks nest: the outer one counts what the inner one counts. A thread that is started inside counts only when it
    runs in a copy of the context (``contextvars.copy_context().run``).
    """
    meter = Meter(_METER.get())
    token = _METER.set(meter)
    try:
        yield meter
    finally:
        _METER.reset(token)
