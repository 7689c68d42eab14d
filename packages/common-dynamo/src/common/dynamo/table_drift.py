"""How tables differ from their definitions. Pure: it compares what the engine says and never changes anything."""

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

from common.dynamo.requests import IndexDefinition, KeySchema, TableDefinition
from common.dynamo.value_classes import dataclass

__all__ = ["Drift", "DriftKind", "drifts_of"]

_OFF: Final = "off"
STREAM_VIEW: Final = "NEW_AND_OLD_IMAGES"
"""What the streams of our tables hold."""


class DriftKind(StrEnum):
    """In what a table differs."""

    TABLE_MISSING = "table missing"
    INDEX_MISSING = "index missing"
    INDEX_EXTRA = "index extra"
    KEY = "key"
    PROJECTION = "projection"
    TTL = "ttl"
    STREAM = "stream"
    BILLING = "billing"

    @property
    def is_fault(self) -> bool:
        """Whether the data layer cannot work on a table that differs so."""
        return self not in (DriftKind.INDEX_EXTRA, DriftKind.TTL, DriftKind.STREAM, DriftKind.BILLING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One difference between a table and its definition."""

    table: str
    kind: DriftKind
    index: str | None = None
    """The index that differs; ``None`` for the table itself."""
    wanted: str
    """As the definition says, in words."""
    found: str
    """As the engine says, in words."""

    @property
    def place(self) -> str:
        """The table, or the index of the table."""
        return self.table if self.index is None else f"{self.table}/{self.index}"

    def __str__(self) -> str:
        if self.kind is DriftKind.INDEX_MISSING:
            return f"index {self.index} is missing"
        subject = "its" if self.index is None else f"index {self.index}:"
        return f"{subject} {self.kind} is {self.found}, not {self.wanted}"


def drifts_of(
    definition: TableDefinition, described: Mapping[str, Any] | None, expiry: Mapping[str, Any] | None = None
) -> tuple[Drift, ...]:
    """Return every difference between a table and *definition*.

    What a definition does not speak of is not compared: tags, encryption, backups, deletion protection, table class.

    Args:
        definition: How the table should be.
        described: ``Table`` of the answer to DescribeTable; ``None`` where there is no such table.
        expiry: ``TimeToLiveDescription`` of the answer to DescribeTimeToLive; ``None`` where nobody has asked: then
            expiry is not compared.
    """
    if described is None:
        return (Drift(table=definition.name, kind=DriftKind.TABLE_MISSING, wanted="a table", found="none"),)
    found = (
        *_key_drift(definition.name, None, definition.key, described, _types(described)),
        *_index_drifts(definition, described),
        *(() if expiry is None else _ttl_drift(definition, expiry)),
        *_stream_drift(definition, described),
        *_billing_drift(definition, described),
    )
    return tuple(found)


def _types(described: Mapping[str, Any]) -> Mapping[str, str]:
    return {each["AttributeName"]: each["AttributeType"] for each in described.get("AttributeDefinitions") or ()}


def _key_drift(
    table: str, index: str | None, key: KeySchema, described: Mapping[str, Any], types: Mapping[str, str]
) -> Iterator[Drift]:
    found = " / ".join(filter(None, (_attributes(described, role, types) for role in ("HASH", "RANGE"))))
    halves = filter(None, (key.partitions, key.sorts))
    wanted = " / ".join(", ".join(f"{name} ({kind})" for name, kind in half) for half in halves)
    if found != wanted:
        yield Drift(table=table, index=index, kind=DriftKind.KEY, wanted=wanted, found=found or "none")


def _attributes(described: Mapping[str, Any], role: str, types: Mapping[str, str]) -> str:
    """Return the attributes of one half of a key with their types; an index may have several in each."""
    names = [each["AttributeName"] for each in described.get("KeySchema") or () if each["KeyType"] == role]
    return ", ".join(f"{name} ({types.get(name, '?')})" for name in names)


def _index_drifts(definition: TableDefinition, described: Mapping[str, Any]) -> Iterator[Drift]:
    types = _types(described)
    found = {each["IndexName"]: each for each in described.get("GlobalSecondaryIndexes") or ()}
    for index in definition.indexes:
        there = found.pop(index.name, None)
        if there is None or there.get("IndexStatus") == "DELETING":
            missing = "none" if there is None else "being deleted"
            yield _index_drift(definition, index.name, DriftKind.INDEX_MISSING, "an index", missing)
            continue
        yield from _key_drift(definition.name, index.name, index.key, there, types)
        yield from _projection_drift(definition, index, there)
    for name in (*sorted(found), *_local_indexes(described)):
        yield _index_drift(definition, name, DriftKind.INDEX_EXTRA, "none", "an index that no entity type uses")


def _index_drift(definition: TableDefinition, index: str, kind: DriftKind, wanted: str, found: str) -> Drift:
    return Drift(table=definition.name, index=index, kind=kind, wanted=wanted, found=found)


def _local_indexes(described: Mapping[str, Any]) -> list[str]:
    return sorted(each["IndexName"] for each in described.get("LocalSecondaryIndexes") or ())


def _projection_drift(
    definition: TableDefinition, index: IndexDefinition, described: Mapping[str, Any]
) -> Iterator[Drift]:
    projection = described.get("Projection") or {}
    found = _projection(str(projection.get("ProjectionType", "none")), projection.get("NonKeyAttributes") or ())
    wanted = _projection(index.projection, index.include)
    if found != wanted:
        yield _index_drift(definition, index.name, DriftKind.PROJECTION, wanted, found)


def _projection(kind: str, include: Iterable[str]) -> str:
    return f"{kind} {', '.join(sorted(include))}" if kind == "INCLUDE" else kind


def _ttl_drift(definition: TableDefinition, expiry: Mapping[str, Any]) -> Iterator[Drift]:
    is_on = expiry.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
    found = f"on {expiry.get('AttributeName')}" if is_on else _OFF
    wanted = _OFF if definition.ttl_attribute is None else f"on {definition.ttl_attribute}"
    if found != wanted:
        yield Drift(table=definition.name, kind=DriftKind.TTL, wanted=wanted, found=found)


def _stream_drift(definition: TableDefinition, described: Mapping[str, Any]) -> Iterator[Drift]:
    stream = described.get("StreamSpecification") or {}
    found = str(stream.get("StreamViewType", "on")) if stream.get("StreamEnabled") else _OFF
    wanted = STREAM_VIEW if definition.stream else _OFF
    if found != wanted:
        yield Drift(table=definition.name, kind=DriftKind.STREAM, wanted=wanted, found=found)


def _billing_drift(definition: TableDefinition, described: Mapping[str, Any]) -> Iterator[Drift]:
    # DynamoDB leaves the summary out for a table that has always been provisioned.
    found = str((described.get("BillingModeSummary") or {}).get("BillingMode", "PROVISIONED"))
    if found != "PAY_PER_REQUEST":
        yield Drift(table=definition.name, kind=DriftKind.BILLING, wanted="PAY_PER_REQUEST", found=found)
