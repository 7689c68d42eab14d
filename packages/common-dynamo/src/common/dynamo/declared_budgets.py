"""Budgets that follow from the tables of access patterns (:mod:`common.dynamo.access`). Pure.

>>> from common.dynamo.dao.access_patterns import LEDGER_PATTERNS
>>> declared_budget("BalanceDAO.withdraw", LEDGER_PATTERNS, ())
Budget(rcu=1.0, wcu=4, indexes=0.0, trips=2)
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from common.dynamo.access import AccessPattern, Trip, Verb, get
from common.dynamo.budgets import Budget
from common.dynamo.entity_access import patterns_of
from common.dynamo.entity_type import EntityType

__all__ = ["declared_budget"]

_BATCHES: Final = ("BatchGetItem", "BatchWriteItem")


def declared_budget(name: str, patterns: Iterable[AccessPattern], entities: Iterable[EntityType[Any]]) -> Budget | None:
    """Return what a call of the access pattern *name* costs at most by its declaration, while items stay within 1 KB.

    That is its dearest course, with everything that it sends now and then. Figures that are about a page or about each of
    several items say nothing of a call, so they are no limits; round trips of a page are.

    Args:
        name: As spans and metrics have it.
        patterns: Tables of DAOs with methods of their own.
        entities: Types whose generic DAOs have patterns by their declaration.

    Returns:
        ``None`` where the declarations tell nothing of the name.
    """
    rows = [row for row in (*patterns, *_rows(entities)) if row.name == name]
    if not rows or any(row.note and row.trips[0].operation in _BATCHES for row in rows):
        return None
    trips = max(len(row.trips) + len(row.also) for row in rows)
    if any(row.note for row in rows):
        return Budget(trips=trips)
    return Budget(
        rcu=max(row.rcu + sum(map(_read_units, row.also)) for row in rows),
        wcu=max(max(row.wcu, *map(_write_units, row.also), 0.0) for row in rows),
        indexes=max(row.indexes for row in rows),
        trips=trips,
    )


def _rows(entities: Iterable[EntityType[Any]]) -> Iterator[AccessPattern]:
    for entity in entities:
        for row in patterns_of(entity):
            yield _at_its_dearest(row, entity)


def _at_its_dearest(row: AccessPattern, entity: EntityType[Any]) -> AccessPattern:
    """Return *row* with what a change costs that moves index entries, removed here and put there, and locks.

    The item is read before locks move and after it.
    """
    if not any(touch.verb in (Verb.PUT, Verb.UPDATE) for trip in row.trips for touch in trip.touches):
        return row
    return replace(row, indexes=2.0 * len(entity.indexes), also=(*row.also, get(entity)))


def _read_units(trip: Trip) -> float:
    return float(sum(touch.verb is Verb.GET for touch in trip.touches))


def _write_units(trip: Trip) -> float:
    each = 2.0 if trip.operation == "TransactWriteItems" else 1.0
    return each * sum(touch.verb not in (Verb.GET, Verb.QUERY) for touch in trip.touches)
