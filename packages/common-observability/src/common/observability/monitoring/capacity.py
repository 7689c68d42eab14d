"""The capacity units that the spans of the data layer tell of, reads and writes apart."""

import json
from dataclasses import dataclass

from common.observability.monitoring.spans import SpanRecord

__all__ = ["Capacity", "consumed_capacity"]

_WRITES = ("PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "BatchWriteItem", "BATCH")


@dataclass(frozen=True, slots=True)
class Capacity:
    """Capacity units of both kinds."""

    read: float = 0.0
    write: float = 0.0

    def __add__(self, other: "Capacity") -> "Capacity":
        return Capacity(self.read + other.read, self.write + other.write)


def consumed_capacity(span: SpanRecord) -> Capacity:
    """Return what the calls of *span* consumed by ``aws.dynamodb.consumed_capacity``.

    The units are of the kind of the operation, except where the attribute fills the read or the write field: then the
    rest is of the other kind. What cannot be read counts as nothing.
    """
    writes = span.text("db.operation.name").startswith(_WRITES)
    total = Capacity()
    for text in span.texts("aws.dynamodb.consumed_capacity"):
        try:
            total += _told(json.loads(text), writes=writes)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return total


def _told(consumed: dict[str, float], *, writes: bool) -> Capacity:
    total = float(consumed["CapacityUnits"])
    read, write = (float(consumed.get(f"{kind}CapacityUnits") or 0.0) for kind in ("Read", "Write"))
    if not read and not write:
        return Capacity(write=total) if writes else Capacity(read=total)
    rest = max(0.0, total - read - write)
    return Capacity(read or rest, write or rest)
