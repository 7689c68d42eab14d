"""Tables: their definitions in the database, and what each one's statements are."""

# ruff: noqa: S608 - the only parts of a statement that vary are names made here from numbers

import re
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import orjson

from common.dynamo.requests import IndexDefinition, KeySchema, TableDefinition
from common.dynamo.wire.embedded.keys import KeyBytes, index_key
from common.dynamo.wire.embedded.refusal import Refused, invalid, not_found
from common.dynamo.wire.embedded.values import Stored, item_size

_NAME = re.compile(r"[a-zA-Z0-9_.-]{3,255}")
_MAX_INDEXES = 20
_LISTED_AT_ONCE = 100
_MAX_KEY_ATTRIBUTES = 4
"""Of the partition key of an index, and of its sort key (Developer Guide, "Multi-attribute keys pattern")."""


class IndexTable:
    """A global secondary index: rows that point from index keys to items."""

    def __init__(self, table_id: int, position: int, definition: IndexDefinition, table_key: KeySchema) -> None:
        self.definition = definition
        self.name = definition.name
        self.key = definition.key
        self.rows = f"index_{table_id}_{position}"
        self.insert = f"INSERT INTO {self.rows} (ipk, isk, pk, sk, item) VALUES (?, ?, ?, ?, ?)"
        self.delete = f"DELETE FROM {self.rows} WHERE ipk = ? AND isk = ? AND pk = ? AND sk = ?"
        halves = (table_key.partitions, table_key.sorts, self.key.partitions, self.key.sorts)
        self.key_names = tuple(sorted({name for half in halves for name, _ in half}))
        self._projected = None if definition.projection == "ALL" else frozenset((*self.key_names, *definition.include))

    @property
    def is_complete(self) -> bool:
        """Whether the index holds every attribute of its items."""
        return self._projected is None

    def entry(self, item: Stored | None) -> KeyBytes | None:
        """Return the index key of *item*; ``None`` where the index has no entry for it."""
        return None if item is None else index_key(self.key, item, self.name)

    def view(self, item: Stored) -> Stored:
        """Return what the index holds of *item*."""
        if self._projected is None:
            return item
        return {name: value for name, value in item.items() if name in self._projected}

    def view_size(self, item: Stored, size: int) -> int:
        """Return the bytes that the index holds of *item*, which has *size* bytes."""
        return size if self._projected is None else item_size(self.view(item))

    def lacks(self, names: set[str]) -> set[str]:
        """Return those of *names* that the index does not hold."""
        return set() if self._projected is None else names - self._projected


class Table:
    """A table as this process knows it, with its statements ready."""

    def __init__(self, table_id: int, created: float, definition: TableDefinition) -> None:
        self.id = table_id
        self.created = created
        self.definition = definition
        self.name = definition.name
        self.key = definition.key
        self.key_names = (self.key.partition,) if self.key.sort is None else (self.key.partition, self.key.sort)
        self.rows = f"items_{table_id}"
        self.changes = f"changes_{table_id}"
        """Where its changes are, if it keeps them."""
        self.select = f"SELECT id, size, item FROM {self.rows} WHERE pk = ? AND sk = ?"
        self.insert = f"INSERT INTO {self.rows} (pk, sk, size, item) VALUES (?, ?, ?, ?)"
        self.replace = f"UPDATE {self.rows} SET size = ?, item = ? WHERE id = ?"
        self.delete = f"DELETE FROM {self.rows} WHERE id = ?"
        self.indexes = tuple(
            IndexTable(table_id, position, index, self.key) for position, index in enumerate(definition.indexes)
        )

    def index(self, name: str) -> IndexTable:
        """Return the index called *name*.

        Raises:
            Refused: The table has no such index.
        """
        for index in self.indexes:
            if index.name == name:
                return index
        raise invalid(f"The table does not have the specified index: {name}")


