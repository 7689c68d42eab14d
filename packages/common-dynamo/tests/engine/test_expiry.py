"""Expiry (D22): an expired item is absent from the second it expires, whether or not it has been swept."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated

import pytest
from pydantic import BaseModel

from common.dynamo import DAO, Change, Database, EntityType, Key, Pattern
from common.dynamo.exceptions import ConditionFailed, InvalidItem, NotFound
from common.dynamo.requests import PutItem
from common.dynamo.testing.engines import Engine
from common.dynamo.testing.examples import BY_STATE, INVOICE, Invoice, State, make_invoice
from common.exceptions import InvalidInput

START = datetime(2026, 11, 24, 8, 0, 0, tzinfo=UTC)


class Clock:
    """A wall clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now.timestamp()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def db(engine: Engine, table_name: str, clock: Clock) -> Iterator[Database]:
    with engine.open(table=table_name, entity_types=[INVOICE], clock=clock) as db:
        yield db


@pytest.fixture
def expiring(db: Database) -> DAO[Invoice]:
    """The DAO of a table with one item that expires in an hour."""
    invoices = db.dao(INVOICE)
    invoices.create(make_invoice(1, expires_at=START + timedelta(hours=1)))
    return invoices


def pay(change: Change[Invoice], it: Invoice) -> None:
    change.set(it.state, State.PAID)


def test_an_item_is_there_until_its_second(expiring: DAO[Invoice], clock: Clock) -> None:
    """Alive one second before, gone at the second itself."""
    clock.now = START + timedelta(hours=1) - timedelta(seconds=1)
    assert expiring.get(("t1", 1)) is not None
    clock.now = START + timedelta(hours=1)
    assert expiring.get(("t1", 1)) is None


def test_every_read_hides_what_has_expired_unless_it_is_asked_for(expiring: DAO[Invoice], clock: Clock) -> None:
    """get, batch_get and queries, on the table and on an index."""
    clock.now = START + timedelta(hours=2)
    table, index = expiring.query(tenant="t1"), expiring.query(BY_STATE, tenant="t1", state=State.OPEN)

    assert [None] == expiring.batch_get([("t1", 1)])
    assert [[], []] == [table.all(), index.all()]
    assert [] == list(table)
    assert 1 == len(expiring.batch_get([("t1", 1)], include_expired=True))
    assert expiring.get(("t1", 1), include_expired=True) is not None
    assert [1, 1] == [len(query.include_expired().all()) for query in (table, index)]
    with pytest.raises(NotFound):
        expiring.require(("t1", 1))


def test_conditions_in_a_transaction_take_an_expired_item_for_absent(
    db: Database, expiring: DAO[Invoice], clock: Clock
) -> None:
    """check, update and delete refuse; check(absent=True) and create accept."""
    clock.now = START + timedelta(hours=2)
    with pytest.raises(NotFound), db.transaction() as tx:
        tx.check(expiring, ("t1", 1))
    with pytest.raises(NotFound), db.transaction() as tx:
        tx.update(expiring, ("t1", 1), pay, unlocked=True)
    with db.transaction() as tx:
        tx.check(expiring, ("t1", 1), absent=True)
        tx.create(expiring, make_invoice(2))
    with pytest.raises(ConditionFailed), db.transaction() as tx:
        tx.check(expiring, ("t1", 2), absent=True)


def test_an_expiry_is_stored_in_whole_epoch_seconds(expiring: DAO[Invoice]) -> None:
    """As DynamoDB's TTL wants it: a number, checked."""
    item = INVOICE.encode(make_invoice(expires_at=START + timedelta(microseconds=999_999)))

    assert {"N": str(int(START.timestamp()))} == item["_x"]
    assert START == INVOICE.decode(item).expires_at
    with pytest.raises(InvalidInput, match="without a time zone"):
        INVOICE.encode(make_invoice(expires_at=datetime(2026, 1, 1)))  # noqa: DTZ001 - what is refused


def test_an_annotated_time_can_say_when_an_item_expires() -> None:
    """Such as a time with a check of its own, with or without ``None``."""

    class Session(BaseModel):
        id: str
        until: Annotated[datetime, "checked"] | None = None

    session = EntityType(Session, "session", key=Key("S#{id}", "S"), ttl="until")

    assert {"N": "1767225600"} == session.encode(Session(id="1", until=datetime(2026, 1, 1, tzinfo=UTC)))["_x"]


def test_milliseconds_are_refused_as_an_expiry() -> None:
    """They would keep the item for fifty thousand years."""

    class Session(BaseModel):
        id: str
        until: int | None = None

    session = EntityType(Session, "session", key=Key("S#{id}", "S"), ttl="until")

    assert {"N": "1900000000"} == session.encode(Session(id="1", until=1_900_000_000))["_x"]
    assert "_x" not in session.encode(Session(id="1"))
    with pytest.raises(InvalidInput, match="milliseconds by mistake"):
        session.encode(Session(id="1", until=1_900_000_000_000))


def test_an_update_can_prolong_and_shorten_a_life(expiring: DAO[Invoice], clock: Clock) -> None:
    """The condition is judged on what was stored, the next read on what is."""
    stored = expiring.require(("t1", 1))
    later = expiring.update(stored, lambda change, it: change.set(it.expires_at, START + timedelta(hours=9)))
    clock.now = START + timedelta(hours=2)
    assert expiring.get(("t1", 1)) == later
    forever = expiring.update(later, lambda change, it: change.set(it.expires_at, None))
    clock.now = START + timedelta(days=9)
    assert expiring.get(("t1", 1)) == forever


@pytest.mark.parametrize("stored", [{"N": "1900000000.5"}, {"N": "1E+40"}, {"S": "2030-01-01"}])
def test_an_expiry_of_another_program_that_is_no_whole_second_is_an_invalid_item(
    db: Database, stored: dict[str, str]
) -> None:
    """On every read, as every other value that does not fit; one that is over hides the item all the same."""
    invoices = db.dao(INVOICE)
    item = {**INVOICE.encode(make_invoice(1)), "_x": stored}
    put = Pattern("Test.put", "PutItem")
    db.execute(PutItem(table=invoices.plan.table, item=item), put)
    for read in (lambda: invoices.get(("t1", 1)), lambda: invoices.query(tenant="t1").all()):
        with pytest.raises(InvalidItem, match="expires_at"):
            read()

    db.execute(PutItem(table=invoices.plan.table, item={**item, "_x": {"N": "1.5"}}), put)
    assert invoices.get(("t1", 1)) is None
