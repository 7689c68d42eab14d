"""Backfills (D38): what they do to items, whatever rivals do meanwhile, and what they tell and cost."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.dynamo import DAO, Database, EntityType, Key, Unique, metered
from common.dynamo.backfill import Backfill, BackfillCounts, BackfillState, Watching
from common.dynamo.exceptions import DynamoError, InvalidItem, UniqueViolation
from common.dynamo.requests import PutItem, UpdateItem
from common.dynamo.testing import Engine, FaultPlan, FaultRates, spend
from common.dynamo.testing.generations import BY_TITLE, CARD_1, CARD_3, TASK_3, Card1, Card3, Task1, Task3
from common.exceptions import ConfigurationError, InvalidInput

FINISHED = BackfillState.FINISHED


def cards(fleet: Any, count: int) -> None:
    """Store cards as the first release does."""
    dao = fleet.cards(1)
    dao.batch_write([dao.plan.put(Card1(id=str(n), name=f"name {n}", phone="1"), replace=True) for n in range(count)])


def tasks(fleet: Any, count: int) -> None:
    """Store tasks as the first release does."""
    for number in range(count):
        fleet.tasks(1).create(Task1(project="p", number=number, text=f"task {number}"))


def backfill(fleet: Any, entity: EntityType[Any], **options: Any) -> Backfill[Any]:
    """A backfill by the newest release."""
    return Backfill(fleet.releases[2], entity, **{"name": "the-backfill", **options})


class Rival:
    """Changes an item just before a backfill's write of it, as often as it is told to."""

    def __init__(self, change: Callable[[], object], times: int = 1) -> None:
        self.change = change
        self.left = times

    def on_request(self, call: Any, /) -> None:
        """Be faster."""
        if call.pattern.endswith(".backfill") and isinstance(call.request, UpdateItem) and self.left:
            self.left -= 1
            self.change()

    def on_result(self, call: Any, result: Any, /) -> None:
        """Do nothing."""

    def on_error(self, call: Any, error: BaseException, /) -> None:
        """Do nothing."""


def with_rival(fleet: Any, rival: Rival) -> Database:
    """The newest release once more, with a rival before its writes."""
    newest = fleet.releases[2]
    return Database(newest.wire, table=newest.table_of(CARD_3), entity_types=(CARD_3, TASK_3), interceptors=[rival])


# Outdated schemas


@pytest.mark.parametrize("segments", [1, 4])
def test_older_items_are_brought_to_the_current_schema(fleet: Any, segments: int) -> None:
    """Each once, with its content, its unknown attributes and its version; current and foreign items are not touched."""
    cards(fleet, 20)
    tasks(fleet, 5)
    current = fleet.cards(3).create(Card3(id="new", title="new", phones=[]))
    before = fleet.item(fleet.cards(3), "new")
    task = fleet.item(fleet.tasks(3), ("p", 1))

    result = backfill(fleet, CARD_3, segments=segments).run()

    assert FINISHED == result.state
    assert (21, 20, 20) == (result.counts.examined, result.counts.outdated, result.counts.rewritten)
    assert 21 + 5 + 5 <= result.counts.scanned
    assert {"3"} == {fleet.item(fleet.cards(3), str(n))["_s"]["N"] for n in range(20)}
    assert Card3(id="7", title="name 7", phones=["1"]) == fleet.cards(3).get("7")
    assert before == fleet.item(fleet.cards(3), current.id)
    assert task == fleet.item(fleet.tasks(3), ("p", 1))
    assert Task3(project="p", number=1, text="task 1", labels=["migrated"], version=1) == _task_after(fleet)


def _task_after(fleet: Any) -> Any:
    result = backfill(fleet, TASK_3, name="tasks-3").run()

    assert (5, 5) == (result.counts.examined, result.counts.rewritten)
    assert {"3"} == {fleet.item(fleet.tasks(3), ("p", n))["_s"]["N"] for n in range(5)}
    return fleet.tasks(3).get(("p", 1))


def test_a_second_backfill_finds_nothing_to_do(fleet: Any) -> None:
    """It examines, and writes no item."""
    cards(fleet, 6)
    backfill(fleet, CARD_3).run()
    with metered() as meter:
        result = backfill(fleet, CARD_3, name="another").run()

    assert BackfillCounts(scanned=result.counts.scanned, examined=6) == result.counts
    assert 2 == meter.cost.wcu  # its progress, at the beginning and at the end


