"""Health checks (HC20 of this part): what they find, and that the passive one asks nothing."""

import time
from pathlib import Path

import pytest

from common.core.health import CheckContext, Outcome, Status
from common.core.settings import Settings
from common.dynamo import DAO, Database
from common.dynamo.exceptions import AlreadyExists, Unavailable
from common.dynamo.health import CanaryCheck, DatabaseCheck, TablesCheck, TrafficCheck
from common.dynamo.plugin import common_health_checks
from common.dynamo.requests import DescribeTable, Request
from common.dynamo.table_drift import DriftKind
from common.dynamo.testing import spend
from common.dynamo.testing.engines import Engine
from common.dynamo.testing.examples import INVOICE, NOTE, Note
from common.dynamo.traffic import Traffic, TrafficWindow
from common.dynamo.wire import Answer, Wire
from common.dynamo.wire.faults import Fault, FaultPlan, FaultRates


def run(check: DatabaseCheck, *databases: Database, seconds: float = 5.0) -> Outcome:
    for database in databases:
        check.attach(database)
    return check.check(CheckContext(time.monotonic() + seconds))


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
    assert [10.0, 11.25] == [TablesCheck(lambda: 0.0).spec.ttl_fail, TablesCheck(lambda: 0.5).spec.ttl_fail]
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


def test_a_file_that_lacks_an_index_differs(tmp_path: Path) -> None:
    """An embedded database makes its tables itself, and a table that is there and differs is told as on any engine."""
    with Database.embedded(tmp_path / "a.db", entity_types=[NOTE]) as database:
        database.dao(NOTE).get("1")
    with Database.embedded(tmp_path / "a.db", entity_types=[INVOICE]) as database:
        outcome = run(TablesCheck(lambda: 0.5), database)
        differences = [drift.kind for drift in database.diff_tables()]

    assert (Status.FAIL, "table-differs") == (outcome.status, outcome.reason)
    assert "index GSI1 is missing" == outcome.detail["faults"]
    assert [DriftKind.INDEX_MISSING] == differences


class Filling:
    """A wire to a table whose index is still being filled, as DynamoDB's are for minutes after they were added."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.name, self.reason, self.endpoint, self.region = wire.name, wire.reason, wire.endpoint, wire.region

    def send(self, request: Request, timeout: float) -> Answer:
        answer = self._wire.send(request, timeout)
        if isinstance(request, DescribeTable):
            for index in answer.body["Table"]["GlobalSecondaryIndexes"]:
                index["IndexStatus"] = "CREATING"
        return answer

    def close(self) -> None:
        self._wire.close()


def test_an_index_that_is_being_filled_fails(engine: Engine, table_name: str) -> None:
    """Until it can be asked."""
    wire = engine.wire()
    with Database.connect(table=table_name, wire=wire, entity_types=[INVOICE]) as database:
        database.create_tables()
        filling = Database.connect(table=table_name, wire=Filling(wire), entity_types=[INVOICE])
        outcome = run(TablesCheck(lambda: 0.5), filling)

    assert (Status.FAIL, "index-not-active", "GSI1") == (outcome.status, outcome.reason, outcome.detail["indexes"])


def test_what_checks_ask_is_no_traffic(database: Database) -> None:
    """Neither the tables check nor the canary counts as a call of the service, failed or not."""
    database.create_tables()
    before = database.traffic()
    run(TablesCheck(lambda: 0.5), database)
    run(CanaryCheck(), database)

    assert before == database.traffic()


def test_the_canary_asks_every_table_for_nothing(database: Database) -> None:
    """Half a read unit each; it is no critical check, and is there where the environment asks for it alone."""
    database.create_tables()
    with spend(wcu=0, rcu=0.5, trips=1):
        assert Outcome() == run(CanaryCheck(), database)
    assert not CanaryCheck().spec.critical

    names = []
    for environ in ({}, {"COMMON_DYNAMO_HEALTH_CANARY": "1"}):
        found = common_health_checks(Settings.from_environment(environ))
        names.append([check.spec.name for check in found])
    assert [["dynamo.tables", "dynamo.traffic"], ["dynamo.tables", "dynamo.traffic", "dynamo.canary"]] == names


def test_the_canary_tells_of_an_engine_that_does_not_answer(
    engine: Engine, table_name: str, faulty_database: Database, faults: FaultPlan
) -> None:
    """By a code, and within the time of the check."""
    faulty_database.create_tables()
    faults.rates = FaultRates(refuse=1.0)
    lost = run(CanaryCheck(), faulty_database, seconds=0.1)
    with Database.connect(table=f"{table_name}-2", wire=engine.wire(), entity_types=[NOTE]) as database:
        missing = run(CanaryCheck(), database)

    assert (Status.FAIL, "unavailable") == (lost.status, lost.reason)
    assert (Status.FAIL, "refused", "ResourceNotFoundException") == (
        missing.status,
        missing.reason,
        missing.detail["code"],
    )


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
