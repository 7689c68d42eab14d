"""Spans (OT3, OT6, OT9): exactly the names and values of the semantic conventions."""

import gc
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from common.dynamo import Database, EntityType, Key, Pattern
from common.dynamo import requests as rq
from common.dynamo.exceptions import AlreadyExists, DynamoError, Unavailable
from common.dynamo.testing.engines import Engine
from common.dynamo.testing.examples import BY_STATE, INVOICE, NOTE, Counter, Note, State
from common.dynamo.wire.faults import Crash, Fault, FaultPlan, FaultRates

RAW = "Test.raw"


def raw(request: Callable[[str], rq.Request]) -> Callable[[Database], object]:
    def call(db: Database) -> object:
        made = request(db.table_of(NOTE))
        return db.execute(made, Pattern(RAW, made.operation))

    return call


def put_note(db: Database) -> Any:
    return db.dao(NOTE).plan.put(Note(id="1", text="x"), replace=True)


def batch(*kinds: str) -> Callable[[Database], object]:
    def call(db: Database) -> object:
        notes = db.dao(NOTE)
        makes = {
            "put": lambda n: notes.plan.put(Note(id=str(n), text="x"), replace=True),
            "delete": lambda n: notes.plan.delete(str(n)),
        }
        return notes.batch_write([makes[kind](number) for number, kind in enumerate(kinds)])

    return call


def transact(db: Database) -> None:
    with db.transaction() as tx:
        tx.create(db.dao(NOTE), Note(id="a", text="x"))
        tx.check(db.dao(NOTE), "b", absent=True)


def transact_one(db: Database) -> None:
    with db.transaction() as tx:
        tx.create(db.dao(NOTE), Note(id="a", text="x"))


def projected(table: str) -> rq.GetItem:
    paths = (rq.Path(("text",)), rq.Path(("lines", 0, "city")))
    return rq.GetItem(table=table, key=NOTE.item_key("1"), projection=paths)


def scan(table: str) -> rq.Scan:
    return rq.Scan(table=table, limit=5, segment=0, total_segments=2)


def transact_get(table: str) -> rq.TransactGetItems:
    return rq.TransactGetItems(parts=tuple(rq.GetItem(table=table, key=NOTE.item_key(name)) for name in "ab"))


AWS = "aws.dynamodb."
READ = {AWS + "consistent_read": False, AWS + "scan_forward": True}

CALLS: dict[str, tuple[Callable[[Database], object], str, str, dict[str, Any]]] = {
    "GetItem": (lambda db: db.dao(NOTE).get("1"), "Note.get", "GetItem", {AWS + "consistent_read": True}),
    "GetItem with projection": (
        raw(projected),
        RAW,
        "GetItem",
        {AWS + "consistent_read": False, AWS + "projection": "text, lines[0].city"},
    ),
    "PutItem": (lambda db: db.dao(NOTE).create(Note(id="1", text="x")), "Note.create", "PutItem", {}),
    "UpdateItem": (lambda db: db.dao(NOTE).put(Note(id="1", text="x")), "Note.put", "UpdateItem", {}),
    "DeleteItem": (lambda db: db.dao(NOTE).delete("1"), "Note.delete", "DeleteItem", {}),
    "Query": (
        lambda db: db.dao(NOTE).query(id="1").all(),
        "Note.query",
        "Query",
        {**READ, "common.dynamo.page.count": 1},
    ),
    "Query of an index": (
        lambda db: db.dao(INVOICE).query(BY_STATE, tenant="t", state=State.OPEN).newest_first().page(3),
        "Invoice.query",
        "Query",
        {
            **READ,
            AWS + "scan_forward": False,
            AWS + "index_name": "GSI1",
            AWS + "limit": 3,
            "common.dynamo.page.count": 1,
        },
    ),
    "Scan": (
        raw(scan),
        RAW,
        "Scan",
        {
            AWS + "consistent_read": False,
            AWS + "limit": 5,
            AWS + "segment": 0,
            AWS + "total_segments": 2,
            AWS + "count": 0,
            AWS + "scanned_count": 0,
            "common.dynamo.page.count": 1,
        },
    ),
    "BatchGetItem": (lambda db: db.dao(NOTE).batch_get(["1", "2"]), "Note.batch_get", "BatchGetItem", {}),
    "BatchWriteItem of one": (batch("put"), "Note.batch_write", "PutItem", {}),
    "BatchWriteItem of puts": (
        batch("put", "put"),
        "Note.batch_write",
        "BATCH PutItem",
        {"db.operation.batch.size": 2},
    ),
    "BatchWriteItem of deletes": (
        batch("delete", "delete"),
        "Note.batch_write",
        "BATCH DeleteItem",
        {"db.operation.batch.size": 2},
    ),
    "BatchWriteItem, mixed": (
        batch("put", "delete", "put"),
        "Note.batch_write",
        "BATCH",
        {"db.operation.batch.size": 3},
    ),
    "TransactWriteItems": (
        transact,
        "Database.transaction",
        "TransactWriteItems",
        {"db.operation.batch.size": 2},
    ),
    "TransactWriteItems of one": (transact_one, "Database.transaction", "TransactWriteItems", {}),
    "TransactGetItems": (raw(transact_get), RAW, "TransactGetItems", {"db.operation.batch.size": 2}),
    "DescribeTable": (raw(lambda table: rq.DescribeTable(table=table)), RAW, "DescribeTable", {}),
}

