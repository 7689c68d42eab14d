"""The laws of :class:`~common.auth.security.stores.ApiKeyStore`."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from common.auth.security.stores import ApiKeyRecord, ApiKeyStore
from common.auth.testing.store_laws.trying import NOW, at_once, eventually, expect, fresh

__all__ = [
    "API_KEY_LAWS",
    "a_key_id_is_taken_once",
    "a_revocation_is_final",
    "make_api_key_record",
    "of_many_uses_one_is_noted",
    "the_keys_of_an_owner_are_listed",
    "use_is_noted_at_most_so_often",
    "what_is_created_is_found_again",
]


def make_api_key_record(**changes: Any) -> ApiKeyRecord:
    """Return the record of a key that was never used, of an owner of its own."""
    usual: dict[str, Any] = {
        "key_id": fresh("key"),
        "owner": fresh("owner"),
        "digest": bytes(range(32)),
        "scopes": ("orders:write", "orders:read"),
        "created_at": NOW + 0.25,
        "expires_at": NOW + 86_400.5,
    }
    return ApiKeyRecord(**{**usual, **changes})


def what_is_created_is_found_again(store: ApiKeyStore) -> None:
    """Every field comes back as it was, octet by octet."""
    bare, full = make_api_key_record(scopes=()), make_api_key_record(revoked_at=NOW + 1.5, last_used_at=NOW + 0.5)
    for record in (bare, full):
        expect(store.create(record), "create stores a new key")
        expect(store.find(record.key_id) == record, "find returns what create stored, field by field")
    expect(store.find(fresh("key")) is None, "find returns None for an unknown key")


def a_key_id_is_taken_once(store: ApiKeyStore) -> None:
    """A second key under one id changes nothing, even the very same one."""
    record = make_api_key_record()
    store.create(record)

    expect(not store.create(make_api_key_record(key_id=record.key_id)), "create refuses a key id that is taken")
    expect(not store.create(record), "create refuses the same key again")
    expect(store.find(record.key_id) == record, "a refused create changes nothing")


def a_revocation_is_final(store: ApiKeyStore) -> None:
    """The first time stays; an unknown key stays unknown."""
    record, unknown = make_api_key_record(), fresh("key")
    store.create(record)

    expect(store.revoke(record.key_id, at=NOW + 7.5), "revoke finds the key")
    expect(store.revoke(record.key_id, at=NOW + 9), "revoking again finds it too")
    expect(store.find(record.key_id) == replace(record, revoked_at=NOW + 7.5), "the first revocation stays")
    expect(not store.revoke(unknown, at=NOW), "revoke tells that there is no such key")
    expect(store.find(unknown) is None, "revoke creates nothing")


def use_is_noted_at_most_so_often(store: ApiKeyStore) -> None:
    """Once a minute, to the second; never backwards, never for a key that does not exist."""
    record = make_api_key_record()
    store.create(record)

    noted = [store.touch(record.key_id, at=NOW + at, at_most_every=60) for at in (0, 59.5, 60, 30, 120)]
    expect(noted == [True, False, True, False, True], "touch writes once in at_most_every seconds")
    expect(store.find(record.key_id) == replace(record, last_used_at=NOW + 120), "touch changes the last use alone")
    unknown = fresh("key")
    expect(not store.touch(unknown, at=NOW, at_most_every=60), "touch tells that there is no such key")
    expect(store.find(unknown) is None, "touch creates nothing")


def of_many_uses_one_is_noted(store: ApiKeyStore) -> None:
    """However many come at once."""
    record = make_api_key_record()
    store.create(record)

    noted = at_once(lambda _: store.touch(record.key_id, at=NOW + 5, at_most_every=60))

    expect(sum(noted) == 1, f"exactly one of 16 uses at once is noted, not {sum(noted)}")


def the_keys_of_an_owner_are_listed(store: ApiKeyStore) -> None:
    """All of them, revoked ones too, and nobody else's."""
    owner = fresh("owner")
    records = [make_api_key_record(owner=owner) for _ in range(3)]
    for record in (*records, make_api_key_record()):
        store.create(record)
    store.revoke(records[0].key_id, at=NOW)
    expected = {record.key_id: store.find(record.key_id) for record in records}

    eventually(
        lambda: {record.key_id: record for record in store.of_owner(owner)},
        lambda found: found == expected,
        "of_owner lists all keys of the owner as they are",
    )
    expect(list(store.of_owner(fresh("owner"))) == [], "an owner without keys has an empty list")


API_KEY_LAWS: Final[tuple[Callable[[ApiKeyStore], None], ...]] = (
    what_is_created_is_found_again,
    a_key_id_is_taken_once,
    a_revocation_is_final,
    use_is_noted_at_most_so_often,
    of_many_uses_one_is_noted,
    the_keys_of_an_owner_are_listed,
)
