"""Faults on demand: a seeded plan, and a wire that follows it around any other wire.

Engines in tests neither throttle nor conflict by themselves, lose no answer and read nothing stale; this does, the same
way for the embedded wire (``Database.embedded(faults=plan)``) and around a network wire.

    >>> from common.dynamo.wire.faults import Fault, FaultPlan
    >>> plan = FaultPlan(seed=7)
    >>> plan.script(None, Fault.DROP_AFTER)     # the second call from now is done, and its answer lost
    >>> plan
    FaultPlan(seed=7, seen=0, injected={})
"""

import random
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import fields
from enum import Enum
from types import MappingProxyType
from typing import Final, Protocol

from common.dynamo.value_classes import dataclass

__all__ = ["CHECKER_RATES", "Aside", "Crash", "Errand", "Fault", "FaultPlan", "FaultRates", "in_a_thread"]


class Fault(Enum):
    """What can go wrong with one call."""

    REFUSE = "refuse"
    """No connection: certainly not applied."""
    THROTTLE = "throttle"
    """The engine is busy, and says so."""
    CONFLICT = "conflict"
    """Another transaction holds the item (writes and transactions)."""
    ERROR_BEFORE = "error_before"
    """500 or 503; nothing was applied, but the answer does not tell."""
    ERROR_AFTER = "error_after"
    """500 or 503 after the commit."""
    DROP_BEFORE = "drop_before"
    """The request is lost on its way."""
    DROP_AFTER = "drop_after"
    """The answer is lost on its way back."""
    TRUNCATE = "truncate"
    """The answer breaks off half way."""
    HANG = "hang"
    """No answer until the deadline, and nothing applied."""
    LATE = "late"
    """The caller gives up first; the request is applied afterwards (writes)."""
    DUPLICATE = "duplicate"
    """The network delivers the request twice (writes)."""
    UNPROCESSED = "unprocessed"
    """A batch is done in part."""
    CRASH_BEFORE = "crash_before"
    """The process dies before the call; as :class:`Crash`."""
    CRASH_AFTER = "crash_after"
    """The process dies after the commit, before it reads the answer; as :class:`Crash`."""


class Crash(BaseException):
    """The simulated death of the process: no layer handles it, so that nothing after the call happens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRates:
    """How often each fault strikes a call it can strike: probabilities, at most 1 in all; delay and stale come on top."""

    refuse: float = 0.0
    throttle: float = 0.0
    conflict: float = 0.0
    error_before: float = 0.0
    error_after: float = 0.0
    drop_before: float = 0.0
    drop_after: float = 0.0
    truncate: float = 0.0
    hang: float = 0.0
    late: float = 0.0
    duplicate: float = 0.0
    unprocessed: float = 0.0
    delay: float = 0.0
    stale: float = 0.0
    """Of reads that are not consistent: the answer is that of an earlier moment."""
    delay_seconds: tuple[float, float] = (0.001, 0.020)
    late_seconds: tuple[float, float] = (0.050, 0.400)

    def __post_init__(self) -> None:
        """Refuse what is no probability."""
        rates = [getattr(self, field.name) for field in fields(self) if not field.name.endswith("_seconds")]
        if any(not 0.0 <= rate <= 1.0 for rate in rates) or sum(self.of(fault) for fault in Fault) > 1.0:
            raise ValueError("Rates are probabilities from 0 to 1, and those of exclusive faults add up to at most 1.")

    def of(self, fault: Fault) -> float:
        """Return the rate of *fault*; crashes only come by script."""
        return float(getattr(self, fault.value, 0.0))


CHECKER_RATES: Final = FaultRates(
    delay=0.10,
    drop_before=0.02,
    drop_after=0.04,
    error_before=0.02,
    error_after=0.02,
    throttle=0.03,
    conflict=0.05,
    late=0.03,
    duplicate=0.03,
    stale=0.30,
)
"""A bad day: the rates under which the ledger's invariants are checked."""

_SINGLE_WRITES: Final = frozenset({"PutItem", "UpdateItem", "DeleteItem"})
_WRITES: Final = _SINGLE_WRITES | {"BatchWriteItem", "TransactWriteItems"}
_ITEM_OPERATIONS: Final = _WRITES | {"GetItem", "Query", "Scan", "BatchGetItem", "TransactGetItems"}
_STRIKES: Final[Mapping[Fault, frozenset[str]]] = MappingProxyType(
    {
        Fault.CONFLICT: _SINGLE_WRITES | {"TransactWriteItems", "TransactGetItems"},
        Fault.LATE: _WRITES,
        Fault.DUPLICATE: _WRITES,
        Fault.UNPROCESSED: frozenset({"BatchGetItem", "BatchWriteItem"}),
    }
)
"""Faults that strike some operations only."""
_MAY_BE_STALE: Final = frozenset({"GetItem", "Query", "Scan", "BatchGetItem"})


