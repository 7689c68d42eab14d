"""What checks mean for their groups, and the lifecycle for all of them."""

import asyncio
import itertools
import signal
import threading
import time
from collections.abc import Sequence

import pytest

from common.core import Plugins, Settings, hookimpl
from common.core.health import CheckContext, CheckSpec, HealthCheck, Outcome, Status
from common.exceptions import ConfigurationError, PluginLoadError
from common.observability.health import Finding, HealthRunner, Level, Lifecycle, State, worst
from common.observability.health.heartbeat import LoopHeartbeat

PASS, WARN, FAIL = Status.PASS, Status.WARN, Status.FAIL


def finding(status: Status, *, critical: bool = True, name: str = "check") -> Finding:
    """Return a finding of now."""
    return Finding(spec=CheckSpec(name, critical=critical), outcome=Outcome(status), monotonic=0.0, wall=0.0)


@pytest.mark.parametrize(
    ("critical", "status", "counts"),
    [
        (True, PASS, PASS), (True, WARN, WARN), (True, FAIL, FAIL),
        (False, PASS, PASS), (False, WARN, WARN), (False, FAIL, WARN),
    ],
)  # fmt: skip
def test_a_check_counts_by_its_status_and_whether_it_is_critical(
    critical: bool, status: Status, counts: Status
) -> None:
    """FAIL of a check that is not critical is WARN; everything else counts as it is."""
    assert counts is worst([finding(status, critical=critical)])


def test_the_worst_decides_in_any_order() -> None:
    """All orders of all triples of status and criticality: the maximum of what each counts for."""
    kinds = [finding(status, critical=critical) for status in Status for critical in (True, False)]
    for triple in itertools.combinations_with_replacement(kinds, 3):
        expected = max(worst([one]) for one in triple)
        assert {expected} == {worst(order) for order in itertools.permutations(triple)}


def test_nothing_is_fine() -> None:
    """A group without checks passes."""
    assert PASS is worst([])


def test_readiness_waits_for_ready() -> None:
    """503 until start-up is over, also without any check; then the checks decide."""
    runner = HealthRunner()
    before = runner.evaluate_sync("readiness", Level.SUMMARY)
    runner.lifecycle.ready()

    assert (FAIL, "starting") == (before.status, before.findings[-1].outcome.reason)
    assert PASS is runner.evaluate_sync("readiness").status


def test_startup_latches() -> None:
    """Once it has passed after start-up it passes for ever, and its checks are not run for it any more."""
    answers = [False, True, False]
    runner = HealthRunner()
    runner.add(CheckSpec("warm", groups=frozenset({"startup"}), ttl=0, ttl_fail=0), lambda context: answers.pop(0))
    runner.lifecycle.ready()

    assert [FAIL, PASS, PASS, PASS] == [runner.evaluate_sync("startup").status for _ in range(4)]
    assert [False] == answers


def test_startup_is_not_over_before_ready() -> None:
    """Checks that pass early do not latch while plugins are still starting."""
    runner = HealthRunner()
    assert FAIL is runner.evaluate_sync("startup").status
    runner.lifecycle.ready()
    assert PASS is runner.evaluate_sync("startup").status


def test_the_lifecycle_decides_readiness_and_never_liveness() -> None:
    """Each state in turn, for each standard group and an own one that is empty."""
    runner = HealthRunner(groups={"own": ()})
    steps = [lambda: None, runner.lifecycle.ready, runner.lifecycle.drain, runner.lifecycle.stop]
    seen = []
    for step in steps:
        step()
        seen.append([runner.evaluate_sync(group).status.name for group in ("liveness", "readiness", "startup", "own")])

    assert [
        ["PASS", "FAIL", "FAIL", "FAIL"],
        ["PASS", "PASS", "PASS", "PASS"],
        ["PASS", "FAIL", "PASS", "PASS"],
        ["PASS", "FAIL", "PASS", "PASS"],
    ] == seen


def test_the_lifecycle_only_moves_forward() -> None:
    """A late ``ready`` does not undo a drain."""
    lifecycle = Lifecycle()
    for step, state in ((lifecycle.drain, State.DRAINING), (lifecycle.ready, State.DRAINING), (lifecycle.stop, State.STOPPED), (lifecycle.drain, State.STOPPED)):  # fmt: skip
        step()
        assert state is lifecycle.state


def test_the_handler_of_sigterm_is_given_back() -> None:
    """A runner that has been stopped handles no signal; starting twice sets one handler."""
    before = signal.getsignal(signal.SIGTERM)
    runner = HealthRunner()
    runner.start()
    ours = signal.getsignal(signal.SIGTERM)
    runner.start()

    assert ours is signal.getsignal(signal.SIGTERM) is not before
    runner.stop()
    assert before is signal.getsignal(signal.SIGTERM)
    runner.stop()


