"""Metrics (OT4, OT7, OT8, OT11): one duration per operation, capacity by kind, counters of what went wrong."""

import os
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.trace import StatusCode

from common.dynamo import Budget, Database, budget
from common.dynamo.exceptions import AlreadyExists, BudgetExceeded, OutcomeUnknown
from common.dynamo.requests import BatchWriteItem, PutItem, Request
from common.dynamo.testing.engines import Engine
from common.dynamo.testing.examples import NOTE, Note
from common.dynamo.wire import Answer, Wire
from common.dynamo.wire.faults import Fault, FaultPlan, FaultRates

MANY = int(os.environ.get("COMMON_TEST_KEYS", "2000"))
"""Distinct keys, where a call costs microseconds; 10,000 in a long run."""


def test_the_duration_is_the_spans_own(db: Database, telescope: Any) -> None:
    """Same attributes and error, buckets as listed, an exemplar with the trace id."""
    notes = db.dao(NOTE)
    notes.create(Note(id="1", text="x"))
    with pytest.raises(AlreadyExists):
        notes.create(Note(id="1", text="x"))
    durations = telescope.metrics()["db.client.operation.duration"]
    points = [point for point in durations if point.attributes["db.query.summary"] == "Note.create"]
    spans = telescope.spans()

    assert 2 == len(points) == len(spans)
    for span, point in zip(spans, sorted(points, key=lambda point: len(point.attributes)), strict=True):
        assert ((span.end_time or 0) - (span.start_time or 0)) / 1e9 == pytest.approx(point.sum, abs=1e-6)
        assert (span.attributes or {}).get("error.type") == point.attributes.get("error.type")
        assert (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0) == tuple(point.explicit_bounds)
        assert [span.context.trace_id] == [exemplar.trace_id for exemplar in point.exemplars]


def test_capacity_is_measured_by_kind(db: Database, table_name: str, telescope: Any) -> None:
    """The sum of the histogram is the cost."""
    notes = db.dao(NOTE)
    notes.create(Note(id="1", text="x" * 1500))
    notes.get("1")
    points = telescope.metrics()["common.dynamo.client.consumed_capacity"]
    told = {point.attributes["db.query.summary"]: point for point in points}

    assert {"Note.create": 2.0, "Note.get": 1.0} == {name: point.sum for name, point in told.items()}
    assert {
        "db.system.name": "aws.dynamodb",
        "db.operation.name": "PutItem",
        "db.collection.name": table_name,
        "db.query.summary": "Note.create",
        "common.dynamo.capacity.type": "write",
    } == dict(told["Note.create"].attributes)
    assert (0.5, 1, 2, 5, 10, 25, 50, 100, 400, 1000) == tuple(told["Note.get"].explicit_bounds)


def test_a_retry_that_succeeded_is_counted_and_is_no_error(faulty: Database, telescope: Any, faults: FaultPlan) -> None:
    """On the span and as a counter."""
    faults.script(Fault.THROTTLE, Fault.REFUSE)
    faulty.dao(NOTE).get("1", deadline=30)

    assert 2 == (telescope.span().attributes or {})["common.dynamo.retry.count"]
    assert StatusCode.UNSET == telescope.span().status.status_code
    assert [2] == [point.value for point in telescope.metrics()["common.dynamo.client.retries"]]


def test_what_went_over_a_budget_is_counted_and_stands_on_the_span(
    engine: Engine, table_name: str, telescope: Any
) -> None:
    """By access pattern, whose budget it was and which limit: the amounts are on the span alone."""
    options = {"budgets": {"Note.get": Budget(rcu=1, trips=0)}, **telescope.options}
    with engine.open(table=table_name, entity_types=[NOTE], **options) as db:
        db.dao(NOTE).create(Note(id="1", text="x" * 5000))
        telescope.clear()
        with budget(trips=0, mode="raise"), pytest.raises(BudgetExceeded):
            db.dao(NOTE).get("1")
        db.dao(NOTE).get("1")
    stopped, answered = telescope.spans()
    own = "common.dynamo.budget."
    counted = {
        (point.attributes[f"{own}scope"], point.attributes[f"{own}dimension"]): point.value
        for point in telescope.metrics()["common.dynamo.client.budget.overruns"]
        if "Note.get" == point.attributes["db.query.summary"]
        and table_name == point.attributes["db.collection.name"]
        and 4 == len(point.attributes)
    }

    assert {("request", "trips"): 1, ("pattern", "trips"): 1, ("pattern", "rcu"): 1} == counted
    assert "common.dynamo.exceptions.BudgetExceeded" == stopped.attributes["error.type"]
    assert ["common.dynamo.budget.exceeded"] == [event.name for event in stopped.events]
    assert [
        {f"{own}scope": "pattern", f"{own}dimension": "rcu", f"{own}spent": 2.0, f"{own}limit": 1},
        {f"{own}scope": "pattern", f"{own}dimension": "trips", f"{own}spent": 1, f"{own}limit": 0},
    ] == [dict(event.attributes) for event in answered.events]
    assert StatusCode.UNSET == answered.status.status_code


