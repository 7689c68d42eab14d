"""Queries of one entity type: a value that can be narrowed, compared, and read page by page."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel

from common.dynamo import requests as rq
from common.dynamo.arguments import require_flag, require_mapping, require_whole_number
from common.dynamo.bound_keys import QueryableKey
from common.dynamo.changes import Recorder
from common.dynamo.condition_paths import attribute_names
from common.dynamo.execution import Deadline, Executor, Pattern
from common.dynamo.expressions import all_of, record_condition
from common.dynamo.form_filters import is_wanted, lets_older_through, wanted_by
from common.dynamo.key_ranges import KeyRange
from common.dynamo.layout import PARTITION, SORT
from common.dynamo.paging import Cursors, Page
from common.dynamo.plan import Plan, Where
from common.dynamo.range_reader import RangeReader
from common.dynamo.requests import Item, ItemKey, ScalarType
from common.dynamo.value_classes import dataclass
from common.exceptions import ConfigurationError, InvalidInput

__all__ = ["EntityQuery", "build_query"]

M = TypeVar("M", bound=BaseModel)

INDEX_ORDER: Final[tuple[tuple[str, ScalarType], ...]] = ((PARTITION, "S"), (SORT, "S"))
"""What tells items of an index apart whose index keys are equal."""


@dataclass(frozen=True, slots=True)
class EntityQuery(Generic[M]):
    """A query of one entity type in one partition of the table or of an index. Immutable: each method returns another.

    A partition in shards is read as one: a call to each, merged in the order of the sort key.

    Nothing is sent before :meth:`page`, :meth:`all` or iteration.
    """

    plan: Plan[M]
    executor: Executor
    cursors: Cursors
    pattern: Pattern
    key: QueryableKey
    index: str | None
    partition: tuple[Any, ...]
    """The values of the partition key's fields."""
    prefix: tuple[Any, ...]
    """The leading values of the sort key."""
    keys: tuple[rq.KeyCondition, ...]
    """What that asks of the key, in each partition to be read."""
    filter: rq.Condition | None = None
    consistent: bool = False
    forward: bool = True
    shows_expired: bool = False

    # Narrowing

    def where(self, condition: Where[M]) -> "EntityQuery[M]":
        """Return the query that also filters by *condition*: a callback over the model, or a ready-made tree.

        A filter saves transfer, not capacity: DynamoDB charges for what it examines. Items of an older schema are all
        transferred, and judged by what their upcast steps make of them.

        Raises:
            ConfigurationError: It asks for a field that is part of the index's key itself; DynamoDB filters by none.
        """
        recorded = record_condition(Recorder(self.plan.mapped), condition)
        native = self.plan.mapped.native.get(self.index or "")
        if native is not None:
            native.refuse_filter(attribute_names(recorded))
        return replace(self, filter=all_of([self.filter, recorded]))

    def between(self, low: Any, high: Any) -> "EntityQuery[M]":
        """Return the query whose next component of the sort key lies from *low* to *high*, both included.

        ``None`` leaves an end open.

        Raises:
            InvalidInput: A value cannot be part of the key, no component is left, or *low* lies above *high*.
        """
        return replace(self, keys=self.key.conditions(self.partition, self.prefix, low, high))

    def newest_first(self) -> "EntityQuery[M]":
        """Return the query in descending order of the sort key."""
        return replace(self, forward=False)

    def include_expired(self) -> "EntityQuery[M]":
        """Return the query that also gives expired items which DynamoDB has not deleted yet."""
        return replace(self, shows_expired=True)

    # The request

    def request(
        self, *, limit: int | None = None, start: ItemKey | None = None, backward: bool = False, shard: int = 0
    ) -> rq.Query:
        """Return the request of one call.

        Args:
            limit: Items to examine, at most; ``None`` up to 1 MB.
            start: Key of the item after which it begins.
            backward: Against the order of the query.
            shard: Which partition, where the key has shards.
        """
        if limit is not None:
            require_whole_number("limit", limit, least=1)
        if start is not None:
            require_mapping("start", start)
        require_flag("backward", backward)
        keys = self.key_range()
        if require_whole_number("shard", shard, least=0) >= len(keys.keys):
            raise InvalidInput(f"shard must be below {len(keys.keys)}, the shards of this partition.")
        return keys.request(keys.keys[shard], limit=limit, start=start, backward=backward)

    def key_range(self) -> KeyRange:
        """Return which keys are read, in which order."""
        return KeyRange(
            table=self.plan.table,
            index=self.index,
            keys=self.keys,
            order=self.key.order if self.index is None else (*self.key.order, *INDEX_ORDER),
            filter=lets_older_through(self.plan.mapped, self.filter),
            consistent=self.consistent,
            forward=self.forward,
        )

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
        return self._reader().page(size, after=after, tenant=tenant, deadline=deadline)

    def all(self, *, limit: int | None = None, deadline: "float | Deadline | None" = None) -> list[M]:
        """Return all items, or the first *limit*, in the order of the query; one span however many pages.

        Raises:
            InvalidItem: Stored data does not fit the model.
            Unavailable: No answer in time.
        """
        return self._reader().all(limit=limit, deadline=deadline)

    def __iter__(self) -> Iterator[M]:
        """Walk over all items, reading a page of up to 1 MB when the one before is used up; one span per page."""
        return self._reader().walk()

    def _reader(self) -> RangeReader[M]:
        return RangeReader(
            range=self.key_range(),
            executor=self.executor,
            cursors=self.cursors,
            pattern=self.pattern,
            subject=(self.plan.entity.name, str(self.shows_expired)),
            is_wanted=wanted_by(self.plan, self.filter, shows_expired=self.shows_expired),
            decode=self.plan.mapped.decode_all,
        )

    def wants(self, item: Item) -> bool:
        """Tell whether *item* is of this type and, unless asked for, has not expired."""
        return is_wanted(self.plan, item, self.filter, shows_expired=self.shows_expired)


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
    key = _readable_key(plan, index, consistent=consistent)
    prefix = tuple(fields[name] for name in _leading(plan, index, key, fields))
    partition = tuple(fields[name] for name in key.partition_fields)
    keys = key.conditions(partition, prefix)
    return EntityQuery(plan, executor, cursors, pattern, key, index, partition, prefix, keys, consistent=consistent)