def test_sigterm_comes_to_the_handler_before_after_the_drain_time_and_once() -> None:
    """State first; the previous handler when the time is over; a stop in between cancels what is left of it."""
    heard: list[State] = []
    runner = HealthRunner(lifecycle=Lifecycle(drain=0.05))
    previous = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(runner.lifecycle.state))
    try:
        runner.start()
        signal.raise_signal(signal.SIGTERM)
        assert ([], State.DRAINING) == (heard, runner.lifecycle.state)
        while not heard:
            time.sleep(0.005)
        hasty = HealthRunner(lifecycle=Lifecycle(drain=60))
        hasty.start()
        signal.raise_signal(signal.SIGTERM)
        hasty.stop()
        assert not [
            thread
            for thread in threading.enumerate()
            if isinstance(thread, threading.Timer) and not thread.finished.is_set()
        ]
    finally:
        runner.stop()
        signal.signal(signal.SIGTERM, previous)

    assert [State.DRAINING] == heard


def test_own_groups_come_from_checks_and_from_configuration() -> None:
    """A check names its groups, and a service adds members by name."""
    runner = HealthRunner(groups={"payments": ("gateway",), "readiness": ("ledger",)})
    runner.add(CheckSpec("gateway", groups=frozenset({"partners"})), lambda context: False)
    runner.add(CheckSpec("ledger", groups=frozenset()), lambda context: True)
    runner.start()

    assert ["liveness", "readiness", "startup", "partners", "payments"] == runner.group_names()
    assert [FAIL, FAIL, PASS] == [runner.evaluate_sync(name).status for name in ("partners", "payments", "readiness")]
    with pytest.raises(KeyError):
        runner.evaluate_sync("unknown")


def test_all_groups_together_are_as_bad_as_the_worst() -> None:
    """``None`` asks every check once, and a failure in any group is a failure of the whole."""
    runner = HealthRunner()
    for name, critical in (("a", True), ("b", False)):
        runner.add(CheckSpec(name, groups=frozenset({name}), critical=critical), lambda context: False)
    runner.start()

    report = asyncio.run(runner.evaluate(None))
    assert (FAIL, ["a", "b", "lifecycle"]) == (report.status, [found.spec.name for found in report.findings])
    assert WARN is runner.evaluate_sync("b").status


def test_a_group_can_have_its_own_rule() -> None:
    """Here two of three are enough."""

    def two_of_three(findings: Sequence[Finding]) -> Status:
        return PASS if sum(found.status is PASS for found in findings) >= 2 else FAIL

    runner = HealthRunner(aggregators={"quorum": two_of_three})
    for number, answer in enumerate((True, True, False)):
        runner.add(CheckSpec(f"n{number}", groups=frozenset({"quorum"})), lambda context, answer=answer: answer)  # type: ignore[misc]
    runner.start()

    assert PASS is runner.evaluate_sync("quorum").status


@pytest.mark.parametrize("name", ["check", "lifecycle", "event-loop"])
def test_two_checks_of_one_name_are_refused(name: str) -> None:
    """The message has the name; names that the runner uses itself are taken too."""
    runner = HealthRunner()
    runner.add(CheckSpec("check"), lambda context: True)

    with pytest.raises(ConfigurationError, match=f"Two health checks are called '{name}'"):
        runner.add(CheckSpec(name), lambda context: True)


def test_an_unknown_member_of_a_group_is_refused_at_the_start() -> None:
    """The message has group and member, and what there is."""
    runner = HealthRunner(groups={"payments": ("gatewya",)})
    runner.add(CheckSpec("gateway"), lambda context: True)

    with pytest.raises(
        ConfigurationError, match=r"group 'payments' has a member 'gatewya'.*Known: event-loop, gateway"
    ):
        runner.start()
    assert State.STARTING is runner.lifecycle.state


