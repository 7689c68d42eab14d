"""Lost answers (D19): a write is never reported as refused when it was applied, nor applied twice."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from common.dynamo import DAO, Change, Database
from common.dynamo import requests as rq
from common.dynamo.exceptions import AlreadyExists, ConditionFailed, OutcomeUnknown, Unavailable, VersionConflict
from common.dynamo.requests import Request
from common.dynamo.testing.engines import Engine
from common.dynamo.testing.examples import COUNTER, INVOICE, NOTE, Counter, Invoice, Note, State, make_invoice
from common.dynamo.wire import Answer, Wire
from common.dynamo.wire.faults import Fault, FaultPlan, FaultRates

pytestmark = pytest.mark.thorough


@pytest.fixture
def faulty_notes(faulty_database: Database) -> DAO[Note]:
    return faulty_database.dao(NOTE)


@pytest.fixture
def faulty_counters(faulty_database: Database) -> DAO[Counter]:
    return faulty_database.dao(COUNTER)


@pytest.fixture
def faulty_invoices(faulty_database: Database) -> DAO[Invoice]:
    return faulty_database.dao(INVOICE)


def pay(change: Change[Invoice], it: Invoice) -> None:
    change.set(it.state, State.PAID)


def hit(change: Change[Counter], it: Counter) -> None:
    change.add(it.hits, 1)


def grow(change: Change[Invoice], it: Invoice) -> None:
    change.set(it.total, it.total + 1)


LOST = [Fault.DROP_AFTER, Fault.ERROR_AFTER]


@pytest.mark.parametrize("fault", LOST)
def test_a_create_whose_answer_was_lost_has_succeeded(faulty_notes: DAO[Note], faults: FaultPlan, fault: Fault) -> None:
    """The second attempt finds its own write id: success, not AlreadyExists."""
    faults.script(fault)

    assert Note(id="1", text="x") == faulty_notes.create(Note(id="1", text="x"))
    assert 2 == faults.seen


@pytest.mark.parametrize("fault", LOST)
def test_a_versioned_update_whose_answer_was_lost_has_succeeded(
    faulty_invoices: DAO[Invoice], faults: FaultPlan, fault: Fault
) -> None:
    """The new model comes from the stored item; the version has grown by one, not two."""
    seen = faulty_invoices.create(make_invoice())
    faults.script(fault)
    paid = faulty_invoices.update(seen, pay)

    assert (State.PAID, 2) == (paid.state, paid.version)
    assert paid == faulty_invoices.get(("t1", 1))


def test_a_conditional_update_whose_answer_was_lost_has_succeeded(faulty_notes: DAO[Note], faults: FaultPlan) -> None:
    """Its own change has made the condition false."""
    faulty_notes.create(Note(id="1", text="old"))
    faults.script(Fault.DROP_AFTER)

    def renew(change: Change[Note], it: Note) -> None:
        change.set(it.text, "new")

    assert "new" == faulty_notes.update("1", renew, where=lambda it: it.text == "old").text


def test_a_transaction_whose_answer_was_lost_has_succeeded(
    faulty_database: Database, faulty_notes: DAO[Note], faults: FaultPlan
) -> None:
    """By its token, or by the write id of its parts."""
    faults.script(Fault.DROP_AFTER)
    with faulty_database.transaction() as tx:
        tx.create(faulty_notes, Note(id="1", text="x"))
        tx.create(faulty_notes, Note(id="2", text="x"))

    assert [True, True] == [note is not None for note in faulty_notes.batch_get(["1", "2"])]


def test_with_a_rival_in_between_the_outcome_is_unknown_never_a_conflict(
    engine: Engine, table_name: str, faults: FaultPlan
) -> None:
    """Applied, answer lost, then changed by somebody else: the failed condition proves nothing."""
    rivals: list[Callable[[], object]] = []

    def sleep(_seconds: float) -> None:
        while rivals:
            rivals.pop()()

    with engine.open(table=table_name, entity_types=[INVOICE], faults=faults, sleep=sleep) as db:
        invoices = db.dao(INVOICE)
        seen = invoices.create(make_invoice())
        reopen = rq.Update(set=((INVOICE.path("state"), INVOICE.constant("state", State.OPEN)),))
        rivals.append(lambda: invoices.update(("t1", 1), reopen, unlocked=True))
        faults.script(Fault.DROP_AFTER)

        with pytest.raises(OutcomeUnknown) as caught:
            invoices.update(seen, pay)
        assert not isinstance(caught.value, ConditionFailed | Unavailable)
        assert 3 == invoices.require(("t1", 1)).version


class RetryingClient:
    """A wire whose client sends every request twice by itself, as a foreign boto3 client may."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.name, self.reason, self.endpoint, self.region = wire.name, wire.reason, wire.endpoint, wire.region

    def send(self, request: Request, timeout: float) -> Answer:
        answer = self._wire.send(request, timeout)
        return replace(answer, retry_attempts=1)

    def close(self) -> None:
        self._wire.close()