def _readable_key(plan: Plan[Any], index: str | None, *, consistent: bool) -> QueryableKey:
    """Return the key of the table or of *index*, which can be read as models, and so consistently as is asked."""
    require_flag("consistent", consistent)
    mapped = plan.mapped
    key = mapped.queryable(index) if index is None or isinstance(index, str) else None
    if key is None:
        known = ", ".join((*mapped.indexes, *mapped.native)) or "none"
        raise ConfigurationError(f"{plan.entity.name} is not in the index that index= names; it is in: {known}.")
    if index is not None and consistent:
        raise ConfigurationError(
            f"Index {index} cannot be read consistently; query the table, or leave consistent=False."
        )
    if any(each.name == index and each.projection != "ALL" for each in plan.entity.indexes):
        raise ConfigurationError(f"Index {index} holds keys alone, which are no {plan.entity.model.__name__}.")
    return key


def _leading(plan: Plan[Any], index: str | None, key: QueryableKey, fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the fields of the sort key that *fields* name, from the left."""
    sorted_by = [name for name in key.sort_fields if name in fields]
    leading = key.sort_fields[: len(sorted_by)]
    if {*key.partition_fields, *sorted_by} != fields.keys() or list(leading) != sorted_by:
        wanted = ", ".join(key.partition_fields)
        then = f", then optionally {', '.join(key.sort_fields)} from the left" if key.sort_fields else ""
        raise ConfigurationError(f"A query of {plan.entity.name} on {index or 'the table'} takes {wanted}{then}.")
    return leading