def test_items_of_a_newer_schema_are_left_alone(fleet: Any) -> None:
    """An older release that backfills does not know their form."""
    fleet.cards(3).create(Card3(id="1", title="t", phones=["1", "2"]))
    before = fleet.item(fleet.cards(3), "1")

    result = Backfill(fleet.releases[0], CARD_1, name="old").run()

    assert BackfillCounts(scanned=result.counts.scanned, examined=1, newer=1) == result.counts
    assert before == fleet.item(fleet.cards(3), "1")


def test_expired_items_are_not_rewritten(fleet: Any) -> None:
    """They are gone for everybody."""
    past = datetime.now(UTC) - timedelta(days=1)
    fleet.tasks(1).create(Task1(project="p", number=1, text="over", due=past))

    assert 0 == backfill(fleet, TASK_3).run().counts.examined
    assert "1" == fleet.item(fleet.tasks(3), ("p", 1))["_s"]["N"]


# Index keys


def test_items_enter_an_index_that_was_added(fleet: Any) -> None:
    """Also those whose schema is current."""
    newest = fleet.releases[2]
    plain = EntityType(Card3, "card", key=CARD_3.key, schema=3, upcast=CARD_3.upcast)
    before = Database(newest.wire, table=newest.table_of(CARD_3), entity_types=[plain]).dao(plain)
    for number in range(5):
        before.create(Card3(id=str(number), title="same"))
    assert [] == fleet.cards(3).query(BY_TITLE, title="same").all()

    result = backfill(fleet, CARD_3).run()

    assert (5, 5) == (result.counts.outdated, result.counts.rewritten)
    assert 5 == len(fleet.cards(3).query(BY_TITLE, title="same").all())


def test_an_item_that_cannot_be_in_the_index_is_refused(fleet: Any) -> None:
    """An empty text is no part of a key: the item stays as it is, and the walk goes on."""
    newest = fleet.releases[2]
    plain = EntityType(Card3, "card", key=CARD_3.key, schema=3, upcast=CARD_3.upcast)
    before = Database(newest.wire, table=newest.table_of(CARD_3), entity_types=[plain]).dao(plain)
    before.create(Card3(id="1", title=""))
    before.create(Card3(id="2", title="t"))

    result = backfill(fleet, CARD_3).run()

    assert (2, 1, 1) == (result.counts.outdated, result.counts.rewritten, result.counts.refused)


def test_a_stale_index_key_is_put_right(fleet: Any) -> None:
    """Somebody has written it by hand."""
    cards_3 = fleet.cards(3)
    cards_3.create(Card3(id="1", title="right"))
    item = {**fleet.item(cards_3, "1"), "g2pk": {"S": "TITLE#wrong"}}
    with fleet.releases[2].transaction() as tx:
        tx.part(PutItem(table=cards_3.plan.table, item=item))

    backfill(fleet, CARD_3).run()

    assert ["1"] == [card.id for card in cards_3.query(BY_TITLE, title="right")]
    assert [] == cards_3.query(BY_TITLE, title="wrong").all()


# A change


def test_a_change_makes_new_content_one_version_further(fleet: Any) -> None:
    """``None`` and an equal model leave an item as it is; a model changed in place is told from the stored one."""
    dao = fleet.tasks(3)
    for number in range(6):
        dao.create(Task3(project="p", number=number, text=f"task {number}", labels=[]))

    def change(task: Task3) -> Task3 | None:
        if task.number < 2:
            return None
        if task.number < 4:
            task.priority = 1
            return task
        return task.model_copy(update={"labels": ["old"], "state": "closed"})

    result = backfill(fleet, TASK_3, change=change).run()
    again = backfill(fleet, TASK_3, change=change, name="again").run()

    assert (6, 4, 4) == (result.counts.examined, result.counts.outdated, result.counts.rewritten)
    assert 0 == again.counts.outdated
    found = [dao.require(("p", number)) for number in range(6)]
    assert [1, 1, 2, 2, 2, 2] == [task.version for task in found]
    assert [5, 5, 1, 1, 5, 5] == [task.priority for task in found]
    assert [4, 5] == [task.number for task in dao.query("GSI1", project="p", state="closed")]


