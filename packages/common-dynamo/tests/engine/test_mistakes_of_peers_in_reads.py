"""Mistakes that data mappers are known to make with reads, keys, tables and alarms, each ruled out by a test of its name."""

import ast
import inspect
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, localcontext
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import common.dynamo
from common.dynamo import DAO, Budget, Change, Database, EntityQuery, EntityType, Key, Page, Pattern, Plan, Transaction
from common.dynamo import requests as rq
from common.dynamo.exceptions import BudgetExceeded, InvalidItem
from common.dynamo.testing import Engine, FaultPlan, fresh_table_name, spend
from common.dynamo.testing.examples import BY_STATE, COUNTER, INVOICE, NOTE, Counter, Invoice, Note, State, make_invoice
from common.dynamo.wire.faults import Fault

pytestmark = pytest.mark.thorough

WRITE = Pattern("Test.write", "PutItem")
SCAN = Pattern("Test.scan", "Scan")


def table_of(db: Database) -> str:
    """Return the one table of *db*."""
    (name,) = {definition.name for definition in db.table_definitions()}
    return name


# Reading --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stored", [{"S": "12"}, {"NULL": True}, {"BOOL": False}, {"L": []}], ids=lambda value: next(iter(value))
)
def test_stored_data_that_does_not_fit_is_never_read_as_a_default(
    database: Database, counters: DAO[Counter], stored: dict[str, Any]
) -> None:
    """A counter whose number is no number is an error that names the field, not 0."""
    item = {**COUNTER.encode(Counter(name="c", hits=12)), "hits": stored}
    database.execute(rq.PutItem(table=table_of(database), item=item), WRITE)

    with pytest.raises(InvalidItem) as caught:
        counters.get("c")
    assert ("hits", next(iter(stored))) == (caught.value.field, caught.value.stored_type)


class Dog(BaseModel):
    home: str
    name: str
    barks: bool = True


class Cat(BaseModel):
    home: str
    name: str
    lives: int = 9


DOG = EntityType(Dog, "dog", key=Key("HOME#{home}", "DOG#{name}"))
CAT = EntityType(Cat, "cat", key=Key("HOME#{home}", "CAT#{name}"))


def test_a_shared_partition_neither_crashes_a_query_nor_yields_the_wrong_class(database: Database) -> None:
    """Each query has its own class alone; one over both says which is which."""
    dogs, cats = database.dao(DOG), database.dao(CAT)
    rex, tom = dogs.create(Dog(home="h", name="Rex")), cats.create(Cat(home="h", name="Tom"))

    assert ([rex], [tom]) == (dogs.query(home="h").all(), cats.query(home="h").all())
    assert [rex] == list(dogs.query(home="h").page(5).items)


def test_a_missing_item_in_a_transactional_read_is_none(database: Database, notes: DAO[Note]) -> None:
    """In its place, beside the one that is there."""
    note = notes.create(Note(id="1", text="x"))

    assert (None, note, None) == database.read((notes, "0"), (notes, "1"), (notes, "2"))


# Numbers and keys -----------------------------------------------------------------------------------------------------


def test_money_goes_neither_through_float_nor_through_a_28_digit_context(database: Database) -> None:
    """36 digits and two places come back digit for digit, also by addition, whatever the process-wide context is."""
    invoices, amount = database.dao(INVOICE), Decimal("123456789012345678901234567890123456.78")
    with localcontext(Context(prec=28)):
        stored = invoices.create(make_invoice(total="0.01").model_copy(update={"total": amount}))
        found = invoices.require(("t1", 1)).total
        more = invoices.update(stored, lambda change, it: change.add(it.total, Decimal("0.01"))).total

    assert (str(amount), "123456789012345678901234567890123456.79") == (str(found), str(more))


class Pair(BaseModel):
    left: str
    right: str


PAIR = EntityType(Pair, "pair", key=Key("PAIR#{left}#{right}", "PAIR"))


def test_tuples_with_separators_never_share_a_key(database: Database) -> None:
    """("x#y", "z") and ("x", "y#z") are two items, and so are their escaped forms."""
    pairs = database.dao(PAIR)
    tuples = [("x#y", "z"), ("x", "y#z"), ("x$23y", "z"), ("x", "y$23z"), ("x#", "#z"), ("x##", "z")]
    for left, right in tuples:
        pairs.create(Pair(left=left, right=right))

    assert [Pair(left=left, right=right) for left, right in tuples] == pairs.batch_get(tuples)


def test_10_does_not_sort_before_2(invoices: DAO[Invoice]) -> None:
    """Numbers sort as numbers, negative ones below, on the table and on an index."""
    for number in (10, 2, -1, -10, 100):
        invoices.create(make_invoice(number))
    ordered = [-10, -1, 2, 10, 100]

    assert ordered == [one.number for one in invoices.query(tenant="t1")]
    assert ordered == [one.number for one in invoices.query(BY_STATE, tenant="t1", state=State.OPEN)]


def test_keys_are_not_case_folded(notes: DAO[Note]) -> None:
    """Three spellings are three items."""
    stored = [notes.create(Note(id=id, text=id)) for id in ("Straße", "STRASSE", "strasse")]

    assert stored == notes.batch_get(["Straße", "STRASSE", "strasse"])


# Batches and pages ----------------------------------------------------------------------------------------------------


