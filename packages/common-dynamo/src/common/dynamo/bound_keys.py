"""Keys of an entity type, bound to the types of its fields: what writes store, and the conditions that queries ask."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, Protocol

from common.dynamo.generated_code import Constants, Inline, define
from common.dynamo.key_order import from_to
from common.dynamo.keys import BoundTemplate
from common.dynamo.requests import AttributeValue, KeyCondition, ScalarType, SortCondition
from common.dynamo.shards import Sharding, shard_of, shard_partition
from common.dynamo.value_classes import dataclass
from common.exceptions import InvalidInput

__all__ = ["BoundKey", "QueryableKey"]


class QueryableKey(Protocol):
    """What a query needs to know of a key, of the table or of an index."""

    @property
    def partition_fields(self) -> tuple[str, ...]:
        """The fields whose values a query always names."""

    @property
    def sort_fields(self) -> tuple[str, ...]:
        """The fields that a query may name from the left."""

    @property
    def order(self) -> tuple[tuple[str, ScalarType], ...]:
        """The attributes that order the items of one partition, with their types."""

    def conditions(
        self, partition: Sequence[Any], prefix: Sequence[Any], low: Any = None, high: Any = None
    ) -> tuple[KeyCondition, ...]:
        """Return the key condition of each partition to be read.

        Args:
            partition: The values of :attr:`partition_fields`.
            prefix: Values of the leading :attr:`sort_fields`.
            low: The least value of the next one, included; ``None`` leaves that end open.
            high: The greatest value of it, included; ``None`` leaves that end open.

        Raises:
            InvalidInput: A value cannot be part of the key, nothing is left to range over, or the range is empty.
        """


class CompiledKey:
    """Makes the attributes of a key by a function that is made when it is first needed; see :mod:`.generated_code`.

    Args:
        names: The two attributes.
        partition: Makes the first.
        sort: Makes the second.
    """

    __slots__ = ("_names", "_templates", "make")

    def __init__(self, names: tuple[str, str], partition: BoundTemplate, sort: BoundTemplate) -> None:
        self._names = names
        self._templates = (partition, sort)
        self.make: Callable[[Mapping[str, Any]], dict[str, AttributeValue]] = self._first_make
        """Row to attributes; raises ``TypeError`` or ``ValueError`` for what the templates have to look at."""

    def _first_make(self, row: Mapping[str, Any]) -> dict[str, AttributeValue]:
        self.make = self._compiled()
        return self.make(row)

    def _compiled(self) -> Callable[[Mapping[str, Any]], dict[str, AttributeValue]]:
        constants, body, stored = Constants(), ["get = row.get"], []
        for key, name, template in zip(("k0", "k1"), self._names, self._templates, strict=True):
            parts = [repr(template.template.literals[0])]
            for field_name, encode, inline, literal in template.parts():
                number = len(constants)
                constants[f"encode_{number}"] = encode
                body += [f"v = get({field_name!r})", f"c{number} = {_component_source(inline, number, constants)}"]
                parts += [f"c{number}", *([repr(literal)] if literal else [])]
            # In UTF-8 a character has four bytes at most.
            body += [f"{key} = {' + '.join(parts)}", f"if len({key}) > {template.limit // 4}: raise ValueError"]
            stored.append(f"{name!r}: {{'S': {key}}}")
        return define("make", "row", [*body, f"return {{{', '.join(stored)}}}"], constants)


def _component_source(inline: Inline | None, number: int, constants: Constants) -> str:
    if inline is None:
        return f"encode_{number}(v)"
    taken = constants.taking(inline, number)
    return f"({taken.writes}) if {taken.accepts} else encode_{number}(v)"


@dataclass(frozen=True, slots=True)
class BoundKey:
    """A partition and a sort template over the same row."""

    names: tuple[str, str]
    """The two attributes."""
    partition: BoundTemplate
    sort: BoundTemplate
    fields: tuple[str, ...]
    """The fields of both, partition first, each once."""
    sharding: Sharding | None = None
    """Over how many partitions the items are spread; ``None`` for one."""
    compiled: "CompiledKey" = field(init=False, repr=False, compare=False)
    """Makes both attributes in one pass, where there are no shards."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "compiled", CompiledKey(self.names, self.partition, self.sort))

    @property
    def partition_fields(self) -> tuple[str, ...]:
        """One per component of the partition template."""
        return self.partition.fields

    @property
    def sort_fields(self) -> tuple[str, ...]:
        """One per component of the sort template."""
        return self.sort.fields

    @property
    def order(self) -> tuple[tuple[str, ScalarType], ...]:
        """The sort key, a text."""
        return ((self.names[1], "S"),)

    def attributes(self, row: Mapping[str, Any]) -> dict[str, AttributeValue]:
        """Return both key attributes of *row*, field name to value.

        Args:
            row: With the fields of the key, and with those of the primary key where this one has shards.

        Raises:
            InvalidInput: A value is missing, empty, of another type or too wide.
        """
        if self.sharding is None:
            try:
                return self.compiled.make(row)
            except (TypeError, ValueError, KeyError):
                pass  # which value it was, the templates tell below
        get = row.get
        partition = self.partition.build([get(name) for name in self.partition.fields])
        if self.sharding is not None:
            partition = shard_partition(partition, self.sharding.of(row))
        return {
            self.names[0]: {"S": partition},
            self.names[1]: {"S": self.sort.build([get(name) for name in self.sort.fields])},
        }

    def conditions(
        self, partition: Sequence[Any], prefix: Sequence[Any], low: Any = None, high: Any = None
    ) -> tuple[KeyCondition, ...]:
        """Return the condition of each shard, in order; of one alone where the values tell an item of the table."""
        condition = self.sort_condition(prefix, low, high)
        name, sort_name = self.names[0], None if condition is None else self.names[1]
        texts = self.partitions(partition, prefix)
        return tuple([KeyCondition(name, {"S": text}, sort_name, condition) for text in texts])

    def partitions(self, values: Sequence[Any], prefix: Sequence[Any] = ()) -> tuple[str, ...]:
        """Return the partition keys under which items with these leading values are."""
        text = self.partition.build(values)
        if self.sharding is None:
            return (text,)
        if self.sharding.sort is self.sort and len(prefix) == len(self.sort.fields):
            return (shard_partition(text, shard_of(text, self.sort.build(prefix), self.sharding.count)),)
        return tuple(shard_partition(text, shard) for shard in range(self.sharding.count))

    def sort_condition(self, prefix: Sequence[Any], low: Any = None, high: Any = None) -> SortCondition | None:
        """Return the condition on the sort key; see :meth:`conditions`."""
        if low is not None or high is not None:
            return self._between(prefix, low, high)
        text = self.sort.prefix(prefix)
        if len(prefix) == len(self.sort.fields):
            return SortCondition("=", {"S": text})
        return SortCondition("begins_with", {"S": text}) if text else None

    def _between(self, prefix: Sequence[Any], low: Any, high: Any) -> SortCondition:
        lowest, highest = self.sort.bounds(prefix, low, high)
        if highest is not None and lowest > highest:
            raise InvalidInput("The range of the query is empty: its lower end lies above the upper one.")
        return from_to(lowest, highest)
