"""The change feed: the records of a stream, in the transaction of the change, in order, for 24 hours."""

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from common.dynamo import Database, EntityType, Key, Pattern
from common.dynamo.exceptions import ChangesTrimmed, InvalidCursor, TransactionCanceled
from common.dynamo.requests import (
    BatchWriteItem,
    ConditionCheck,
    DeleteItem,
    DeleteTable,
    Exists,
    PutItem,
    Request,
    TransactWriteItems,
    Update,
    UpdateItem,
)
from common.dynamo.testing import spend
from common.dynamo.testing.engines import Engine
from common.dynamo.testing.examples import NOTE, Note
from common.dynamo.testing.streams import Record, feed_records
from common.dynamo.testing.values import B, N, S, const, key, path
from common.exceptions import ConfigurationError

WRITE = Pattern("Test.write", "PutItem")
TABLE = "app"
HOUR = 3600.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.25

    def __call__(self) -> float:
        return self.now


class Event(BaseModel):
    id: str


EVENT = EntityType(Event, "event", key=Key("EVENT#{id}", "EVENT"), group="events")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def embedded(clock: Clock) -> Iterator[Database]:
    """A database in memory that keeps its changes."""
    with Database.embedded(entity_types=[NOTE], stream=True, clock=clock) as database:
        yield database


@pytest.fixture
def streamed(engine: Engine, table_name: str) -> Iterator[Database]:
    """A database of the run's engine whose table keeps its changes."""
    with engine.open(table=table_name, stream=True) as database:
        yield database


def write(database: Database, *requests: Request) -> None:
    for request in requests:
        database.execute(request, WRITE)


def put(sort: str, *, table: str = TABLE, **attributes: Any) -> PutItem:
    return PutItem(table=table, item={**key("p", sort), **attributes})


def told(records: Sequence[Record]) -> list[tuple[str, str]]:
    """Return what happened to which sort key."""
    return [(record["eventName"], record["dynamodb"]["Keys"]["sk"]["S"]) for record in records]


def number_of(record: Record) -> str:
    return str(record["dynamodb"]["SequenceNumber"])


# What is recorded -----------------------------------------------------------------------------------------------------


def test_each_write_makes_the_record_of_a_stream(engine: Engine, streamed: Database, table_name: str) -> None:
    """A put makes an INSERT, an update a MODIFY, a deletion a REMOVE, with the images before and after."""
    change = Update(set=((path("n"), const(N(2))),))
    write(
        streamed,
        put("1", table=table_name, n=N(1), b=B(b"\x00\xff"), tags={"SS": ["x"]}),
        UpdateItem(table=table_name, key=key("p", "1"), update=change),
        DeleteItem(table=table_name, key=key("p", "1")),
    )
    records = engine.changes(streamed)

    first = {**key("p", "1"), "n": N(1), "b": B(b"\x00\xff"), "tags": {"SS": ["x"]}}
    second = {**first, "n": N(2)}
    images = [(record["dynamodb"].get("OldImage"), record["dynamodb"].get("NewImage")) for record in records]
    assert ["INSERT", "MODIFY", "REMOVE"] == [record["eventName"] for record in records]
    assert [(None, first), (first, second), (second, None)] == images
    for record in records:
        assert {"aws:dynamodb"} == {record["eventSource"]}
        assert {"NEW_AND_OLD_IMAGES"} == {record["dynamodb"]["StreamViewType"]}
        assert key("p", "1") == record["dynamodb"]["Keys"]
        assert isinstance(record["dynamodb"]["ApproximateCreationDateTime"], datetime)
        assert record["dynamodb"]["ApproximateCreationDateTime"].tzinfo is not None
    assert 3 == len({record["eventID"] for record in records})
    assert sorted(map(number_of, records), key=int) == [number_of(record) for record in records]


def test_the_parts_of_a_transaction_follow_each_other(engine: Engine, streamed: Database, table_name: str) -> None:
    """In their order, one record each, none for a condition; and none at all where it is canceled."""
    check = ConditionCheck(table=table_name, key=key("p", "9"), condition=Exists(path("pk")))
    write(streamed, put("9", table=table_name), put("3", table=table_name))
    parts = (
        put("2", table=table_name),
        check,
        DeleteItem(table=table_name, key=key("p", "3")),
        put("1", table=table_name),
    )
    write(streamed, TransactWriteItems(parts=parts))
    missing = ConditionCheck(table=table_name, key=key("p", "8"), condition=Exists(path("pk")))
    with pytest.raises(TransactionCanceled):
        write(streamed, TransactWriteItems(parts=(put("4", table=table_name), missing)))

    assert [("INSERT", "2"), ("REMOVE", "3"), ("INSERT", "1")] == told(engine.changes(streamed))[2:]


