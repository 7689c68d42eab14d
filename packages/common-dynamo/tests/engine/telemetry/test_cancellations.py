"""Cancelled items (OT8): one event each, by the caller's own count, with a code and never with an item."""

import subprocess
import sys
from typing import Any

import pytest
from opentelemetry import _logs
from opentelemetry.sdk.trace import ReadableSpan
from pydantic import BaseModel

from common.dynamo import Database, EntityType, Key, telemetry
from common.dynamo.exceptions import AlreadyExists, TransactionCanceled, UniqueViolation
from common.dynamo.testing.canaries import CANARY, find_canaries
from common.dynamo.testing.engines import Engine
from common.dynamo.testing.examples import INVOICE, NOTE, Note, make_invoice

EVENT = "common.dynamo.transaction.item_cancelled"

among_logs = pytest.mark.skipif(
    telemetry._event_logger(None) is None, reason="The installed opentelemetry-api has no events among the logs."
)


def create_again(db: Database, *before: Note) -> None:
    """Create a note that exists, in a transaction after *before*, whose note does not."""
    notes = db.dao(NOTE)
    notes.create(Note(id="there", text=CANARY, author=CANARY))
    with pytest.raises(AlreadyExists), db.transaction() as tx:  # noqa: PT012
        for note in (*before, Note(id="there", text=CANARY)):
            tx.create(notes, note)


def told(span: ReadableSpan) -> list[tuple[str, dict[str, Any]]]:
    return [(event.name, dict(event.attributes or {})) for event in span.events]


def indexes(telescope: Any) -> list[int]:
    return [event.attributes["common.dynamo.cancellation.index"] for event in telescope.events()]


@among_logs
def test_a_cancelled_item_is_one_event(db: Database, telescope: Any) -> None:
    """Of two operations the second is refused: a code on the span, one in the counter, one event with index 1."""
    create_again(db, Note(id="new", text=CANARY))
    span = telescope.spans()[-1]
    (point,) = telescope.metrics()["common.dynamo.client.transaction.cancellations"]
    (event,) = telescope.events()
    named = {"db.collection.name": db.dao(NOTE).plan.table, "db.query.summary": "Database.transaction"}
    code = {"common.dynamo.cancellation.code": "ConditionalCheckFailed"}

    assert ("ConditionalCheckFailed",) == span.attributes["common.dynamo.transaction.cancellation_codes"]
    assert (1, {**named, **code}) == (point.value, dict(point.attributes))
    assert (EVENT, "WARN", 13) == (event.event_name, event.severity_text, event.severity_number.value)
    assert {**named, **code, "common.dynamo.cancellation.index": 1} == dict(event.attributes)
    assert (span.context.trace_id, span.context.span_id) == (event.trace_id, event.span_id)
    assert [] == told(span)


@among_logs
def test_no_event_holds_an_item_or_a_message(db: Database, telescope: Any) -> None:
    """The engine sends the item that stood in the way along; it goes to the caller's error alone."""
    create_again(db, Note(id="new", text=CANARY))
    events = [(event.event_name, event.body, dict(event.attributes)) for event in telescope.events()]

    assert 1 == len(events)
    assert [] == find_canaries({"events": repr(events)})


@among_logs
def test_an_index_counts_operations_and_not_the_parts_of_the_layer(db: Database, telescope: Any) -> None:
    """A unique field brings a lock along, as a part of its own; the index is the position that the error tells."""
    invoices, notes = db.dao(INVOICE), db.dao(NOTE)
    notes.create(Note(id="there", text="x"))
    with pytest.raises(TransactionCanceled) as caught, db.transaction() as tx:  # noqa: PT012
        tx.create(invoices, make_invoice(1, email="a@x"))
        tx.create(notes, Note(id="there", text="x"))

    assert [1] == [failure.position for failure in caught.value.failures]
    assert [1] == indexes(telescope)


@among_logs
def test_a_lock_that_is_taken_is_told_as_the_operation_that_wants_it(db: Database, telescope: Any) -> None:
    """In a transaction and as a single call, which is a transaction for the sake of its lock."""
    invoices, notes = db.dao(INVOICE), db.dao(NOTE)
    invoices.create(make_invoice(1, email="a@x"))
    with pytest.raises(UniqueViolation), db.transaction() as tx:  # noqa: PT012
        tx.create(notes, Note(id="new", text="x"))
        tx.create(invoices, make_invoice(2, email="a@x"))
    with pytest.raises(UniqueViolation):
        invoices.create(make_invoice(3, email="a@x"))

    assert [1, 0] == indexes(telescope)


class Card(BaseModel):
    id: str


CARD = EntityType(Card, "card", key=Key("CARD#{id}", "CARD"), group="other")


