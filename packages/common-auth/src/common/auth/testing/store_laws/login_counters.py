"""The laws of :class:`~common.auth.security.stores.LoginCounterStore`."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from common.auth.security.stores import LoginCounter, LoginCounterChange, LoginCounterStore
from common.auth.testing.store_laws.trying import NOW, at_once, expect, fresh

__all__ = [
    "LOGIN_COUNTER_LAWS",
    "a_bucket_begins_empty",
    "a_bucket_can_be_cleared",
    "a_wrong_expectation_changes_nothing",
    "an_addition_counts",
    "an_exchange_stores_what_was_decided",
    "no_addition_is_lost",
    "of_many_exchanges_one_is_applied",
    "the_later_expiry_stays",
]

_FIRST: Final = LoginCounter(attempts=1, blocked_until=NOW + 1.5, expires_at=NOW + 900.25)


def a_bucket_begins_empty(store: LoginCounterStore) -> None:
    """An unknown bucket has no counter; clearing it is no error."""
    bucket = fresh("bucket")

    expect(store.read(bucket) is None, "an unknown bucket has no counter")
    store.clear(bucket)
    expect(store.read(bucket) is None, "clearing creates nothing")


def an_exchange_stores_what_was_decided(store: LoginCounterStore) -> None:
    """From nothing to a counter, from a counter to the next, and back to nothing; every field counts."""
    bucket = fresh("bucket")
    second = LoginCounter(attempts=2, blocked_until=NOW + 3.75, expires_at=NOW + 901)

    for expected, new in ((None, _FIRST), (_FIRST, second), (second, None)):
        change = store.exchange(bucket, expected=expected, new=new)
        expect(change == LoginCounterChange(True, new), "exchange stores the new counter and returns it")
        expect(store.read(bucket) == new, "read returns what exchange stored")


def a_wrong_expectation_changes_nothing(store: LoginCounterStore) -> None:
    """Whichever field differs; the answer holds what is stored."""
    bucket, new = fresh("bucket"), replace(_FIRST, attempts=9)
    expect(
        store.exchange(bucket, expected=_FIRST, new=new) == LoginCounterChange(False, None),
        "exchange expects a counter where there is none, and tells",
    )
    store.exchange(bucket, expected=None, new=_FIRST)

    for expected in (
        None,
        replace(_FIRST, attempts=2),
        replace(_FIRST, blocked_until=NOW),
        replace(_FIRST, expires_at=NOW),
    ):
        change = store.exchange(bucket, expected=expected, new=new)
        expect(change == LoginCounterChange(False, _FIRST), "a wrong expectation changes nothing and tells")
    expect(store.read(bucket) == _FIRST, "a refused exchange changes nothing")


def of_many_exchanges_one_is_applied(store: LoginCounterStore) -> None:
    """However many decide at once from one state, one of them counts, and the others learn what it did."""
    bucket = fresh("bucket")
    new = [replace(_FIRST, blocked_until=NOW + number) for number in range(16)]

    changes = at_once(lambda number: store.exchange(bucket, expected=None, new=new[number]))

    winners = [number for number, change in enumerate(changes) if change.applied]
    expect(len(winners) == 1, f"exactly one of 16 exchanges at once is applied, not {len(winners)}")
    expect(all(change.counter == new[winners[0]] for change in changes), "every loser gets the winner's counter")


def an_addition_counts(store: LoginCounterStore) -> None:
    """Up and down, from nothing and on top of an exchange, whose block is left alone."""
    bucket = fresh("bucket")

    counted = [store.add(bucket, amount, expires_at=NOW + 60) for amount in (1, 1, 3, -2)]
    expect(counted == [1, 2, 5, 3], "add returns the new number")
    counter = LoginCounter(attempts=3, expires_at=NOW + 60)
    expect(store.read(bucket) == counter, "add keeps attempts and expiry, and blocks nothing")
    blocked = replace(counter, blocked_until=NOW + 10)
    expect(store.exchange(bucket, expected=counter, new=blocked).applied, "what add stored can be exchanged")
    store.add(bucket, 1, expires_at=NOW + 60)
    expect(store.read(bucket) == replace(blocked, attempts=4), "add leaves the block alone")


def the_later_expiry_stays(store: LoginCounterStore) -> None:
    """An addition never shortens it."""
    bucket = fresh("bucket")
    for expires_at, latest in ((NOW + 60, NOW + 60), (NOW + 30, NOW + 60), (NOW + 90, NOW + 90)):
        store.add(bucket, 1, expires_at=expires_at)
        counter = store.read(bucket)
        expect(counter is not None and counter.expires_at == latest, "the later expiry of a counter stays")


def no_addition_is_lost(store: LoginCounterStore) -> None:
    """Sixteen at once get sixteen numbers."""
    bucket = fresh("bucket")

    numbers = at_once(lambda _: store.add(bucket, 1, expires_at=NOW + 60))

    expect(sorted(numbers) == list(range(1, 17)), "16 additions at once return 1 to 16, each once")


def a_bucket_can_be_cleared(store: LoginCounterStore) -> None:
    """Whatever is in it, and only it."""
    bucket, other = fresh("bucket"), fresh("bucket")
    store.exchange(bucket, expected=None, new=_FIRST)
    store.exchange(other, expected=None, new=_FIRST)

    store.clear(bucket)

    expect(store.read(bucket) is None, "clear deletes the counter")
    expect(store.read(other) == _FIRST, "clear leaves other buckets alone")
    expect(store.exchange(bucket, expected=None, new=_FIRST).applied, "a cleared bucket begins anew")


LOGIN_COUNTER_LAWS: Final[tuple[Callable[[LoginCounterStore], None], ...]] = (
    a_bucket_begins_empty,
    an_exchange_stores_what_was_decided,
    a_wrong_expectation_changes_nothing,
    of_many_exchanges_one_is_applied,
    an_addition_counts,
    the_later_expiry_stays,
    no_addition_is_lost,
    a_bucket_can_be_cleared,
)
