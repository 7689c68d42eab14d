"""Named scans (D36): refused without a name, free of foreign items, exact pages, segments, signed cursors, a rate."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from common.dynamo import DAO, Call, Database, EntityType, Page, Pattern, Result, metered
from common.dynamo import requests as rq
from common.dynamo.cost import NOTHING
from common.dynamo.exceptions import InvalidCursor, InvalidItem, RequestRefused, Unavailable
from common.dynamo.pacing import UnitPace
from common.dynamo.scans import EntityScan
from common.dynamo.testing import Engine, Fault, FaultPlan, spend
from common.dynamo.testing.examples import COUNTER, INVOICE, NOTE, Counter, Invoice, Note, make_invoice
from common.exceptions import ConfigurationError, InvalidInput

KEY = "a key for tests, and nothing else"


class Watcher:
    """An interceptor that keeps every request and answer."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.results: list[Result] = []

    def on_request(self, call: Call, /) -> None:
        """Keep the request."""
        self.calls.append(call)

    def on_result(self, call: Call, result: Result, /) -> None:
        """Keep the answer."""
        self.results.append(result)

    def on_error(self, call: Call, error: BaseException, /) -> None:
        """Do nothing."""

    @property
    def scans(self) -> list[rq.Scan]:
        """The scans among the requests."""
        return [call.request for call in self.calls if isinstance(call.request, rq.Scan)]


class Clock:
    """Monotonic seconds that pass only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self.now += seconds


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


@pytest.fixture
def db(
    engine: Engine, table_name: str, entity_types: tuple[EntityType[Any], ...], watcher: Watcher
) -> Iterator[Database]:
    """A database with a cursor key; on the embedded engine one would be made up."""
    with engine.open(table=table_name, entity_types=entity_types, cursor_keys=[KEY], interceptors=[watcher]) as db:
        yield db


@pytest.fixture
def notes(db: Database) -> DAO[Note]:
    return db.dao(NOTE)


def fill(db: Database, count: int, *, foreign: int = 0) -> set[str]:
    """Store notes, and counters beside them; return the ids of the notes."""
    notes, counters = db.dao(NOTE), db.dao(COUNTER)
    notes.batch_write(
        [notes.plan.put(Note(id=f"n{n}", text="x" * 50), replace=True) for n in range(count)], deadline=30
    )
    counters.batch_write([counters.plan.put(Counter(name=f"c{n}"), replace=True) for n in range(foreign)], deadline=30)
    return {f"n{n}" for n in range(count)}


def walk(scan: EntityScan[Note], size: int) -> list[Page[Note]]:
    """Read page after page to the end."""
    pages = [scan.page(size)]
    while pages[-1].next is not None:
        pages.append(scan.page(size, after=pages[-1].next))
    return pages


def ids(pages: list[Page[Note]]) -> list[str]:
    return [note.id for page in pages for note in page.items]


# The name


def test_a_scan_without_a_name_is_refused(notes: DAO[Note], watcher: Watcher) -> None:
    """The error says why, and what finds items by a key; nothing is sent."""
    with pytest.raises(ConfigurationError, match=r"pays for every item of its table.*scan\(name=.*use query\(\)"):
        notes.scan()

    assert [] == watcher.scans


@pytest.mark.parametrize("name", ["", "Nightly", "a b", "a.b", "é", "-a", "x" * 61, 7], ids=repr)
def test_a_name_is_made_of_plain_words(notes: DAO[Note], name: Any) -> None:
    """It is to be found in spans, metrics and budgets."""
    with pytest.raises(ConfigurationError, match="lower-case letters and digits"):
        notes.scan(name=name)


@pytest.mark.parametrize(
    "options",
    [
        {"segments": 0},
        {"segments": 101},
        {"segments": True},
        {"units_per_second": 0},
        {"units_per_second": "5"},
        {"consistent": 1},
    ],
    ids=repr,
)
def test_options_that_mean_nothing_are_refused(notes: DAO[Note], options: dict[str, Any]) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigurationError):
        notes.scan(name="export", **options)


def test_nothing_else_ever_scans(db: Database, watcher: Watcher) -> None:
    """Neither reads, queries without a hit, writes with locks, nor the making of tables."""
    invoices = db.dao(INVOICE)
    stored = invoices.create(make_invoice())
    invoices.get(("t1", 99))
    invoices.batch_get([("t1", 1), ("t2", 2)])
    invoices.query(tenant="nobody").all()
    invoices.query("GSI1", tenant="t1", state=stored.state).where(lambda it: it.total > 99).page(5)
    invoices.put(stored)
    invoices.update(("t1", 1), lambda change, it: change.set(it.email, "b@example.org"), unlocked=True)
    invoices.delete(invoices.require(("t1", 1)))

    assert [] == watcher.scans
    assert len(watcher.calls) > 8


def test_the_name_is_in_the_span(engine: Engine, table_name: str) -> None:
    """Spans of all requests are children of the caller's, and carry the scan's name, segment and figures."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with engine.open(table=table_name, entity_types=[NOTE], tracer_provider=provider) as db:
        fill(db, 10)
        exporter.clear()
        with provider.get_tracer("test").start_as_current_span("the job"):
            db.dao(NOTE).scan(name="nightly-export", segments=3).all()

    *scans, job = exporter.get_finished_spans()
    assert ["Note.scan.nightly-export"] * 3 == [span.name for span in scans]
    assert {job.context.span_id} == {span.parent.span_id for span in scans if span.parent is not None}
    attributes = [span.attributes or {} for span in scans]
    assert {0, 1, 2} == {each["aws.dynamodb.segment"] for each in attributes}
    assert {3} == {each["aws.dynamodb.total_segments"] for each in attributes}
    assert 10 == sum(int(str(each["aws.dynamodb.scanned_count"])) for each in attributes)
    assert trace.SpanKind.CLIENT == scans[0].kind


