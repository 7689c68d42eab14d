"""Item collections: items of several types that share a partition, read together in the order of their keys.

>>> from pydantic import BaseModel
>>> from common.dynamo import Database, EntityType, Key
>>> class Order(BaseModel):
...     id: str
>>> class Line(BaseModel):
...     id: str
...     number: int
>>> ORDER = EntityType(Order, "order", key=Key("ORDER#{id}", "ORDER"))
>>> LINE = EntityType(Line, "line", key=Key("ORDER#{id}", "LINE#{number:4}"))
>>> with Database.embedded(entity_types=[ORDER, LINE]) as db:
...     _ = db.dao(ORDER).create(Order(id="o1"))
...     _ = [db.dao(LINE).create(Line(id="o1", number=number)) for number in (1, 2)]
...     found = db.collection({"id": "o1"}, [ORDER, LINE]).page(10)
>>> found.of(ORDER), [line.number for line in found.of(LINE)], found.cost.trips
([Order(id='o1')], [1, 2], 1)
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias, TypeVar

from pydantic import BaseModel

from common.dynamo.arguments import require_iterable, require_kind, require_mapping
from common.dynamo.cost import Cost
from common.dynamo.entity_type import EntityType, Index
from common.dynamo.execution import Deadline, Pattern
from common.dynamo.key_order import ends_of, hull
from common.dynamo.key_ranges import KeyRange
from common.dynamo.layout import TYPE
from common.dynamo.paging import Page
from common.dynamo.queries import EntityQuery
from common.dynamo.range_reader import RangeReader
from common.dynamo.requests import Item
from common.dynamo.value_classes import dataclass
from common.exceptions import ConfigurationError

__all__ = ["Collection", "CollectionQuery", "build_collection"]

M = TypeVar("M", bound=BaseModel)

_Entry: TypeAlias = tuple[EntityType[Any], BaseModel]


@dataclass(frozen=True, slots=True)
class Collection:
    """Items of several types: a page of them, or all."""

    types: tuple[EntityType[Any], ...]
    """What was asked for."""
    page: Page[_Entry]
    """The items in order, each with its type; cursors and cost."""

    @property
    def items(self) -> list[BaseModel]:
        """The items of all types, in the order of their keys."""
        return [model for _, model in self.page.items]

    def of(self, entity: EntityType[M]) -> list[M]:
        """Return the items of *entity*, in the order of their keys.

        Raises:
            ConfigurationError: *entity* is none of the types that were asked for.
        """
        if not any(each is entity for each in self.types):
            asked = ", ".join(each.name for each in self.types)
            named = entity.name if isinstance(entity, EntityType) else type(entity).__name__
            raise ConfigurationError(f"The collection was read for {asked}, and not for {named}: name it as well.")
        return [model for each, model in self.page.items if each is entity]  # type: ignore[misc]

    @property
    def cost(self) -> Cost:
        """Of all calls that it took."""
        return self.page.cost

    @property
    def scanned(self) -> int:
        """Items that the engine examined for it, before expiry and foreign items."""
        return self.page.scanned

    @property
    def next(self) -> str | None:
        """The cursor of the page after this one; ``None`` at the end. See :attr:`common.dynamo.Page.next`."""
        return self.page.next

    @property
    def previous(self) -> str | None:
        """The cursor of the page before this one; ``None`` at the beginning."""
        return self.page.previous

    def __len__(self) -> int:
        return len(self.page.items)


@dataclass(frozen=True, slots=True)
class CollectionQuery:
    """A query of several entity types in one partition of the table or of an index. Immutable.

    One Query reads all of them; items of other types, locks and expired items are left out. Where the types' sort keys
    lie in a part of the partition, only that part is read.
    """

    members: tuple[EntityQuery[Any], ...]
    """The query of each type, in the order in which they were named."""
    pattern: Pattern

    def newest_first(self) -> "CollectionQuery":
        """Return the query in descending order of the sort key."""
        return replace(self, members=tuple(member.newest_first() for member in self.members))

    def include_expired(self) -> "CollectionQuery":
        """Return the query that also gives expired items which DynamoDB has not deleted yet."""
        return replace(self, members=tuple(member.include_expired() for member in self.members))

    def page(
        self, size: int, *, after: str | None = None, tenant: str = "", deadline: "float | Deadline | None" = None
    ) -> Collection:
        """Return exactly *size* items of all types together, or the last ones, however many calls that takes.

        Args:
            size: At least 1.
            after: A cursor of this very query: :attr:`Collection.next` or :attr:`Collection.previous`.
            tenant: On whose behalf; a cursor of another tenant is refused.
            deadline: Seconds for all calls together, or a moment.

        Raises:
            InvalidCursor: *after* is damaged or belongs to another query or tenant.
            InvalidItem: Stored data does not fit its model.
            InvalidInput: *size* is below 1.
            Unavailable: No answer in time.
        """
        return Collection(self._types, self._reader().page(size, after=after, tenant=tenant, deadline=deadline))

    def all(self, *, limit: int | None = None, deadline: "float | Deadline | None" = None) -> Collection:
        """Return all items, or the first *limit*, in order; one span however many calls. It has no cursors.

        Raises:
            InvalidItem: Stored data does not fit its model.
            Unavailable: No answer in time.
        """
        return Collection(self._types, self._reader().gather(limit=limit, deadline=deadline))

    def __iter__(self) -> Iterator[BaseModel]:
        """Walk over all items, reading a page of up to 1 MB when the one before is used up; one span per page."""
        return (model for _, model in self._reader().walk())

    def key_range(self) -> KeyRange:
        """Return which keys are read, in which order."""
        ranges = [member.key_range() for member in self.members]
        sorts = [each.keys[0].sort for each in ranges]
        keys = max((each.keys for each in ranges), key=len)
        if any(sort != sorts[0] for sort in sorts):
            sort = hull(sorts)
            name = None if sort is None else ranges[0].order[0][0]
            keys = tuple(replace(key, sort_name=name, sort=sort) for key in keys)
        return replace(ranges[0], keys=keys)

    @property
    def _types(self) -> tuple[EntityType[Any], ...]:
        return tuple(member.plan.entity for member in self.members)

    def _reader(self) -> RangeReader[_Entry]:
        first = self.members[0]
        by_name = {member.plan.entity.name: _Bucket(member) for member in self.members}

        def bucket(item: Item) -> "_Bucket | None":
            return by_name.get(item.get(TYPE, {}).get("S", ""))

        def wants(item: Item) -> bool:
            found = bucket(item)
            return found is not None and found.wants(item)

        def decode(item: Item) -> _Entry:
            query = by_name[item[TYPE]["S"]].query
            return query.plan.entity, query.plan.mapped.decode(item)

        return RangeReader(
            range=self.key_range(),
            executor=first.executor,
            cursors=first.cursors,
            pattern=self.pattern,
            subject=(*by_name, str(first.shows_expired)),
            is_wanted=wants,
            decode=lambda items: [decode(item) for item in items],
        )


class _Bucket:
    """One type of a collection: which items are in it."""

    __slots__ = ("_attribute", "_ends", "query")

    def __init__(self, query: EntityQuery[Any]) -> None:
        self.query = query
        keys = query.key_range()
        is_text = keys.order[0][1] == "S" and not keys.keys[0].others
        self._attribute = keys.order[0][0]
        self._ends = ends_of(keys.keys[0].sort) if is_text else None

    def wants(self, item: Item) -> bool:
        """Tell whether *item*, which is of this type, lies in the range of its own and has not expired."""
        if self._ends is not None:
            low, high = self._ends
            text = item[self._attribute]["S"]
            if text < low or (high is not None and text > high):
                return False
        return self.query.wants(item)


# Building -------------------------------------------------------------------------------------------------------------

_METHOD: Final = "collection"


def build_collection(
    fields: Mapping[str, Any],
    entities: Iterable[EntityType[Any]],
    query: Callable[[EntityType[Any]], EntityQuery[Any]],
    *,
    index: Index | str | None,
    pattern: Pattern | None,
) -> CollectionQuery:
    """Return the query of *entities*; see :meth:`common.dynamo.Database.collection`.

    Args:
        fields: For the check that they are a mapping.
        entities: The types.
        query: Makes the query of one type.
        index: For messages.
        pattern: The name of the access pattern; ``None`` makes one of the models.
    """
    if not all(isinstance(name, str) for name in require_mapping("fields", fields)):
        raise ConfigurationError("fields of a collection must be named by texts.")
    types: Sequence[EntityType[Any]] = list(require_iterable("entities", entities, "EntityType objects"))
    if not types:
        raise ConfigurationError("entities must have at least one EntityType.")
    if len({id(entity) for entity in types}) != len(types):
        raise ConfigurationError("A collection names each entity type once.")
    members = tuple(query(entity) for entity in types)
    place = "the table" if index is None else index.name if isinstance(index, Index) else index
    for member in members[1:]:
        _check_shared(members[0], member, place)
    if pattern is not None:
        require_kind("pattern", pattern, Pattern)
    name = "+".join(entity.model.__name__ for entity in types)
    return CollectionQuery(members, pattern or Pattern(f"{name}.{_METHOD}", "Query"))


def _check_shared(first: EntityQuery[Any], other: EntityQuery[Any], place: str) -> None:
    """Refuse types that are not in one partition: of another table, by other templates, fields or shards."""
    one, two = first.plan.entity, other.plan.entity
    if first.plan.table != other.plan.table:
        raise ConfigurationError(
            f"{one.name} and {two.name} are in different tables ({first.plan.table!r}, {other.plan.table!r}), so no query "
            "reads both. Give them one group, or read them one by one."
        )
    mine, theirs = _partition_text(first), _partition_text(other)
    (few, many) = sorted((_partitions(first), _partitions(other)), key=len)
    if mine != theirs or not few <= many:
        raise ConfigurationError(
            f"{one.name} and {two.name} do not share a partition of {place}: {mine!r} is not {theirs!r}. The text, the "
            "fields and their types must be the same."
        )


def _partition_text(query: EntityQuery[Any]) -> str:
    entity = query.plan.entity
    keys = {index.name: index.key for index in entity.indexes}
    return (entity.key if query.index is None else keys[query.index]).partition_text


def _partitions(query: EntityQuery[Any]) -> set[str]:
    """Return the partition keys that *query* reads: of a sharded key one, or all of them."""
    return {repr((key.partition_name, key.partition, key.others)) for key in query.key_range().keys}