def test_each_write_of_a_batch_makes_a_record(engine: Engine, streamed: Database, table_name: str) -> None:
    """And so does a batch that replaces what is there."""
    first = (put("1", table=table_name, n=N(1)), put("2", table=table_name))
    second = (put("1", table=table_name, n=N(2)), DeleteItem(table=table_name, key=key("p", "2")))
    write(streamed, BatchWriteItem(writes={table_name: first}), BatchWriteItem(writes={table_name: second}))

    found = told(engine.changes(streamed))
    assert [("INSERT", "1"), ("INSERT", "2")] == sorted(found[:2])
    assert [("MODIFY", "1"), ("REMOVE", "2")] == sorted(found[2:])


def test_what_changes_nothing_makes_no_record(embedded: Database) -> None:
    """Neither an equal item, whatever the order of its sets, nor the deletion of nothing, nor a refused write."""
    same = UpdateItem(table=TABLE, key=key("p", "1"), update=Update(set=((path("n"), path("n")),)))
    write(embedded, put("1", n=N("1"), tags={"SS": ["a", "b"]}))
    write(embedded, put("1", n=N("1.0"), tags={"SS": ["b", "a"]}), same, DeleteItem(table=TABLE, key=key("p", "2")))

    assert [("INSERT", "1")] == told(feed_records(embedded))


def test_sizes_and_times_are_those_of_a_stream(embedded: Database) -> None:
    """The example of the API Reference has 26 bytes: keys and images; a time has whole seconds."""
    write(embedded, PutItem(table=TABLE, item={"pk": S("k"), "sk": S("k"), "Message": S("New item!")}))
    (record,) = embedded.changes().records

    assert 6 + 6 + 16 == record["dynamodb"]["SizeBytes"]
    assert datetime.fromtimestamp(1_800_000_000, UTC) == record["dynamodb"]["ApproximateCreationDateTime"]
    assert 21 == len(number_of(record))


def test_an_expired_item_is_replaced_and_never_swept(clock: Clock) -> None:
    """The engine sweeps nothing, so nothing is recorded at the expiry; what is written over it is a MODIFY."""
    with Database.embedded(stream=True, clock=clock) as database:
        write(database, put("1", _x=N(int(clock.now) + 60)))
        clock.now += HOUR
        assert [("INSERT", "1")] == told(feed_records(database))
        write(database, put("1", n=N(1)))

        assert [("INSERT", "1"), ("MODIFY", "1")] == told(feed_records(database))


def test_a_feed_costs_no_capacity_and_a_table_without_one_has_none(tmp_path: Path) -> None:
    """Writes cost what they cost without it, reads of it cost nothing, and other tables have nothing stored for it."""
    with Database.embedded(tmp_path / "a.db", stream=True) as database, spend(wcu=1, rcu=0, trips=1):
        write(database, put("1"))
        database.changes()
    with Database.embedded(tmp_path / "b.db") as database:
        write(database, put("1"))

    assert ["changes_1"] == feed_tables(tmp_path / "a.db")
    assert [] == feed_tables(tmp_path / "b.db")


def feed_tables(file: Path) -> list[str]:
    connection = sqlite3.connect(file)
    found = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE name LIKE 'changes%'")]
    connection.close()
    return found


# Reading --------------------------------------------------------------------------------------------------------------


def test_pages_follow_each_other(embedded: Database) -> None:
    """Each goes on after the last of the one before; at the end the position stays, and new records come after it."""
    write(embedded, *(put(str(number)) for number in range(5)))
    first = embedded.changes(limit=2)
    second = embedded.changes(after=first.last, limit=2)
    third = embedded.changes(after=second.last, limit=2)
    end = embedded.changes(after=third.last)

    assert ["0", "1", "2", "3", "4"] == [sort for page in (first, second, third) for _, sort in told(page.records)]
    assert ((), third.last) == (end.records, end.last)
    write(embedded, put("5"))
    assert [("INSERT", "5")] == told(embedded.changes(after=end.last).records)


