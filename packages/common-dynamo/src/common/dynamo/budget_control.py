"""Holding calls to budgets: of their access pattern, and of the request of a service that they belong to.

What can be stopped without harm is stopped, in mode ``raise``: a call that is certain to go over is not sent, and a read that
has gone over gives no result. From the first write on that an operation has sent, it is never stopped: its error would
read as "not applied". What it costs beyond the budget is told, as in mode ``warn``.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from fnmatch import fnmatchcase
from threading import Lock
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from common.dynamo.budgets import Budget, BudgetMode, Overrun, Spending, check_mode, is_write
from common.dynamo.exceptions import BudgetExceeded
from common.dynamo.locking import ForkSafeLock
from common.dynamo.requests import Request
from common.exceptions import ConfigurationError

if TYPE_CHECKING:
    from common.dynamo.execution import Result
    from common.dynamo.telemetry import Recording

__all__ = ["REQUEST_PURSE", "BudgetControl", "BudgetTable", "Purse", "Watch", "budget"]

_log: Final = logging.getLogger("common.dynamo.budgets")

BudgetTable: TypeAlias = Mapping[str, Budget | Literal["declared"]] | Literal["declared"]
"""Names of access patterns, where ``*`` stands for anything, to what each of their calls may cost; see
:class:`BudgetControl`."""

_QUIET_SECONDS: Final = 60.0
"""Between two warnings of one access pattern."""
_UNSENT: Final = Spending()


class Purse:
    """What one budget has paid for: one call of an access pattern, or all calls of a block. Thread-safe."""

    __slots__ = ("_lock", "_over", "_refused", "_told", "budget", "is_strict", "outer", "spent")

    def __init__(
        self, budget: Budget, mode: BudgetMode, *, outer: "Purse | None" = None, outlives_forks: bool = False
    ) -> None:
        """Pay from *budget*.

        Args:
            budget: The limits.
            mode: What they mean where *budget* does not say.
            outer: The purse of the enclosing block.
            outlives_forks: Whether a child process may go on with it.
        """
        self.budget = budget
        self.spent = Spending()
        """So far, by all calls that have begun: one on its way counts with what it costs at least."""
        self.is_strict = (budget.mode or mode) == "raise"
        self.outer = outer
        """The purse of the enclosing block."""
        self._lock = ForkSafeLock() if outlives_forks else Lock()
        self._over: tuple[Overrun, ...] = ()
        self._refused: tuple[Overrun, ...] = ()
        self._told: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"<Purse: {self.spent} of {self.budget}>"

    def take(self, planned: Spending, *, anyway: bool) -> tuple[Overrun, ...]:
        """Set *planned* aside; where a strict budget is too small for it, take nothing and return why.

        Args:
            planned: What a call costs at least.
            anyway: Whether the call is sent in any case.
        """
        with self._lock:
            wanted = self.spent.plus(planned)
            if self.is_strict and not anyway:
                self._refused = self.budget.overruns(wanted)
                if self._refused:
                    return self._refused
            self.spent = wanted
            return ()

    def settle(self, planned: Spending, spent: Spending) -> tuple[Overrun, ...]:
        """Put *spent* in the place of *planned*; return what that goes over."""
        with self._lock:
            self.spent = self.spent.minus(planned).plus(spent)
            self._over = self.budget.overruns(self.spent)
            return self._over

    def news(self) -> tuple[Overrun, ...]:
        """Return what the budget was too small for and has not been told yet."""
        if not self._over and not self._refused:
            return ()
        with self._lock:
            over = {each.dimension: each for each in (*self._over, *self._refused)}
            news = tuple(each for dimension, each in over.items() if dimension not in self._told)
            self._told |= over.keys()
            self._refused = ()
            return news


REQUEST_PURSE: Final[ContextVar[Purse | None]] = ContextVar("common.dynamo.request_purse", default=None)
"""The purse of the innermost block of this thread or task."""


@contextmanager
def budget(
    *,
    rcu: float | None = None,
    wcu: float | None = None,
    indexes: float | None = None,
    trips: int | None = None,
    pages: int | None = None,
    scanned_per_item: float | None = None,
    mode: BudgetMode = "warn",
) -> Iterator[Purse]:
    """Hold all calls of the block together to a budget, in this thread or task, on whatever database.

    Blocks nest: what the inner one allows, the outer one has to allow as well. A thread that is started inside belongs to
    the block only when it runs in a copy of the context (``contextvars.copy_context().run``).

    >>> with budget(rcu=10, trips=3, mode="raise") as purse:
    ...     purse.spent.trips
    0

    Args:
        rcu: Read capacity units, indexes included.
        wcu: Write capacity units on tables alone.
        indexes: Write capacity units on indexes.
        trips: Round trips; retries of the same call do not count.
        pages: Pages of queries and scans.
        scanned_per_item: Items that those examine per item that they return.
        mode: ``warn`` tells where the block costs more; ``raise`` also stops a call that can be stopped, see
            :class:`~common.dynamo.exceptions.BudgetExceeded`.

    Raises:
        ConfigurationError: A limit is no number from 0, or there is no such mode.
    """
    limits = Budget(
        rcu=rcu, wcu=wcu, indexes=indexes, trips=trips, pages=pages, scanned_per_item=scanned_per_item, mode=mode
    )
    purse = Purse(limits, mode, outer=REQUEST_PURSE.get(), outlives_forks=True)
    token = REQUEST_PURSE.set(purse)
    try:
        yield purse
    finally:
        REQUEST_PURSE.reset(token)


class BudgetControl:
    """The budgets of one database. Thread-safe.

    The budget of a name is that of the entry with this very name, else that of the first entry that it matches.
    """

    def __init__(
        self,
        table: BudgetTable | None = None,
        *,
        mode: BudgetMode = "warn",
        declared: Callable[[str], Budget | None] = lambda name: None,
        clock: Callable[[], float],
    ) -> None:
        """Take the budgets.

        Args:
            table: See :data:`BudgetTable`; ``None`` for none.
            mode: Of budgets that do not say.
            declared: The budget that the declaration of an access pattern gives, by its name.
            clock: Monotonic seconds, for the time between warnings.

        Raises:
            ConfigurationError: *table* is neither a mapping of names to budgets nor ``declared``; or the mode is none.
        """
        self._table: Mapping[str, Budget | Literal["declared"]] = _checked(table)
        check_mode(mode)
        self.is_watching = bool(self._table)
        """Whether any access pattern may have a budget."""
        self._mode: BudgetMode = mode
        self._declared = declared
        self._clock = clock
        self._found: dict[str, Budget | None] = {}
        self._warned: dict[str, float] = {}
        self._lock = ForkSafeLock()

    def of(self, name: str) -> Budget | None:
        """Return what a call of the access pattern *name* may cost; ``None`` where it has no budget."""
        if name not in self._found:
            self._found[name] = self._find(name)
        return self._found[name]

    def _find(self, name: str) -> Budget | None:
        entry = self._table.get(name)
        if entry is None:
            entry = next((given for wanted, given in self._table.items() if fnmatchcase(name, wanted)), None)
        return self._declared(name) if entry == "declared" else entry

    def watch(self, name: str, follows: "Watch | None" = None) -> "Watch | None":
        """Return what watches over an operation called *name*; ``None`` where nothing limits it.

        Args:
            name: Of the access pattern.
            follows: What watched over an operation that this one carries on, and pays from the same purse.
        """
        own = None if follows is None else follows.own
        if own is None:
            limits = self.of(name)
            own = None if limits is None else Purse(limits, self._mode)
        block = REQUEST_PURSE.get()
        return None if own is None and block is None else Watch(self, name, own, block)

    def warn(self, name: str, scope: str, overruns: tuple[Overrun, ...]) -> None:
        """Log that an access pattern went over a budget, unless it has done so within a minute."""
        now = self._clock()
        with self._lock:
            last = self._warned.get(name)
            if last is not None and now - last < _QUIET_SECONDS:
                return
            self._warned[name] = now
        _log.warning("%s went over the budget of its %s: %s.", name, scope, "; ".join(map(str, overruns)))


def _checked(table: BudgetTable | None) -> Mapping[str, Budget | Literal["declared"]]:
    if table is None:
        return {}
    if table == "declared":
        return {"*": "declared"}
    if not isinstance(table, Mapping):
        raise ConfigurationError("budgets= is a mapping of access patterns to budgets, or 'declared'.")
    for name, entry in table.items():
        if not isinstance(name, str) or not (isinstance(entry, Budget) or entry == "declared"):
            raise ConfigurationError(f"budgets= gives {name!r} neither a Budget nor 'declared'.")
    return dict(table)


class Watch:
    """The budgets of one operation on its way."""

    __slots__ = ("_control", "_has_written", "_name", "_purses", "_repeats", "_stopped_by", "own")

    def __init__(self, control: BudgetControl, name: str, own: Purse | None, block: Purse | None) -> None:
        self.own = own
        """The purse of the access pattern."""
        self._control = control
        self._name = name
        self._purses = tuple(_scoped(own, block))
        self._has_written = False
        self._repeats = False
        self._stopped_by: Purse | None = None

    def begin(self, request: Request) -> Spending:
        """Set aside what *request* costs at least; return that.

        Raises:
            BudgetExceeded: A strict budget is too small, and the operation has not sent a write so far. Nothing is sent.
        """
        planned = Spending.least(request)
        if planned is None:
            return _UNSENT
        if self._repeats:
            self._repeats, planned = False, planned._replace(trips=0, pages=0)
        for position, (scope, purse) in enumerate(self._purses):
            over = purse.take(planned, anyway=self._has_written)
            if over:
                for _, paid in self._purses[:position]:
                    paid.settle(planned, _UNSENT)
                raise self._stop(scope, purse, over, "the next call was not sent: it would make ")
        self._has_written = self._has_written or is_write(request)
        return planned

    def failed(self, planned: Spending) -> None:
        """Take note that the call brought no answer, or a refusal: neither tells what it consumed."""
        for _, purse in self._purses:
            purse.settle(planned, Spending(trips=planned.trips, pages=planned.pages))

    def answered(self, planned: Spending, request: Request, result: "Result") -> None:
        """Take note of what the call has cost.

        Raises:
            BudgetExceeded: That is more than a strict budget allows, and the operation has only read.
        """
        if planned is _UNSENT:
            return
        spent = Spending.of(request, result.body, result.cost)
        if spent.trips != planned.trips:
            spent = spent._replace(trips=planned.trips, pages=planned.pages)
        over = [(scope, purse, purse.settle(planned, spent)) for scope, purse in self._purses]
        if self._has_written:
            return
        for scope, purse, overruns in over:
            if overruns and purse.is_strict:
                raise self._stop(scope, purse, overruns, "it took ")

    def repeat(self) -> None:
        """Say that the next call only sends again what the engine left unprocessed: it is no round trip of its own."""
        self._repeats = True

    def close(self, recording: "Recording | None") -> None:
        """Tell what went over, once: to span and metric, and to the log unless an error says so."""
        for scope, purse in self._purses:
            news = purse.news()
            if not news:
                continue
            if recording is not None:
                recording.over_budget(scope, news)
            if purse is not self._stopped_by:
                self._control.warn(self._name, scope, news)

    def _stop(self, scope: str, purse: Purse, overruns: tuple[Overrun, ...], told: str) -> BudgetExceeded:
        self._stopped_by = purse
        step = "budgets= of the database" if scope == "pattern" else "the budget() block around it"
        return BudgetExceeded(
            f"{self._name} went over the budget of its {scope}; {told}{'; '.join(map(str, overruns))}. This call has "
            f"written nothing. Ask for less, or allow more in {step}.",
            pattern=self._name,
            scope=scope,
            overruns=overruns,
        )


def _scoped(own: Purse | None, block: Purse | None) -> Iterator[tuple[str, Purse]]:
    if own is not None:
        yield "pattern", own
    while block is not None:
        yield "request", block
        block = block.outer
