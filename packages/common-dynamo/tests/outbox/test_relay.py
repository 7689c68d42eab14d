"""The relay (D39): at least once, in order per aggregate, however many relays there are and whatever their clocks say."""

import logging
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from common.dynamo import DAO, Change, Database
from common.dynamo.exceptions import ConditionFailed
from common.dynamo.outbox import EmittedEvent, outbox_key
from common.dynamo.relay import OutboxRelay, RelayPass
from common.dynamo.requests import Constant, Path, Update, UpdateItem
from common.dynamo.testing import FaultPlan, FaultRates, spend
from common.dynamo.testing.canaries import CANARY, find_canaries
from common.dynamo.testing.events import Postbox, Told
from common.dynamo.testing.examples import COUNTER, Counter
from common.exceptions import ConfigurationError, InvalidInput

Opener = Callable[..., Database]


def tell(db: Database, about: str, *numbers: int) -> None:
    for number in numbers:
        with db.transaction(deadline=30) as tx:
            tx.emit(Told(about=about, number=number))


def drain(relay: OutboxRelay) -> None:
    while relay.run_once().published:
        pass


# One relay


def test_a_pass_publishes_in_order_and_leaves_nothing(db: Database) -> None:
    """8 read units for the pass; 2 write units and 2 round trips for each aggregate; nothing the second time."""
    tell(db, "a", 1, 2, 3)
    tell(db, "b", 1)
    box = Postbox()
    relay = OutboxRelay(db, box)
    with spend(rcu=8, wcu=4, trips=12):
        assert RelayPass(published=4) == relay.run_once()
    with spend(rcu=8, wcu=0, trips=8):
        assert RelayPass() == relay.run_once()

    assert ([1, 2, 3], [1]) == (box.numbers("a", repeats=True), box.numbers("b", repeats=True))


def test_a_pass_publishes_one_batch_of_each_aggregate(db: Database) -> None:
    """So that a long backlog does not hold up the others; the rest keeps its order and its place."""
    tell(db, "a", 1, 2, 3, 4, 5)
    tell(db, "b", 1)
    box = Postbox()
    relay = OutboxRelay(db, box, batch=2)

    assert [3, 2, 1, 0] == [relay.run_once().published for _ in range(4)]
    assert [1, 2, 3, 4, 5] == box.numbers("a", repeats=True)


def test_the_largest_batch_fits_into_one_acknowledgement(db: Database) -> None:
    """A hundred events, taken away by their ids and places; the rest stays, and so does the count of their bytes."""
    with db.transaction() as tx:
        for number in range(250):
            tx.emit(Told(about="a", number=number))
    box = Postbox()
    relay = OutboxRelay(db, box, batch=100)

    assert [100, 100, 50, 0] == [relay.run_once().published for _ in range(4)]
    assert list(range(250)) == box.numbers("a", repeats=True)


def test_the_room_of_what_was_published_is_given_back(db: Database) -> None:
    """Byte by byte, while the aggregate never comes to rest."""
    box = Postbox()
    relay = OutboxRelay(db, box, batch=1)
    for number in range(12):
        with db.transaction() as tx:
            tx.emit(Told(about="a", number=number, text="x" * 100_000))
        if number:
            assert 1 == relay.run_once().published

    assert list(range(11)) == box.numbers("a", repeats=True)


def test_what_is_emitted_while_a_batch_is_published_stays(db: Database) -> None:
    """An acknowledgement takes away what was published, and not a list that has grown since."""
    tell(db, "a", 1)
    box = Postbox(before=lambda event: tell(db, "a", 2) if not box.events else None)
    relay = OutboxRelay(db, box)

    assert [1, 1, 0] == [relay.run_once().published for _ in range(3)]
    assert [1, 2] == box.numbers("a", repeats=True)


