"""Batches: cut into what DynamoDB takes at once, sent again until nothing is left unprocessed, all inside one deadline.

Over a network the cuts of a batch are on their way at the same time, up to eight of them, in threads that keep the caller's
context.

A batch is not atomic. BatchWriteItem can neither ask conditions nor keep unknown attributes, so only unconditional
replacing puts and deletes travel in it; every other write is sent by itself.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias, TypeGuard, TypeVar

from pydantic import BaseModel

from common.dynamo import requests as rq
from common.dynamo.exceptions import OutcomeUnknown, Unavailable
from common.dynamo.execution import Operation
from common.dynamo.layout import PARTITION, SORT
from common.dynamo.requests import Item, ItemKey
from common.dynamo.settlement import send_write
from common.dynamo.side_by_side import execute_together
from common.dynamo.writes import Write

__all__ = ["batch_name", "read_batch", "write_batch"]

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

READ_CHUNK: Final = 100
"""Keys of a BatchGetItem, at most."""
WRITE_CHUNK: Final = 25
"""Entries of a BatchWriteItem, at most."""

_Identity: TypeAlias = tuple[str, str]


def _identity(attributes: Mapping[str, Any]) -> _Identity:
    return attributes[PARTITION]["S"], attributes[SORT]["S"]


def _chunks(entries: Sequence[T], size: int) -> Iterator[tuple[T, ...]]:
    for start in range(0, len(entries), size):
        yield tuple(entries[start : start + size])


# Reads ----------------------------------------------------------------------------------------------------------------


def read_batch(operation: Operation, table: str, keys: Sequence[ItemKey], *, consistent: bool) -> list[Item | None]:
    """Return the items at *keys*: as long as *keys*, in their order, ``None`` where there is none.

    Raises:
        Unavailable: Something was still unprocessed at the deadline.
    """
    identities = [_identity(key) for key in keys]
    left: Sequence[ItemKey] = list(dict(zip(identities, keys, strict=True)).values())
    found: dict[_Identity, Item] = {}
    left = _in_rounds(operation, left, lambda keys: _read_round(operation, table, keys, found, consistent=consistent))
    if left:
        raise Unavailable(
            f"{len(left)} keys of a batch were still unprocessed at the deadline. Read fewer at once, or allow more time.",
            engine_code="UnprocessedKeys",
        )
    return [found.get(identity) for identity in identities]


def _read_round(
    operation: Operation, table: str, keys: Sequence[ItemKey], found: dict[_Identity, Item], *, consistent: bool
) -> list[ItemKey]:
    """Read *keys* once, their chunks side by side, into *found*; return those that are still unprocessed."""
    chunks = _chunks(keys, READ_CHUNK)
    requests = [rq.BatchGetItem(keys={table: chunk}, consistent=consistent) for chunk in chunks]
    left: list[ItemKey] = []
    for result in execute_together(operation, requests):
        for item in result.body.get("Responses", {}).get(table, ()):
            found[item[PARTITION]["S"], item[SORT]["S"]] = item
        left += result.body.get("UnprocessedKeys", {}).get(table, {}).get("Keys", ())
    return left


def _in_rounds(operation: Operation, left: Sequence[T], send: Callable[[Sequence[T]], Sequence[T]]) -> Sequence[T]:
    """Send *left*, and again what *send* says is unprocessed; return what still is when no other round may begin."""
    rounds = 0
    while left:
        left = send(left)
        rounds += 1
        if left and operation.recording is not None:
            operation.recording.unprocessed += len(left)
        if left and not operation.pause(rounds):
            break
    return left


# Writes ---------------------------------------------------------------------------------------------------------------


def batch_name(writes: Sequence[Write[Any]]) -> str:
    """Return the name of the batch as an operation, by the semantic conventions for DynamoDB."""
    kinds = {"DeleteItem" if write.verb == "delete" else "PutItem" for write in writes}
    if len(kinds) != 1:
        return "BATCH"
    (kind,) = kinds
    return kind if len(writes) == 1 else f"BATCH {kind}"


def write_batch(operation: Operation, writes: Sequence[Write[M]]) -> list[M | None]:
    """Send *writes* and return what each stored, in their order; ``None`` for deletes.

    Writes of one item take effect in the caller's order; those of different items may not.

    Raises:
        OutcomeUnknown: Something was still unprocessed at the deadline, and the rest is applied. Repeat the batch.
        DynamoError: A write that is sent by itself was refused, and those before it are applied; or a cut was refused, and
            others may be applied.
    """
    together: dict[_Identity, rq.PutItem | rq.DeleteItem] = {}
    stored: list[M | None] = []
    for write in writes:
        identity = _identity(write.key)
        if _travels(write.main) and not write.locks:
            together[identity] = write.main
            stored.append(write.model)
            continue
        if identity in together:
            _write_all(operation, together)
        stored.append(_alone(operation, write))
    _write_all(operation, together)
    return stored


def _travels(main: rq.TransactPart) -> TypeGuard[rq.PutItem | rq.DeleteItem]:
    return isinstance(main, rq.PutItem | rq.DeleteItem) and main.condition is None


def _write_all(operation: Operation, together: dict[_Identity, rq.PutItem | rq.DeleteItem]) -> None:
    """Send what travels in batches, the chunks of a round side by side: each item is in it once."""
    left: Sequence[rq.PutItem | rq.DeleteItem] = list(together.values())
    together.clear()
    left = _in_rounds(operation, left, lambda writes: _write_round(operation, writes))
    if left:
        raise OutcomeUnknown(
            f"{len(left)} entries of a batch were still unprocessed at the deadline; the rest is applied. Repeat it.",
            engine_code="UnprocessedItems",
        )


def _write_round(
    operation: Operation, writes: Sequence[rq.PutItem | rq.DeleteItem]
) -> list[rq.PutItem | rq.DeleteItem]:
    """Send *writes* once; return those that are still unprocessed."""
    chunks = list(_chunks(writes, WRITE_CHUNK))
    results = execute_together(operation, [rq.BatchWriteItem(writes=_by_table(chunk)) for chunk in chunks])
    left: list[rq.PutItem | rq.DeleteItem] = []
    for chunk, result in zip(chunks, results, strict=True):
        left += _unprocessed(result.body, chunk)
    return left


def _alone(operation: Operation, write: Write[M]) -> M | None:
    item = send_write(operation, write)
    if write.model is not None or item is None or write.verb == "delete":
        return write.model
    return write.mapped.decode(item)


def _by_table(
    writes: Sequence[rq.PutItem | rq.DeleteItem],
) -> Mapping[str, tuple[rq.PutItem | rq.DeleteItem, ...]]:
    tables = dict.fromkeys(write.table for write in writes)
    return {table: tuple(write for write in writes if write.table == table) for table in tables}


def _unprocessed(
    body: Mapping[str, Any], sent: tuple[rq.PutItem | rq.DeleteItem, ...]
) -> tuple[rq.PutItem | rq.DeleteItem, ...]:
    left = {
        (table, *_identity(entry["PutRequest"]["Item"] if "PutRequest" in entry else entry["DeleteRequest"]["Key"]))
        for table, entries in (body.get("UnprocessedItems") or {}).items()
        for entry in entries
    }
    return tuple(
        write
        for write in sent
        if (write.table, *_identity(write.item if isinstance(write, rq.PutItem) else write.key)) in left
    )
