"""What a report costs, told by counting: seconds mislead on a busy machine.

``benchmarks/observability.py`` measures the seconds.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from common.core.health import CheckContext, CheckSpec, Status
from common.core.testing import EnteredFunctions
from common.observability.health import HealthRunner, Report


def ready(count: int, check: Callable[[CheckContext], Any], **spec: Any) -> HealthRunner:
    """Return a runner that is ready, with *count* checks."""
    # A busy machine may take its time: what is counted here does not depend on it.
    runner = HealthRunner(deadline=20.0)
    for number in range(count):
        runner.add(CheckSpec(f"check-{number}", **spec), check)
    runner.lifecycle.ready()
    return runner


def entered(work: Callable[[], Awaitable[object]]) -> int:
    """Return how many Python functions of this thread *work* enters on a loop that is warm."""

    async def twice() -> int:
        await work()
        with EnteredFunctions() as entered:
            await work()
        return entered.count

    return asyncio.run(twice())


def test_blocking_checks_run_16_at_a_time() -> None:
    """96 checks that each wait for 15 others come through: six rounds, however long a round takes."""
    together = threading.Barrier(16)

    def check(context: CheckContext) -> None:
        together.wait(20)

    assert Status.PASS is ready(96, check, timeout=20.0).evaluate_sync().status


def test_asynchronous_checks_run_all_at_once() -> None:
    """100 checks that each wait for the 99 others come through."""
    waiting: list[int] = []

    async def check(context: CheckContext) -> None:
        waiting.append(1)
        while len(waiting) < 100:
            await asyncio.sleep(0)

    assert Status.PASS is asyncio.run(ready(100, check, timeout=20.0).evaluate()).status


async def nothing(context: CheckContext) -> None:
    """Pass."""


def test_a_check_that_does_nothing_costs_little_more_than_a_task_with_a_time_limit() -> None:
    """At most four times the functions of a bare gathered task under ``asyncio.wait_for``."""

    async def bare() -> None:
        await asyncio.gather(*(asyncio.wait_for(nothing(CheckContext(0.0)), 10) for _ in range(50)))

    runner = ready(50, nothing, ttl=0.0)

    async def report() -> Report:
        return await runner.evaluate()

    assert entered(report) <= 4 * entered(bare)


def test_a_probe_that_is_answered_from_memory_costs_less_than_a_check_that_does_nothing() -> None:
    """Kubernetes asks more often than answers get old."""
    cached, fresh = ready(1, nothing, ttl=60.0), ready(1, nothing, ttl=0.0)

    assert entered(cached.evaluate) <= entered(fresh.evaluate)
