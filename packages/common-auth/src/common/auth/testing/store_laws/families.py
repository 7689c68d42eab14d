"""The laws of :class:`~common.auth.security.stores.RefreshFamilyStore`."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from common.auth.security.stores import FamilyChange, RefreshFamily, RefreshFamilyStore, Successor
from common.auth.testing.store_laws.trying import NOW, at_once, eventually, expect, fresh

__all__ = [
    "REFRESH_FAMILY_LAWS",
    "a_revoked_session_is_not_rotated",
    "a_rotation_and_an_end_do_not_both_win",
    "a_rotation_replaces_the_current_token",
    "a_session_id_is_taken_once",
    "an_unknown_session_is_not_revoked",
    "an_unknown_session_is_not_rotated",
    "another_generation_is_not_rotated",
    "make_family",
    "make_successor",
    "of_many_rotations_one_is_applied",
    "the_sessions_of_a_user_are_listed",
    "the_times_end_rotation",
    "what_is_created_is_found_again",
]


def make_family(**changes: Any) -> RefreshFamily:
    """Return a family in its first generation with every field set, of a session and a user of its own."""
    usual: dict[str, Any] = {
        "session": fresh("session"),
        "generation": 1,
        "token_id": fresh("token"),
        "issued_at": int(NOW),
        "key_id": "k1",
        "rotated_at": NOW + 0.25,
        "user_id": fresh("user"),
        "client_id": "web",
        "epoch": 3,
        "created_at": NOW + 0.125,
        "expires_at": int(NOW) + 2_592_000,
        "idle_expires_at": int(NOW) + 604_800,
        "scope": ("orders:write", "orders:read"),
        "roles": ("trader", "admin"),
        "authenticated_at": int(NOW) - 5,
        "methods": ("pwd", "otp"),
    }
    return RefreshFamily(**{**usual, **changes})


def make_successor(*, after: float = 60.0, **changes: Any) -> Successor:
    """Return what rotates a family of :func:`make_family`, *after* seconds from its beginning."""
    usual: dict[str, Any] = {
        "token_id": fresh("token"),
        "issued_at": int(NOW + after),
        "key_id": "k2",
        "rotated_at": NOW + after + 0.5,
        "idle_expires_at": int(NOW + after) + 604_800,
    }
    return Successor(**{**usual, **changes})


def _advanced(family: RefreshFamily, successor: Successor) -> RefreshFamily:
    return replace(
        family,
        generation=family.generation + 1,
        token_id=successor.token_id,
        issued_at=successor.issued_at,
        key_id=successor.key_id,
        rotated_at=successor.rotated_at,
        idle_expires_at=successor.idle_expires_at,
    )


def what_is_created_is_found_again(store: RefreshFamilyStore) -> None:
    """Every field comes back as it was: order of scopes, fractions of seconds, what is absent."""
    full = make_family()
    bare = make_family(scope=(), roles=(), authenticated_at=None, methods=())
    for family in (full, bare):
        expect(store.create(family), "create stores a new session")
        expect(store.find(family.session) == family, "find returns what create stored, field by field")
    expect(store.find(fresh("session")) is None, "find returns None for an unknown session")


def a_session_id_is_taken_once(store: RefreshFamilyStore) -> None:
    """A second family under one id changes nothing, even the very same one."""
    family = make_family()
    store.create(family)

    expect(not store.create(make_family(session=family.session)), "create refuses a session id that is taken")
    expect(not store.create(family), "create refuses the same family again")
    expect(store.find(family.session) == family, "a refused create changes nothing")


def a_rotation_replaces_the_current_token(store: RefreshFamilyStore) -> None:
    """The successor's fields are stored, the generation grows by one, all else stays."""
    family, successor = make_family(), make_successor()
    store.create(family)

    change = store.rotate(family.session, expected=1, successor=successor)

    expect(change == FamilyChange(True, _advanced(family, successor)), "rotate returns the family with its successor")
    expect(store.find(family.session) == change.family, "what rotate returns is what is stored")


def another_generation_is_not_rotated(store: RefreshFamilyStore) -> None:
    """Neither an older nor a newer one; the answer holds what is stored."""
    family, successor = make_family(generation=3), make_successor()
    store.create(family)

    for expected in (2, 4):
        change = store.rotate(family.session, expected=expected, successor=successor)
        expect(change == FamilyChange(False, family), "a rotation of another generation changes nothing and tells")
    expect(store.find(family.session) == family, "a refused rotation changes nothing")


