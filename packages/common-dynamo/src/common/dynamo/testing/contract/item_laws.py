"""Laws of what is stored: exact models, told misfits, keys that keep order, index keys that follow, foreign attributes."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from common.dynamo import requests as rq
from common.dynamo.entity_type import EntityType
from common.dynamo.exceptions import InvalidItem
from common.dynamo.execution import Pattern
from common.dynamo.keys import BoundTemplate
from common.dynamo.testing.contract.stage import Broken, Law, Stage, refuse, setting
from common.dynamo.testing.contract.strategies import texts
from common.dynamo.testing.routes import Route
from common.exceptions import ConfigurationError, InvalidInput

__all__ = ["LAWS"]

_UPDATE: Final = Pattern("Contract.update", "UpdateItem")
_OTHER_TYPES: Final[tuple[rq.AttributeValue, ...]] = (
    {"BOOL": True},
    {"S": "of another type"},
    {"N": "1"},
    {"B": b"of another type"},
    {"M": {}},
)
_PAIRS: Final = 4
"""Of keys that are compared in one example, of each template."""
_NEWER: Final = ("zz_newer", {"M": {"kept": {"L": [{"S": "as it is"}]}}})
"""An attribute that no field of the model has: what a newer program wrote."""


# Models ---------------------------------------------------------------------------------------------------------------


def keep_models_exact(stage: Stage[Any]) -> None:
    """Every model comes back as it was given: each field, each digit, on each route and by each read."""
    first = stage.model()
    stage.mapped.encode(first)  # a model that cannot be stored is told here, and given up by the other laws
    second = stage.variant(first)
    for route in stage.routes():
        route("create", stage.dao, first)
        stored = stage.expect_stored(first, 1, f"a create ({route.name})")
        current = second.model_copy(update={stage.entity.version: 1}) if stage.entity.version else second
        route("put", stage.dao, current, **stage.put_options(route, stored))
        found = stage.expect_stored(second, 2, f"a put ({route.name})")
        batch = stage.dao.batch_get([first])
        stage.expect(batch == [found], f"batch_get differs from get ({route.name})")
        partition = {name: getattr(first, name) for name in stage.entity.key.partition.fields}
        queried = stage.dao.query(**partition, consistent=True).all()
        stage.expect(queried == [found], f"a query differs from get ({route.name})")


def tell_misfits(stage: Stage[Any]) -> None:
    """An attribute of another type, or a missing one, is an error that names the field; nothing is made up."""
    model = stage.model()
    item = stage.entity.encode(model)
    for name, plan in stage.mapped.codec.plans.items():
        others = [value for value in _OTHER_TYPES if not value.keys() & plan.codec.tags]
        for value in others[:2]:
            _expect_misfit(stage, {**item, plan.attribute: value}, name)
        if not plan.may_be_absent:
            _expect_misfit(stage, {each: value for each, value in item.items() if each != plan.attribute}, name)
    stage.put_raw({**item, "_t": {"S": "another-type"}})
    with refuse(InvalidItem, "a get of an item of another type"):
        stage.dao.get(model)


def _expect_misfit(stage: Stage[Any], item: Mapping[str, Any], field: str) -> None:
    with refuse(InvalidItem, "a stored misfit", field) as caught:
        stage.entity.decode(item)
    told = caught[0].field.split(".")[0]
    # A scale that is a function of the row is asked first, and may miss the very field.
    asked = [scaled.field for scaled in stage.mapped.codec.row_scales]
    stage.expect(told in (field, *asked), f"its misfit is told of {told!r}", field)


# Keys -----------------------------------------------------------------------------------------------------------------


def order_keys(stage: Stage[Any]) -> None:
    """Keys compare as the tuples they were made of, and two tuples never share one."""
    key = stage.mapped.key
    for bound in (key, *stage.mapped.indexes.values()):
        for template in (bound.partition, bound.sort):
            for _ in range(_PAIRS if template.fields else 0):
                _expect_order(stage, template)
    stage.model()


def _expect_order(stage: Stage[Any], template: BoundTemplate) -> None:
    strategy = st.tuples(*map(_component, template.template.components, _kinds(stage, template)))
    one, drawn = stage.draw(strategy), stage.draw(strategy)
    # A shared beginning, of the tuple and of a text in it, is what makes neighbours.
    shared = stage.draw(st.integers(0, len(one)))
    longer = [
        left + right if isinstance(left, str) and not isinstance(left, Enum) else right
        for left, right in zip(one, drawn, strict=True)
    ]
    other = (*one[:shared], *(longer if stage.draw(st.booleans()) else drawn)[shared:])
    values, keys = (_ordinals(one), _ordinals(other)), (template.build(one), template.build(other))
    field = ", ".join(template.template.fields)
    stage.expect((values[0] == values[1]) == (keys[0] == keys[1]), f"{one} and {other} share a key", field)
    left, right = (key.encode() for key in keys)
    stage.expect((values[0] < values[1]) == (left < right), f"{one} and {other} are not ordered as their keys", field)


def _kinds(stage: Stage[Any], template: BoundTemplate) -> list[type]:
    return [stage.mapped.value_codec(name).kind for name in template.fields]


def _component(component: Any, kind: type) -> SearchStrategy[Any]:
    digits, _, places = component.spec.partition(".")
    if kind is int:
        largest = 10 ** int(digits) - 1
        return st.integers(-largest, largest) | st.integers(-min(20, largest), min(20, largest))
    if kind is Decimal:
        largest = 10 ** (int(digits) + int(places)) - 1
        return st.integers(-largest, largest).map(lambda units: _scaled(units, int(places)))
    if issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    return _COMPONENTS[kind]


def _scaled(units: int, places: int) -> Decimal:
    return Decimal((int(units < 0), tuple(map(int, str(abs(units)))), -places))


_COMPONENTS: Final[Mapping[type, SearchStrategy[Any]]] = {
    str: st.text("!#$%a\x00", min_size=1, max_size=2) | texts(1, 12),
    bool: st.booleans(),
    # Datetimes in UTC of all four-digit years, the year 999 among them.
    datetime: st.datetimes(timezones=st.just(UTC)),
    date: st.dates(),
    UUID: st.uuids(),
}


def _ordinals(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what Python orders as the values are meant to be ordered; text by code points."""
    return tuple(
        value.value if isinstance(value, Enum) else str(value) if isinstance(value, UUID) else value for value in values
    )


