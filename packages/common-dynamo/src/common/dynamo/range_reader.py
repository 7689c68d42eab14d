"""Reading a range of keys: exact pages behind signed cursors, lists, and item by item.

What the items are is the caller's: :mod:`common.dynamo.queries` reads one entity type,
:mod:`common.dynamo.item_collections` several.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

from common.dynamo.arguments import require_text, require_whole_number
from common.dynamo.execution import Deadline, Executor, Operation, Pattern
from common.dynamo.key_ranges import Found, KeyRange, collect
from common.dynamo.merged_queries import collect_merged, walk_merged
from common.dynamo.paging import BEGINNING, Cursors, Page, Position
from common.dynamo.requests import Item, ItemKey
from common.dynamo.value_classes import dataclass

__all__ = ["RangeReader"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeReader(Generic[T]):
    """Reads a range as pages, as a list, or item by item."""

    range: KeyRange
    executor: Executor
    cursors: Cursors
    pattern: Pattern
    subject: tuple[str, ...]
    """What the items are, for the signature of a cursor: entity types, and whatever else the reader leaves out."""
    is_wanted: Callable[[Item], bool]
    decode: Callable[[Iterable[Item]], list[T]]

    def page(
        self, size: int, *, after: str | None = None, tenant: str = "", deadline: "float | Deadline | None" = None
    ) -> Page[T]:
        """Return exactly *size* items, or the last ones; see :meth:`common.dynamo.EntityQuery.page`."""
        require_whole_number("size", size, least=1)
        require_text("tenant", tenant, may_be_empty=True)
        position = BEGINNING if after is None else self.cursors.verify(after, self._scope(tenant))
        with self._operation(deadline) as operation:
            found = self._collect(operation, size, position)
            placed = found.items if position.forward else found.items[::-1]
            models = self.decode([item for _, item in placed])
        came_from = after is not None
        follows = found.more if position.forward else True
        precedes = came_from if position.forward else found.more
        return Page(
            models,
            operation.cost,
            found.scanned,
            self._cut(placed[-1:], tenant, forward=True) if follows else None,
            self._cut(placed[:1], tenant, forward=False) if precedes else None,
        )

    def all(self, *, limit: int | None = None, deadline: "float | Deadline | None" = None) -> list[T]:
        """Return all items, or the first *limit*, in order; one span however many calls."""
        return self._gather(limit, deadline)[0]

    def gather(self, *, limit: int | None = None, deadline: "float | Deadline | None" = None) -> Page[T]:
        """Same as :meth:`all`, with what it cost; there are no cursors."""
        models, operation, found = self._gather(limit, deadline)
        return Page(models, operation.cost, found.scanned)

    def _gather(self, limit: int | None, deadline: "float | Deadline | None") -> tuple[list[T], Operation, Found]:
        if limit is not None:
            require_whole_number("limit", limit, least=1)
        with self._operation(deadline) as operation:
            found = self._collect(operation, limit, BEGINNING)
            return self.decode([item for _, item in found.items]), operation, found

    def walk(self) -> Iterator[T]:
        """Walk over all items, up to 1 MB of each partition at a time; one span each time that something is read."""
        if len(self.range.keys) > 1:
            yield from walk_merged(self.range, self._numbered, self.is_wanted, lambda item: self.decode((item,))[0])
            return
        start: ItemKey | None = None
        before: Operation | None = None
        page_index = 0
        while True:
            with self._numbered(page_index, before) as operation:
                body = operation.execute(self.range.request(self.range.keys[0], start=start)).body
                models = self.decode(filter(self.is_wanted, body.get("Items", ())))
            yield from models
            start = body.get("LastEvaluatedKey")
            if not start:
                return
            before = operation
            page_index += 1

    def _collect(self, operation: Operation, size: int | None, position: Position) -> Found:
        if len(self.range.keys) > 1:
            return collect_merged(self.range, operation, size, position, self.is_wanted)
        return collect(self.range, operation, size, position, self.is_wanted)

    # Operations

    def _operation(self, deadline: "float | Deadline | None") -> Operation:
        return self.executor.operation(self.pattern, self.range.table, deadline=deadline)

    @contextmanager
    def _numbered(self, page_index: int, before: Operation | None) -> Iterator[Operation]:
        with self.executor.operation(self.pattern, self.range.table, follows=before) as operation:
            if operation.recording is not None:
                operation.recording.page_index = page_index
            yield operation

    # Cursors

    def _scope(self, tenant: str) -> bytes:
        parts = (*self.range.told(), *self.subject, tenant)
        return b"".join(len(part.encode()).to_bytes(4) + part.encode() for part in parts)

    def _cut(self, edge: Sequence[tuple[int, Item]], tenant: str, *, forward: bool) -> Callable[[], str]:
        keys = self.range.place(*edge[0]) if edge else ()
        position, scope = Position(forward, keys), self._scope(tenant)
        return lambda: self.cursors.sign(position, scope)