@among_logs
def test_an_event_of_several_tables_names_the_one_of_its_item(engine: Engine, table_name: str, telescope: Any) -> None:
    """The span cannot name one; the event is about one item."""
    tables = {"other": f"{table_name}-other"}
    types = [NOTE, CARD]
    with engine.open(table=table_name, tables=tables, entity_types=types, **telescope.options) as db:
        db.dao(CARD).create(Card(id="there"))
        with pytest.raises(AlreadyExists), db.transaction() as tx:  # noqa: PT012
            tx.create(db.dao(NOTE), Note(id="new", text="x"))
            tx.create(db.dao(CARD), Card(id="there"))
    (event,) = telescope.events()

    assert "db.collection.name" not in telescope.spans()[-1].attributes
    assert (f"{table_name}-other", 1) == (
        event.attributes["db.collection.name"],
        event.attributes["common.dynamo.cancellation.index"],
    )


@among_logs
def test_an_event_is_made_only_where_somebody_wants_it(
    db: Database, telescope: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loggers of newer APIs are asked first; older ones cannot be."""
    logger = telescope.logger_provider.get_logger("any")
    for wanted in (False, True):
        monkeypatch.setattr(type(logger), "enabled", lambda self, wanted=wanted, **_: wanted, raising=False)
        with pytest.raises(AlreadyExists), db.transaction() as tx:  # noqa: PT012
            for note in (Note(id=str(wanted), text="x"), Note(id="there", text="x")):
                tx.create(db.dao(NOTE), note)
            db.dao(NOTE).put(Note(id="there", text="x"), replace=True)

    assert [1] == indexes(telescope)


def test_events_of_the_span_are_for_back_ends_without_logs(engine: Engine, table_name: str, telescope: Any) -> None:
    """``events="span"``: the same event, on the span, and none among the logs."""
    with engine.open(table=table_name, entity_types=[NOTE], events="span", **telescope.options) as db:
        create_again(db, Note(id="new", text=CANARY))

    assert [
        (
            EVENT,
            {
                "db.collection.name": table_name,
                "db.query.summary": "Database.transaction",
                "common.dynamo.cancellation.index": 1,
                "common.dynamo.cancellation.code": "ConditionalCheckFailed",
            },
        )
    ] == told(telescope.spans()[-1])
    assert [] == telescope.events()


def test_an_api_without_events_among_its_logs_has_them_on_the_span(
    db: Database, telescope: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """opentelemetry-api before 1.38, whose loggers take no name of an event."""

    class Older:
        def emit(self, record: object) -> None: ...

    monkeypatch.setattr(_logs, "Logger", Older)
    create_again(db)

    assert [EVENT] == [name for name, _ in told(telescope.spans()[-1])]
    assert [] == telescope.events()


PROGRAM = """
import sys
from common.dynamo import Database
from common.dynamo.exceptions import AlreadyExists
from common.dynamo.testing.examples import NOTE, Note
with Database.embedded(entity_types=[NOTE]) as db:
    notes = db.dao(NOTE)
    notes.create(Note(id="1", text="x"))
    print("opentelemetry._logs" in sys.modules)
    try:
        with db.transaction() as tx:
            tx.create(notes, Note(id="1", text="x"))
    except AlreadyExists:
        pass
    print("opentelemetry._logs" in sys.modules)
print([name for name in sys.modules if name.startswith("opentelemetry.sdk")])
"""


def test_the_logs_of_opentelemetry_wait_for_the_first_event() -> None:
    """Most processes never need them; without an SDK nothing else is loaded and nothing is told."""
    result = subprocess.run([sys.executable, "-I", "-c", PROGRAM], check=True, capture_output=True, text=True)

    assert ["False", "True", "[]"] == result.stdout.splitlines()
    assert "" == result.stderr


LATE = """
from opentelemetry import _logs
from common.dynamo import Database
from common.dynamo.exceptions import AlreadyExists
from common.dynamo.testing.examples import NOTE, Note
def cancel(note):
    try:
        with db.transaction() as tx:
            tx.create(notes, note)
    except AlreadyExists:
        pass
with Database.embedded(entity_types=[NOTE]) as db:
    notes = db.dao(NOTE)
    for name in "12":
        notes.create(Note(id=name, text="x"))
    cancel(Note(id="1", text="x"))
    from opentelemetry.sdk import _logs as sdk
    from opentelemetry.sdk._logs import export
    exporter = export.InMemoryLogExporter()
    provider = sdk.LoggerProvider()
    provider.add_log_record_processor(export.SimpleLogRecordProcessor(exporter))
    _logs.set_logger_provider(provider)
    cancel(Note(id="2", text="x"))
    for one in exporter.get_finished_logs():
        print(one.instrumentation_scope.name, one.log_record.event_name)
"""


@among_logs
def test_an_sdk_that_is_set_up_late_has_the_events_that_follow() -> None:
    """The logger was obtained before, without one; the process's own provider is asked each time."""
    result = subprocess.run([sys.executable, "-c", LATE], check=True, capture_output=True, text=True)

    assert [f"common.dynamo {EVENT}"] == result.stdout.splitlines()