def refuse_empty_keys(stage: Stage[Any]) -> None:
    """A key with a missing or empty part is refused, and nothing is stored."""
    model = stage.model()
    for name in stage.entity.key.fields:
        kind = stage.mapped.value_codec(name).kind
        for value in (None, "") if kind is str else (None,):
            with refuse(InvalidInput, f"a key with {value!r}", name):
                stage.dao.get({field: getattr(model, field) for field in stage.entity.key.fields} | {name: value})
            with refuse(InvalidInput, f"a model with {value!r} in its key", name):
                stage.dao.create(model.model_copy(update={name: value}))
    stage.expect(not stage.everything(), "something was stored at a refused key")


# Index keys -----------------------------------------------------------------------------------------------------------


def follow_with_index_keys(stage: Stage[Any]) -> None:
    """After every change of every field, on every route, the index keys are those of the stored model."""
    model = stage.model()
    other = stage.model()
    for route in stage.routes():
        route("create", stage.dao, model)
        _expect_index_keys(stage, model, f"a create ({route.name})")
        for name in stage.changeable:
            for value in _values(stage, name, other):
                stored = stage.stored(model)
                if stage.accepts(stored, name, value):
                    route("update", stage.dao, stored, setting(name, value))
                    _expect_index_keys(stage, model, f"an update to {value!r} ({route.name})", name)
        stored = stage.stored(model)
        restored = stage.compose(model, **{name: getattr(stored, name) for name in stage.layer_fields})
        route("put", stage.dao, restored, **stage.put_options(route, stored))
        _expect_index_keys(stage, model, f"a put ({route.name})")


