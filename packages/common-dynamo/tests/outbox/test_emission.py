"""Emitting (D39): an event is in the outbox if and only if its transaction was applied."""

from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from common.dynamo import DAO, Database, Pattern
from common.dynamo.exceptions import AlreadyExists, InvalidItem, OutboxFull, OutcomeUnknown, TransactionCanceled
from common.dynamo.outbox import BACKLOG_LIMIT, OUTBOX_SHARDS, OUTBOX_TYPE, EmittedEvent, EventType, shard_of
from common.dynamo.relay import OutboxRelay
from common.dynamo.requests import Scan
from common.dynamo.testing import Engine, Fault, FaultPlan, spend
from common.dynamo.testing.events import TOLD, Postbox, Told
from common.dynamo.testing.examples import NOTE, Note
from common.dynamo.testing.forgetful import ForgetfulWire
from common.exceptions import ConfigurationError, InvalidInput


def published(db: Database) -> list[EmittedEvent]:
    """Publish all that waits, and return it."""
    box = Postbox()
    while OutboxRelay(db, box).run_once().published:
        pass
    return box.events


def tell(db: Database, about: str = "a", number: int = 0, text: str = "") -> None:
    with db.transaction(deadline=30) as tx:
        tx.emit(Told(about=about, number=number, text=text))


def test_an_event_is_one_part_more_of_the_transaction(db: Database, notes: DAO[Note]) -> None:
    """Two write units and no round trip; all events of one aggregate share the part, in their order."""
    with spend(wcu=4, rcu=0, trips=1), db.transaction() as tx:
        tx.create(notes, Note(id="n", text="x"))
        tx.emit(Told(about="a", number=1))
    with spend(wcu=4, trips=1), db.transaction() as tx:
        tx.emit(Told(about="a", number=2))
        tx.emit(Told(about="b", number=9))
        tx.emit(Told(about="a", number=3))

    events = published(db)
    assert [1, 2, 3] == [event.decode(TOLD).number for event in events if event.aggregate == "a"]
    assert [9] == [event.decode(TOLD).number for event in events if event.aggregate == "b"]
    assert 4 == len({event.id for event in events})


def test_what_was_not_committed_is_never_told(db: Database, notes: DAO[Note]) -> None:
    """An exception in the block, or a condition that fails at its end."""
    notes.create(Note(id="n", text="x"))
    with suppress(ZeroDivisionError), db.transaction() as tx:
        tx.emit(Told(about="a"))
        _ = 1 // 0
    with pytest.raises(AlreadyExists) as caught, db.transaction() as tx:  # noqa: PT012
        tx.emit(Told(about="a"))
        tx.create(notes, Note(id="n", text="y"))

    assert [(1, "create note")] == [(one.position, one.operation) for one in caught.value.failures]  # type: ignore[attr-defined]
    assert [] == published(db)


def test_an_event_says_what_when_and_in_which_order(db: Database, clock: Any) -> None:
    """Its id is its own, its sequence grows with each event, also over an outbox that was empty in between."""
    tell(db, number=1)
    tell(db, number=2)
    first, second = published(db)
    clock.now += 1
    tell(db, number=3)
    (third,) = published(db)

    assert ("told", 1, "a", '{"about":"a","number":1,"text":""}') == (
        first.type,
        first.schema,
        first.aggregate,
        first.body,
    )
    assert clock.now - 1 == first.occurred_at.timestamp()
    assert first.sequence + 1 == second.sequence < third.sequence
    assert "about" not in repr(first)
    with pytest.raises(ConfigurationError, match="cannot be read as"):
        first.decode(EventType(Told, "heard", aggregate="{about}"))
    with pytest.raises(InvalidItem, match="does not fit"):
        third.decode(EventType(Strict, "told", aggregate="{other}"))


class Strict(BaseModel):
    other: str


class Shipped(BaseModel):
    order: UUID
    number: int
    weight: Decimal = Decimal("1.50")
    note: str | None = None


def test_aggregates_are_templates_over_the_events_fields() -> None:
    """As keys are: typed, escaped and checked when the type is made."""
    shipped = EventType(Shipped, "shipped", aggregate="O#{order}#{number:4}", schema=2)
    event = Shipped(order=UUID(int=7), number=3)

    assert f"O#{UUID(int=7)}#10003" == shipped.aggregate_of(event)
    assert "<EventType 'shipped' of Shipped>" == repr(shipped)
    assert "a$23b" == TOLD.aggregate_of(Told(about="a#b"))
    with pytest.raises(InvalidInput, match="about"):
        TOLD.aggregate_of(Told(about=""))
    for template, cause in (("{gone}", "no such field"), ("{number}", "width"), ("{note}", "may be None")):
        with pytest.raises(ConfigurationError, match=cause):
            EventType(Shipped, "shipped", aggregate=template)
    wrong: Any
    for wrong in ({"name": ""}, {"name": 3}, {"schema": 0}, {"schema": "1"}, {"model": str}, {"aggregate": None}):
        with pytest.raises(ConfigurationError):
            EventType(**{"model": Told, "name": "told", "aggregate": "{about}", **wrong})


