"""Emitters and relays in simulations: clocks apart, claims that end at once, relays that die, answers that are lost (D39).

A schedule that breaks a rule is found by its seed and repeated by it.
"""

import random
from contextlib import suppress

import pytest

from common.dynamo import Change, Database, EmittedEvent, OutboxRelay
from common.dynamo.exceptions import ConditionFailed, DynamoError
from common.dynamo.testing import CHECKER_RATES, Crash
from common.dynamo.testing.events import TOLD, Postbox, Told
from common.dynamo.testing.examples import COUNTER, Counter
from common.dynamo.testing.simulation import World, simulation

NAMES = ("a", "b")
EMITTERS, RELAYS, COMMITS = 3, 3, 6
SKEWS = (0.0, 3600.0, -3600.0)


def count_up(world: World, db: Database, emitter: int) -> None:
    """Add to counters and tell, in the same commit, which number they came to; each request until it is applied."""
    chance = random.Random(f"{world.seed}-{emitter}")
    for commit in range(COMMITS):
        name = chance.choice(NAMES)
        while not is_counted(db, name, f"{emitter}-{commit}"):
            world.pause()


def is_counted(db: Database, name: str, request_id: str) -> bool:
    """Try once, as a process that knows nothing of earlier attempts; tell whether the request has been applied."""
    with suppress(ConditionFailed, DynamoError):
        seen = db.dao(COUNTER).require(name).hits

        def set_number(change: Change[Counter], it: Counter) -> None:
            change.set(it.hits, seen + 1)

        with db.transaction(request_id=request_id, input=name) as tx:
            tx.update(db.dao(COUNTER), name, set_number, where=lambda it: it.hits == seen)
            tx.emit(Told(about=name, number=seen + 1))
        return True
    return False


def carry(world: World, db: Database, box: Postbox, done: list[int], number: int) -> None:
    """Relay until all emitters are done; die now and then in the middle of publishing, and come back as another relay."""
    chance = random.Random(f"{world.seed}-relay-{number}")

    def publish(event: EmittedEvent) -> None:
        world.pause("publishing")
        if chance.random() < 0.05:
            raise Crash
        if chance.random() < 0.1:
            raise ConnectionError
        box(event)
        world.pause("published")
        if chance.random() < 0.05:
            raise Crash

    while len(done) < EMITTERS:
        relay = OutboxRelay(db, publish, batch=3, lease=chance.choice((0.01, 0.1, 30.0)))
        with suppress(Crash, DynamoError):
            for _ in range(5):
                relay.run_once()
                world.pause()


def live_through(world: World) -> tuple[Postbox, dict[str, int]]:
    """Return what was published, and what the counters came to."""
    options = {"entity_types": [COUNTER], "event_types": [TOLD]}
    databases = [world.open(**options) for _ in range(RELAYS)]  # type: ignore[arg-type]
    box, done = Postbox(), list[int]()
    world.spawn(lambda: [databases[0].dao(COUNTER).create(Counter(name=name)) for name in NAMES])
    world.run()
    for db, skew in zip(databases, SKEWS, strict=True):
        db.clock = lambda skew=skew: world.clock() + skew  # type: ignore[misc]
    world.faults.rates = CHECKER_RATES

    def emit(number: int) -> None:
        count_up(world, databases[number % RELAYS], number)
        done.append(number)

    for number in range(EMITTERS):
        world.spawn(emit, number)
    for number in range(RELAYS):
        world.spawn(carry, world, databases[number], box, done, number)
    world.run()
    world.faults.heal()
    counted: dict[str, int] = {}

    def finish() -> None:
        # The clock of the last one is past every claim.
        databases[1].clock = lambda: world.clock() + 100_000
        relay = OutboxRelay(databases[1], box)
        while relay.run_once().published:
            pass
        counted.update({name: databases[0].dao(COUNTER).require(name).hits for name in NAMES})

    world.spawn(finish)
    world.run()
    return box, counted


def check(seed: int) -> int:
    """Live through *seed*; return how many events came again."""
    with simulation(seed) as world:
        box, counted = live_through(world)
    assert EMITTERS * COMMITS == sum(counted.values()), f"seed {seed}"
    for name in NAMES:
        assert list(range(1, counted[name] + 1)) == box.numbers(name), f"seed {seed}"
    return len(box.events) - sum(counted.values())


@pytest.mark.parametrize("seed", range(5))
def test_every_commit_is_told_and_in_order_whatever_the_schedule(seed: int) -> None:
    """Each request is applied once, and whoever ignores ids that it has seen sees the numbers go up by one."""
    check(seed)


@pytest.mark.thorough
def test_forty_schedules_lose_nothing_and_keep_the_order() -> None:
    """Among them many in which relays overtake each other: events come again, and it does no harm."""
    assert sum(map(check, range(100, 140))) > 40
