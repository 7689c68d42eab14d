"""Storing a whole model by an update, so that attributes which the model does not have stay as they are. Pure."""

from collections.abc import Mapping
from typing import Any

from common.dynamo import requests as rq
from common.dynamo.layout import PARTITION, SCHEMA, SCHEMA_PATH, SORT
from common.dynamo.mapping import Mapped
from common.dynamo.requests import AttributeValue

__all__ = ["whole_item_update"]


def whole_item_update(
    mapped: Mapped[Any],
    table: str,
    item: Mapping[str, AttributeValue],
    condition: rq.Condition | None,
    *,
    counts: bool,
) -> rq.UpdateItem:
    """Return the update that SETs what *item* has and REMOVEs what the type maps and *item* has not.

    The schema is SET only where there is none: an item that a newer program has written stays of its schema.

    Args:
        mapped: The entity type.
        table: Where the item is.
        item: Of a whole model, with stamps and index keys.
        condition: What must hold.
        counts: Adds 1 to the stored version instead of setting that of *item*.
    """
    counter = mapped.versions.version if counts else None
    key = {name: item[name] for name in (PARTITION, SORT)}
    stamp: tuple[rq.Path, rq.SetValue] = (SCHEMA_PATH, rq.IfNotExists(SCHEMA_PATH, rq.Constant(item[SCHEMA])))
    sets = tuple(
        stamp if name == SCHEMA else (rq.Path((name,)), rq.Constant(value))
        for name, value in item.items()
        if name not in key and name != counter
    )
    add = () if counter is None else ((rq.Path((counter,)), rq.Constant({"N": "1"})),)
    update = rq.Update(set=sets, remove=_absent_paths(mapped, item), add=add)
    returns: rq.ReturnValues = "ALL_NEW" if counts else "NONE"
    return rq.UpdateItem(table=table, key=key, update=update, condition=condition, returns=returns)


def _absent_paths(mapped: Mapped[Any], item: Mapping[str, AttributeValue]) -> tuple[rq.Path, ...]:
    fields = [plan.attribute for plan in mapped.codec.plans.values()]
    indexed = [name for bound in mapped.indexes.values() for name in bound.names]
    return tuple(rq.Path((name,)) for name in (*fields, *indexed) if name not in item)