def test_a_batch_read_of_150_keys_is_answered(notes: DAO[Note]) -> None:
    """In two calls, in the order of the keys, missing ones as None."""
    notes.batch_write([notes.plan.put(Note(id=f"{number}", text="x"), replace=True) for number in range(0, 150, 2)])

    with spend(trips=2):
        found = notes.batch_get([f"{number}" for number in range(150)])
    assert [number % 2 == 0 for number in range(150)] == [one is not None for one in found]


def test_capacity_is_not_dropped_after_the_first_page(database: Database, invoices: DAO[Invoice]) -> None:
    """A page that took several calls costs what all of them cost, and says so."""
    for number in range(1, 41):
        invoices.create(make_invoice(number))

    with spend() as meter:
        page = invoices.query(tenant="t1").where(lambda it: it.number == 40).page(1)
    assert page.cost.trips > 1
    assert (meter.cost.rcu, meter.cost.trips) == (page.cost.rcu, page.cost.trips)
    assert page.scanned >= 40


@pytest.fixture
def paged(engine: Engine, table_name: str) -> Iterator[Database]:
    """A database that signs cursors."""
    with engine.open(table=table_name, entity_types=[INVOICE], cursor_keys=["k" * 32]) as db:
        yield db


def test_a_cursor_after_a_cut_goes_on_at_the_item_that_follows(paged: Database) -> None:
    """A call brings more items than the page takes: the cursor is at the last one taken, not at the last one read."""
    invoices = paged.dao(INVOICE)
    for number in range(1, 31):
        invoices.create(make_invoice(number))
    query = invoices.query(tenant="t1").where(lambda it: it.number > 2)
    numbers: list[int] = []
    after: str | None = None
    while True:
        page: Page[Invoice] = query.page(4, after=after)
        numbers += [one.number for one in page.items]
        after = page.next
        if after is None:
            break

    assert list(range(3, 31)) == numbers


# Expiry ---------------------------------------------------------------------------------------------------------------


def test_expired_items_are_never_returned(engine: Engine, table_name: str) -> None:
    """Not by get, batch, query, page, nor by a read of one moment, although they are still in the table."""
    start = datetime(2026, 11, 24, 8, 0, 0, tzinfo=UTC)
    now = [start]
    with engine.open(table=table_name, entity_types=[INVOICE], clock=lambda: now[0].timestamp()) as db:
        invoices = db.dao(INVOICE)
        invoices.create(make_invoice(1, expires_at=start + timedelta(seconds=1)))
        now[0] += timedelta(seconds=1)
        query = invoices.query(tenant="t1")

        found = [invoices.get(("t1", 1)), *invoices.batch_get([("t1", 1)]), *db.read((invoices, ("t1", 1)))]
        assert [None, None, None] == found
        assert [[], [], []] == [query.all(), list(query), list(query.page(5).items)]
        assert 1 == len(query.include_expired().all())


# Binding, types, alarms -----------------------------------------------------------------------------------------------


def test_client_and_table_are_not_fixed_by_the_type(engine: Engine) -> None:
    """One model and one entity type serve two tables in one process, one after the other and at once."""
    with (
        engine.open(table=fresh_table_name(), entity_types=[NOTE]) as one,
        engine.open(table=fresh_table_name(), entity_types=[NOTE]) as other,
    ):
        one.dao(NOTE).create(Note(id="1", text="one"))
        other.dao(NOTE).create(Note(id="1", text="other"))

        assert ["one", "other"] == [db.dao(NOTE).require("1").text for db in (one, other)]


def test_no_private_module_of_pydantic_is_imported() -> None:
    """Nor anything of another library whose name begins with an underscore, but OpenTelemetry's logs, which have no other."""
    private = []
    for path in Path(inspect.getfile(common.dynamo)).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            foreign = [name for name in names if not name.startswith(("common.", "opentelemetry._logs"))]
            private += [
                f"{path.name}: {name}" for name in foreign if any(part.startswith("_") for part in name.split("."))
            ]

    assert [] == private


@pytest.mark.parametrize(
    "kind", [Database, DAO, EntityQuery, Page, Plan, Transaction, Change], ids=lambda kind: kind.__name__
)
def test_patterns_are_methods_that_editors_and_type_checkers_see(kind: type) -> None:
    """No name is made up by ``__getattr__``: what is misspelt is no attribute."""
    assert not hasattr(kind, "__getattr__")
    assert not hasattr(kind, "get_by_state")


def test_a_costly_call_is_told_at_once_not_after_a_minute_of_one_process(engine: Engine, table_name: str) -> None:
    """A budget is that of one call: the first one over it is refused, and cheap calls never add up to an alarm."""
    budgets = {"Note.get": Budget(rcu=2)}
    with engine.open(table=table_name, entity_types=[NOTE], budgets=budgets, budget_mode="raise") as db:
        notes = db.dao(NOTE)
        notes.create(Note(id="short", text="x"))
        notes.create(Note(id="long", text="x" * 9000))
        for _ in range(50):
            notes.get("short")

        with pytest.raises(BudgetExceeded, match=r"Note\.get"):
            notes.get("long")


def test_a_read_that_meets_a_lost_answer_is_asked_again(faulty_database: Database, faults: FaultPlan) -> None:
    """A read changes nothing, so nobody has to decide: it is repeated inside the deadline."""
    notes = faulty_database.dao(NOTE)
    notes.create(Note(id="1", text="x"))
    faults.script(Fault.DROP_AFTER)

    with spend(trips=2):
        assert notes.get("1") is not None
