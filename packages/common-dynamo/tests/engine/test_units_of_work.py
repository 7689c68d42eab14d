"""Running again on conflicts, and reading several items as of one moment (D26)."""

import itertools
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from common.dynamo import DAO, Change, Database
from common.dynamo.exceptions import (
    AlreadyExists,
    InvalidItem,
    NotFound,
    OutcomeUnknown,
    TransactionCanceled,
    Unavailable,
    VersionConflict,
)
from common.dynamo.testing import Engine, Fault, FaultPlan, FaultRates, spend
from common.dynamo.testing.examples import INVOICE, NOTE, Counter, Invoice, Note, State, make_invoice
from common.exceptions import ConfigurationError, InvalidInput

START = datetime(2026, 11, 24, 8, tzinfo=UTC)


class Sleeper:
    """Notes for how long it was to sleep, and does not; its clock goes on by as much."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)

    def now(self) -> float:
        return sum(self.slept)


def almost_one() -> Callable[[], float]:
    """Return a source of chance that gives the longest pauses, and yet no number twice: write ids are made of it."""
    steps = itertools.count(1)
    return lambda: 0.999 + next(steps) * 1e-12


@pytest.fixture
def sleeper() -> Sleeper:
    return Sleeper()


@pytest.fixture
def db(engine: Engine, table_name: str, sleeper: Sleeper) -> Iterator[Database]:
    """A database that waits no real time between attempts, and the longest that it may."""
    options: dict[str, Any] = {"sleep": sleeper, "monotonic": sleeper.now, "random": almost_one()}
    with engine.open(table=table_name, entity_types=[INVOICE, NOTE], **options) as db:
        yield db


def pay(change: Change[Invoice], it: Invoice) -> None:
    change.set(it.state, State.PAID)


class Work:
    """Raises what it is told to, one after the other, then returns how often it ran."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.runs = 0

    def __call__(self) -> int:
        self.runs += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.runs


# Running again


def test_eight_threads_that_run_again_lose_no_increment(database: Database, invoices: DAO[Invoice]) -> None:
    """Each reads, changes and writes in a function of its own: 160 in the end."""
    invoices.create(make_invoice(total="0.00"))

    def increment() -> None:
        seen = invoices.require(("t1", 1), deadline=30)
        with database.transaction(deadline=30) as tx:
            tx.update(invoices, seen, lambda change, it: change.set(it.total, seen.total + 1))

    def work() -> None:
        for _ in range(20):
            database.run(increment, attempts=1000, deadline=30)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (Decimal(160), 161) == (invoices.require(("t1", 1)).total, invoices.require(("t1", 1)).version)


def test_a_conflict_is_waited_out_with_growing_pauses(db: Database, sleeper: Sleeper) -> None:
    """Between nothing and a ceiling that doubles from 5 ms to 200 ms; what the function returns is returned."""
    work = Work(*[VersionConflict() for _ in range(8)])

    assert 9 == db.run(work, deadline=10)
    ceilings = [0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.2, 0.2]
    assert [pytest.approx(0.999 * ceiling) for ceiling in ceilings] == sleeper.slept


def test_a_transaction_that_failed_first_by_a_conflict_is_run_again(db: Database) -> None:
    """It is a VersionConflict too."""
    invoices = db.dao(INVOICE)
    stale = invoices.create(make_invoice())
    seen = [stale, invoices.update(stale, pay)]

    def work() -> str:
        with db.transaction() as tx:
            tx.update(invoices, seen.pop(0), pay)
            tx.create(db.dao(NOTE), Note(id="n", text="x"))
        return "done"

    assert "done" == db.run(work)
    assert [] == seen


def test_the_last_conflict_is_told_when_the_attempts_are_used_up(db: Database, sleeper: Sleeper) -> None:
    """No pause follows it."""
    conflicts = [VersionConflict(expected=number) for number in range(5)]
    work = Work(*conflicts)
    with pytest.raises(VersionConflict) as caught:
        db.run(work, attempts=3)

    assert (conflicts[2], 3, 2) == (caught.value, work.runs, len(sleeper.slept))


def test_no_attempt_starts_after_the_deadline(db: Database, sleeper: Sleeper) -> None:
    """Nor is a pause begun that would end after it."""
    work = Work(*[VersionConflict() for _ in range(100)])
    with pytest.raises(VersionConflict):
        db.run(work, attempts=100, deadline=0.1)

    assert sum(sleeper.slept) <= 0.1
    assert 5 == work.runs


@pytest.mark.parametrize(
    "error",
    [OutcomeUnknown(), Unavailable(engine_code=""), AlreadyExists(), NotFound(), TransactionCanceled(), KeyError("x")],
    ids=lambda error: type(error).__name__,
)
def test_any_other_error_passes_at_once(db: Database, error: Exception) -> None:
    """An outcome that is unknown first of all: nobody may do it again unasked."""
    work = Work(error)
    with pytest.raises(type(error)) as caught:
        db.run(work)
    assert (error, 1) == (caught.value, work.runs)


