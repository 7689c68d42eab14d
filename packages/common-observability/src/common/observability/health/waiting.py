"""Waiting for flights, in a thread or on an event loop, no longer than each of them may take."""

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import Future, wait

from common.observability.health.aggregation import Finding
from common.observability.health.execution import CheckRun, Flight

__all__ = ["landed", "wait_async", "wait_sync"]

Flights = Mapping[CheckRun, Flight]


def wait_sync(flights: Flights, until: float) -> None:
    """Return when every flight is answered or cut off, at the latest at *until* (:func:`time.monotonic`)."""
    while pending := _pending(flights):
        wait([flight.answer for _, flight in pending], timeout=_patience(pending, until))
        if _cut_off(pending) >= until:
            return


async def wait_async(flights: Flights, until: float) -> None:
    """Same as :func:`wait_sync`, without blocking the loop; a caller that is cancelled cancels no flight."""
    loop, event = asyncio.get_running_loop(), asyncio.Event()

    def wake(_: "Future[Finding]") -> None:
        try:
            loop.call_soon_threadsafe(event.set)
        except RuntimeError:
            # Whoever waited has gone, and the loop with them.
            return

    for flight in flights.values():
        flight.answer.add_done_callback(wake)
    while pending := _pending(flights):
        event.clear()
        if _pending(flights) == pending:
            await _event_or_time(event, _patience(pending, until))
        if _cut_off(pending) >= until:
            return


def landed(run: CheckRun, flight: Flight) -> Finding:
    """Return what *flight* found; FAIL ``timeout`` where it is still under way."""
    return flight.answer.result() if flight.answer.done() else run.unfinished(flight)


def _pending(flights: Flights) -> list[tuple[CheckRun, Flight]]:
    return [(run, flight) for run, flight in flights.items() if not flight.answer.done()]


def _patience(pending: list[tuple[CheckRun, Flight]], until: float) -> float:
    return max(0.0, min(until, *(flight.deadline for _, flight in pending)) - time.monotonic())


def _cut_off(pending: list[tuple[CheckRun, Flight]]) -> float:
    now = time.monotonic()
    for run, flight in pending:
        if now >= flight.deadline:
            run.cut_off(flight)
    return now


async def _event_or_time(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