# What is given


def test_foreign_items_are_neither_given_nor_transferred(db: Database, notes: DAO[Note], watcher: Watcher) -> None:
    """The engine filters by type; locks and other types are examined and stay there."""
    wanted = fill(db, 20, foreign=30)
    db.dao(INVOICE).create(make_invoice())
    page = notes.scan(name="export").page(100)

    assert wanted == {note.id for note in page.items}
    assert 20 + 30 + 2 == page.scanned
    sent = [item for result in watcher.results if "ScannedCount" in result.body for item in result.body["Items"]]
    assert {"note"} == {item["_t"]["S"] for item in sent}


def test_expired_items_are_hidden_unless_asked_for(db: Database) -> None:
    """Whether or not DynamoDB has deleted them."""
    invoices = db.dao(INVOICE)
    past = datetime.now(UTC) - timedelta(days=1)
    for number in range(6):
        invoices.create(make_invoice(number, expires_at=past if number % 2 else None))
    scan = invoices.scan(name="check")

    assert {0, 2, 4} == {invoice.number for invoice in scan}
    assert set(range(6)) == {invoice.number for invoice in scan.include_expired()}


def test_a_filter_is_a_condition_on_the_model(db: Database) -> None:
    """As in a query; several hold together."""
    invoices = db.dao(INVOICE)
    for number in range(10):
        invoices.create(make_invoice(number, total=f"{number}.00", tenant="t2" if number == 9 else "t1"))
    scan = invoices.scan(name="check").where(lambda it: it.total > 5).where(lambda it: it.total < 9)

    assert [6, 7, 8] == sorted(invoice.number for invoice in scan.all())


def test_an_item_that_cannot_be_read_is_an_error(db: Database, notes: DAO[Note]) -> None:
    """It is not left out in silence."""
    fill(db, 2)
    item = {**NOTE.encode(Note(id="broken", text="x")), "text": {"N": "1"}}
    with db.transaction() as tx:
        tx.part(rq.PutItem(table=notes.plan.table, item=item))

    with pytest.raises(InvalidItem, match="text is stored as N"):
        notes.scan(name="export").all()


def test_a_request_is_a_value_that_can_be_compared(notes: DAO[Note]) -> None:
    """One segment of four, and the whole table; nothing is sent."""
    own = rq.Compare("=", rq.Path(("_t",)), rq.Constant({"S": "note"}))

    assert rq.Scan(table=notes.plan.table, filter=own) == notes.scan(name="export").request()
    assert rq.Scan(
        table=notes.plan.table, filter=own, consistent=True, segment=3, total_segments=4, limit=5
    ) == notes.scan(name="export", segments=4, consistent=True).request(3, limit=5)


# Pages and cursors


