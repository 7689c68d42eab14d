"""Transactions under a request id (D25): applied once, however often, however late, whatever the engine forgets."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from common.dynamo import Change, Database, Pattern, Transaction
from common.dynamo.command_records import COMMAND_TYPE, command_key
from common.dynamo.exceptions import (
    AlreadyExists,
    ConditionFailed,
    InvalidItem,
    OutcomeUnknown,
    RequestIdReused,
    TransactionCanceled,
    Unavailable,
)
from common.dynamo.request_input import input_hash
from common.dynamo.requests import Constant, Path, PutItem, Scan, Update, UpdateItem
from common.dynamo.testing import Crash, Engine, Fault, FaultPlan, spend
from common.dynamo.testing.examples import COUNTER, INVOICE, NOTE, Counter, Invoice, Note, State, make_invoice
from common.dynamo.testing.forgetful import ForgetfulWire
from common.exceptions import ConfigurationError, InvalidInput

TYPES = (INVOICE, NOTE, COUNTER)
START = datetime(2026, 11, 24, 8, tzinfo=UTC).timestamp()
HOLDS_ITSELF: list[Any] = []
HOLDS_ITSELF.append(HOLDS_ITSELF)


class Receipt(BaseModel):
    number: int
    total: Decimal


@dataclass
class Clock:
    """A wall clock that is moved by hand."""

    now: float = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def db(engine: Engine, table_name: str, clock: Clock) -> Iterator[Database]:
    """A database whose wall clock is moved by hand."""
    with engine.open(table=table_name, entity_types=TYPES, clock=clock) as db:
        yield db


@pytest.fixture
def forgetful(engine: Engine, table_name: str, faults: FaultPlan) -> Iterator[Database]:
    """A database on an engine that remembers no token and has faults in store."""
    wire = ForgetfulWire(engine.wire(faults=faults))
    with Database(wire, table=table_name, entity_types=TYPES) as db:
        db.create_tables()
        yield db
        faults.heal()
        faults.settle()


def hit(change: Change[Counter], it: Counter) -> None:
    change.add(it.hits, 1)


def pay(change: Change[Invoice], it: Invoice) -> None:
    change.set(it.state, State.PAID)


def count(db: Database, request_id: str, result: Any = None, **options: Any) -> Transaction:
    """Add one to the counter "c", which must be there."""
    with db.transaction(request_id=request_id, **options) as tx:
        tx.update(db.dao(COUNTER), "c", hit)
        if result is not None:
            tx.result = result
    return tx


def hits(db: Database) -> int:
    return db.dao(COUNTER).require("c", deadline=10).hits


@pytest.fixture(autouse=True)
def counter(request: pytest.FixtureRequest) -> None:
    """The counter "c" of the test's database, at zero."""
    for name in ("db", "forgetful", "database"):
        if name in request.fixturenames:
            request.getfixturevalue(name).dao(COUNTER).create(Counter(name="c"))


# Repeats


def test_a_repeat_writes_nothing_and_has_the_first_result(db: Database) -> None:
    """The record costs two units and no round trip; the repeat is refused by it and ends well."""
    with spend(wcu=4, trips=1):
        first = count(db, "r-1", result=Receipt(number=1, total=Decimal("5.00")))
    with spend(wcu=0, trips=1):
        again = count(db, "r-1", result=Receipt(number=2, total=Decimal("6.00")))

    assert 1 == hits(db)
    assert (False, True) == (first.replayed, again.replayed)
    assert first.result == again.result == Receipt(number=1, total=Decimal("5.00"))
    assert first.result == again.result_as(Receipt)


