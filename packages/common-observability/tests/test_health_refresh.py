"""Checks can run in the background, so that probes only read."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from common.core.health import CheckContext, CheckSpec, Status
from common.observability.health import Clocks, HealthRunner, Level
from common.observability.health.execution import CheckRun, Executors
from common.observability.health.pool import DaemonPool

Eventually = Callable[[Callable[[], Any]], Any]


@dataclass
class Counted:
    """A check that counts how often it runs."""

    calls: list[int]
    spec: CheckSpec = field(default_factory=lambda: CheckSpec("known", ttl=60))

    def check(self, context: CheckContext) -> None:
        self.calls.append(1)


def quick(name: str, timeout: float = 0.5) -> CheckSpec:
    """Return a check whose answers get old within a tenth of a second."""
    return CheckSpec(name, timeout=timeout, ttl=0.1, ttl_fail=0.1)


def reason(runner: HealthRunner, check: str) -> str:
    """Return what is known of *check*."""
    return runner.evaluate_check_sync(check, Level.SUMMARY).findings[0].outcome.reason


def test_probes_only_read(eventually: Eventually) -> None:
    """1,000 probes run no check: every run is in the thread that refreshes, or on its loop."""
    threads: set[str] = set()

    def check(context: CheckContext) -> None:
        threads.add(threading.current_thread().name)

    async def asynchronous(context: CheckContext) -> None:
        check(context)

    runner = HealthRunner(refresh=True)
    runner.add(CheckSpec("sync", ttl=60), check)
    runner.add(CheckSpec("async", ttl=60), asynchronous)
    runner.start()
    assert eventually(lambda: runner.evaluate_sync().status is Status.PASS)
    before = set(threads)

    async def probe() -> None:
        await asyncio.gather(*(runner.evaluate() for _ in range(500)))

    asyncio.run(probe())
    for _ in range(500):
        assert Status.PASS is runner.evaluate_sync().status
    runner.stop()

    assert before == threads
    assert {"common-health-1", "common-health-loop"} == threads


def test_answers_are_renewed_before_they_are_stale(eventually: Eventually) -> None:
    """A check that changes its mind is told so without being asked, and never as ``stale`` meanwhile."""
    answers = iter([True, True, True])
    runner = HealthRunner(refresh=True)
    runner.add(quick("changing"), lambda context: next(answers, False))
    runner.start()

    assert eventually(lambda: reason(runner, "changing") == "failed")
    runner.stop()


def test_a_check_that_hangs_stays_a_timeout(eventually: Eventually) -> None:
    """It is not started again until it returns, and holds no other check up."""
    release = threading.Event()
    calls: list[int] = []

    def hang(context: CheckContext) -> None:
        calls.append(1)
        release.wait(30)

    runner = HealthRunner(refresh=True)
    runner.add(quick("hanging", timeout=0.01), hang)
    renewed: list[int] = []
    runner.add(quick("healthy"), lambda context: renewed.append(1))
    runner.start()
    assert eventually(lambda: reason(runner, "hanging") == "timeout")
    first = len(renewed)
    assert eventually(lambda: len(renewed) > first + 2)

    assert "timeout" == reason(runner, "hanging")
    assert [1] == calls
    release.set()
    assert eventually(lambda: not reason(runner, "hanging"))
    runner.stop()


def test_an_answer_that_was_not_renewed_is_stale(eventually: Eventually) -> None:
    """When the refresh itself hangs, a probe does not pass an old answer off as fresh, and runs nothing either."""
    now = [1000.0]
    calls: list[int] = []
    check = CheckRun(Counted(calls), Clocks(monotonic=lambda: now[0], wall=lambda: now[0]), lambda finding: None)
    executors = Executors(DaemonPool(1), asyncio.new_event_loop, contextvars.copy_context())

    before = check.read().outcome
    check.refresh(executors)
    assert eventually(lambda: check.latest)
    fresh = check.read().outcome
    now[0] += 61.0

    assert ["pending", "", "stale"] == [before.reason, fresh.reason, check.read().outcome.reason]
    assert Status.FAIL is check.read().outcome.status
    assert [1] == calls


def test_a_check_of_the_servers_loop_runs_there(eventually: Eventually) -> None:
    """An asynchronous client belongs to the loop it was opened on."""
    loops: set[asyncio.AbstractEventLoop] = set()

    async def check(context: CheckContext) -> None:
        loops.add(asyncio.get_running_loop())

    runner = HealthRunner(refresh=True)
    runner.add(CheckSpec("client", ttl=60), check)

    async def serve() -> asyncio.AbstractEventLoop:
        runner.start_on_this_loop()
        while (await runner.evaluate()).status is not Status.PASS:
            await asyncio.sleep(0.005)
        return asyncio.get_running_loop()

    serving = asyncio.run(serve())
    runner.stop()

    assert {serving} == loops


def test_a_forked_child_refreshes_by_itself(python: Callable[..., Any]) -> None:
    """The parent's thread is not there; the child's first probe starts its own."""
    result = python("""
import os, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from common.core.health import CheckSpec
from common.observability.health import HealthRunner
runs = []
runner = HealthRunner(refresh=True)
runner.add(CheckSpec("pid", ttl=60), lambda context: runs.append(os.getpid()))
runner.start()
def passes():
    until = time.monotonic() + 20
    while runner.evaluate_sync().status.name != "PASS":
        assert time.monotonic() < until
        time.sleep(0.005)
passes()
if (pid := os.fork()) == 0:
    passes()
    os._exit(0 if runs[-1] == os.getpid() else 1)
assert os.waitpid(pid, 0)[1] == 0
""")

    assert 0 == result.returncode, result.stderr
