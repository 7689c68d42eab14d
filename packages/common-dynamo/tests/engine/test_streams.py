"""Streams as typed changes (D40): each verb on a real stream, in the form of the API and in that of AWS Lambda."""

import json
import logging
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, assert_type

import pytest
from pydantic import BaseModel

from common.dynamo import Change, Database, EntityType, Key, Pattern
from common.dynamo import requests as rq
from common.dynamo.exceptions import InvalidItem
from common.dynamo.streams import StreamChange, StreamSkip, decode_record
from common.dynamo.testing import Engine
from common.dynamo.testing.examples import INVOICE, NOTE, Invoice, Note, State, make_invoice
from common.dynamo.testing.generations import CARD_1, CARD_3, Card1, Card3
from common.exceptions import ConfigurationError, InvalidInput

RAW = Pattern("Test.raw", "PutItem")


class Blob(BaseModel):
    """Has binary in every place."""

    id: str
    content: bytes
    chunks: frozenset[bytes]
    parts: list[bytes]
    named: dict[str, bytes]


BLOB = EntityType(Blob, "blob", key=Key("BLOB#{id}", "BLOB"))


def pay(change: Change[Invoice], it: Invoice) -> None:
    change.set(it.state, State.PAID)


# Sources of records


def in_lambda_form(record: dict[str, Any]) -> dict[str, Any]:
    """Return *record* as AWS Lambda delivers it: JSON, with binary as base64 text and epoch seconds."""

    def plain(value: object) -> object:
        return value.timestamp() if isinstance(value, datetime) else b64encode(bytes(memoryview(value))).decode()  # type: ignore[arg-type]

    return dict(json.loads(json.dumps(record, default=plain)))


def as_they_are(record: dict[str, Any]) -> dict[str, Any]:
    """Return *record* as boto3 and the embedded feed give it."""
    return record


@dataclass
class Stream:
    """A database whose tables keep a stream, and the records in it."""

    db: Database
    engine: Engine
    form: Callable[[dict[str, Any]], dict[str, Any]]
    taken: int = field(default=0)

    def records(self) -> list[dict[str, Any]]:
        """Return the records since the last call, in order."""
        found = self._embedded() if self.engine.is_embedded else self._over_the_network()
        new, self.taken = found[self.taken :], len(found)
        return [self.form(record) for record in new]

    def changes(self) -> list[StreamChange[Any]]:
        """Return the changes in them."""
        decoded = [self.db.decode_stream(record) for record in self.records()]
        return [change for change in decoded if change is not None]

    def _embedded(self) -> list[dict[str, Any]]:
        return [dict(record) for record in self.db.changes(limit=1000).records]

    def _over_the_network(self) -> list[dict[str, Any]]:
        import boto3

        session = boto3.Session("test", "test", region_name="eu-central-1")
        endpoint = {"endpoint_url": getattr(self.engine, "endpoint_url", None)}
        table = self.db.table_definitions()[0].name
        arn = session.client("dynamodb", **endpoint).describe_table(TableName=table)["Table"]["LatestStreamArn"]
        streams = session.client("dynamodbstreams", **endpoint)
        found: list[dict[str, Any]] = []
        for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
            begin = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
            iterator = streams.get_shard_iterator(**begin).get("ShardIterator")
            while iterator:
                page = streams.get_records(ShardIterator=iterator)
                found += page["Records"]
                iterator = page.get("NextShardIterator") if page["Records"] else None
        return sorted(found, key=lambda record: int(record["dynamodb"]["SequenceNumber"]))


def open_stream(engine: Engine, table: str, *entity_types: EntityType[Any]) -> Database:
    """Return a database that keeps a stream, on whatever engine the run has."""
    if engine.is_embedded:
        return engine.open(table=table, entity_types=entity_types, stream=True)
    db = Database.connect(table=table, wire=engine.wire(), entity_types=entity_types)
    db.create_tables(stream=True)
    return db


