"""Tables made of entity types: their definition, bringing them into being, and finding out how they differ."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from common.dynamo.entity_type import EntityType
from common.dynamo.exceptions import RequestRefused, Unavailable
from common.dynamo.execution import Deadline, Executor, Pattern
from common.dynamo.layout import EXPIRY, PARTITION, SORT, index_attributes
from common.dynamo.requests import (
    AttributeValue,
    CreateTable,
    DescribeTable,
    DescribeTimeToLive,
    IndexDefinition,
    KeyCondition,
    KeySchema,
    Query,
    Request,
    ScalarType,
    TableDefinition,
    UpdateTimeToLive,
)
from common.dynamo.table_drift import Drift, drifts_of
from common.exceptions import ConfigurationError

__all__ = ["create_tables", "find_drift", "table_definitions", "table_faults"]

_SAMPLES: Final[Mapping[ScalarType, AttributeValue]] = {"S": {"S": "-"}, "N": {"N": "0"}, "B": {"B": b"-"}}
_POLL: Final = 1.0
"""Seconds between two looks at a table that is being made."""


def table_definitions(
    entity_types: Iterable[EntityType[Any]], tables: Mapping[str, str], default: str
) -> tuple[TableDefinition, ...]:
    """Return the tables that *entity_types* need: text keys, an index per slot in use, TTL on ``_x``, on-demand capacity.

    Args:
        entity_types: All types of the service.
        tables: Group to table name.
        default: The table of every other group; defined even if no type is in it.
    """
    slots: dict[str, dict[str, IndexDefinition]] = {default: {}}
    for entity in entity_types:
        indexes = slots.setdefault(tables.get(entity.group, default), {})
        for index in entity.indexes:
            native = entity.mapped.native.get(index.name)
            schema = KeySchema(*index_attributes(index.name)) if native is None else native.schema
            indexes[index.name] = IndexDefinition(index.name, schema, index.projection)
    return tuple(
        TableDefinition(
            name=name,
            key=KeySchema(PARTITION, SORT),
            indexes=tuple(indexes[slot] for slot in sorted(indexes)),
            ttl_attribute=EXPIRY,
        )
        for name, indexes in sorted(slots.items())
    )


def create_tables(
    executor: Executor,
    definitions: Sequence[TableDefinition],
    *,
    deadline: Deadline,
    stream: bool = False,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Create what is missing of *definitions* and wait until all of it can be used. A table that exists is left alone.

    Raises:
        ConfigurationError: A table exists and differs from its definition, or the engine has no index keys of several
            attributes.
        Unavailable: A table was not ready at the deadline.
        RequestRefused: The engine refused, such as for lack of permission.
    """
    for definition in definitions:
        wanted = replace(definition, stream=stream, tags=dict(tags or {}))
        _create_if_missing(executor, wanted, deadline)
        faults = table_faults(_active(executor, definition.name, deadline), definition)
        if faults:
            raise ConfigurationError(
                f"Table {definition.name!r} exists and differs: {'; '.join(faults)}. Nothing was changed; bring the table "
                "into line, or take another name. `common dynamo tables diff` tells all differences."
            )
        _refuse_first_attributes_alone(executor, definition, deadline)
        _switch_ttl_on(executor, definition, deadline)


def _because_of_composites(refused: RequestRefused, definition: TableDefinition) -> Exception:
    """Return the error of a refused CreateTable: what it says, or that the engine has no keys of several attributes."""
    composites = [index for index in definition.indexes if index.key.is_composite]
    if not composites or refused.engine_code != "ValidationException":
        return refused
    return ConfigurationError(
        f"{_no_composites(definition.name, composites[0], 'refuses such a table')} Nothing was made."
    )


def _refuse_first_attributes_alone(executor: Executor, definition: TableDefinition, deadline: Deadline) -> None:
    """Refuse an engine that makes an index of several attributes and then uses the first ones of its key alone.

    Such an engine describes the index as it was asked for, and tells itself only by a query that names all attributes.
    """
    for index in definition.indexes:
        if not index.key.is_composite:
            continue
        try:
            _call(executor, composite_probe(definition.name, index), deadline)
        except RequestRefused as refused:
            if refused.engine_code == "ValidationException":
                told = _no_composites(definition.name, index, "uses the first ones alone")
                raise ConfigurationError(f"{told} The table has been made; delete it.") from None