def test_a_clients_own_retry_counts_as_an_unknown_attempt(engine: Engine, table_name: str) -> None:
    """A foreign client that retried may have applied the write before it was refused."""
    with Database.connect(table=table_name, wire=RetryingClient(engine.wire()), entity_types=[NOTE]) as db:
        db.create_tables()
        db.dao(NOTE).create(Note(id="1", text="somebody else's"))

        with pytest.raises(OutcomeUnknown):
            db.dao(NOTE).create(Note(id="1", text="mine"))


def test_a_refusal_without_an_unknown_attempt_stays_a_refusal(faulty_notes: DAO[Note], faults: FaultPlan) -> None:
    """Throttles and refused connections certainly applied nothing."""
    faulty_notes.create(Note(id="1", text="x"))
    faults.script(Fault.THROTTLE, Fault.REFUSE, Fault.CONFLICT)

    with pytest.raises(AlreadyExists):
        faulty_notes.create(Note(id="1", text="y"))


def test_an_addition_is_never_sent_again_after_an_unknown_attempt(
    faulty_counters: DAO[Counter], faults: FaultPlan
) -> None:
    """It is applied once; the caller learns that nobody knows."""
    faulty_counters.create(Counter(name="c"))
    for fault in LOST:
        faults.script(fault)
        with pytest.raises(OutcomeUnknown):
            faulty_counters.update("c", hit)

    assert 2 == faulty_counters.require("c").hits


def test_an_addition_with_a_request_id_is_sent_again_and_applied_once(
    faulty_counters: DAO[Counter], faults: FaultPlan
) -> None:
    """It goes as a transaction, which the engine applies once."""
    faulty_counters.create(Counter(name="c"))
    faults.script(Fault.DROP_AFTER)

    assert 1 == faulty_counters.update("c", hit, request_id="r-1").hits
    assert 1 == faulty_counters.require("c").hits


def test_a_repeated_request_id_is_recognised(faulty_counters: DAO[Counter], faults: FaultPlan) -> None:
    """By the item itself, whatever the engine remembers; the doubt carries the id that settles it."""
    faulty_counters.create(Counter(name="c"))
    faults.script(Fault.DROP_AFTER, Fault.REFUSE, Fault.REFUSE, Fault.REFUSE, Fault.REFUSE, Fault.REFUSE)
    with pytest.raises(OutcomeUnknown) as caught:
        faulty_counters.update("c", hit, request_id="r-1", deadline=0.02)
    assert "r-1" == caught.value.request_id
    faults.heal()

    assert 1 == faulty_counters.update("c", hit, request_id="r-1").hits
    assert 1 == faulty_counters.update("c", hit, where=lambda it: it.hits <= 1, request_id="r-1").hits
    assert 2 == faulty_counters.update("c", hit, request_id="r-2").hits


def test_an_addition_is_retried_where_nothing_was_applied(faulty_counters: DAO[Counter], faults: FaultPlan) -> None:
    """Throttles and refused connections leave no doubt."""
    faulty_counters.create(Counter(name="c"))
    faults.script(Fault.THROTTLE, Fault.REFUSE)

    assert 1 == faulty_counters.update("c", hit).hits


def test_a_write_that_never_got_an_answer_is_unknown_and_a_read_is_unavailable(
    faulty_notes: DAO[Note], faults: FaultPlan
) -> None:
    """The two share no class that a caller would catch to retry."""
    faults.rates = FaultRates(drop_before=1.0)

    with pytest.raises(OutcomeUnknown):
        faulty_notes.create(Note(id="1", text="x"), deadline=0.05)
    with pytest.raises(Unavailable):
        faulty_notes.get("1", deadline=0.05)


def test_in_three_hundred_writes_with_lost_answers_there_is_no_false_conflict_and_no_double(
    faulty_invoices: DAO[Invoice], faulty_counters: DAO[Counter], faults: FaultPlan
) -> None:
    """10 % of the answers are dropped after the commit: botocore's own retries turned 300 additions into 341."""
    faulty_counters.create(Counter(name="c", hits=1))
    seen = faulty_invoices.create(make_invoice())
    faults.rates = FaultRates(drop_after=0.1)
    for number in range(149):
        seen = faulty_invoices.update(seen, grow, deadline=10)
        faulty_counters.update("c", hit, request_id=f"r-{number}", deadline=10)
    faults.heal()

    assert (150, 159) == (faulty_invoices.require(("t1", 1)).version, faulty_invoices.require(("t1", 1)).total)
    assert 150 == faulty_counters.require("c").hits


def test_lost_answers_with_a_rival_writer_end_in_doubt_or_a_real_conflict(
    faulty_invoices: DAO[Invoice], faults: FaultPlan
) -> None:
    """Every acknowledged change is there exactly once: the version counts acknowledged and doubtful changes."""
    seen = faulty_invoices.create(make_invoice(), deadline=10)
    faults.rates = FaultRates(drop_after=0.1, error_after=0.05)
    acknowledged = doubtful = 0
    for _ in range(200):
        try:
            seen = faulty_invoices.update(seen, pay, deadline=10)
            acknowledged += 1
        except OutcomeUnknown:
            doubtful += 1
            seen = faulty_invoices.require(("t1", 1), deadline=10)
        except VersionConflict:
            pytest.fail("a conflict without a rival")
    faults.heal()

    version = faulty_invoices.require(("t1", 1)).version
    assert 1 + acknowledged <= version <= 1 + acknowledged + doubtful
