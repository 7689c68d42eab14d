"""Consumed capacity by the documented rules, always with its indexes.

Amazon DynamoDB Developer Guide, "DynamoDB read and write operations" and "Global secondary indexes": a write unit is
1 KB of the larger of the item before and after, a read unit 4 KB read consistently or 8 KB eventually, a transaction
costs twice on the table, and an index is charged for each of its entries that is put, changed or taken away.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

WRITE_UNIT = 1024
READ_UNIT = 4096


def write_units(size: int) -> int:
    """Return the units of writing *size* bytes, at least 1."""
    return max(1, -(-size // WRITE_UNIT))


def read_units(size: int, *, consistent: bool) -> float:
    """Return the units of reading *size* bytes, at least that of one read."""
    return max(1, -(-size // READ_UNIT)) * (1.0 if consistent else 0.5)


@dataclass(slots=True)
class Consumed:
    """The units of one request on one table."""

    table: str
    base: float = 0.0
    indexes: dict[str, float] = field(default_factory=dict)

    def add_index(self, name: str, units: float) -> None:
        """Charge *units* to the index *name*."""
        self.indexes[name] = self.indexes.get(name, 0.0) + units

    def body(self, kind: str | None = None) -> Mapping[str, Any]:
        """Return the ``ConsumedCapacity`` of the API; *kind*, in transactions, is ``Read`` or ``Write``."""
        body: dict[str, Any] = {
            "TableName": self.table,
            **_units(self.base + sum(self.indexes.values()), kind),
            "Table": _units(self.base, kind),
        }
        if self.indexes:
            body["GlobalSecondaryIndexes"] = {name: _units(units, kind) for name, units in self.indexes.items()}
        return body


def _units(units: float, kind: str | None) -> dict[str, float]:
    units = float(units)
    if kind is None:
        return {"CapacityUnits": units}
    return {"CapacityUnits": units, f"{kind}CapacityUnits": units}