def an_unknown_session_is_not_rotated(store: RefreshFamilyStore) -> None:
    """Nothing comes into being."""
    session = fresh("session")

    change = store.rotate(session, expected=1, successor=make_successor())

    expect(change == FamilyChange(False, None), "a rotation of an unknown session tells that there is none")
    expect(store.find(session) is None, "a rotation creates nothing")


def the_times_end_rotation(store: RefreshFamilyStore) -> None:
    """At the end of either lifetime, to the second, the update is refused; just before it is not."""
    for field in ("expires_at", "idle_expires_at"):
        family = make_family(**{field: int(NOW) + 100})
        store.create(family)
        late = make_successor(rotated_at=NOW + 100, idle_expires_at=int(NOW) + 90)
        expect(not store.rotate(family.session, expected=1, successor=late).applied, f"{field} ends rotation")
        early = replace(late, rotated_at=NOW + 99.5)
        expect(store.rotate(family.session, expected=1, successor=early).applied, f"before {field} a session rotates")


def a_revoked_session_is_not_rotated(store: RefreshFamilyStore) -> None:
    """Revocation is final, and its first time stays."""
    family = make_family()
    store.create(family)

    ended = replace(family, revoked_at=NOW + 7.5)
    expect(store.revoke(family.session, at=NOW + 7.5) == FamilyChange(True, ended), "revoke sets the time")
    expect(store.revoke(family.session, at=NOW + 9.0) == FamilyChange(False, ended), "the first revocation stays")
    change = store.rotate(family.session, expected=1, successor=make_successor())
    expect(change == FamilyChange(False, ended), "a revoked session is not rotated")
    expect(store.find(family.session) == ended, "a revoked session can be found")


def an_unknown_session_is_not_revoked(store: RefreshFamilyStore) -> None:
    """Nothing comes into being."""
    session = fresh("session")

    expect(store.revoke(session, at=NOW) == FamilyChange(False, None), "revoke tells that there is no such session")
    expect(store.find(session) is None, "revoke creates nothing")


def the_sessions_of_a_user_are_listed(store: RefreshFamilyStore) -> None:
    """All of them, revoked ones too, in their present state, and nobody else's."""
    user = fresh("user")
    families = [make_family(user_id=user) for _ in range(3)]
    for family in (*families, make_family()):
        store.create(family)
    store.rotate(families[0].session, expected=1, successor=make_successor())
    store.revoke(families[1].session, at=NOW)
    expected = {family.session: store.find(family.session) for family in families}

    eventually(
        lambda: {family.session: family for family in store.of_user(user)},
        lambda found: found == expected,
        "of_user lists all sessions of the user as they are",
    )
    expect(list(store.of_user(fresh("user"))) == [], "a user without sessions has an empty list")


def of_many_rotations_one_is_applied(store: RefreshFamilyStore) -> None:
    """However many come at once, one wins, and the losers are told of it without a second read."""
    family = make_family()
    store.create(family)
    successors = [make_successor(token_id=fresh("token")) for _ in range(16)]

    changes = at_once(lambda i: store.rotate(family.session, expected=1, successor=successors[i]))

    winners = [number for number, change in enumerate(changes) if change.applied]
    expect(len(winners) == 1, f"exactly one of 16 rotations at once is applied, not {len(winners)}")
    after = _advanced(family, successors[winners[0]])
    expect(all(change.family == after for change in changes), "every loser gets the family as the winner left it")


def a_rotation_and_an_end_do_not_both_win(store: RefreshFamilyStore) -> None:
    """After a revocation that came in between, no rotation is applied; whatever came first, the session is ended."""
    for _ in range(4):
        family = make_family()
        store.create(family)

        def either(number: int, session: str = family.session) -> FamilyChange:
            if number % 2:
                return store.revoke(session, at=NOW + 60)
            return store.rotate(session, expected=1, successor=make_successor())

        changes = at_once(either, times=8)
        expect(sum(change.applied for change in changes[1::2]) == 1, "exactly one revocation is applied")
        expect(sum(change.applied for change in changes[::2]) <= 1, "at most one rotation is applied")
        left = store.find(family.session)
        expect(left is not None and left.revoked_at == NOW + 60, "a rotation does not undo a revocation")


REFRESH_FAMILY_LAWS: Final[tuple[Callable[[RefreshFamilyStore], None], ...]] = (
    what_is_created_is_found_again,
    a_session_id_is_taken_once,
    a_rotation_replaces_the_current_token,
    another_generation_is_not_rotated,
    an_unknown_session_is_not_rotated,
    the_times_end_rotation,
    a_revoked_session_is_not_rotated,
    an_unknown_session_is_not_revoked,
    the_sessions_of_a_user_are_listed,
    of_many_rotations_one_is_applied,
    a_rotation_and_an_end_do_not_both_win,
)
