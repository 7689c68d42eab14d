"""Users: one name, one address, one account; passwords that leave no trace (ledger R1, R11, R15)."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from common.dynamo.dao import Profile, UserDAO
from common.dynamo.dao.ledger_types import ACCOUNT, EMAIL, PROFILE
from common.dynamo.exceptions import (
    AccountNotFound,
    ConditionFailed,
    NotFound,
    OutcomeUnknown,
    RequestIdReused,
    UniqueViolation,
    VersionConflict,
)
from common.dynamo.testing import Fault, FaultPlan, spend
from common.dynamo.testing.ledger import CountingHasher, LedgerKit
from common.entities import UserCreate
from common.exceptions import InvalidInput, MissingPart, to_problem

PASSWORD = "correct horse battery staple"


def signing_up(name: str, email: str | None = None, password: str | None = None) -> UserCreate:
    """What a new user sends."""
    return UserCreate(username=name, email=email or f"{name}@example.org", password=password)


def test_a_new_user_has_a_profile_an_address_and_an_empty_account(ledger: LedgerKit) -> None:
    """One write brings all three; the name and the address are stored in their canonical form."""
    wanted = UserCreate(username="Alice", email="Alice@Example.ORG", full_name="Alice B.")
    created = ledger.users.create(wanted, request_id=ledger.new_id()).entry

    assert (created.username, created.email, created.version) == ("alice", "alice@example.org", 1)
    assert ledger.users.get("ALICE") == created
    assert ledger.balances.get("alice").posted == 0


@pytest.mark.parametrize(
    ("second", "field"),
    [
        (signing_up("alice", "other@example.org"), "username"),
        (signing_up("ALICE", "other@example.org"), "username"),
        (signing_up("other", "alice@example.org"), "email"),
        (signing_up("other", "Alice@EXAMPLE.org"), "email"),
        (signing_up("alice", "alice@example.org"), "username"),
    ],
    ids=["name", "name in capitals", "address", "address in capitals", "both"],
)
def test_a_name_and_an_address_belong_to_one_user(ledger: LedgerKit, second: UserCreate, field: str) -> None:
    """A second user by either is refused, and nothing of them stays behind."""
    first = ledger.users.create(signing_up("alice"), request_id=ledger.new_id()).entry

    with pytest.raises(UniqueViolation) as refusal:
        ledger.users.create(second, request_id=ledger.new_id())

    assert refusal.value.field == field
    assert ledger.users.get("alice") == first
    assert ledger.users.get("other") is None
    assert ledger.db.dao(EMAIL).get("other@example.org") is None
    assert ledger.db.dao(ACCOUNT).get("other") is None


def test_registering_again_resets_nothing(ledger: LedgerKit) -> None:
    """Neither a repeat nor another request under the name touches the balance."""
    request_id = ledger.new_id()
    ledger.users.create(signing_up("alice"), request_id=request_id)
    ledger.balances.deposit("alice", "5.00", request_id=ledger.new_id())

    assert ledger.users.create(signing_up("alice"), request_id=request_id).replayed
    with pytest.raises(UniqueViolation):
        ledger.users.create(signing_up("alice"), request_id=ledger.new_id())
    assert str(ledger.balances.get("alice").available) == "5.00"


def test_eight_threads_get_each_name_and_address_once(ledger: LedgerKit) -> None:
    """Colliding sign-ups: one winner per name and per address, no lock without an owner, no winner missing."""
    wanted = [signing_up(f"user{n % 5}", f"mail{(n * 3) % 7}@example.org") for n in range(40)]

    def sign_up(one: UserCreate) -> Profile | None:
        try:
            return ledger.users.create(one, request_id=ledger.new_id(), deadline=30).entry
        except UniqueViolation:
            return None

    with ThreadPoolExecutor(8) as pool:
        winners = [profile for profile in pool.map(sign_up, wanted) if profile is not None]

    locks = {each.email: each for n in range(7) if (each := ledger.db.dao(EMAIL).get(f"mail{n}@example.org"))}
    assert sorted({profile.username for profile in winners}) == sorted(profile.username for profile in winners)
    assert {profile.email: profile.username for profile in winners} == {
        email: lock.user for email, lock in locks.items()
    }
    assert all(ledger.users.get(profile.username) == profile for profile in winners)
    assert all(ledger.balances.get(profile.username).posted == 0 for profile in winners)


def test_a_user_without_an_account_does_not_exist(ledger: LedgerKit) -> None:
    """No call makes an account by the way: a deposit to an unknown name leaves nothing behind."""
    with pytest.raises(AccountNotFound):
        ledger.balances.deposit("nobody", 5, request_id=ledger.new_id())

    assert ledger.db.dao(ACCOUNT).get("nobody") is None
    with pytest.raises(AccountNotFound):
        ledger.holdings.portfolio("nobody")
    with pytest.raises(NotFound):
        ledger.users.require("nobody")


# Changes --------------------------------------------------------------------------------------------------------------


def test_a_change_names_the_version_it_saw(ledger: LedgerKit) -> None:
    """The second of two changes from one reading is refused, and shows how the profile stands."""
    seen = ledger.users.require(ledger.open_account("alice"))
    changed = ledger.users.update(seen, {"full_name": "Alice"}, request_id=ledger.new_id()).entry

    with pytest.raises(VersionConflict) as conflict:
        ledger.users.update(seen, {"full_name": "Eve"}, request_id=ledger.new_id())

    assert (conflict.value.expected, conflict.value.stored) == (1, changed)
    assert ledger.users.get("alice") == changed
    assert ledger.users.update(changed, {"full_name": None}, request_id=ledger.new_id()).entry.full_name is None


def test_a_profile_remembers_a_change_behind_later_ones(ledger: LedgerKit) -> None:
    """A repeat is recognised although the profile has moved on; it is answered with the profile of today."""
    seen, request_id = ledger.users.require(ledger.open_account("alice")), ledger.new_id()
    current = ledger.users.update(seen, {"full_name": "Alice 0"}, request_id=request_id).entry
    for n in range(1, 7):
        current = ledger.users.update(current, {"full_name": f"Alice {n}"}, request_id=ledger.new_id()).entry

    again = ledger.users.update(seen, {"full_name": "Alice 0"}, request_id=request_id)

    assert again.replayed
    assert again.entry == current


@pytest.mark.parametrize(
    "changes",
    [{"username": "eve"}, {"email": "eve@example.org"}, {"status": "closed"}, {"hash": "x"}, {}, {"full_name": ""}],
)
def test_what_identifies_a_user_is_not_updated(ledger: LedgerKit, changes: dict[str, Any]) -> None:
    """The name is for good, the address has its own method, a status is no field to set, an empty name is none."""
    seen = ledger.users.require(ledger.open_account())

    with spend(trips=0), pytest.raises(InvalidInput):
        ledger.users.update(seen, changes, request_id=ledger.new_id())


def test_an_address_moves_with_its_lock(ledger: LedgerKit) -> None:
    """The new address is taken, the old one free for others; the user's other facts stay."""
    seen = ledger.users.require(ledger.open_account("alice"))
    moved = ledger.users.change_email(seen, "New@Example.org", request_id=ledger.new_id()).entry
    heir = ledger.users.create(signing_up("heir", "alice@example.org"), request_id=ledger.new_id()).entry

    assert (moved.email, moved.version) == ("new@example.org", 2)
    assert ledger.users.get("alice") == moved
    assert heir.email == "alice@example.org"
    with pytest.raises(UniqueViolation):
        ledger.users.create(signing_up("thief", "new@example.org"), request_id=ledger.new_id())