@pytest.mark.parametrize("segments", [1, 4])
def test_a_page_has_exactly_n_items_or_is_the_last(db: Database, notes: DAO[Note], segments: int) -> None:
    """Each item comes once, whatever lies between and however many segments are read side by side."""
    wanted = fill(db, 50, foreign=70)
    with metered() as meter:
        pages = walk(notes.scan(name="export", segments=segments), 7)

    found = ids(pages)
    assert wanted == set(found)
    assert len(wanted) == len(found)
    assert [7] * 7 == [len(page.items) for page in pages[:7]]
    assert meter.cost == sum((page.cost for page in pages), start=NOTHING)
    assert sum(page.scanned for page in pages) >= 120


@pytest.mark.parametrize("segments", [1, 4])
def test_a_walk_goes_on_in_another_process(
    db: Database, notes: DAO[Note], engine: Engine, table_name: str, segments: int
) -> None:
    """The cursor holds where every segment stands; another database object with the same key reads the rest."""
    wanted = fill(db, 40)
    first = notes.scan(name="export", segments=segments).page(15)
    other = db if engine.is_embedded else engine.open(table=table_name, entity_types=[NOTE], cursor_keys=[KEY])
    rest = other.dao(NOTE).scan(name="export", segments=segments).page(100, after=first.next)
    if other is not db:
        other.close()

    assert wanted == {*ids([first]), *ids([rest])}
    assert len(wanted) == len(first.items) + len(rest.items)
    assert rest.next is None


def test_a_cursor_is_valid_for_its_own_scan_alone(db: Database, notes: DAO[Note]) -> None:
    """Another name, filter, number of segments, type, or one changed character is refused; a query's as well."""
    fill(db, 10)
    invoices = db.dao(INVOICE)
    scan = notes.scan(name="export")
    cursor = scan.page(3).next
    assert cursor is not None

    others: list[EntityScan[Any]] = [
        notes.scan(name="other"),
        notes.scan(name="export", segments=2),
        scan.where(lambda it: it.text == "y"),
        invoices.scan(name="export"),
        invoices.scan(name="export").include_expired(),
    ]
    for other in others:
        with pytest.raises(InvalidCursor):
            other.page(3, after=cursor)
    for position in range(0, len(cursor), 7):
        changed = "A" if cursor[position] != "A" else "B"
        with pytest.raises(InvalidCursor):
            scan.page(3, after=cursor[:position] + changed + cursor[position + 1 :])


def test_without_a_key_asking_for_the_next_page_names_the_setting(engine: Engine, table_name: str) -> None:
    """As with queries."""
    with engine.open(table=table_name, entity_types=[NOTE], cursor_keys=()) as db:
        fill(db, 3)
        page = db.dao(NOTE).scan(name="export").page(2)

        with pytest.raises(ConfigurationError, match="cursor_keys"):
            _ = page.next


@pytest.mark.parametrize("size", [0, -1, True, "5"], ids=repr)
def test_a_page_of_nothing_is_refused(notes: DAO[Note], size: Any) -> None:
    """At least one item."""
    with pytest.raises(InvalidInput):
        notes.scan(name="export").page(size)


def test_an_empty_table_gives_nothing(notes: DAO[Note]) -> None:
    """One page, without a cursor."""
    page = notes.scan(name="export", segments=3).page(5)

    assert [] == list(page.items)
    assert page.next is None
    assert [] == notes.scan(name="export").all()
    assert [] == list(notes.scan(name="export", segments=2))


# Segments


def test_segments_are_read_side_by_side_and_give_each_item_once(
    db: Database, notes: DAO[Note], watcher: Watcher
) -> None:
    """Every segment is asked for; the meter of the caller counts what all threads spend."""
    wanted = fill(db, 60)
    with metered() as meter:
        found = [note.id for note in notes.scan(name="export", segments=5)]

    assert wanted == set(found)
    assert len(wanted) == len(found)
    assert {0, 1, 2, 3, 4} == {scan.segment for scan in watcher.scans}
    assert {5} == {scan.total_segments for scan in watcher.scans}
    assert len(watcher.scans) == meter.cost.trips
    assert wanted == {note.id for note in notes.scan(name="export", segments=5).all()}
    assert 25 == len(notes.scan(name="export", segments=5).all(limit=25))


def test_a_segment_that_fails_stops_the_others(engine: Engine, table_name: str) -> None:
    """The error comes out, and no thread is left reading."""
    faults = FaultPlan(1)
    with engine.open(table=table_name, entity_types=[NOTE], faults=faults) as db:
        fill(db, 10)
        faults.script(Fault.REFUSE)
        with pytest.raises(Unavailable):
            db.dao(NOTE).scan(name="export", segments=4).all(deadline=0.0001)
        assert 10 == len(db.dao(NOTE).scan(name="export", segments=4).all())


