"""Budgets (D42): what goes over one is told, and stopped where that does no harm; by access pattern and by request."""

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from common.dynamo import Budget, Call, Database, EntityType, Key, Pattern, budget, metered
from common.dynamo import requests as rq
from common.dynamo.access import AccessPattern, get
from common.dynamo.budget_control import BudgetControl
from common.dynamo.exceptions import AlreadyExists, BudgetExceeded
from common.dynamo.testing import Engine, FaultPlan, spend
from common.dynamo.testing.examples import BY_STATE, COUNTER, INVOICE, NOTE, Counter, Note, State, make_invoice
from common.dynamo.wire import Answer, Wire
from common.dynamo.wire.faults import Fault, FaultRates
from common.exceptions import ConfigurationError


class Chapter(BaseModel):
    book: str
    number: int
    text: str


CHAPTER = EntityType(Chapter, "chapter", key=Key("BOOK#{book}", "C#{number:4}"))

Open = Callable[..., Database]
LOGGER = "common.dynamo.budgets"


class Seen:
    """An observer that counts the requests that go out."""

    def __init__(self) -> None:
        self.requests: list[rq.Request] = []

    def on_request(self, call: Call, /) -> None:
        self.requests.append(call.request)

    def on_result(self, call: Call, result: Any, /) -> None:
        pass

    def on_error(self, call: Call, error: BaseException, /) -> None:
        pass


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def opened(engine: Engine, table_name: str, seen: Seen) -> Iterator[Open]:
    """Open the database with the budgets that the test asks for; ten invoices and a note of 9 KB are in it."""
    wire = engine.wire()

    def opening(**options: Any) -> Database:
        types = (INVOICE, NOTE, COUNTER, CHAPTER)
        return Database.connect(wire=wire, table=table_name, entity_types=types, cursor_keys=["k" * 32], **options)

    fill(opening())
    yield opening
    wire.close()


def fill(database: Database) -> None:
    """Store ten invoices of one tenant and a note that three read units give."""
    database.create_tables()
    for number in range(1, 11):
        database.dao(INVOICE).create(make_invoice(number))
    database.dao(NOTE).create(Note(id="long", text="x" * 9000))


def read_long_note(db: Database) -> object:
    return db.dao(NOTE).get("long")


def read_one_page_through_a_filter(db: Database) -> object:
    """Ten items in pages of two and more; one of them passes."""
    return db.dao(INVOICE).query(tenant="t1").where(lambda it: it.number == 10).page(1)


def read_half(db: Database) -> object:
    """Examine two items for each that passes, on the first page already."""
    return db.dao(INVOICE).query(tenant="t1").where(lambda it: it.number > 5).all()


OVERRUNS = [
    pytest.param(read_long_note, Budget(rcu=2), "Note.get", {"rcu": 3}, id="rcu"),
    pytest.param(read_one_page_through_a_filter, Budget(trips=2), "Invoice.query", {"trips": 3}, id="trips"),
    pytest.param(read_one_page_through_a_filter, Budget(pages=1), "Invoice.query", {"pages": 2}, id="pages"),
    pytest.param(read_half, Budget(scanned_per_item=1.5), "Invoice.query", {"scanned_per_item": 2}, id="ratio"),
    pytest.param(
        lambda db: db.dao(NOTE).create(Note(id="new", text="x")), Budget(wcu=0.5), "Note.create", {"wcu": 1}, id="wcu"
    ),
]


@pytest.mark.parametrize(("call", "limits", "name", "spent"), OVERRUNS)
def test_what_is_over_its_budget_raises(
    opened: Open, call: Callable[[Database], object], limits: Budget, name: str, spent: dict[str, float]
) -> None:
    """With the access pattern, the limit and what it was too small for."""
    db = opened(budgets={name: limits}, budget_mode="raise")

    with pytest.raises(BudgetExceeded, match=r"written nothing.*budgets= of the database") as raised:
        call(db)
    assert (name, "pattern") == (raised.value.pattern, raised.value.scope)
    assert spent == {overrun.dimension: overrun.spent for overrun in raised.value.overruns}


@pytest.mark.parametrize(("call", "limits", "name", "spent"), OVERRUNS)
def test_what_is_over_its_budget_warns(
    opened: Open,
    caplog: pytest.LogCaptureFixture,
    call: Callable[[Database], object],
    limits: Budget,
    name: str,
    spent: dict[str, float],
) -> None:
    """And gives what it gives without a budget; the log names the pattern and the limit."""
    db, unlimited = opened(budgets={name: limits}), opened()
    with caplog.at_level(logging.WARNING, LOGGER):
        found = call(db)
    (record,) = caplog.records

    assert record.getMessage().startswith(f"{name} went over the budget of its pattern: ")
    assert f" of {getattr(limits, next(iter(spent))):g} " in record.getMessage()
    if name != "Note.create":
        assert repr(call(unlimited)) == repr(found)


