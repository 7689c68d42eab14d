"""Index keys made of a model's own attributes, as DynamoDB has them since November 2025: up to four for the partition key
and four for the sort key (Developer Guide, "Multi-attribute keys pattern").

Nothing is written besides the fields themselves, so there is nothing to recompute: the engine moves the index entry with
whatever changes. Numbers sort by value without a width. An item without one of the attributes is not in the index.

>>> MultiKey(("tenant", "state"), ("due", "number")).text
'tenant, state / due, number'
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final, TypeGuard, cast, get_args
from uuid import UUID

from common.dynamo.annotations import FieldPlan
from common.dynamo.codec import refusal
from common.dynamo.key_components import Component
from common.dynamo.keys import PARTITION_LIMIT, SORT_LIMIT, Template
from common.dynamo.requests import AttributeValue, KeyAttribute, KeyCondition, KeySchema, ScalarType, SortCondition
from common.dynamo.value_classes import dataclass
from common.dynamo.value_codec import ValueCodec
from common.exceptions import ConfigurationError, FieldError, InvalidInput

__all__ = ["BoundMultiKey", "MultiKey", "bind_multi_key"]

_MOST: Final = 4
"""Attributes of each half of a key."""
_SORTED: Final = (str, int, Decimal, datetime, date, UUID)
"""What is stored as text or number in the order of its values."""


@dataclass(frozen=True)
class MultiKey:
    """The fields whose attributes are the key of a secondary index."""

    partition: tuple[str, ...]
    sort: tuple[str, ...]

    def __init__(self, partition: str | Sequence[str], sort: str | Sequence[str] = ()) -> None:
        """Take the names of fields.

        Args:
            partition: 1 to 4; a query names all of them.
            sort: Up to 4; a query names them from the left, and may range over the one that follows.

        Raises:
            ConfigurationError: Too few, too many, or one of them twice.
        """
        halves = tuple((half,) if isinstance(half, str) else tuple(half) for half in (partition, sort))
        names = [name for half in halves for name in half]
        if not halves[0] or any(len(half) > _MOST for half in halves):
            raise ConfigurationError(
                f"A key of several attributes has 1 to {_MOST} for the partition and up to {_MOST} to sort."
            )
        if len(set(names)) != len(names):
            raise ConfigurationError("A key of several attributes names each field once.")
        object.__setattr__(self, "partition", halves[0])
        object.__setattr__(self, "sort", halves[1])

    @property
    def fields(self) -> tuple[str, ...]:
        """All of them, partition first."""
        return self.partition + self.sort

    @property
    def partition_fields(self) -> tuple[str, ...]:
        """Those of the partition key."""
        return self.partition

    @property
    def components(self) -> tuple[Component, ...]:
        """All of them, as those of templates: none has a width."""
        return tuple(Component(name) for name in self.fields)

    @property
    def partition_text(self) -> str:
        """The fields of the partition key, in words."""
        return ", ".join(self.partition)

    @property
    def sort_text(self) -> str:
        """The fields of the sort key, in words."""
        return ", ".join(self.sort)

    @property
    def text(self) -> str:
        """Both, as errors and spans show them."""
        return " / ".join(filter(None, (self.partition_text, self.sort_text)))

    @property
    def stored_partition(self) -> Template:
        """What partition keys look like to a policy: values alone, so nothing that it could be limited to."""
        return Template(f"{{{self.partition[0]}}}")

    @property
    def shards(self) -> int:
        """1: the hash of several attributes spreads by itself."""
        return 1


# Bound to a model -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Attribute:
    """A field as an attribute of a key."""

    field: str
    name: str
    kind: ScalarType
    codec: ValueCodec

    def stored(self, value: Any) -> AttributeValue:
        """Return *value* as it is stored.

        Raises:
            InvalidInput: It is missing, empty, or does not fit the field.
        """
        if value is None:
            raise _invalid(self.field, f"{self.field} is missing; a key needs it.")
        try:
            stored = self.codec.encode(value)
        except (TypeError, ValueError, KeyError) as error:
            raise refusal(self.field, error) from None
        if not stored[self.kind]:
            raise _invalid(self.field, f"{self.field} is empty; DynamoDB takes no empty value in an index key.")
        return stored


@dataclass(frozen=True, slots=True)
class BoundMultiKey:
    """A :class:`MultiKey` whose fields know their attributes and types."""

    index: str
    partition: tuple[_Attribute, ...]
    sort: tuple[_Attribute, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """All fields, partition first."""
        return self.partition_fields + self.sort_fields

    @property
    def partition_fields(self) -> tuple[str, ...]:
        """The fields whose values a query always names."""
        return tuple(attribute.field for attribute in self.partition)

    @property
    def sort_fields(self) -> tuple[str, ...]:
        """The fields that a query may name from the left."""
        return tuple(attribute.field for attribute in self.sort)

    @property
    def order(self) -> tuple[KeyAttribute, ...]:
        """The attributes of the sort key."""
        return tuple((attribute.name, attribute.kind) for attribute in self.sort)

    @property
    def schema(self) -> KeySchema:
        """The key of the index, as a table has it."""
        first, *partition = [(attribute.name, attribute.kind) for attribute in self.partition]
        if not self.sort:
            return KeySchema(first[0], None, first[1], more_partition=tuple(partition))
        second, *sort = self.order
        return KeySchema(first[0], second[0], first[1], second[1], tuple(partition), tuple(sort))

    def conditions(
        self, partition: Sequence[Any], prefix: Sequence[Any], low: Any = None, high: Any = None
    ) -> tuple[KeyCondition, ...]:
        """Return the one condition; see :meth:`common.dynamo.bound_keys.QueryableKey.conditions`."""
        named = zip((*self.partition, *self.sort), (*partition, *prefix), strict=False)
        first, *others = [(attribute.name, attribute.stored(value)) for attribute, value in named]
        sort = None if low is None and high is None else self._range(len(prefix), low, high)
        name = None if sort is None else self.sort[len(prefix)].name
        return (KeyCondition(first[0], first[1], name, sort, tuple(others)),)

    def _range(self, position: int, low: Any, high: Any) -> SortCondition:
        if position >= len(self.sort):
            raise _invalid("", f"The key of {self.index} has no component left to range over.")
        attribute = self.sort[position]
        least = None if low is None else attribute.stored(low)
        greatest = None if high is None else attribute.stored(high)
        if least is None or greatest is None:
            return SortCondition(">=", least) if greatest is None else SortCondition("<=", greatest)  # type: ignore[arg-type]
        if _sortable(least) > _sortable(greatest):
            raise InvalidInput("The range of the query is empty: its lower end lies above the upper one.")
        return SortCondition("between", least, greatest)

    def check(self, row: Mapping[str, Any]) -> None:
        """Refuse values of *row*, field name to value, that no index key can hold; fields may be missing.

        Raises:
            InvalidInput: A text or binary is empty, or all of one half are over DynamoDB's limit together.
        """
        for half, limit in ((self.partition, PARTITION_LIMIT), (self.sort, SORT_LIMIT)):
            size = sum(
                _size(attribute.stored(row[attribute.field]))
                for attribute in half
                if attribute.kind != "N" and row.get(attribute.field) is not None
            )
            if size > limit:
                raise _invalid("", f"The key of {self.index} is over {limit} bytes.")

    def refuse_filter(self, attributes: Iterable[str]) -> None:
        """Refuse a filter by *attributes* of this key: DynamoDB takes conditions on them as key conditions alone.

        Raises:
            ConfigurationError: One of them is part of the key; the first is named by its field.
        """
        own = {attribute.name: attribute.field for attribute in (*self.partition, *self.sort)}
        for name in attributes:
            if name in own:
                raise ConfigurationError(
                    f"{own[name]} is part of the key of {self.index}, and DynamoDB filters by no attribute of a key: name it "
                    "in the query, or give its range in between()."
                )


def _size(stored: AttributeValue) -> int:
    ((kind, content),) = stored.items()
    return len(content.encode()) if kind == "S" else len(content)


def _sortable(stored: AttributeValue) -> Any:
    ((kind, content),) = stored.items()
    return Decimal(content) if kind == "N" else content


def _invalid(field: str, message: str) -> InvalidInput:
    return InvalidInput(message, errors=[FieldError(f"/{field}" if field else "", "invalid_key", message)])


# Compilation ----------------------------------------------------------------------------------------------------------


def bind_multi_key(
    index: str, key: MultiKey, plans: Mapping[str, FieldPlan], faults: list[str]
) -> BoundMultiKey | None:
    """Return *key* bound to the fields of a model; ``None``, and the reasons among *faults*, where it cannot be.

    Args:
        index: The name of the index.
        key: Its fields.
        plans: How each field is stored.
        faults: Where faults go, in words for the author of the entity type.
    """
    found = [
        *(f"index {index}: {fault}" for name in key.partition for fault in _faults(name, plans, sorts=False)),
        *(f"index {index}: {fault}" for name in key.sort for fault in _faults(name, plans, sorts=True)),
    ]
    faults += found
    if found:
        return None
    return BoundMultiKey(index, tuple(_attributes(key.partition, plans)), tuple(_attributes(key.sort, plans)))


def _attributes(names: Iterable[str], plans: Mapping[str, FieldPlan]) -> Iterator[_Attribute]:
    for name in names:
        plan = plans[name]
        (kind,) = plan.codec.tags - {"NULL"}
        yield _Attribute(name, plan.attribute, cast("ScalarType", kind), plan.codec)


def _faults(name: str, plans: Mapping[str, FieldPlan], *, sorts: bool) -> Iterator[str]:
    plan = plans.get(name)
    if plan is None:
        yield f"the model has no stored field {name!r}"
        return
    tags = plan.codec.tags - {"NULL"}
    if len(tags) != 1 or not _is_scalar(next(iter(tags))):
        yield f"{name} is stored as {' or '.join(sorted(tags))}, and an attribute of a key is a text, a number or binary"
    elif sorts and not _sorts(plan.codec.kind) and tags != {"B"}:
        yield f"{name} is stored as a text that does not sort as its values do; it can be part of the partition key alone"
    if plan.keeps_null:
        yield f"{name} may be stored as NULL, which no index key holds; give it the default None"


def _is_scalar(tag: str) -> TypeGuard[ScalarType]:
    return tag in get_args(ScalarType)


def _sorts(kind: type) -> bool:
    return kind in _SORTED or issubclass(kind, Enum)