@pytest.fixture(params=[as_they_are, in_lambda_form], ids=["api", "lambda"])
def stream(request: pytest.FixtureRequest, engine: Engine, table_name: str) -> Iterator[Stream]:
    """A stream whose records come in each form in turn."""
    with open_stream(engine, table_name, INVOICE, NOTE, BLOB, CARD_3) as db:
        yield Stream(db, engine, request.param)


# Each verb


def test_each_verb_tells_what_it_did(stream: Stream) -> None:
    """The kind, both models, the key, and numbers that grow."""
    notes = stream.db.dao(NOTE)
    first, second, third = Note(id="1", text="a"), Note(id="1", text="b"), Note(id="1", text="c")
    notes.create(first)
    notes.put(second)
    notes.update("1", lambda change, it: change.set(it.text, "c"))
    notes.put(first, replace=True)
    notes.delete("1")

    changes = stream.changes()

    assert [
        ("INSERT", None, first),
        ("MODIFY", first, second),
        ("MODIFY", second, third),
        ("MODIFY", third, first),
        ("REMOVE", first, None),
    ] == [(change.kind, change.old, change.new) for change in changes]
    assert [NOTE.item_key("1")] * 5 == [change.key for change in changes]
    assert sorted({change.sequence for change in changes}) == [change.sequence for change in changes]
    assert 5 == len({change.event_id for change in changes})
    assert [False] * 5 == [change.expired for change in changes]
    assert all(change.at is not None and change.at.tzinfo is UTC for change in changes)


def test_transactions_and_batches_tell_each_of_their_writes(stream: Stream) -> None:
    """Whatever the route."""
    notes, invoices = stream.db.dao(NOTE), stream.db.dao(INVOICE)
    with stream.db.transaction() as tx:
        tx.create(notes, Note(id="1", text="a"))
        tx.create(invoices, make_invoice())
    notes.batch_write([notes.plan.put(Note(id="2", text="b"), replace=True), notes.plan.delete("1")])
    paid = invoices.update(invoices.require(("t1", 1)), pay)

    changes = stream.changes()

    told = {(change.entity.name, change.kind, change.key["sk"]["S"], change.key["pk"]["S"]) for change in changes}
    assert {
        ("note", "INSERT", "NOTE", "NOTE#1"),
        ("invoice", "INSERT", "N#10000000001", "INV#t1"),
        ("note", "INSERT", "NOTE", "NOTE#2"),
        ("note", "REMOVE", "NOTE", "NOTE#1"),
        ("invoice", "MODIFY", "N#10000000001", "INV#t1"),
    } == told
    assert [paid] == [change.new for change in changes if change.kind == "MODIFY"]


def test_binary_comes_back_in_every_place(stream: Stream) -> None:
    """Bytes from the API, base64 text from Lambda."""
    blob = Blob(id="1", content=b"\0\xff", chunks=frozenset([b"a", b"\0"]), parts=[b"x"], named={"n": b"\xfe"})
    stream.db.dao(BLOB).create(blob)

    assert [blob] == [change.new for change in stream.changes()]


def test_images_of_older_items_pass_the_upcast_steps(stream: Stream) -> None:
    """Old and new code write, and a consumer of today sees models of today."""
    older = Database(stream.db.wire, table=stream.db.table_of(CARD_3), entity_types=(CARD_1,))
    older.dao(CARD_1).create(Card1(id="1", name="Ada", phone="12"))
    stream.db.dao(CARD_3).update("1", lambda change, it: change.set(it.title, "Eve"))

    ada, eve = Card3(id="1", title="Ada", phones=["12"]), Card3(id="1", title="Eve", phones=["12"])
    created, rewritten, changed = stream.changes()

    assert (None, ada) == (created.old, created.new)
    assert (ada, ada) == (rewritten.old, rewritten.new)
    assert (ada, eve) == (changed.old, changed.new)


# What is left out


