"""Content (OT10): no key and no value in anything that is written down about a call."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from common.dynamo import DAO, Database, Pattern
from common.dynamo import requests as rq
from common.dynamo.backfill import Backfill
from common.dynamo.exceptions import DynamoError
from common.dynamo.testing.examples import COUNTER, NOTE, Note
from common.dynamo.wire.faults import FaultPlan, FaultRates

CANARY = "canary-value"


def everything(db: Database, faults: FaultPlan) -> None:
    """Each operation and each class of error, with the canary in key, value, filter and cursor."""
    notes, counters = db.dao(NOTE), db.dao(COUNTER)
    notes.create(Note(id=CANARY, text=CANARY, author=CANARY))
    notes.batch_get([CANARY, f"{CANARY}-2"])
    page = notes.query(id=CANARY).where(lambda it: it.text == CANARY).page(1)
    assert page.next is None or notes.query(id=CANARY).where(lambda it: it.text == CANARY).page(1, after=page.next)
    list(notes.query(id=CANARY))
    notes.put(Note(id=CANARY, text=CANARY), replace=True)
    list(notes.scan(name="all").where(lambda it: it.text == CANARY))
    Backfill(db, NOTE, name="all", change=lambda note: note.model_copy(update={"author": f"{CANARY}-4"})).run()
    wrong = rq.Update(add=((rq.Path(("text",)), rq.Constant({"N": "1"})),))
    failing: list[Callable[[], object]] = [
        lambda: notes.create(Note(id=CANARY, text=CANARY)),
        lambda: notes.update(CANARY, lambda change, it: change.set(it.text, "x"), where=lambda it: it.text != CANARY),
        lambda: notes.update(f"{CANARY}-3", lambda change, it: change.set(it.text, CANARY)),
        lambda: notes.update(CANARY, wrong),
        lambda: cancelled(db, notes),
        lambda: notes.query(id=CANARY).page(1, after=CANARY),
        lambda: notes.create(Note(id="", text=CANARY)),
        lambda: counters.get((CANARY, CANARY)),
        lambda: misfit(db, notes),
        lambda: notes.scan(name="all").all(),
        lambda: Backfill(db, NOTE, name="again").run(stop_on_invalid=True),
    ]
    for call in failing:
        with pytest.raises(Exception):  # noqa: B017
            call()
    for rates in (FaultRates(throttle=1.0), FaultRates(drop_after=1.0), FaultRates(hang=1.0), FaultRates(refuse=1.0)):
        faults.rates = rates
        for call in (
            lambda: notes.get(CANARY, deadline=0.03),
            lambda: notes.put(Note(id=CANARY, text="x"), deadline=0.03),
        ):
            with pytest.raises(DynamoError):
                call()
    faults.heal()


def cancelled(db: Database, notes: DAO[Note]) -> None:
    with db.transaction() as tx:
        tx.create(notes, Note(id=CANARY, text=CANARY))


def misfit(db: Database, notes: DAO[Note]) -> object:
    update = rq.Update(set=((rq.Path(("text",)), rq.Constant({"BOOL": True})),))
    db.execute(
        rq.UpdateItem(table=notes.plan.table, key=NOTE.item_key(CANARY), update=update), Pattern("T", "UpdateItem")
    )
    return notes.get(CANARY)


def test_no_span_metric_log_or_message_holds_a_key_or_a_value(
    faulty: Database, telescope: Any, faults: FaultPlan, caplog: pytest.LogCaptureFixture
) -> None:
    """The canary is in every place a caller can put it, and in none that the layer writes."""
    with caplog.at_level(logging.DEBUG):
        everything(faulty, faults)
    written = [span.to_json() for span in telescope.spans()]
    written.append(telescope.reader.get_metrics_data().to_json())
    written += [record.getMessage() for record in caplog.records if record.name.startswith("common")]
    written.append(repr(faulty.traffic()))
    written += [repr((event.event_name, event.body, event.attributes)) for event in telescope.events()]

    assert len(telescope.spans()) >= 20
    assert [] == [text for text in written if CANARY in text]
