"""Consistent reads of items by key, whatever their types: how a repeat looks for its own traces."""

from collections.abc import Sequence

from common.dynamo.batches import read_batch
from common.dynamo.execution import Operation
from common.dynamo.requests import GetItem, Item, ItemKey

__all__ = ["read_item", "read_items"]


def read_item(op: Operation, table: str, key: ItemKey) -> Item | None:
    """Return the item at *key*, ``None`` where there is none: consistent, 1 read unit per 4 KB, 1 round trip."""
    item: Item | None = op.execute(GetItem(table=table, key=key, consistent=True)).body.get("Item")
    return item


def read_items(op: Operation, table: str, keys: Sequence[ItemKey]) -> list[Item | None]:
    """Return the items at *keys* in their order, ``None`` where there is none: consistent, 1 read unit each per 4 KB.

    One round trip, unless the engine leaves keys unprocessed.
    """
    if len(keys) == 1:
        return [read_item(op, table, keys[0])]
    return read_batch(op, table, keys, consistent=True)
