"""A world in which the same seed gives the same history: databases, workers, clock, chance and faults.

Workers are plain functions that use databases on one embedded engine in memory. One runs at a time; before and after
each call, at each sleep and at each lock of the world, the seed decides who goes on. Time is the world's own: it jumps
to whatever comes next, so that an hour of business passes in milliseconds, and a schedule that breaks a rule is found by
trying many seeds, then repeated by its seed.

    >>> from common.dynamo.testing.examples import COUNTER, Counter
    >>> with simulation(seed=7) as world:
    ...     counters = world.open(entity_types=[COUNTER]).dao(COUNTER)
    ...     _ = counters.create(Counter(name="visits"))
    ...     def visit() -> None:
    ...         counters.update("visits", lambda change, it: change.add(it.hits, 1))
    ...     for _ in range(3):
    ...         _ = world.spawn(visit)
    ...     world.run()
    ...     counters.require("visits").hits
    3
"""

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Unpack

from common.dynamo.change_feed import ChangeFeed
from common.dynamo.requests import Request
from common.dynamo.testing.scheduler import (
    Deadlock,
    Endless,
    Lock,
    Scheduler,
    SimulationFailed,
    Standstill,
    Step,
    Worker,
)
from common.dynamo.wire import Answer, WireFailure
from common.dynamo.wire.embedded import EmbeddedWire
from common.dynamo.wire.faults import Crash, FaultPlan

if TYPE_CHECKING:
    from common.dynamo.database import Database, DatabaseOptions

__all__ = [
    "Deadlock",
    "Endless",
    "Lock",
    "SimulationFailed",
    "Standstill",
    "Step",
    "Worker",
    "World",
    "explore",
    "simulation",
]

BEGINNING: Final = 1_767_225_600.0
"""When every world begins, in epoch seconds: 2026-01-01, midnight UTC."""
_LEAST_SECONDS: Final = 0.0005
_STALLED: Final = 40.0
_SHARE_OF_DEADLINE: Final = 0.4
"""A way of a call never takes more of its time than this, so that two ways and the work fit into it."""


class World:
    """Databases and workers under one seed; made by :func:`simulation`.

    Args:
        seed: Decides everything that is left to chance.
        stalls: Of one, how many ways of a call take forty times as long as usual; there and back are 0.5 to 5 ms each.
        patience: Real seconds that a worker may go on without a pause.
    """

    def __init__(self, seed: int, *, stalls: float = 0.05, patience: float = 20.0) -> None:
        self.seed = seed
        self.faults = FaultPlan(seed)
        """What calls of all databases meet; nothing unless told so."""
        self.chance = random.Random(f"{seed}-world")  # noqa: S311 - chance for tests, no secret
        """For workers, and for what databases draw: write ids and jitter."""
        self._scheduler = Scheduler(seed, patience=patience)
        self._stalls = stalls
        self._databases: list[Database] = []
        self._engine = EmbeddedWire(
            faults=self.faults,
            clock=self.clock,
            timer=self.monotonic,
            sleep=self.sleep,
            random=self.chance.random,
            aside=lambda work: self.spawn(work, name="late delivery"),
        )

    # Time and chance

    def clock(self) -> float:
        """Return the world's time, in epoch seconds."""
        return BEGINNING + self._scheduler.now

    def monotonic(self) -> float:
        """Return the seconds since the world began; for deadlines."""
        return self._scheduler.now

    def sleep(self, seconds: float) -> None:
        """Let the others run for *seconds* of the world's time."""
        self._scheduler.pause(max(0.0, seconds), f"sleep {seconds:.6f}")

    def pause(self, what: str = "pause") -> None:
        """Let the others run for a while, as between two calls; *what* stands in the history."""
        self._scheduler.pause(self._latency(1.0), what)

    def lock(self, name: str = "") -> Lock:
        """Return a lock for workers that hold one across calls; the locks of ``threading`` would stop the world."""
        return Lock(self._scheduler, name or "unnamed")

    def _latency(self, timeout: float) -> float:
        chance = self._scheduler.chance
        seconds = _LEAST_SECONDS * 10.0 ** chance.random() * (_STALLED if chance.random() < self._stalls else 1.0)
        return float(min(seconds, timeout * _SHARE_OF_DEADLINE))

    # Databases

    def open(self, *, stream: bool = False, **options: "Unpack[DatabaseOptions]") -> "Database":
        """Return a database on the world's engine, its tables made; another one stands for another process.

        Args:
            stream: Whether its tables keep their changes.
            options: See :class:`~common.dynamo.database.DatabaseOptions`; time and chance are the world's.
        """
        from common.dynamo.database import Database

        options["clock"], options["monotonic"] = self.clock, self.monotonic
        options["sleep"], options["random"] = self.sleep, self.chance.random
        options.setdefault("cursor_keys", (f"the cursor key of seed {self.seed}",))
        database = Database(_SimulatedWire(self, self._engine), **options)
        self._databases.append(database)
        database.create_tables(stream=stream)
        return database

    # Workers

    def spawn(self, work: Callable[..., Any], /, *args: Any, name: str = "") -> Worker:
        """Return a worker that calls *work* with *args* once the world runs, or at once if it does.

        Args:
            work: What it does. :class:`~common.dynamo.wire.faults.Crash` ends it as the death of its process would; any
                other exception fails the run.
            args: Of *work*.
            name: In the history and in errors; by default that of the function, numbered.
        """
        name = name or f"{getattr(work, '__name__', 'worker')}-{len(self._scheduler.workers)}"
        return self._scheduler.spawn(lambda: work(*args), name)

    def run(self) -> None:
        """Run until every worker has ended, late deliveries included.

        Raises:
            Deadlock: All of them wait for each other.
            Standstill: One of them waits in real time.
            Endless: They do not end.
            Exception: What the first worker that failed has raised, with a note that names it and the seed.
        """
        try:
            self._scheduler.run()
        except SimulationFailed as failure:
            failure.add_note(f"in the simulation with seed {self.seed}")
            raise
        for worker in self._scheduler.workers:
            error, worker.error = worker.error, None
            if error is not None and not isinstance(error, Crash):
                error.add_note(f"in worker {worker.name!r} of the simulation with seed {self.seed}")
                raise error

    @property
    def history(self) -> tuple[Step, ...]:
        """What has happened so far: equal for equal seeds, where the workers leave nothing to other chance."""
        return tuple(self._scheduler.history)

    def close(self) -> None:
        """End the workers that have not, and close the databases."""
        self._scheduler.end()
        self.faults.heal()
        for database in self._databases:
            database.close()
        self._engine.close()