def test_a_change_of_a_unique_field_moves_its_lock(fleet: Any) -> None:
    """And one to a value that another item owns is refused, counted, and told with its key to who asks."""
    dao = fleet.tasks(3)
    for number, text in enumerate(("a", "b", "taken")):
        dao.create(Task3(project="p", number=number, text=text, labels=[]))
    told: list[tuple[Any, Exception]] = []
    texts = {"a": "new a", "b": "TAKEN"}

    result = backfill(
        fleet, TASK_3, change=lambda task: task.model_copy(update={"text": texts.get(task.text, task.text)})
    ).run(watching=Watching(on_failure=lambda key, error: told.append((key, error))))

    assert (2, 1, 1) == (result.counts.outdated, result.counts.rewritten, result.counts.refused)
    [(key, error)] = told
    assert TASK_3.item_key("p", 1) == key
    assert isinstance(error, UniqueViolation)
    dao.create(Task3(project="p", number=7, text="a", labels=[]))
    with pytest.raises(UniqueViolation):
        dao.create(Task3(project="p", number=8, text="new a", labels=[]))


def test_a_change_that_cannot_be_stored_is_refused(fleet: Any) -> None:
    """Another key, or a value that does not fit: the item stays, the walk goes on."""
    for number in ("1", "2", "3"):
        fleet.cards(3).create(Card3(id=number, title="t"))

    def change(card: Card3) -> Card3:
        updates: dict[str, dict[str, Any]] = {"1": {"id": "9"}, "2": {"title": 7}, "3": {"title": "u"}}
        return card.model_copy(update=updates[card.id])

    result = backfill(fleet, CARD_3, change=change).run()

    assert (3, 1, 2) == (result.counts.outdated, result.counts.rewritten, result.counts.refused)
    assert ["t", "t", "u"] == [fleet.cards(3).require(number).title for number in ("1", "2", "3")]


def test_a_change_that_returns_no_model_is_a_mistake(fleet: Any) -> None:
    """Told at once, without a value."""
    fleet.cards(3).create(Card3(id="1", title="t"))

    with pytest.raises(ConfigurationError, match="returned dict; it returns Card3 or None"):
        backfill(fleet, CARD_3, change=lambda card: card.model_dump()).run()


# Rivals


def test_a_rivals_write_is_never_overwritten(fleet: Any) -> None:
    """The refused rewrite reads again, and keeps both: the rival's field, and the new form."""
    tasks(fleet, 1)
    older = fleet.tasks(1)
    rival = Rival(lambda: older.update(older.require(("p", 0)), lambda change, it: change.set(it.text, "rival's")))

    result = Backfill(with_rival(fleet, rival), TASK_3, name="races").run()

    assert BackfillCounts(scanned=3, examined=1, outdated=1, rewritten=1, lost_races=1) == result.counts
    assert Task3(project="p", number=0, text="rival's", labels=["migrated"], version=2) == fleet.tasks(3).get(("p", 0))


def test_without_a_version_the_write_id_tells_a_rival(fleet: Any) -> None:
    """Cards have none."""
    cards(fleet, 1)
    older = fleet.cards(1)
    rival = Rival(lambda: older.update("0", lambda change, it: change.set(it.name, "rival's")), times=3)

    result = Backfill(with_rival(fleet, rival), CARD_3, name="races").run()

    assert (1, 3) == (result.counts.rewritten, result.counts.lost_races)
    assert Card3(id="0", title="rival's", phones=["1"]) == fleet.cards(3).get("0")


@pytest.mark.parametrize("deed", ["rewritten", "deleted"])
def test_what_a_rival_has_done_already_is_not_done_again(fleet: Any, deed: str) -> None:
    """It is counted as overtaken; a deleted item does not come back."""
    cards(fleet, 1)
    newer = fleet.cards(3)
    deeds: dict[str, Callable[[], object]] = {
        "rewritten": lambda: newer.put(Card3(id="0", title="newer")),
        "deleted": lambda: newer.delete("0"),
    }

    result = Backfill(with_rival(fleet, Rival(deeds[deed])), CARD_3, name="races").run()

    assert (1, 0, 1) == (result.counts.outdated, result.counts.rewritten, result.counts.overtaken)
    assert (None if deed == "deleted" else Card3(id="0", title="newer")) == newer.get("0")


