"""The simulation: one worker at a time, an order and a clock that follow from the seed, and what it finds."""

import threading
from collections.abc import Callable

import pytest

from common.dynamo import DAO, Database
from common.dynamo.exceptions import ConditionFailed, OutcomeUnknown, Unavailable
from common.dynamo.testing import CHECKER_RATES, Crash, Fault, FaultRates
from common.dynamo.testing.examples import COUNTER, INVOICE, Counter, make_invoice
from common.dynamo.testing.simulation import (
    Deadlock,
    Endless,
    Standstill,
    Step,
    World,
    explore,
    simulation,
)

WORKERS = 3


def counters_of(world: World) -> DAO[Counter]:
    counters = world.open(entity_types=[COUNTER]).dao(COUNTER)
    counters.create(Counter(name="visits"))
    return counters


def read_then_write(counters: DAO[Counter]) -> None:
    """Count without care: what another has written between the two calls is lost."""
    seen = counters.require("visits", consistent=True)
    counters.update("visits", lambda change, it: change.set(it.hits, seen.hits + 1))


def read_then_write_if_unchanged(counters: DAO[Counter]) -> None:
    """Count with care: begin again when another has written in between."""
    seen = counters.require("visits", consistent=True)
    try:
        counters.update(
            "visits", lambda change, it: change.set(it.hits, seen.hits + 1), where=lambda it: it.hits == seen.hits
        )
    except ConditionFailed:
        read_then_write_if_unchanged(counters)


def count_by(count: Callable[[DAO[Counter]], None]) -> Callable[[World], None]:
    """Return a scenario in which every worker counts once and no visit may be missing."""

    def scenario(world: World) -> None:
        counters = counters_of(world)
        for _ in range(WORKERS):
            world.spawn(count, counters)
        world.run()

        assert counters.require("visits", consistent=True).hits == WORKERS

    return scenario


# Finding what depends on the schedule ---------------------------------------------------------------------------------


def test_a_lost_update_is_found_and_its_seed_repeats_it() -> None:
    """Reading, adding and writing back loses a visit under most schedules, and the error names one of them."""
    careless = count_by(read_then_write)
    with pytest.raises(AssertionError) as found:
        explore(careless, range(20))
    (note,) = found.value.__notes__
    seed = int(note.removeprefix("repeat it with simulation(seed=").removesuffix(")"))

    for _ in range(2):
        with simulation(seed) as world, pytest.raises(AssertionError):
            careless(world)


def test_the_conditional_write_survives_every_schedule() -> None:
    """With the condition that nobody has written in between, no visit is lost under 60 seeds."""
    assert 60 == explore(count_by(read_then_write_if_unchanged), range(60))


@pytest.mark.thorough
def test_the_conditional_write_survives_three_hundred_schedules() -> None:
    """Nor under three hundred."""
    assert 300 == explore(count_by(read_then_write_if_unchanged), range(300))


# Repeating ------------------------------------------------------------------------------------------------------------


def busy_day(seed: int) -> tuple[tuple[Step, ...], object, str]:
    """Return what has happened in a world with everything: faults, late deliveries, a lock, two processes, a stream."""
    with simulation(seed) as world:
        first = world.open(entity_types=[COUNTER, INVOICE], stream=True)
        second = world.open(entity_types=[COUNTER, INVOICE], stream=True)
        first.dao(COUNTER).create(Counter(name="visits"))
        gate = world.lock("gate")
        world.faults.rates = CHECKER_RATES

        def work(database: Database, number: int) -> None:
            for step in range(4):
                try:
                    with gate:
                        database.dao(COUNTER).update("visits", lambda change, it: change.add(it.hits, 1))
                    database.dao(INVOICE).create(make_invoice(10 * number + step))
                except (Unavailable, OutcomeUnknown, ConditionFailed):
                    world.sleep(world.chance.random())

        for number in range(WORKERS):
            world.spawn(work, (first, second)[number % 2], number)
        world.run()
        world.faults.heal()
        return world.history, first.changes().records, repr(world.faults)


def test_a_seed_repeats_a_history_bit_for_bit() -> None:
    """Every step at its time, every stored byte, every fault: equal for one seed, different for another."""
    history, changes, faults = busy_day(3)

    assert (history, changes, faults) == busy_day(3)
    other_history, other_changes, _ = busy_day(4)
    assert history != other_history
    assert changes != other_changes


def test_the_clock_jumps_to_what_comes_next() -> None:
    """A day of sleep takes no time, and its end is exact; the database sees the same clock."""
    with simulation(1) as world:
        database = world.open(entity_types=[COUNTER])
        began = world.clock()
        sleepers = [world.spawn(world.sleep, seconds) for seconds in (86_400.0, 3_600.0)]
        world.run()

        assert began + 86_400.0 == pytest.approx(world.clock(), abs=1.0)
        assert database.clock() == world.clock()
        ends = [step.worker for step in world.history if step.what == "end"]
        assert [sleepers[1].name, sleepers[0].name] == ends


# Faults ---------------------------------------------------------------------------------------------------------------


def test_a_late_request_arrives_as_an_event_of_the_world() -> None:
    """It is applied some time after its caller has given up, in the same run, and nobody waits for it in real time."""
    with simulation(1) as world:
        counters = counters_of(world)
        world.faults.rates = FaultRates(late=1.0)

        def visit() -> None:
            with pytest.raises(OutcomeUnknown):
                counters.update("visits", lambda change, it: change.add(it.hits, 1))

        world.spawn(visit)
        world.run()

        assert 1 == counters.require("visits", consistent=True).hits
        ends = [step for step in world.history if step.what == "end"]
        assert ["visit-0", "late delivery"] == [step.worker for step in ends]
        assert ends[1].at > ends[0].at