def test_a_restarted_caller_that_builds_everything_anew_is_replayed(db: Database) -> None:
    """Versions have moved, conditions fail, the item exists: the record goes before all of them."""
    notes, invoices = db.dao(NOTE), db.dao(INVOICE)
    seen = invoices.create(make_invoice())

    def attempt(invoice: Invoice) -> Transaction:
        with db.transaction(request_id="r-1") as tx:
            tx.create(notes, Note(id="n", text="paid"))
            tx.update(invoices, invoice, pay)
            tx.check(invoices, ("t1", 2), absent=True)
            tx.delete(notes, "gone", where=lambda it: it.text == "x") if invoice.version == 9 else None
        return tx

    assert not attempt(seen).replayed
    assert attempt(seen).replayed
    assert attempt(invoices.require(("t1", 1))).replayed
    assert 2 == invoices.require(("t1", 1)).version


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(lambda tx, db: tx.update(db.dao(COUNTER), "d", hit), id="key"),
        pytest.param(lambda tx, db: tx.update(db.dao(COUNTER), "c", lambda c, it: c.add(it.hits, 2)), id="value"),
        pytest.param(lambda tx, db: tx.update(db.dao(COUNTER), "c", lambda c, it: c.set(it.hits, 1)), id="clause"),
        pytest.param(lambda tx, db: tx.delete(db.dao(COUNTER), "c"), id="verb"),
        pytest.param(lambda tx, db: tx.create(db.dao(NOTE), Note(id="n", text="x")), id="type"),
        pytest.param(lambda tx, db: None, id="nothing"),
    ],
)
def test_another_request_under_the_same_id_is_refused(
    db: Database, other: Callable[[Transaction, Database], object]
) -> None:
    """Nothing of it is applied."""
    count(db, "r-1")

    with pytest.raises(RequestIdReused), db.transaction(request_id="r-1") as tx:
        other(tx, db)
    assert 1 == hits(db)
    assert db.dao(NOTE).get("n") is None


def test_given_input_decides_alone(db: Database) -> None:
    """So a block may make its values of what it reads: the caller has asked for the same."""

    def double(asked: object) -> Transaction:
        now = hits(db)
        with db.transaction(request_id="r-1", input=asked) as tx:
            tx.update(db.dao(COUNTER), "c", lambda change, it: change.set(it.hits, now + 10))
        return tx

    assert not double({"by": Decimal("10.0")}).replayed
    assert double({"by": 10}).replayed
    with pytest.raises(RequestIdReused):
        double({"by": 11})
    assert 10 == hits(db)


def test_two_scopes_are_two_requests(db: Database) -> None:
    """An id of one tenant says nothing about another's; no two pairs of scope and id run together."""
    for scope, request_id in (("", "r-1"), ("t1", "r-1"), ("t1r", "-1")):
        assert not count(db, request_id, scope=scope).replayed
        assert count(db, request_id, scope=scope).replayed
    assert 3 == hits(db)


def test_eight_threads_with_one_id_apply_it_once(db: Database) -> None:
    """One of them writes, the others are told its result."""
    done: list[Transaction] = []

    def attempt(number: int) -> None:
        done.append(count(db, "r-1", result=number, deadline=30))

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (1, 8) == (hits(db), len(done))
    assert 1 == sum(not tx.replayed for tx in done)
    assert 1 == len({tx.result for tx in done})


# Time


def test_a_request_is_recognised_after_the_engine_has_forgotten_its_token(db: Database, clock: Clock) -> None:
    """DynamoDB remembers a token for ten minutes; the record counts for as long as it was asked to."""
    count(db, "r-1", keeps=3600)
    clock.now += 3599

    assert count(db, "r-1", keeps=3600).replayed
    assert 1 == hits(db)


def test_an_expired_record_is_absent_though_nobody_has_swept_it(db: Database, clock: Clock) -> None:
    """Its time is part of the condition; other input under the id is a new request then."""
    count(db, "r-1", result="first", keeps=60)
    clock.now += 60
    assert db.replay("r-1") is None

    again = count(db, "r-1", result="second", keeps=60, input="other")
    assert (False, "second") == (again.replayed, again.result)
    assert count(db, "r-1", keeps=60, input="other").replayed
    assert 2 == hits(db)


