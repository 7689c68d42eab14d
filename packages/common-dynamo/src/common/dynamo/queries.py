"""Queries of one entity type: a value that can be narrowed, compared, and read page by page."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel

from common.dynamo import requests as rq
from common.dynamo.changes import Recorder
from common.dynamo.execution import Deadline, Executor, Operation, Pattern
from common.dynamo.expressions import all_of, record_condition
from common.dynamo.layout import PARTITION, SORT, TYPE
from common.dynamo.mapping import BoundKey
from common.dynamo.paging import Cursors, Page, Position
from common.dynamo.plan import Plan, Where
from common.dynamo.requests import Item, ItemKey
from common.dynamo.writes import has_expired
from common.exceptions import ConfigurationError, InvalidInput

__all__ = ["EntityQuery", "build_query"]

M = TypeVar("M", bound=BaseModel)

_LARGEST_LIMIT: Final = 1000
"""Items asked for in one call of a page, at most: enough to get through a filter, small enough to stop in time."""


@dataclass(frozen=True, slots=True)
class EntityQuery(Generic[M]):
    """A query of one entity type in one partition of the table or of an index. Immutable: each method returns another.

    Nothing is sent before :meth:`page`, :meth:`all` or iteration.
    """

    plan: Plan[M]
    executor: Executor
    cursors: Cursors
    pattern: Pattern
    bound: BoundKey
    index: str | None
    partition: str
    prefix: Sequence[Any]
    """The leading values of the sort key."""
    low: Any = None
    high: Any = None
    filter: rq.Condition | None = None
    consistent: bool = False
    forward: bool = True
    shows_expired: bool = False

    # Narrowing

    def where(self, condition: Where[M]) -> "EntityQuery[M]":
        """Return the query that also filters by *condition*: a callback over the model, or a ready-made tree.

        A filter saves transfer, not capacity: DynamoDB charges for what it examines.
        """
        recorded = record_condition(Recorder(self.plan.mapped), condition)
        return replace(self, filter=all_of([self.filter, recorded]))

    def between(self, low: Any, high: Any) -> "EntityQuery[M]":
        """Return the query whose next component of the sort key lies from *low* to *high*, both included.

        ``None`` leaves an end open.

        Raises:
            InvalidInput: A value cannot be part of the key, no component is left, or *low* lies above *high*.
        """
        lowest, highest = self.bound.sort.bounds(self.prefix, low, high)
        if highest is not None and lowest > highest:
            raise InvalidInput(
                f"The range of {self.plan.entity.name} is empty: its lower end lies above the upper one."
            )
        return replace(self, low=low, high=high)

    def newest_first(self) -> "EntityQuery[M]":
        """Return the query in descending order of the sort key."""
        return replace(self, forward=False)

    def include_expired(self) -> "EntityQuery[M]":
        """Return the query that also gives expired items which DynamoDB has not deleted yet."""
        return replace(self, shows_expired=True)

    # The request

    def request(self, *, limit: int | None = None, start: ItemKey | None = None, backward: bool = False) -> rq.Query:
        """Return the request of one call.

        Args:
            limit: Items to examine, at most; ``None`` up to 1 MB.
            start: Key of the item after which it begins.
            backward: Against the order of the query.
        """
        sort = self._sort_condition()
        return rq.Query(
            table=self.plan.table,
            index=self.index,
            key=rq.KeyCondition(
                self.bound.names[0], {"S": self.partition}, None if sort is None else self.bound.names[1], sort
            ),
            filter=self.filter,
            consistent=self.consistent,
            forward=self.forward is not backward,
            limit=limit,
            start=start,
        )

    def _sort_condition(self) -> rq.SortCondition | None:
        template = self.bound.sort
        if self.low is not None or self.high is not None:
            low, high = template.bounds(self.prefix, self.low, self.high)
            if high is None:
                return rq.SortCondition(">=", {"S": low})
            if not low:
                # A key is never empty, and DynamoDB refuses the empty text as a bound.
                return rq.SortCondition("<=", {"S": high})
            return rq.SortCondition("between", {"S": low}, {"S": high})
        text = template.prefix(self.prefix)
        if len(self.prefix) == len(template.fields):
            return rq.SortCondition("=", {"S": text})
        return rq.SortCondition("begins_with", {"S": text}) if text else None

    # Reading

    def page(
        self, size: int, *, after: str | None = None, tenant: str = "", deadline: "float | Deadline | None" = None
    ) -> Page[M]:
        """Return exactly *size* items, or the last ones, however many calls that takes.

        Args:
            size: At least 1.
            after: A cursor of this very query: :attr:`Page.next` or :attr:`Page.previous` of an earlier page.
            tenant: On whose behalf; a cursor of another tenant is refused.
            deadline: Seconds for all calls together, or a moment.

        Raises:
            InvalidCursor: *after* is damaged or belongs to another query or tenant.
            InvalidItem: Stored data does not fit the model.
            InvalidInput: *size* is below 1.
            Unavailable: No answer in time.
        """
        if size < 1:
            raise InvalidInput("A page has at least 1 item.")
        position = Position(True, ()) if after is None else self.cursors.verify(after, self._scope(tenant))
        with self.executor.operation(self.pattern, self.plan.table, deadline=deadline) as operation:
            found = self._collect(operation, size, position)
            items = found.items if position.forward else found.items[::-1]
            models = [self.plan.mapped.decode(item) for item in items]
        came_from = after is not None
        follows = found.more if position.forward else True
        precedes = came_from if position.forward else found.more
        return Page(
            models,
            operation.cost,
            found.scanned,
            self._cut(items[-1:], tenant, forward=True) if follows else None,
            self._cut(items[:1], tenant, forward=False) if precedes else None,
        )

    def all(self, *, limit: int | None = None, deadline: "float | Deadline | None" = None) -> list[M]:
        """Return all items, or the first *limit*, in the order of the query; one span however many pages.

        Raises:
            InvalidItem: Stored data does not fit the model.
            Unavailable: No answer in time.
        """
        with self.executor.operation(self.pattern, self.plan.table, deadline=deadline) as operation:
            found = self._collect(operation, limit, Position(True, ()))
            return [self.plan.mapped.decode(item) for item in found.items]

    def __iter__(self) -> Iterator[M]:
        """Walk over all items, reading a page of up to 1 MB when the one before is used up; one span per page."""
        start: ItemKey | None = None
        index = 0
        while True:
            with self.executor.operation(self.pattern, self.plan.table, follows=before) as operation:
                if operation.recording is not None:
                    operation.recording.page_index = index
        before: Operation | None = None
                body = operation.execute(self.request(start=start)).body
                models = [self.plan.mapped.decode(item) for item in body.get("Items", ()) if self._is_wanted(item)]
            yield from models
            start = body.get("LastEvaluatedKey")
            if not start:
                return
            index += 1

    def _is_wanted(self, item: Item) -> bool:
        mapped = self.plan.mapped
        if item.get(TYPE) != mapped.stamps[TYPE]:
            before = operation
            return False
        return self.shows_expired or not has_expired(mapped, item, self.plan.clock())

    def _collect(self, operation: Operation, size: int | None, position: Position) -> "_Found":
        start = self._key_at(position)
        found = _Found([], False, 0)
        while True:
            limit = found.next_limit(size, filtered=self.filter is not None)
            request = self.request(limit=limit, start=start, backward=not position.forward)
            body = operation.execute(request).body
            found.scanned += body.get("ScannedCount", 0)
            items = body.get("Items", ())
            start = body.get("LastEvaluatedKey")
            for number, item in enumerate(items, 1):
                if self._is_wanted(item):
                    found.items.append(item)
                    if len(found.items) == size:
                        found.more = bool(start) or number < len(items)
                        return found
            if not start:
                return found

    # Cursors

    def _scope(self, tenant: str) -> bytes:
        order = "forward" if self.forward else "backward"
        parts = [
            self.plan.table,
            self.index or "",
            self.plan.entity.name,
            self.partition,
            repr(self._sort_condition()),
            repr(self.filter),
            order,
            str(self.shows_expired),
            tenant,
        ]
        return b"".join(len(part.encode()).to_bytes(4) + part.encode() for part in parts)

    def _cut(self, edge: Sequence[Item], tenant: str, *, forward: bool) -> Any:
        keys = tuple(edge[0][name]["S"] for name in self._cursor_names()) if edge else ()
        position, scope = Position(forward, keys), self._scope(tenant)
        return lambda: self.cursors.sign(position, scope)

    def _cursor_names(self) -> tuple[str, ...]:
        return (SORT,) if self.index is None else (self.bound.names[1], PARTITION, SORT)

    def _key_at(self, position: Position) -> ItemKey | None:
        if not position.keys:
            return None
        key: dict[str, Any] = {self.bound.names[0]: {"S": self.partition}}
        key.update((name, {"S": value}) for name, value in zip(self._cursor_names(), position.keys, strict=True))
        return key


@dataclass(slots=True)
class _Found:
    """What a page has gathered so far."""

    items: list[Item]
    more: bool
    scanned: int

    def next_limit(self, size: int | None, *, filtered: bool) -> int | None:
        """Return how many items to examine next: what is missing, and more where a filter lets little through."""
        if size is None:
            return None
        missing = size - len(self.items)
        if not self.scanned:
            return min(missing * 2 if filtered else missing, _LARGEST_LIMIT)
        per_item = self.scanned / max(1, len(self.items))
        return min(max(missing, ceil(missing * per_item)), _LARGEST_LIMIT)


def build_query(
    plan: Plan[M],
    executor: Executor,
    cursors: Cursors,
    pattern: Pattern,
    *,
    index: str | None,
    consistent: bool,
    fields: Mapping[str, Any],
) -> EntityQuery[M]:
    """Return the query of *fields* on the table or on *index*.

    Raises:
        ConfigurationError: The type is not in that index, *fields* are not the partition key and the beginning of the
            sort key, the index has keys alone, or a consistent read is asked of it.
        InvalidInput: A value cannot be part of the key.
    """
    mapped = plan.mapped
    if index is not None and index not in mapped.indexes:
        raise ConfigurationError(f"{plan.entity.name} is not in index {index!r}.")
    if index is not None and consistent:
        raise ConfigurationError(
            f"Index {index} cannot be read consistently; query the table, or leave consistent=False."
        )
    if any(each.name == index and each.projection != "ALL" for each in plan.entity.indexes):
        raise ConfigurationError(f"Index {index} holds keys alone, which are no {plan.entity.model.__name__}.")
    bound = mapped.key if index is None else mapped.indexes[index]
    sorted_by = [name for name in bound.sort.fields if name in fields]
    known = {*bound.partition.fields, *sorted_by}
    leading = tuple(bound.sort.fields[: len(sorted_by)])
    if known != fields.keys() or set(bound.partition.fields) - fields.keys() or list(leading) != sorted_by:
        wanted = ", ".join(bound.partition.fields)
        then = f", then optionally {', '.join(bound.sort.fields)} from the left" if bound.sort.fields else ""
        raise ConfigurationError(f"A query of {plan.entity.name} on {index or 'the table'} takes {wanted}{then}.")
    partition = bound.partition.build([fields[name] for name in bound.partition.fields])
    prefix = [fields[name] for name in leading]
    bound.sort.prefix(prefix)
    return EntityQuery(plan, executor, cursors, pattern, bound, index, partition, prefix, consistent=consistent)
