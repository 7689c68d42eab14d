"""Running one check: one flight at a time, shared by all who ask, cached, and cut off at its time-out."""

import asyncio
import contextvars
import inspect
import logging
import re
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from common.core.health import CheckAnswer, CheckContext, CheckSpec, HealthCheck, Outcome, Status
from common.observability.health.aggregation import Finding
from common.observability.health.blocking import StepWatch
from common.observability.health.pool import DaemonPool

__all__ = ["CheckRun", "Clocks", "Executors", "Flight", "outcome_of"]

_log = logging.getLogger("common.observability.health")

TIMED_OUT = Outcome(Status.FAIL, "timeout")
STALE = Outcome(Status.FAIL, "stale")
PENDING = Outcome(Status.FAIL, "pending")
CANCELLED = Outcome(Status.FAIL, "cancelled")
_REASON = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}|")


@dataclass(frozen=True, slots=True)
class Clocks:
    """Both clocks, in seconds; a result is stale as soon as either of them says so."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True)
class Executors:
    """Where checks run."""

    pool: DaemonPool
    """For checks that block."""
    loop: Callable[[], asyncio.AbstractEventLoop]
    """Gives the loop for asynchronous checks: the caller's own, or that of a thread."""
    context: contextvars.Context
    """The context that each check gets a copy of."""
    is_isolated: bool = False
    """Whether nothing but checks runs on that loop, so that one that blocks it harms no request."""


@dataclass(frozen=True, slots=True, eq=False)
class Flight:
    """One run of a check that somebody waits for."""

    started: float
    """On :func:`time.monotonic`, as :attr:`deadline`."""
    deadline: float
    answer: "Future[Finding]" = field(default_factory=Future)