class _SimulatedWire:
    """A way to the engine that takes time: others run while a request is on its way, and while its answer is."""

    name = "embedded"
    endpoint: tuple[str, int] | None = None
    region: str | None = None

    def __init__(self, world: World, engine: EmbeddedWire) -> None:
        self._world = world
        self._engine = engine

    @property
    def reason(self) -> str:
        return f"a simulation with seed {self._world.seed}"

    @property
    def feed(self) -> ChangeFeed | None:
        return self._engine.feed

    def send(self, request: Request, timeout: float) -> Answer:
        world, operation = self._world, request.operation
        deadline = world.monotonic() + timeout
        world._scheduler.pause(world._latency(timeout), operation)
        try:
            answer = self._engine.send(request, deadline - world.monotonic())
        except WireFailure as failure:
            self._come_back(deadline, f"{operation} {type(failure).__name__}")
            raise
        self._come_back(deadline, f"{operation} {answer.status}")
        return answer

    def _come_back(self, deadline: float, what: str) -> None:
        world = self._world
        world._scheduler.pause(world._latency(max(0.0, deadline - world.monotonic())), what)

    def close(self) -> None:
        """Do nothing: the engine is the world's."""


@contextmanager
def simulation(seed: int, *, stalls: float = 0.05, patience: float = 20.0) -> Iterator[World]:
    """Give a block a :class:`World` of its own, and end what is left of it afterwards; the arguments are the world's."""
    world = World(seed, stalls=stalls, patience=patience)
    try:
        yield world
    finally:
        world.close()


def explore(scenario: Callable[[World], object], seeds: Iterable[int]) -> int:
    """Play *scenario* in one world per seed, until it fails; return how many there were.

    Args:
        scenario: Opens databases, spawns workers, runs the world, and asserts what must hold.
        seeds: One after the other.

    Raises:
        Exception: What *scenario* has raised, with a note that names the seed: ``simulation(seed)`` repeats it.
    """
    played = 0
    for seed in seeds:
        with simulation(seed) as world:
            try:
                scenario(world)
            except Exception as error:
                error.add_note(f"repeat it with simulation(seed={seed})")
                raise
        played += 1
    return played