@dataclass(frozen=True, slots=True)
class Draw:
    """What the plan has in store for one call."""

    fault: Fault | None = None
    delay: float = 0.0
    """Seconds before anything else."""
    stale: bool = False
    late: float = 0.0
    """Seconds until a late request is applied."""


_NOTHING: Final = Draw()


class Errand(Protocol):
    """Work that is done beside its caller's."""

    def is_alive(self) -> bool:
        """Return whether it is still to be done."""
        ...

    def join(self, timeout: float, /) -> None:
        """Wait until it is done, *timeout* seconds at most."""
        ...


Aside = Callable[[Callable[[], None]], Errand]
"""Starts work beside its caller's: a thread, or whatever stands for one in a simulation."""


def in_a_thread(work: Callable[[], None]) -> Errand:
    """Start *work* in a thread of its own, which does not keep the process from ending."""
    thread = threading.Thread(target=work, name="late-delivery", daemon=True)
    thread.start()
    return thread


class FaultPlan:
    """Which call meets which fault: by rates, from a seed, or by script. Requests on tables are left alone.

    Args:
        seed: The same seed and the same sequence of calls give the same faults.
        rates: How often each fault strikes; change them at any time by assignment.
        operations: Only these (``{"TransactWriteItems"}``); ``None`` for all on items.
    """

    def __init__(
        self, seed: int = 0, rates: FaultRates | None = None, *, operations: frozenset[str] | set[str] | None = None
    ) -> None:
        self.seed = seed
        self.rates = rates or FaultRates()
        self.operations = None if operations is None else frozenset(operations)
        self.random = random.Random(seed)  # noqa: S311 - chance for tests, no secret
        self.injected: Counter[str] = Counter()
        """How often each fault, ``delay`` and ``stale`` struck."""
        self.seen = 0
        """Calls drawn for so far."""
        self._script: deque[Fault | None] = deque()
        self._late: list[Errand] = []
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        """Show what is needed to repeat a run."""
        return f"FaultPlan(seed={self.seed}, seen={self.seen}, injected={dict(self.injected)})"

    def script(self, *faults: Fault | None) -> None:
        """Decide the next calls, one fault each, ``None`` for none; the rates rule again after them."""
        with self._lock:
            self._script.extend(faults)

    def heal(self) -> None:
        """End all faults: no rates, no script. Late requests that are under way still arrive (see :meth:`settle`)."""
        with self._lock:
            self.rates = FaultRates()
            self._script.clear()

    def settle(self, timeout: float = 10.0) -> None:
        """Wait until every late request has been applied, *timeout* seconds for each at most."""
        with self._lock:
            late, self._late = self._late, []
        for errand in late:
            errand.join(timeout)

    def draw(self, operation: str, *, consistent: bool) -> Draw:
        """Return what is in store for one call.

        Args:
            operation: The API's name of it, such as ``PutItem``.
            consistent: Whether a read is consistent; such a read is never stale.
        """
        if operation not in _ITEM_OPERATIONS or (self.operations is not None and operation not in self.operations):
            return _NOTHING
        with self._lock:
            self.seen += 1
            draw = Draw(self._script.popleft()) if self._script else self._chance(operation, consistent=consistent)
            self._count(draw)
        return draw

    def deliver_late(self, deliver: Callable[[], None], aside: Aside) -> None:
        """Have *aside* start *deliver*, which applies a late request, and remember it for :meth:`settle`."""
        with self._lock:
            self._late = [each for each in self._late if each.is_alive()]
            self._late.append(aside(deliver))

    def _count(self, draw: Draw) -> None:
        names = (draw.fault and draw.fault.value, draw.delay and "delay", draw.stale and "stale")
        self.injected.update(str(name) for name in names if name)

    def _chance(self, operation: str, *, consistent: bool) -> Draw:
        rates = self.rates
        struck = self._struck(rates)
        if struck is not None and operation not in _STRIKES.get(struck, _ITEM_OPERATIONS):
            struck = None
        stale = self.random.random() < rates.stale and operation in _MAY_BE_STALE and not consistent
        return Draw(
            struck,
            delay=self.random.uniform(*rates.delay_seconds) if self.random.random() < rates.delay else 0.0,
            stale=stale,
            late=self.random.uniform(*rates.late_seconds) if struck is Fault.LATE else 0.0,
        )

    def _struck(self, rates: FaultRates) -> Fault | None:
        """Throw one die for all faults, which exclude each other."""
        point = self.random.random()
        for fault in Fault:
            point -= rates.of(fault)
            if point < 0:
                return fault
        return None