class CheckRun:
    """One check, and what is known of it. Safe across threads and event loops."""

    def __init__(self, check: HealthCheck, clocks: Clocks, on_finding: Callable[[Finding], None]) -> None:
        """Prepare; nothing runs yet.

        Args:
            check: The check.
            clocks: For the age of what was found.
            on_finding: Told of each new finding, outside of every lock.
        """
        self.spec: CheckSpec = check.spec
        self.latest: Finding | None = None
        """What was found last."""
        self._check = check
        self._clocks = clocks
        self._on_finding = on_finding
        self._lock = threading.Lock()
        self._flight: Flight | None = None
        self._is_running = False
        self._has_blocked = False
        self._loop: asyncio.AbstractEventLoop | None = None
        # The loop itself holds only a weak reference.
        self._task: asyncio.Task[Outcome] | None = None

    def remaining(self) -> float:
        """Return the seconds for which :attr:`latest` is fresh."""
        return self.latest.remaining(self._clocks.monotonic(), self._clocks.wall()) if self.latest else 0.0

    def half_life(self) -> float:
        """Return half of the seconds for which :attr:`latest` was fresh at first; 0 where nothing is known."""
        if self.latest is None:
            return 0.0
        return (self.spec.ttl_fail if self.latest.status is Status.FAIL else self.spec.ttl) / 2

    def read(self) -> Finding:
        """Return what is known, and start nothing: FAIL ``stale`` where it is too old, ``pending`` before the first."""
        if self.remaining() > 0 and (latest := self.latest) is not None:
            return latest
        return self._finding(PENDING if self.latest is None else STALE, 0.0)

    def refresh(self, executors: Executors) -> Flight | None:
        """Start a run although the latest answer may still be fresh; return the flight on its way, if any.

        A check that is stuck stays FAIL ``timeout``.
        """
        with self._lock:
            flight = self._flight
            if flight is not None:
                return flight
            stuck = self._is_stuck()
            if stuck:
                self.latest = self._finding(TIMED_OUT, self.spec.timeout)
            else:
                flight = self._take_off()
        if flight is not None:
            self._start(flight, executors)
        return flight

    def ask(self, executors: Executors) -> Finding | Flight:
        """Return what is known and fresh; else the flight that will tell, started now if none is on its way.

        A check that was cut off and has not returned since is *stuck*: FAIL, and not started again.
        """
        while True:
            with self._lock:
                if self.latest is not None and self.remaining() > 0:
                    return self.latest
                flight = self._flight
                if flight is None:
                    if self._is_stuck():
                        return self._finding(TIMED_OUT, self.spec.timeout)
                    flight = self._take_off()
                    break
            if time.monotonic() < flight.deadline:
                return flight
            self.cut_off(flight)
        self._start(flight, executors)
        return flight

    def cut_off(self, flight: Flight) -> None:
        """Answer *flight* with FAIL ``timeout``, unless it is answered already."""
        self._land(flight, TIMED_OUT)

    def unfinished(self, flight: Flight) -> Finding:
        """Return the finding for somebody who cannot wait for *flight* any longer, though it may still come back."""
        return self._finding(TIMED_OUT, time.monotonic() - flight.started)

    def _is_stuck(self) -> bool:
        if self._loop is not None and self._loop.is_closed():
            # The loop is gone, and the task with it.
            self._is_running, self._loop, self._task = False, None, None
        return self._is_running

    def _take_off(self) -> Flight:
        now = time.monotonic()
        self._flight, self._is_running = Flight(now, now + self.spec.timeout), True
        return self._flight

    def _finding(self, outcome: Outcome, duration: float) -> Finding:
        monotonic, wall = self._clocks.monotonic(), self._clocks.wall()
        return Finding(spec=self.spec, outcome=outcome, monotonic=monotonic, wall=wall, duration=duration)

    def _land(self, flight: Flight, outcome: Outcome, *, returned: bool = False) -> None:
        with self._lock:
            if returned:
                self._is_running, self._loop, self._task = False, None, None
            if self._flight is not flight:
                return
            self._flight = None
            finding = self.latest = self._finding(outcome, time.monotonic() - flight.started)
        self._on_finding(finding)
        flight.answer.set_result(finding)

    def _start(self, flight: Flight, executors: Executors) -> None:
        if inspect.iscoroutinefunction(self._check.check):
            self._call(flight, executors)
        else:
            executors.pool.submit(partial(self._call, flight, executors))

    def _call(self, flight: Flight, executors: Executors) -> None:
        if flight.answer.done():
            # It waited for a thread for too long, and has been answered.
            self._land(flight, TIMED_OUT, returned=True)
            return
        context = executors.context.copy()
        answer: CheckAnswer | Awaitable[CheckAnswer]
        try:
            answer = context.run(self._check.check, CheckContext(flight.deadline))
            if inspect.isawaitable(answer):
                self._start_on_loop(flight, executors.loop(), context, self._awaited(answer, executors))
                return
        except BaseException as error:  # noqa: BLE001 - SystemExit too: a check never takes its thread with it
            self._land(flight, _raised(error), returned=True)
            return
        self._land(flight, outcome_of(answer), returned=True)

    def _start_on_loop(
        self,
        flight: Flight,
        loop: asyncio.AbstractEventLoop,
        context: contextvars.Context,
        work: Coroutine[Any, Any, Outcome],
    ) -> None:
        def start() -> None:
            task = self._task = loop.create_task(work, name=f"health {self.spec.name}", context=context)
            timer = loop.call_later(max(0.0, flight.deadline - time.monotonic()), self._cancel, flight, task)
            task.add_done_callback(partial(self._task_done, flight, timer))

        self._loop = loop
        if _running_loop() is loop:
            start()
            return
        try:
            loop.call_soon_threadsafe(start)
        except RuntimeError:
            # The loop of whoever asked has ended in the meantime.
            work.close()
            self._land(flight, CANCELLED, returned=True)

    async def _awaited(self, answer: Awaitable[CheckAnswer], executors: Executors) -> Outcome:
        blocked: list[float] = []
        try:
            if inspect.iscoroutine(answer):
                answer = StepWatch(answer, self.spec.timeout, blocked.append)
            outcome = outcome_of(await answer)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - SystemExit would end the whole loop
            outcome = _raised(error)
        if not blocked:
            return outcome
        if not (executors.is_isolated or self._has_blocked):
            self._has_blocked = True
            _write_warning(self.spec.name, max(blocked))
        return TIMED_OUT

    def _cancel(self, flight: Flight, task: "asyncio.Task[Outcome]") -> None:
        self.cut_off(flight)
        task.cancel()

    def _task_done(self, flight: Flight, timer: asyncio.TimerHandle, task: "asyncio.Task[Outcome]") -> None:
        timer.cancel()
        self._land(flight, CANCELLED if task.cancelled() else task.result(), returned=True)


def outcome_of(answer: CheckAnswer) -> Outcome:
    """Return what a check's answer means; an answer of another type is FAIL ``wrong-type``.

    A reason that is no code (letters, digits and ``_.-``) is not shown, since it may hold the text of an exception.
    """
    if isinstance(answer, Outcome) and _is_well_formed(answer):
        if _REASON.fullmatch(answer.reason):
            return answer
        return Outcome(answer.status, "no-code", answer.observed, answer.detail)
    if answer is None or answer is True:
        return Outcome()
    return Outcome(Status.FAIL, "failed" if answer is False else "wrong-type")


def _is_well_formed(outcome: Outcome) -> bool:
    """Return whether a plugin has put into *outcome* what its annotations say; a report must not stumble over it."""
    observed: object = outcome.observed
    return (
        isinstance(outcome.status, Status)
        and isinstance(outcome.reason, str)
        and isinstance(outcome.detail, Mapping)
        and (observed is None or (isinstance(observed, tuple) and len(observed) == 2))
    )


def _write_warning(check: str, seconds: float) -> None:
    _log.warning(
        "Health check %s blocks its event loop, and every request on it. Make it a plain function, which runs in a "
        "thread, or name it in HealthRunner(isolated=...).",
        check,
        extra={"check": check, "blocked_seconds": round(seconds, 3)},
    )


def _raised(error: BaseException) -> Outcome:
    # The name of the class alone: its text may hold anything.
    return Outcome(Status.FAIL, type(error).__name__)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