class BusyTwice:
    """A wire to an engine that leaves two entries of the first two batches unprocessed."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._rounds = 0
        self.name, self.reason, self.endpoint, self.region = wire.name, wire.reason, wire.endpoint, wire.region

    def send(self, request: Request, timeout: float) -> Answer:
        if not isinstance(request, BatchWriteItem) or self._rounds == 2:
            return self._wire.send(request, timeout)
        self._rounds += 1
        ((table, writes),) = request.writes.items()
        left = [{"PutRequest": {"Item": write.item}} for write in writes[-2:] if isinstance(write, PutItem)]
        done = self._wire.send(replace(request, writes={table: writes[:-2]}), timeout) if writes[:-2] else None
        return Answer(200, {**(done.body if done else {}), "UnprocessedItems": {table: left}})

    def close(self) -> None:
        self._wire.close()


def test_unprocessed_entries_are_counted(engine: Engine, table_name: str, telescope: Any) -> None:
    """One span however many rounds; its size is what was submitted."""
    wire = BusyTwice(engine.wire())
    with Database.connect(table=table_name, wire=wire, entity_types=[NOTE], **telescope.options) as db:
        db.create_tables()
        telescope.clear()
        notes = db.dao(NOTE)
        notes.batch_write([notes.plan.put(Note(id=str(n), text="x"), replace=True) for n in range(25)], deadline=30)
        assert all(note is not None for note in notes.batch_get([str(n) for n in range(25)]))
    written = telescope.spans()[0]
    (point,) = telescope.metrics()["common.dynamo.client.unprocessed_items"]

    assert (25, 4) == (
        written.attributes["db.operation.batch.size"],
        written.attributes["common.dynamo.unprocessed.count"],
    )
    assert 4 == point.value


def test_an_unknown_outcome_is_counted(faulty: Database, telescope: Any, faults: FaultPlan) -> None:
    """And its error is the last attempt's."""
    faults.rates = FaultRates(error_before=1.0)
    with pytest.raises(OutcomeUnknown):
        faulty.dao(NOTE).create(Note(id="1", text="x"), deadline=0.05)

    assert [1] == [point.value for point in telescope.metrics()["common.dynamo.client.unknown_outcomes"]]
    attributes = dict(telescope.span().attributes or {})
    assert attributes["error.type"] in ("InternalServerError", "ServiceUnavailable", "ServiceUnavailableException")
    assert attributes["error.type"] == attributes["db.response.status_code"]


def test_what_a_transaction_was_cancelled_for_is_counted(db: Database, telescope: Any) -> None:
    """Codes on the span, one per item in the counter; no item anywhere."""
    notes = db.dao(NOTE)
    notes.create(Note(id="1", text="canary"))
    telescope.clear()
    with pytest.raises(AlreadyExists), db.transaction() as tx:  # noqa: PT012
        tx.create(notes, Note(id="0", text="x"))
        tx.create(notes, Note(id="1", text="x"))
    attributes = dict(telescope.span().attributes or {})
    (point,) = telescope.metrics()["common.dynamo.client.transaction.cancellations"]

    assert ("ConditionalCheckFailed",) == attributes["common.dynamo.transaction.cancellation_codes"]
    assert "TransactionCanceledException" == attributes["error.type"]
    assert 1 == point.value
    assert {
        "db.collection.name": notes.plan.table,
        "db.query.summary": "Database.transaction",
        "common.dynamo.cancellation.code": "ConditionalCheckFailed",
    } == dict(point.attributes)


def test_thousands_of_keys_make_no_more_series_than_one(db: Database, telescope: Any) -> None:
    """Attribute values come from code and configuration alone."""
    notes = db.dao(NOTE)

    def series() -> int:
        return sum(len(points) for points in telescope.metrics().values())

    notes.get("first")
    before = series()
    telescope.clear()
    for number in range(MANY if db.wire.name == "embedded" else 200):
        notes.get(f"user-{number}")

    assert before == series()
