"""A scheduler that lets one worker run at a time, in an order that follows from a seed, on a clock of its own.

Workers are threads, since they run plain synchronous functions, but only the one that has the baton runs. It passes the
baton on where it pauses, waits for a lock or for another worker, and where it ends; nowhere else. Who comes next is
whoever is due first on the scheduler's clock, which jumps there: nothing ever waits in real time.
"""

import heapq
import random
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

__all__ = ["Deadlock", "Endless", "Lock", "Scheduler", "SimulationFailed", "Standstill", "Step", "Worker"]

_MOST_STEPS: Final = 1_000_000
_OWN_FILES: Final = frozenset({Path(__file__).name, "simulation.py", "threading.py", "contextlib.py"})


class SimulationFailed(RuntimeError):
    """A run that does not end well."""


class Deadlock(SimulationFailed):
    """All workers wait for each other; the message tells where."""


class Endless(SimulationFailed):
    """The workers have gone on for a million steps."""


class Standstill(SimulationFailed):
    """A worker waits in real time, for what none of the others can do meanwhile: such as a lock of ``threading``."""


class _Ended(BaseException):
    """Ends a worker whose simulation is over; no layer handles it."""


class Step(NamedTuple):
    """One entry of a history."""

    at: float
    """Seconds since the simulation began."""
    worker: str
    """The worker's name; empty for what happens outside of all."""
    what: str
    """``GetItem``, ``GetItem 200``, ``sleep``, ``lock till``, ``end``, ..."""


@dataclass(slots=True, eq=False)
class Worker:
    """One function on its way; made by :meth:`Scheduler.spawn`."""

    name: str
    work: Callable[[], Any]
    scheduler: "Scheduler"
    thread: threading.Thread | None = None
    baton: Any = None
    is_done: bool = False
    error: BaseException | None = None
    """What ended it, if it did not end well."""
    result: Any = None
    """What its function has returned."""
    ticket: int = 0
    """Of its latest place in the queue; earlier ones do not count."""
    waits: str = ""
    """For what, and where in its code; empty while it does not wait for another worker."""

    def is_alive(self) -> bool:
        """Return whether it has still to come to its end."""
        return not self.is_done

    def join(self, timeout: float | None = None, /) -> None:
        """Wait until it has ended, *timeout* seconds of the scheduler's clock at most."""
        self.scheduler.wait_for(self, timeout)