def test_an_address_that_is_taken_cannot_be_moved_to(ledger: LedgerKit) -> None:
    """Neither another's address nor the user's own; the user keeps the old one."""
    ledger.open_account("bob")
    seen = ledger.users.require(ledger.open_account("alice"))

    with pytest.raises(UniqueViolation):
        ledger.users.change_email(seen, "bob@example.org", request_id=ledger.new_id())
    with spend(wcu=0), pytest.raises(InvalidInput):
        ledger.users.change_email(seen, "alice@example.org", request_id=ledger.new_id())
    assert ledger.users.get("alice") == seen


def test_a_repeated_move_is_recognised_by_whoever_has_read_again(ledger: LedgerKit) -> None:
    """The repeat may come with the profile as it stands after the move."""
    seen, request_id = ledger.users.require(ledger.open_account("alice")), ledger.new_id()
    moved = ledger.users.change_email(seen, "new@example.org", request_id=request_id).entry

    assert ledger.users.change_email(moved, "new@example.org", request_id=request_id).replayed
    with pytest.raises(RequestIdReused):
        ledger.users.change_email(moved, "newer@example.org", request_id=request_id)


def test_eight_threads_move_to_one_address(ledger: LedgerKit) -> None:
    """One of eight users gets it, the others keep theirs."""
    seen = [ledger.users.require(ledger.open_account(f"user{n}")) for n in range(8)]

    def move(profile: Profile) -> bool:
        try:
            ledger.users.change_email(profile, "wanted@example.org", request_id=ledger.new_id(), deadline=30)
        except UniqueViolation:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        moved = list(pool.map(move, seen))

    lock = ledger.db.dao(EMAIL).get("wanted@example.org")
    assert moved.count(True) == 1
    assert lock is not None
    assert lock.user == seen[moved.index(True)].username
    assert sum(ledger.db.dao(EMAIL).get(profile.email) is not None for profile in seen) == 7


