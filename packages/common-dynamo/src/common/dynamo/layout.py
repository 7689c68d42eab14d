"""The one table layout: names of the attributes that the layer itself writes.

Names that begin with ``_`` belong to the layer, and so do the key attributes; a model's field is never stored under one.
"""

import re
from typing import Final

from common.dynamo.requests import Path

__all__ = ["EXPIRY", "PARTITION", "SCHEMA", "SORT", "TYPE", "WRITE_ID", "index_attributes", "is_reserved"]

PARTITION: Final = "pk"
SORT: Final = "sk"
TYPE: Final = "_t"
"""The entity type's name (S)."""
SCHEMA: Final = "_s"
"""The schema version that wrote the item (N)."""
WRITE_ID: Final = "_w"
"""The id of the write that made the item what it is (S, at most 26 bytes)."""
EXPIRY: Final = "_x"
"""When the item expires (N, epoch seconds): the table's TTL attribute."""

PARTITION_PATH: Final = Path((PARTITION,))
EXPIRY_PATH: Final = Path((EXPIRY,))
WRITE_ID_PATH: Final = Path((WRITE_ID,))
TYPE_PATH: Final = Path((TYPE,))
SCHEMA_PATH: Final = Path((SCHEMA,))

_SLOT: Final = re.compile(r"GSI([1-9]\d?)")
_KEY_ATTRIBUTE: Final = re.compile(r"g[1-9]\d?[ps]k")


def index_attributes(name: str) -> tuple[str, str]:
    """Return the partition and sort key attributes of index *name*: ``GSI1`` has ``g1pk`` and ``g1sk``.

    Raises:
        ValueError: *name* is not ``GSI`` and a number from 1 to 99.
    """
    match = _SLOT.fullmatch(name)
    if match is None:
        raise ValueError(f"index {name!r} is none of GSI1, GSI2, ...")
    return f"g{match[1]}pk", f"g{match[1]}sk"


def is_reserved(attribute: str) -> bool:
    """Tell whether *attribute* belongs to the layer."""
    return attribute.startswith("_") or attribute in (PARTITION, SORT) or bool(_KEY_ATTRIBUTE.fullmatch(attribute))
