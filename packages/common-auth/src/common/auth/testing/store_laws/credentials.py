"""The laws of :class:`~common.auth.security.stores.CredentialStore`.

Nothing in the protocol creates a user, so each law takes a function that does: it gets the identifier to log in by and a
password hash or ``None``, and returns the user id.
"""

from collections.abc import Callable
from typing import Final

from common.auth.security.stores import CredentialStore
from common.auth.testing.store_laws.trying import at_once, expect, fresh

__all__ = [
    "CREDENTIAL_LAWS",
    "MakeUser",
    "a_hash_is_replaced_where_it_is_the_expected_one",
    "a_user_is_found_by_name_and_by_id",
    "a_user_may_have_no_password",
    "every_hash_is_listed",
    "of_many_replacements_one_is_applied",
    "whatever_is_typed_finds_nobody",
]

MakeUser = Callable[[str, str | None], str]


def _stored_hash(store: CredentialStore, user_id: str) -> str | None:
    credential = store.of_user(user_id)
    expect(credential is not None, "of_user finds a user who exists")
    return None if credential is None else credential.password_hash


def a_user_is_found_by_name_and_by_id(store: CredentialStore, make_user: MakeUser) -> None:
    """Both ways lead to one credential; nobody else's."""
    name = fresh("name")
    user_id = make_user(name, "$hash$1")

    found = store.find(name)

    expect(found is not None and found.user_id == user_id, "find returns the user who logs in by this name")
    expect(found == store.of_user(user_id), "find and of_user return one credential")
    expect(_stored_hash(store, user_id) == "$hash$1", "the hash is as it was stored")
    expect(found is not None and found.enabled, "a new user is enabled")
    expect(store.of_user(fresh("user")) is None, "an unknown user id finds nobody")


def whatever_is_typed_finds_nobody(store: CredentialStore, make_user: MakeUser) -> None:
    """Names come from the world: none of them raises."""
    make_user(fresh("name"), "$hash$1")
    for typed in ("", " ", "\0", "\ud800", "a" * 10_000, "'; DROP TABLE users; --", fresh("name"), "é\u202e"):
        expect(store.find(typed) is None, "a name that nobody has finds nobody, and raises nothing")


def a_user_may_have_no_password(store: CredentialStore, make_user: MakeUser) -> None:
    """There is a credential, and nothing to compare with."""
    user_id = make_user(fresh("name"), None)

    expect(_stored_hash(store, user_id) is None, "a user without password has a credential without hash")
    expect(not store.replace_hash(user_id, expected="", new="$hash$2"), "no hash is not an empty one")


def a_hash_is_replaced_where_it_is_the_expected_one(store: CredentialStore, make_user: MakeUser) -> None:
    """So a rehash never undoes a change of password that came in between."""
    user_id, other = make_user(fresh("name"), "$hash$1"), make_user(fresh("name"), "$hash$1")

    expect(not store.replace_hash(user_id, expected="$hash$0", new="$hash$2"), "another hash is not replaced")
    expect(_stored_hash(store, user_id) == "$hash$1", "a refused replacement changes nothing")
    expect(store.replace_hash(user_id, expected="$hash$1", new="$hash$2"), "the expected hash is replaced")
    expect(_stored_hash(store, user_id) == "$hash$2", "the new hash is stored")
    expect(_stored_hash(store, other) == "$hash$1", "nobody else's hash changes")
    expect(not store.replace_hash(fresh("user"), expected="$hash$1", new="$hash$2"), "nobody comes into being")


def of_many_replacements_one_is_applied(store: CredentialStore, make_user: MakeUser) -> None:
    """However many start from one hash."""
    user_id = make_user(fresh("name"), "$hash$first")

    applied = at_once(lambda number: store.replace_hash(user_id, expected="$hash$first", new=f"$hash${number}"))

    expect(sum(applied) == 1, f"exactly one of 16 replacements at once is applied, not {sum(applied)}")
    expect(_stored_hash(store, user_id) == f"$hash${list(applied).index(True)}", "it is the one that is stored")


def every_hash_is_listed(store: CredentialStore, make_user: MakeUser) -> None:
    """For operators' questions; users without password add nothing."""
    hashes = {fresh("$hash$") for _ in range(3)}
    for stored in hashes:
        make_user(fresh("name"), stored)
    make_user(fresh("name"), None)

    listed = list(store.stored_hashes())

    expect(hashes <= set(listed), "stored_hashes lists every hash")
    expect(all(isinstance(one, str) and one for one in listed), "stored_hashes lists hashes alone")


CREDENTIAL_LAWS: Final[tuple[Callable[[CredentialStore, MakeUser], None], ...]] = (
    a_user_is_found_by_name_and_by_id,
    whatever_is_typed_finds_nobody,
    a_user_may_have_no_password,
    a_hash_is_replaced_where_it_is_the_expected_one,
    of_many_replacements_one_is_applied,
    every_hash_is_listed,
)
