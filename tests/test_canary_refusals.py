"""No refusal tells what was refused: every error class of the data layer, raised over canaries (observability OT10)."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from common.auth.testing import quick_passwords
from common.dynamo import Database, Transaction, budget, exceptions
from common.dynamo.dao import UserDAO
from common.dynamo.dao.ledger_types import ACCOUNT, LEDGER_ENTITY_TYPES
from common.dynamo.exceptions import (
    AccountClosed,
    AccountNotEmpty,
    AccountNotFound,
    AlreadyExists,
    AssetInactive,
    BudgetExceeded,
    ChangesTrimmed,
    ConditionFailed,
    DynamoError,
    InsufficientFunds,
    InvalidCursor,
    InvalidItem,
    NotFound,
    OrderConflict,
    OrderTooSmall,
    OutboxFull,
    OutcomeUnknown,
    PriceOutOfBounds,
    RefundTooLarge,
    RequestFenced,
    RequestIdReused,
    RequestRefused,
    TransactionCanceled,
    Unavailable,
    UniqueViolation,
    VersionConflict,
)
from common.dynamo.execution import Pattern
from common.dynamo.requests import AttributeValue, Constant, GetItem, Path, PutItem, Update, UpdateItem
from common.dynamo.testing import Engine
from common.dynamo.testing.canaries import (
    AMOUNT,
    ASSET,
    BY_SHELF,
    CANARY,
    PASSWORD,
    QUANTITY,
    SCRAP,
    SECRET,
    CanaryKit,
    Scrap,
    Secret,
    find_canaries,
    told_by,
)
from common.dynamo.testing.events import TOLD, Told
from common.exceptions import CommonError, ConfigurationError, InvalidAmount, InvalidInput, MissingPart
from common.observability.testing import Logs, Metrics, Spans

PREPARE = Pattern("Canary.prepare", "PutItem")
log = logging.getLogger("common.test")
pytestmark = pytest.mark.usefixtures("quiet_libraries")


def rename(change: Any, it: Any) -> None:
    """Set a value."""
    change.set(it.text, f"{CANARY} renamed")


def transacting(operate: Callable[[CanaryKit, Transaction], object]) -> "Refusal":
    """Return a call that sends an operation in a transaction, behind one that is in order."""

    def transact(kit: CanaryKit) -> None:
        with kit.db.transaction() as transaction:
            transaction.put(kit.scraps, kit.scrap())
            operate(kit, transaction)

    return transact


def outdated(kit: CanaryKit) -> Secret:
    """Return a stored secret as somebody sees it who is not up to date."""
    return kit.stored_secret().model_copy(update={"version": 7})


def rival(kit: CanaryKit) -> Secret:
    """Return a secret whose email belongs to another one."""
    return kit.secret(email=kit.stored_secret().email)


def close_account(kit: CanaryKit, name: str) -> str:
    """Close an account, as nothing in the family does yet; return the user's name."""
    closing = Update(set=((Path(("st",)), Constant({"S": "closed"})),))
    kit.db.execute(UpdateItem(table=kit.db.table_of(SCRAP), key=ACCOUNT.item_key(name), update=closing), PREPARE)
    return name


def misfit(kit: CanaryKit, **attributes: AttributeValue) -> str:
    """Store a scrap with attributes that do not fit its model; return its id."""
    scrap = kit.scrap()
    item = {**SCRAP.encode(scrap), **attributes}
    kit.db.execute(PutItem(table=kit.db.table_of(SCRAP), item=item), PREPARE)
    return scrap.id


def miss_changes(kit: CanaryKit) -> object:
    now = [1_800_000_000.0]
    with Database.embedded(entity_types=[SCRAP], stream=True, clock=lambda: now[0]) as database:
        scraps = database.dao(SCRAP)
        scraps.create(Scrap(id=CANARY, text=CANARY))
        first = database.changes().last
        scraps.delete(CANARY)
        now[0] += 25 * 3600
        return database.changes(after=first)