def load(connection: sqlite3.Connection, name: str) -> Table:
    """Return the table called *name*.

    Raises:
        Refused: There is no such table.
    """
    row = connection.execute("SELECT id, created, definition FROM dynamo_tables WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise not_found(name)
    return Table(row[0], row[1], _definition(orjson.loads(row[2])))


def _definition(fields: Mapping[str, Any]) -> TableDefinition:
    indexes = tuple(
        IndexDefinition(index["name"], _stored_schema(index["key"]), index["projection"], tuple(index["include"]))
        for index in fields["indexes"]
    )
    return TableDefinition(**{**fields, "key": _stored_schema(fields["key"]), "indexes": indexes})


def _stored_schema(fields: Mapping[str, Any]) -> KeySchema:
    more = {
        name: tuple((each[0], each[1]) for each in fields.get(name, ())) for name in ("more_partition", "more_sort")
    }
    return KeySchema(**{**fields, **more})


def create(connection: sqlite3.Connection, definition: TableDefinition, now: float) -> Mapping[str, Any]:
    """Make a table and its indexes; return its description."""
    _check(definition)
    definition = replace(definition, ttl_attribute=None)  # a request of its own switches TTL on
    try:
        table = _insert(connection, definition, now)
    except sqlite3.IntegrityError:
        raise Refused("ResourceInUseException", f"Table already exists: {definition.name}") from None
    if definition.stream:
        _make_changes(connection, table)
    connection.execute(
        f"CREATE TABLE {table.rows} (id INTEGER PRIMARY KEY, pk BLOB NOT NULL, sk BLOB NOT NULL,"
        " size INTEGER NOT NULL, item BLOB NOT NULL, UNIQUE (pk, sk))"
    )
    for index in table.indexes:
        connection.execute(
            f"CREATE TABLE {index.rows} (ipk BLOB NOT NULL, isk BLOB NOT NULL, pk BLOB NOT NULL, sk BLOB NOT NULL,"
            " item INTEGER NOT NULL, PRIMARY KEY (ipk, isk, pk, sk)) WITHOUT ROWID"
        )
    return {**describe(table), "TableStatus": "CREATING"}


def _make_changes(connection: sqlite3.Connection, table: Table) -> None:
    connection.execute(
        f"CREATE TABLE {table.changes} (number INTEGER PRIMARY KEY, at REAL NOT NULL, old BLOB, new BLOB)"
    )


def keep_changes(connection: sqlite3.Connection, name: str) -> None:
    """Have a table keep its changes from now on; nothing happens where it does."""
    old = load(connection, name)
    if old.definition.stream:
        return
    # Other processes know the table without its feed. Under a new number they do not find it, and look again.
    connection.execute("DELETE FROM dynamo_tables WHERE id = ?", (old.id,))
    table = _insert(connection, replace(old.definition, stream=True), old.created)
    _make_changes(connection, table)
    renamed = [(old.rows, table.rows)]
    renamed += [(index.rows, moved.rows) for index, moved in zip(old.indexes, table.indexes, strict=True)]
    for before, after in renamed:
        connection.execute(f"ALTER TABLE {before} RENAME TO {after}")


def _insert(connection: sqlite3.Connection, definition: TableDefinition, created: float) -> Table:
    table_id = connection.execute(
        "INSERT INTO dynamo_tables (name, definition, created) VALUES (?, ?, ?)",
        (definition.name, orjson.dumps(asdict(definition)), created),
    ).lastrowid
    return Table(int(table_id or 0), created, definition)


def _check(definition: TableDefinition) -> None:
    names = [index.name for index in definition.indexes]
    for name in (definition.name, *names):
        if not _NAME.fullmatch(name):
            raise invalid("TableName and IndexName must be 3 to 255 characters of a-z, A-Z, 0-9, '_', '-' and '.'")
    if len(set(names)) != len(names):
        raise invalid("One or more parameter values were invalid: Duplicate index name")
    if len(names) > _MAX_INDEXES:
        raise invalid(f"One or more parameter values were invalid: more than {_MAX_INDEXES} global secondary indexes")
    _check_composites(definition)
    types: dict[str, str] = {}
    for name, kind in _key_types(definition):
        if types.setdefault(name, kind) != kind:
            raise invalid(f"One or more parameter values were invalid: {name} is defined with two types")


def _check_composites(definition: TableDefinition) -> None:
    if definition.key.is_composite:
        raise invalid("One or more parameter values were invalid: the key of a table has one attribute of each type")
    for index in definition.indexes:
        halves = (index.key.partitions, index.key.sorts)
        names = [name for half in halves for name, _ in half]
        if any(len(half) > _MAX_KEY_ATTRIBUTES for half in halves) or (index.key.more_sort and not index.key.sort):
            raise invalid(f"One or more parameter values were invalid: too many key attributes in index {index.name}")
        if len(set(names)) != len(names):
            raise invalid(f"One or more parameter values were invalid: a key attribute twice in index {index.name}")


def _key_types(definition: TableDefinition) -> list[tuple[str, str]]:
    pairs = []
    for schema in (definition.key, *(index.key for index in definition.indexes)):
        pairs += [(name, str(kind)) for name, kind in (*schema.partitions, *schema.sorts)]
    return pairs


def drop(connection: sqlite3.Connection, name: str) -> Mapping[str, Any]:
    """Take a table away, with its items; return its description."""
    table = load(connection, name)
    for index in table.indexes:
        connection.execute(f"DROP TABLE {index.rows}")
    connection.execute(f"DROP TABLE {table.rows}")
    if table.definition.stream:
        connection.execute(f"DROP TABLE {table.changes}")
    connection.execute("DELETE FROM dynamo_tables WHERE id = ?", (table.id,))
    return {**describe(table), "TableStatus": "DELETING"}


def names(connection: sqlite3.Connection, start: str | None) -> Mapping[str, Any]:
    """Return a page of table names after *start*, in order."""
    rows = connection.execute(
        "SELECT name FROM dynamo_tables WHERE name > ? ORDER BY name LIMIT ?", (start or "", _LISTED_AT_ONCE + 1)
    ).fetchall()
    found = [name for (name,) in rows[:_LISTED_AT_ONCE]]
    return {"TableNames": found, **({"LastEvaluatedTableName": found[-1]} if len(rows) > len(found) else {})}


def set_ttl(connection: sqlite3.Connection, name: str, attribute: str) -> Mapping[str, Any]:
    """Name the attribute that holds the expiry of items. Nothing is ever swept: expired items stay, and are hidden."""
    table = load(connection, name)
    if table.definition.ttl_attribute is not None:
        raise invalid("TimeToLive is already enabled")
    fields = {**asdict(table.definition), "ttl_attribute": attribute}
    connection.execute("UPDATE dynamo_tables SET definition = ? WHERE id = ?", (orjson.dumps(fields), table.id))
    return {"TimeToLiveSpecification": {"Enabled": True, "AttributeName": attribute}}


def describe_ttl(connection: sqlite3.Connection, name: str) -> Mapping[str, Any]:
    """Return whether expiry is on, and by which attribute."""
    attribute = load(connection, name).definition.ttl_attribute
    description = {"TimeToLiveStatus": "DISABLED"}
    if attribute is not None:
        description = {"TimeToLiveStatus": "ENABLED", "AttributeName": attribute}
    return {"TimeToLiveDescription": description}


def describe(table: Table) -> Mapping[str, Any]:
    """Return the table's description, in the shape of the API."""
    definition = table.definition
    arn = f"arn:aws:dynamodb:embedded:000000000000:table/{table.name}"
    description: dict[str, Any] = {
        "TableName": table.name,
        "TableStatus": "ACTIVE",
        "TableArn": arn,
        "CreationDateTime": table.created,
        "KeySchema": _key_schema(definition.key),
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": kind} for name, kind in dict(_key_types(definition)).items()
        ],
        "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
        "DeletionProtectionEnabled": False,
    }
    if definition.indexes:
        description["GlobalSecondaryIndexes"] = [_describe_index(index, arn) for index in definition.indexes]
    if definition.stream:
        description["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    return description


def _describe_index(index: IndexDefinition, arn: str) -> Mapping[str, Any]:
    projection: dict[str, Any] = {"ProjectionType": index.projection}
    if index.projection == "INCLUDE":
        projection["NonKeyAttributes"] = list(index.include)
    return {
        "IndexName": index.name,
        "IndexStatus": "ACTIVE",
        "IndexArn": f"{arn}/index/{index.name}",
        "KeySchema": _key_schema(index.key),
        "Projection": projection,
    }


def _key_schema(schema: KeySchema) -> list[dict[str, str]]:
    halves = (("HASH", schema.partitions), ("RANGE", schema.sorts))
    return [{"AttributeName": name, "KeyType": role} for role, attributes in halves for name, _ in attributes]
