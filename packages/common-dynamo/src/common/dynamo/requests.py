"""Request values: what is asked of DynamoDB, as plain immutable data.

Pure: nothing here does I/O. A request is built by the core above, executed by a wire below (:mod:`common.dynamo.wire`),
and compared in tests without either. Conditions and updates are trees of values, never strings, so the embedded wire
evaluates them as they are and the network wires render them (:mod:`common.dynamo.wire.render`).

Attribute values have DynamoDB's own JSON form, ``{"S": "text"}``, ``{"N": "12.5"}``: numbers as canonical digit strings,
binary as ``bytes``. An item is a mapping from attribute name to attribute value.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, ClassVar, Literal, TypeAlias

from common.dynamo.value_classes import dataclass

AttributeValue: TypeAlias = Mapping[str, Any]
"""One of ``{"S": str}``, ``{"N": str}``, ``{"B": bytes}``, ``{"BOOL": bool}``, ``{"NULL": True}``,
``{"L": [AttributeValue, ...]}``, ``{"M": {str: AttributeValue}}``, ``{"SS"|"NS": [str, ...]}``, ``{"BS": [bytes, ...]}``."""
Item: TypeAlias = Mapping[str, AttributeValue]
ItemKey: TypeAlias = Mapping[str, AttributeValue]
"""The primary key attributes of one item."""


# Operands -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Path:
    """A document path: attribute name, then map keys (``str``) and list indexes (``int``)."""

    parts: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Constant:
    """An attribute value given by the caller; always sent as a placeholder."""

    value: AttributeValue


@dataclass(frozen=True, slots=True)
class Size:
    """``size(path)``: length in characters, bytes or members."""

    path: Path


Operand: TypeAlias = Path | Constant | Size


# Conditions -----------------------------------------------------------------------------------------------------------

Comparator: TypeAlias = Literal["=", "<>", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Compare:
    """``left op right``. A missing attribute, or another type, makes it false (``<>`` true)."""

    op: Comparator
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Between:
    """``operand BETWEEN low AND high``, both ends included."""

    operand: Operand
    low: Operand
    high: Operand


@dataclass(frozen=True, slots=True)
class In:
    """``operand IN (...)``; 1 to 100 options."""

    operand: Operand
    options: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Exists:
    """``attribute_exists(path)``."""

    path: Path


@dataclass(frozen=True, slots=True)
class NotExists:
    """``attribute_not_exists(path)``."""

    path: Path


@dataclass(frozen=True, slots=True)
class HasType:
    """``attribute_type(path, type)``."""

    path: Path
    type: str


@dataclass(frozen=True, slots=True)
class BeginsWith:
    """``begins_with(path, prefix)``, for S and B."""

    path: Path
    prefix: Operand


@dataclass(frozen=True, slots=True)
class Contains:
    """``contains(path, member)``: substring of S or B, member of a set or list."""

    path: Path
    member: Operand


@dataclass(frozen=True, slots=True)
class And:
    """All *parts* hold; at least one part."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Some of *parts* holds; at least one part."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """*part* does not hold."""

    part: "Condition"


Condition: TypeAlias = Compare | Between | In | Exists | NotExists | HasType | BeginsWith | Contains | And | Or | Not


# Updates --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Plus:
    """``left + right`` on numbers."""

    left: "SetValue"
    right: "SetValue"


@dataclass(frozen=True, slots=True)
class Minus:
    """``left - right`` on numbers."""

    left: "SetValue"
    right: "SetValue"


@dataclass(frozen=True, slots=True)
class IfNotExists:
    """``if_not_exists(path, default)``."""

    path: Path
    default: "SetValue"


@dataclass(frozen=True, slots=True)
class ListAppend:
    """``list_append(left, right)``."""

    left: "SetValue"
    right: "SetValue"


SetValue: TypeAlias = Path | Constant | Plus | Minus | IfNotExists | ListAppend