def overspend(kit: CanaryKit) -> object:
    """Read and write over a budget that tells, then over one that stops."""
    with budget(trips=0, wcu=0.5):
        kit.scraps.create(kit.scrap())
    with budget(rcu=0.5, mode="raise"):
        kit.scraps.get(CANARY)
        return kit.scraps.query(id=CANARY, consistent=True).where(lambda it: it.text == CANARY).page(1)


def ask_back_too_much(kit: CanaryKit) -> object:
    """Have more refunded than a buy has cost."""
    bought = kit.orders.buy(kit.trader, ASSET, 100, price=1, request_id=kit.new_id()).entry
    assert bought.total is not None
    return kit.balances.refund(bought, 2 * bought.total, request_id=kit.new_id())


def stop_a_write(kit: CanaryKit) -> object:
    """Write without a budget."""
    with budget(wcu=0, mode="raise"):
        return kit.scraps.create(kit.scrap())


def overdraw(kit: CanaryKit) -> object:
    """Withdraw what is not there."""
    poor = kit.ledger.open_account(kit.newcomer().username, cash="1.00")
    return kit.balances.withdraw(poor, AMOUNT, request_id=kit.new_id())


def buy_untraded(kit: CanaryKit) -> object:
    """Order an asset that takes no orders."""
    asset = kit.assets.create(kit.asset(active=False), request_id=kit.new_id()).entry
    return kit.orders.buy(kit.trader, asset.id, QUANTITY, price=1, request_id=kit.new_id())


def repeat_otherwise(kit: CanaryKit) -> object:
    """Use a request id again, for another amount."""
    request_id = kit.new_id()
    kit.balances.deposit(kit.trader, 1, request_id=request_id)
    return kit.balances.deposit(kit.trader, AMOUNT, request_id=request_id)


def use_fenced(kit: CanaryKit) -> object:
    """Use a request id that was given up."""
    request_id = kit.new_id()
    kit.balances.resolve(kit.trader, request_id, fence=True)
    return kit.balances.deposit(kit.trader, AMOUNT, request_id=request_id)


def ask(kit: CanaryKit, request_id: str, *texts: str) -> None:
    """Send a transaction under a request id that tells *texts* of one aggregate."""
    with kit.db.transaction(request_id=request_id) as transaction:
        for text in texts:
            transaction.emit(Told(about=CANARY, text=text))


def ask_otherwise(kit: CanaryKit) -> None:
    """Use the request id of a transaction again, for another one."""
    request_id = kit.new_id()
    ask(kit, request_id, CANARY)
    ask(kit, request_id, f"{CANARY} again")


def tell_too_much(kit: CanaryKit) -> None:
    """Emit more than an outbox takes."""
    for _ in range(2):
        ask(kit, kit.new_id(), CANARY * 10_000)


def keep_no_result(kit: CanaryKit) -> None:
    """Give a result that has no form in JSON."""
    with kit.db.transaction(request_id=CANARY) as transaction:
        transaction.result = {CANARY: object()}


def store_text_as_number(kit: CanaryKit) -> object:
    """Ask the engine for what it must refuse, and explains by the value."""
    item = {**SCRAP.encode(kit.scrap()), "count": {"N": CANARY}}
    return kit.db.execute(PutItem(table=kit.db.table_of(SCRAP), item=item), PREPARE)


def add_to_text(kit: CanaryKit) -> object:
    """Ask the engine for what it refuses when it sees what is stored."""
    add = Update(add=((Path(("text",)), Constant({"N": "1"})),))
    key = SCRAP.item_key(kit.stored_scrap().id)
    return kit.db.execute(
        UpdateItem(table=kit.db.table_of(SCRAP), key=key, update=add), Pattern("Canary.add", "UpdateItem")
    )


Refusal = Callable[[CanaryKit], object]

