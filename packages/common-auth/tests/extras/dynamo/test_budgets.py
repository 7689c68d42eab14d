"""Every access pattern of the stores sends and costs what its row of the table says, under a policy of its own (auth F1, F7).

The table is :mod:`common.auth.dynamo.access_patterns`; here each of its rows is carried out and measured.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from common.auth.dynamo import AuditTable
from common.auth.dynamo.access_patterns import AUTH_PATTERNS, named
from common.auth.dynamo.entity_types import AUDIT_SHARDS, AUTH_ENTITY_TYPES
from common.auth.dynamo.health import StoresCheck
from common.auth.security.audit_line import encode_event, seal
from common.auth.security.audit_query import AuditQuery
from common.auth.security.stores import LoginCounter
from common.auth.testing.store_laws import check_store, make_family
from common.auth.testing.store_laws.api_keys import make_api_key_record
from common.auth.testing.store_laws.families import make_successor
from common.auth.testing.store_laws.trying import NOW
from common.core.audit import AuditEvent, AuditOutcome, AuditRecord, Severity
from common.core.health import CheckContext
from common.dynamo import Call, Database
from common.dynamo.access import AccessPattern, select
from common.dynamo.cost import metered
from common.dynamo.iam import Arns, iam_policy
from common.dynamo.testing import Engine, fresh_table_name, spend
from common.dynamo.testing.policy import allows, demands_of

Course = Callable[[Any], Callable[[], object]]
"""Prepares what has to be there first, and returns what is measured."""

ROWS: dict[str, AccessPattern] = {row.title: row for row in AUTH_PATTERNS}
COURSES: dict[str, Course] = {}
COUNTER = LoginCounter(attempts=1, blocked_until=NOW, expires_at=NOW + 60)


def course(title: str) -> Callable[[Course], None]:
    """Carry out the row called *title* by what is decorated."""

    def enter(prepare: Course) -> None:
        COURSES[title] = prepare

    return enter


@course("RefreshFamilyStore.create")
def _(stores: Any) -> Callable[[], object]:
    return lambda: stores.sessions.create(make_family())


def begun(stores: Any, **changes: Any) -> Any:
    """A session that has begun."""
    family = make_family(**changes)
    assert stores.sessions.create(family)
    return family


@course("RefreshFamilyStore.rotate")
def _(stores: Any) -> Callable[[], object]:
    session = begun(stores).session
    return lambda: stores.sessions.rotate(session, expected=1, successor=make_successor())


@course("RefreshFamilyStore.revoke")
def _(stores: Any) -> Callable[[], object]:
    session = begun(stores).session
    return lambda: stores.sessions.revoke(session, at=NOW)


@course("RefreshFamilyStore.find")
def _(stores: Any) -> Callable[[], object]:
    session = begun(stores).session
    return lambda: stores.sessions.find(session)


@course("RefreshFamilyStore.of_user")
def _(stores: Any) -> Callable[[], object]:
    begun(stores, user_id="u-1")
    return lambda: stores.sessions.of_user("u-1")


@course("RevocationStore.deny")
def _(stores: Any) -> Callable[[], object]:
    return lambda: stores.revocations.deny("t", expires_at=NOW)


@course("RevocationStore.raise_epoch")
def _(stores: Any) -> Callable[[], object]:
    return lambda: stores.revocations.raise_epoch("u-1")


@course("RevocationStore.look_up")
def _(stores: Any) -> Callable[[], object]:
    stores.revocations.raise_epoch("u-1")
    return lambda: stores.revocations.look_up("u-1")


@course("RevocationStore.look_up, consistent")
def _(stores: Any) -> Callable[[], object]:
    stores.revocations.raise_epoch("u-1")
    return lambda: stores.revocations.look_up("u-1", consistent=True)


@course("LoginCounterStore.read")
def _(stores: Any) -> Callable[[], object]:
    stores.counters.exchange("b", expected=None, new=COUNTER)
    return lambda: stores.counters.read("b")


@course("LoginCounterStore.exchange")
def _(stores: Any) -> Callable[[], object]:
    stores.counters.exchange("b", expected=None, new=COUNTER)
    return lambda: stores.counters.exchange("b", expected=COUNTER, new=replace(COUNTER, attempts=2))


@course("LoginCounterStore.exchange, for nothing")
def _(stores: Any) -> Callable[[], object]:
    stores.counters.exchange("b", expected=None, new=COUNTER)
    return lambda: stores.counters.exchange("b", expected=COUNTER, new=None)


@course("LoginCounterStore.add")
def _(stores: Any) -> Callable[[], object]:
    stores.counters.add("b", 1, expires_at=NOW)
    return lambda: stores.counters.add("b", 1, expires_at=NOW)


@course("LoginCounterStore.add, with an earlier expiry")
def _(stores: Any) -> Callable[[], object]:
    stores.counters.add("b", 1, expires_at=NOW + 60)
    return lambda: stores.counters.add("b", 1, expires_at=NOW)


@course("LoginCounterStore.clear")
def _(stores: Any) -> Callable[[], object]:
    stores.counters.add("b", 1, expires_at=NOW)
    return lambda: stores.counters.clear("b")


@course("ApiKeyStore.create")
def _(stores: Any) -> Callable[[], object]:
    return lambda: stores.api_keys.create(make_api_key_record())


def issued(stores: Any) -> Any:
    """A key that was issued."""
    record = make_api_key_record()
    assert stores.api_keys.create(record)
    return record


@course("ApiKeyStore.find")
def _(stores: Any) -> Callable[[], object]:
    key_id = issued(stores).key_id
    return lambda: stores.api_keys.find(key_id)


@course("ApiKeyStore.of_owner")
def _(stores: Any) -> Callable[[], object]:
    owner = issued(stores).owner
    return lambda: stores.api_keys.of_owner(owner)


@course("ApiKeyStore.revoke")
def _(stores: Any) -> Callable[[], object]:
    key_id = issued(stores).key_id
    return lambda: stores.api_keys.revoke(key_id, at=NOW)


@course("ApiKeyStore.touch")
def _(stores: Any) -> Callable[[], object]:
    key_id = issued(stores).key_id
    return lambda: stores.api_keys.touch(key_id, at=NOW, at_most_every=60)


@course("NonceStore.claim")
def _(stores: Any) -> Callable[[], object]:
    return lambda: stores.nonces.claim("n", expires_at=NOW + 60, now=NOW)


def a_record() -> AuditRecord:
    """A record that is found by everything."""
    fields: dict[str, Any] = {
        "id": "0190163d-8694-739b-aea5-000000000001", "time": datetime(2026, 11, 24, tzinfo=UTC), "stream": "orders-ab",
        "boot_id": "ab", "type": "order_placed", "outcome": AuditOutcome.SUCCESS, "severity": Severity.INFO,
        "service": "orders", "actor": "u-1", "request_id": "r-1",
    }  # fmt: skip
    return AuditRecord(AuditEvent(seq=1, **fields), seal("orders-ab", 1, encode_event(fields)))


@course("AuditTable.write")
def _(stores: Any) -> Callable[[], object]:
    table = AuditTable(stores.db)
    return lambda: table.write(a_record())


@course("AuditTable.lines")
def _(stores: Any) -> Callable[[], object]:
    table = AuditTable(stores.db)
    table.write(a_record())
    return lambda: list(table.lines("orders-ab"))


def reading(query: AuditQuery) -> Course:
    """Read what is found by *query*."""

    def prepare(stores: Any) -> Callable[[], object]:
        table = AuditTable(stores.db)
        table.write(a_record())
        return lambda: table.read_page(query, size=10)

    return prepare


course("AuditTable.by_user")(reading(AuditQuery(subject="u-1", type="order_placed")))
course("AuditTable.by_request")(reading(AuditQuery(request_id="r-1", subject="u-1")))
course("AuditTable.by_time")(reading(AuditQuery(type="order_placed")))


@course("Health.auth")
def _(stores: Any) -> Callable[[], object]:
    check = StoresCheck()
    check.attach(stores.db)
    return lambda: check.check(CheckContext(deadline=time.monotonic() + 5))


def test_every_row_has_a_course() -> None:
    """And every course is a row's; no name is misspelt unseen."""
    assert ROWS.keys() == COURSES.keys()
    assert len(ROWS) == len(AUTH_PATTERNS)
    with pytest.raises(KeyError):
        named("RefreshFamilyStore.rotat")


