"""Unique fields (D20): one owner per value, no lock without an owner, whatever races."""

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from common.dynamo import DAO, Change, Database, EntityType, Key, Pattern, Unique
from common.dynamo import requests as rq
from common.dynamo.exceptions import ConditionFailed, NotFound, TransactionCanceled, UniqueViolation
from common.dynamo.testing import spend
from common.dynamo.testing.examples import INVOICE, Invoice, State, make_invoice
from common.dynamo.testing.simulation import World, explore
from common.exceptions import ConfigurationError

RAW = Pattern("Test.scan", "Scan")


def locks(db: Database) -> list[dict[str, Any]]:
    """Return all lock items of the table."""
    items = db.execute(rq.Scan(table=db.table_definitions()[0].name, consistent=True), RAW).body["Items"]
    return [item for item in items if item["_t"] == {"S": "_unique"}]


def owners(db: Database) -> list[str]:
    return sorted(item["_os"]["S"] for item in locks(db))


def move_to(email: str) -> Callable[[Change[Invoice], Invoice], None]:
    return lambda change, it: change.set(it.email, email)


def test_two_items_cannot_have_one_value(database: Database, invoices: DAO[Invoice]) -> None:
    """The second is refused whole: no item, no lock."""
    invoices.create(make_invoice(1, email="a@x"))

    with pytest.raises(UniqueViolation) as caught:
        invoices.create(make_invoice(2, email="a@x"))

    assert "email" == caught.value.field
    assert "a@x" not in str(caught.value)
    assert invoices.get(("t1", 2)) is None
    assert ["N#10000000001"] == owners(database)


def test_a_value_is_unique_within_its_scope(invoices: DAO[Invoice]) -> None:
    """Another tenant may have the same one."""
    invoices.create(make_invoice(1, tenant="t1", email="a@x"))

    assert invoices.create(make_invoice(1, tenant="t2", email="a@x"))


def test_a_changed_value_frees_the_old_one(database: Database, invoices: DAO[Invoice]) -> None:
    """By update with a key (which reads first), by update with the model, by put."""
    one = invoices.create(make_invoice(1, email="a@x"))
    invoices.update(one, move_to("b@x"))
    invoices.update(("t1", 1), move_to("c@x"), unlocked=True)
    third = invoices.require(("t1", 1))
    invoices.put(third.model_copy(update={"email": "d@x"}))

    assert 1 == len(locks(database))
    invoices.create(make_invoice(2, email="a@x"))
    invoices.create(make_invoice(3, email="c@x"))
    with pytest.raises(UniqueViolation):
        invoices.create(make_invoice(4, email="d@x"))


def test_a_taken_value_cannot_be_moved_to(database: Database, invoices: DAO[Invoice]) -> None:
    """By update and by put; nothing changes."""
    invoices.create(make_invoice(1, email="a@x"))
    two = invoices.create(make_invoice(2, email="b@x"))

    with pytest.raises(UniqueViolation):
        invoices.update(two, move_to("a@x"))
    with pytest.raises(UniqueViolation):
        invoices.put(two.model_copy(update={"email": "a@x"}))
    assert two == invoices.get(("t1", 2))
    assert 2 == len(locks(database))


def test_an_unchanged_field_costs_nothing(invoices: DAO[Invoice]) -> None:
    """An update of another field is one plain update: 1 unit for the item, 2 for its row in the index."""
    stored = invoices.create(make_invoice())

    with spend(wcu=3, rcu=0, trips=1):
        invoices.update(stored, lambda change, it: change.set(it.state, State.PAID))


def test_delete_gives_the_value_back(database: Database, invoices: DAO[Invoice]) -> None:
    """With the model, or with the key alone, which reads first."""
    invoices.delete(invoices.create(make_invoice(1, email="a@x")))
    invoices.create(make_invoice(2, email="a@x"))
    invoices.delete(("t1", 2), unlocked=True)

    assert [] == locks(database)
    invoices.delete(("t1", 2), unlocked=True)
    with pytest.raises(NotFound):
        invoices.delete(("t1", 2), unlocked=True, must_exist=True)


def test_a_lock_expires_with_its_owner(database: Database, invoices: DAO[Invoice]) -> None:
    """An expired owner's value is free at once, and a changed expiry changes the lock's."""
    past = datetime.now(UTC) - timedelta(hours=1)
    invoices.create(make_invoice(1, email="a@x", expires_at=past))
    stored = invoices.create(make_invoice(2, email="a@x"))
    assert ["N#10000000002"] == owners(database)

    def expire(change: Change[Invoice], it: Invoice) -> None:
        change.set(it.expires_at, past)

    invoices.update(stored, expire)
    assert invoices.create(make_invoice(3, email="a@x"))


def test_what_counts_as_equal_can_be_said(database: Database) -> None:
    """normalise= makes the lock; the field keeps its own form. key= gives the lock a key of one's own."""

    class Member(BaseModel):
        id: str
        name: str
        nick: str | None = None

    member = EntityType(
        Member,
        "member",
        key=Key("MEMBER#{id}", "MEMBER"),
        unique=[Unique("name", normalise=str.casefold, key=Key("NAME#{name}", "NAME")), Unique("nick")],
    )
    members = database.dao(member)
    members.create(Member(id="1", name="Ada"))
    members.create(Member(id="2", name="Bob"))

    assert ["NAME#ada", "NAME#bob"] == sorted(item["pk"]["S"] for item in locks(database))
    with pytest.raises(UniqueViolation):
        members.create(Member(id="3", name="ADA"))
    assert "Ada" == members.require("1").name