def test_an_empty_feed_has_no_position() -> None:
    """Reading it makes the tables, as every first call does; the next read begins at the beginning."""
    with Database.embedded(stream=True) as database:
        page = database.changes()

    assert ((), None) == (page.records, page.last)
    assert "records" not in repr(page)


def test_a_page_ends_at_1_mb(embedded: Database) -> None:
    """As a stream's; the record that goes past it is still on it."""
    write(embedded, *(put(str(number), big=S("x" * 390_000)) for number in range(4)))

    assert [3, 1] == [len(page) for page in (embedded.changes().records, feed_records(embedded)[3:])]


def test_the_tables_of_a_database_share_one_order(clock: Clock) -> None:
    """Without a table, the records of all come in the order of their commits, even while the clock stands still."""
    with Database.embedded(
        entity_types=[NOTE, EVENT], tables={"events": "journal"}, stream=True, clock=clock
    ) as database:
        for number in range(3):
            database.dao(NOTE).create(Note(id=str(number), text="x"))
            database.dao(EVENT).create(Event(id=str(number)))

        kinds = [record["dynamodb"]["NewImage"]["_t"]["S"] for record in database.changes().records]
        assert ["note", "event"] * 3 == kinds
        assert ["event"] * 3 == [
            record["dynamodb"]["NewImage"]["_t"]["S"] for record in database.changes(table="journal").records
        ]


@pytest.mark.parametrize("after", ["", "x", "-1", "1.5", "٣", "9" * 41, 7], ids=repr)
def test_what_is_no_position_is_refused(embedded: Database, after: Any) -> None:
    """Before anything is read."""
    with pytest.raises(InvalidCursor, match="give the last of an earlier page"):
        embedded.changes(after=after)


@pytest.mark.parametrize("limit", [0, 1001, True, 1.5, "7"], ids=repr)
def test_a_limit_is_1_to_1000(embedded: Database, limit: Any) -> None:
    """A whole number."""
    with pytest.raises(ConfigurationError, match="limit must be a whole number from 1 to 1000"):
        embedded.changes(limit=limit)


def test_a_table_without_changes_says_how_to_keep_them() -> None:
    """So does one that is not there."""
    with Database.embedded() as database:
        with pytest.raises(ConfigurationError, match=r"Database\.embedded\(stream=True\)"):
            database.changes()
        with pytest.raises(ConfigurationError, match="table must be one of this database's"):
            database.changes(table="somewhere-else")


def test_on_a_network_the_stream_itself_is_read(engine: Engine, streamed: Database) -> None:
    """There the error names what to use instead; the kit reads either with one call."""
    if engine.is_embedded:
        assert () == streamed.changes().records
    else:
        with pytest.raises(ConfigurationError, match=r"AWS Lambda, or by boto3's dynamodbstreams"):
            streamed.changes()
    assert () == engine.changes(streamed)


# 24 hours -------------------------------------------------------------------------------------------------------------


def test_records_are_kept_for_24_hours(embedded: Database, clock: Clock) -> None:
    """By the database's clock, whether anything is written meanwhile or not."""
    write(embedded, put("1"))
    clock.now += 1 * HOUR
    write(embedded, put("2"))
    clock.now += 23 * HOUR - 1
    assert [("INSERT", "1"), ("INSERT", "2")] == told(embedded.changes().records)

    clock.now += 1
    assert [("INSERT", "2")] == told(embedded.changes().records)
    clock.now += 1 * HOUR
    assert [] == told(embedded.changes().records)


def test_who_has_missed_something_is_told(embedded: Database, clock: Clock) -> None:
    """A position before a record that is gone is an error; the one of the latest record is good for ever."""
    write(embedded, put("1"), put("2"))
    first = embedded.changes(limit=1).last
    last = embedded.changes().last
    clock.now += 25 * HOUR
    with pytest.raises(ChangesTrimmed, match="from the table, then read on without after=") as found:
        embedded.changes(after=first)
    assert TABLE == found.value.table
    assert () == embedded.changes(after=last).records

    # Now the records are not only old, but deleted.
    write(embedded, put("3"), put("4"))
    with pytest.raises(ChangesTrimmed):
        embedded.changes(after=first)
    assert [("INSERT", "3"), ("INSERT", "4")] == told(embedded.changes(after=last).records)