CONTROL = {"DescribeTable"}


@pytest.mark.parametrize("name", CALLS)
def test_every_call_has_exactly_its_name_and_attributes(
    db: Database, table_name: str, telescope: Any, name: str
) -> None:
    """Equality, not subset; what samplers may see is there from the start."""
    call, summary, operation, expected = CALLS[name]
    call(db)
    span = telescope.span()
    start: dict[str, Any] = {
        "db.system.name": "aws.dynamodb",
        "db.operation.name": operation,
        "db.collection.name": table_name,
        "db.query.summary": summary,
        **server(db),
    }
    answered = {"aws.dynamodb.table_names": (table_name,), **expected, **region(db)}
    found = dict(span.attributes or {})
    capacity = found.pop("aws.dynamodb.consumed_capacity", ())
    request_id = found.pop("aws.request_id", None)

    # An engine in this process gives its answers no id.
    assert (db.wire.name == "embedded") == (request_id is None)
    assert [(summary, start)] == telescope.sampler.seen
    assert {**start, **answered} == found
    assert (summary, SpanKind.CLIENT, StatusCode.UNSET) == (span.name, span.kind, span.status.status_code)
    assert [table_name] * (name not in CONTROL) == [json.loads(each)["TableName"] for each in capacity]
    assert ("common.dynamo", "https://opentelemetry.io/schemas/1.44.0") == (
        span.instrumentation_scope.name,
        span.instrumentation_scope.schema_url,
    )


def server(db: Database) -> dict[str, Any]:
    """What the semantic conventions want to know of the server; nothing for an engine in this process."""
    endpoint = db.wire.endpoint
    return {} if endpoint is None else {"server.address": endpoint[0], "server.port": endpoint[1]}


def region(db: Database) -> dict[str, Any]:
    return {} if db.wire.region is None else {"cloud.region": db.wire.region}


def test_creating_tables_is_told_as_control_plane_calls(engine: Engine, table_name: str, telescope: Any) -> None:
    """One span each, with the table."""
    with Database.connect(
        table=table_name, wire=engine.wire(), entity_types=[NOTE, INVOICE], **telescope.options
    ) as db:
        db.create_tables()

    names = [(span.attributes or {})["db.operation.name"] for span in telescope.spans()]
    assert ["CreateTable", "DescribeTable", "DescribeTimeToLive", "UpdateTimeToLive"] == list(dict.fromkeys(names))
    assert {(table_name,)} == {(span.attributes or {})["aws.dynamodb.table_names"] for span in telescope.spans()}


TABLES: dict[str, tuple[Callable[[rq.TableDefinition], rq.Request], bool]] = {
    "CreateTable": (lambda table: rq.CreateTable(definition=table), True),
    "DescribeTable": (lambda table: rq.DescribeTable(table=table.name), True),
    "ListTables": (lambda table: rq.ListTables(), False),
    "DeleteTable": (lambda table: rq.DeleteTable(table=table.name), True),
}


def test_control_plane_calls_have_exactly_their_attributes(db: Database, table_name: str, telescope: Any) -> None:
    """Where it is, which operation and which table; nothing that belongs to items, and no capacity."""
    table = replace(db.table_definitions()[0], name=f"{table_name}-more")
    for operation, (request, has_table) in TABLES.items():
        telescope.clear()
        db.execute(request(table), Pattern(RAW, operation))
        span = telescope.span()
        start = {
            "db.system.name": "aws.dynamodb",
            "db.operation.name": operation,
            **({"db.collection.name": table.name} if has_table else {}),
            "db.query.summary": RAW,
            **server(db),
        }
        found = {name: value for name, value in span.attributes.items() if name != "aws.request_id"}

        assert [(RAW, start)] == telescope.sampler.seen
        assert {**start, **({"aws.dynamodb.table_names": (table.name,)} if has_table else {}), **region(db)} == found


