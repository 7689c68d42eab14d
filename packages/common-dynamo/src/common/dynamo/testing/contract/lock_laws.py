"""Laws of unique fields: one owner per value on every route, no lock without an owner, a changed value frees the old."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from common.dynamo.entity_type import EntityType, Unique
from common.dynamo.exceptions import DynamoError, UniqueViolation
from common.dynamo.layout import PARTITION, SORT, TYPE
from common.dynamo.locks import LOCK_TYPE
from common.dynamo.testing.contract.stage import Law, Stage, refuse, setting

__all__ = ["LAWS"]

_THREADS: Final = 4


def give_a_value_to_one_item(stage: Stage[Any]) -> None:
    """A second item with the value is refused whole, on every route and also by a change, and leaves no lock."""
    owner, unique = stage.owner()
    rival = stage.neighbour(owner, *unique.fields)
    for route in stage.routes():
        route("create", stage.dao, owner)
        with refuse(UniqueViolation, f"a create with a taken value ({route.name})", unique.field):
            route("create", stage.dao, rival)
        stage.expect(stage.dao.get(rival) is None, f"a refused create has left an item ({route.name})", unique.field)
        _expect_locks(stage, [owner], f"a refused create ({route.name})", unique)
        with refuse(UniqueViolation, f"a put with a taken value ({route.name})", unique.field):
            route("put", stage.dao, rival, **({"replace": True} if stage.spreads else {}))
        _expect_locks(stage, [owner], f"a refused put ({route.name})", unique)


def move_locks_with_values(stage: Stage[Any]) -> None:
    """A changed value takes the new lock and frees the old one, a delete frees all, on every route."""
    owner, unique = stage.owner()
    other = stage.neighbour(owner)
    value = getattr(other, unique.field)
    if unique.field in stage.entity.key.fields or not stage.accepts(owner, unique.field, value):
        return
    for route in stage.routes():
        route("create", stage.dao, owner)
        _expect_locks(stage, [owner], f"a create ({route.name})", unique)
        route("update", stage.dao, stage.stored(owner), setting(unique.field, value))
        moved = stage.stored(owner)
        _expect_locks(stage, [moved], f"an update of the value ({route.name})", unique)
        back = moved.model_copy(update={unique.field: getattr(owner, unique.field)})
        route("put", stage.dao, back, **stage.put_options(route, moved))
        restored = stage.stored(owner)
        _expect_locks(stage, [restored], f"a put with another value ({route.name})", unique)
        route("delete", stage.dao, restored)
        stage.expect(not stage.everything(), f"a delete has left a lock ({route.name})", unique.field)


def have_one_winner(stage: Stage[Any]) -> None:
    """Of threads that create items with one value at once, one wins, and its lock alone is there."""
    first, unique = stage.owner()
    rivals = [first, *(stage.neighbour(first, *unique.fields) for _ in range(_THREADS - 1))]
    apart = list({str(stage.key(one)): one for one in rivals}.values())
    with ThreadPoolExecutor(_THREADS) as pool:
        won = [
            model
            for model, is_stored in zip(apart, pool.map(lambda m: _create(stage, m), apart), strict=True)
            if is_stored
        ]
    stage.expect(len(won) == 1, f"{len(won)} of {len(apart)} threads have won one value", unique.field)
    _expect_locks(stage, won, "a race", unique)


def _create(stage: Stage[Any], model: Any) -> bool:
    try:
        stage.dao.create(model)
    except DynamoError:
        return False
    return True


def _expect_locks(stage: Stage[Any], owners: list[Any], after: str, unique: Unique) -> None:
    """Expect the locks of *owners*, each with its owner's key, and no other item but the owners."""
    items = stage.everything()
    locks = [item for item in items if item[TYPE] == {"S": LOCK_TYPE}]
    found = {(item[PARTITION]["S"], item[SORT]["S"]) for item in locks}
    wanted = {key for owner in owners for key in stage.lock_keys(owner)}
    stage.expect(found >= wanted, f"after {after}, a value has no lock", unique.field)
    stage.expect(found <= wanted, f"after {after}, there is a lock that nobody owns", unique.field)
    stage.expect(
        len(items) - len(locks) == len(owners), f"after {after}, an item is there or gone by mistake", unique.field
    )


def _not_unique(entity: EntityType[Any]) -> str:
    return "" if entity.unique else "the type has no unique field"


LAWS: Final = (
    Law("one owner", "D20", give_a_value_to_one_item, _not_unique),
    Law("moving locks", "D20", move_locks_with_values, _not_unique),
    Law("one winner", "D20", have_one_winner, _not_unique),
)
