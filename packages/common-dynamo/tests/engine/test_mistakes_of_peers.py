"""Mistakes that data mappers are known to make with writes, each ruled out by a test of its name.

The rules behind them have tests of their own (D10 to D27); here each mistake is one short story that ends well.
Those with reads, keys and tables are in ``test_mistakes_of_peers_in_reads.py``.
"""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from common.dynamo import DAO, Change, Database, EntityType, Key, Pattern, Unique
from common.dynamo import requests as rq
from common.dynamo.exceptions import (
    AlreadyExists,
    ConditionFailed,
    NotFound,
    TransactionCanceled,
    UniqueViolation,
    VersionConflict,
)
from common.dynamo.testing import Engine, FaultPlan, spend
from common.dynamo.testing.examples import BY_STATE, COUNTER, INVOICE, NOTE, Counter, Invoice, Note, State, make_invoice
from common.dynamo.testing.routes import Route
from common.dynamo.wire.faults import Fault
from common.exceptions import InvalidInput

pytestmark = pytest.mark.thorough

SCAN = Pattern("Test.scan", "Scan")


def pay(change: Change[Invoice], it: Invoice) -> None:
    change.set(it.state, State.PAID)


def rename(change: Change[Note], it: Note) -> None:
    change.set(it.text, "renamed")


def move_to(email: str) -> Callable[[Change[Invoice], Invoice], None]:
    return lambda change, it: change.set(it.email, email)


def everything(db: Database) -> list[dict[str, Any]]:
    """Return every item of the test's table, locks included."""
    (table,) = {definition.name for definition in db.table_definitions()}
    return list(db.execute(rq.Scan(table=table, consistent=True), SCAN).body["Items"])


# Versions -------------------------------------------------------------------------------------------------------------


def test_a_failed_save_does_not_bump_the_version(route: Route, invoices: DAO[Invoice]) -> None:
    """So saving the same object again fails again, instead of overwriting the other writer."""
    stale = invoices.create(make_invoice())
    current = invoices.update(stale, pay)
    options = {} if route.reads_by_itself else {"old": current}

    for _ in range(3):
        with pytest.raises(VersionConflict):
            route("put", invoices, stale, **options)
        assert 1 == stale.version
    assert current == invoices.require(("t1", 1))


def test_a_put_in_a_transaction_asks_for_the_version(database: Database, invoices: DAO[Invoice]) -> None:
    """The block is refused whole, its other parts included."""
    stale = invoices.create(make_invoice(1))
    current = invoices.update(stale, pay)

    with pytest.raises(VersionConflict), database.transaction() as tx:  # noqa: PT012 - the block raises
        tx.create(invoices, make_invoice(2))
        tx.put(invoices, stale, old=current)
    assert [current, None] == invoices.batch_get([("t1", 1), ("t1", 2)])


def test_an_update_of_a_field_moves_version_and_index_key_too(route: Route, invoices: DAO[Invoice]) -> None:
    """On every route the item is found by its new state alone, one version further."""
    route("update", invoices, invoices.create(make_invoice()), pay)

    assert [] == invoices.query(BY_STATE, tenant="t1", state=State.OPEN).all()
    (found,) = invoices.query(BY_STATE, tenant="t1", state=State.PAID).all()
    assert (2, invoices.require(("t1", 1))) == (found.version, found)


# Existence ------------------------------------------------------------------------------------------------------------


def test_a_failed_update_condition_is_never_a_silent_no_op(route: Route, invoices: DAO[Invoice]) -> None:
    """It raises, with what is stored."""
    stored = invoices.create(make_invoice())

    with pytest.raises(ConditionFailed) as caught:
        route("update", invoices, ("t1", 1), pay, known={"number": 1, "total": stored.total + 1}, unlocked=True)
    assert stored == caught.value.stored == invoices.require(("t1", 1))


def test_an_update_of_a_missing_key_makes_no_half_item(route: Route, database: Database, notes: DAO[Note]) -> None:
    """Nothing is there afterwards, neither as a model nor as an item."""
    with pytest.raises(NotFound):
        route("update", notes, "nowhere", rename)
    assert [] == everything(database)


