"""Transactions (D23, D24): all or none, in the caller's order, sent once at the end."""

import threading
from typing import Any

import pytest

from common.dynamo import DAO, Change, Database, Pattern
from common.dynamo import requests as rq
from common.dynamo.exceptions import (
    AlreadyExists,
    ConditionFailed,
    NotFound,
    OutcomeUnknown,
    TransactionCanceled,
    VersionConflict,
)
from common.dynamo.testing import spend
from common.dynamo.testing.examples import NOTE, Counter, Invoice, Note, State, make_invoice
from common.dynamo.wire.faults import Fault, FaultPlan, FaultRates
from common.exceptions import ConfigurationError, InvalidInput


def rename(change: Change[Note], it: Note) -> None:
    change.set(it.text, "renamed")


def test_a_block_is_one_call(database: Database, notes: DAO[Note], invoices: DAO[Invoice]) -> None:
    """Create, put, update, delete and check in one round trip, two units for each item."""
    notes.create(Note(id="old", text="x"))
    notes.create(Note(id="gone", text="x"))
    notes.create(Note(id="seen", text="x"))
    with spend(trips=1, wcu=10), database.transaction() as tx:
        created = tx.create(notes, Note(id="new", text="n"))
        put = tx.put(notes, Note(id="put", text="p"))
        tx.update(notes, "old", rename)
        tx.delete(notes, "gone")
        tx.check(notes, "seen", lambda it: it.text == "x")

    assert (Note(id="new", text="n"), Note(id="put", text="p")) == (created, put)
    assert ["renamed", None] == [note and note.text for note in notes.batch_get(["old", "gone"])]
    assert (10, 1) == (tx.cost.wcu, tx.cost.trips)


def test_an_exception_in_the_block_sends_nothing(database: Database, notes: DAO[Note]) -> None:
    """Nothing is sent before the block ends well."""
    with spend(trips=0), pytest.raises(ZeroDivisionError), database.transaction() as tx:  # noqa: PT012
        tx.create(notes, Note(id="1", text="x"))
        tx.create(notes, Note(id="2", text="x"))
        _ = 1 // 0

    assert [None, None] == notes.batch_get(["1", "2"])


def test_nothing_is_ambient(database: Database, notes: DAO[Note]) -> None:
    """A DAO's own call inside a block is a call of its own, and a read sees what is stored."""
    with database.transaction() as tx:
        tx.create(notes, Note(id="1", text="x"))
        notes.create(Note(id="2", text="at once"))
        assert notes.get("1") is None
        assert notes.get("2") is not None


def test_a_transaction_is_used_once(database: Database, notes: DAO[Note]) -> None:
    """Nested or repeated use is refused, and so is an operation outside of the block."""
    tx = database.transaction()
    with pytest.raises(ConfigurationError, match="inside the block"):
        tx.create(notes, Note(id="1", text="x"))
    with tx:
        tx.create(notes, Note(id="1", text="x"))
        with pytest.raises(ConfigurationError, match="one block"), tx:
            pass
    with pytest.raises(ConfigurationError, match="one block"), tx:
        pass
    with pytest.raises(ConfigurationError, match="inside the block"):
        tx.delete(notes, "1")

    assert notes.get("1") is not None


def test_an_empty_block_sends_nothing(database: Database) -> None:
    """There is nothing to do."""
    with spend(trips=0), database.transaction():
        pass


@pytest.mark.parametrize("failing", range(4))
def test_each_position_failing_in_turn_is_told_as_that_position(
    database: Database, notes: DAO[Note], failing: int
) -> None:
    """In the caller's order, with the code, the error of a single call and the stored model."""
    for name in ("a", "b", "c"):
        notes.create(Note(id=name, text="x"))
    texts = ["x"] * 4
    texts[failing] = "something else"

    with pytest.raises(TransactionCanceled) as caught, database.transaction() as tx:  # noqa: PT012
        tx.update(notes, "a", rename, where=lambda it: it.text == texts[0])
        tx.delete(notes, "b", where=lambda it: it.text == texts[1])
        tx.check(notes, "c", lambda it: it.text == texts[2])
        tx.delete(notes, "d", must_exist=failing == 3)

    (failure,) = caught.value.failures
    verb = ["update", "delete", "check", "delete"][failing]
    assert (failing, f"{verb} note", "ConditionalCheckFailed") == (failure.position, failure.operation, failure.code)
    expected: type[Exception] = NotFound if failing == 3 else ConditionFailed
    assert isinstance(failure.error, expected)
    assert isinstance(caught.value, expected)
    assert failing == 3 or Note(id="abc"[failing], text="x") == failure.stored
    assert ["x", "x", "x"] == [note.text for note in notes.batch_get(["a", "b", "c"]) if note is not None]


def test_the_error_is_an_instance_of_the_first_failures_class(
    database: Database, notes: DAO[Note], invoices: DAO[Invoice]
) -> None:
    """So callers catch it as they catch the single call's; all failures are in it."""
    notes.create(Note(id="1", text="x"))
    seen = invoices.create(make_invoice())
    current = invoices.update(seen, lambda change, it: change.set(it.state, State.PAID))

    with pytest.raises(AlreadyExists) as caught, database.transaction() as tx:  # noqa: PT012
        tx.create(notes, Note(id="1", text="y"))
        tx.put(notes, Note(id="2", text="fine"))
        tx.update(invoices, seen, lambda change, it: change.add(it.total, 1))

    assert isinstance(caught.value, TransactionCanceled)
    assert Note(id="1", text="x") == caught.value.stored
    assert [(0, AlreadyExists), (2, VersionConflict)] == [
        (one.position, type(one.error)) for one in caught.value.failures
    ]
    assert current == caught.value.failures[1].stored
    assert "already_exists" == caught.value.code