def test_a_failing_event_holds_up_its_aggregate_alone(
    db: Database, monotonic: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """What was published before it is acknowledged; after a pause that grows it is tried again; no value is told."""
    tell(db, "a", 1, 2, 3)
    tell(db, "b", 1, 2)
    broken = [True]

    def refuse(event: EmittedEvent) -> None:
        if broken[0] and event.aggregate == "a" and '"number":2' in event.body:
            raise ConnectionError(event.body)

    box = Postbox(before=refuse)
    relay = OutboxRelay(db, box)
    with caplog.at_level(logging.WARNING):
        assert RelayPass(published=3, failed=1) == relay.run_once()
        assert RelayPass(held=1) == relay.run_once()
    monotonic.now += 60
    assert RelayPass(failed=1) == relay.run_once()
    monotonic.now += 60
    broken[0] = False
    assert RelayPass(published=2) == relay.run_once()

    assert ([1, 2, 3], [1, 2]) == (box.numbers("a", repeats=True), box.numbers("b", repeats=True))
    assert 2 == caplog.text.count("of type told raised ConnectionError. It holds up its aggregate")
    assert "number" not in caplog.text


def test_an_event_that_cannot_be_read_holds_up_its_aggregate_alone(
    db: Database, table_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and nothing is lost."""
    tell(db, "a", 1)
    tell(db, "b", 1)
    broken = Update(set=((Path(("_e", 0, "b")), Constant({"N": "1"})), (Path(("_n",)), Constant({"S": CANARY}))))
    with db.transaction() as tx:
        tx.part(UpdateItem(table=table_name, key=outbox_key("a"), update=broken))
    box = Postbox()
    with caplog.at_level(logging.ERROR):
        assert RelayPass(published=1, failed=1) == OutboxRelay(db, box).run_once()

    assert ([], [1]) == (box.numbers("a"), box.numbers("b"))
    assert "this version can read" in caplog.text
    assert [] == find_canaries({"log": caplog.text})


def test_a_relay_runs_until_it_is_stopped(db: Database) -> None:
    """It goes on through failures of the engine and of publishing."""
    stop = threading.Event()

    def see(event: EmittedEvent) -> None:
        if len(box.events) == 29:
            stop.set()

    box = Postbox(before=see)
    for number in range(10):
        tell(db, f"a{number}", 1, 2, 3)
    relay = OutboxRelay(db, box, batch=1)
    thread = threading.Thread(target=relay.run, args=(stop,), kwargs={"interval": 0.001})
    thread.start()
    thread.join(30)

    assert not thread.is_alive()
    assert [[1, 2, 3]] * 10 == [box.numbers(f"a{number}") for number in range(10)]


def test_a_relay_outlives_an_engine_that_is_away(
    faulty: Database, faults: FaultPlan, caplog: pytest.LogCaptureFixture
) -> None:
    """It logs and waits; no event is lost."""
    tell(faulty, "a", 1, 2)
    stop = threading.Event()
    box = Postbox(before=lambda event: stop.set() if '"number":2' in event.body else None)
    faults.rates = FaultRates(error_before=0.4, drop_after=0.3)
    # The quota of retries ends here, so that passes fail as a whole.
    faulty._executor.quota._available = 5
    thread = threading.Thread(target=OutboxRelay(faulty, box).run, args=(stop,), kwargs={"interval": 0.001})
    with caplog.at_level(logging.WARNING):
        thread.start()
        thread.join(0.5)
        faults.heal()
        thread.join(30)

    assert not thread.is_alive()
    assert [1, 2] == box.numbers("a")


def test_a_pass_that_is_stopped_leaves_the_rest(db: Database) -> None:
    """Between two aggregates."""
    stop = threading.Event()
    box = Postbox(before=lambda event: stop.set())
    for about in ("a", "b", "c"):
        tell(db, about, 1)

    assert 1 == OutboxRelay(db, box).run_once(stop=stop).published
    drain(OutboxRelay(db, box))
    assert 3 == len(box.events)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"batch": 0}, InvalidInput),
        ({"batch": 101}, InvalidInput),
        ({"lease": 0}, ConfigurationError),
        ({"publish": None}, ConfigurationError),
    ],
)
def test_wrong_options_of_a_relay_are_refused(db: Database, options: dict[str, Any], error: type[Exception]) -> None:
    """When it is made."""
    with pytest.raises(error):
        OutboxRelay(db, **{"publish": Postbox(), **options})
    assert "OutboxRelay" in repr(OutboxRelay(db, Postbox()))


# Several relays


def test_a_claimed_aggregate_is_left_to_its_relay_until_the_lease_is_over(
    db: Database, open_another: Opener, clock: Any
) -> None:
    """A second relay takes over from one that has died, and tells the same events again, in order."""
    tell(db, "a", 1, 2)

    def die(event: EmittedEvent) -> None:
        if '"number":2' in event.body:
            raise SystemExit

    first, second = Postbox(before=die), Postbox()
    with suppress(SystemExit):
        OutboxRelay(db, first, lease=30).run_once()
    other = OutboxRelay(open_another(clock=clock), second)
    with spend(rcu=8, wcu=0):
        assert RelayPass(held=1) == other.run_once()
    clock.now += 31
    assert RelayPass(published=2) == other.run_once()
    assert ([1], [1, 2]) == (first.numbers("a"), second.numbers("a", repeats=True))


def test_a_relay_that_was_overtaken_takes_nothing_away_that_it_has_not_published(
    db: Database, open_another: Opener, clock: Any
) -> None:
    """While it publishes, another one has published, acknowledged and seen new events: those stay."""
    late = open_another(clock=lambda: clock.now + 3600)
    fast = Postbox()

    def overtake(event: EmittedEvent) -> None:
        if not slow.events:
            drain(OutboxRelay(late, fast))
            tell(db, "a", 3, 4)

    slow = Postbox(before=overtake)
    tell(db, "a", 1, 2)
    assert 2 == OutboxRelay(db, slow).run_once().published
    assert [1, 2] == slow.numbers("a") == fast.numbers("a")
    drain(OutboxRelay(late, fast))
    assert [1, 2, 3, 4] == fast.numbers("a", repeats=True)


def test_a_relay_stops_in_the_middle_of_a_batch_when_its_lease_is_over(db: Database, monotonic: Any) -> None:
    """Another one may have begun; what it has published it acknowledges."""
    tell(db, "a", 1, 2, 3)

    def dawdle(event: EmittedEvent) -> None:
        monotonic.now += 20

    box = Postbox(before=dawdle)
    relay = OutboxRelay(db, box, lease=30)
    assert [2, 1, 0] == [relay.run_once().published for _ in range(3)]
    assert [1, 2, 3] == box.numbers("a", repeats=True)


@pytest.mark.parametrize("skew", [0, 3600], ids=["equal clocks", "clocks an hour apart"])
def test_two_relays_and_eight_emitters_keep_the_order_of_the_commits(
    db: Database, open_another: Opener, clock: Any, skew: int
) -> None:
    """Whoever ignores ids that it has seen, sees each aggregate's events in order; equal clocks leave no repeats."""
    emitting = open_another()
    counters, names = emitting.dao(COUNTER), ("a", "b", "c")
    for name in names:
        counters.create(Counter(name=name))
    chance = random.Random(7)
    box = Postbox(before=lambda event: event.sequence % 7 or threading.Event().wait(chance.random() / 500))
    done = threading.Event()
    ahead = open_another(clock=lambda: clock.now + skew)
    relays = [OutboxRelay(each, box, batch=3) for each in (open_another(clock=clock), ahead)]
    workers = [threading.Thread(target=count, args=(emitting, counters, names, thread)) for thread in range(8)]
    carriers = [threading.Thread(target=relay.run, args=(done,), kwargs={"interval": 0.001}) for relay in relays]
    for thread in (*workers, *carriers):
        thread.start()
    for thread in workers:
        thread.join()
    done.set()
    for thread in carriers:
        thread.join()
    clock.now += 7200
    drain(OutboxRelay(ahead, box))

    for name in names:
        assert list(range(1, counters.require(name).hits + 1)) == box.numbers(name)
    assert 80 == len({event.id for event in box.events})
    assert skew or 80 == len(box.events)


def count(db: Database, counters: DAO[Counter], names: tuple[str, ...], thread: int) -> None:
    """Ten times: add one to a counter, and tell in the same commit which number it came to."""
    for step in range(10):
        name = names[(thread + step) % len(names)]
        while True:
            with suppress(ConditionFailed):  # somebody else was faster
                tell_next(db, name, counters.require(name, deadline=30).hits)
                break


def tell_next(db: Database, name: str, seen: int) -> None:
    def set_number(change: Change[Counter], it: Counter) -> None:
        change.set(it.hits, seen + 1)

    with db.transaction(deadline=30) as tx:
        tx.update(db.dao(COUNTER), name, set_number, where=lambda it: it.hits == seen)
        tx.emit(Told(about=name, number=seen + 1))