def test_the_layers_own_items_and_strangers_are_left_out_and_told(stream: Stream) -> None:
    """Locks of unique fields, anything whose type begins with an underscore, unknown types, items without a type."""
    stream.db.dao(INVOICE).create(make_invoice())
    for number, kind in enumerate(("_outbox", "_command", "stranger", None)):
        item = {"pk": {"S": f"X#{number}"}, "sk": {"S": "X"}, **({"_t": {"S": kind}} if kind else {})}
        stream.db.execute(rq.PutItem(table=stream.db.table_of(INVOICE), item=item), RAW)

    skips: list[StreamSkip] = []
    decoded = [stream.db.decode_stream(record, skipped=skips.append) for record in stream.records()]

    assert ["invoice"] == [change.entity.name for change in decoded if change is not None]
    assert [
        ("layer", "_unique"),
        ("layer", "_outbox"),
        ("layer", "_command"),
        ("unknown", "stranger"),
        ("untyped", ""),
    ] == [(skip.reason, skip.type) for skip in skips]
    assert all(skip.sequence > 0 for skip in skips)


# Records by hand


def a_record(**members: Any) -> dict[str, Any]:
    """Return a record of a note that was changed; *members* of ``dynamodb`` replace, and ``None`` removes."""
    of_stream: dict[str, Any] = {
        "Keys": NOTE.item_key("1"),
        "NewImage": NOTE.encode(Note(id="1", text="new")),
        "OldImage": NOTE.encode(Note(id="1", text="old")),
        "SequenceNumber": "100",
        "SizeBytes": 10,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
        **members,
    }
    kept = {name: value for name, value in of_stream.items() if value is not None}
    return {"eventID": "e", "eventName": "MODIFY", "dynamodb": kept}


def decode(record: Any) -> StreamChange[Any] | None:
    return decode_record(record, {"note": NOTE})


def test_a_change_is_typed_by_its_entity() -> None:
    """For the type checker too; another type's is ``None``."""
    change = decode(a_record())
    assert change is not None
    note = change.of(NOTE)
    assert_type(note, StreamChange[Note] | None)

    assert note is change
    assert note.new is not None
    assert "new" == note.new.text
    assert change.of(INVOICE) is None
    assert "old" not in repr(change).replace("old=", "")