@pytest.mark.parametrize("title", ROWS)
def test_a_call_costs_what_its_row_says(title: str, stores: Any) -> None:
    """In units on the table, on its indexes, and in round trips, as the engine reports them."""
    row = ROWS[title]
    call = COURSES[title](stores)

    with metered() as meter:
        call()

    cost = meter.cost
    written = sum(units for units in cost.indexes.values()) if row.wcu else 0.0
    # What the engine answers to a refused write has no units, so the first of two updates is not in the sum.
    assert (row.rcu, row.wcu, row.indexes) == (cost.rcu, cost.wcu - written, written)
    assert len(row.trips) <= cost.trips <= len(row.all_trips)


def test_a_rotation_is_one_write_whether_it_wins_or_loses(stores: Any) -> None:
    """One write unit, no read, one round trip; the loser gets the session from the answer (auth F1)."""
    family = begun(stores)
    successor = make_successor()

    with spend(wcu=1, rcu=0, trips=1, indexes={}):
        won = stores.sessions.rotate(family.session, expected=1, successor=successor)
    with spend(rcu=0, trips=1):
        lost = stores.sessions.rotate(family.session, expected=1, successor=make_successor())

    assert (True, 2) == (won.applied, won.family.generation)
    assert (False, won.family) == (lost.applied, lost.family)
    assert lost.family.token_id == successor.token_id


