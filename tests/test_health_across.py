"""Health over all parts: broken plugins at the start, a database that is away, what the data layer tells of itself."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from pydantic import BaseModel

from common.core import App, Plugins, Settings
from common.core.testing import InstalledDists
from common.dynamo import Database, EntityType, Index, Key
from common.dynamo.exceptions import Unavailable
from common.dynamo.requests import Request
from common.dynamo.testing import Engine, Fault, FaultPlan, FaultyWire
from common.dynamo.wire import Answer, Wire
from common.exceptions import ConfigurationError, PluginLoadError
from common.observability.health import Clocks, HealthApp, HealthRunner, Level

Fetch = Callable[..., Any]
Serve = Callable[[Any], int]

CHECK = """
from common.core import hookimpl
from common.core.health import CheckSpec

class Check:
    spec = CheckSpec({name!r}, groups=frozenset({{{group!r}}}), component_type={kind!r})
    def check(self, ctx):
        return True

@hookimpl
def common_health_checks():
    return [Check()]
"""
HOOK = "from common.core import hookimpl\n@hookimpl\ndef common_health_checks(): "
BROKEN = {
    "unimportable": ("0.1.0", "import a_driver_that_nobody_has"),
    "raising": ("0.2.0", HOOK + "raise OSError('no disk')"),
    "mistaken": ("0.3.0", HOOK + "return ['no check']"),
}
CAUSES = {
    "unimportable (acme-unimportable 0.1.0): ModuleNotFoundError: No module named 'a_driver_that_nobody_has'",
    "raising (acme-raising 0.2.0, hook common_health_checks): OSError: no disk",
    (
        "mistaken (acme-mistaken 0.3.0, hook common_health_checks): "
        "gave a str where a HealthCheck (an object with `spec`, a CheckSpec, and `check`) is wanted"
    ),
}


class Part(BaseModel):
    """Something to store."""

    id: str
    shelf: str = "s-1"


PLAIN = EntityType(Part, "part", key=Key("PART#{id}", "PART"))
INDEXED = EntityType(Part, "part", key=Key("PART#{id}", "PART"), indexes=[Index("GSI1", Key("SHELF#{shelf}", "{id}"))])


def load(**variables: str) -> Plugins:
    """Load everything that is installed, as a service does."""
    plugins = Plugins()
    plugins.load(Settings.from_environment({"COMMON_ENVIRONMENT": "test", **variables}))
    return plugins


def install(dists: InstalledDists, name: str, version: str, source: str) -> None:
    """Install a plugin as a distribution of its own."""
    dists.add(f"acme-{name}", version=version, plugins={name: f"{name}_plugin"}, modules={f"{name}_plugin": source})


def full_health(plugins: Plugins) -> HealthRunner:
    """Return a runner of all checks that tells everything to everybody."""
    return HealthRunner(plugins.health_checks(), detail_level=lambda request: Level.FULL, plugins=plugins.listing)


def shown(fetch: Fetch, port: int, path: str) -> tuple[int, dict[str, Any]]:
    """Return the status of an answer, and the checks in it by name."""
    answer = fetch(port, path)
    checks = json.loads(answer.body).get("checks", {})
    return answer.status, {name.partition(":")[0]: entries[0] for name, entries in checks.items()}


def test_broken_plugins_stop_the_start_by_name_and_can_be_blocked(
    installed_dists: InstalledDists, serve: Serve, fetch: Fetch
) -> None:
    """One error has plugin, distribution, version and cause of all three; its last line lets the service start."""
    for name, (version, source) in BROKEN.items():
        install(installed_dists, name, version, source)
    install(installed_dists, "good", "1.0.0", CHECK.format(name="good", group="readiness", kind="component"))

    with pytest.raises(PluginLoadError) as caught:
        load()
    first, *failures, last = str(caught.value).splitlines()
    assert "3 plugin failures:" == first
    assert sorted(CAUSES) == sorted(failure.strip() for failure in failures)

    plugins = load(COMMON_PLUGINS_BLOCK=last.partition("COMMON_PLUGINS_BLOCK=")[2])
    runner = full_health(plugins)
    with (
        Database.embedded(plugins=plugins) as database,
        plugins.running(App(settings=Settings(), plugins=plugins, provides=(runner, database))),
    ):
        port = serve(HealthApp(runner))
        status, checks = shown(fetch, port, "/health")
        told = json.loads(fetch(port, "/info").body)["plugins"]
    passing = {name for name, check in checks.items() if check["status"] == "pass"}
    states = {plugin["name"]: plugin["state"] for plugin in told}
    assert 200 == status
    assert {"good", "acme-audit-disk", "auth.pepper", "dynamo.tables", "dynamo.traffic", "lifecycle"} <= passing
    assert (dict.fromkeys(BROKEN, "blocked"), "loaded") == ({name: states[name] for name in BROKEN}, states["good"])


@pytest.fixture
def away() -> Iterator[str]:
    """The URL of an endpoint where nobody listens, and nobody else will."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}"


def test_a_database_that_is_away_leaves_the_process_alive(away: str, serve: Serve, fetch: Fetch) -> None:
    """``/livez`` passes and asks the database nothing, whatever start-up and traffic say of it."""
    plugins = load()
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-central-1")
    with Database.connect(session=session, endpoint_url=away, plugins=plugins, entity_types=[PLAIN]) as database:
        port = serve(HealthApp(full_health(plugins)))
        alive = shown(fetch, port, "/livez")
        started = shown(fetch, port, "/startupz")
        with pytest.raises(Unavailable):
            database.dao(PLAIN).get("p-1", deadline=0.05)
        ready = shown(fetch, port, "/readyz")
        alive_still = shown(fetch, port, "/livez")

    assert (200, {"event-loop"}) == (alive[0], set(alive[1]))
    assert (200, {"event-loop"}) == (alive_still[0], set(alive_still[1]))
    assert (503, "unavailable") == (started[0], started[1]["dynamo.tables"]["output"])
    assert (200, "errors") == (ready[0], ready[1]["dynamo.traffic"]["output"])


