"""Cost (D41): what the engine says, over all requests of a call, and over all calls of a block."""

import threading
from contextvars import copy_context

import pytest

from common.dynamo import DAO, Cost, Database, Pattern, metered
from common.dynamo import requests as rq
from common.dynamo.cost import cost_of
from common.dynamo.exceptions import AlreadyExists
from common.dynamo.testing import spend
from common.dynamo.testing.examples import BY_STATE, Invoice, Note, State, make_invoice


def test_single_calls_cost_what_their_items_weigh(notes: DAO[Note]) -> None:
    """A kilobyte is a write unit, four are a consistent read unit, half of that an eventual one."""
    with spend(wcu=2, rcu=0, trips=1):
        notes.create(Note(id="1", text="x" * 1500))
    with spend(rcu=1, wcu=0, trips=1):
        notes.get("1")
    with spend(rcu=0.5, wcu=0, trips=1):
        notes.get("1", consistent=False)


def test_indexes_are_told_apart(invoices: DAO[Invoice]) -> None:
    """In the transaction of a create with one unique field: twice two for the items, one for the index row."""
    with spend(wcu=5, rcu=0, trips=1, indexes={"GSI1": 1}):
        invoices.create(make_invoice())
    with metered() as meter:
        invoices.query(BY_STATE, tenant="t1", state=State.OPEN).all()
    assert {"GSI1": 0.5} == dict(meter.cost.indexes)


def test_blocks_nest_and_threads_count_in_their_own_context(notes: DAO[Note]) -> None:
    """An outer block counts what inner ones count; a thread counts where its context says."""
    with metered() as outer:
        notes.get("1")
        with metered() as inner:
            notes.get("1")
        thread = threading.Thread(target=lambda: notes.get("1"))
        thread.start()
        thread.join()
        joined = threading.Thread(target=copy_context().run, args=(notes.get, "1"))
        joined.start()
        joined.join()

    assert (1, 3) == (inner.cost.trips, outer.cost.trips)


def test_a_refused_write_counts_its_trip(notes: DAO[Note]) -> None:
    """Error answers carry no capacity, though the engine charges for them: the units are under-counted."""
    notes.create(Note(id="1", text="x"))

    with spend(trips=1, wcu=0), pytest.raises(AlreadyExists):
        notes.create(Note(id="1", text="x"))


def test_a_raw_call_tells_its_cost(database: Database, notes: DAO[Note]) -> None:
    """On the result."""
    result = database.execute(notes.plan.get("1"), Pattern("Test.get", "GetItem"))

    assert (Cost(rcu=0.5 * 2, trips=1), 1, 0) == (result.cost, result.attempts, result.unknown_attempts)


def test_costs_add() -> None:
    """Index by index."""
    one = Cost(rcu=0.5, wcu=2, indexes={"GSI1": 1}, trips=1)

    assert Cost(rcu=1, wcu=4, indexes={"GSI1": 2}, trips=2) == one + one
    assert "Cost(read 1, write 4, GSI1 2, 2 trips)" == repr(one + one)


def test_a_replayed_transaction_reports_read_units() -> None:
    """The kind follows the operation except where the answer fills a field itself."""
    request = rq.TransactWriteItems(parts=())
    body = {"ConsumedCapacity": [{"TableName": "t", "CapacityUnits": 4.0, "ReadCapacityUnits": 4.0}]}
    two = {"ConsumedCapacity": [{"TableName": "t", "CapacityUnits": 2.0}, {"TableName": "u", "CapacityUnits": 2.0}]}

    assert Cost(rcu=4, trips=1) == cost_of(request, body, 1)
    assert Cost(wcu=4, trips=1) == cost_of(request, two, 1)
    assert Cost(trips=3) == cost_of(request, {}, 3)
