"""Storing a whole model by an update, so that attributes which the model does not have stay as they are. Pure."""

from collections.abc import Mapping
from operator import itemgetter
from typing import Any, Final

from common.dynamo import requests as rq
from common.dynamo.assignments import AssignmentForm, Assignments
from common.dynamo.layout import PARTITION, SCHEMA, SCHEMA_PATH, SORT
from common.dynamo.mapping import Mapped, WholeItemForm
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
    form = _form(mapped, item, counts=counts)
    key = {PARTITION: item[PARTITION], SORT: item[SORT]}
    assigned = Assignments(form.assignments, form.values(item))
    update = rq.Update(set=assigned, remove=form.remove, add=form.add)
    returns: rq.ReturnValues = "ALL_NEW" if counts else "NONE"
    return rq.UpdateItem(table=table, key=key, update=update, condition=condition, returns=returns)


_MOST_FORMS: Final = 256
"""Kept per entity type; a form belongs to a choice of optional attributes."""


def _form(mapped: Mapped[Any], item: Mapping[str, AttributeValue], *, counts: bool) -> WholeItemForm:
    shape = (counts, *item)
    form = mapped.forms.get(shape)
    if form is None:
        if len(mapped.forms) >= _MOST_FORMS:
            mapped.forms.clear()
        form = mapped.forms[shape] = _make_form(mapped, tuple(item), counts=counts)
    return form


def _make_form(mapped: Mapped[Any], names: tuple[str, ...], *, counts: bool) -> WholeItemForm:
    counter = mapped.versions.version if counts else None
    assigned = [name for name in names if name not in (PARTITION, SORT, counter)]
    paths = tuple(SCHEMA_PATH if name == SCHEMA else rq.Path((name,)) for name in assigned)
    fields = [plan.attribute for plan in mapped.codec.plans.values()]
    indexed = [name for bound in mapped.indexes.values() for name in bound.names]
    return WholeItemForm(
        AssignmentForm(paths, frozenset({SCHEMA_PATH})),
        itemgetter(*assigned),
        remove=tuple(rq.Path((name,)) for name in (*fields, *indexed) if name not in names),
        add=() if counter is None else ((rq.Path((counter,)), rq.Constant({"N": "1"})),),
    )