@dataclass(frozen=True, slots=True)
class Update:
    """An update expression, clause by clause. No two actions may touch overlapping paths."""

    set: Sequence[tuple[Path, SetValue]] = ()
    """A tuple, or :class:`common.dynamo.assignments.Assignments`."""
    remove: tuple[Path, ...] = ()
    add: tuple[tuple[Path, Constant], ...] = ()
    """Numbers are added to, sets united with; an absent attribute counts as zero or empty."""
    delete: tuple[tuple[Path, Constant], ...] = ()
    """Members taken out of a set."""


# Single items ---------------------------------------------------------------------------------------------------------

ReturnValues: TypeAlias = Literal["NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GetItem:
    """Read one item."""

    operation: ClassVar[str] = "GetItem"
    table: str
    key: ItemKey
    consistent: bool = False
    projection: tuple[Path, ...] = ()
    """Empty: the whole item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PutItem:
    """Every conditional write asks for the stored item when its condition fails (ALL_OLD)."""

    operation: ClassVar[str] = "PutItem"
    table: str
    item: Item
    condition: Condition | None = None
    returns: ReturnValues = "NONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateItem:
    """Change one item, or make it where it is missing and the condition allows."""

    operation: ClassVar[str] = "UpdateItem"
    table: str
    key: ItemKey
    update: Update
    condition: Condition | None = None
    returns: ReturnValues = "NONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteItem:
    """Remove one item."""

    operation: ClassVar[str] = "DeleteItem"
    table: str
    key: ItemKey
    condition: Condition | None = None
    returns: ReturnValues = "NONE"


# Reads of many items --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SortCondition:
    """A condition on the sort key of a query: ``=``, ``<``, ``<=``, ``>``, ``>=``, ``between`` or ``begins_with``."""

    op: Literal["=", "<", "<=", ">", ">=", "between", "begins_with"]
    value: AttributeValue
    upper: AttributeValue | None = None
    """The upper end of ``between``, included."""


@dataclass(frozen=True, slots=True)
class KeyCondition:
    """The partition of a query and, optionally, a range of its sort key; the partition key always comes first."""

    partition_name: str
    partition: AttributeValue
    sort_name: str | None = None
    sort: SortCondition | None = None
    others: tuple[tuple[str, AttributeValue], ...] = ()
    """Further attributes of a key of several, and what each equals: the rest of the partition key, then those of the sort
    key that come before :attr:`sort_name`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Read a range of one partition, of the table or of an index."""

    operation: ClassVar[str] = "Query"
    table: str
    key: KeyCondition
    index: str | None = None
    filter: Condition | None = None
    consistent: bool = False
    forward: bool = True
    limit: int | None = None
    """Items examined at most, before the filter; at least 1."""
    start: ItemKey | None = None
    """ExclusiveStartKey: the table's key and, on an index, the index key of the last item examined."""
    projection: tuple[Path, ...] = ()
    count_only: bool = False
    """``Select=COUNT``: the answer has no items."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """Read everything, page by page; for backfills."""

    operation: ClassVar[str] = "Scan"
    table: str
    index: str | None = None
    filter: Condition | None = None
    consistent: bool = False
    limit: int | None = None
    start: ItemKey | None = None
    projection: tuple[Path, ...] = ()
    segment: int | None = None
    total_segments: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchGetItem:
    """Read many items, each by its key; some may come back unprocessed."""

    operation: ClassVar[str] = "BatchGetItem"
    keys: Mapping[str, tuple[ItemKey, ...]]
    """Table name to keys; 1 to 100 in all, none twice."""
    consistent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchWriteItem:
    """Write many items, each by itself: no condition, no atomicity; some may come back unprocessed."""

    operation: ClassVar[str] = "BatchWriteItem"
    writes: Mapping[str, tuple[PutItem | DeleteItem, ...]]
    """Table name to unconditional puts and deletes; 1 to 25 in all, no item twice."""


# Transactions ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionCheck:
    """A part of a transaction that writes nothing and holds the others to its condition."""

    operation: ClassVar[str] = "ConditionCheck"
    table: str
    key: ItemKey
    condition: Condition


TransactPart: TypeAlias = PutItem | UpdateItem | DeleteItem | ConditionCheck


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactWriteItems:
    """All parts or none, in the caller's order; 1 to 100 parts, no item twice, 4 MB in all."""

    operation: ClassVar[str] = "TransactWriteItems"
    parts: tuple[TransactPart, ...]
    token: str | None = None
    """ClientRequestToken, 1 to 36 characters; remembered for ten minutes. Correctness never rests on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactGetItems:
    """Read up to 100 items as of one moment."""

    operation: ClassVar[str] = "TransactGetItems"
    parts: tuple[GetItem, ...]


# Tables ---------------------------------------------------------------------------------------------------------------

ScalarType: TypeAlias = Literal["S", "N", "B"]
KeyAttribute: TypeAlias = tuple[str, ScalarType]
"""Name and type of an attribute of a key."""


@dataclass(frozen=True, slots=True)
class KeySchema:
    """Names and scalar types of a primary or index key."""

    partition: str
    sort: str | None = None
    partition_type: ScalarType = "S"
    sort_type: ScalarType = "S"
    more_partition: tuple[KeyAttribute, ...] = ()
    """Up to 3 attributes of the partition key after :attr:`partition`; of a secondary index alone."""
    more_sort: tuple[KeyAttribute, ...] = ()
    """Up to 3 attributes of the sort key after :attr:`sort`; of a secondary index alone."""

    @property
    def partitions(self) -> tuple[KeyAttribute, ...]:
        """All attributes of the partition key, in order."""
        return ((self.partition, self.partition_type), *self.more_partition)

    @property
    def sorts(self) -> tuple[KeyAttribute, ...]:
        """All attributes of the sort key, in order; none where there is no sort key."""
        return () if self.sort is None else ((self.sort, self.sort_type), *self.more_sort)

    @property
    def is_composite(self) -> bool:
        """Whether a half of it has several attributes."""
        return bool(self.more_partition or self.more_sort)


@dataclass(frozen=True, slots=True)
class IndexDefinition:
    """A global secondary index."""

    name: str
    key: KeySchema
    projection: Literal["ALL", "KEYS_ONLY", "INCLUDE"] = "ALL"
    include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDefinition:
    """A table with on-demand capacity."""

    name: str
    key: KeySchema
    indexes: tuple[IndexDefinition, ...] = ()
    ttl_attribute: str | None = None
    stream: bool = False
    """NEW_AND_OLD_IMAGES."""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTable:
    """Make a table."""

    operation: ClassVar[str] = "CreateTable"
    definition: TableDefinition

    @property
    def table(self) -> str:
        """Return the table's name, as every request on one table has it."""
        return self.definition.name


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeTable:
    """Read the state and definition of a table."""

    operation: ClassVar[str] = "DescribeTable"
    table: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteTable:
    """Remove a table with everything in it."""

    operation: ClassVar[str] = "DeleteTable"
    table: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTables:
    """Read the names of the tables, a page at a time."""

    operation: ClassVar[str] = "ListTables"
    start: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeTimeToLive:
    """Read which attribute expires items."""

    operation: ClassVar[str] = "DescribeTimeToLive"
    table: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateTimeToLive:
    """Switch the table's TTL on."""

    operation: ClassVar[str] = "UpdateTimeToLive"
    table: str
    attribute: str


WriteRequest: TypeAlias = PutItem | UpdateItem | DeleteItem | BatchWriteItem | TransactWriteItems
ReadRequest: TypeAlias = GetItem | Query | Scan | BatchGetItem | TransactGetItems
TableRequest: TypeAlias = CreateTable | DescribeTable | DeleteTable | ListTables | DescribeTimeToLive | UpdateTimeToLive
Request: TypeAlias = WriteRequest | ReadRequest | TableRequest