def test_ending_all_sessions_is_one_write(stores: Any) -> None:
    """However many there are (auth F7)."""
    for _ in range(3):
        begun(stores, user_id="u-1")

    with spend(wcu=1, rcu=0, trips=1, indexes={}):
        assert 1 == stores.revocations.raise_epoch("u-1")


def test_the_stores_keep_to_what_they_declare(engine: Engine) -> None:
    """Under ``budgets="declared"`` nothing that the laws do is refused for what it costs."""
    with engine.open(
        table=fresh_table_name(), entity_types=AUTH_ENTITY_TYPES, budgets="declared", budget_mode="raise"
    ) as db:
        stores = _Stores(db)
        for store in (stores.sessions, stores.revocations, stores.counters, stores.api_keys, stores.nonces):
            assert check_store(store)


class Recorder:
    """Keeps every request."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def on_request(self, call: Call, /) -> None:
        """Keep it."""
        self.calls.append(call)

    def on_result(self, call: Call, result: Any, /) -> None:
        """Do nothing."""

    def on_error(self, call: Call, error: BaseException, /) -> None:
        """Do nothing."""


@pytest.fixture(scope="module")
def day(engine: Engine) -> tuple[list[Call], str]:
    """Every row once, as the requests that it sent, and their table."""
    recorder, table = Recorder(), fresh_table_name()
    with engine.open(
        table=table, entity_types=AUTH_ENTITY_TYPES, interceptors=[recorder], cursor_keys=["a key for these tests"]
    ) as db:
        for prepare in COURSES.values():
            prepare(_Stores(db))()
    return [call for call in recorder.calls if call.pattern in {row.name for row in AUTH_PATTERNS}], table


class _Stores:
    """The stores, made when they are asked for; each with ids of its own."""

    def __init__(self, db: Database) -> None:
        from common.auth import dynamo

        self.db = db
        self.sessions = dynamo.DynamoRefreshFamilyStore(db)
        self.revocations = dynamo.DynamoRevocationStore(db)
        self.counters = dynamo.DynamoLoginCounterStore(db)
        self.api_keys = dynamo.DynamoApiKeyStore(db)
        self.nonces = dynamo.DynamoNonceStore(db)


def test_what_is_declared_is_what_is_sent(day: tuple[list[Call], str]) -> None:
    """Each pattern sends the API operations of its rows, and no others."""
    sent, declared = defaultdict(set), defaultdict(set)
    for call in day[0]:
        sent[call.pattern].add(call.request.operation)
    for row in AUTH_PATTERNS:
        declared[row.name] |= {trip.operation for trip in row.trips}

    assert dict(declared) == dict(sent)
    assert AUDIT_SHARDS == len(select(AUTH_PATTERNS, "AuditTable.by_time")[0].trips)


def test_each_call_is_allowed_by_the_policy_of_its_pattern_alone(day: tuple[list[Call], str]) -> None:
    """Least privilege: a policy of one row allows that row's calls, on partitions that begin with AUTH# alone."""
    calls, table = day
    where = Arns(region="eu-central-1", account="123456789012")
    policies = {
        row.name: iam_policy(select(AUTH_PATTERNS, row.name), where, table_of=lambda entity: table)
        for row in AUTH_PATTERNS
    }

    denied = [
        f"{call.pattern}: {demand}"
        for call in calls
        for demand in demands_of(call.request)
        if not allows(policies[call.pattern], demand, where)
    ]

    assert [] == denied
    for policy in policies.values():
        for statement in policy["Statement"]:
            keys = statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
            assert all(key.startswith("AUTH#") for key in keys)
