"""Optimistic versions (D18): every change says what it saw, on every route."""

import threading
from typing import Any

import pytest

from common.dynamo import DAO, Change
from common.dynamo.exceptions import VersionConflict
from common.dynamo.testing.examples import Invoice, State, make_invoice
from common.dynamo.testing.routes import Route
from common.exceptions import ConfigurationError


def pay(change: Change[Invoice], it: Invoice) -> None:
    change.set(it.state, State.PAID)


def test_create_stores_one_and_every_change_adds_one(route: Route, invoices: DAO[Invoice]) -> None:
    """Whatever the model carried before."""
    route("create", invoices, make_invoice().model_copy(update={"version": 9}))
    first = invoices.require(("t1", 1))
    route("update", invoices, first, pay)
    second = invoices.require(("t1", 1))
    route("put", invoices, second, **({} if route.reads_by_itself else {"old": second}))

    assert [1, 2, 3] == [first.version, second.version, invoices.require(("t1", 1)).version]


@pytest.mark.parametrize("verb", ["put", "update", "delete", "update by expect", "delete by expect", "update by known"])
def test_a_stale_writer_loses(route: Route, invoices: DAO[Invoice], verb: str) -> None:
    """The error has the version that was seen and the model that is there."""
    seen = invoices.create(make_invoice())
    current = invoices.update(seen, pay)
    old: dict[str, Any] = {} if route.reads_by_itself else {"old": current}
    sent: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
        "put": ((seen,), old),
        "update": ((seen, pay), {}),
        "delete": ((seen,), {}),
        "update by expect": ((("t1", 1), pay), {"expect": 1}),
        "delete by expect": ((current,), {"expect": 1}),
        "update by known": ((("t1", 1), pay), {"known": {"version": 1}}),
    }
    arguments, options = sent[verb]

    with pytest.raises(VersionConflict) as caught:
        route(verb.split()[0], invoices, *arguments, **options)

    assert (1, current) == (caught.value.expected, caught.value.stored)
    assert current == invoices.require(("t1", 1))


def test_a_put_of_a_deleted_item_is_a_conflict_too(invoices: DAO[Invoice]) -> None:
    """The writer had seen it, and it is gone."""
    seen = invoices.create(make_invoice())
    invoices.delete(seen)

    with pytest.raises(VersionConflict):
        invoices.put(seen)
    assert invoices.get(("t1", 1)) is None


def test_version_zero_must_be_new(invoices: DAO[Invoice]) -> None:
    """A model that was never read replaces nothing."""
    stored = invoices.put(make_invoice())
    assert 1 == stored.version

    with pytest.raises(VersionConflict) as caught:
        invoices.put(make_invoice())
    assert (0, stored) == (caught.value.expected, caught.value.stored)


@pytest.mark.parametrize("verb", ["update", "delete"])
def test_a_change_that_does_not_say_what_it_saw_is_refused(route: Route, invoices: DAO[Invoice], verb: str) -> None:
    """At build; the error names the ways."""
    invoices.create(make_invoice())
    arguments: tuple[Any, ...] = (("t1", 1), pay) if verb == "update" else (("t1", 1),)

    with pytest.raises(ConfigurationError, match="unlocked=True is the explicit exception"):
        route(verb, invoices, *arguments)


def test_an_unlocked_change_still_adds_one(route: Route, invoices: DAO[Invoice]) -> None:
    """So that everybody else notices it."""
    seen = invoices.create(make_invoice())
    route("update", invoices, ("t1", 1), pay, unlocked=True)
    route("put", invoices, seen, unlocked=True, **({} if route.reads_by_itself else {"old": seen}))
    route("update", invoices, ("t1", 1), pay, where=lambda it: it.state == State.OPEN)

    assert 4 == invoices.require(("t1", 1)).version


def test_eight_threads_of_fifty_increments_lose_none(invoices: DAO[Invoice]) -> None:
    """Each thread reads, changes, and runs again on a conflict: 400 in the end, and version 401."""
    invoices.create(make_invoice(total="0.00"))

    def increment() -> None:
        for _ in range(50):
            while True:
                seen = invoices.require(("t1", 1), deadline=30)
                try:
                    invoices.update(
                        seen, lambda change, it, seen=seen: change.set(it.total, seen.total + 1), deadline=30
                    )
                    break
                except VersionConflict:
                    continue

    threads = [threading.Thread(target=increment) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (400, 401) == (invoices.require(("t1", 1)).total, invoices.require(("t1", 1)).version)