REFUSALS: list[tuple[type[CommonError], Refusal]] = [
    (NotFound, lambda kit: kit.scraps.require(CANARY)),
    (NotFound, lambda kit: kit.scraps.update(CANARY, rename)),
    (NotFound, lambda kit: kit.users.require(f"{CANARY}-nobody")),
    (NotFound, lambda kit: kit.holdings.get(kit.trader, f"{ASSET[:8]}X")),
    (ConditionFailed, lambda kit: kit.scraps.update(kit.stored_scrap().id, rename, where=lambda it: it.count == 7)),
    (ConditionFailed, lambda kit: kit.scraps.delete(kit.stored_scrap().id, where=lambda it: it.text == ASSET)),
    (AlreadyExists, lambda kit: kit.secrets.create(kit.stored_secret())),
    (AlreadyExists, lambda kit: kit.assets.create(kit.asset(id=ASSET), request_id=kit.new_id())),
    (VersionConflict, lambda kit: kit.secrets.put(outdated(kit))),
    (
        VersionConflict,
        lambda kit: kit.users.update(
            kit.profile().model_copy(update={"version": 7}), {"full_name": CANARY}, request_id=kit.new_id()
        ),
    ),
    (UniqueViolation, lambda kit: kit.secrets.create(rival(kit))),
    (UniqueViolation, lambda kit: kit.users.change_email(kit.profile(), kit.profile().email, request_id=kit.new_id())),
    (TransactionCanceled, transacting(lambda kit, tx: tx.create(kit.scraps, kit.stored_scrap()))),
    (TransactionCanceled, transacting(lambda kit, tx: tx.update(kit.scraps, CANARY, rename))),
    (TransactionCanceled, transacting(lambda kit, tx: tx.check(kit.scraps, CANARY))),
    (TransactionCanceled, transacting(lambda kit, tx: tx.delete(kit.secrets, outdated(kit)))),
    (TransactionCanceled, transacting(lambda kit, tx: tx.create(kit.secrets, rival(kit)))),
    (InvalidItem, lambda kit: kit.scraps.get(misfit(kit, count={"S": CANARY}))),
    (InvalidItem, lambda kit: kit.scraps.get(misfit(kit, count={"N": f"{AMOUNT}"}))),
    (InvalidItem, lambda kit: kit.scraps.get(misfit(kit, word={"S": CANARY}))),
    (InvalidItem, lambda kit: kit.scraps.get(misfit(kit, _t={"S": "of-another-type"}))),
    (InvalidCursor, lambda kit: kit.secrets.query(BY_SHELF, shelf=CANARY).page(1, after=CANARY)),
    (InvalidCursor, lambda kit: kit.balances.history(kit.trader, after=kit.orders.list(kit.trader, limit=1).next)),
    (ChangesTrimmed, miss_changes),
    (RequestRefused, add_to_text),
    (RequestRefused, store_text_as_number),
    (
        RequestRefused,
        lambda kit: kit.db.execute(
            GetItem(table="no-such-table", key=SCRAP.item_key(CANARY)), Pattern("Canary.get", "GetItem")
        ),
    ),
    (RefundTooLarge, ask_back_too_much),
    (AccountNotEmpty, lambda kit: kit.users.close(kit.users.require(kit.trader), request_id=kit.new_id())),
    (BudgetExceeded, overspend),
    (BudgetExceeded, stop_a_write),
    (InsufficientFunds, overdraw),
    (
        PriceOutOfBounds,
        lambda kit: kit.orders.buy(kit.trader, ASSET, QUANTITY, price=AMOUNT, price_bound=1, request_id=kit.new_id()),
    ),
    (OrderTooSmall, lambda kit: kit.orders.buy(kit.trader, ASSET, 1, price=1, request_id=kit.new_id())),
    (AssetInactive, buy_untraded),
    (
        AccountClosed,
        lambda kit: kit.balances.deposit(close_account(kit, kit.profile().username), AMOUNT, request_id=kit.new_id()),
    ),
    (AccountNotFound, lambda kit: kit.balances.deposit(f"{CANARY}-no", AMOUNT, request_id=kit.new_id())),
    (RequestIdReused, repeat_otherwise),
    (RequestIdReused, ask_otherwise),
    (OutboxFull, tell_too_much),
    (InvalidInput, keep_no_result),
    (InvalidInput, lambda kit: ask(kit, CANARY, CANARY * 30_000)),
    (RequestFenced, use_fenced),
    (OrderConflict, lambda kit: kit.orders.confirm(kit.order("place"), request_id=kit.new_id())),
    (InvalidAmount, lambda kit: kit.balances.deposit(kit.trader, f"{AMOUNT}999", request_id=kit.new_id())),
    (InvalidAmount, lambda kit: kit.balances.deposit(kit.trader, CANARY, request_id=kit.new_id())),
    (InvalidInput, lambda kit: kit.balances.deposit(kit.trader, 1, request_id=CANARY)),
    (InvalidInput, lambda kit: kit.users.get(f"{CANARY} is no name")),
    (InvalidInput, lambda kit: kit.users.change_email(kit.profile(), f"{CANARY} at home", request_id=kit.new_id())),
    (InvalidInput, lambda kit: kit.users.update(kit.profile(), {"full_name": [CANARY]}, request_id=kit.new_id())),
    (InvalidInput, lambda kit: kit.assets.get(CANARY)),
    (InvalidInput, lambda kit: kit.secrets.get((CANARY * 200, 1))),
    (InvalidInput, lambda kit: kit.secrets.get((CANARY, CANARY))),
    (InvalidInput, lambda kit: kit.secrets.get((CANARY, 10**9))),
    (InvalidInput, lambda kit: kit.secrets.create(kit.secret(amount=AMOUNT / 1000))),
    (InvalidInput, lambda kit: kit.scraps.create(Scrap(id=CANARY, text=CANARY * 25_000))),
    (InvalidInput, lambda kit: kit.scraps.update(CANARY, lambda change, it: change.set(it.count, CANARY))),
    (InvalidInput, lambda kit: kit.secrets.query(BY_SHELF, shelf=CANARY * 200).page(1)),
    (ConfigurationError, lambda kit: kit.secrets.query(BY_SHELF, owner=CANARY).page(1)),
    (ConfigurationError, lambda kit: kit.secrets.update((CANARY, 1), lambda change, it: change.set(it.shelf, CANARY))),
    (MissingPart, lambda kit: UserDAO(kit.db).create(kit.newcomer(PASSWORD), request_id=kit.new_id())),
]