# Transactions ---------------------------------------------------------------------------------------------------------


def test_a_block_never_commits_in_pieces(database: Database, notes: DAO[Note]) -> None:
    """Not at 25 operations, and not when the block raises after them."""
    with spend(trips=0), pytest.raises(ZeroDivisionError), database.transaction() as tx:  # noqa: PT012 - it raises late
        for number in range(60):
            tx.create(notes, Note(id=f"{number}", text="x"))
        _ = 1 // 0
    assert [] == everything(database)

    with spend(trips=1), database.transaction() as tx:
        for number in range(60):
            tx.create(notes, Note(id=f"{number}", text="x"))
    assert 60 == len(everything(database))


def test_a_get_in_a_block_does_not_look_transactional(database: Database, notes: DAO[Note]) -> None:
    """It is a plain read of what is stored; what the block has to hold to is said by a check."""
    notes.create(Note(id="1", text="x"))

    with database.transaction() as tx:
        tx.update(notes, "1", rename)
        with spend(rcu=1, trips=1):
            assert "x" == notes.require("1").text
        tx.check(notes, "2", absent=True)
    assert "renamed" == notes.require("1").text


def test_operations_are_not_regrouped_and_each_reason_is_at_its_own_place(
    database: Database, notes: DAO[Note], invoices: DAO[Invoice]
) -> None:
    """Checks, puts, updates, deletes and locks in any order: the failures are at 1 and 4, where the caller put them."""
    notes.create(Note(id="taken", text="x"))

    with pytest.raises(TransactionCanceled) as caught, database.transaction() as tx:  # noqa: PT012 - the block raises
        tx.delete(notes, "gone")
        tx.update(notes, "missing", rename)
        tx.create(invoices, make_invoice(1))
        tx.check(notes, "absent", absent=True)
        tx.create(notes, Note(id="taken", text="y"))
        tx.put(notes, Note(id="put", text="z"))

    told = [(failure.position, failure.operation, type(failure.error)) for failure in caught.value.failures]
    assert [(1, "update note", NotFound), (4, "create note", AlreadyExists)] == told
    assert [{"S": "note"}] == [item["_t"] for item in everything(database)]


def test_ones_own_condition_is_not_retried_as_a_conflict(faulty_database: Database, faults: FaultPlan) -> None:
    """It is sent once."""
    notes = faulty_database.dao(NOTE)

    with spend(trips=1), pytest.raises(NotFound), faulty_database.transaction() as tx:
        tx.update(notes, "missing", rename)


def test_a_conflict_with_another_transaction_is_retried(faulty_database: Database, faults: FaultPlan) -> None:
    """It passes by itself; the third attempt is applied."""
    notes = faulty_database.dao(NOTE)
    faults.script(Fault.CONFLICT, Fault.CONFLICT)

    with spend(trips=3), faulty_database.transaction() as tx:
        tx.create(notes, Note(id="1", text="x"))
    assert notes.get("1") is not None


def test_an_update_in_a_transaction_moves_the_index_row(database: Database, invoices: DAO[Invoice]) -> None:
    """No index is left at the old value."""
    stored = invoices.create(make_invoice())
    with database.transaction() as tx:
        tx.update(invoices, stored, pay)

    found = [len(invoices.query(BY_STATE, tenant="t1", state=state).all()) for state in (State.OPEN, State.PAID)]
    assert [0, 1] == found


# Unique fields --------------------------------------------------------------------------------------------------------


