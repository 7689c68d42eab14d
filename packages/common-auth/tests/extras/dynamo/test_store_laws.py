"""The stores in a table keep every law that those in memory keep, whatever the engine (auth F13)."""

from collections.abc import Callable
from typing import Any

import pytest

from common.auth.exceptions import StoreUnavailable
from common.auth.security.stores import LoginCounter
from common.auth.testing.store_laws import (
    API_KEY_LAWS,
    CREDENTIAL_LAWS,
    LOGIN_COUNTER_LAWS,
    NONCE_LAWS,
    REFRESH_FAMILY_LAWS,
    REVOCATION_LAWS,
    check_outage,
    make_family,
    name_of,
)
from common.auth.testing.store_laws.api_keys import make_api_key_record
from common.auth.testing.store_laws.families import make_successor
from common.auth.testing.store_laws.trying import NOW
from common.dynamo.testing import Fault, FaultPlan, FaultRates

Law = Callable[..., None]


@pytest.mark.parametrize("law", REFRESH_FAMILY_LAWS, ids=name_of)
def test_sessions_keep_the_laws(law: Law, stores: Any) -> None:
    """One after the other."""
    law(stores.sessions)


@pytest.mark.parametrize("law", REVOCATION_LAWS, ids=name_of)
def test_revocations_keep_the_laws(law: Law, stores: Any) -> None:
    """One after the other."""
    law(stores.revocations)


@pytest.mark.parametrize("law", LOGIN_COUNTER_LAWS, ids=name_of)
def test_login_counters_keep_the_laws(law: Law, stores: Any) -> None:
    """One after the other."""
    law(stores.counters)


@pytest.mark.parametrize("law", CREDENTIAL_LAWS, ids=name_of)
def test_credentials_of_the_ledgers_users_keep_the_laws(law: Law, stores: Any) -> None:
    """One after the other."""
    law(stores.credentials, stores.make_user)


@pytest.mark.parametrize("law", API_KEY_LAWS, ids=name_of)
def test_api_keys_keep_the_laws(law: Law, stores: Any) -> None:
    """One after the other."""
    law(stores.api_keys)


@pytest.mark.parametrize("law", NONCE_LAWS, ids=name_of)
def test_nonces_keep_the_laws(law: Law, stores: Any) -> None:
    """One after the other."""
    law(stores.nonces)


@pytest.mark.parametrize("number", range(6), ids=["sessions", "revocations", "counters", "keys", "nonces", "users"])
@pytest.mark.parametrize("fault", ["refuse", "drop_before", "drop_after", "throttle"])
def test_an_outage_of_the_table_is_an_outage_of_the_store(
    number: int, fault: str, impatient_stores: Any, faults: FaultPlan
) -> None:
    """Every method of every store says so, by one error, while no answer comes back."""
    faults.rates = FaultRates(**{fault: 1.0})

    assert check_outage(impatient_stores.all[number])


def rotated(stores: Any) -> bool:
    """Rotate a session, and tell whether this call did."""
    family = make_family()
    stores.sessions.create(family)
    stores.faults()
    change = stores.sessions.rotate(family.session, expected=family.generation, successor=make_successor())
    return bool(change.applied and change.family.generation == family.generation + 1)


def revoked(stores: Any) -> bool:
    """End a session, and tell whether this call did."""
    family = make_family()
    stores.sessions.create(family)
    stores.faults()
    return bool(stores.sessions.revoke(family.session, at=NOW).applied)


def exchanged(stores: Any) -> bool:
    """Count a first attempt, and tell whether this call did."""
    stores.faults()
    counter = LoginCounter(attempts=1, expires_at=NOW)
    return bool(stores.counters.exchange("b", expected=None, new=counter).applied)


def denied(stores: Any) -> bool:
    """Deny a token, and tell whether it is denied."""
    stores.faults()
    stores.revocations.deny("t", expires_at=NOW)
    return bool(stores.revocations.look_up("u", ["t"], consistent=True).denied == {"t": NOW})


def touched(stores: Any) -> bool:
    """Note the use of a key, and tell whether this call did."""
    record = make_api_key_record()
    stores.api_keys.create(record)
    stores.faults()
    return bool(stores.api_keys.touch(record.key_id, at=NOW, at_most_every=60))


def created(stores: Any) -> bool:
    """Begin a session and issue a key, and tell whether these calls did."""
    stores.faults()
    session = stores.sessions.create(make_family())
    stores.faults()
    return bool(session and stores.api_keys.create(make_api_key_record()))


def claimed(stores: Any) -> bool:
    """Use a nonce, and tell whether it was the first use."""
    stores.faults()
    return bool(stores.nonces.claim("n", expires_at=NOW + 60, now=NOW))


@pytest.mark.parametrize("fault", [Fault.DROP_AFTER, Fault.ERROR_AFTER, Fault.DROP_BEFORE, Fault.DUPLICATE])
@pytest.mark.parametrize("call", [rotated, revoked, exchanged, denied, touched, created, claimed])
def test_a_lost_answer_is_made_up_for(
    call: Callable[[Any], bool], fault: Fault, faulty_stores: Any, faults: FaultPlan
) -> None:
    """The second attempt finds what the first has written, and the caller learns that it was its own."""
    faulty_stores.faults = lambda: faults.script(fault)

    assert call(faulty_stores)


def test_an_answer_that_was_lost_and_overtaken_is_told_as_unknown(faulty_stores: Any, faults: FaultPlan) -> None:
    """Somebody else has changed the session in between: whether this call had rotated it, nobody can tell."""
    sessions, family = faulty_stores.sessions, make_family()
    sessions.create(family)
    sessions.rotate(family.session, expected=1, successor=make_successor())
    faults.script(Fault.DROP_BEFORE)

    with pytest.raises(StoreUnavailable) as unknown:
        sessions.rotate(family.session, expected=1, successor=make_successor())

    assert "outcome_unknown" == unknown.value.reason
    assert not sessions.rotate(family.session, expected=1, successor=make_successor()).applied


def test_an_addition_whose_answer_is_lost_is_not_made_twice(faulty_stores: Any, faults: FaultPlan) -> None:
    """It is told as an outage, and the count is that of one attempt, at the most."""
    faults.script(Fault.DROP_AFTER)

    with pytest.raises(StoreUnavailable):
        faulty_stores.counters.add("b", 1, expires_at=NOW)

    assert 2 == faulty_stores.counters.add("b", 1, expires_at=NOW)
