"""The progress of backfills (D38): stopped, killed and resumed runs end in the same result; two runners never fight."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from common.dynamo import Database, EntityType, Index, Key, Unique
from common.dynamo.backfill import (
    Backfill,
    BackfillCounts,
    BackfillInUse,
    BackfillProgress,
    BackfillState,
    Watching,
)
from common.dynamo.backfill_progress import LEASE, form_of, progress_key
from common.dynamo.exceptions import InvalidItem, Unavailable
from common.dynamo.multi_attribute_keys import MultiKey
from common.dynamo.requests import PutItem
from common.dynamo.testing import Engine, Fault, FaultPlan, FaultRates, NetworkEngine, network_wire, spend
from common.dynamo.testing.generations import CARD_1, CARD_3, TASK_1, TASK_3, Card1, Card3, Task1, Task3
from common.exceptions import ConfigurationError

STOPPED, FINISHED = BackfillState.STOPPED, BackfillState.FINISHED


@pytest.fixture
def cards(fleet: Any) -> int:
    """Forty cards of the first release."""
    dao = fleet.cards(1)
    dao.batch_write([dao.plan.put(Card1(id=str(n), name=f"name {n}"), replace=True) for n in range(40)])
    return 40


def backfill(fleet: Any, **options: Any) -> Backfill[Card3]:
    """A backfill of cards by the newest release."""
    return Backfill(fleet.releases[2], CARD_3, **{"name": "cards-3", **options})


def schemas(fleet: Any, count: int) -> list[str]:
    return [fleet.item(fleet.cards(3), str(number))["_s"]["N"] for number in range(count)]


def stop_after(items: int) -> Watching:
    """Ask to stop when so many items were examined."""
    seen = [0]

    def note(counts: BackfillCounts) -> None:
        seen[0] = counts.examined

    return Watching(on_progress=note, should_stop=lambda: seen[0] >= items)


# Stopped and resumed


@pytest.mark.parametrize("segments", [1, 4])
def test_a_walk_goes_on_where_it_was_stopped(fleet: Any, cards: int, segments: int) -> None:
    """By whichever process comes next: all runs together examine and rewrite each item once."""
    first = backfill(fleet, segments=segments).run(watching=stop_after(10))
    stored = backfill(fleet).progress()
    second = backfill(fleet, segments=segments).run(max_items=5)
    third = backfill(fleet).run()

    assert [STOPPED, STOPPED, FINISHED] == [first.state, second.state, third.state]
    assert stored is not None
    assert first.counts == stored.counts
    assert segments == len(stored.positions)
    assert 10 <= first.counts.examined < 10 + segments
    assert first.counts.examined + 5 == second.counts.examined
    assert (cards, cards, cards) == (third.counts.examined, third.counts.outdated, third.counts.rewritten)
    assert 3 == third.runs
    assert ["3"] * cards == schemas(fleet, cards)


def test_max_items_that_are_all_items_is_the_end(fleet: Any, cards: int) -> None:
    """Nothing is left to do."""
    assert FINISHED == backfill(fleet).run(max_items=cards).state


def test_a_finished_backfill_does_nothing_until_it_is_restarted(fleet: Any, cards: int) -> None:
    """It tells what it has done, for the price of looking that up; then it walks anew."""
    done = backfill(fleet).run()
    fleet.cards(1).create(Card1(id="late", name="old code is still running"))
    with spend(rcu=1, wcu=0, trips=1):
        again = backfill(fleet).run()
    anew = backfill(fleet).run(restart=True)

    assert (done.state, done.counts, done.runs) == (again.state, again.counts, again.runs)
    assert (cards + 1, 1, 1) == (anew.counts.examined, anew.counts.outdated, anew.counts.rewritten)


def test_an_error_keeps_what_was_done(fleet: Any, cards: int) -> None:
    """A change that raises, in the middle: the next run goes on at the item that it raised for."""
    seen: list[str] = []

    def change(card: Card3) -> Card3 | None:
        seen.append(card.id)
        if len(seen) == 15:
            raise ZeroDivisionError
        return None

    with pytest.raises(ZeroDivisionError):
        backfill(fleet, change=change).run()
    stored = backfill(fleet).progress()
    assert stored is not None
    assert (STOPPED, 14) == (stored.state, stored.counts.examined)

    result = backfill(fleet, change=change).run()

    assert (cards, cards) == (result.counts.examined, result.counts.rewritten)
    assert seen[14] == seen[15]
    assert cards + 1 == len(seen)


def test_an_interrupt_is_saved(fleet: Any, cards: int) -> None:
    """Ctrl-C in the middle of an item."""

    def interrupt(counts: BackfillCounts) -> None:
        if counts.examined == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backfill(fleet).run(watching=Watching(on_progress=interrupt))
    stored = backfill(fleet).progress()

    assert stored is not None
    assert (STOPPED, 9) == (stored.state, stored.counts.examined)
    assert cards == backfill(fleet).run().counts.rewritten


def test_an_engine_that_fails_for_good_ends_the_run(engine: Engine, table_name: str, faults: FaultPlan) -> None:
    """Even the last save fails; the next run looks at what was not saved again, and finds it done."""
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    def outage(counts: BackfillCounts) -> None:
        if counts.examined == 12:
            faults.rates = FaultRates(refuse=1.0)

    with engine.open(
        table=table_name, entity_types=[CARD_3], faults=faults, sleep=sleep, monotonic=lambda: clock[0]
    ) as db:
        older = Database(db.wire, table=table_name, entity_types=[CARD_1]).dao(CARD_1)
        older.batch_write([older.plan.put(Card1(id=str(n), name="n"), replace=True) for n in range(40)])
        with pytest.raises(Unavailable):
            Backfill(db, CARD_3, name="cards-3", save_every=10).run(watching=Watching(on_progress=outage))
        faults.heal()
        result = Backfill(db, CARD_3, name="cards-3").run(take_over=True)

        assert (FINISHED, 40, 10 + 28) == (result.state, result.counts.examined, result.counts.rewritten)
        assert 40 == Backfill(db, CARD_3, name="check").run(dry_run=True).counts.examined


# Two runners


def test_a_second_runner_is_refused(fleet: Any, cards: int) -> None:
    """While the first one works; it says until when."""
    refusals: list[BackfillInUse] = []

    def second(counts: BackfillCounts) -> None:
        if counts.examined == 5:
            with pytest.raises(BackfillInUse, match="Another runner works on backfill cards-3") as caught:
                backfill(fleet).run()
            refusals.append(caught.value)

    result = backfill(fleet).run(watching=Watching(on_progress=second))

    assert FINISHED == result.state
    assert cards == result.counts.rewritten
    assert refusals[0].until > 0


def test_who_takes_over_stops_the_other(fleet: Any, cards: int) -> None:
    """The first runner ends at its next save; the items are rewritten once, by either of them."""
    results = []

    def second(counts: BackfillCounts) -> None:
        if counts.examined == 12:
            results.append(backfill(fleet).run(take_over=True))

    with pytest.raises(BackfillInUse):
        backfill(fleet, save_every=5).run(watching=Watching(on_progress=second))

    assert [FINISHED] == [result.state for result in results]
    assert 10 + 30 == results[0].counts.examined  # ten were saved, the two after them are looked at again
    assert 10 + 28 == results[0].counts.rewritten
    assert ["3"] * cards == schemas(fleet, cards)


def test_a_dead_runner_is_followed_after_a_minute(engine: Engine, table_name: str) -> None:
    """By an injected clock; before, its item is taken for held."""
    now = [1_800_000_000.0]
    with engine.open(table=table_name, entity_types=[CARD_3], clock=lambda: now[0]) as db:
        dead = BackfillProgress.begun("cards-3", CARD_3, 1, runner="dead", now=now[0])
        store(db, dead.item("w"))
        now[0] += LEASE - 1
        with pytest.raises(BackfillInUse):
            Backfill(db, CARD_3, name="cards-3").run()
        now[0] += 1

        assert FINISHED == Backfill(db, CARD_3, name="cards-3").run().state


def test_two_that_begin_at_once_are_one_and_a_refusal(fleet: Any, cards: int) -> None:
    """Both have found nothing; the condition of the claim lets one through."""
    backfills = [backfill(fleet), backfill(fleet)]

    class Between:
        """Lets the second one begin and end between the first one's look and its claim."""

        def on_request(self, call: Any, /) -> None:
            if call.pattern == "Backfill.progress" and isinstance(call.request, PutItem) and len(backfills) == 2:
                backfills.pop().run(max_items=1)

        def on_result(self, call: Any, result: Any, /) -> None:
            """Do nothing."""

        def on_error(self, call: Any, error: BaseException, /) -> None:
            """Do nothing."""

    newest = fleet.releases[2]
    watched = Database(
        newest.wire, table=newest.table_of(CARD_3), entity_types=[CARD_3, TASK_3], interceptors=[Between()]
    )
    with pytest.raises(BackfillInUse):
        Backfill(watched, CARD_3, name="cards-3").run()
    assert 1 == len(backfills)


