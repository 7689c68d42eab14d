"""What request ids, events and relays are allowed to do, and need: by the patterns that are written down for them."""

import pytest

from common.dynamo import Database
from common.dynamo.access import AccessPattern
from common.dynamo.entity_access import uses
from common.dynamo.iam import Arns, iam_policy
from common.dynamo.own_items_access import EMITTING, OWN_ITEM_PATTERNS, RELAYING, REQUEST_IDS
from common.dynamo.relay import OutboxRelay
from common.dynamo.testing import Engine, spend
from common.dynamo.testing.events import TOLD, Postbox, Told
from common.dynamo.testing.examples import NOTE, Note
from common.dynamo.testing.policy import PolicyGuard

WHERE = Arns(region="eu-central-1", account="123456789012")


def denied(engine: Engine, table: str, *patterns: AccessPattern) -> list[str]:
    """Emit under a request id, read, look up and relay; return what a policy of *patterns* denies."""
    guard = PolicyGuard(iam_policy(patterns, WHERE, table_of=lambda entity: table), WHERE)
    with engine.open(table=table, entity_types=[NOTE], event_types=[TOLD], interceptors=[guard]) as db:
        notes = db.dao(NOTE)
        for _ in range(2):
            with db.transaction(request_id="r-1") as tx:
                tx.create(notes, Note(id="n", text="x"))
                tx.emit(Told(about="a"))
                tx.emit(Told(about="a"))
        db.read((notes, "n"), (notes, "m"))
        db.replay("r-1")
        relay = OutboxRelay(db, Postbox(), batch=1)
        assert [1, 1, 0] == [relay.run_once().published for _ in range(3)]
    return [each.split(",")[0] for each in guard.denied if not each.startswith("Database.create_tables")]


def test_the_patterns_allow_all_of_it_and_each_is_needed(engine: Engine, table_name: str) -> None:
    """Each group alone leaves exactly what belongs to the others."""
    service = uses(NOTE, "get", "create")
    assert [] == denied(engine, table_name, *service, *OWN_ITEM_PATTERNS)


@pytest.mark.parametrize(
    ("left_out", "wanted"),
    [
        (
            REQUEST_IDS,
            {"Database.transaction: dynamodb:PutItem on table/", "Database.replay: dynamodb:GetItem on table/"},
        ),
        (
            RELAYING,
            {"OutboxRelay.list: dynamodb:Query on table/", "OutboxRelay.acknowledge: dynamodb:DeleteItem on table/"},
        ),
    ],
    ids=["request ids", "relaying"],
)
def test_what_is_left_out_is_denied(
    engine: Engine, table_name: str, left_out: tuple[AccessPattern, ...], wanted: set[str]
) -> None:
    """A service that only emits may not empty the outbox; one without request ids may not read their records."""
    rest = [pattern for pattern in OWN_ITEM_PATTERNS if pattern not in left_out]
    found = denied(engine, table_name, *uses(NOTE, "get", "create"), *rest)

    assert {each + table_name for each in wanted} == set(found)


def test_the_figures_are_those_of_the_engine(database: Database, table_name: str) -> None:
    """Beside the operations: 2 write units each; a pass reads each shard, and writes twice per aggregate."""
    figures = {pattern.title: pattern for pattern in OWN_ITEM_PATTERNS}
    with_id, emits = (figures[f"Database.transaction, {case}"].wcu for case in ("with a request id", "that emits"))
    with Database(database.wire, table=table_name, entity_types=[NOTE], event_types=[TOLD]) as db:
        database.create_tables()
        with spend(wcu=2 + with_id + emits, trips=1), db.transaction(request_id="r-1") as tx:
            tx.create(db.dao(NOTE), Note(id="n", text="x"))
            tx.emit(Told(about="a"))
        with spend(rcu=figures["Database.replay"].rcu, trips=1):
            db.replay("r-1")
        writes = figures["OutboxRelay.claim"].wcu + figures["OutboxRelay.acknowledge"].wcu
        with spend(rcu=8 * figures["OutboxRelay.list"].rcu, wcu=writes, trips=10):
            OutboxRelay(db, Postbox()).run_once()
    assert "2" == f"{EMITTING[0].wcu:g}"