def test_a_copy_from_before_the_expiry_is_blocked_by_what_came_after(db: Database, clock: Clock) -> None:
    """A request says at which time it was built, so a copy that was under way for ever finds a record that counts."""
    late = db.transaction(request_id="r-1", keeps=60)
    with suppress(ZeroDivisionError), late:
        late.update(db.dao(COUNTER), "c", hit)
        copy = late.request()
        _ = 1 // 0
    clock.now += 1
    count(db, "r-1", keeps=60)
    clock.now += 3600

    with pytest.raises(TransactionCanceled):
        db.execute(copy, Pattern("Test.late", "TransactWriteItems"))
    assert 1 == hits(db)


# Lost answers, without the engine's memory


@pytest.mark.parametrize("fault", [Fault.DROP_AFTER, Fault.DROP_BEFORE, Fault.ERROR_AFTER, Fault.DUPLICATE])
def test_a_lost_answer_is_settled_by_the_record_alone(forgetful: Database, faults: FaultPlan, fault: Fault) -> None:
    """An addition without version or condition is sent again, and applied once; the call itself was the one."""
    faults.script(fault)
    tx = count(forgetful, "r-1", result="done")

    assert (1, False, "done") == (hits(forgetful), tx.replayed, tx.result)
    assert count(forgetful, "r-1").replayed


def test_a_call_whose_answer_was_lost_is_no_repeat_of_itself(forgetful: Database, faults: FaultPlan) -> None:
    """Even where the record is all that was written: it carries the id of the write."""
    faults.script(Fault.DROP_AFTER)
    with forgetful.transaction(request_id="r-1", input="ask") as tx:
        tx.result = "no"

    assert (False, "no") == (tx.replayed, tx.result)


def test_a_copy_that_lands_after_the_caller_gave_up_changes_nothing_twice(
    forgetful: Database, faults: FaultPlan
) -> None:
    """The doubt carries the id; the repeat and the late copy come in whatever order."""
    faults.script(Fault.LATE, *[Fault.REFUSE] * 20)
    with pytest.raises(OutcomeUnknown) as caught:
        count(forgetful, "r-1", deadline=0.02)
    assert "r-1" == caught.value.request_id
    faults.heal()

    count(forgetful, "r-1")
    faults.settle()
    assert count(forgetful, "r-1").replayed
    assert 1 == hits(forgetful)


def test_a_condition_that_fails_after_a_lost_attempt_leaves_the_doubt(forgetful: Database, faults: FaultPlan) -> None:
    """A copy may still land; the next attempt, with nothing lost, knows."""
    notes = forgetful.dao(NOTE)
    notes.create(Note(id="n", text="x"))

    def attempt() -> None:
        with forgetful.transaction(request_id="r-1") as tx:
            tx.create(notes, Note(id="n", text="y"))

    faults.script(Fault.DROP_BEFORE)
    with pytest.raises(OutcomeUnknown):
        attempt()
    assert forgetful.replay("r-1") is None
    with pytest.raises(AlreadyExists):
        attempt()


FAULTS = [fault for fault in Fault if fault not in (Fault.HANG, Fault.TRUNCATE, Fault.UNPROCESSED)]


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_happens_at_the_commit_it_is_applied_once(
    forgetful: Database, faults: FaultPlan, fault: Fault
) -> None:
    """A fault, a retry and a duplicate leave what a single run leaves."""
    faults.script(fault)
    with suppress(Crash, OutcomeUnknown, Unavailable):
        count(forgetful, "r-1", result="done", deadline=0.2)
    faults.heal()
    faults.settle()
    again = [count(forgetful, "r-1", result="done") for _ in range(2)]

    assert (1, "done", True) == (hits(forgetful), again[0].result, again[1].replayed)


# Results


