"""What type checkers see of common.dynamo. Checked, never executed.

A line that must be refused carries ``type: ignore`` with the very code: were it accepted, mypy would report the unused
comment, since ``warn_unused_ignores`` is part of strict.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import assert_type

from pydantic import BaseModel

from common.dynamo import (
    ANY_SCALE,
    DAO,
    Change,
    Collection,
    Cost,
    Database,
    EntityQuery,
    EntityType,
    Index,
    Key,
    MultiKey,
    Page,
    Pattern,
    Result,
    StreamChange,
    Transaction,
    Unique,
    View,
    Write,
    begins_with,
    between,
    budget,
    contains,
    exists,
    is_in,
    metered,
    not_,
    size,
)
from common.dynamo.access import AccessPattern, Budget, select
from common.dynamo.command_records import Replay
from common.dynamo.entity_access import uses
from common.dynamo.exceptions import ConditionFailed, OutcomeUnknown, TransactionCanceled, Unavailable
from common.dynamo.iam import Arns, iam_policy
from common.dynamo.outbox import EmittedEvent, EventType
from common.dynamo.relay import OutboxRelay, RelayPass
from common.dynamo.requests import GetItem, Query, WriteRequest
from common.dynamo.streams import StreamBatch
from common.dynamo.table_drift import Drift
from common.dynamo.testing import ContractReport, check_entity_type, models_of


class State(StrEnum):
    OPEN = "open"
    PAID = "paid"


class Invoice(BaseModel):
    tenant: str
    number: int
    total: Decimal
    state: State = State.OPEN
    locked: bool = False
    tags: set[str] = set()
    lines: list[str] = []
    due: datetime | None = None


class Receipt(BaseModel):
    id: str


class Paid(BaseModel):
    number: int


PAID = EventType(Paid, "paid", aggregate="INV#{number:10}")


BY_STATE = Index("GSI1", Key("INV#{tenant}#{state}", "{number:10}"))
INVOICE = EntityType(
    Invoice,
    "invoice",
    key=Key("INV#{tenant}", "N#{number:10}"),
    indexes=[BY_STATE],
    unique=[Unique("number", scope="tenant")],
    scales={"total": 2},
)
RECEIPT = EntityType(Receipt, "receipt", key=Key("R#{id}", "R"))
assert_type(INVOICE, EntityType[Invoice])
EntityType(Invoice, "exact", key=Key("E#{tenant}", "{number:10}"), scales={"total": ANY_SCALE})
EntityType(Invoice, "row", key=Key("E#{tenant}", "{number:10}"), scales={"total": lambda row, key: len(row[key])})


def due_total(invoice: Invoice) -> Decimal:
    return invoice.total


TOTAL = View("total", INVOICE, due_total)
assert_type(TOTAL, View[Invoice, Decimal])


def reads(db: Database) -> None:
    invoices = db.dao(INVOICE)
    assert_type(invoices, DAO[Invoice])
    assert_type(invoices.get(("t1", 7)), Invoice | None)
    assert_type(invoices.require(("t1", 7), consistent=False), Invoice)
    assert_type(invoices.batch_get([("t1", 7)]), list[Invoice | None])
    assert_type(invoices.view(("t1", 7), TOTAL), Decimal | None)
    assert_type(invoices.views(("t1", 7), TOTAL, TOTAL), tuple[Decimal, Decimal] | None)
    query = invoices.query(BY_STATE, tenant="t1", state=State.OPEN)
    assert_type(query, EntityQuery[Invoice])
    assert_type(query.where(lambda it: it.total > 5).newest_first().between(1, None), EntityQuery[Invoice])
    page = query.page(25, after=None, tenant="t1")
    assert_type(page, Page[Invoice])
    assert_type(page.items, Sequence[Invoice])
    assert_type(page.next, str | None)
    assert_type(page.cost, Cost)
    assert_type(page.map(due_total), Page[Decimal])
    assert_type(query.all(), list[Invoice])
    assert_type(next(iter(query)), Invoice)
    db.dao(TOTAL)  # type: ignore[arg-type]
    db.dao(RECEIPT).view("r-1", TOTAL)  # type: ignore[arg-type]


def pay(change: Change[Invoice], it: Invoice) -> None:
    change.set(it.state, State.PAID)
    change.set(it.due, None)
    change.add(it.total, Decimal("1.00"))
    change.add(it.tags, {"paid"})
    change.append(it.lines, ["paid"])
    change.delete(it.tags, {"open"})
    change.remove(it.due)
    change.set(it.stat, State.PAID)  # type: ignore[attr-defined]
    change.append(it.lines, [7])  # type: ignore[misc]
    change.delete(it.total, {"open"})  # type: ignore[arg-type]


def note(change: Change[Receipt], it: Receipt) -> None: ...


def writes(db: Database, invoice: Invoice, receipt: Receipt) -> None:
    invoices = db.dao(INVOICE)
    assert_type(invoices.create(invoice), Invoice)
    assert_type(invoices.put(invoice, replace=True), Invoice)
    assert_type(invoices.update(("t1", 7), pay), Invoice)
    assert_type(invoices.update(invoice, pay, where=lambda it: (it.total >= 5) & (it.state == State.OPEN)), Invoice)
    assert_type(invoices.upsert(("t1", 7), pay, default=invoice), Invoice)
    assert_type(invoices.plan.create(invoice), Write[Invoice])
    assert_type(invoices.plan.create(invoice).request(), WriteRequest)
    assert_type(invoices.plan.get(("t1", 7)), GetItem)
    assert_type(invoices.query(tenant="t1").request(), Query)
    assert_type(invoices.batch_write([invoices.plan.put(invoice, replace=True)]), list[Invoice | None])
    invoices.create(receipt)  # type: ignore[arg-type]
    invoices.put(invoice, True)  # type: ignore[call-arg]
    invoices.update(("t1", 7), note)  # type: ignore[arg-type]
    invoices.upsert(("t1", 7), pay, default=receipt)  # type: ignore[arg-type]


def collections(db: Database, invoice: Invoice) -> None:
    found = db.collection({"tenant": "t1"}, [INVOICE, RECEIPT]).page(10)
    assert_type(found, Collection)
    assert_type(found.of(INVOICE), list[Invoice])
    assert_type(found.of(RECEIPT), list[Receipt])
    assert_type(found.items, list[BaseModel])
    found.of(invoice)  # type: ignore[arg-type]
    db.collection({"tenant": "t1"}, [Invoice])  # type: ignore[list-item]
    Index("GSI2", MultiKey(("tenant", "state"), "due"))
    Index("GSI2", ("tenant", "state"))  # type: ignore[arg-type]
    Key("A#{a}", "B", shards="8")  # type: ignore[arg-type]


def conditions(invoices: DAO[Invoice]) -> None:
    query = invoices.query(tenant="t1")
    query.where(lambda it: it.locked & not_(it.locked) | exists(it.due))
    query.where(lambda it: begins_with(it.tenant, "t") & contains(it.tags, "x") & (size(it.lines) > 2))
    query.where(lambda it: between(it.total, Decimal(1), Decimal(2)) & is_in(it.state, [State.OPEN]))
    query.where(lambda it: it.totl > 5)  # type: ignore[attr-defined]
    query.where(lambda it: it.total >= "5")  # type: ignore[operator]
    query.where(lambda it: it.state.naem == "x")  # type: ignore[attr-defined]
    query.where(lambda it: begins_with(it.number, "t"))  # type: ignore[arg-type]
    query.where(lambda it: it.total)  # type: ignore[arg-type, return-value]


def transactions(db: Database, invoice: Invoice, receipt: Receipt) -> None:
    invoices, receipts = db.dao(INVOICE), db.dao(RECEIPT)
    with db.transaction(deadline=1.0) as tx:
        assert_type(tx, Transaction)
        tx.update(invoices, invoice, pay, where=lambda it: it.locked)
        assert_type(tx.create(receipts, receipt), Receipt)
        assert_type(tx.put(invoices, invoice), Invoice | None)
        tx.create(invoices, receipt)  # type: ignore[misc]
        tx.update(receipts, "r-1", pay)  # type: ignore[arg-type]


def budgets(patterns: list[AccessPattern]) -> None:
    db = Database.embedded(
        budgets={"Invoice.*": Budget(rcu=5, pages=2, mode="raise"), "*": "declared"}, budget_mode="warn"
    )
    db.declare(patterns)
    with budget(rcu=10, trips=3, mode="raise") as purse:
        assert_type(purse.spent.rcu, float)
        assert_type(purse.spent.trips, int)
    Database.embedded(budgets="declared")
    Database.embedded(budgets={"*": 5})  # type: ignore[dict-item]
    Database.embedded(budget_mode="stop")  # type: ignore[arg-type]
    budget(mode="stop")  # type: ignore[arg-type]
    Budget(5)  # type: ignore[call-arg]


def units_of_work(db: Database, invoice: Invoice, receipt: Receipt) -> None:
    invoices, receipts = db.dao(INVOICE), db.dao(RECEIPT)
    assert_type(db.read((invoices, ("t1", 7))), tuple[Invoice | None])
    assert_type(db.read((invoices, ("t1", 7)), (receipts, "r-1")), tuple[Invoice | None, Receipt | None])
    one, other, third = db.read((invoices, ("t1", 7)), (receipts, "r-1"), (invoices, invoice), deadline=0.5)
    assert_type(third, Invoice | None)
    assert_type(
        db.read((invoices, invoice), (receipts, receipt), (receipts, "r-2"), (invoices, ("t1", 8))),
        tuple[Invoice | None, Receipt | None, Receipt | None, Invoice | None],
    )
    assert_type(db.read(*[(receipts, name) for name in ("r-1", "r-2")]), tuple[Receipt | None, ...])
    assert_type(db.run(lambda: invoices.require(("t1", 7)), attempts=3), Invoice)
    with db.transaction(request_id="r-1", scope="t1", input=invoice, keeps=60) as tx:
        tx.emit(Paid(number=7))
        tx.result = receipt
    assert_type(tx.replayed, bool)
    assert_type(tx.result_as(Receipt), Receipt)
    assert_type(db.replay("r-1"), Replay | None)
    db.read(invoices, receipts)  # type: ignore[call-overload]
    db.read((INVOICE, ("t1", 7)))  # type: ignore[arg-type]
    db.run(invoice)  # type: ignore[arg-type]
    tx.emit("paid")  # type: ignore[arg-type]
    print(one, other)


def publish(event: EmittedEvent) -> None:
    assert_type(event.decode(PAID), Paid)


def events(db: Database) -> None:
    assert_type(PAID, EventType[Paid])
    assert_type(OutboxRelay(db, publish).run_once(), RelayPass)
    Database.embedded(event_types=[PAID])
    OutboxRelay(db, due_total)  # type: ignore[arg-type]
    Database.embedded(event_types=[INVOICE])  # type: ignore[list-item]


def streams(db: Database, record: dict[str, object]) -> None:
    change = db.decode_stream(record)
    if change is not None:
        invoice = change.of(INVOICE)
        assert_type(invoice, StreamChange[Invoice] | None)
        if invoice is not None:
            assert_type(invoice.old, Invoice | None)
            assert_type(invoice.sequence, int)
    assert_type(db.handle_stream([record], print), StreamBatch)
    db.handle_stream([record], due_total)  # type: ignore[arg-type]
    db.decode_stream("record")  # type: ignore[arg-type]


def older(dao: DAO[Invoice], item: dict[str, dict[str, str]]) -> None:
    assert_type(dao.plan.rewrite(item), Write[Invoice])
    assert_type(dao.plan.mapped.is_outdated(item), bool)


def raw(db: Database, request: GetItem) -> None:
    assert_type(db.execute(request, Pattern("Test.get", "GetItem"), deadline=0.5), Result)
    with metered() as meter:
        pass
    assert_type(meter.cost, Cost)
    Database.embedded(table="app", deadline=1.0, cursor_keys=["k" * 32])
    Database.embedded(tabel="app")  # type: ignore[call-arg]
    Database.connect(deadline="soon")  # type: ignore[arg-type]


def errors(error: TransactionCanceled | ConditionFailed) -> None:
    assert_type(error.unknown_attempts, int)
    retryable: type[Unavailable] = OutcomeUnknown  # type: ignore[assignment]
    assert retryable


def access(db: Database) -> None:
    patterns = uses(INVOICE, "get", "create")
    assert_type(patterns, tuple[AccessPattern, ...])
    assert_type(select(patterns, "Invoice.*")[0].budget, Budget)
    assert_type(db.diff_tables(stream=True), tuple[Drift, ...])
    iam_policy(patterns, Arns(region="eu-central-1", account="123456789012"), table_of=db.table_of)
    iam_policy(patterns, "eu-central-1", table_of=db.table_of)  # type: ignore[arg-type]


def contract(db: Database) -> None:
    assert_type(check_entity_type(db, INVOICE, models_of(INVOICE), examples=5), ContractReport)
    check_entity_type(db, Invoice)  # type: ignore[arg-type]
    check_entity_type(db, INVOICE, models_of(RECEIPT))  # type: ignore[misc]
