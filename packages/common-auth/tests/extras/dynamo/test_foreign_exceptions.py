"""Whatever the stores are given, only errors of the family leave them (auth X2)."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.auth.dynamo import AuditTable
from common.auth.security.audit_query import AuditQuery
from common.auth.security.stores import LoginCounter
from common.auth.testing.store_laws import make_family
from common.auth.testing.store_laws.api_keys import make_api_key_record
from common.auth.testing.store_laws.families import make_successor
from common.exceptions import CommonError

TEXTS = st.text() | st.sampled_from(["", "\0", "\ud800", "#", "$23", "a" * 3000, "\u202e"])
MOMENTS = st.floats() | st.integers(-(2**70), 2**70)
Call = Callable[[Any, str, float], object]

CALLS: dict[str, Call] = {
    "create": lambda on, text, at: on.sessions.create(
        make_family(session=text, user_id=text, client_id=text, rotated_at=at)
    ),
    "rotate": lambda on, text, at: on.sessions.rotate(text, expected=1, successor=make_successor(rotated_at=at)),
    "revoke": lambda on, text, at: on.sessions.revoke(text, at=at),
    "find": lambda on, text, at: on.sessions.find(text),
    "of_user": lambda on, text, at: on.sessions.of_user(text),
    "deny": lambda on, text, at: on.revocations.deny(text, expires_at=at),
    "raise_epoch": lambda on, text, at: on.revocations.raise_epoch(text),
    "look_up": lambda on, text, at: on.revocations.look_up(text, [text, "t"]),
    "read": lambda on, text, at: on.counters.read(text),
    "exchange": lambda on, text, at: on.counters.exchange(
        text,
        expected=LoginCounter(attempts=1, blocked_until=at, expires_at=at),
        new=LoginCounter(attempts=2, blocked_until=at, expires_at=at),
    ),
    "add": lambda on, text, at: on.counters.add(text, 1, expires_at=at),
    "clear": lambda on, text, at: on.counters.clear(text),
    "create key": lambda on, text, at: on.api_keys.create(
        make_api_key_record(key_id=text, owner=text, scopes=(text,), expires_at=at)
    ),
    "find key": lambda on, text, at: on.api_keys.find(text),
    "of_owner": lambda on, text, at: on.api_keys.of_owner(text),
    "revoke key": lambda on, text, at: on.api_keys.revoke(text, at=at),
    "touch": lambda on, text, at: on.api_keys.touch(text, at=at, at_most_every=60),
    "claim": lambda on, text, at: on.nonces.claim(text, expires_at=at, now=at),
    "find user": lambda on, text, at: on.credentials.find(text),
    "of_user id": lambda on, text, at: on.credentials.of_user(text),
    "replace_hash": lambda on, text, at: on.credentials.replace_hash(text, expected=text, new=text),
    "read_page": lambda on, text, at: AuditTable(on.db).read_page(
        AuditQuery(subject=text, type=text, request_id=text), size=1, cursor=text
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_only_errors_of_the_family_leave_a_store(name: str, stores: Any) -> None:
    """Any text as an id, any number as a moment; no message repeats either."""

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(text=TEXTS, at=MOMENTS)
    def try_it(text: str, at: float) -> None:
        told = ""
        try:
            CALLS[name](stores, text, at)
        except CommonError as error:
            told = str(error)
        assert len(text) < 8 or text not in told

    try_it()