@pytest.mark.parametrize(
    ("identity", "expired"),
    [
        ({"type": "Service", "principalId": "dynamodb.amazonaws.com"}, True),
        ({"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}, True),
        ({"type": "Service", "principalId": "elsewhere.amazonaws.com"}, False),
        ("Service", False),
        (None, False),
    ],
)
def test_what_expired_is_told_from_what_was_deleted(identity: Any, expired: bool) -> None:
    """By who removed it, in the spelling of Lambda and of boto3."""
    record = {**a_record(NewImage=None), "eventName": "REMOVE", "userIdentity": identity}
    change = decode(record)

    assert change is not None
    assert (expired, None, "old") == (change.expired, change.new, change.old.text)


def test_a_stream_of_one_image_gives_what_it_has() -> None:
    """The other one is ``None``."""
    new = decode(a_record(OldImage=None, StreamViewType="NEW_IMAGE"))
    old = decode(a_record(NewImage=None, StreamViewType="OLD_IMAGE"))

    assert new is not None
    assert old is not None
    assert [(None, "new"), ("old", None)] == [(new.old, new.new.text), (old.old.text, old.new)]


@pytest.mark.parametrize("view", ["KEYS_ONLY", "NEW_IMAGE"])
def test_a_record_without_an_image_names_the_setting(view: str) -> None:
    """Its type is not known; it is not passed over in silence."""
    with pytest.raises(ConfigurationError, match=f"view type {view} has no image.*NEW_AND_OLD_IMAGES"):
        decode(a_record(NewImage=None, OldImage=None, StreamViewType=view))


def test_an_item_that_changes_its_type_is_seen_from_the_one_that_is_known() -> None:
    """What another type made of the key, before or afterwards, is nobody's model here."""
    other = {**NOTE.item_key("1"), "_t": {"S": "_fence"}}
    before, after = decode(a_record(OldImage=other)), decode(a_record(NewImage=other))

    assert before is not None
    assert after is not None
    assert [(None, "new"), ("old", None)] == [(before.old, before.new.text), (after.old.text, after.new)]


def test_an_image_that_does_not_fit_is_an_invalid_item() -> None:
    """As it is on every read."""
    with pytest.raises(InvalidItem, match="text is stored as N"):
        decode(a_record(NewImage={**NOTE.encode(Note(id="1", text="x")), "text": {"N": "5"}}))


@pytest.mark.parametrize(
    "record",
    [
        None,
        {},
        [a_record()],
        {"Records": [a_record()]},
        {**a_record(), "eventName": "UPSERT"},
        {**a_record(), "dynamodb": None},
        a_record(SequenceNumber=5),
        a_record(SequenceNumber="five"),
        a_record(SequenceNumber="9" * 5000),
        a_record(NewImage=[]),
        a_record(NewImage={"_t": "note"}),
        a_record(NewImage={"_t": {"S": "note"}, "x": {"B": "not base64!"}}),
        a_record(NewImage={"_t": {"S": "note"}, "x": {"B": 5}}),
        a_record(Keys="NOTE#1"),
        a_record(ApproximateCreationDateTime=1e30),
        a_record(ApproximateCreationDateTime=float("nan")),
    ],
)
def test_what_is_no_record_is_invalid_input(record: Any) -> None:
    """It says what is missing; nothing is guessed."""
    with pytest.raises(InvalidInput, match="no record of a DynamoDB stream"):
        decode(record)


# Batches


def batch() -> list[dict[str, Any]]:
    """Return four records: two notes, a lock, a note."""
    lock = {"pk": {"S": "_U#1"}, "sk": {"S": "_U"}, "_t": {"S": "_unique"}}
    records = [a_record(SequenceNumber=f"10{number}") for number in range(4)]
    records[2] = a_record(SequenceNumber="102", NewImage=lock, OldImage=None)
    return records


@pytest.mark.parametrize("event", [batch(), {"Records": batch()}, iter(batch())], ids=["list", "event", "iterator"])
def test_a_batch_is_handled_in_order(database: Database, event: Any) -> None:
    """The whole event, or any records; the answer has no failures."""
    seen: list[int] = []
    result = database.handle_stream(event, lambda change: seen.append(change.sequence))

    assert [100, 101, 103] == seen
    assert (3, [102], None) == (result.handled, [skip.sequence for skip in result.skipped], result.failure)
    assert {"batchItemFailures": []} == result.response()


def test_a_batch_stops_at_the_first_failure(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """Lambda reads on from there; the error is in the result, and the log has its type alone."""
    seen: list[int] = []

    def handle(change: StreamChange[Any]) -> None:
        if change.sequence == 101:
            raise RuntimeError("secret")
        seen.append(change.sequence)

    with caplog.at_level(logging.WARNING, "common.dynamo.streams"):
        result = database.handle_stream({"Records": batch()}, handle)

    assert [100] == seen
    assert {"batchItemFailures": [{"itemIdentifier": "101"}]} == result.response()
    assert result.failure is not None
    assert isinstance(result.failure.error, RuntimeError)
    assert "RuntimeError" in caplog.text
    assert "secret" not in caplog.text + repr(result)


@pytest.mark.parametrize(
    ("record", "identifier"), [(a_record(NewImage={"_t": {"S": "note"}}), "100"), ({}, ""), (None, "")]
)
def test_a_record_that_cannot_be_decoded_fails_like_any(database: Database, record: Any, identifier: str) -> None:
    """One without a number is the whole batch's failure, as Lambda has it."""
    result = database.handle_stream([record, *batch()], lambda change: None)

    assert (0, {"batchItemFailures": [{"itemIdentifier": identifier}]}) == (result.handled, result.response())


def test_an_event_without_records_is_refused(database: Database) -> None:
    """It is another service's, or a test event of the console."""
    with pytest.raises(InvalidInput, match="has no Records"):
        database.handle_stream({"key1": "value1"}, lambda change: None)