def test_index_units_are_a_limit_of_their_own(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    """What a write costs on indexes is known when it is applied: it is told, whatever the mode, and never an error."""
    db = opened(budgets={"Invoice.create": Budget(wcu=4, indexes=0.5, mode="raise")})
    with caplog.at_level(logging.WARNING, LOGGER):
        db.dao(INVOICE).create(make_invoice(99))

    assert ["Invoice.create went over the budget of its pattern: 1 of 0.5 write units on indexes."] == [
        record.getMessage() for record in caplog.records
    ]
    assert 99 == db.dao(INVOICE).require(("t1", 99)).number


def test_within_its_budget_nothing_is_told(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    """To the unit and the item."""
    limits = {"Note.get": Budget(rcu=3, trips=1), "Invoice.query": Budget(pages=9, trips=9, scanned_per_item=10)}
    db = opened(budgets=limits, budget_mode="raise")
    with caplog.at_level(logging.WARNING, LOGGER):
        read_long_note(db)
        read_one_page_through_a_filter(db)

    assert [] == caplog.records


# What is stopped, and what is not -------------------------------------------------------------------------------------


def test_a_read_stops_before_the_page_that_would_be_too_many(opened: Open, seen: Seen) -> None:
    """It is not sent; nor is a further one after the units are used up."""
    of_pages = opened(budgets={"Invoice.query": Budget(pages=1)}, budget_mode="raise", interceptors=[seen])
    with pytest.raises(BudgetExceeded, match="not sent: it would make 2 of 1 pages"):
        read_one_page_through_a_filter(of_pages)
    assert 1 == len(seen.requests)

    of_units = opened(budgets={"Invoice.query": Budget(rcu=0.5)}, budget_mode="raise", interceptors=[seen])
    with pytest.raises(BudgetExceeded, match=r"not sent: it would make 1 of 0\.5 read units"):
        read_one_page_through_a_filter(of_units)
    assert 2 == len(seen.requests)


def test_a_lazy_query_pays_all_its_pages_from_one_budget(opened: Open, seen: Seen) -> None:
    """Though each is an operation of its own: of nine items of 300 KB, the third page of 1 MB is not read."""
    db = opened(budgets={"Chapter.query": Budget(pages=2)}, budget_mode="raise", interceptors=[seen])
    chapters = db.dao(CHAPTER)
    for number in range(9):
        chapters.put(Chapter(book="b", number=number, text="x" * 300_000), replace=True)
    read: list[int] = []
    with pytest.raises(BudgetExceeded):
        read.extend(chapter.number for chapter in chapters.query(book="b"))
    for chapter in chapters.query(book="b"):
        read.append(chapter.number)
        if chapter.number == 4:
            break

    assert list(range(5)) == read[-5:]
    assert list(range(len(read) - 5)) == read[:-5] != list(range(9))
    assert 4 == sum(isinstance(each, rq.Query) for each in seen.requests)


def test_an_applied_write_is_never_an_error(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    """It cost more than its budget says; that is told, and the answer is the usual one."""
    db = opened(budgets={"Note.create": Budget(wcu=2)}, budget_mode="raise")
    with caplog.at_level(logging.WARNING, LOGGER):
        db.dao(NOTE).create(Note(id="new", text="x" * 5000))

    assert "Note.create went over the budget of its pattern: 5 of 2 write units on tables" in caplog.text
    assert db.dao(NOTE).get("new") is not None


def test_a_write_without_a_budget_left_is_not_sent(opened: Open, seen: Seen) -> None:
    """Certainly nothing is applied, and the error says so."""
    db = opened(interceptors=[seen])
    with budget(trips=1, mode="raise"):
        db.dao(NOTE).create(Note(id="1", text="x"))
        with pytest.raises(BudgetExceeded, match="This call has written nothing"):
            db.dao(NOTE).create(Note(id="2", text="x"))

    assert 1 == len(seen.requests)
    assert db.dao(NOTE).get("1") is not None
    assert db.dao(NOTE).get("2") is None


def test_a_batch_is_not_stopped_half_way(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    """After its first chunk a stop would read as "not applied": the rest follows, and the overrun is told."""
    db = opened(budgets={"Note.batch_write": Budget(trips=1)}, budget_mode="raise")
    plan = db.dao(NOTE).plan
    with caplog.at_level(logging.WARNING, LOGGER):
        db.dao(NOTE).batch_write([plan.put(Note(id=f"n{n}", text="x"), replace=True) for n in range(40)])

    assert "2 of 1 round trips" in caplog.text
    assert None not in db.dao(NOTE).batch_get([f"n{n}" for n in range(40)])


def test_a_read_that_follows_a_write_is_not_stopped(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    """A write by transaction is read back: its caller gets the model, not an error after the fact."""
    db = opened(budgets={"Counter.update": Budget(trips=1, rcu=0)}, budget_mode="raise")
    db.dao(COUNTER).create(Counter(name="c"))
    with caplog.at_level(logging.WARNING, LOGGER):
        changed = db.dao(COUNTER).update("c", lambda change, it: change.add(it.hits, 1), request_id="r-1")

    assert 1 == changed.hits
    assert "2 of 1 round trips" in caplog.text


def test_a_read_before_a_write_may_be_stopped(opened: Open) -> None:
    """A put with a unique field reads what is stored: over budget, the write is not sent."""
    db = opened(budgets={"Invoice.put": Budget(trips=1)}, budget_mode="raise")
    stored = db.dao(INVOICE).require(("t1", 1))
    with pytest.raises(BudgetExceeded):
        db.dao(INVOICE).put(stored.model_copy(update={"email": "new@example.org"}))

    assert stored == db.dao(INVOICE).require(("t1", 1))


# What counts ----------------------------------------------------------------------------------------------------------


def test_attempts_of_one_call_are_one_trip(engine: Engine, table_name: str, faults: FaultPlan) -> None:
    """A throttled call is sent again: the pattern asked for no more."""
    with engine.open(
        table=table_name, entity_types=[NOTE], faults=faults, budgets={"*": Budget(trips=1)}, budget_mode="raise"
    ) as db:
        faults.script(Fault.THROTTLE, Fault.REFUSE)
        with metered() as meter:
            db.dao(NOTE).get("1", deadline=30)

    assert 3 == meter.cost.trips


class BusyOnce:
    """A wire to an engine that processes nothing of the first batch."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._is_busy = True
        self.name, self.reason, self.endpoint, self.region = wire.name, wire.reason, wire.endpoint, wire.region

    def send(self, request: rq.Request, timeout: float) -> Answer:
        answer = self._wire.send(request, timeout)
        if isinstance(request, rq.BatchGetItem) and self._is_busy:
            self._is_busy = False
            left = {table: {"Keys": list(keys)} for table, keys in request.keys.items()}
            return replace(answer, body={**answer.body, "Responses": {}, "UnprocessedKeys": left})
        return answer

    def close(self) -> None:
        self._wire.close()


def test_a_round_of_what_was_left_unprocessed_is_no_trip(engine: Engine, table_name: str) -> None:
    """It is a throttle in another guise."""
    wire = BusyOnce(engine.wire())
    with Database.connect(
        wire=wire, table=table_name, entity_types=[NOTE], budgets={"*": Budget(trips=1)}, budget_mode="raise"
    ) as db:
        db.create_tables()
        with metered() as meter:
            assert [None, None] == db.dao(NOTE).batch_get(["1", "2"])

    assert 2 == meter.cost.trips


def test_a_refused_write_is_a_trip(opened: Open) -> None:
    """What it consumed, no engine tells."""
    db = opened()
    with budget(trips=5) as purse, pytest.raises(AlreadyExists):
        db.dao(NOTE).create(Note(id="long", text="x"))

    assert (1, 0) == (purse.spent.trips, purse.spent.wcu)


def test_the_purse_shows_what_was_spent(opened: Open) -> None:
    """The same figures as the meter's, with pages and items, and index units apart."""
    db = opened()
    with budget() as purse, metered() as meter:
        read_half(db)
        db.dao(INVOICE).query(BY_STATE, tenant="t1", state=State.OPEN).all()
        db.dao(INVOICE).create(make_invoice(99))
    spent = purse.spent

    assert (2, 20, 15) == (spent.pages, spent.scanned, spent.returned)
    assert (meter.cost.rcu, meter.cost.wcu) == (spent.rcu, spent.wcu + spent.indexes)
    assert (4, 1, 3) == (spent.wcu, spent.indexes, spent.trips)


def test_tables_have_no_budget(engine: Engine, table_name: str) -> None:
    """Making them is no part of what a request may cost, nor a pattern that could be stopped."""
    options: dict[str, Any] = {"budgets": {"*": Budget(trips=1)}, "budget_mode": "raise"}
    with budget(trips=1, mode="raise") as purse, engine.open(table=table_name, entity_types=[NOTE], **options) as db:
        db.create_tables()
        db.diff_tables()
        assert db.dao(NOTE).get("1") is None

    assert 1 == purse.spent.trips


# The request's budget -------------------------------------------------------------------------------------------------


def test_a_block_pays_for_all_daos_and_databases(opened: Open) -> None:
    """Whichever call is one too many is refused, and names the block."""
    db, other = opened(), opened()
    with budget(rcu=2, mode="raise"):
        db.dao(NOTE).get("1")
        db.dao(INVOICE).get(("t1", 1))
        with pytest.raises(BudgetExceeded, match=r"the budget of its request.*the budget\(\) block") as raised:
            other.dao(COUNTER).get("c")
    other.dao(COUNTER).get("c")

    assert ("Counter.get", "request") == (raised.value.pattern, raised.value.scope)


def test_blocks_nest(opened: Open) -> None:
    """The inner one cannot allow more than the outer one has left; what it spends, the outer one pays too."""
    notes = opened().dao(NOTE)
    with budget(trips=2, mode="raise") as outer:
        with budget(trips=1, mode="raise"):
            notes.get("1")
            with pytest.raises(BudgetExceeded):
                notes.get("1")
        with budget(trips=9, mode="raise") as inner:
            notes.get("1")
            with pytest.raises(BudgetExceeded):
                notes.get("1")

    assert (2, 1) == (outer.spent.trips, inner.spent.trips)


def test_a_block_that_warns_tells_it_once(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    """By the call that went over; later calls of the block are not told again."""
    db = opened()
    with caplog.at_level(logging.WARNING, LOGGER), budget(trips=1):
        db.dao(NOTE).get("1")
        db.dao(COUNTER).get("1")
        db.dao(NOTE).get("1")

    assert ["Counter.get went over the budget of its request: 2 of 1 round trips."] == [
        record.getMessage() for record in caplog.records
    ]


def test_threads_of_a_block_never_send_more_together(opened: Open, seen: Seen) -> None:
    """What one thread has begun, another one cannot begin as well."""
    notes = opened(interceptors=[seen]).dao(NOTE)
    before, ready = len(seen.requests), threading.Barrier(8)

    def read() -> bool:
        ready.wait(30)
        try:
            notes.get("1")
        except BudgetExceeded:
            return False
        return True

    with budget(trips=3, mode="raise"), ThreadPoolExecutor(8) as threads:
        done = [threads.submit(copy_context().run, read) for _ in range(8)]
        answered = sum(each.result() for each in done)

    assert 3 == answered == len(seen.requests) - before


def test_a_thread_of_its_own_is_not_in_the_block(opened: Open) -> None:
    """It has to run in a copy of the context."""
    notes = opened().dao(NOTE)
    with budget(trips=0, mode="raise") as purse:
        thread = threading.Thread(target=notes.get, args=("1",))
        thread.start()
        thread.join()

    assert 0 == purse.spent.trips


def test_a_failed_call_gives_back_the_units_that_were_set_aside(
    engine: Engine, table_name: str, faults: FaultPlan
) -> None:
    """It counts as a trip alone, in the block as in the meter."""
    with engine.open(table=table_name, entity_types=[NOTE], faults=faults) as db:
        notes = db.dao(NOTE)
        notes.get("1")
        with budget(rcu=1, mode="raise") as purse:
            faults.rates = FaultRates(refuse=1.0)
            with pytest.raises(Exception, match="NotSent"):
                notes.get("1", deadline=0.05)
            faults.heal()
            notes.get("1")

    assert (1, 2) == (purse.spent.rcu, purse.spent.trips)


# Which budget ---------------------------------------------------------------------------------------------------------


def test_a_name_of_its_own_comes_before_stars() -> None:
    """Else the first entry that matches; nothing matching is no budget."""
    table = {"Invoice.q*": Budget(pages=1), "Invoice.*": Budget(pages=2), "Invoice.query": Budget(pages=3)}
    control = BudgetControl(table, clock=lambda: 0.0)

    wanted = {"Invoice.query": 3, "Invoice.quote": 1, "Invoice.get": 2}
    assert wanted == {name: found.pages for name in wanted if (found := control.of(name)) is not None}
    assert control.of("Note.get") is None


def test_the_mode_of_a_budget_comes_before_that_of_the_database(opened: Open) -> None:
    """Either way."""
    db = opened(budgets={"Note.get": Budget(rcu=2, mode="warn"), "*": Budget(rcu=0)}, budget_mode="raise")
    read_long_note(db)
    with pytest.raises(BudgetExceeded):
        read_half(db)


def test_declared_budgets_are_those_of_the_tables_of_access_patterns(opened: Open) -> None:
    """A note is up to 1 KB by declaration: 4 KB of it are more than one read unit gives."""
    db = opened(budgets={"Invoice.*": Budget(rcu=0), "*": "declared"}, budget_mode="raise")
    db.dao(NOTE).get("1")
    db.dao(NOTE).put(Note(id="1", text="x"))
    with pytest.raises(BudgetExceeded, match="3 of 1 read units"):
        read_long_note(db)
    with pytest.raises(BudgetExceeded):
        read_half(db)


def test_a_dao_of_ones_own_is_held_to_what_it_declares(opened: Open) -> None:
    """Its table is handed to the database; a pattern without a row has no budget."""
    db = opened(budgets="declared", budget_mode="raise")
    db.declare([AccessPattern.of("Desk.look", get(NOTE), rcu=1)])
    request = db.dao(NOTE).plan.get("long")

    with pytest.raises(BudgetExceeded, match=r"Desk\.look went over .* 3 of 1 read units"):
        db.execute(request, Pattern("Desk.look", "GetItem"))
    db.execute(request, Pattern("Desk.stare", "GetItem"))


def test_a_usual_day_stays_within_what_is_declared(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    """Every method of the DAO, locks that move and index entries that move included."""
    with caplog.at_level(logging.WARNING, LOGGER):
        exercise(opened(budgets="declared", budget_mode="raise"))

    assert [] == caplog.records


def exercise(db: Database) -> None:
    invoices = db.dao(INVOICE)
    created = invoices.create(make_invoice(50))
    moved = invoices.update(created, lambda change, it: change.set(it.email, "moved@example.org"))
    paid = invoices.update(moved, lambda change, it: change.set(it.state, State.PAID))
    invoices.put(paid.model_copy(update={"state": State.OPEN}))
    invoices.update(("t1", 50), lambda change, it: change.set(it.email, "again@example.org"), unlocked=True)
    invoices.upsert(
        ("t1", 51), lambda change, it: change.set(it.state, State.PAID), default=make_invoice(51), unlocked=True
    )
    invoices.batch_get([("t1", number) for number in range(1, 120)])
    assert 12 == len(invoices.query(tenant="t1").all()) == len(list(invoices.query(tenant="t1")))
    invoices.delete(("t1", 50), unlocked=True)


# Telling it -----------------------------------------------------------------------------------------------------------


def test_a_pattern_is_logged_once_a_minute(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    """And again after that; another pattern does not wait for it."""
    now = [1000.0]
    db = opened(budgets={"*": Budget(rcu=0)}, monotonic=lambda: now[0])
    with caplog.at_level(logging.WARNING, LOGGER):
        for seconds in (0, 59, 1):
            now[0] += seconds
            db.dao(NOTE).get("1")
            db.dao(COUNTER).get("c")

    assert [2, 2] == [sum(name in each.getMessage() for each in caplog.records) for name in ("Note.get", "Counter.get")]


# Wrong options --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"budgets": "declare"}, "a mapping of access patterns to budgets, or 'declared'"),
        ({"budgets": {"Note.get": 5}}, "'Note.get' neither a Budget nor 'declared'"),
        ({"budgets": {"Note.get": "raise"}}, "'Note.get' neither a Budget nor 'declared'"),
        ({"budget_mode": "error"}, "must be 'warn' or 'raise'"),
    ],
)
def test_what_is_no_budget_is_refused_when_the_database_is_opened(options: dict[str, Any], told: str) -> None:
    """By name, with what is wanted."""
    with pytest.raises(ConfigurationError, match=told):
        Database.embedded(**options)


@pytest.mark.parametrize(
    "limits",
    [{"rcu": -1}, {"trips": "3"}, {"pages": True}, {"wcu": float("nan")}, {"scanned_per_item": 0.5}, {"mode": "x"}],
)
def test_what_is_no_limit_is_refused(limits: dict[str, Any]) -> None:
    """For a pattern as for a block."""
    with pytest.raises(ConfigurationError):
        Budget(**limits)
    with pytest.raises(ConfigurationError), budget(**limits):
        pass


def test_without_a_budget_nothing_is_watched(opened: Open) -> None:
    """The execution asks for nothing but the one answer that there is none."""
    db = opened()
    with spend(trips=1), db.operation(db.dao(INVOICE)._pattern("get", "GetItem"), "t") as operation:
        assert operation._watch is None
        db.dao(NOTE).get("1")
