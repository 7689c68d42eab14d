"""Budgets: what an access pattern, or one request of a service, may cost. Pure.

A limit that is not given is no limit. What counts against them is a :class:`Spending`: capacity units as the engine
reports them, and calls. Attempts after the first of a call do not count: a budget is about what a pattern asks for, not
about how busy the engine is.

>>> of_a_list = Budget(rcu=50, pages=2)
>>> of_a_list
Budget(rcu=50, pages=2)
>>> [str(overrun) for overrun in of_a_list.overruns(Spending(rcu=128.0, trips=2, pages=2))]
['128 of 50 read units']
"""

from collections.abc import Mapping
from dataclasses import field
from operator import add, sub
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args

from common.dynamo.cost import Cost
from common.dynamo.requests import (
    BatchGetItem,
    BatchWriteItem,
    GetItem,
    Query,
    Request,
    Scan,
    TransactGetItems,
    TransactWriteItems,
)
from common.dynamo.value_classes import dataclass
from common.exceptions import ConfigurationError

__all__ = ["Budget", "BudgetMode", "Overrun", "Spending", "check_mode", "is_write"]

BudgetMode: TypeAlias = Literal["warn", "raise"]
"""What happens where a budget does not suffice: it is told, or a call that can be stopped is stopped as well."""

_WRITES: Final = frozenset({"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"})
_RANGES: Final = (Query, Scan)
_READS: Final = frozenset({"GetItem", "BatchGetItem", "TransactGetItems", "Query", "Scan"})

_WORDS: Final[Mapping[str, str]] = {
    "rcu": "read units",
    "wcu": "write units on tables",
    "indexes": "write units on indexes",
    "trips": "round trips",
    "pages": "pages",
    "scanned_per_item": "items examined per item returned",
}


def is_write(request: Request) -> bool:
    """Tell whether *request* writes items."""
    return request.operation in _WRITES


class Spending(NamedTuple):
    """What calls have used up."""

    rcu: float = 0.0
    """Read capacity units, indexes included."""
    wcu: float = 0.0
    """Write capacity units on tables alone."""
    indexes: float = 0.0
    """Write capacity units on indexes."""
    trips: int = 0
    """Calls, answered or not; further attempts of the same call do not count."""
    pages: int = 0
    """Calls that read a range: of a query or a scan."""
    scanned: int = 0
    """Items that those examined."""
    returned: int = 0
    """Items that passed their filters."""

    def plus(self, other: "Spending") -> "Spending":
        """Return both together."""
        return Spending._make(map(add, self, other))

    def minus(self, other: "Spending") -> "Spending":
        """Return this without *other*."""
        return Spending._make(map(sub, self, other))

    @property
    def scanned_per_item(self) -> float:
        """Items examined per item returned; all that were examined where nothing was returned."""
        return self.scanned / max(1, self.returned)

    @classmethod
    def least(cls, request: Request) -> "Spending | None":
        """Return what *request* costs at least: each item has up to 1 KB (written) or 4 KB (read).

        ``None`` for what is about tables, not items: it has no budget.
        """
        if request.operation in _WRITES:
            return cls(wcu=_least_write(request), trips=1)
        if request.operation not in _READS:
            return None
        return cls(rcu=_least_read(request), trips=1, pages=int(isinstance(request, _RANGES)))

    @classmethod
    def of(cls, request: Request, body: Mapping[str, Any], cost: Cost) -> "Spending":
        """Return what *request* has used up by its answer."""
        written_on_indexes = sum(cost.indexes.values()) if cost.wcu else 0.0
        is_range = isinstance(request, _RANGES)
        return cls(
            rcu=cost.rcu,
            wcu=cost.wcu - written_on_indexes,
            indexes=written_on_indexes,
            trips=1,
            pages=int(is_range),
            scanned=body.get("ScannedCount", 0) if is_range else 0,
            returned=body.get("Count", 0) if is_range else 0,
        )


def _least_write(request: Request) -> float:
    if isinstance(request, TransactWriteItems):
        return 2.0 * len(request.parts)
    return float(sum(map(len, request.writes.values()))) if isinstance(request, BatchWriteItem) else 1.0


def _least_read(request: Request) -> float:
    if isinstance(request, TransactGetItems):
        return 2.0 * len(request.parts)
    number = sum(map(len, request.keys.values())) if isinstance(request, BatchGetItem) else 1
    consistent = isinstance(request, (GetItem, BatchGetItem)) and request.consistent
    return number * (1.0 if consistent else 0.5)


@dataclass(frozen=True, slots=True)
class Overrun:
    """One limit of one budget that did not suffice."""

    dimension: str
    """The field of :class:`Budget`."""
    spent: float
    limit: float

    def __str__(self) -> str:
        return f"{self.spent:g} of {self.limit:g} {_WORDS[self.dimension]}"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Budget:
    """What one call, or one block of calls, may cost. ``None`` is no limit.

    Raises:
        ConfigurationError: A limit is no number from 0 (:attr:`scanned_per_item`: from 1), or there is no such mode.
    """

    rcu: float | None = None
    """Read capacity units, indexes included."""
    wcu: float | None = None
    """Write capacity units on tables alone."""
    indexes: float | None = None
    """Write capacity units on indexes, beside :attr:`wcu`."""
    trips: int | None = None
    """Round trips; retries of the same call do not count."""
    pages: int | None = None
    """Pages of up to 1 MB that a query or a scan reads."""
    scanned_per_item: float | None = None
    """Items examined per item returned, over all pages; all that were examined where nothing was returned."""
    mode: BudgetMode | None = None
    """``warn`` or ``raise``; ``None`` for what the database says."""
    _limits: tuple[tuple[str, float], ...] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        for name in _WORDS:
            limit, least = getattr(self, name), 1 if name == "scanned_per_item" else 0
            if limit is not None and (
                isinstance(limit, bool) or not isinstance(limit, int | float) or not limit >= least
            ):
                raise ConfigurationError(
                    f"The limit {name} of a budget is a number from {least}, or None for no limit."
                )
        if self.mode is not None:
            check_mode(self.mode)
        given = ((name, getattr(self, name)) for name in _WORDS)
        object.__setattr__(self, "_limits", tuple((name, limit) for name, limit in given if limit is not None))

    def __repr__(self) -> str:
        told = [f"{name}={limit!r}" for name, limit in self._limits]
        return f"Budget({', '.join(told + ([f'mode={self.mode!r}'] if self.mode else []))})"

    def admits(self, cost: Cost) -> bool:
        """Tell whether *cost* stays within units and round trips, where write units on indexes are not told apart."""
        written = None if self.wcu is None or self.indexes is None else self.wcu + self.indexes
        limits = ((cost.rcu, self.rcu), (cost.wcu, written), (cost.trips, self.trips))
        return all(limit is None or spent <= limit for spent, limit in limits)

    def overruns(self, spending: Spending) -> tuple[Overrun, ...]:
        """Return the limits that *spending* is over; none where it stays within the budget."""
        spent = ((name, getattr(spending, name), limit) for name, limit in self._limits)
        return tuple(Overrun(name, amount, limit) for name, amount, limit in spent if amount > limit)


def check_mode(mode: str) -> None:
    """Refuse what is no mode of a budget.

    Raises:
        ConfigurationError: It is neither ``warn`` nor ``raise``.
    """
    if mode not in get_args(BudgetMode):
        raise ConfigurationError("The mode of a budget, and budget_mode=, must be 'warn' or 'raise'.")