def test_a_lost_answer_of_a_claim_is_no_other_runner(fleet: Any, cards: int, faults: FaultPlan) -> None:
    """The item that it finds is its own."""
    faults.script(None, Fault.DROP_AFTER)
    assert FINISHED == backfill(fleet).run().state
    assert cards == backfill(fleet).run().counts.rewritten


# Names


def test_a_name_belongs_to_one_entity_type_and_form(fleet: Any, cards: int) -> None:
    """Another type, or a schema of later, needs a name of its own or a restart."""
    backfill(fleet).run()
    newest = fleet.releases[2]

    with pytest.raises(ConfigurationError, match="is one of card; give this one another name"):
        Backfill(newest, TASK_3, name="cards-3").run()
    with pytest.raises(ConfigurationError, match="begun for another schema or other indexes"):
        Backfill(fleet.releases[0], CARD_1, name="cards-3").run()
    assert FINISHED == Backfill(fleet.releases[0], CARD_1, name="cards-3").run(restart=True).state


def store(db: Database, item: Any) -> None:
    with db.transaction() as tx:
        tx.part(PutItem(table=db.table_of(CARD_3), item=item))


def test_progress_that_cannot_be_read_is_told_and_can_be_replaced(fleet: Any, cards: int) -> None:
    """Somebody has changed it by hand."""
    store(fleet.releases[2], {**progress_key("cards-3"), "_t": {"S": "_backfill"}, "_w": {"S": "x"}})

    with pytest.raises(InvalidItem, match="restart=True"):
        backfill(fleet).run()
    assert cards == backfill(fleet).run(restart=True).counts.rewritten