def test_a_version_conflict_in_a_transaction_tells_what_was_expected(
    database: Database, invoices: DAO[Invoice]
) -> None:
    """Same attributes as on the single call's error."""
    seen = invoices.create(make_invoice())
    invoices.update(seen, lambda change, it: change.set(it.state, State.PAID))

    with pytest.raises(VersionConflict) as caught, database.transaction() as tx:
        tx.update(invoices, seen, lambda change, it: change.add(it.total, 1))
    assert 1 == caught.value.expected


def test_two_operations_on_one_item_are_refused_before_sending(database: Database, notes: DAO[Note]) -> None:
    """DynamoDB would refuse the whole; the error names both."""
    with (  # noqa: PT012
        spend(trips=0),
        pytest.raises(InvalidInput, match="touch one item: create note and delete note"),
        database.transaction() as tx,
    ):
        tx.create(notes, Note(id="1", text="x"))
        tx.delete(notes, "1")


def test_more_than_100_actions_are_refused_before_sending(database: Database, invoices: DAO[Invoice]) -> None:
    """Locks of unique fields count."""
    with spend(trips=0), pytest.raises(InvalidInput, match="has 102"), database.transaction() as tx:  # noqa: PT012
        for number in range(51):
            tx.create(invoices, make_invoice(number))
    with database.transaction(deadline=30) as tx:
        for number in range(50):
            tx.create(invoices, make_invoice(number))


def test_more_than_4_megabytes_are_refused_before_sending(database: Database, notes: DAO[Note]) -> None:
    """Of all items together."""
    with spend(trips=0), pytest.raises(InvalidInput, match="4 MB"), database.transaction() as tx:  # noqa: PT012
        for number in range(11):
            tx.create(notes, Note(id=str(number), text="x" * 400_000))


def test_ready_made_parts_go_beside_the_layers_own(database: Database, notes: DAO[Note]) -> None:
    """Their failure is told with the item itself."""
    notes.create(Note(id="1", text="x"))
    condition = rq.Compare("=", NOTE.path("text"), NOTE.constant("text", "y"))
    part = rq.ConditionCheck(table=notes.plan.table, key=NOTE.item_key("1"), condition=condition)

    with pytest.raises(ConditionFailed) as caught, database.transaction() as tx:  # noqa: PT012
        tx.create(notes, Note(id="2", text="x"))
        tx.part(part, operation="check by hand")

    assert [(1, "check by hand")] == [(one.position, one.operation) for one in caught.value.failures]
    assert {"S": "x"} == caught.value.failures[0].stored["text"]


def test_a_conflict_is_retried_and_an_own_condition_is_not(faulty_database: Database, faults: FaultPlan) -> None:
    """Another transaction in the way is over in milliseconds; the caller's own condition stays false."""
    notes = faulty_database.dao(NOTE)
    faults.script(Fault.CONFLICT, Fault.CONFLICT)
    with faulty_database.transaction() as tx:
        tx.create(notes, Note(id="1", text="x"))
    assert 3 == faults.seen

    with pytest.raises(AlreadyExists), faulty_database.transaction() as tx:
        tx.create(notes, Note(id="1", text="x"))
    assert 4 == faults.seen


def test_a_transaction_without_an_answer_is_unknown(faulty_database: Database, faults: FaultPlan) -> None:
    """It may have been applied."""
    notes = faulty_database.dao(NOTE)
    faults.rates = FaultRates(drop_before=1.0)

    with pytest.raises(OutcomeUnknown), faulty_database.transaction(deadline=0.1) as tx:
        tx.create(notes, Note(id="1", text="x"))


def test_a_bank_of_eight_threads_loses_nothing(database: Database, counters: DAO[Counter]) -> None:
    """Transfers between three accounts: the sum stays, and no account falls below zero."""
    names = ("a", "b", "c")
    for name in names:
        counters.create(Counter(name=name, hits=100))

    def transfer(source: str, target: str) -> None:
        def take(change: Change[Counter], it: Counter) -> None:
            change.add(it.hits, -7)

        def give(change: Change[Counter], it: Counter) -> None:
            change.add(it.hits, 7)

        with database.transaction(deadline=30) as tx:
            tx.update(counters, source, take, where=lambda it: it.hits >= 7)
            tx.update(counters, target, give)

    def work(thread: int) -> None:
        for step in range(30):
            source, target = names[(thread + step) % 3], names[(thread + step + 1 + step % 2) % 3]
            try:
                transfer(source, target)
            except ConditionFailed:
                continue

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    balances = [counter.hits for counter in counters.batch_get(names) if counter is not None]
    assert (300, True) == (sum(balances), min(balances) >= 0)


def test_a_named_transaction_goes_by_its_name(database: Database, notes: DAO[Note]) -> None:
    """repr tells state, not content."""
    tx: Any = database.transaction(pattern=Pattern("Notes.move", "TransactWriteItems"))
    with tx:
        tx.create(notes, Note(id="secret", text="x"))
        assert "<Transaction: 1 operations, open>" == repr(tx)
