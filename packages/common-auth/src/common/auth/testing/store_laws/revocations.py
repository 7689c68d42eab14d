"""The laws of :class:`~common.auth.security.stores.RevocationStore`."""

from collections.abc import Callable
from typing import Final

from common.auth.security.stores import Revocations, RevocationStore
from common.auth.testing.store_laws.trying import NOW, at_once, eventually, expect, fresh

__all__ = [
    "REVOCATION_LAWS",
    "an_epoch_grows_by_one",
    "an_unknown_user_is_in_epoch_zero",
    "ids_and_users_are_apart",
    "no_raising_of_an_epoch_is_lost",
    "of_many_denials_the_latest_stays",
    "ten_ids_are_looked_up_together",
    "the_later_expiry_stays",
    "what_is_denied_is_found",
]


def an_unknown_user_is_in_epoch_zero(store: RevocationStore) -> None:
    """Nothing is denied, and nothing has to be stored for it."""
    for consistent in (False, True):
        found = store.look_up(fresh("user"), [fresh("token")], consistent=consistent)
        expect(found == Revocations(0, {}), "an unknown user is in epoch 0 and nothing is denied")


def an_epoch_grows_by_one(store: RevocationStore) -> None:
    """Raising returns the new epoch, and a consistent read sees it at once."""
    user, other = fresh("user"), fresh("user")

    expect([store.raise_epoch(user) for _ in range(3)] == [1, 2, 3], "raise_epoch returns 1, 2, 3")
    expect(store.look_up(user, consistent=True).epoch == 3, "a consistent read sees the epoch at once")
    expect(store.look_up(other, consistent=True).epoch == 0, "the epoch of another user stays")
    eventually(lambda: store.look_up(user).epoch, lambda epoch: epoch == 3, "every read sees the epoch in the end")


def no_raising_of_an_epoch_is_lost(store: RevocationStore) -> None:
    """Sixteen at once get sixteen numbers."""
    user = fresh("user")

    epochs = at_once(lambda _: store.raise_epoch(user))

    expect(sorted(epochs) == list(range(1, 17)), "16 raises at once return 1 to 16, each once")


def what_is_denied_is_found(store: RevocationStore) -> None:
    """Those ids alone that were asked for, with their expiry."""
    user, first, second, other = fresh("user"), fresh("token"), fresh("session"), fresh("token")
    store.deny(first, expires_at=NOW + 60.5)
    store.deny(second, expires_at=NOW + 90)

    found = store.look_up(user, [first, second, other], consistent=True)

    expect(
        found == Revocations(0, {first: NOW + 60.5, second: NOW + 90}), "look_up returns the denied among those asked"
    )
    expect(store.look_up(user, consistent=True).denied == {}, "look_up without ids denies nothing")
    eventually(lambda: store.look_up(user, [first]).denied, bool, "every read sees what is denied in the end")


def ids_and_users_are_apart(store: RevocationStore) -> None:
    """A user and a token that share a name are two things."""
    name = fresh("name")
    store.deny(name, expires_at=NOW + 60)

    expect(store.look_up(name, [name], consistent=True) == Revocations(0, {name: NOW + 60}), "denying raises no epoch")
    expect(store.raise_epoch(name) == 1, "an epoch is no denied id")
    expect(store.look_up(name, [name], consistent=True) == Revocations(1, {name: NOW + 60}), "both are kept")


def ten_ids_are_looked_up_together(store: RevocationStore) -> None:
    """One request answers for all of them, in any mixture; one that is asked for twice is one."""
    ids = [fresh("token") for _ in range(9)]
    for identifier in ids[::2]:
        store.deny(identifier, expires_at=NOW + 5)

    found = store.look_up(fresh("user"), [*ids, ids[0]], consistent=True)

    expect(found.denied == dict.fromkeys(ids[::2], NOW + 5), "ten ids are looked up together")


def the_later_expiry_stays(store: RevocationStore) -> None:
    """Denying again never shortens it."""
    identifier = fresh("token")
    for expires_at, stored in ((NOW + 60, NOW + 60), (NOW + 30, NOW + 60), (NOW + 90, NOW + 90), (NOW + 90, NOW + 90)):
        store.deny(identifier, expires_at=expires_at)
        found = store.look_up(fresh("user"), [identifier], consistent=True).denied
        expect(found == {identifier: stored}, "the later expiry of a denied id stays")


def of_many_denials_the_latest_stays(store: RevocationStore) -> None:
    """In whatever order they arrive."""
    identifier = fresh("token")

    at_once(lambda number: store.deny(identifier, expires_at=NOW + number))

    found = store.look_up(fresh("user"), [identifier], consistent=True).denied
    expect(found == {identifier: NOW + 15}, "of denials at once the latest expiry stays")


REVOCATION_LAWS: Final[tuple[Callable[[RevocationStore], None], ...]] = (
    an_unknown_user_is_in_epoch_zero,
    an_epoch_grows_by_one,
    no_raising_of_an_epoch_is_lost,
    what_is_denied_is_found,
    ids_and_users_are_apart,
    ten_ids_are_looked_up_together,
    the_later_expiry_stays,
    of_many_denials_the_latest_stays,
)