def _values(stage: Stage[Any], name: str, other: Any) -> list[Any]:
    """Return values to change *name* to: another one and, for a part of an index key, none and back."""
    value = getattr(other, name)
    indexed = any(name in bound.fields for bound in stage.mapped.indexes.values())
    nullable = indexed and stage.mapped.value_codec(name).nullable
    return [value, None, value] if nullable else [value]


def _expect_index_keys(stage: Stage[Any], model: Any, after: str, field: str = "") -> None:
    item = stage.raw(model) or {}
    row = vars(stage.stored(model))
    for index, bound in stage.mapped.indexes.items():
        within = all(row[name] is not None for name in bound.fields)
        wanted = bound.attributes(row) if within else {}
        found = {name: item[name] for name in bound.names if name in item}
        if wanted != found:
            told = "has no key" if not found else "has a key and should have none" if not wanted else "has a stale key"
            raise Broken(field or ", ".join(bound.fields), f"after {after}, {index} {told}")


def refuse_half_index_keys(stage: Stage[Any]) -> None:
    """An update of one part of an index key that cannot know the other parts is refused."""
    model = stage.model()
    stored = stage.dao.create(model)
    for bound in stage.mapped.indexes.values():
        loose = [name for name in bound.fields if name in stage.changeable]
        if len(loose) > 1:
            name = loose[0]
            with refuse(ConfigurationError, "an update of a part of an index key", name):
                change = setting(name, getattr(stored, name))
                stage.dao.update(stored_key(stage, stored), change, unlocked=stage.entity.version is not None)


def stored_key(stage: Stage[Any], model: Any) -> dict[str, Any]:
    """Return the key of *model* by field, as callers give it."""
    return {name: getattr(model, name) for name in stage.entity.key.fields}


# Attributes of others -------------------------------------------------------------------------------------------------


def keep_unknown_attributes(stage: Stage[Any]) -> None:
    """What a newer program has stored in an item outlives a put and an update; a replacing put wipes it."""
    model = stage.model()
    other = stage.variant(model)
    for route in stage.routes():
        route("create", stage.dao, model)
        _add_newer(stage, model)
        stored = stage.stored(model)
        found = stage.change_for(stored, other)
        if found is not None:
            route("update", stage.dao, stored, found[1])
            _expect_newer(stage, model, f"an update ({route.name})", found[0])
        if not stage.spreads:
            _put(stage, route, other, replace=False)
            _expect_newer(stage, model, f"a put ({route.name})")
        _put(stage, route, other, replace=True)
        stage.expect(_NEWER[0] not in (stage.raw(model) or {}), f"a replacing put left it ({route.name})", _NEWER[0])


def _put(stage: Stage[Any], route: Route, model: Any, *, replace: bool) -> None:
    stored = stage.stored(model)
    current = stage.compose(model, **{name: getattr(stored, name) for name in stage.layer_fields})
    route("put", stage.dao, current, **stage.put_options(route, stored) | {"replace": replace})


def _add_newer(stage: Stage[Any], model: Any) -> None:
    name, value = _NEWER
    update = rq.Update(set=((rq.Path((name,)), rq.Constant(value)),))
    stage.db.execute(rq.UpdateItem(table=stage.table, key=stage.key(model), update=update), _UPDATE)


def _expect_newer(stage: Stage[Any], model: Any, after: str, field: str = "") -> None:
    name, value = _NEWER
    found = (stage.raw(model) or {}).get(name)
    stage.expect(found == value, f"after {after}, an attribute that the model does not have is gone", field)


def _no_indexes(entity: EntityType[Any]) -> str:
    if entity.indexes and not entity.mapped.indexes:
        return "the keys of its indexes are its own attributes"
    return "" if entity.indexes else "the type is in no index"


LAWS: Final = (
    Law("round trip", "D3, D5, D13", keep_models_exact),
    Law("misfits", "D4, D30", tell_misfits),
    Law("key order", "D8", order_keys),
    Law("empty keys", "D9", refuse_empty_keys),
    Law("index keys", "D10", follow_with_index_keys, _no_indexes),
    Law("half index keys", "D10", refuse_half_index_keys, _no_indexes),
    Law("unknown attributes", "D5", keep_unknown_attributes),
)