def test_two_unique_fields_are_told_apart(database: Database) -> None:
    """The error names the one that is taken; the item's own existence comes first."""

    class Host(BaseModel):
        id: str
        name: str
        address: str

    hosts = database.dao(
        EntityType(Host, "host", key=Key("HOST#{id}", "HOST"), unique=[Unique("name"), Unique("address")])
    )
    hosts.create(Host(id="1", name="a", address="1.1.1.1"))

    for host, field in (
        (Host(id="2", name="a", address="2"), "name"),
        (Host(id="2", name="b", address="1.1.1.1"), "address"),
    ):
        with pytest.raises(UniqueViolation) as caught:
            hosts.create(host)
        assert field == caught.value.field


def test_in_a_transaction_the_violation_belongs_to_its_operation(database: Database, invoices: DAO[Invoice]) -> None:
    """The layer's own parts follow the caller's and map back to them."""
    invoices.create(make_invoice(1, email="a@x"))

    with pytest.raises(UniqueViolation) as caught, database.transaction() as tx:  # noqa: PT012 - the block raises
        tx.create(invoices, make_invoice(2, email="b@x"))
        tx.create(invoices, make_invoice(3, email="a@x"))

    assert isinstance(caught.value, TransactionCanceled)
    assert [(1, "create invoice")] == [(one.position, one.operation) for one in caught.value.failures]
    assert [None, None] == invoices.batch_get([("t1", 2), ("t1", 3)])


def test_batches_and_transactions_need_the_stored_model(database: Database, invoices: DAO[Invoice]) -> None:
    """They read nothing by themselves; the error says what to give."""
    with pytest.raises(ConfigurationError, match="the model as it was read"), database.transaction() as tx:
        tx.update(invoices, ("t1", 1), move_to("b@x"), unlocked=True)
    with pytest.raises(ConfigurationError, match="the model as it was read"):
        invoices.plan.delete(("t1", 1), unlocked=True)


def test_a_concurrent_change_of_the_field_is_followed(invoices: DAO[Invoice], database: Database) -> None:
    """8 threads move one item's value about: every move finds the lock of the moment, and one lock remains."""
    invoices.create(make_invoice(1, email="start@x"))

    def move(thread: int) -> None:
        for step in range(8):
            invoices.update(("t1", 1), move_to(f"{thread}-{step}@x"), unlocked=True, deadline=30)

    run_all([lambda n=n: move(n) for n in range(8)])

    stored = invoices.require(("t1", 1))
    assert 1 == len(locks(database))
    with pytest.raises(UniqueViolation):
        invoices.create(make_invoice(2, email=stored.email))
    invoices.create(make_invoice(2, email="start@x"))


def test_of_eight_threads_one_wins_each_value_and_no_lock_is_orphaned(
    database: Database, invoices: DAO[Invoice]
) -> None:
    """Creates, moves and deletes collide on three values; in the end locks and owners match one to one."""
    values = ["a@x", "b@x", "c@x"]

    def work(thread: int) -> None:
        for step in range(12):
            value = values[(thread + step) % 3]
            try:
                stored = invoices.get(("t1", thread), deadline=30)
                if stored is None:
                    invoices.create(make_invoice(thread, email=value), deadline=30)
                elif step % 4 == 3:
                    invoices.delete(stored, deadline=30)
                else:
                    invoices.update(stored, move_to(value), deadline=30)
            except ConditionFailed:
                continue

    run_all([lambda n=n: work(n) for n in range(1, 9)])

    alive = [one for one in invoices.batch_get([("t1", number) for number in range(1, 9)]) if one is not None]
    assert len({one.email for one in alive}) == len(alive)
    assert owners(database) == sorted(f"N#1{one.number:010d}" for one in alive)


def run_all(functions: list[Callable[[], None]]) -> None:
    """Run *functions* in a thread each; an exception in one fails the test."""
    failures: list[BaseException] = []

    def guarded(function: Callable[[], None]) -> None:
        try:
            function()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


def test_an_update_that_keeps_a_value_keeps_its_lock_with_it(database: Database, invoices: DAO[Invoice]) -> None:
    """Between its read and its write somebody moves the value, and its lock: the update does not hold, and begins again."""
    invoices.create(make_invoice(1, email="a@x"))
    read = invoices.require(("t1", 1))
    stays = invoices.plan.update(("t1", 1), move_to("a@x"), old=read, unlocked=True)
    assert () == stays.locks
    invoices.update(("t1", 1), move_to("b@x"), unlocked=True)

    with pytest.raises(ConditionFailed):
        invoices.batch_write([stays])

    invoices.update(("t1", 1), move_to("b@x"), unlocked=True)
    invoices.create(make_invoice(2, email="a@x"))
    with pytest.raises(UniqueViolation):
        invoices.create(make_invoice(3, email="b@x"))
    assert 2 == len(locks(database))


def test_no_schedule_parts_a_value_from_its_lock() -> None:
    """Three workers move two items between three values, in forty schedules: every value an item has is its own."""

    def scenario(world: World) -> None:
        database = world.open(entity_types=[INVOICE])
        invoices = database.dao(INVOICE)

        def move(worker: int) -> None:
            for step in range(4):
                with suppress(UniqueViolation):
                    invoices.update(("t1", 1 + worker % 2), move_to(f"{step % 3}@x"), unlocked=True)

        def check() -> None:
            for number in (1, 2):
                with pytest.raises(UniqueViolation):
                    invoices.create(make_invoice(9, email=invoices.require(("t1", number)).email))
            assert 2 == len(locks(database))

        for number in (1, 2):
            world.spawn(invoices.create, make_invoice(number))
        world.run()
        for worker in range(3):
            world.spawn(move, worker)
        world.run()
        world.spawn(check)
        world.run()

    assert 40 == explore(scenario, range(40))