def test_a_segment_that_there_is_not_is_the_engines_to_refuse(db: Database, notes: DAO[Note]) -> None:
    """A stranger's request value; the DAO makes none."""
    with pytest.raises(RequestRefused):
        db.execute(
            rq.Scan(table=notes.plan.table, segment=4, total_segments=4), Pattern("Test.scan", "Scan"), deadline=2
        )


# What it costs


def test_a_scan_costs_what_it_examines(engine: Engine, table_name: str) -> None:
    """Foreign items are paid for; a consistent read costs twice.

    The units are asserted on the embedded engine alone: those of other engines, and of AWS itself, are counted otherwise
    than documented.
    """
    with engine.open(table=table_name, entity_types=[NOTE, COUNTER]) as db:
        fill(db, 40, foreign=40)
        with spend(wcu=0) as usual:
            scanned = db.dao(NOTE).scan(name="export").page(100).scanned
        with spend(wcu=0, rcu=usual.cost.rcu * 2 if engine.is_embedded else None, trips=1):
            list(db.dao(NOTE).scan(name="export", consistent=True))
        with spend(wcu=0, rcu=usual.cost.rcu if engine.is_embedded else None, trips=1):
            list(db.dao(COUNTER).scan(name="export"))

    assert 80 == scanned
    assert usual.cost.rcu > 0


# The rate


@pytest.mark.parametrize("segments", [1, 3])
def test_a_scan_keeps_to_its_rate(engine: Engine, table_name: str, segments: int) -> None:
    """By an injected clock: at no moment more units were consumed than the rate allows, and one call of each segment."""
    clock, watcher = Clock(), Watcher()
    rate = 2.0
    with engine.open(
        table=table_name, entity_types=[NOTE], monotonic=clock, sleep=clock.sleep, interceptors=[watcher]
    ) as db:
        wanted = fill(db, 120)
        start, spent, largest = clock.now, 0.0, 0.0
        watcher.results.clear()
        scan = db.dao(NOTE).scan(name="export", segments=segments, units_per_second=rate)
        found = set()
        for note in scan:
            found.add(note.id)
            spent = sum(result.cost.rcu for result in watcher.results)
            largest = max(result.cost.rcu for result in watcher.results)
            assert spent <= rate * (clock.now - start) + (largest + rate) * segments

    assert wanted == found
    assert clock.now - start >= spent / rate - (largest + rate) * segments / rate
    assert len(watcher.scans) > segments


def test_calls_grow_to_the_units_of_a_second() -> None:
    """What was learned of the size of items decides how many the next call examines."""
    clock = Clock()
    pace = UnitPace(100, monotonic=clock, sleep=clock.sleep)
    limits = []
    for _ in range(5):
        limit = pace.limit()
        limits.append(limit)
        pace.settle(pace.take(items=limit), limit * 0.05, items=limit)

    assert 100 == limits[0]
    assert [2000] * 4 == limits[1:]
    assert 500 == pace.limit(4)


def test_a_large_item_is_waited_for_afterwards() -> None:
    """Nobody knew; the debt delays the calls after it, in all threads alike."""
    clock = Clock()
    pace = UnitPace(10, monotonic=clock, sleep=clock.sleep)
    pace.settle(pace.take(items=1), 100.0, items=1)
    before = clock.now
    pace.take(0.0)

    assert 10.0 == pytest.approx(clock.now - before)


def test_the_rate_holds_over_all_pages(engine: Engine, table_name: str) -> None:
    """One scan value is one rate, however it is read; narrowing it makes no second one."""
    clock = Clock()
    with engine.open(
        table=table_name, entity_types=[NOTE], monotonic=clock, sleep=clock.sleep, cursor_keys=[KEY]
    ) as db:
        fill(db, 30)
        start = clock.now
        scan = db.dao(NOTE).scan(name="export", units_per_second=1)
        with metered() as meter:
            scan.page(5)
            scan.include_expired().page(5)
            scan.where(lambda it: it.text != "y").page(5)

    assert meter.cost.trips >= 3
    assert clock.now - start >= meter.cost.rcu - 1.5


def test_invoices_keep_their_scale(db: Database) -> None:
    """What a scan gives is what a read gives."""
    invoices = db.dao(INVOICE)
    stored = invoices.create(make_invoice(total="5"))
    [found] = invoices.scan(name="check").all()

    assert isinstance(found, Invoice)
    assert stored == found