# Passwords ------------------------------------------------------------------------------------------------------------


def test_a_password_signs_its_user_in(ledger: LedgerKit) -> None:
    """The right one does, in whatever case the name is typed; another does not, nor the old one after a change."""
    ledger.users.create(signing_up("alice", password=PASSWORD), request_id=ledger.new_id())
    signed_in = ledger.users.authenticate("Alice", PASSWORD)
    assert signed_in
    assert signed_in.user == ledger.users.get("alice")

    ledger.users.set_password(ledger.users.require("alice"), "a new one", request_id=ledger.new_id())

    refused = ledger.users.authenticate("alice", PASSWORD)
    assert not refused
    assert refused.user is None
    assert ledger.users.authenticate("alice", "a new one").ok


def stored_hash(ledger: LedgerKit, name: str) -> str:
    """The hash of a user's password."""
    stored = ledger.users.stored_password(name)
    assert stored is not None
    assert stored.hash is not None
    return stored.hash


def test_a_hash_is_renewed_where_it_is_still_the_one_that_was_verified(ledger: LedgerKit) -> None:
    """The same password still signs in, the profile is the same to its readers, and a second copy changes nothing."""
    ledger.users.create(signing_up("alice", password=PASSWORD), request_id=ledger.new_id())
    profile, old = ledger.users.require("alice"), stored_hash(ledger, "alice")
    new = CountingHasher().hash(PASSWORD)

    with spend(wcu=1, rcu=0, trips=1):
        assert ledger.users.rehash("Alice", old=old, new=new)
    assert new == stored_hash(ledger, "alice")
    assert ledger.users.rehash("alice", old=old, new=new)
    assert profile == ledger.users.require("alice")
    assert ledger.users.authenticate("alice", PASSWORD)


def test_a_password_changed_meanwhile_survives_the_renewal(ledger: LedgerKit) -> None:
    """What was set between sign-in and renewal stays (auth P8); so does the absence of a user, or of a password."""
    ledger.users.create(signing_up("alice", password=PASSWORD), request_id=ledger.new_id())
    old = stored_hash(ledger, "alice")
    ledger.users.set_password(ledger.users.require("alice"), "a new one", request_id=ledger.new_id())
    ledger.users.create(signing_up("bob"), request_id=ledger.new_id())

    for name in ("alice", "bob", "nobody"):
        assert not ledger.users.rehash(name, old=old, new=CountingHasher().hash(PASSWORD))
    assert ledger.users.authenticate("alice", "a new one")
    assert ledger.users.stored_password("nobody") is None
    bob = ledger.users.stored_password("bob")
    assert bob is not None
    assert (bob.hash, bob.is_active) == (None, True)


def test_a_renewal_whose_answer_was_lost_is_known_to_be_done(faulty_ledger: LedgerKit, faults: FaultPlan) -> None:
    """The second attempt finds the new hash, and says so."""
    users = faulty_ledger.users
    users.create(signing_up("alice", password=PASSWORD), request_id=faulty_ledger.new_id())
    old = stored_hash(faulty_ledger, "alice")
    faults.script(Fault.DROP_AFTER)

    assert users.rehash("alice", old=old, new="a hash of more work")
    assert "a hash of more work" == stored_hash(faulty_ledger, "alice")


