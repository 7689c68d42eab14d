"""Where the dynoxide engine, version 1.2.1, differs from DynamoDB: the one list; tests exclude rows by these names.

A test that names a fault asserts the opposite on that engine, so the list cannot outlive its reasons.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["DYNOXIDE_FAULTS"]

DYNOXIDE_FAULTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "pads-lists": "SET past the end of a list fills the gap with NULL; DynamoDB appends",
        "removes-nowhere": "REMOVE below a missing or wrong parent does nothing; DynamoDB refuses the path",
        "whole-lists": "UPDATED_OLD and UPDATED_NEW of a list element return the whole list",
        "old-of-nothing": "ALL_OLD of an update that made the item returns its key",
        "ghosts": "an update that only removes or deletes makes a missing item",
        "long-index-keys": "index keys over 2048 and 1024 bytes are stored",
        "lax-operands": "operands of the wrong type or equal to each other are evaluated, not refused",
        "many-options": "IN takes more than 100 operands",
        "lax-types": "attribute_type takes names that are no types",
        "lax-key-types": "key conditions with a value of the wrong type, or an empty one, give an empty page",
        "foreign-start": "a starting key of another partition or outside the range is taken",
        "unprojected": "a projection on an index may name what the index does not hold",
        "projected-reads": "a read by key is charged for what its projection leaves; DynamoDB charges the item",
        "counts-ahead": "a page that ends at 1 MB counts the next item as scanned",
        "lax-transactions": "inside transactions expressions are checked late, or not at all",
        "moves-items": "an update in a transaction may change the key attributes of its item",
        "empty-tokens": "an empty ClientRequestToken is taken",
        "replay-units": "a replayed transaction is charged for the request, not for the items",
        "ttl-twice": "TTL may be switched on when it is on",
        "first-key-attributes": "of an index key of several attributes the first of each half alone is used",
        "conflicting-paths": "paths that treat one attribute as list and map are taken",
        "empty-changes": "a write that changes nothing makes a stream record",
        "short-streams": "the stream of a table with a name of less than 11 characters cannot be read",
        "stream-sizes": "the size of a stream record is that of its JSON",
    }
)
"""Name to what happens."""
