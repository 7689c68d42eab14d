"""Fields of a request stay with it."""

import asyncio
import contextvars
import logging
import threading
from collections.abc import AsyncIterator, Generator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler

from common.observability.logging import bind, bound_fields
from common.observability.testing import Logs

log = logging.getLogger("test.context")


def test_100_requests_over_tasks_and_threads_do_not_mix(logs: Logs) -> None:
    """Each of 100 concurrent requests sees its own id, in its tasks and threads, and none is left afterwards."""

    async def request(number: int) -> None:
        with bind(request_id=f"r-{number}", number=number):
            await asyncio.sleep(0)
            log.info("task %d", number)
            await asyncio.to_thread(log.info, "thread %d", number)
            await asyncio.gather(*(step(number) for _ in range(3)))
        assert {} == bound_fields()

    async def step(number: int) -> None:
        await asyncio.sleep(0)
        log.info("step %d", number)

    async def every() -> None:
        await asyncio.gather(*(request(number) for number in range(100)))

    asyncio.run(every())

    lines = logs.lines("test.context")
    assert 500 == len(lines)
    assert all(line["message"].split()[1] == str(line["number"]) == line["request_id"][2:] for line in lines)
    assert {} == bound_fields()


def test_inner_fields_hide_outer_ones_and_give_them_back(logs: Logs) -> None:
    """Blocks nest: what an inner one binds holds inside it only, and an event's own field wins over both."""
    with bind(step="outer", user="u-1"):
        with bind(step="inner"):
            log.info("in")
        log.info("out", extra={"user": "u-2"})

    first, second = logs.lines("test.context")
    assert ("inner", "u-1") == (first["step"], first["user"])
    assert ("outer", "u-2") == (second["step"], second["user"])


def test_a_failing_block_gives_its_fields_back() -> None:
    """An exception ends the block like any other way out."""
    with pytest.raises(ZeroDivisionError), bind(step="doomed"):
        raise ZeroDivisionError

    assert {} == bound_fields()


def test_a_thread_started_by_hand_inherits_nothing(logs: Logs) -> None:
    """Only a thread that runs in a copy of the context has its fields, as the documentation says."""
    with bind(request_id="r-1"):
        plain = threading.Thread(target=log.info, args=("plain",))
        copied = threading.Thread(target=contextvars.copy_context().run, args=(log.info, "copied"))
        for thread in (plain, copied):
            thread.start()
            thread.join()

    first, second = logs.lines("test.context")
    assert "request_id" not in first
    assert "r-1" == second["request_id"]


def test_an_abandoned_generator_harms_nobody() -> None:
    """A block that is left in another context than it was entered in is left in silence."""

    def steps() -> Generator[int, None, None]:
        with bind(step="generated"):
            yield 1

    generator = steps()
    contextvars.copy_context().run(next, generator)
    generator.close()

    assert {} == bound_fields()


def test_an_abandoned_async_generator_harms_nobody() -> None:
    """The same, where the event loop closes an asynchronous generator at its end."""

    async def steps() -> AsyncIterator[int]:
        with bind(step="generated"):
            yield 1

    async def take_one() -> None:
        async for _ in steps():
            break

    asyncio.run(take_one())

    assert {} == bound_fields()


@pytest.mark.parametrize(("sampler", "flags"), [(ALWAYS_ON, 1), (ALWAYS_OFF, 0)])
def test_a_line_inside_a_span_has_its_ids(sampler: Sampler, flags: int, logs: Logs) -> None:
    """Trace id, span id and flags are those of the current span, whether it is sampled or not."""
    tracer = TracerProvider(sampler=sampler, shutdown_on_exit=False).get_tracer("test")
    with tracer.start_as_current_span("work") as span:
        log.info("inside")

    (line,) = logs.lines("test.context")
    context = span.get_span_context()
    assert f"{context.trace_id:032x}" == line["trace_id"]
    assert f"{context.span_id:016x}" == line["span_id"]
    assert flags == int(line["trace_flags"], 16) & 1


def test_a_line_outside_of_spans_has_no_ids(logs: Logs) -> None:
    """Without a span there is no invented id."""
    log.info("outside")

    assert {"trace_id", "span_id", "trace_flags"}.isdisjoint(logs.lines("test.context")[0])