def test_settling_outside_of_a_run_runs_the_world() -> None:
    """What was sent late by the test itself is waited for as usual."""
    with simulation(1) as world:
        counters = counters_of(world)
        world.faults.script(Fault.LATE)
        with pytest.raises(OutcomeUnknown):
            counters.update("visits", lambda change, it: change.add(it.hits, 1))
        world.faults.settle()

        assert 1 == counters.require("visits", consistent=True).hits


def test_a_crash_ends_its_worker_alone() -> None:
    """The others go on, as other processes do; what had been committed stays."""
    with simulation(1) as world:
        counters = counters_of(world)
        world.faults.script(Fault.CRASH_AFTER)
        dead, *_ = [
            world.spawn(lambda: counters.update("visits", lambda change, it: change.add(it.hits, 1))) for _ in range(2)
        ]
        world.run()
        world.faults.heal()

        assert 2 == counters.require("visits", consistent=True).hits
        assert 1 == sum(step.what == f"end: {Crash.__name__}" for step in world.history)
        assert not dead.is_alive()


def test_calls_keep_their_deadline_on_the_worlds_clock() -> None:
    """A storm of throttles ends where the caller said, by the clock of the world."""
    with simulation(1) as world:
        counters = counters_of(world)
        world.faults.rates = FaultRates(throttle=1.0)
        began = world.monotonic()
        with pytest.raises(Unavailable):
            counters.get("visits", deadline=1.5)

        assert 0.3 < world.monotonic() - began <= 1.5


# Locks and what goes wrong --------------------------------------------------------------------------------------------


def test_a_lock_of_the_world_is_held_across_calls() -> None:
    """Reading, adding and writing back under one lock loses nothing."""

    def scenario(world: World) -> None:
        counters = counters_of(world)
        lock = world.lock("visits")

        def visit() -> None:
            with lock:
                read_then_write(counters)

        for _ in range(WORKERS):
            world.spawn(visit)
        world.run()

        assert counters.require("visits", consistent=True).hits == WORKERS

    assert 20 == explore(scenario, range(20))


def two_locks_in_two_orders(world: World) -> None:
    left, right = world.lock("left"), world.lock("right")

    def take(first: object, second: object) -> None:
        with first, second:  # type: ignore[attr-defined]
            world.pause()

    world.spawn(take, left, right, name="one")
    world.spawn(take, right, left, name="two")
    world.run()


def test_a_deadlock_is_an_error_that_tells_who_waits_where() -> None:
    """Two locks taken in two orders: some schedule has each worker wait for the other."""
    with pytest.raises(Deadlock) as found:
        explore(two_locks_in_two_orders, range(50))

    assert "one waits for lock right, which two holds at test_simulation.py:" in str(found.value)
    assert "two waits for lock left, which one holds at test_simulation.py:" in str(found.value)
    assert "in take" in str(found.value)


def test_a_lock_of_threads_that_stops_the_world_is_reported() -> None:
    """It is waited for in real time, by the only worker that may run; the error tells the line, and what to use."""
    real = threading.Lock()

    def hold(world: World) -> None:
        with real:
            world.pause()

    with simulation(1, patience=0.2) as world:
        world.spawn(hold, world, name="one")
        world.spawn(hold, world, name="two")
        with pytest.raises(Standstill, match=r"test_simulation.py:\d+ in hold\. .* use a lock of the world"):
            world.run()
        real.release()


def test_workers_that_never_end_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a million steps, here fewer."""
    monkeypatch.setattr("common.dynamo.testing.scheduler._MOST_STEPS", 100)

    def go_on(world: World) -> None:
        while True:
            world.pause()

    with simulation(1) as world:
        world.spawn(go_on, world)
        with pytest.raises(Endless):
            world.run()


def test_an_error_of_a_worker_names_the_worker_and_the_seed() -> None:
    """And is the error itself; the world's threads are gone afterwards."""
    before = threading.active_count()
    with simulation(41) as world:
        counters = counters_of(world)
        world.spawn(lambda: 1 / 0, name="divider")
        world.spawn(read_then_write, counters)
        with pytest.raises(ZeroDivisionError) as found:
            world.run()

    assert ["in worker 'divider' of the simulation with seed 41"] == found.value.__notes__
    assert before == threading.active_count()


def test_what_is_not_run_to_its_end_is_ended() -> None:
    """A test that fails while workers are on their way leaves no thread behind."""
    before = threading.active_count()
    with simulation(1) as world:
        lock = world.lock()

        def wait_for_ever() -> None:
            with lock:
                world.sleep(1.0)
                lock.acquire()

        world.spawn(wait_for_ever)
        with pytest.raises(Deadlock):
            world.run()

    assert before == threading.active_count()


def test_what_has_not_begun_never_does() -> None:
    """A world that is left before it runs does nothing any more: no worker, no late delivery."""
    done = []
    with simulation(1) as world:
        counters = counters_of(world)
        world.spawn(done.append, 1)
        world.faults.script(Fault.LATE)
        with pytest.raises(OutcomeUnknown):
            counters.update("visits", lambda change, it: change.add(it.hits, 1))
        steps = len(world.history)

    assert [] == done
    assert steps == len(world.history)


def test_workers_start_workers_and_wait_for_them() -> None:
    """What a worker returns is there when it has ended."""
    with simulation(1) as world:

        def parent() -> list[int]:
            children = [world.spawn(lambda number=number: number * 2) for number in range(3)]
            for child in children:
                child.join()
            return [child.result for child in children]

        worker = world.spawn(parent)
        world.run()

        assert [0, 2, 4] == worker.result