@pytest.fixture
def kit(each_engine: Engine, table_name: str) -> Iterator[CanaryKit]:
    """A kit on a table of each engine."""
    database = Database.connect(
        wire=each_engine.wire(),
        table=table_name,
        entity_types=[SECRET, SCRAP, *LEDGER_ENTITY_TYPES],
        event_types=[TOLD],
        cursor_keys=["a key for tests, and nothing else"],
    )
    database.create_tables()
    yield CanaryKit(database, quick_passwords())
    database.close()


def test_no_refusal_tells_what_was_refused(kit: CanaryKit, spans: Spans, metrics: Metrics, logs: Logs) -> None:
    """Each error class that exists is raised, and no text, traceback, answer, log line, span or metric has a canary.

    Unavailable and OutcomeUnknown are raised by faults, beside this file.
    """
    errors: dict[str, CommonError] = {}
    for number, (kind, refuse) in enumerate(REFUSALS):
        with pytest.raises(kind) as caught:
            refuse(kit)
        errors[f"{kind.__name__}, number {number}"] = caught.value
        log.error("It was refused.", exc_info=caught.value)
    told = {"spans": spans.text(), "metrics": metrics.text(), "logs": logs.text()}
    told |= {name: told_by(error) for name, error in errors.items()}

    assert [] == find_canaries(told)
    assert len(REFUSALS) == len(logs.lines("common.test"))
    reached = {ancestor for error in errors.values() for ancestor in type(error).__mro__}
    known = {getattr(exceptions, name) for name in exceptions.__all__}
    errors_known = {kind for kind in known if isinstance(kind, type) and issubclass(kind, DynamoError)}
    assert {Unavailable, OutcomeUnknown} == errors_known - reached
