"""Checks run in time, one flight at a time, and one that misbehaves harms nobody."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace

from common.core.health import CheckAnswer, CheckContext, CheckSpec, Outcome, Status
from common.core.testing import bare_plugins, make_plugin
from common.observability.health import Clocks, HealthRunner, Level, Report, owners_of_checks
from common.observability.logging import bind, bound_fields
from common.observability.testing import Canary, Logs, Spans


@dataclass
class Clock:
    """Both clocks, moved by hand, apart or together."""

    monotonic: float = 1000.0
    wall: float = 1_800_000_000.0

    def clocks(self) -> Clocks:
        """Return them as the runner takes them."""
        return Clocks(monotonic=lambda: self.monotonic, wall=lambda: self.wall)

    def advance(self, seconds: float) -> None:
        """Move both."""
        self.monotonic += seconds
        self.wall += seconds


@dataclass
class Counted:
    """A check that counts how often it runs."""

    answer: CheckAnswer = True
    calls: list[float] = field(default_factory=list)

    def __call__(self, context: CheckContext) -> CheckAnswer:
        self.calls.append(context.remaining())
        return self.answer


def started(*checks: tuple[CheckSpec, Callable[[CheckContext], Any]], **options: Any) -> HealthRunner:
    """Return a started runner with *checks*."""
    runner = HealthRunner(**options)
    for spec, function in checks:
        runner.add(spec, function)
    runner.lifecycle.ready()
    return runner


def reasons(report: Report) -> dict[str, str]:
    """Return the reason of each check that did not pass."""
    return {finding.spec.name: finding.outcome.reason for finding in report.findings if finding.status}


def both(runner: HealthRunner, group: str = "readiness") -> list[Report]:
    """Return a report from a thread without event loop, and one from a coroutine."""
    return [runner.evaluate_sync(group, Level.FULL), asyncio.run(runner.evaluate(group, Level.FULL))]


async def answer_late(context: CheckContext) -> bool:
    """Pass after a while, as an asynchronous check does."""
    await asyncio.sleep(0.001)
    return True


def test_both_kinds_of_checks_run_under_both_kinds_of_callers() -> None:
    """Synchronous and asynchronous checks, asked with and without an event loop: all pass."""
    for _ in range(2):
        runner = started(
            (CheckSpec("sync", ttl=0), lambda context: True),
            (CheckSpec("async", ttl=0), answer_late),
            (CheckSpec("late", ttl=0), lambda context: answer_late(context)),
        )
        assert [Status.PASS, Status.PASS] == [report.status for report in both(runner)]
        runner.stop()


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (None, Status.PASS, ""),
        (True, Status.PASS, ""),
        (False, Status.FAIL, "failed"),
        (Outcome(Status.WARN, "slow"), Status.WARN, "slow"),
        (Outcome(Status.FAIL, "no route to db.internal: 10.0.0.1"), Status.FAIL, "no-code"),
        ("ok", Status.FAIL, "wrong-type"),
        (0, Status.FAIL, "wrong-type"),
        (Outcome("down"), Status.FAIL, "wrong-type"),  # type: ignore[arg-type]
        (Outcome(Status.PASS, None), Status.FAIL, "wrong-type"),  # type: ignore[arg-type]
        (Outcome(detail="text"), Status.FAIL, "wrong-type"),  # type: ignore[arg-type]
        (Outcome(observed=3), Status.FAIL, "wrong-type"),  # type: ignore[arg-type]
    ],
)
def test_an_answer_means_what_the_protocol_says(answer: Any, status: Status, reason: str) -> None:
    """``None`` and ``True`` pass, ``False`` fails; what is no answer fails, and a reason that is no code is not shown."""
    runner = started((CheckSpec("check"), Counted(answer)))

    finding = runner.evaluate_sync().findings[0]
    assert (status, reason) == (finding.status, finding.outcome.reason)


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, asyncio.TimeoutError])
@pytest.mark.parametrize("is_async", [False, True])
def test_a_raising_check_fails_by_the_name_of_its_class(
    error: type[BaseException], is_async: bool, canary: Canary
) -> None:
    """The others are not affected, and the text of the exception is in no body at any level."""

    def fail(context: CheckContext) -> bool:
        raise error(canary.value)

    async def fail_late(context: CheckContext) -> bool:
        await asyncio.sleep(0)
        raise error(canary.value)

    runner = started((CheckSpec("bad", ttl_fail=0), fail_late if is_async else fail), (CheckSpec("good"), Counted()))
    for report in both(runner):
        assert {"bad": error.__name__} == reasons(report)
        for level in Level:
            code, _, body = runner.evaluate_sync("readiness", level).http()
            assert 503 == code
            canary.assert_absent(body)
    runner.stop()


def test_a_check_with_a_wrong_signature_fails_by_itself() -> None:
    """A function that takes no context is a failing check, not a failing probe."""
    runner = started((CheckSpec("bad"), lambda: True))  # type: ignore[arg-type,misc]

    assert {"bad": "TypeError"} == reasons(runner.evaluate_sync())


def test_a_hung_check_is_cut_off_and_not_started_again_until_it_returns() -> None:
    """FAIL ``timeout``; however often it is asked it holds one thread; when it returns it is asked anew."""
    release, calls = threading.Event(), Counted()

    def hang(context: CheckContext) -> bool:
        calls(context)
        return release.wait()

    runner = started((CheckSpec("hung", timeout=0.05, ttl_fail=0), hang))
    for _ in range(20):
        assert {"hung": "timeout"} == reasons(runner.evaluate_sync())
    assert 1 == len(calls.calls)

    release.set()
    while runner.evaluate_sync().status is Status.FAIL:
        time.sleep(0.001)
    assert 2 == len(calls.calls)


def test_a_hung_async_check_is_cancelled() -> None:
    """Its task ends at its time-out, so that it can be started again at once."""
    cancelled: list[str] = []

    async def hang(context: CheckContext) -> bool:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append("cancelled")
            raise
        return True

    runner = started((CheckSpec("hung", timeout=0.3, ttl_fail=0), hang))

    async def ask_twice() -> list[dict[str, str]]:
        first = reasons(await runner.evaluate())
        while not cancelled:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)  # the loop tells the runner of the task's end a turn later
        return [first, reasons(await runner.evaluate())]

    assert [{"hung": "timeout"}, {"hung": "timeout"}] == asyncio.run(ask_twice())
    assert ["cancelled", "cancelled"] == cancelled


def test_an_async_check_that_swallows_its_cancellation_is_stuck_until_it_returns() -> None:
    """It is not started a second time meanwhile, and recovers when it comes back."""
    calls = Counted()

    async def swallow(context: CheckContext) -> bool:
        calls(context)
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return True

    async def ask() -> tuple[list[dict[str, str]], Status]:
        stuck = [reasons(await runner.evaluate()) for _ in range(5)]
        assert 1 == len(calls.calls)
        release.set()
        await asyncio.sleep(0.01)
        return stuck, (await runner.evaluate()).status

    release = asyncio.Event()
    runner = started((CheckSpec("stuck", timeout=0.05, ttl_fail=0), swallow))

    assert ([{"stuck": "timeout"}] * 5, Status.PASS) == asyncio.run(ask())
    assert 2 == len(calls.calls)


def test_a_task_whose_loop_has_ended_is_given_up() -> None:
    """A check left behind by a closed event loop is started anew on the next one."""

    async def slow(context: CheckContext) -> bool:
        await asyncio.sleep(0.3)
        return True

    runner = started((CheckSpec("slow", timeout=5, ttl_fail=0), slow), deadline=0.02)
    assert {"slow": "timeout"} == reasons(asyncio.run(runner.evaluate()))
    runner._deadline = 5

    assert {} == reasons(asyncio.run(runner.evaluate()))


def test_a_report_is_there_at_the_overall_deadline() -> None:
    """A check that may take longer is told as ``timeout`` now; its answer counts when it comes."""
    release = threading.Event()
    runner = started((CheckSpec("slow", timeout=60), lambda context: release.wait()), deadline=0.05)

    assert {"slow": "timeout"} == reasons(runner.evaluate_sync())
    assert {"slow": "timeout"} == reasons(asyncio.run(runner.evaluate()))
    release.set()
    while runner.evaluate_sync().status is Status.FAIL:
        time.sleep(0.001)


def test_hung_checks_take_no_more_threads_than_the_pool_has() -> None:
    """With both threads taken a third check waits, is told as ``timeout``, and is not run once its turn comes too late."""
    release, late = threading.Event(), Counted()
    runner = started(
        (CheckSpec("a", timeout=0.05), lambda context: release.wait()),
        (CheckSpec("b", timeout=0.05), lambda context: release.wait()),
        (CheckSpec("late", timeout=0.05, ttl_fail=0), late),
        threads=2,
    )
    before = threading.active_count()
    assert {"a": "timeout", "b": "timeout", "late": "timeout"} == reasons(runner.evaluate_sync())
    assert 2 == threading.active_count() - before

    release.set()
    while runner.evaluate_sync().findings[2].status is not Status.PASS:
        time.sleep(0.001)
    assert 1 == len(late.calls)


def test_200_concurrent_probes_are_one_execution() -> None:
    """From coroutines and from threads, all of them share the one flight."""
    release, calls = threading.Event(), Counted()

    def slow(context: CheckContext) -> bool:
        calls(context)
        return release.wait()

    runner = started((CheckSpec("slow", timeout=30), slow), deadline=30)

    async def probes() -> list[Report]:
        threads = [asyncio.to_thread(runner.evaluate_sync) for _ in range(20)]
        asked = [asyncio.ensure_future(one) for one in (*threads, *(runner.evaluate() for _ in range(180)))]
        await asyncio.sleep(0.05)
        release.set()
        return await asyncio.gather(*asked)

    assert {Status.PASS} == {report.status for report in asyncio.run(probes())}
    assert 1 == len(calls.calls)


@pytest.mark.parametrize(("answer", "ttl"), [(True, 5.0), (Outcome(Status.WARN, "slow"), 5.0), (False, 1.0)])
def test_an_answer_is_kept_for_its_ttl(answer: CheckAnswer, ttl: float) -> None:
    """Within it nothing runs; after it the check runs once more. A failure has a shorter one."""
    clock, check = Clock(), Counted(answer)
    runner = started((CheckSpec("check"), check), clocks=clock.clocks())

    runner.evaluate_sync()
    clock.advance(ttl - 0.01)
    runner.evaluate_sync()
    assert 1 == len(check.calls)
    clock.advance(0.02)
    runner.evaluate_sync()
    assert 2 == len(check.calls)


@pytest.mark.parametrize(("monotonic", "wall"), [(10, 0), (0, 10), (0, -3600), (-1, 0), (10, -10)])
def test_an_answer_is_stale_when_either_clock_says_so(monotonic: float, wall: float) -> None:
    """A frozen process wakes with one clock behind; a clock set back proves nothing either."""
    clock, check = Clock(), Counted()
    runner = started((CheckSpec("check"), check), clocks=clock.clocks())

    runner.evaluate_sync()
    clock.monotonic += monotonic
    clock.wall += wall
    runner.evaluate_sync()

    assert 2 == len(check.calls)


def test_a_caller_that_is_cancelled_cancels_nothing() -> None:
    """The flight goes on for the others."""
    calls = Counted()

    async def slow(context: CheckContext) -> bool:
        calls(context)
        await asyncio.sleep(0.05)
        return True

    runner = started((CheckSpec("slow"), slow))

    async def probes() -> Status:
        first, second = asyncio.ensure_future(runner.evaluate()), asyncio.ensure_future(runner.evaluate())
        await asyncio.sleep(0.01)
        first.cancel()
        return (await second).status

    assert Status.PASS is asyncio.run(probes())
    assert 1 == len(calls.calls)


def test_a_check_knows_its_deadline() -> None:
    """What is left of it, in seconds, is no more than its time-out."""
    check = Counted()
    started((CheckSpec("check", timeout=0.4), check)).evaluate_sync()

    assert 0 < check.calls[0] <= 0.4


@pytest.mark.parametrize("is_async", [False, True])
def test_checks_make_no_spans_and_see_no_request(is_async: bool, spans: Spans) -> None:
    """Instrumentation is told to be silent inside, and nothing of the probing request is bound there."""
    seen: list[Any] = []

    def look(context: CheckContext) -> bool:
        suppressed = otel_context.get_value(otel_context._SUPPRESS_INSTRUMENTATION_KEY)
        seen.append((suppressed, dict(bound_fields()), trace.get_current_span().get_span_context().is_valid))
        return True

    async def look_late(context: CheckContext) -> bool:
        return look(context)

    runner = started((CheckSpec("check", ttl=0), look_late if is_async else look))
    with bind(request_id="r-1"), trace.get_tracer("test").start_as_current_span("probe"):
        both(runner)
    runner.stop()

    assert [(True, {}, False)] * 2 == seen


def test_a_forked_child_runs_its_own_checks(python: Callable[..., Any]) -> None:
    """A check that was under way in the parent is not waited for in the child, and the child's pool works."""
    program = """
import os, sys, threading
from common.core.health import CheckSpec
from common.observability.health import HealthRunner
runner = HealthRunner()
parent = os.getpid()
runner.add(CheckSpec("hung", timeout=0.05, ttl_fail=0), lambda c: threading.Event().wait() if os.getpid() == parent else True)
runner.lifecycle.ready()
assert runner.evaluate_sync().status.name == "FAIL"
child = os.fork()
if child == 0:
    os._exit(0 if runner.evaluate_sync().status.name == "PASS" else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert "0\n" == python(program.replace("-W error", "")).stdout


def test_one_transition_is_one_log_line_and_one_call_of_each_listener(logs: Logs, canary: Canary) -> None:
    """pass, fail, fail, pass: two transitions; a raising listener keeps nothing from the next."""
    answers: list[CheckAnswer] = [True, Outcome(Status.FAIL, "down", detail={"trace_id": "abc"}), False, True]
    heard: list[tuple[str, str]] = []

    def broken(transition: Any) -> None:
        raise ValueError(canary.value)

    runner = started(
        (CheckSpec("check", ttl=0, ttl_fail=0), lambda context: answers.pop(0)),
        listeners=[broken, lambda change: heard.append((change.before.name, change.finding.status.name))],
    )
    for _ in range(4):
        runner.evaluate_sync()

    assert [("PASS", "FAIL"), ("FAIL", "PASS")] == heard
    down, up = [
        line for line in logs.lines("common.observability.health") if line.get("check") == "check" and "to" in line
    ]
    assert ("WARNING", "down", "abc") == (down["level"], down["reason"], down["trace_id"])
    assert ("INFO", "fail", "pass") == (up["level"], up["from"], up["to"])
    canary.assert_absent(logs.text())


def test_a_transition_names_the_plugin_that_brought_the_check(logs: Logs) -> None:
    """The service's own checks belong to no plugin."""

    class Theirs:
        spec = CheckSpec("theirs")

        def check(self, context: CheckContext) -> bool:
            return False

    plugins = bare_plugins(make_plugin(common_health_checks=lambda: [Theirs()]))
    runner = HealthRunner(plugins.health_checks(), owners=owners_of_checks(plugins))
    runner.add(CheckSpec("ours"), lambda context: False)
    runner.evaluate_sync()

    lines = {line["check"]: line for line in logs.lines("common.observability.health")}
    assert "plugin-1" == lines["theirs"]["plugin"]
    assert "plugin" not in lines["ours"]


def test_an_awaitable_of_any_kind_is_awaited() -> None:
    """A future works like a coroutine."""

    def ask(context: CheckContext) -> Awaitable[bool]:
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        future.set_result(False)
        return future

    async def outer(context: CheckContext) -> bool:
        return await ask(context)

    runner = started((CheckSpec("check"), outer))

    assert {"check": "failed"} == reasons(asyncio.run(runner.evaluate()))
