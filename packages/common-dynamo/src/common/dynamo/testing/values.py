"""Short ways to write attribute values and trees in tests.

>>> S("a"), N(12), N("0.50"), B(b"x")
({'S': 'a'}, {'N': '12'}, {'N': '0.50'}, {'B': b'x'})
>>> path("m", "k", 0)
Path(parts=('m', 'k', 0))
>>> key("a", "1")
{'pk': {'S': 'a'}, 'sk': {'S': '1'}}
"""

from typing import Any

from common.dynamo.requests import Constant, IndexDefinition, KeySchema, Path, TableDefinition

__all__ = ["B", "N", "S", "const", "definition", "key", "path"]


def S(text: str) -> dict[str, Any]:  # noqa: N802 - DynamoDB's own name of the type
    """Return a string value."""
    return {"S": text}


def N(number: str | int) -> dict[str, Any]:  # noqa: N802 - DynamoDB's own name of the type
    """Return a number value, its digits as given."""
    return {"N": str(number)}


def B(content: bytes) -> dict[str, Any]:  # noqa: N802 - DynamoDB's own name of the type
    """Return a binary value."""
    return {"B": content}


def path(*parts: str | int) -> Path:
    """Return a document path."""
    return Path(parts)


def const(value: dict[str, Any]) -> Constant:
    """Return *value* as an operand."""
    return Constant(value)


def key(partition: str, sort: str) -> dict[str, Any]:
    """Return a primary key of the usual table."""
    return {"pk": S(partition), "sk": S(sort)}


def definition(name: str) -> TableDefinition:
    """Return the usual table: ``pk`` and ``sk``, GSI1 with all attributes, GSI2 with the keys, GSI3 with ``a`` beside them."""
    return TableDefinition(
        name=name,
        key=KeySchema("pk", "sk"),
        indexes=(
            IndexDefinition("GSI1", KeySchema("g1pk", "g1sk")),
            IndexDefinition("GSI2", KeySchema("g2pk"), "KEYS_ONLY"),
            IndexDefinition("GSI3", KeySchema("g2pk", "num", sort_type="N"), "INCLUDE", ("a",)),
        ),
    )
