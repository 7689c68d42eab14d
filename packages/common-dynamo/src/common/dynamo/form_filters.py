"""Filters of reads, for a type whose older items are read in a form that the engine does not see.

The paths of a filter are those of the type's own schema. The engine judges items of that form (and newer ones); it lets
every older item through, and that one is judged here, in the form that its upcast steps give it.
"""

from collections.abc import Callable
from typing import Any

from common.dynamo import requests as rq
from common.dynamo.exceptions import InvalidItem
from common.dynamo.layout import PARTITION, SCHEMA, SCHEMA_PATH, SORT, TYPE
from common.dynamo.mapping import Mapped
from common.dynamo.plan import Plan
from common.dynamo.requests import Item
from common.dynamo.writes import has_expired

__all__ = ["is_wanted", "lets_older_through", "wanted_by"]


def lets_older_through(mapped: Mapped[Any], condition: rq.Condition | None) -> rq.Condition | None:
    """Return the filter to send for *condition*; the same one where no item can be of an older schema."""
    if condition is None or mapped.entity.schema == 1:
        return condition
    own = rq.Constant(mapped.stamps[SCHEMA])
    older = (rq.Compare("<", SCHEMA_PATH, own), rq.NotExists(SCHEMA_PATH))
    return rq.Or((rq.And((rq.Compare(">=", SCHEMA_PATH, own), condition)), *older))


def _passes(mapped: Mapped[Any], condition: rq.Condition, item: Item) -> bool:
    """Tell whether *item*, which the engine has let through, passes *condition*.

    Raises:
        InvalidItem: It is of an older schema, and its upcast steps fail.
    """
    if item.get(SCHEMA) == mapped.stamps[SCHEMA] or not mapped.is_outdated(item):
        return True
    # Conditions are evaluated by the embedded engine, which a service on a network loads for older items alone.
    from common.dynamo.wire.embedded.conditions import holds
    from common.dynamo.wire.embedded.refusal import Refused
    from common.dynamo.wire.embedded.values import canonical_item

    try:
        form, _ = canonical_item(mapped.upcast(item))
    except Refused:
        raise InvalidItem(
            f"A stored {mapped.entity.name} ({mapped.entity.key.text}) of schema {mapped.schema_of(item)} cannot be filtered: "
            "what its upcast steps return holds a value that DynamoDB does not store. Correct the steps.",
            entity=mapped.entity.name,
            key={name: item[name] for name in (PARTITION, SORT) if name in item},
        ) from None
    return holds(condition, form)


def is_wanted(plan: Plan[Any], item: Item, condition: rq.Condition | None, *, shows_expired: bool) -> bool:
    """Tell whether a read by *condition* gives *item*: one of the plan's type that passes and has not expired.

    Raises:
        InvalidItem: It is of an older schema, and its upcast steps failed.
    """
    mapped = plan.mapped
    if item.get(TYPE) != mapped.stamps[TYPE]:
        return False
    if not shows_expired and has_expired(mapped, item, plan.clock()):
        return False
    return condition is None or _passes(mapped, condition, item)


def wanted_by(plan: Plan[Any], condition: rq.Condition | None, *, shows_expired: bool) -> Callable[[Item], bool]:
    """Return :func:`is_wanted` for one read: most have nothing to ask of an item but its type."""
    if condition is None and (shows_expired or plan.entity.ttl is None):
        stamp = plan.mapped.stamps[TYPE]
        return lambda item: item.get(TYPE) == stamp
    return lambda item: is_wanted(plan, item, condition, shows_expired=shows_expired)