def test_an_operation_without_a_name_goes_by_operation_and_table(db: Database, table_name: str, telescope: Any) -> None:
    """And without a single table by the operation alone."""
    request = db.dao(NOTE).plan.get("1")
    db.execute(request, Pattern("", "GetItem"))
    with db.operation(Pattern("", "GetItem")) as operation:
        operation.execute(request)

    assert [f"GetItem {table_name}", "GetItem"] == [span.name for span in telescope.spans()]


def test_a_block_of_calls_is_one_span(db: Database, table_name: str, telescope: Any) -> None:
    """It counts its calls and merges their capacity per table."""
    request = db.dao(NOTE).plan.get("1")
    with db.operation(Pattern("Notes.both", "GetItem"), table_name) as operation:
        operation.execute(request)
        operation.execute(request)

    attributes = dict(telescope.span().attributes or {})
    assert 2 == attributes["common.dynamo.call.count"]
    (capacity,) = attributes["aws.dynamodb.consumed_capacity"]
    assert 2 == json.loads(capacity)["CapacityUnits"]


# Errors


def test_a_handled_refusal_is_no_error_and_a_propagated_one_is(db: Database, telescope: Any) -> None:
    """Create-if-absent against create, on one existing key."""
    notes = db.dao(NOTE)
    notes.create(Note(id="1", text="x"))
    write = notes.plan.create(Note(id="1", text="y"))
    telescope.clear()
    with db.operation(Pattern("Notes.ensure", "PutItem"), notes.plan.table) as operation, suppress(DynamoError):
        operation.execute(write.request())
    with pytest.raises(AlreadyExists):
        notes.create(Note(id="1", text="y"))

    handled, propagated = telescope.spans()
    assert StatusCode.UNSET == handled.status.status_code
    assert "error.type" not in (handled.attributes or {})
    assert (StatusCode.ERROR, "ConditionalCheckFailedException") == (
        propagated.status.status_code,
        propagated.status.description,
    )
    assert "ConditionalCheckFailedException" == (propagated.attributes or {})["error.type"]


def test_a_call_without_an_answer_is_told_as_what_went_wrong(
    faulty: Database, telescope: Any, faults: FaultPlan
) -> None:
    """There is no status code of an engine that said nothing."""
    faults.rates = FaultRates(hang=1.0)
    with pytest.raises(Unavailable):
        faulty.dao(NOTE).get("1", deadline=0.05)

    attributes = dict(telescope.span().attributes or {})
    assert "db.response.status_code" not in attributes
    assert attributes["error.type"]


# Pages


class Chapter(Counter):
    """A counter that shares a partition with others."""

    part: str = "p"


def chapters(db: Database) -> Any:
    entity = EntityType(
        Chapter,
        "chapter",
        key=Key("PART#{part}", "C#{name}"),
        scales={"amounts": 2, "held": 2},
    )
    dao = db.dao(entity)
    dao.batch_write(
        [dao.plan.put(Chapter(name=f"{n:03d}", log=["x" * 10_000]), replace=True) for n in range(250)], deadline=60
    )
    return dao


def test_an_eager_query_of_three_pages_is_one_span(db: Database, telescope: Any) -> None:
    """With the number of pages, which is counted too."""
    dao = chapters(db)
    telescope.clear()
    assert 250 == len(dao.query(part="p").all(deadline=30))

    assert 3 == (telescope.span().attributes or {})["common.dynamo.page.count"]
    assert [3] == [point.value for point in telescope.metrics()["common.dynamo.client.pages"]]


def test_a_lazy_query_that_is_left_early_is_one_span_and_leaves_no_context(
    db: Database, telescope: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A span per page, ended before the page is handed out; nothing stays attached, nothing is logged."""
    dao = chapters(db)
    telescope.clear()
    before = trace.get_current_span()
    with caplog.at_level(logging.DEBUG, "opentelemetry"):
        for chapter in dao.query(part="p"):
            assert "000" == chapter.name
            assert trace.get_current_span() is before
            break
        walk = iter(dao.query(part="p"))
        next(walk)
        walk.close()
        abandoned = iter(dao.query(part="p"))
        next(abandoned)
        del abandoned
        gc.collect()

    assert [0, 0, 0] == [(span.attributes or {})["common.dynamo.page.index"] for span in telescope.spans()]
    assert trace.get_current_span() is before
    assert [] == [record for record in caplog.records if record.name.startswith("opentelemetry")]


def test_the_context_is_as_before_after_a_failure(faulty: Database, faults: FaultPlan, telescope: Any) -> None:
    """A span that ends with an error is detached too, and so is one that a crash ends."""
    before = otel_context.get_current()
    faults.script(Fault.CRASH_AFTER)
    with pytest.raises(Crash):
        faulty.dao(NOTE).create(Note(id="1", text="x"))

    assert before == otel_context.get_current()
    assert StatusCode.ERROR == telescope.span().status.status_code