def test_a_form_is_schema_and_indexes() -> None:
    """Whatever kinds of keys they have; nothing else of a declaration counts."""
    by_title, by_fields = Index("GSI1", Key("T#{title}", "{id}")), Index("GSI1", MultiKey("title", "id"))

    def form(**options: Any) -> str:
        return form_of(EntityType(Card3, "card", key=CARD_3.key, **options))

    steps = {1: lambda item: item}
    forms = [form(), form(schema=2, upcast=steps), form(indexes=[by_title]), form(indexes=[by_fields])]
    assert 4 == len(set(forms))
    assert forms[0] == form(unique=[Unique("title")])
    assert forms[1] == form(schema=2, upcast={1: lambda item: {**item}})


def test_progress_is_an_item_that_says_all_of_it() -> None:
    """Written and read, it is the same."""
    begun = BackfillProgress.begun("cards-3", CARD_3, 100, runner="r", now=5.0)

    assert begun == BackfillProgress.read("cards-3", begun.item("w"))


def test_progress_is_no_item_of_any_type(fleet: Any, cards: int) -> None:
    """Neither reads nor backfills ever see it."""
    backfill(fleet).run(max_items=3)

    assert cards == len(fleet.cards(3).scan(name="check").all())
    assert cards == Backfill(fleet.releases[2], CARD_3, name="another").run().counts.examined


# Killed


RUNNER = """
import sys
from common.dynamo import Database, EntityType, Index, Key, Unique
from common.dynamo.backfill import Backfill, Watching
from common.dynamo.testing import network_wire
from common.dynamo.testing.generations import TASK_3

place, table = sys.argv[1:]
if place.startswith("http"):
    db = Database.connect(table=table, wire=network_wire(place), entity_types=[TASK_3])
else:
    db = Database.embedded(place, table=table, entity_types=[TASK_3])

def wait_for_the_end(counts):
    if counts.examined == 30:
        print("in the middle", flush=True)
        sys.stdin.read()

change = lambda task: None if task.priority == 1 else task.model_copy(update={"priority": 1})
Backfill(db, TASK_3, name="tasks-3", segments=3, save_every=12, change=change).run(
    watching=Watching(on_progress=wait_for_the_end)
)
"""


@pytest.fixture
def place(engine: Engine, tmp_path: Path) -> str:
    """Where another process finds the table: the run's server, or a file of the embedded engine."""
    return engine.endpoint_url if isinstance(engine, NetworkEngine) else str(tmp_path / "tables.db")


@pytest.fixture
def reopen(place: str, table_name: str) -> Iterator[Callable[[Any], Database]]:
    """Open the place as a program with these entity types."""
    opened: list[Database] = []

    def reopen(entity: Any) -> Database:
        if place.startswith("http"):
            db = Database.connect(table=table_name, wire=network_wire(place), entity_types=[entity])
            db.create_tables()
        else:
            db = Database.embedded(place, table=table_name, entity_types=[entity])
        opened.append(db)
        return db

    yield reopen
    for db in opened:
        db.close()


def test_a_killed_run_is_finished_by_the_next(place: str, table_name: str, reopen: Callable[[Any], Database]) -> None:
    """kill -9 in the middle of 70 items: in the end each of them was changed exactly once, and counted once."""
    older = reopen(TASK_1).dao(TASK_1)
    for number in range(70):
        older.create(Task1(project=f"p{number % 7}", number=number, text=f"task {number}"))
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER, place, table_name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert runner.stdout is not None
    assert "in the middle\n" == runner.stdout.readline()
    runner.kill()
    runner.communicate()

    db = reopen(TASK_3)
    interrupted = Backfill(db, TASK_3, name="tasks-3").progress()
    assert interrupted is not None
    assert (BackfillState.RUNNING, 24) == (interrupted.state, interrupted.counts.examined)
    found = changed(db)
    assert 30 <= sum(task.version == 2 for task in found) < 30 + 3

    result = Backfill(
        db,
        TASK_3,
        name="tasks-3",
        change=lambda task: None if task.priority == 1 else task.model_copy(update={"priority": 1}),
    ).run(take_over=True)

    assert FINISHED == result.state
    assert 70 == result.counts.examined
    assert 2 == result.runs
    assert {(2, 1)} == {(task.version, task.priority) for task in changed(db)}


def changed(db: Database) -> list[Task3]:
    found = db.dao(TASK_3).scan(name="check").all()
    assert 70 == len(found)
    return found