def test_a_result_comes_back_as_json_or_as_the_model_that_was_set(db: Database) -> None:
    """Alike from the first call and from a repeat."""
    given = {"total": Decimal("1.50"), "at": datetime(2026, 1, 1, tzinfo=UTC), "lines": [1, None]}
    for _ in range(2):
        assert {"total": "1.50", "at": "2026-01-01T00:00:00Z", "lines": [1, None]} == count(db, "r-1", given).result
        assert [1] == count(db, "r-2", [1]).result_as(list[int])
        assert count(db, "r-3").result is None
    with pytest.raises(InvalidItem):
        count(db, "r-2").result_as(Receipt)
    assert Receipt(number=1, total=Decimal(2)) == count(db, "r-4", Receipt(number=1, total=Decimal(2))).result


def test_an_answer_without_any_write_is_kept_too(db: Database) -> None:
    """A no stays a no: the record alone is stored, and the next one is told."""
    for _ in range(2):
        with spend(trips=1), db.transaction(request_id="r-1", input="withdraw 5") as tx:
            tx.result = "refused"
    assert (True, "refused") == (tx.replayed, tx.result)


def test_a_result_that_cannot_be_kept_is_refused_before_anything_is_sent(db: Database) -> None:
    """No form in JSON, too large, without a request id, or outside of the block."""
    with spend(trips=0):
        with pytest.raises(InvalidInput, match="read back"):
            count(db, "r-1", result=object())
        with pytest.raises(InvalidInput, match="400 KB"):
            count(db, "r-1", result="x" * 410_000)
        with pytest.raises(ConfigurationError, match="request_id"), db.transaction() as tx:
            tx.result = 1
        with pytest.raises(ConfigurationError, match="inside the block"):
            db.transaction(request_id="r-1").result = 1
        with pytest.raises(ConfigurationError, match="request_id"):
            db.transaction().result_as(int)
    assert db.transaction().result is None


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"request_id": ""}, InvalidInput),
        ({"request_id": 7}, InvalidInput),
        ({"request_id": "r", "scope": None}, InvalidInput),
        ({"request_id": "r", "keeps": 0}, ConfigurationError),
        ({"request_id": "r", "keeps": float("inf")}, ConfigurationError),
        ({"request_id": "r", "input": object()}, ConfigurationError),
        ({"request_id": "r", "input": HOLDS_ITSELF}, ConfigurationError),
        ({"scope": "t1"}, ConfigurationError),
        ({"input": "x"}, ConfigurationError),
    ],
)
def test_wrong_arguments_are_refused_at_once(db: Database, options: dict[str, Any], error: type[Exception]) -> None:
    """Before the block begins."""
    with spend(trips=0), pytest.raises(error):
        db.transaction(**options)


def test_the_record_is_one_of_the_hundred_actions(db: Database) -> None:
    """As locks are."""
    with spend(trips=0), pytest.raises(InvalidInput, match="has 101"), db.transaction(request_id="r-1") as tx:  # noqa: PT012
        for number in range(100):
            tx.create(db.dao(NOTE), Note(id=str(number), text="x"))


# Looking it up


def test_what_a_request_has_left_can_be_looked_up(db: Database) -> None:
    """One consistent read, for blocks that could not come to their end again, and after lost answers."""
    with spend(rcu=1, trips=1):
        assert db.replay("r-1", input="ask") is None
    count(db, "r-1", input="ask", result={"n": 1})
    with spend(rcu=1, trips=1):
        found = db.replay("r-1", input="ask")

    assert found is not None
    assert ({"n": 1}, {"n": 1}) == (found.result, found.result_as(dict[str, int]))
    assert "<Replay with a result>" == repr(found)
    with pytest.raises(RequestIdReused):
        db.replay("r-1", input="other")
    assert db.replay("r-1", scope="t1") is None