def test_an_item_that_never_holds_still_is_given_up(fleet: Any) -> None:
    """After twenty rounds, told as refused; the walk goes on."""
    cards(fleet, 2)
    older = fleet.cards(1)
    rival = Rival(lambda: older.update("0", lambda change, it: change.set(it.phone, "2")), times=10**6)

    result = Backfill(with_rival(fleet, rival), CARD_3, name="races").run()

    assert (2, 1, 1, 20) == (
        result.counts.outdated,
        result.counts.rewritten,
        result.counts.refused,
        result.counts.lost_races,
    )


def test_rivals_in_threads_lose_nothing(fleet: Any) -> None:
    """While a backfill changes every item, four threads count up on old and new code; no count is lost."""
    tasks(fleet, 30)
    counted = [0] * 4
    stop = threading.Event()

    def count_up(worker: int) -> None:
        release = fleet.tasks(1 if worker % 2 else 3)
        number = worker
        while not stop.is_set():
            release.update(("p", number % 30), lambda change, it: change.set(it.state, "open"), unlocked=True)
            counted[worker] += 1
            number += 7

    threads = [threading.Thread(target=count_up, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    while min(counted) < 3:
        stop.wait(0.001)
    result = backfill(fleet, TASK_3, segments=3, change=lambda task: task.model_copy(update={"priority": 1})).run()
    stop.set()
    for thread in threads:
        thread.join()

    found = [fleet.tasks(3).require(("p", number)) for number in range(30)]
    assert 30 == result.counts.outdated
    assert 0 == result.counts.refused + result.counts.unsettled
    assert sum(counted) + 30 + result.counts.rewritten == sum(task.version for task in found)
    assert {1} == {task.priority for task in found}


def test_lost_answers_count_once(fleet: Any, faults: FaultPlan) -> None:
    """One answer in ten is lost after the write: every item is one version further, not two."""
    for number in range(60):
        fleet.tasks(3).create(Task3(project="p", number=number, text=f"{number}", labels=[]))
    faults.rates = FaultRates(drop_after=0.1, drop_before=0.05, throttle=0.02)
    result = backfill(fleet, TASK_3, segments=2, change=lambda task: task.model_copy(update={"priority": 1})).run()
    faults.heal()

    assert (60, 60, 0) == (result.counts.outdated, result.counts.rewritten, result.counts.lost_races)
    assert {2} == {fleet.tasks(3).require(("p", number)).version for number in range(60)}


# What cannot be read


@pytest.fixture
def broken(fleet: Any) -> str:
    """Ten cards, of which one cannot be read; its id."""
    cards(fleet, 10)
    dao = fleet.cards(1)
    item = {**fleet.item(dao, "4"), "name": {"N": "1"}}
    with fleet.releases[2].transaction() as tx:
        tx.part(PutItem(table=dao.plan.table, item=item))
    return "4"


def test_what_cannot_be_read_is_counted_and_left(fleet: Any, broken: str) -> None:
    """Its key is told to who asks for keys, and to nobody else."""
    told: list[tuple[Any, DynamoError | InvalidInput]] = []
    before = fleet.item(fleet.cards(1), broken)
    result = backfill(fleet, CARD_3).run(watching=Watching(on_failure=lambda key, error: told.append((key, error))))

    assert (10, 9, 1) == (result.counts.examined, result.counts.rewritten, result.counts.invalid)
    assert FINISHED == result.state
    [(key, error)] = told
    assert CARD_3.item_key(broken) == key
    assert "CARD#4" not in str(error)
    assert "CARD#4" not in repr(result)
    assert before == fleet.item(fleet.cards(1), broken)


def test_a_backfill_can_stop_at_what_cannot_be_read(fleet: Any, broken: str) -> None:
    """And goes on at this very item, once it is repaired."""
    with pytest.raises(InvalidItem, match="title is stored as N"):
        backfill(fleet, CARD_3).run(stop_on_invalid=True)
    fleet.cards(1).put(Card1(id=broken, name="repaired"))
    result = backfill(fleet, CARD_3).run(stop_on_invalid=True)

    assert (10, 10, 0) == (result.counts.examined, result.counts.rewritten, result.counts.invalid)
    assert FINISHED == result.state


# Dry runs, costs, rates


def test_a_dry_run_writes_nothing(fleet: Any) -> None:
    """It counts what a run would rewrite, and keeps no progress."""
    cards(fleet, 12)
    fleet.cards(3).create(Card3(id="new", title="t"))
    before = [fleet.item(fleet.cards(3), str(number)) for number in range(12)]
    with spend(wcu=0):
        result = backfill(fleet, CARD_3, segments=2).run(dry_run=True)

    assert result.dry_run
    assert (13, 12, 0) == (result.counts.examined, result.counts.outdated, result.counts.rewritten)
    assert before == [fleet.item(fleet.cards(3), str(number)) for number in range(12)]
    assert backfill(fleet, CARD_3).progress() is None


@pytest.mark.parametrize("segments", [1, 3])
def test_the_result_tells_what_it_has_cost(fleet: Any, segments: int) -> None:
    """Pages, rewrites, reads after lost races, and the progress itself, in all threads."""
    cards(fleet, 9)
    with metered() as meter:
        result = backfill(fleet, CARD_3, segments=segments, save_every=2).run()

    assert (meter.cost.rcu, meter.cost.wcu, meter.cost.trips) == (result.cost.rcu, result.cost.wcu, result.cost.trips)
    # Each card enters an index, which costs a second unit; the saves stay below one kilobyte.
    assert 9 * 2 + 6 <= result.cost.wcu <= 9 * 2 + 8


def test_a_rewrite_costs_one_unit_and_one_for_each_index(fleet: Any) -> None:
    """One UpdateItem; the page is read consistently, unless that is not wanted."""
    cards(fleet, 1)
    with spend(wcu=1 + 1 + 2, trips=5, indexes={"GSI2": 1}):
        backfill(fleet, CARD_3).run()


class Clock:
    """Monotonic seconds that pass only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 5000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self.now += seconds


@pytest.mark.parametrize("segments", [1, 2])
def test_reads_and_writes_keep_to_one_rate(engine: Engine, table_name: str, segments: int) -> None:
    """By an injected clock: never more than the units of the time that has passed, and one call of each thread."""
    clock, rate, largest = Clock(), 4.0, 8.0
    with engine.open(table=table_name, entity_types=[CARD_3], monotonic=clock, sleep=clock.sleep) as db:
        older = Database(db.wire, table=table_name, entity_types=[CARD_1])
        for number in range(30):
            older.dao(CARD_1).create(Card1(id=str(number), name="n"))
        start = clock.now

        def check(counts: BackfillCounts) -> None:
            # Two units for each rewrite, on the table and on its index; reads come on top.
            assert counts.rewritten * 2 <= rate * (clock.now - start) + largest * segments

        result = Backfill(db, CARD_3, name="slow", segments=segments, units_per_second=rate).run(
            watching=Watching(on_progress=check)
        )

    assert 30 == result.counts.rewritten
    assert clock.now - start >= (result.cost.rcu + result.cost.wcu) / rate - largest * segments / rate


# Arguments


@pytest.mark.parametrize(
    "options",
    [{"name": "No Name"}, {"change": 7}, {"segments": 0}, {"units_per_second": -1}, {"save_every": 0}],
    ids=repr,
)
def test_what_means_nothing_is_refused_before_anything_is_sent(fleet: Any, options: dict[str, Any]) -> None:
    """When the backfill is described."""
    with pytest.raises((ConfigurationError, InvalidInput)):
        backfill(fleet, CARD_3, **options)


@pytest.mark.parametrize(
    "options", [{"dry_run": 1}, {"restart": "yes"}, {"take_over": None}, {"max_items": 0}], ids=repr
)
def test_what_means_nothing_is_refused_when_it_runs(fleet: Any, options: dict[str, Any]) -> None:
    """And nothing is written."""
    with spend(trips=0), pytest.raises((ConfigurationError, InvalidInput)):
        backfill(fleet, CARD_3).run(**options)


def test_counts_add() -> None:
    """Name by name."""
    one, two = BackfillCounts(examined=1, newer=1), BackfillCounts(examined=2, rewritten=1)

    assert BackfillCounts(examined=3, newer=1, rewritten=1) == one + two


def test_a_type_that_the_database_has_not_seen_is_taken_in(database: Database) -> None:
    """As with a DAO."""
    seat = EntityType(Card3, "seat", key=Key("SEAT#{id}", "SEAT"), unique=[Unique("title")])
    dao: DAO[Card3] = database.dao(seat)
    dao.create(Card3(id="1", title="t"))

    assert 1 == Backfill(database, seat, name="seats").run().counts.examined
