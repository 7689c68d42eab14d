"""The types of authentication among all others: in one table, in tables of their own, on the command line (auth H2, L7)."""

import json
import secrets
from collections.abc import Callable
from typing import Any

import pytest

from common.auth.dynamo.access_patterns import AUTH_PATTERNS
from common.auth.dynamo.entity_types import AUDIT_LINE, AUTH_ENTITY_TYPES, LOGIN_COUNTER, SESSION, USER_SESSION
from common.auth.dynamo.sessions import DynamoRefreshFamilyStore
from common.auth.security.context import RequestContext
from common.auth.security.login_guard import LoginGuard
from common.auth.security.secrets import SecretBytes
from common.auth.testing.store_laws import make_family
from common.core import Plugins, Settings
from common.core.cli import main
from common.core.utils.clock import FrozenClock
from common.dynamo import Database, EntityType, Key
from common.dynamo.dao.ledger_types import LEDGER_ENTITY_TYPES
from common.dynamo.testing import Engine, fresh_table_name
from common.dynamo.testing.examples import Note
from common.exceptions import ConfigurationError

OURS = {"COMMON_PLUGINS_ONLY": "", "COMMON_PLUGINS_BLOCK": "common-observability", "COMMON_ENVIRONMENT": "test"}


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    """The family's plugins, as they are installed."""
    loaded = Plugins()
    loaded.load(Settings.from_environment(OURS))
    return loaded


def test_the_types_come_by_the_hook_of_strangers(plugins: Plugins) -> None:
    """Among all others, with what they send and cost; the plugin is listed with both hooks (auth H2)."""
    (listing,) = [each for each in plugins.listing() if each.name == "common-auth"]

    assert {*AUTH_ENTITY_TYPES, *LEDGER_ENTITY_TYPES} <= set(plugins.entity_types())
    assert set(AUTH_PATTERNS) <= set(plugins.access_patterns())
    assert {"common_entity_types", "common_access_patterns"} <= set(listing.hooks)


def test_tables_made_of_all_types_contain_ours(plugins: Plugins, engine: Engine) -> None:
    """One table for everything: nothing clashes, and a store works on it (auth H2)."""
    with engine.open(table=fresh_table_name(), plugins=plugins) as db:
        db.create_tables()
        family = make_family()

        assert DynamoRefreshFamilyStore(db).create(family)
        assert () == db.diff_tables()
        (table,) = db.table_definitions()
        assert ["GSI1", "GSI2", "GSI9"] == sorted(index.name for index in table.indexes)


def test_the_groups_can_have_tables_of_their_own(engine: Engine) -> None:
    """Apart from money, and the trail apart from both; no partition is shared with the ledger's."""
    names = {group: fresh_table_name() for group in ("app", "auth", "audit")}
    tables = {"auth": names["auth"], "audit": names["audit"]}
    with engine.open(table=names["app"], tables=tables, entity_types=(*LEDGER_ENTITY_TYPES, *AUTH_ENTITY_TYPES)) as db:
        db.create_tables()
        assert DynamoRefreshFamilyStore(db).create(make_family())

        assert names["auth"] == db.table_of(SESSION) == db.table_of(USER_SESSION)
        assert names["audit"] == db.table_of(AUDIT_LINE)


def test_a_type_that_could_lie_among_ours_is_refused_at_load() -> None:
    """The error names both, before anything is stored."""
    theirs = EntityType(Note, "their_session", key=Key("AUTH#S#{id}", "FAMILY"))

    with pytest.raises(ConfigurationError, match="auth_session"):
        Database.embedded(entity_types=[*AUTH_ENTITY_TYPES, theirs])


def test_explain_lists_every_pattern(capsys: pytest.CaptureFixture[str]) -> None:
    """By the names that spans and policies have, and by nothing that no store sends."""
    assert 0 == main(["dynamo", "explain", "--json"], environ=OURS)
    listed = json.loads(capsys.readouterr().out)

    assert {row.name for row in AUTH_PATTERNS} <= {row["name"] for row in listed}
    generic = {row["name"] for row in listed if row["name"].startswith("SessionItem.")}
    assert {"SessionItem.scan", "SessionItem.backfill"} == generic


def test_a_policy_for_sessions_reaches_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever keeps sessions cannot touch an account."""
    words = ["dynamo", "iam", "export", "--pattern", "RefreshFamilyStore.*", "--pattern", "RevocationStore.*"]
    assert 0 == main([*words, "--region", "eu-central-1", "--account", "123456789012"], environ=OURS)
    policy = json.loads(capsys.readouterr().out)

    keys = {
        key
        for statement in policy["Statement"]
        for key in statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
    }
    assert {"AUTH#S#*", "AUTH#U#*", "AUTH#D#*"} == keys


@pytest.fixture
def counted(stores: Any) -> Callable[[], list[Any]]:
    """Return a function that lists every counter in the table."""
    return lambda: stores.db.dao(LOGIN_COUNTER).scan(name="every-counter").include_expired().all()


def test_counters_that_many_share_lie_in_many_partitions(stores: Any, counted: Callable[[], list[Any]]) -> None:
    """The global counter and that of a network are spread over their shards, none of which has most of it (auth L7)."""
    guard = LoginGuard(stores.counters, key=SecretBytes(secrets.token_bytes(32)), clock=FrozenClock())
    for number in range(200):
        with guard.reserve(f"user-{number}", RequestContext(source_ip="192.0.2.7")):
            pass

    by_partition = {LOGIN_COUNTER.item_key(each.bucket)["pk"]["S"]: each.attempts for each in counted()}
    for shared in ("AUTH#L#g", "AUTH#L#w"):
        shards = {partition: count for partition, count in by_partition.items() if partition.startswith(shared)}
        assert 4 <= len(shards)
        assert 200 == sum(shards.values())
        assert max(shards.values()) < 100


def test_no_name_and_no_address_is_in_a_counter(stores: Any, counted: Callable[[], list[Any]]) -> None:
    """People type passwords into the field for the user name (auth L2)."""
    guard = LoginGuard(stores.counters, key=SecretBytes(secrets.token_bytes(32)))
    with guard.reserve("my passw0rd", RequestContext(source_ip="192.0.2.7")):
        pass

    stored = repr(counted())
    assert "attempts=1" in stored
    assert "passw0rd" not in stored
    assert "192.0.2" not in stored
