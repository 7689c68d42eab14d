"""Keys as bytes that sort as DynamoDB sorts them: text by UTF-8, numbers by value, binary by byte."""

from collections.abc import Iterable, Mapping
from typing import Any

from common.dynamo.requests import KeySchema, ScalarType
from common.dynamo.wire.embedded import number
from common.dynamo.wire.embedded.refusal import SchemaMismatch, invalid
from common.dynamo.wire.embedded.values import Stored, canonical_value

MAX_PARTITION_BYTES = 2048
MAX_SORT_BYTES = 1024
PART_END = b"\0\0"
_MISMATCH = "The provided key element does not match the schema"
_EMPTY = (
    "One or more parameter values are not valid. "
    "The AttributeValue for a key attribute cannot contain an empty {kind} value. Key: {name}"
)

KeyBytes = tuple[bytes, bytes]
"""Partition and sort key; the sort key is empty in a table without one."""


def scalar_bytes(kind: str, content: Any) -> bytes:
    """Return the sortable bytes of the *content* of a scalar in canonical form."""
    if kind == "S":
        return str(content).encode()
    return number.sort_bytes(content) if kind == "N" else bytes(content)


def exact_key(schema: KeySchema, key: Mapping[str, Mapping[str, Any]]) -> tuple[KeyBytes, Stored]:
    """Return *key* as bytes and in canonical form.

    Raises:
        Refused: Not exactly the key attributes, of another type, empty or too long.
    """
    if len(key) != (1 if schema.sort is None else 2) or schema.partition not in key:
        raise SchemaMismatch(_MISMATCH)
    partition, value = _part(key[schema.partition], schema.partition, schema.partition_type)
    stored = {schema.partition: value}
    sort = b""
    if schema.sort is not None:
        if schema.sort not in key:
            raise SchemaMismatch(_MISMATCH)
        sort, stored[schema.sort] = _part(key[schema.sort], schema.sort, schema.sort_type)
    check_lengths(partition, sort)
    return (partition, sort), stored


def item_key(schema: KeySchema, item: Stored) -> KeyBytes:
    """Return the primary key of *item*, which is in canonical form.

    Raises:
        Refused: A key attribute is missing, of another type, empty or too long.
    """
    names = (schema.partition,) if schema.sort is None else (schema.partition, schema.sort)
    for name in names:
        if name not in item:
            raise SchemaMismatch(f"One or more parameter values were invalid: Missing the key {name} in the item")
    partition = _item_part(item[schema.partition], schema.partition, schema.partition_type)
    sort = b"" if schema.sort is None else _item_part(item[schema.sort], schema.sort, schema.sort_type)
    check_lengths(partition, sort)
    return partition, sort


def check_lengths(partition: bytes, sort: bytes) -> None:
    """Refuse keys over DynamoDB's limits: 2048 bytes for the partition key, 1024 for the sort key."""
    if len(partition) > MAX_PARTITION_BYTES:
        raise invalid(
            "One or more parameter values were invalid: "
            f"Size of hashkey has exceeded the maximum size limit of{MAX_PARTITION_BYTES} bytes"
        )
    if len(sort) > MAX_SORT_BYTES:
        raise invalid(
            "One or more parameter values were invalid: "
            f"Aggregated size of all range keys has exceeded the size limit of {MAX_SORT_BYTES} bytes"
        )


def _part(value: Mapping[str, Any], name: str, kind: ScalarType) -> tuple[bytes, dict[str, Any]]:
    stored, _ = canonical_value(value)
    if kind not in stored:
        raise SchemaMismatch(_MISMATCH)
    return _not_empty(stored, name, kind), stored


def _item_part(value: dict[str, Any], name: str, kind: ScalarType) -> bytes:
    if kind not in value:
        (actual,) = value
        raise SchemaMismatch(
            f"One or more parameter values were invalid: Type mismatch for key {name} expected: {kind} actual: {actual}"
        )
    return _not_empty(value, name, kind)


def _not_empty(value: dict[str, Any], name: str, kind: ScalarType) -> bytes:
    content = scalar_bytes(kind, value[kind])
    if not content:
        raise invalid(_EMPTY.format(kind="string" if kind == "S" else "binary", name=name))
    return content


def index_key(schema: KeySchema, item: Stored, index: str) -> KeyBytes | None:
    """Return the index key of *item*; ``None`` where an attribute of it is missing, so that the index has no entry.

    Raises:
        Refused: An attribute of the index key has another type, or is empty or too long.
    """
    if schema.is_composite:
        return _composite_key(schema, item, index)
    partition = _index_part(item.get(schema.partition), schema.partition, schema.partition_type, index)
    sort: bytes | None = b""
    if schema.sort is not None:
        sort = _index_part(item.get(schema.sort), schema.sort, schema.sort_type, index)
    if partition is None or sort is None:
        return None
    check_lengths(partition, sort)
    return partition, sort


def _composite_key(schema: KeySchema, item: Stored, index: str) -> KeyBytes | None:
    halves = []
    for attributes in (schema.partitions, schema.sorts):
        parts = [_index_part(item.get(name), name, kind, index) for name, kind in attributes]
        halves.append([part for part in parts if part is not None])
    if len(halves[0]) < len(schema.partitions) or len(halves[1]) < len(schema.sorts):
        return None
    check_lengths(b"".join(halves[0]), b"".join(halves[1]))
    return composite(halves[0]), composite(halves[1])


def _index_part(value: dict[str, Any] | None, name: str, kind: ScalarType, index: str) -> bytes | None:
    if value is None:
        return None
    if kind not in value:
        (actual,) = value
        raise SchemaMismatch(
            "One or more parameter values were invalid: "
            f"Type mismatch for Index Key {name} Expected: {kind} Actual: {actual} IndexName: {index}"
        )
    content = scalar_bytes(kind, value[kind])
    if not content:
        raise invalid(
            "One or more parameter values are not valid. A value specified for a secondary index key is not supported. "
            f"The AttributeValue for a key attribute cannot contain an empty {'string' if kind == 'S' else 'binary'} value. "
            f"IndexName: {index}, IndexKey: {name}"
        )
    return content


def composite(parts: Iterable[bytes]) -> bytes:
    """Return the bytes of several attributes in a row, which sort as the attributes do, one after the other.

    Two zero bytes end each, and a zero byte within is followed by a one: so what ends sorts below what goes on, whatever
    the type, and equal beginnings are equal bytes.
    """
    return b"".join(escaped(part) + PART_END for part in parts)


def escaped(part: bytes) -> bytes:
    """Return *part* without :data:`PART_END` in it, in the same order."""
    return part.replace(b"\0", b"\0\1")


def successor(prefix: bytes) -> bytes | None:
    """Return the least bytes above everything that begins with *prefix*; ``None`` where nothing is."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else None