def test_aggregates_are_spread_over_all_shards() -> None:
    """By a hash that never changes, since an aggregate in two shards would lose its order."""
    shards = [shard_of(f"aggregate-{number}") for number in range(8000)]

    assert set(range(OUTBOX_SHARDS)) == set(shards)
    assert max(shards.count(shard) for shard in range(OUTBOX_SHARDS)) < 1250
    assert [2, 6, 3] == [shard_of(name) for name in ("a", "b", "INV#t1#10000000007")]


def test_an_event_of_an_unknown_type_is_refused_at_once(db: Database) -> None:
    """The error says where to name it; one type is named once."""
    with spend(trips=0), pytest.raises(ConfigurationError, match="event_types="), db.transaction() as tx:
        tx.emit(Strict(other="x"))
    with spend(trips=0), pytest.raises(InvalidInput, match="event must be"), db.transaction() as tx:
        tx.emit("told")  # type: ignore[arg-type]
    wrong: Any
    for wrong in ([TOLD, TOLD], [TOLD, EventType(Strict, "told", aggregate="{other}")], [Told]):
        with pytest.raises(ConfigurationError):
            Database.embedded(event_types=wrong)


def test_an_event_outside_of_the_block_is_refused(db: Database) -> None:
    """As every operation is."""
    with pytest.raises(ConfigurationError, match="inside the block"):
        db.transaction().emit(Told(about="a"))


def test_a_backlog_stops_its_own_aggregate_alone(db: Database, notes: DAO[Note]) -> None:
    """Nothing is written and the error says that the relay is behind; when it has caught up, it goes on."""
    for number in range(3):
        tell(db, "a", number, text="x" * (BACKLOG_LIMIT // 3 - 200))
    with pytest.raises(OutboxFull, match="relay") as caught, db.transaction() as tx:  # noqa: PT012
        tx.create(notes, Note(id="n", text="x"))
        tx.emit(Told(about="a", number=3, text="x" * 1000))

    assert isinstance(caught.value, TransactionCanceled)
    assert (503, True, 1) == (caught.value.status, caught.value.retryable, caught.value.failures[0].position)
    assert notes.get("n") is None
    tell(db, "b", 7)
    assert [0, 1, 2] == [event.decode(TOLD).number for event in published(db) if event.aggregate == "a"]
    tell(db, "a", 3)
    assert [3] == [event.decode(TOLD).number for event in published(db)]


def test_what_no_outbox_could_take_is_refused_before_sending(db: Database) -> None:
    """Whatever waits already."""
    with spend(trips=0), pytest.raises(InvalidInput, match="360 KB"), db.transaction() as tx:
        tx.emit(Told(about="a", text="x" * BACKLOG_LIMIT))


class Unreadable(BaseModel):
    about: str
    value: Any = None


def test_an_event_without_a_form_in_json_is_refused_before_sending() -> None:
    """Nothing is stored that no consumer could read."""
    odd = EventType(Unreadable, "odd", aggregate="{about}")
    with (
        Database.embedded(event_types=[odd]) as db,
        spend(trips=0),
        pytest.raises(InvalidInput, match="JSON"),
        db.transaction() as tx,
    ):
        tx.emit(Unreadable(about="a", value=object()))


def test_outbox_items_are_no_entities(db: Database, notes: DAO[Note], table_name: str) -> None:
    """Their type begins with an underscore; no read of entities gives them."""
    tell(db)
    notes.create(Note(id="n", text="x"))
    body = db.execute(Scan(table=table_name), Pattern("Test.scan", "Scan")).body

    assert {OUTBOX_TYPE, "note"} == {item["_t"]["S"] for item in body["Items"]}
    assert OUTBOX_TYPE.startswith("_")
    assert [Note(id="n", text="x")] == list(notes.scan(name="test-notes"))


@pytest.fixture
def forgetful(engine: Engine, table_name: str, faults: FaultPlan) -> Iterator[Database]:
    """A database on an engine that remembers no token and has faults in store."""
    wire = ForgetfulWire(engine.wire(faults=faults))
    with Database(wire, table=table_name, entity_types=[NOTE], event_types=[TOLD]) as db:
        db.create_tables()
        yield db
        faults.heal()
        faults.settle()


@pytest.mark.parametrize("fault", [Fault.DROP_AFTER, Fault.ERROR_AFTER, Fault.DUPLICATE, Fault.DROP_BEFORE])
def test_a_lost_answer_tells_an_event_neither_twice_nor_never(
    forgetful: Database, faults: FaultPlan, fault: Fault
) -> None:
    """The outbox item carries the id of the write that has made it what it is."""
    faults.script(fault)
    tell(forgetful, number=1)
    tell(forgetful, number=2)

    assert [1, 2] == [event.decode(TOLD).number for event in published(forgetful)]


def test_events_of_a_repeated_request_are_told_once(forgetful: Database, faults: FaultPlan) -> None:
    """They are part of what the request id stands for; their ids and times are not part of its input."""

    def attempt(deadline: float = 30, number: int = 1) -> bool:
        with forgetful.transaction(request_id="r-1", deadline=deadline) as tx:
            tx.emit(Told(about="a", number=number))
        return tx.replayed

    faults.script(Fault.LATE, *[Fault.REFUSE] * 20)
    with pytest.raises(OutcomeUnknown):
        attempt(0.02)
    faults.heal()
    attempt()
    faults.settle()
    assert attempt()
    assert [1] == [event.decode(TOLD).number for event in published(forgetful)]