class Scheduler:
    """Runs workers in turn. Used by the thread that made it and by its workers, never by other threads.

    Args:
        seed: Decides who runs when.
        patience: Real seconds without a step, after which a run counts as stuck.
    """

    def __init__(self, seed: int, *, patience: float = 20.0) -> None:
        self.chance = random.Random(f"{seed}-schedule")  # noqa: S311 - chance for tests, no secret
        self.now = 0.0
        """Seconds since the simulation began."""
        self.history: list[Step] = []
        self.workers: list[Worker] = []
        self._queue: list[tuple[float, float, int, Worker]] = []
        self._tickets = 0
        self._current: Worker | None = None
        self._home = _closed_gate()
        self._failure: SimulationFailed | None = None
        self._is_ending = False
        self._patience = patience

    # For workers ------------------------------------------------------------------------------------------------------

    def note(self, what: str) -> None:
        """Add *what* to the history."""
        self.history.append(Step(self.now, "" if self._current is None else self._current.name, what))

    def pause(self, seconds: float, what: str) -> None:
        """Let others run for *seconds*; outside of a run, let the clock go on."""
        self.note(what)
        me = self._current
        if me is None:
            self.now += seconds
            return
        self._enqueue(me, self.now + seconds)
        self._pass_on(me)

    def block(self, what: str, timeout: float | None = None) -> None:
        """Let others run until :meth:`wake`, or for *timeout* seconds."""
        me = self._current
        if me is None:
            raise Deadlock(f"Outside of a run nobody can end the wait for {what}.")
        self.note(f"waits for {what}")
        me.waits = f"{what} at {_place()}"
        me.ticket = 0
        if timeout is not None:
            self._enqueue(me, self.now + timeout)
        self._pass_on(me)
        me.waits = ""

    def wake(self, worker: Worker) -> None:
        """Let *worker* go on from :meth:`block`."""
        self._enqueue(worker, self.now)

    @property
    def current(self) -> Worker | None:
        """The worker that runs; ``None`` outside of a run."""
        return self._current

    def wait_for(self, worker: Worker, timeout: float | None) -> None:
        """Let others run until *worker* has ended; outside of a run, run all."""
        if self._current is None:
            self.run()
            return
        until = None if timeout is None else self.now + timeout
        while not worker.is_done and (until is None or self.now < until):
            # One worker waits for another's end so rarely that nobody keeps a list of those to be woken.
            self.pause(0.01, f"waits for {worker.name}")

    def _pass_on(self, me: Worker) -> None:
        if self._is_ending:
            raise _Ended
        following = self._next()
        if following is not me:
            self._hand_over(following)
            me.baton.acquire()
        if self._is_ending:
            raise _Ended
        self._current = me

    # Turns ------------------------------------------------------------------------------------------------------------

    def spawn(self, work: Callable[[], Any], name: str) -> Worker:
        """Return a worker that does *work* from the next turn on."""
        worker = Worker(name, work, self, baton=_closed_gate())
        self.workers.append(worker)
        self._enqueue(worker, self.now)
        return worker

    def run(self) -> None:
        """Run until every worker has ended.

        Raises:
            SimulationFailed: They do not.
        """
        self._hand_over(self._next())
        steps = -1
        while not self._home.acquire(timeout=self._patience):
            if len(self.history) == steps:
                self._patience = 0.1
                raise self._stuck()
            steps = len(self.history)
        self._current = None
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def end(self) -> None:
        """End the workers that have not come to their end, and those that have not begun."""
        self._is_ending, self._current = True, None
        for worker in self.workers:
            if worker.thread is not None and not worker.is_done:
                worker.baton.release()
                worker.thread.join(self._patience)
            worker.is_done = True

    def _enqueue(self, worker: Worker, at: float) -> None:
        self._tickets += 1
        worker.ticket = self._tickets
        heapq.heappush(self._queue, (at, self.chance.random(), self._tickets, worker))

    def _next(self) -> Worker | None:
        """Return who is due first, at the time when that is; ``None`` when nobody is, or the run is over."""
        if len(self.history) >= _MOST_STEPS:
            self._failure = Endless(f"The workers have gone on for {_MOST_STEPS} steps.")
            return None
        while self._queue:
            at, _, ticket, worker = heapq.heappop(self._queue)
            if worker.ticket == ticket and not worker.is_done:
                self.now = max(self.now, at)
                return worker
        waiting = [worker for worker in self.workers if not worker.is_done]
        if waiting:
            told = "; ".join(f"{worker.name} waits for {worker.waits}" for worker in waiting)
            self._failure = Deadlock(f"Nobody can go on: {told}.")
        return None

    def _hand_over(self, worker: Worker | None) -> None:
        if worker is None:
            self._home.release()
            return
        self._current = worker
        if worker.thread is None:
            worker.thread = threading.Thread(target=self._live, args=(worker,), name=worker.name, daemon=True)
            worker.thread.start()
        else:
            worker.baton.release()

    def _live(self, worker: Worker) -> None:
        try:
            worker.result = worker.work()
        except _Ended:
            return
        except BaseException as error:  # noqa: BLE001 - reported by the world, once all have ended
            worker.error = error
        finally:
            worker.is_done = True
        if self._is_ending:
            return
        self.note("end" if worker.error is None else f"end: {type(worker.error).__name__}")
        self._hand_over(self._next())

    def _stuck(self) -> Standstill:
        worker = self._current
        frame = None if worker is None or worker.thread is None else sys._current_frames().get(worker.thread.ident or 0)
        place = "" if frame is None else f", at {_place(frame)}"
        name = "nobody" if worker is None else worker.name
        return Standstill(
            f"{name} has not come to a pause for a long time{place}. Where it waits for a lock that another worker holds across "
            "a call, use a lock of the world."
        )


class Lock:
    """A lock for workers, which wait for it on the scheduler's clock: a context manager.

    Args:
        scheduler: Whose workers use it.
        name: For histories and deadlocks.
    """

    def __init__(self, scheduler: Scheduler, name: str) -> None:
        self.name = name
        self._scheduler = scheduler
        self._holder: Worker | None = None
        self._is_held = False
        self._waiting: list[Worker] = []

    def acquire(self) -> None:
        """Take the lock, after whoever has it."""
        scheduler = self._scheduler
        scheduler.pause(0.0, f"lock {self.name}")
        if not self._is_held:
            self._is_held, self._holder = True, scheduler.current
            return
        me = scheduler.current
        if me is not None:
            self._waiting.append(me)
        scheduler.block(f"lock {self.name}, which {'nobody' if self._holder is None else self._holder.name} holds")

    def release(self) -> None:
        """Give the lock to one of those who wait for it, by chance.

        Raises:
            RuntimeError: Nobody holds it.
        """
        if not self._is_held:
            raise RuntimeError(f"Lock {self.name} is not held.")
        self._scheduler.note(f"unlock {self.name}")
        self._is_held, self._holder = False, None
        if self._waiting:
            heir = self._waiting.pop(self._scheduler.chance.randrange(len(self._waiting)))
            self._is_held, self._holder = True, heir
            self._scheduler.wake(heir)

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def _closed_gate() -> Any:
    """Return a lock that is taken: whoever waits at it goes on when another thread releases it."""
    gate = threading.Lock()
    gate.acquire()
    return gate


def _place(frame: Any = None) -> str:
    """Return where in its own code a thread is: the innermost line that is not of the simulation itself."""
    frame = frame or sys._getframe(1)
    while frame.f_back is not None and Path(frame.f_code.co_filename).name in _OWN_FILES:
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} in {frame.f_code.co_name}"
