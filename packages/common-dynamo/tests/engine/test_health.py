"""Health checks (HC20 of this part): what they find, and that the passive one asks nothing."""

import time

import pytest

from common.core.health import CheckContext, Outcome, Status
from common.dynamo import DAO, Database
from common.dynamo.exceptions import AlreadyExists, Unavailable
from common.dynamo.health import DatabaseCheck, TablesCheck, TrafficCheck
from common.dynamo.testing import spend
from common.dynamo.testing.engines import Engine
from common.dynamo.testing.examples import INVOICE, NOTE, Note
from common.dynamo.traffic import Traffic, TrafficWindow
from common.dynamo.wire.faults import Fault, FaultPlan, FaultRates


def run(check: DatabaseCheck, *databases: Database) -> Outcome:
    for database in databases:
        check.attach(database)
    return check.check(CheckContext(time.monotonic() + 5))


@pytest.fixture
def faulty_notes(faulty_database: Database) -> DAO[Note]:
    return faulty_database.dao(NOTE)


@pytest.mark.parametrize("check", [TablesCheck(lambda: 0.5), TrafficCheck()], ids=["tables", "traffic"])
def test_without_a_database_a_check_warns(check: DatabaseCheck) -> None:
    """It is made before any database is opened."""
    assert (Status.WARN, "not-connected") == (run(check).status, run(check).reason)


def test_a_closed_database_is_not_watched_any_more() -> None:
    """Nor does the check keep it alive."""
    check = TrafficCheck()
    with Database.embedded(entity_types=[NOTE]) as database:
        assert "idle" == run(check, database).reason

    assert "not-connected" == run(check).reason


def test_the_control_plane_is_asked_rarely_and_not_by_all_processes_at_once() -> None:
    """At most once a minute, jittered."""
    assert [60.0, 67.5] == [TablesCheck(lambda: 0.0).spec.ttl, TablesCheck(lambda: 0.5).spec.ttl]
    assert frozenset({"startup"}) == TablesCheck(lambda: 0.0).spec.groups


def test_tables_as_declared_pass(database: Database) -> None:
    """After they have been made."""
    database.create_tables()

    assert Outcome() == run(TablesCheck(lambda: 0.5), database)


def test_a_missing_table_fails(engine: Engine, table_name: str) -> None:
    """By a code, without its name."""
    with Database.connect(table=table_name, wire=engine.wire(), entity_types=[NOTE]) as database:
        outcome = run(TablesCheck(lambda: 0.5), database)

    assert (Status.FAIL, "table-missing") == (outcome.status, outcome.reason)
    assert table_name not in repr(outcome)


def test_a_missing_index_fails(engine: Engine, table_name: str) -> None:
    """The detail says which."""
    wire = engine.wire()
    with Database.connect(table=table_name, wire=wire, entity_types=[NOTE]) as database:
        database.create_tables()
        needing = Database.connect(table=table_name, wire=wire, entity_types=[INVOICE])
        outcome = run(TablesCheck(lambda: 0.5), database, needing)

    assert (Status.FAIL, "table-differs") == (outcome.status, outcome.reason)
    assert "index GSI1 is missing" == outcome.detail["faults"]


def test_no_traffic_is_idle_and_good_traffic_passes(database: Database) -> None:
    """Making the tables is no traffic of the service."""
    check = TrafficCheck()
    with spend(trips=0):
        first = run(check, database)
    database.dao(NOTE).get("1")

    assert first.status is Status.PASS
    assert (Status.PASS, (0.0, "1")) == (run(check).status, run(check).observed)


def test_throttles_warn_with_their_ratio_and_the_check_makes_no_call(
    faulty_database: Database, faulty_notes: DAO[Note], faults: FaultPlan
) -> None:
    """Overcome or not: 4 of 8 attempts were throttled."""
    before = faulty_database.traffic()
    faults.script(Fault.THROTTLE, Fault.THROTTLE, Fault.THROTTLE, Fault.THROTTLE)
    for _ in range(4):
        faulty_notes.get("1")
    with spend(trips=0):
        outcome = run(TrafficCheck(), faulty_database)

    assert (Status.WARN, "throttled") == (outcome.status, outcome.reason)
    ratio = 4 / (8 + before.attempts)
    assert (ratio, "1") == outcome.observed
    assert (4 + before.calls, 0, 4) == tuple(outcome.detail[name] for name in ("calls", "errors", "throttles"))


def test_failing_calls_fail_the_check_and_refusals_do_not(
    faulty_database: Database, faulty_notes: DAO[Note], faults: FaultPlan
) -> None:
    """A caller's own failed condition says nothing about the engine."""
    faulty_notes.create(Note(id="1", text="x"))
    for _ in range(9):
        with pytest.raises(AlreadyExists):
            faulty_notes.create(Note(id="1", text="x"))
    assert 0 == faulty_database.traffic().errors

    faults.rates = FaultRates(refuse=1.0)
    for _ in range(20):
        with pytest.raises(Unavailable):
            faulty_notes.get("1", deadline=0.005)
    outcome = run(TrafficCheck(), faulty_database)
    assert (Status.FAIL, "errors", 20) == (outcome.status, outcome.reason, outcome.detail["errors"])
    assert not TrafficCheck().spec.critical
    assert "errorRatio" == TrafficCheck().spec.measurement


def test_the_window_forgets_after_thirty_seconds() -> None:
    """Bucket by bucket."""
    now = [100.0]
    window = TrafficWindow(lambda: now[0])
    window.count(error=True, attempts=3, throttles=1, trace_id=0xABC)
    now[0] = 120.0
    window.count(error=False, attempts=1, throttles=0)
    assert Traffic(2, 1, 1, 4, f"{0xABC:032x}") == window.read()

    now[0] = 130.0
    assert Traffic(1, 0, 0, 1, "") == window.read()
    now[0] = 200.0
    assert Traffic() == window.read()