def test_broken_plugins_are_named_together_and_can_be_blocked() -> None:
    """One error has all three, with hook and cause; blocked by name, the service starts and the good checks run."""

    class Raising:
        @hookimpl
        def common_health_checks(self) -> list[HealthCheck]:
            raise ImportError("no driver")

    class Wrong:
        @hookimpl
        def common_health_checks(self) -> list[str]:
            return ["no check"]

    class Exiting:
        @hookimpl
        def common_health_checks(self) -> list[HealthCheck]:
            raise SystemExit(3)

    class Good:
        @hookimpl
        def common_health_checks(self) -> list[HealthCheck]:
            return [GoodCheck()]

    def load(blocked: str) -> Plugins:
        plugins = Plugins()
        for name, plugin in (("raising", Raising()), ("wrong", Wrong()), ("exiting", Exiting()), ("good", Good())):
            plugins.register(plugin, name=name)
        plugins.load(Settings.from_environment({"COMMON_PLUGINS_BLOCK": blocked}), entry_points=False)
        return plugins

    with pytest.raises(PluginLoadError) as caught:
        load("")
    assert {"raising", "wrong", "exiting"} == {failure.plugin for failure in caught.value.failures}
    assert {"common_health_checks"} == {failure.hook for failure in caught.value.failures}
    assert all(
        part in str(caught.value) for part in ("ImportError", "SystemExit", "a HealthCheck", "COMMON_PLUGINS_BLOCK")
    )

    runner = HealthRunner(load("raising,wrong,exiting").health_checks())
    runner.start()
    assert ["good", "lifecycle"] == [found.spec.name for found in runner.evaluate_sync().findings]


class GoodCheck:
    """A check that passes."""

    spec = CheckSpec("good")

    def check(self, ctx: CheckContext) -> bool:
        return True


@pytest.mark.parametrize("groups", [{"liveness": ("db",)}, {}])
def test_a_datastore_does_not_decide_whether_the_process_lives(groups: dict[str, tuple[str, ...]]) -> None:
    """By its own groups or by configuration, it is refused for liveness unless that is asked for."""
    own = frozenset({"readiness"}) if groups else frozenset({"liveness"})
    spec = CheckSpec("db", groups=own, component_type="datastore")

    with pytest.raises(ConfigurationError, match=r"'db' asks a datastore and is in the group liveness"):
        HealthRunner(groups=groups).add(spec, lambda context: True)
    HealthRunner(groups=groups, allow_remote_liveness=True).add(spec, lambda context: True)


def test_liveness_never_runs_other_checks() -> None:
    """With everything else down, the process lives."""
    runner = HealthRunner()
    runner.add(CheckSpec("db", component_type="datastore"), lambda context: pytest.fail("asked"))
    runner.start()

    assert PASS is runner.evaluate_sync("liveness").status


def test_a_specification_without_function_is_refused() -> None:
    """The message says what is missing."""
    with pytest.raises(ConfigurationError, match="'check' has no function"):
        HealthRunner().add(CheckSpec("check"))  # type: ignore[call-overload]


def test_a_stalled_event_loop_fails_liveness_as_seen_from_outside() -> None:
    """While the loop turns it passes; when it has not turned for the limit it fails with ``loop-stalled``."""
    now = [0.0]
    heartbeat = LoopHeartbeat(every=0.001, limit=10.0, monotonic=lambda: now[0])

    async def watched() -> list[Outcome]:
        heartbeat.watch(asyncio.get_running_loop())
        fine = await heartbeat.check(None)  # type: ignore[arg-type]
        now[0] = 10.5
        stalled = await heartbeat.check(None)  # type: ignore[arg-type]
        await asyncio.sleep(0.01)
        return [fine, stalled, await heartbeat.check(None)]  # type: ignore[arg-type]

    fine, stalled, again = asyncio.run(watched())
    assert [PASS, FAIL, PASS] == [fine.status, stalled.status, again.status]
    assert ("loop-stalled", (10.5, "s")) == (stalled.reason, stalled.observed)


def test_liveness_from_another_thread_sees_the_servers_loop() -> None:
    """A runner started on a loop asks about that loop, wherever the probe is answered."""
    runner = HealthRunner()
    names: list[list[str]] = []

    async def server() -> None:
        runner.start_on_this_loop()
        report = await asyncio.to_thread(runner.evaluate_sync, "liveness", Level.SUMMARY)
        names.append([found.spec.name for found in report.findings])

    asyncio.run(server())
    runner.stop()

    assert [["event-loop"]] == names
    assert () == runner.evaluate_sync("liveness").findings


def test_a_runner_lets_its_threads_go() -> None:
    """The loop of its own ends with it."""
    runner = HealthRunner()

    async def fine(context: object) -> bool:
        return True

    before = set(threading.enumerate())
    runner.add(CheckSpec("async"), fine)
    runner.start()
    runner.evaluate_sync()
    loops = [thread for thread in set(threading.enumerate()) - before if thread.name == "common-health-loop"]
    runner.stop()
    for thread in loops:
        thread.join(timeout=30)

    assert 1 == len(loops)
    assert not loops[0].is_alive()
