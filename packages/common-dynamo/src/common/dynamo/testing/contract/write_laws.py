"""Laws of writes: existence by verb, versions, conditions, arguments, lost answers, transactions, batches."""

from collections.abc import Callable
from copy import deepcopy
from decimal import Decimal
from typing import Any, Final

from common.dynamo import requests as rq
from common.dynamo.entity_type import EntityType
from common.dynamo.exceptions import (
    AlreadyExists,
    ConditionFailed,
    NotFound,
    OutcomeUnknown,
    TransactionCanceled,
    VersionConflict,
)
from common.dynamo.layout import PARTITION_PATH
from common.dynamo.locks import involved_fields
from common.dynamo.testing.contract.stage import Law, Stage, attempt, refuse
from common.dynamo.testing.routes import Route
from common.dynamo.wire.faults import Fault

__all__ = ["LAWS", "no_change"]

_NEVER: Final = rq.NotExists(PARTITION_PATH)
"""A condition that no stored item meets."""


# Existence ------------------------------------------------------------------------------------------------------------


def let_verbs_say_existence(stage: Stage[Any]) -> None:
    """create must be new, update must exist and makes no half item, delete accepts absence unless it must not."""
    model = stage.model()
    other = stage.variant(model)
    field, change = stage.any_change(model)
    for route in stage.routes():
        seen = _as_read(stage, model)
        with refuse(NotFound, f"an update of an absent item ({route.name})", field):
            route("update", stage.dao, seen, change)
        with refuse(NotFound, f"a delete that must exist, of an absent item ({route.name})"):
            route("delete", stage.dao, seen, must_exist=True)
        route("delete", stage.dao, seen)
        stage.expect(not stage.everything(), f"a write of an absent item has made one ({route.name})", field)
        route("create", stage.dao, model)
        stored = stage.stored(model)
        with refuse(AlreadyExists, f"a create of a present item ({route.name})") as caught:
            route("create", stage.dao, other)
        stage.expect(_told(caught[0]) == stored, f"the error does not have what is stored ({route.name})")
        stage.expect(stage.stored(model) == stored, f"a refused create has changed the item ({route.name})")
        route("delete", stage.dao, stored)
        stage.expect(not stage.everything(), f"a delete has left something ({route.name})")
    _put_and_upsert(stage, model)


def _put_and_upsert(stage: Stage[Any], model: Any) -> None:
    stage.reset()
    stage.dao.put(model, **({"replace": True} if stage.spreads else {}))
    stage.expect_stored(model, 1, "a put of a new item")
    stage.reset()
    _, change = stage.any_change(model)
    stage.dao.upsert(model, change, default=model, unlocked=stage.entity.version is not None)
    stage.expect_stored(model, 1, "an upsert of a new item")


def _as_read(stage: Stage[Any], model: Any) -> Any:
    """Return *model* as if it had been read: at version 1."""
    return model.model_copy(update={stage.entity.version: 1}) if stage.entity.version is not None else model


def _told(error: Any) -> Any:
    first: Any = error.failures[0].error if isinstance(error, TransactionCanceled) else error
    return first.stored


def tell_failed_conditions(stage: Stage[Any]) -> None:
    """A condition that does not hold is an error with the stored item, and nothing changes."""
    model = stage.model()
    field, change = stage.any_change(model)
    for route in stage.routes():
        route("create", stage.dao, model)
        stored = stage.stored(model)
        for verb, arguments in (("update", (stored, change)), ("delete", (stored,))):
            with refuse(ConditionFailed, f"the {verb} under a false condition ({route.name})", field) as caught:
                route(verb, stage.dao, *arguments, where=_NEVER)
            stage.expect(_told(caught[0]) == stored, f"the error of {verb} does not have what is stored", field)
        stage.expect(stage.stored(model) == stored, f"a refused write has changed the item ({route.name})", field)


# Versions -------------------------------------------------------------------------------------------------------------


def let_stale_writers_lose(stage: Stage[Any]) -> None:
    """create stores 1, every change adds 1, and a writer that saw an earlier version changes nothing on any route."""
    model = stage.model()
    other = stage.variant(model)
    field, change = stage.any_change(model)
    for route in stage.routes():
        route("create", stage.dao, model)
        first = stage.expect_stored(model, 1, f"a create ({route.name})")
        route("update", stage.dao, first, change)
        second = stage.stored(model)
        _expect_version(stage, second, 2, f"an update ({route.name})")
        stale = other.model_copy(update={stage.entity.version: 1})
        for verb, arguments, options in (
            ("put", (stale,), stage.put_options(route, second)),
            ("update", (first, change), {}),
            ("delete", (first,), {}),
        ):
            with refuse(VersionConflict, f"the {verb} of a stale writer ({route.name})", field):
                route(verb, stage.dao, *arguments, **options)
            stage.expect(stage.stored(model) == second, f"the {verb} of a stale writer has changed the item", field)
        _let_the_unlocked_count(stage, route, second)


