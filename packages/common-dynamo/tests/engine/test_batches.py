"""Batches (D21): any number of keys and writes, in the caller's order, nothing left unprocessed."""

import pytest

from common.dynamo import DAO, Change, Database, metered
from common.dynamo.exceptions import AlreadyExists, OutcomeUnknown, Unavailable
from common.dynamo.requests import BatchGetItem, BatchWriteItem, PutItem, Request
from common.dynamo.testing import spend
from common.dynamo.testing.engines import Engine
from common.dynamo.testing.examples import NOTE, Note
from common.dynamo.wire import Answer, Wire
from common.dynamo.wire.faults import Fault, FaultPlan, FaultRates


@pytest.fixture
def faulty_notes(faulty_database: Database) -> DAO[Note]:
    return faulty_database.dao(NOTE)


def note(number: int) -> Note:
    return Note(id=f"{number:03d}", text=f"text {number}")


def fill(notes: DAO[Note], count: int) -> None:
    notes.batch_write([notes.plan.put(note(number), replace=True) for number in range(count)], deadline=30)


def test_a_batch_read_of_150_keys_gives_150_results(notes: DAO[Note]) -> None:
    """In the order of the keys, None for missing ones, equal keys read once."""
    fill(notes, 120)
    keys = [f"{number:03d}" for number in range(150)]
    keys[7] = "000"
    with spend(trips=2, rcu=149):
        found = notes.batch_get(keys)

    assert 150 == len(found)
    assert note(0) == found[0] == found[7]
    assert [note(number) for number in range(8, 120)] == found[8:120]
    assert [None] * 30 == found[120:]


def test_a_batch_write_is_cut_into_25(notes: DAO[Note]) -> None:
    """60 replacing puts are 3 calls, 1 unit each."""
    with spend(trips=3, wcu=60):
        fill(notes, 60)


def test_an_empty_batch_sends_nothing(notes: DAO[Note]) -> None:
    """Neither way."""
    with spend(trips=0):
        assert [] == notes.batch_get([])
        assert [] == notes.batch_write([])


def test_conditional_writes_travel_alone_with_all_their_rules(notes: DAO[Note]) -> None:
    """BatchWriteItem can neither ask nor keep: only replacing puts and deletes go in it."""
    plan = notes.plan
    notes.create(note(1))
    with spend(trips=3):
        written = notes.batch_write(
            [
                plan.put(note(2), replace=True),
                plan.put(note(3)),
                plan.delete("001"),
                plan.update("002", lambda change, it: change.set(it.text, "changed")),
            ]
        )

    assert [note(2), note(3), None, Note(id="002", text="changed")] == written
    assert [None, Note(id="002", text="changed"), note(3)] == notes.batch_get(["001", "002", "003"])
    with pytest.raises(AlreadyExists):
        notes.batch_write([plan.create(note(3))])


def test_of_two_writes_of_one_item_the_last_stays(notes: DAO[Note]) -> None:
    """DynamoDB refuses a batch that names one item twice."""
    notes.batch_write(
        [
            notes.plan.put(Note(id="1", text="first"), replace=True),
            notes.plan.put(Note(id="1", text="last"), replace=True),
        ]
    )

    assert "last" == notes.require("1").text


def test_writes_of_one_item_keep_their_order(notes: DAO[Note]) -> None:
    """Whichever of them travels in a batch and whichever alone."""
    plan = notes.plan

    def shout(change: Change[Note], it: Note) -> None:
        change.set(it.text, "LOUD")

    notes.batch_write([plan.put(note(1), replace=True), plan.update("001", shout), plan.put(note(2), replace=True)])
    notes.batch_write([plan.update("002", shout), plan.put(Note(id="002", text="quiet"), replace=True)])
    notes.batch_write([plan.delete("001"), plan.create(note(1)), plan.update("001", shout), plan.delete("001")])

    assert [None, Note(id="002", text="quiet")] == notes.batch_get(["001", "002"])


def test_what_was_left_unprocessed_is_sent_again(faulty_notes: DAO[Note], faults: FaultPlan) -> None:
    """For reads and writes, until nothing is left."""
    faults.script(Fault.UNPROCESSED, Fault.UNPROCESSED)
    fill(faulty_notes, 25)
    assert faults.injected["unprocessed"] >= 1
    faults.script(Fault.UNPROCESSED)

    assert [note(number) for number in range(25)] == faulty_notes.batch_get([f"{number:03d}" for number in range(25)])


def test_random_unprocessed_entries_lose_nothing(faulty_notes: DAO[Note], faults: FaultPlan) -> None:
    """150 puts and 150 reads with half of the calls done in part."""
    faults.rates = FaultRates(unprocessed=0.5)
    fill(faulty_notes, 150)
    found = faulty_notes.batch_get([f"{number:03d}" for number in range(150)], deadline=30)

    assert [note(number) for number in range(150)] == found


class BusyEngine:
    """A wire to an engine that leaves every batch wholly unprocessed."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.name, self.reason, self.endpoint, self.region = wire.name, wire.reason, wire.endpoint, wire.region

    def send(self, request: Request, timeout: float) -> Answer:
        if isinstance(request, BatchGetItem):
            return Answer(200, {"UnprocessedKeys": {name: {"Keys": list(keys)} for name, keys in request.keys.items()}})
        if isinstance(request, BatchWriteItem):
            left = {
                name: [{"PutRequest": {"Item": write.item}} for write in writes if isinstance(write, PutItem)]
                for name, writes in request.writes.items()
            }
            return Answer(200, {"UnprocessedItems": left})
        return self._wire.send(request, timeout)

    def close(self) -> None:
        self._wire.close()


def test_a_batch_that_is_never_finished_ends_at_its_deadline(engine: Engine, table_name: str) -> None:
    """Reads are unavailable; writes may be partly applied, which is told as such."""
    with Database.connect(table=table_name, wire=BusyEngine(engine.wire())) as db:
        notes = db.dao(NOTE)
        with metered() as meter, pytest.raises(Unavailable, match="2 keys of a batch were still unprocessed"):
            notes.batch_get(["1", "2"], deadline=0.2)
        assert meter.cost.trips > 1
        with pytest.raises(OutcomeUnknown, match="1 entries of a batch were still unprocessed"):
            notes.batch_write([notes.plan.put(note(1), replace=True)], deadline=0.2)