def test_a_datastore_may_not_decide_whether_the_process_lives(installed_dists: InstalledDists) -> None:
    """A plugin's check of one in the group liveness stops the start, and so does configuration that puts one there."""
    install(installed_dists, "eager", "1.0.0", CHECK.format(name="eager", group="liveness", kind="datastore"))

    with pytest.raises(ConfigurationError, match="'eager' asks a datastore and is in the group liveness"):
        full_health(load())
    with pytest.raises(ConfigurationError, match=r"'dynamo\.tables' asks a datastore and is in the group liveness"):
        HealthRunner(load(COMMON_PLUGINS_BLOCK="eager").health_checks(), groups={"liveness": ["dynamo.tables"]})


# What the data layer tells of itself, on the engine of the run


class CountingWire:
    """Sends through another wire and counts."""

    def __init__(self, wire: Wire) -> None:
        """Send through *wire*."""
        self._wire = wire
        self.name, self.reason, self.endpoint, self.region = wire.name, wire.reason, wire.endpoint, wire.region
        self.calls: list[str] = []

    def send(self, request: Request, timeout: float) -> Answer:
        """Count, then send."""
        self.calls.append(request.operation)
        return self._wire.send(request, timeout)

    def close(self) -> None:
        """Close the wire within."""
        self._wire.close()


@dataclass
class Clock:
    """Seconds that pass when told to."""

    now: float = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def wire(engine: Engine, faults: FaultPlan) -> Iterator[CountingWire]:
    """A wire to the run's engine that meets the faults and counts what goes through."""
    wire = CountingWire(FaultyWire(engine.wire(), faults))
    yield wire
    wire.close()


@contextmanager
def attached(database: Database, clock: Clock) -> Iterator[HealthRunner]:
    """Provide *database* to a service's plugins, as it does when it starts, and give its health."""
    plugins = load()
    clocks = Clocks(monotonic=clock, wall=clock)
    runner = HealthRunner(plugins.health_checks(), detail_level=lambda request: Level.FULL, clocks=clocks)
    with plugins.running(App(settings=Settings(), plugins=plugins, provides=(runner, database))):
        yield runner


def ask(runner: HealthRunner, name: str) -> tuple[int, dict[str, Any]]:
    """Return the code of an answer about one check, and what its body tells of it at level full."""
    code, _, body = runner.evaluate_check_sync(name, Level.FULL).http()
    ((key, (entry,)),) = json.loads(body)["checks"].items()
    return code, {"key": key, **entry}


@pytest.mark.parametrize(
    ("entity", "expected"),
    [
        pytest.param(PLAIN, (200, "pass", None, None), id="as declared"),
        pytest.param(INDEXED, (503, "fail", "table-differs", {"faults": "index GSI1 is missing"}), id="index missing"),
    ],
)
def test_the_tables_check_compares_with_what_is_declared(
    entity: EntityType[Part], expected: object, wire: CountingWire, table_name: str
) -> None:
    """A table without a declared index fails by a code; however often one asks, the control plane is asked once."""
    Database.connect(wire=wire, table=table_name, entity_types=[PLAIN]).create_tables()
    wire.calls.clear()
    with attached(Database.connect(wire=wire, table=table_name, entity_types=[entity]), Clock()) as runner:
        answers = [ask(runner, "dynamo.tables") for _ in range(3)]

    code, told = answers[0]
    assert expected == (code, told["status"], told.get("output"), told.get("detail"))
    assert [answers[0]] * 3 == answers
    assert ["DescribeTable"] == wire.calls


def test_the_tables_check_names_a_missing_table(wire: CountingWire, table_name: str) -> None:
    """It fails by a code of its own, without the table's name."""
    with attached(Database.connect(wire=wire, table=table_name, entity_types=[PLAIN]), Clock()) as runner:
        code, told = ask(runner, "dynamo.tables")

    assert (503, "table-missing") == (code, told["output"])
    assert table_name not in str(told)


def test_the_traffic_check_tells_the_ratio_of_throttles_and_makes_no_call(
    wire: CountingWire, table_name: str, faults: FaultPlan
) -> None:
    """8 reads, two of them throttled once: 2 of 10 attempts, WARN; nothing is sent for it, and 30 s later it is over."""
    Database.connect(wire=wire, table=table_name, entity_types=[PLAIN]).create_tables()
    clock = Clock()
    database = Database.connect(
        wire=wire, table=table_name, entity_types=[PLAIN], monotonic=clock, sleep=lambda seconds: None
    )
    with attached(database, clock) as runner:
        idle = ask(runner, "dynamo.traffic")
        faults.script(Fault.THROTTLE, None, Fault.THROTTLE)
        for number in range(8):
            database.dao(PLAIN).get(f"p-{number}")
        calls = list(wire.calls)
        clock.now += 10
        busy = ask(runner, "dynamo.traffic")
        clock.now += 30
        later = ask(runner, "dynamo.traffic")

    assert {"calls": 8, "errors": 0, "throttles": 2} == busy[1]["detail"]
    assert (200, "warn", "throttled", 0.2) == (
        busy[0],
        *(busy[1][name] for name in ("status", "output", "observedValue")),
    )
    assert "dynamo.traffic:errorRatio" == busy[1]["key"]
    assert ("pass", "pass") == (idle[1]["status"], later[1]["status"])
    assert 10 == calls.count("GetItem")
    assert calls == wire.calls