def _let_the_unlocked_count(stage: Stage[Any], route: Route, second: Any) -> None:
    _, change = stage.any_change(second)
    route("update", stage.dao, second, change, unlocked=True)
    third = stage.stored(second)
    _expect_version(stage, third, 3, f"an unlocked update ({route.name})")
    if not stage.spreads:
        route("put", stage.dao, second, unlocked=True, **stage.put_options(route, third))
        _expect_version(stage, stage.stored(second), 4, f"an unlocked put ({route.name})")


def _expect_version(stage: Stage[Any], stored: Any, wanted: int, after: str) -> None:
    name = str(stage.entity.version)
    stage.expect(getattr(stored, name) == wanted, f"after {after}, it is {getattr(stored, name)}, not {wanted}", name)


# Arguments ------------------------------------------------------------------------------------------------------------


def leave_arguments_alone(stage: Stage[Any]) -> None:
    """No write changes the model that it is given, so a save that failed fails again."""
    model = stage.model()
    other = stage.variant(model)
    for route in stage.routes():
        _untouched(stage, model, f"a create ({route.name})", lambda given: route("create", stage.dao, given))  # noqa: B023
        for _ in range(2):
            with refuse(AlreadyExists, f"a create of a present item ({route.name})"):
                _untouched(stage, other, "a create", lambda given: route("create", stage.dao, given))  # noqa: B023
        stored = stage.stored(model)
        options = stage.put_options(route, stored)
        new_state = other.model_copy(update={name: getattr(stored, name) for name in stage.layer_fields})
        put: Callable[[Any], None] = lambda given: route("put", stage.dao, given, **options)  # noqa: B023
        _untouched(stage, new_state, f"a put ({route.name})", put)
        for _ in range(2 if stage.entity.version is not None else 0):
            with refuse(VersionConflict, f"a save of a stale state ({route.name})", str(stage.entity.version)):
                _untouched(stage, new_state, f"a failed put ({route.name})", put)


def _untouched(stage: Stage[Any], model: Any, what: str, write: Callable[[Any], None]) -> None:
    """Write *model* and expect that it stays as it was, whether or not the write is refused."""
    before = deepcopy(vars(model))
    try:
        write(model)
    finally:
        for name, value in before.items():
            stage.expect(getattr(model, name) == value, f"{what} has changed its argument", name)


# Lost answers ---------------------------------------------------------------------------------------------------------


def survive_lost_answers(stage: Stage[Any]) -> None:
    """A write whose first answer is lost after the commit succeeds once; it is no conflict and no double."""
    model = stage.model()
    _, change = stage.any_change(model)
    stage.faults.script(Fault.DROP_AFTER)
    stage.dao.create(model)
    first = stage.expect_stored(model, 1, "a create whose answer was lost")
    stage.faults.script(Fault.DROP_AFTER)
    stage.dao.update(first, change)
    second = stage.stored(model)
    if stage.entity.version is not None:
        _expect_version(stage, second, 2, "an update whose answer was lost")
        _leave_a_rival_unknown(stage, second)
    stage.reset()
    stage.dao.create(model)
    stage.faults.script(Fault.DROP_AFTER)
    stage.dao.delete(stage.stored(model))
    stage.expect(not stage.everything(), "a delete whose answer was lost has left something")


def _leave_a_rival_unknown(stage: Stage[Any], seen: Any) -> None:
    """Lose an answer and have a rival write before the retry: that is told as unknown, unless a lock still proves it."""
    field, change = stage.any_change(seen, but=involved_fields(stage.mapped))

    def interfere() -> None:
        stage.between_attempts = lambda: None
        stage.dao.update(stage.stored(seen), stage.any_change(stage.stored(seen))[1])

    stage.between_attempts = interfere
    stage.faults.script(Fault.DROP_AFTER)
    error = attempt(lambda: stage.dao.update(seen, change))
    proven = field in involved_fields(stage.mapped) and error is None
    told = (
        f"an update whose answer was lost, with a rival after it, ended as {type(error).__name__}, not OutcomeUnknown"
    )
    stage.expect(proven or isinstance(error, OutcomeUnknown), told, field)
    _expect_version(stage, stage.stored(seen), getattr(seen, str(stage.entity.version)) + 2, "both writes")


