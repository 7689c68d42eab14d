"""Asserting what a block of calls costs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from common.dynamo.cost import Meter, metered

__all__ = ["WrongCost", "spend"]


class WrongCost(AssertionError):
    """A block cost something else than it said."""


@contextmanager
def spend(
    *,
    wcu: float | None = None,
    rcu: float | None = None,
    trips: int | None = None,
    indexes: Mapping[str, float] | None = None,
) -> Iterator[Meter]:
    """Assert the consumed capacity of the block, as the engine reported it; a block that raises is not measured.

    Args:
        wcu: Write units, indexes included: "6+2" is ``wcu=8, indexes={"GSI1": 2}``. ``None`` for any number.
        rcu: Read units, indexes included.
        trips: Attempts sent to the engine.
        indexes: The part of both that each index consumed, by its name; ``{}`` for none at all.

    Raises:
        WrongCost: Any of them differs.

    >>> with spend(wcu=0, rcu=0, trips=0, indexes={}) as meter:
    ...     pass
    >>> with spend(trips=1):
    ...     pass
    Traceback (most recent call last):
    ...
    common.dynamo.testing.costs.WrongCost: The block was to cost trips=1 and cost trips=0.
    """
    with metered() as meter:
        yield meter
    cost = meter.cost
    found: dict[str, Any] = {"wcu": cost.wcu, "rcu": cost.rcu, "trips": cost.trips, "indexes": dict(cost.indexes)}
    wanted = {"wcu": wcu, "rcu": rcu, "trips": trips, "indexes": indexes}
    wrong = [name for name, units in wanted.items() if units is not None and units != found[name]]
    if wrong:
        expected = ", ".join(f"{name}={wanted[name]}" for name in wrong)
        actual = ", ".join(f"{name}={found[name]}" for name in wrong)
        raise WrongCost(f"The block was to cost {expected} and cost {actual}.")
