"""What the writes of an entity type may ask of the item that is stored: that it is there, unexpired, as it was seen. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from common.dynamo import requests as rq
from common.dynamo.entity_type import EntityType
from common.dynamo.layout import EXPIRY_PATH, PARTITION_PATH, SCHEMA, SCHEMA_PATH
from common.dynamo.mapping import Mapped
from common.dynamo.value_codec import NULL

__all__ = ["are_unchanged", "has_version", "is_absent", "is_alive", "own_form", "version_path"]


def is_absent(entity: EntityType[Any], now: float) -> rq.Condition:
    """Return the condition that there is no item, or one whose time was over at *now*, epoch seconds."""
    absent = rq.NotExists(PARTITION_PATH)
    return absent if entity.ttl is None else rq.Or((absent, rq.Compare("<=", EXPIRY_PATH, _seconds(now))))


def is_alive(entity: EntityType[Any], now: float) -> rq.Condition:
    """Return the condition that there is an item, whose time was not over at *now*, epoch seconds."""
    exists = rq.Exists(PARTITION_PATH)
    if entity.ttl is None:
        return exists
    unexpired = rq.Or((rq.NotExists(EXPIRY_PATH), rq.Compare(">", EXPIRY_PATH, _seconds(now))))
    return rq.And((exists, unexpired))


def own_form(mapped: Mapped[Any]) -> rq.Condition | None:
    """Return the condition that the item is in the form that paths refer to; ``None`` where none can be older."""
    if mapped.entity.schema == 1:
        return None
    return rq.Compare(">=", SCHEMA_PATH, rq.Constant(mapped.stamps[SCHEMA]))


def has_version(mapped: Mapped[Any], version: int | None) -> rq.Condition | None:
    """Return the condition that the item has *version*; ``None`` without one."""
    return None if version is None else rq.Compare("=", version_path(mapped), rq.Constant({"N": str(version)}))


def version_path(mapped: Mapped[Any]) -> rq.Path:
    """Return where the version is stored."""
    assert mapped.versions.version is not None  # noqa: S101 - only asked for with a version
    return rq.Path((mapped.versions.version,))


def are_unchanged(mapped: Mapped[Any], fields: Iterable[str], row: Mapping[str, Any]) -> list[rq.Condition | None]:
    """Return the conditions that *fields* are stored as in *row*; the version has a condition of its own."""
    conditions: list[rq.Condition | None] = []
    for name in sorted(set(fields) - {mapped.entity.version} - set(mapped.key.fields)):
        path = mapped.path(name)
        stored = mapped.encode_field(name, row[name])
        if stored is NULL and not mapped.codec.plans[name].keeps_null:
            conditions.append(rq.NotExists(path))
        else:
            conditions.append(rq.Compare("=", path, rq.Constant(stored)))
    return conditions


def _seconds(now: float) -> rq.Constant:
    return rq.Constant({"N": str(int(now))})