def add_once(stage: Stage[Any]) -> None:
    """An addition is not idempotent: after a lost answer it is told as unknown, and never sent again."""
    model = stage.model()
    for name in _numbers(stage.entity):
        stage.reset()
        kind = stage.mapped.value_codec(name).kind
        start = stage.compose(model, **{name: kind(1)})
        if not stage.accepts(start, name, kind(2)) or not stage.accepts(start, name, kind(3)):
            continue
        stage.dao.create(start)
        stage.faults.script(Fault.DROP_AFTER)
        with refuse(OutcomeUnknown, "an addition whose answer was lost", name):
            stage.dao.update(start, lambda change, it: change.add(getattr(it, name), kind(1)))  # noqa: B023
        found = getattr(stage.stored(start), name)
        stage.expect(found == 2, f"1 and one addition of 1 are {found}", name)


def _numbers(entity: EntityType[Any]) -> list[str]:
    """Return the fields that can be added to without knowing the rest of the item."""
    indexed = {name for index in entity.indexes for name in index.key.fields}
    taken = {*entity.key.fields, *indexed, entity.ttl, *(name for unique in entity.unique for name in unique.fields)}
    plans = entity.mapped.codec.plans
    return [name for name, plan in plans.items() if plan.codec.kind in (int, Decimal) and name not in taken]


# Many at once ---------------------------------------------------------------------------------------------------------


def keep_order_in_transactions(stage: Stage[Any]) -> None:
    """All operations are applied or none, and a failure is told of the operation that it belongs to."""
    new, present = stage.model(), None
    present = stage.neighbour(new)
    stage.dao.create(present)
    stored = stage.stored(present)
    for operations in ((new, present), (present, new)):
        with (
            refuse(AlreadyExists, "a transaction with a create of a present item") as caught,
            stage.db.transaction() as tx,
        ):
            for model in operations:
                tx.create(stage.dao, model)
        found = [failure.position for failure in caught[0].failures]
        wanted = operations.index(present)
        stage.expect(wanted in found, f"operation {wanted} failed, and the failures are told of {found}")
        stage.expect(stage.dao.get(new) is None, "a part of a refused transaction was applied")
    stage.expect(stage.stored(present) == stored, "a refused transaction has changed the present item")
    error = attempt(lambda: _abandon(stage, new))
    stage.expect(error is None and stage.dao.get(new) is None, "a block that raised was applied")


def _abandon(stage: Stage[Any], new: Any) -> None:
    """Add an operation to a block and leave it by an exception."""
    try:
        with stage.db.transaction() as tx:
            tx.create(stage.dao, new)
            raise _Abandoned
    except _Abandoned:
        return


class _Abandoned(Exception):
    """The caller's own exception in a block."""


def keep_order_in_batches(stage: Stage[Any]) -> None:
    """A batch of reads answers in the order of its keys, equal ones twice, missing ones as None."""
    one = stage.model()
    missing = stage.neighbour(one)
    stage.dao.create(one)
    stored = stage.stored(one)
    found = stage.dao.batch_get([missing, one, missing, one])
    stage.expect(found == [None, stored, None, stored], "batch_get does not answer in the order of its keys")


def _no_version(entity: EntityType[Any]) -> str:
    return "" if entity.version is not None else "the type has no version"


def no_change(entity: EntityType[Any]) -> str:
    """Return why no update of *entity* can be tried; empty where one can."""
    fixed = {*entity.key.fields, entity.version, entity.ttl}
    return "" if entity.mapped.codec.plans.keys() - fixed else "every field is in the key, so nothing can be updated"


def _no_loose_number(entity: EntityType[Any]) -> str:
    if entity.version is not None:
        return "its version protects every addition"
    return "" if _numbers(entity) else "the type has no number outside of its keys"


LAWS: Final = (
    Law("existence", "D14", let_verbs_say_existence, no_change),
    Law("failed conditions", "D17", tell_failed_conditions, no_change),
    Law("versions", "D18", let_stale_writers_lose, lambda entity: _no_version(entity) or no_change(entity)),
    Law("arguments", "D15", leave_arguments_alone),
    Law("lost answers", "D19", survive_lost_answers, no_change),
    Law("additions", "D19", add_once, _no_loose_number),
    Law("transactions", "D23, D24", keep_order_in_transactions),
    Law("batches", "D21", keep_order_in_batches),
)