def test_concurrent_updates_leave_no_lock_that_nobody_owns(database: Database, invoices: DAO[Invoice]) -> None:
    """Four threads fight over two values for two items; in the end there are two items and their two locks."""
    for number in (1, 2):
        invoices.create(make_invoice(number))
    failures: list[BaseException] = []

    def fight(thread: int) -> None:
        for step in range(6):
            try:
                invoices.update(("t1", 1 + thread % 2), move_to(f"{step % 3}@x"), unlocked=True, deadline=30)
            except UniqueViolation:
                continue
            except BaseException as error:
                failures.append(error)

    threads = [threading.Thread(target=fight, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not failures
    items = everything(database)
    owners = {item["_os"]["S"] for item in items if item["_t"] == {"S": "_unique"}}
    assert (4, {"N#10000000001", "N#10000000002"}) == (len(items), owners)
    for one in invoices.batch_get([("t1", 1), ("t1", 2)]):
        assert one is not None
        with pytest.raises(UniqueViolation):
            invoices.create(make_invoice(9, email=one.email))


class Member(BaseModel):
    id: str
    name: str


MEMBER = EntityType(Member, "member", key=Key("MEMBER#{id}", "M"), unique=[Unique("name", normalise=str.casefold)])


def test_one_lock_is_never_put_and_deleted_in_one_transaction(database: Database) -> None:
    """Another spelling of the same value keeps its lock: one plain update, which the engine takes."""
    members = database.dao(MEMBER)
    ada = members.create(Member(id="1", name="Ada"))
    write = members.plan.update(ada, lambda change, it: change.set(it.name, "ADA"))

    assert ((), "UpdateItem") == (write.locks, write.request().operation)
    assert "ADA" == members.update(ada, lambda change, it: change.set(it.name, "ADA")).name
    with pytest.raises(UniqueViolation):
        members.create(Member(id="2", name="ada"))


def test_a_value_that_moves_between_two_items_needs_two_steps(database: Database) -> None:
    """In one transaction it would be one lock deleted and put: that is refused before anything is sent."""
    members = database.dao(MEMBER)
    one = members.create(Member(id="1", name="Ada"))
    two = members.create(Member(id="2", name="Bob"))

    with spend(trips=0), pytest.raises(InvalidInput, match="touch one item"), database.transaction() as tx:  # noqa: PT012 - the block raises
        tx.update(members, one, lambda change, it: change.set(it.name, "Eve"))
        tx.update(members, two, lambda change, it: change.set(it.name, "Ada"))
    members.update(one, lambda change, it: change.set(it.name, "Eve"))
    assert "Ada" == members.update(two, lambda change, it: change.set(it.name, "Ada")).name


# Expiry ---------------------------------------------------------------------------------------------------------------

START = datetime(2026, 11, 24, 8, 0, 0, tzinfo=UTC)


def test_a_key_and_a_unique_value_are_free_at_expiry_not_at_the_sweep(engine: Engine, table_name: str) -> None:
    """The expired item and its lock are still in the table; their successors take their places."""
    now = [START]
    with engine.open(table=table_name, entity_types=[INVOICE], clock=lambda: now[0].timestamp()) as db:
        invoices = db.dao(INVOICE)
        invoices.create(make_invoice(1, email="a@x", expires_at=START + timedelta(hours=1)))
        with pytest.raises(AlreadyExists):
            invoices.create(make_invoice(1, email="b@x"))
        now[0] += timedelta(hours=1)

        assert 2 == len(everything(db))
        assert 1 == invoices.create(make_invoice(1, email="b@x")).version
        assert 1 == invoices.create(make_invoice(2, email="a@x")).version


def test_a_request_id_is_free_at_its_expiry_not_at_the_sweep(engine: Engine, table_name: str) -> None:
    """Until then a repeat is recognised; afterwards the record that is still there does not count."""
    now = [START]
    with engine.open(table=table_name, entity_types=[NOTE], clock=lambda: now[0].timestamp()) as db:

        def send(id: str) -> bool:
            with db.transaction(request_id="r-1", input=["the same"], keeps=3600) as tx:
                tx.create(db.dao(NOTE), Note(id=id, text="x"))
            return tx.replayed

        first, again = send("1"), send("2")
        now[0] += timedelta(hours=2)
        later = send("3")

        assert (False, True, False) == (first, again, later)
        assert [True, False, True] == [db.dao(NOTE).get(id) is not None for id in "123"]


def test_additions_are_not_doubled_by_a_retry(faulty_database: Database, faults: FaultPlan) -> None:
    """With a request id an addition whose answer was lost is sent again, and counts once."""
    counters = faulty_database.dao(COUNTER)
    counters.create(Counter(name="c"))
    faults.script(Fault.DROP_AFTER)

    counters.update("c", lambda change, it: change.add(it.hits, 1), request_id="r-1")
    assert 1 == counters.require("c").hits