def test_every_hash_can_be_walked_over(ledger: LedgerKit) -> None:
    """Those of all users who have one, whatever else is in the table; no repr shows any."""
    for name in ("alice", "bob"):
        ledger.users.create(signing_up(name, password=PASSWORD), request_id=ledger.new_id())
    ledger.users.create(signing_up("carol"), request_id=ledger.new_id())

    assert {stored_hash(ledger, name) for name in ("alice", "bob")} == set(ledger.users.password_hashes())
    assert "sha256$" not in repr(ledger.users.stored_password("alice"))


def test_every_failed_sign_in_costs_the_same_work(ledger: LedgerKit) -> None:
    """An unknown name, a malformed one, a user without a password, a wrong password: one verification each, no hash."""
    hasher = CountingHasher()
    users = UserDAO(ledger.db, hasher)
    users.create(signing_up("alice", password=PASSWORD), request_id=ledger.new_id())
    users.create(signing_up("bob"), request_id=ledger.new_id())
    hasher.hashed = hasher.verified = 0
    for verified, name in enumerate(["alice", "bob", "nobody", "no such name!", ""], 1):
        assert not users.authenticate(name, "wrong")
        assert (hasher.hashed, hasher.verified) == (0, verified)


def test_without_a_hasher_a_password_is_refused_before_anything_is_written(ledger: LedgerKit) -> None:
    """The error names the distribution to add; a user without a password can be made."""
    users = UserDAO(ledger.db)
    with spend(trips=0):
        with pytest.raises(MissingPart, match="common-auth") as missing:
            users.create(signing_up("alice", password=PASSWORD), request_id=ledger.new_id())
        with pytest.raises(MissingPart):
            users.authenticate("alice", PASSWORD)

    assert missing.value.dist == "common-auth"
    assert not users.create(signing_up("alice"), request_id=ledger.new_id()).replayed
    with pytest.raises(MissingPart):
        users.set_password(users.require("alice"), PASSWORD, request_id=ledger.new_id())


def test_no_secret_leaves_the_table(ledger: LedgerKit, caplog: pytest.LogCaptureFixture) -> None:
    """Neither password nor hash is in any entity, repr, log line or error, and no key or value in a problem body.

    The log of botocore at DEBUG is left out by name: it prints whole requests and answers, as its documentation warns.
    """
    caplog.set_level(logging.DEBUG)
    ledger.users.create(signing_up("alice", password=PASSWORD), request_id=ledger.new_id())
    stored = ledger.db.dao(PROFILE).require("alice")
    texts = [repr(stored), stored.model_dump_json(), repr(ledger.users.authenticate("alice", PASSWORD))]
    attempts: list[Callable[[], object]] = [
        lambda: ledger.users.create(signing_up("alice", password=PASSWORD), request_id=ledger.new_id()),
        lambda: ledger.users.set_password(
            stored.model_copy(update={"version": 9}), PASSWORD, request_id=ledger.new_id()
        ),
        lambda: ledger.users.change_email(stored, "alice@example.org", request_id=ledger.new_id()),
    ]
    for attempt in attempts:
        with pytest.raises((ConditionFailed, InvalidInput)) as error:
            attempt()
        texts += [str(error.value), repr(error.value), str(to_problem(error.value).body)]
    texts += [
        each.getMessage() for each in caplog.records if each.name.startswith("common") or each.levelno > logging.DEBUG
    ]

    for secret in (PASSWORD, "sha256$"):
        assert not [text for text in texts if secret in text]
    assert not [text for text in texts[3:] if "alice@" in text]


@pytest.mark.parametrize("call", ["create", "change_email"])
def test_a_taken_address_is_no_certain_no_after_a_lost_attempt(
    faulty_ledger: LedgerKit, faults: FaultPlan, call: str
) -> None:
    """The lost attempt may be on its way still, and the address may become free: so the outcome is unknown."""
    ledger = faulty_ledger
    owner = ledger.open_account("alice")
    seen = ledger.users.require(ledger.open_account("bob"))
    taken = ledger.users.require(owner).email
    newcomer = signing_up("eve", taken)
    send = {
        "create": lambda: ledger.users.create(newcomer, request_id=ledger.new_id()),
        "change_email": lambda: ledger.users.change_email(seen, taken, request_id=ledger.new_id()),
    }[call]

    faults.script(Fault.DROP_BEFORE)
    with pytest.raises(OutcomeUnknown):
        send()
    with pytest.raises(UniqueViolation):
        send()