def test_wrong_arguments_of_run_are_refused(db: Database) -> None:
    """Before the function is called."""
    work: Any = Work()
    with pytest.raises(InvalidInput, match="attempts"):
        db.run(work, attempts=0)
    with pytest.raises(ConfigurationError, match="callback"):
        db.run(None)  # type: ignore[arg-type]
    assert 0 == work.runs


# Reading as of one moment


def test_a_read_gives_models_in_order_and_none_for_missing(
    database: Database, notes: DAO[Note], invoices: DAO[Invoice], counters: DAO[Counter]
) -> None:
    """Of whatever types; two units for each item, one round trip, and an item that is named twice is read once."""
    note = notes.create(Note(id="n", text="x"))
    invoice = invoices.create(make_invoice())
    with spend(rcu=8, trips=1):
        found = database.read((invoices, ("t1", 1)), (notes, "gone"), (notes, "n"), (counters, "gone"))
    assert (invoice, None, note, None) == found
    with spend(rcu=2, trips=1):
        assert (note, note) == database.read((notes, "n"), (notes, {"id": "n"}))
    with spend(trips=0):
        assert () == database.read()


def test_an_expired_item_is_not_read(engine: Engine, table_name: str) -> None:
    """Whether or not it has been swept."""
    now = [START.timestamp()]
    with engine.open(table=table_name, entity_types=[INVOICE], clock=lambda: now[0]) as db:
        invoices = db.dao(INVOICE)
        invoices.create(make_invoice(expires_at=START + timedelta(hours=1)))
        assert (None,) != db.read((invoices, ("t1", 1)))
        now[0] += 3600
        assert (None,) == db.read((invoices, ("t1", 1)))


def test_a_foreign_item_at_a_key_is_refused(database: Database, notes: DAO[Note], table_name: str) -> None:
    """As by every read."""
    from common.dynamo import EntityType, Key

    other = database.dao(NOTE)
    other.create(Note(id="n", text="x"))
    impostor = EntityType(Note, "memo", key=Key("NOTE#{id}", "NOTE"))
    with Database(database.wire, table=table_name, entity_types=[impostor]) as same, pytest.raises(InvalidItem):
        same.read((same.dao(impostor), "n"))


def test_more_than_100_items_are_refused_before_sending(database: Database, notes: DAO[Note]) -> None:
    """Exactly 100 are read, whatever is named twice."""
    keys = [(notes, str(number)) for number in range(101)]
    with spend(trips=0), pytest.raises(InvalidInput, match="has 101"):
        database.read(*keys)
    with spend(trips=1, rcu=200):
        assert (None,) * 200 == database.read(*keys[:100], *keys[:100])


@pytest.mark.parametrize("target", ["n", ("n",), (None, "n"), (NOTE, "n")], ids=repr)
def test_what_is_no_pair_of_dao_and_key_is_refused(database: Database, target: Any) -> None:
    """The error shows the form."""
    with spend(trips=0), pytest.raises(ConfigurationError, match=r"db\.read|DAO"):
        database.read(target)


def test_a_transaction_in_the_way_of_a_read_is_waited_for(faulty_database: Database, faults: FaultPlan) -> None:
    """Within the deadline; then nothing was read."""
    notes = faulty_database.dao(NOTE)
    notes.create(Note(id="n", text="x"))
    faults.script(Fault.CONFLICT, Fault.CONFLICT)
    assert (Note(id="n", text="x"),) == faulty_database.read((notes, "n"))

    faults.rates = FaultRates(conflict=1.0)
    with pytest.raises(Unavailable):
        faulty_database.read((notes, "n"), deadline=0.05)


def test_no_transaction_is_read_in_part(database: Database, counters: DAO[Counter]) -> None:
    """While four threads move hits between two counters, four others always see the same sum."""
    for name in ("a", "b"):
        counters.create(Counter(name=name, hits=100))
    torn: list[int] = []

    def move(step: int) -> None:
        for _ in range(40):
            with database.transaction(deadline=30) as tx:
                tx.update(counters, "a", lambda change, it: change.add(it.hits, -step))
                tx.update(counters, "b", lambda change, it: change.add(it.hits, step))

    def look() -> None:
        for _ in range(40):
            one, other = database.read((counters, "a"), (counters, "b"), deadline=30)
            assert one is not None
            assert other is not None
            if one.hits + other.hits != 200:
                torn.append(one.hits + other.hits)

    threads = [threading.Thread(target=move, args=(step,)) for step in (1, 2, -1, -2)]
    threads += [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == torn
    assert (Counter(name="a", hits=100), Counter(name="b", hits=100)) == database.read((counters, "a"), (counters, "b"))
