"""The states of an order and the one table of their transitions.

Conditions of writes are generated from this table, and so are the tests; nothing else says which step is allowed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class OrderStatus(StrEnum):
    """Where an order stands.

    >>> OrderStatus.QUEUED.allows(OrderStatus.CANCELLED)
    True
    >>> OrderStatus.COMPLETED.is_terminal
    True
    """

    PENDING = "PENDING"
    CONFIRMED = "CONFIRMED"
    QUEUED = "QUEUED"
    TRIGGERED = "TRIGGERED"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"

    def allows(self, target: "OrderStatus") -> bool:
        """Tell whether an order in this status may go to *target* in one step."""
        return self in SOURCES[target]

    @property
    def is_terminal(self) -> bool:
        """Whether nothing follows."""
        return self in TERMINAL

    @property
    def sources(self) -> "frozenset[OrderStatus]":
        """The statuses from which an order may enter this one."""
        return SOURCES[self]


class OrderActor(StrEnum):
    """Who takes a step."""

    API = "api"
    USER = "user"
    SYSTEM = "system"
    ENGINE = "engine"


class AccountEffect(StrEnum):
    """What the transaction of the status write does to the account."""

    NONE = "none"
    SWAP = "swap"
    """Cash against asset, at once."""
    TAKE_HOLD = "take hold"
    """Available to held: cash for a buy, the asset for a sell."""
    MAY_TAKE_HOLD = "may take hold"
    """Either nothing or TAKE_HOLD; the order records which."""
    TAKE_HOLD_IF_NOT_TAKEN = "take hold if not taken"
    RELEASE_HOLD = "release hold"
    RELEASE_HOLD_IF_TAKEN = "release hold if taken"
    SETTLE = "settle"
    """The hold is used up: the cost is paid, the rest returned, the other side credited."""


class Guard(StrEnum):
    """What must hold besides the status."""

    ABSENT = "absent"
    """No order has the id."""
    FUNDS = "funds"
    FUNDS_IF_HELD = "funds if held"
    NOT_EXPIRED = "not expired"
    """The order's expiry, where it has one, lies ahead."""
    EXPIRED = "expired"
    COST_WITHIN_HOLD = "cost within hold"
    FILL_ABSENT = "fill absent"
    """No journal entry has the id stored in the order's ``fill``."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One allowed step; *source* is ``None`` where the order comes into being."""

    source: OrderStatus | None
    target: OrderStatus
    actor: OrderActor
    effect: AccountEffect = AccountEffect.NONE
    guards: frozenset[Guard] = frozenset()
    stores_fill: bool = False
    """Whether the step chooses the id under which the order will be settled."""


def _step(
    source: OrderStatus | None,
    target: OrderStatus,
    actor: OrderActor,
    effect: AccountEffect = AccountEffect.NONE,
    *guards: Guard,
    stores_fill: bool = False,
) -> Transition:
    return Transition(source, target, actor, effect, frozenset(guards), stores_fill)


_S, _A, _E = OrderStatus, OrderActor, AccountEffect

TRANSITIONS: Final = (
    _step(None, _S.PENDING, _A.API, _E.NONE, Guard.ABSENT),
    _step(None, _S.COMPLETED, _A.API, _E.SWAP, Guard.ABSENT, Guard.FUNDS),
    _step(None, _S.QUEUED, _A.API, _E.TAKE_HOLD, Guard.ABSENT, Guard.FUNDS),
    _step(None, _S.FAILED, _A.API, _E.NONE, Guard.ABSENT),
    _step(_S.PENDING, _S.CONFIRMED, _A.SYSTEM, _E.MAY_TAKE_HOLD, Guard.FUNDS_IF_HELD),
    _step(_S.PENDING, _S.CANCELLED, _A.USER),
    _step(_S.PENDING, _S.FAILED, _A.SYSTEM),
    _step(_S.CONFIRMED, _S.QUEUED, _A.SYSTEM, _E.TAKE_HOLD_IF_NOT_TAKEN, Guard.FUNDS),
    _step(_S.CONFIRMED, _S.PROCESSING, _A.SYSTEM, stores_fill=True),
    _step(_S.CONFIRMED, _S.CANCELLED, _A.USER, _E.RELEASE_HOLD_IF_TAKEN),
    _step(_S.CONFIRMED, _S.FAILED, _A.SYSTEM, _E.RELEASE_HOLD_IF_TAKEN),
    _step(_S.QUEUED, _S.TRIGGERED, _A.ENGINE, _E.NONE, Guard.NOT_EXPIRED),
    _step(_S.QUEUED, _S.CANCELLED, _A.USER, _E.RELEASE_HOLD),
    _step(_S.QUEUED, _S.EXPIRED, _A.SYSTEM, _E.RELEASE_HOLD, Guard.EXPIRED),
    _step(_S.TRIGGERED, _S.PROCESSING, _A.ENGINE, stores_fill=True),
    _step(_S.TRIGGERED, _S.FAILED, _A.SYSTEM, _E.RELEASE_HOLD),
    _step(_S.PROCESSING, _S.COMPLETED, _A.ENGINE, _E.SETTLE, Guard.COST_WITHIN_HOLD, Guard.FILL_ABSENT),
    _step(_S.PROCESSING, _S.FAILED, _A.SYSTEM, _E.RELEASE_HOLD),
)
"""Every allowed step; a step that is not here is refused by the database."""

SOURCES: Final[Mapping[OrderStatus, frozenset[OrderStatus]]] = MappingProxyType(
    {
        status: frozenset(step.source for step in TRANSITIONS if step.target is status and step.source is not None)
        for status in OrderStatus
    }
)
"""For each status those that lead to it; empty where an order can only begin there, or not arrive at all."""

INITIAL: Final = frozenset(step.target for step in TRANSITIONS if step.source is None)
"""The statuses in which an order can come into being."""

TERMINAL: Final = frozenset(set(OrderStatus) - {step.source for step in TRANSITIONS})
"""The statuses that nothing follows."""

HOLDING: Final = frozenset({_S.QUEUED, _S.TRIGGERED, _S.PROCESSING})
"""The statuses in which a limit order always has an open hold; in CONFIRMED the order's ``hold`` tells."""


def transition(source: OrderStatus | None, target: OrderStatus) -> Transition | None:
    """Return the step from *source* (``None``: no order yet) to *target*; ``None`` where there is no such step."""
    return _STEPS.get((source, target))


def can_reach(current: OrderStatus, targets: Iterable[OrderStatus]) -> bool:
    """Tell whether an order in *current* is in one of *targets* or can still come there.

    After a refused step to ``t``, ``not can_reach(current, t.sources)`` says that it is refused for good.

    >>> can_reach(OrderStatus.PENDING, OrderStatus.TRIGGERED.sources)
    True
    >>> can_reach(OrderStatus.CANCELLED, OrderStatus.TRIGGERED.sources)
    False
    """
    return not _REACHABLE[current].isdisjoint(targets)


def _reachable_from(start: OrderStatus) -> frozenset[OrderStatus]:
    found, ahead = {start}, [start]
    while ahead:
        current = ahead.pop()
        steps = {target for target in OrderStatus if current in SOURCES[target]} - found
        found |= steps
        ahead.extend(steps)
    return frozenset(found)


_STEPS = {(step.source, step.target): step for step in TRANSITIONS}
_REACHABLE = {status: _reachable_from(status) for status in OrderStatus}