def test_old_records_are_deleted_by_the_writes_that_follow(tmp_path: Path, clock: Clock) -> None:
    """A few at a time, so that no write waits for a sweep; the latest of them stays, to tell who has missed some."""
    file = tmp_path / "a.db"
    with Database.embedded(file, stream=True, clock=clock) as database:
        write(database, *(put(str(number)) for number in range(50)))
        clock.now += 25 * HOUR
        left = []
        for number in range(50, 60):
            write(database, put(str(number)))
            left.append(rows_of_feed(file))

    assert [43, 36, 29, 22, 15, 8, 8, 9, 10, 11] == left


def rows_of_feed(file: Path) -> int:
    connection = sqlite3.connect(file)
    count = int(connection.execute("SELECT count(*) FROM changes_1").fetchone()[0])
    connection.close()
    return count


def test_a_clock_that_goes_back_changes_no_order(embedded: Database, clock: Clock) -> None:
    """Numbers only grow; the times are those that the clock told."""
    write(embedded, put("1"))
    clock.now -= 10 * HOUR
    write(embedded, put("2"))
    records = embedded.changes().records

    assert ["1", "2"] == [sort for _, sort in told(records)]
    assert number_of(records[0]) < number_of(records[1])
    assert records[0]["dynamodb"]["ApproximateCreationDateTime"] > records[1]["dynamodb"]["ApproximateCreationDateTime"]


# Switching on ---------------------------------------------------------------------------------------------------------


def test_a_table_keeps_its_changes_from_when_it_is_told_to(tmp_path: Path) -> None:
    """Its items stay, and whoever has it open already makes records too."""
    file = tmp_path / "a.db"
    with Database.embedded(file) as before:
        write(before, put("1"), put("2"))
        with pytest.raises(ConfigurationError):
            before.changes()
        with Database.embedded(file, stream=True) as after:
            assert () == after.changes().records
            write(before, put("1", n=N(1)))
            write(after, put("3"))
            write(before, DeleteItem(table=TABLE, key=key("p", "2")))

            assert [("MODIFY", "1"), ("INSERT", "3"), ("REMOVE", "2")] == told(after.changes().records)
            assert after.changes().records == before.changes().records
    with Database.embedded(file) as again:
        assert 3 == len(again.changes().records)


def test_creating_tables_with_a_stream_keeps_changes() -> None:
    """On a database in use as on a new one; the table's description tells."""
    with Database.embedded(entity_types=[NOTE]) as database:
        database.dao(NOTE).create(Note(id="1", text="x"))
        database.create_tables(stream=True)
        database.dao(NOTE).delete("1")

        assert ["REMOVE"] == [record["eventName"] for record in database.changes().records]
        assert () == database.diff_tables(stream=True)


def test_a_table_that_is_made_anew_begins_a_feed_anew(embedded: Database) -> None:
    """With numbers above all earlier ones, so that a reader's position stays good."""
    write(embedded, put("1"))
    last = embedded.changes().last
    embedded.execute(DeleteTable(table=TABLE), WRITE)
    embedded.create_tables()
    write(embedded, put("2"))

    assert [("INSERT", "2")] == told(embedded.changes(after=last).records)


def test_a_file_of_the_first_version_is_upgraded_with_its_items(tmp_path: Path) -> None:
    """Its tables keep no changes, even where they had been made with a stream, until they are told to."""
    file = tmp_path / "a.db"
    with Database.embedded(file) as database:
        write(database, put("1"))
    connection = sqlite3.connect(file)
    connection.execute("DROP TABLE dynamo_feed")
    connection.execute(
        "UPDATE dynamo_tables SET definition = replace(CAST(definition AS TEXT), '\"stream\":false', '\"stream\":true')"
    )
    connection.execute("PRAGMA user_version=1")
    connection.commit()
    connection.close()

    with Database.embedded(file) as database, pytest.raises(ConfigurationError):
        database.changes()
    with Database.embedded(file, stream=True) as database:
        write(database, DeleteItem(table=TABLE, key=key("p", "1")))
        assert [("REMOVE", "1")] == told(database.changes().records)
