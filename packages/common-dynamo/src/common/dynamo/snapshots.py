"""Reading items of several entity types as of one moment: one TransactGetItems."""

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from common.dynamo.arguments import require_kind
from common.dynamo.entity_dao import DAO, Within
from common.dynamo.entity_type import KeyValues
from common.dynamo.execution import Executor, Pattern, tables_of
from common.dynamo.layout import PARTITION, SORT
from common.dynamo.requests import GetItem, Item, TransactGetItems
from common.dynamo.stored_state import visible
from common.exceptions import ConfigurationError, InvalidInput

__all__ = ["Target", "read_snapshot"]

Target: TypeAlias = tuple[DAO[Any], KeyValues]
"""Whose item, and its key."""

READ_LIMIT: Final = 100
"""Items of a transactional read, at most."""

_PATTERN: Final = Pattern("Database.read", "TransactGetItems")


def read_snapshot(executor: Executor, targets: Sequence[Target], *, deadline: Within) -> tuple[Any, ...]:
    """Return the models at *targets*, in their order, ``None`` where there is none or it has expired.

    Raises:
        InvalidInput: More than 100 items, or a key that cannot be stored as declared; nothing was sent.
        ConfigurationError: A target is no pair of a DAO and a key.
        InvalidItem: An item of another type stands at a key, or stored data does not fit the model.
        Unavailable: Other transactions were in the way until the deadline, or no answer came.
    """
    requests = [_request(executor, target) for target in targets]
    distinct = {_place(request): request for request in requests}
    if len(distinct) > READ_LIMIT:
        raise InvalidInput(f"A read of one moment has at most {READ_LIMIT} items; this one has {len(distinct)}.")
    if not distinct:
        return ()
    request = TransactGetItems(parts=tuple(distinct.values()))
    with executor.operation(_PATTERN, *tables_of(request), deadline=deadline) as operation:
        answers: Sequence[dict[str, Item]] = operation.execute(request).body.get("Responses", ())
        found = {place: (answer or {}).get("Item") for place, answer in zip(distinct, answers, strict=True)}
        return tuple(
            visible(dao.plan, found[_place(request)]) for (dao, _), request in zip(targets, requests, strict=True)
        )


def _request(executor: Executor, target: Target) -> GetItem:
    if not isinstance(target, tuple) or len(target) != 2:
        raise ConfigurationError("db.read takes pairs of a DAO and a key: db.read((invoices, key), (users, name)).")
    dao, key = target
    if require_kind("Each pair's first member", dao, DAO)._executor is not executor:
        raise ConfigurationError(f"A DAO of {dao.plan.entity.name} belongs to another database: read from its own.")
    return dao.plan.get(key, consistent=False)


def _place(request: GetItem) -> tuple[str, str, str]:
    return request.table, request.key[PARTITION]["S"], request.key[SORT]["S"]