def test_a_record_is_no_entity_and_does_not_tell_the_id(db: Database, table_name: str) -> None:
    """Its type begins with an underscore, and its key is a hash."""
    count(db, "a-very-secret-id", result=1, scope="tenant")
    db.dao(NOTE).create(Note(id="n", text="x"))
    body = db.execute(Scan(table=table_name), Pattern("Test.scan", "Scan")).body
    (record,) = [item for item in body["Items"] if item["_t"]["S"].startswith("_")]

    assert COMMAND_TYPE == record["_t"]["S"]
    assert command_key("a-very-secret-id", "tenant") == {name: record[name] for name in ("pk", "sk")}
    assert "secret" not in repr(record)
    assert [Note(id="n", text="x")] == list(db.dao(NOTE).scan(name="test-notes"))
    assert [Counter(name="c", hits=1)] == list(db.dao(COUNTER).scan(name="test-counters"))


# What counts as the same input


def asked(db: Database, *operations: Callable[[Transaction], object]) -> str:
    """Return the hash of the input of a block."""
    tx = db.transaction(request_id="r-1")
    with suppress(ZeroDivisionError), tx:
        for operation in operations:
            operation(tx)
        part = tx.request().parts[-1]
        _ = 1 // 0
    assert isinstance(part, PutItem)
    return str(part.item["_h"]["S"])


def test_neither_versions_nor_conditions_nor_times_are_part_of_the_input(db: Database, clock: Clock) -> None:
    """What the layer adds and what was seen moves between two honest attempts; what is to be stored does not."""
    invoices = db.dao(INVOICE)
    new, old = make_invoice(), make_invoice().model_copy(update={"version": 3})
    first = asked(db, lambda tx: tx.update(invoices, new, pay, expect=1))
    clock.now += 100

    assert first == asked(db, lambda tx: tx.update(invoices, old, pay, where=lambda it: it.total > 1))
    assert asked(db, lambda tx: tx.put(invoices, new)) == asked(db, lambda tx: tx.put(invoices, old, old=old))
    assert asked(db, lambda tx: tx.delete(invoices, new, expect=1)) == asked(db, lambda tx: tx.delete(invoices, old))
    assert asked(db, lambda tx: tx.put(invoices, new)) != asked(db, lambda tx: tx.create(invoices, new))


def test_sets_and_mappings_have_no_order_and_numbers_no_scale() -> None:
    """A set of texts has another order in every process."""
    tags = [f"tag-{number}" for number in range(20)]
    assert input_hash({"a": set(tags), "b": 1}) == input_hash({"b": Decimal("1.00"), "a": frozenset(reversed(tags))})
    assert input_hash(Receipt(number=1, total=Decimal(5))) == input_hash({"total": Decimal("5.0"), "number": 1})
    assert input_hash(START) == input_hash(START)
    different = ["1", 1, True, None, [1], {"1"}, {"1": 1}, b"1", 1.5, datetime(2026, 1, 1, tzinfo=UTC), State.PAID]
    assert len(different) == len({input_hash(value) for value in different})


def test_ready_made_parts_and_sets_in_items_count_by_content(db: Database, table_name: str) -> None:
    """Another value is another request; the order of a stored set is not."""

    def part(*tags: str) -> str:
        update = Update(add=((Path(("tags",)), Constant({"SS": list(tags)})),))
        return asked(db, lambda tx: tx.part(UpdateItem(table=table_name, key=COUNTER.item_key("c"), update=update)))

    assert part("a", "b") == part("b", "a")
    assert part("a", "b") != part("a", "c")


def test_a_failure_without_a_record_is_told_as_ever(db: Database) -> None:
    """And leaves no record: the id is free for the next attempt."""
    with pytest.raises(ConditionFailed) as caught, db.transaction(request_id="r-1") as tx:
        tx.update(db.dao(COUNTER), "c", hit, where=lambda it: it.hits > 5)

    assert isinstance(caught.value, TransactionCanceled)
    assert [0] == [failure.position for failure in caught.value.failures]
    assert not count(db, "r-1").replayed
