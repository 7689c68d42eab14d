"""The item that everybody stores: an order of twelve attributes, under two key attributes.

Nothing is imported here that a cold start of a peer would not import anyway.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

__all__ = [
    "CHANGED_IN_TRANSACTION",
    "CHECKED",
    "CONDITIONAL",
    "IN_TRANSACTION",
    "NUMBERS",
    "PUT",
    "READ",
    "UPDATED",
    "WRITTEN",
    "order_fields",
    "partition",
    "raw_item",
    "raw_key",
    "raw_value",
    "sort",
]

NUMBERS: Final = range(100_001, 100_101)
"""Orders in the partition that is queried: a hundred. Six digits each, since not every mapper can pad a number in a key."""
READ: Final = 100_007
"""The order that is got."""
PUT: Final = 100_001
UPDATED: Final = 100_002
CONDITIONAL: Final = 100_003
"""The orders that are written, in a partition of their own."""
IN_TRANSACTION: Final = (100_004, 100_005)
"""The orders that the transaction puts."""
CHANGED_IN_TRANSACTION: Final = 100_006
CHECKED: Final = 100_007
"""The order that it changes, and the one that it only checks."""
WRITTEN: Final = range(100_001, 100_008)


def partition(customer: str) -> str:
    """Return the partition key of the orders of *customer*."""
    return f"CUSTOMER#{customer}"


def sort(number: int) -> str:
    """Return the sort key of an order."""
    return f"ORDER#{number}"


def order_fields(customer: str, number: int) -> dict[str, Any]:
    """Return the twelve attributes of an order."""
    return {
        "customer": customer,
        "number": number,
        "status": "open",
        "symbol": "BTC-EUR",
        "note": "a note of some length",
        "fills": 3,
        "price": Decimal("64250.12345678"),
        "total": Decimal("12.51"),
        "paid": True,
        "placed_at": datetime(2026, 11, 24, 8, 15, 30, 250_000, tzinfo=UTC),
        "tags": ["retail", "web"],
        "address": {"street": "Marktplatz 1", "city": "Bonn"},
    }


def raw_value(value: Any) -> dict[str, Any]:
    """Return *value* in the form of the DynamoDB API."""
    match value:
        case bool():
            return {"BOOL": value}
        case int() | Decimal():
            return {"N": str(value)}
        case datetime():
            return {"S": value.isoformat()}
        case list():
            return {"L": [raw_value(each) for each in value]}
        case dict():
            return {"M": {name: raw_value(each) for name, each in value.items()}}
        case _:
            return {"S": value}


def raw_key(customer: str, number: int) -> dict[str, Any]:
    """Return the key of an order in the form of the DynamoDB API."""
    return {"pk": {"S": partition(customer)}, "sk": {"S": sort(number)}}


def raw_item(customer: str, number: int, **changed: Any) -> dict[str, Any]:
    """Return an order in the form of the DynamoDB API."""
    fields: Mapping[str, Any] = order_fields(customer, number) | changed
    return raw_key(customer, number) | {name: raw_value(value) for name, value in fields.items()}