def composite_probe(table: str, index: IndexDefinition) -> Query:
    """Return a query that only an engine with keys of several attributes understands; it finds nothing, or an item."""
    first, *others = [(name, _SAMPLES[kind]) for name, kind in (*index.key.partitions, *index.key.sorts)]
    return Query(table=table, index=index.name, key=KeyCondition(*first, others=tuple(others)), limit=1)


def _no_composites(table: str, index: IndexDefinition, what: str) -> str:
    names = ", ".join(name for name, _ in (*index.key.partitions, *index.key.sorts))
    return (
        f"Index {index.name} of table {table!r} has a key of several attributes ({names}), and this engine {what}. "
        "DynamoDB itself and the embedded engine have such keys; elsewhere, key the index by templates: Index(..., Key(...))."
    )


def _create_if_missing(executor: Executor, definition: TableDefinition, deadline: Deadline) -> None:
    try:
        _call(executor, CreateTable(definition=definition), deadline)
    except RequestRefused as refused:
        if refused.engine_code != "ResourceInUseException":
            raise _because_of_composites(refused, definition) from refused.__cause__


def _call(executor: Executor, request: Request, deadline: Deadline) -> Mapping[str, Any]:
    pattern = Pattern("Database.create_tables", request.operation)
    return executor.execute(request, pattern, deadline=deadline).body


def _active(executor: Executor, name: str, deadline: Deadline) -> Mapping[str, Any]:
    while True:
        table: Mapping[str, Any] = _call(executor, DescribeTable(table=name), deadline).get("Table", {})
        parts = [table, *table.get("GlobalSecondaryIndexes", ())]
        states = {part.get("TableStatus") or part.get("IndexStatus") or "ACTIVE" for part in parts}
        if states == {"ACTIVE"}:
            return table
        if deadline.remaining() <= _POLL:
            raise Unavailable(f"Table {name!r} was still {'/'.join(sorted(states))} at the deadline. Call it again.")
        executor.sleep(_POLL)


def _switch_ttl_on(executor: Executor, definition: TableDefinition, deadline: Deadline) -> None:
    if definition.ttl_attribute is None:
        return
    body = _call(executor, DescribeTimeToLive(table=definition.name), deadline)
    if body.get("TimeToLiveDescription", {}).get("TimeToLiveStatus") in ("ENABLED", "ENABLING"):
        return
    _call(executor, UpdateTimeToLive(table=definition.name, attribute=definition.ttl_attribute), deadline)


def find_drift(
    executor: Executor, definitions: Sequence[TableDefinition], *, deadline: Deadline, stream: bool = False
) -> tuple[Drift, ...]:
    """Return every difference between the tables and *definitions*; it reads alone and never changes anything.

    Raises:
        Unavailable: The engine did not answer in time.
        RequestRefused: The engine refused, such as for lack of permission.
    """
    return tuple(
        drift for definition in definitions for drift in _drift(executor, replace(definition, stream=stream), deadline)
    )


def _drift(executor: Executor, definition: TableDefinition, deadline: Deadline) -> tuple[Drift, ...]:
    try:
        described = _ask(executor, DescribeTable(table=definition.name), deadline)["Table"]
        expiry = _ask(executor, DescribeTimeToLive(table=definition.name), deadline)["TimeToLiveDescription"]
    except RequestRefused as refused:
        if refused.engine_code != "ResourceNotFoundException":
            raise
        return drifts_of(definition, None)
    return drifts_of(definition, described, expiry)


def _ask(executor: Executor, request: Request, deadline: Deadline) -> Mapping[str, Any]:
    return executor.execute(request, Pattern("Database.diff_tables", request.operation), deadline=deadline).body


def table_faults(described: Mapping[str, Any], definition: TableDefinition) -> list[str]:
    """Return in what a table, as DescribeTable gives it, falls short of *definition*; empty when it can be used."""
    return [str(drift) for drift in drifts_of(definition, described) if drift.kind.is_fault]
