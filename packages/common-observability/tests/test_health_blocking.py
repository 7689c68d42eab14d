"""An asynchronous check that blocks its event loop is found out, and can be kept away from requests."""

import asyncio
import threading
import time
from collections.abc import Callable, Generator
from typing import Any

import pytest

from common.core.health import CheckContext, CheckSpec, Outcome, Status
from common.exceptions import ConfigurationError
from common.observability.health import HealthRunner, Level, Report
from common.observability.health.blocking import StepWatch
from common.observability.testing import Logs

HEALTH = "common.observability.health"


async def block(context: CheckContext) -> bool:
    """Block the loop for longer than the check may take."""
    time.sleep(0.06)  # noqa: ASYNC251 - the mistake that is looked for
    return True


async def wait(context: CheckContext) -> bool:
    """Wait without blocking, a few steps long."""
    for _ in range(3):
        await asyncio.sleep(0)
    return True


def ready(checks: dict[str, Callable[[CheckContext], Any]], **options: Any) -> HealthRunner:
    """Return a runner of *checks* that is ready; none may take longer than 50 ms, and no answer is kept."""
    runner = HealthRunner(**options)
    for name, check in checks.items():
        runner.add(CheckSpec(name, timeout=0.05, ttl=0.0, ttl_fail=0.0), check)
    runner.lifecycle.ready()
    return runner


def reasons(report: Report) -> dict[str, str]:
    """Return the reason of each check that did not pass."""
    return {finding.spec.name: finding.outcome.reason for finding in report.findings if finding.status}


def warnings(logs: Logs) -> list[str]:
    """Return which checks were told to block their loop."""
    return [line["check"] for line in logs.lines(HEALTH) if "blocks its event loop" in line["message"]]


def test_a_check_that_blocks_the_loop_is_named_once(logs: Logs) -> None:
    """It fails by its time-out, and one WARNING says what to do; the check beside it is not blamed."""
    runner = ready({"blocking": block, "waiting": wait})

    for _ in range(2):
        report = asyncio.run(runner.evaluate("readiness", Level.SUMMARY))
        assert "timeout" == reasons(report)["blocking"]

    assert ["blocking"] == warnings(logs)
    (line,) = [line for line in logs.lines(HEALTH) if "blocked_seconds" in line]
    assert "WARNING" == line["level"]
    assert 0.05 < line["blocked_seconds"]
    assert "isolated=" in line["message"]


def test_a_check_that_waits_is_not_named(logs: Logs) -> None:
    """However long it takes: while it waits, the loop is free."""

    async def slow(context: CheckContext) -> None:
        await asyncio.sleep(10)

    runner = ready({"slow": slow, "waiting": wait})

    assert {"slow": "timeout"} == reasons(asyncio.run(runner.evaluate("readiness", Level.SUMMARY)))
    assert [] == warnings(logs)


def test_an_isolated_check_blocks_no_request(logs: Logs) -> None:
    """While it blocks its own loop, in a thread, the loop of the requests turns all the time."""
    release, entered = threading.Event(), threading.Event()

    async def hang(context: CheckContext) -> bool:
        entered.set()
        return release.wait(10)

    runner = ready({"hanging": hang}, isolated=["hanging"])

    async def every() -> tuple[Report, int]:
        probe = asyncio.create_task(runner.evaluate("readiness", Level.SUMMARY))
        turns = 0
        while not probe.done():
            await asyncio.sleep(0)
            turns += entered.is_set() and not release.is_set()
        return await probe, turns

    report, turns = asyncio.run(every())
    release.set()
    runner.stop()

    assert {"hanging": "timeout"} == reasons(report)
    assert turns > 100
    assert [] == warnings(logs)


def test_isolating_a_check_that_does_not_exist_is_refused_at_the_start() -> None:
    """The message names it."""
    with pytest.raises(ConfigurationError, match="'ledgr'"):
        HealthRunner(isolated=["ledgr"]).start()


class TwoSteps:
    """Something to await that gives the loop a turn and then *answer*."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def __await__(self) -> Generator[Any, Any, Any]:
        yield from asyncio.sleep(0).__await__()
        return self.answer


def test_whatever_can_be_awaited_is_a_check() -> None:
    """An object with ``__await__`` has no steps to measure and is awaited as it is."""
    runner = ready({"object": lambda context: TwoSteps(Outcome(Status.WARN, "half-full"))})

    assert {"object": "half-full"} == reasons(asyncio.run(runner.evaluate("readiness", Level.SUMMARY)))


def test_a_watched_coroutine_behaves_as_one_that_is_not() -> None:
    """Values come back, errors and cancellations go in and out, and what was begun is closed."""
    ended: list[str] = []

    async def work(outcome: str) -> str:
        try:
            await asyncio.sleep(0 if outcome != "cancelled" else 10)
            if outcome == "raised":
                raise ZeroDivisionError
            return outcome
        except asyncio.CancelledError:
            ended.append("cancelled inside")
            raise
        finally:
            ended.append(outcome)

    async def watched(outcome: str) -> str:
        return await StepWatch(work(outcome), 10.0, lambda seconds: ended.append("blocked"))

    async def every() -> None:
        assert "returned" == await watched("returned")
        with pytest.raises(ZeroDivisionError):
            await watched("raised")
        task = asyncio.create_task(watched("cancelled"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(every())

    assert ["returned", "raised", "cancelled inside", "cancelled"] == ended
