"""No telling of the data layer holds a key, a value, a filter, a cursor, an amount or a password (observability OT10).

Every operation of every DAO runs on canaries, as it should and under each fault; then everything that was traced,
measured, logged, raised and reported is searched.
"""

import inspect
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.trace import StatusCode

from common.auth.testing import quick_passwords
from common.core import App, Plugins, Settings
from common.dynamo import DAO, Database, EmittedEvent, OutboxRelay, Transaction
from common.dynamo.dao import AssetBalanceDAO, AssetDAO, AssetTransactionDAO, BalanceDAO, OrderDAO, UserDAO
from common.dynamo.dao.ledger_types import LEDGER_ENTITY_TYPES
from common.dynamo.exceptions import OutcomeUnknown, Unavailable
from common.dynamo.requests import PutItem
from common.dynamo.testing import Engine, Fault, FaultPlan, FaultRates, FaultyWire
from common.dynamo.testing.canaries import (
    AMOUNT,
    ASSET,
    BY_SHELF,
    CANARY,
    COUNT_OF_SCRAP,
    PASSWORD,
    QUANTITY,
    SCRAP,
    SECRET,
    TEXT_OF_SCRAP,
    CanaryKit,
    Scrap,
    find_canaries,
    told_by,
)
from common.dynamo.testing.events import TOLD, Told
from common.entities import OrderStatus, OrderType
from common.exceptions import CommonError
from common.observability.health import HealthRunner, Level
from common.observability.testing import Logs, Metrics, Spans

AHEAD = timedelta(hours=1)
"""How far the clock of the calls goes before that of their preparations, so that what expires can be expired."""
FAULTS = [Fault.REFUSE, Fault.THROTTLE, Fault.CONFLICT, Fault.ERROR_AFTER, Fault.DROP_AFTER]
log = logging.getLogger("common.test")
pytestmark = pytest.mark.usefixtures("quiet_libraries")


def rename(change: Any, it: Any) -> None:
    """Set a value."""
    change.set(it.text, f"{CANARY} renamed")


def count(change: Any, it: Any) -> None:
    """Add to a number: not repeatable by itself."""
    change.add(it.count, 1)


def cursor_of(kit: CanaryKit) -> str:
    """Return the cursor behind the first secret on the shelf: always the same, and made of a canary."""
    cursor = kit.secrets.query(BY_SHELF, shelf=CANARY).page(1).next
    assert cursor is not None
    return cursor


def transact(kit: CanaryKit, *operations: Callable[[Transaction], object]) -> None:
    """Send operations as one transaction."""
    with kit.db.transaction() as transaction:
        for operation in operations:
            operation(transaction)


def upsert(kit: CanaryKit, scrap: Scrap) -> Scrap:
    """Change a scrap, or store it where there is none."""
    return kit.scraps.upsert(scrap.id, rename, default=scrap)


def ask_once(kit: CanaryKit, request_id: str) -> None:
    """Send a transaction under a request id, with a result and an event."""
    with kit.db.transaction(request_id=request_id, scope=CANARY, input=(CANARY, AMOUNT)) as transaction:
        transaction.put(kit.scraps, kit.scrap())
        transaction.emit(Told(about=f"{CANARY}{request_id}", text=CANARY))
        transaction.result = {"text": CANARY, "amount": AMOUNT}


def relay(calm: CanaryKit, tried: CanaryKit) -> None:
    """Relay an event that cannot be published."""

    def refuse(event: EmittedEvent) -> None:
        raise ConnectionError(event.body)

    ask_once(calm, calm.new_id())
    OutboxRelay(tried.db, refuse).run_once()


Call = Callable[[CanaryKit, CanaryKit], object]
"""One call of the second kit, with what it needs prepared by the first, whose calls meet no faults. Names of calls are
those of operations; more than one call of an operation tells them apart behind a space."""

GENERIC: dict[str, Call] = {
    "Secret.create": lambda calm, tried: tried.secrets.create(calm.secret()),
    "Secret.get": lambda calm, tried: tried.secrets.get(calm.stored_secret()),
    "Secret.require": lambda calm, tried: tried.secrets.require(calm.stored_secret()),
    "Secret.batch_get": lambda calm, tried: tried.secrets.batch_get([calm.stored_secret(), calm.secret()]),
    "Secret.put": lambda calm, tried: tried.secrets.put(calm.stored_secret().model_copy(update={"text": CANARY * 2})),
    "Secret.update": lambda calm, tried: tried.secrets.update(
        calm.stored_secret(), lambda change, it: change.set(it.email, f"{CANARY}{calm.new_id()}@example.org")
    ),
    "Secret.delete": lambda calm, tried: tried.secrets.delete(calm.stored_secret()),
    "Secret.query": lambda calm, tried: list(
        tried.secrets.query(BY_SHELF, shelf=calm.stored_secret().shelf).where(lambda it: it.text == CANARY)
    ),
    "Secret.query all": lambda calm, tried: tried.secrets.query(BY_SHELF, shelf=CANARY).between(1, None).all(limit=3),
    "Secret.query page": lambda calm, tried: tried.secrets.query(BY_SHELF, shelf=CANARY).page(1, after=cursor_of(calm)),
    "Scrap.view": lambda calm, tried: tried.scraps.view(calm.stored_scrap(), TEXT_OF_SCRAP),
    "Scrap.views": lambda calm, tried: tried.scraps.views(calm.stored_scrap(), TEXT_OF_SCRAP, COUNT_OF_SCRAP),
    "Scrap.put": lambda calm, tried: tried.scraps.put(calm.scrap()),
    "Scrap.update": lambda calm, tried: tried.scraps.update(
        calm.stored_scrap().id, rename, where=lambda it: it.text == CANARY
    ),
    "Scrap.update once": lambda calm, tried: tried.scraps.update(calm.stored_scrap().id, count, request_id=CANARY),
    "Scrap.upsert": lambda calm, tried: upsert(tried, calm.scrap()),
    "Scrap.delete": lambda calm, tried: tried.scraps.delete(calm.stored_scrap().id, where=lambda it: it.text == CANARY),
    "Scrap.batch_write": lambda calm, tried: tried.scraps.batch_write(
        [tried.scraps.plan.put(calm.scrap(), replace=True), tried.scraps.plan.delete(calm.stored_scrap().id)]
    ),
    "Scrap.scan.canaries": lambda calm, tried: tried.scraps.scan(name="canaries").all(limit=3),
    "Database.transaction": lambda calm, tried: transact(
        tried,
        lambda tx: tx.create(tried.secrets, calm.secret()),
        lambda tx: tx.put(tried.scraps, calm.scrap()),
        lambda tx: tx.update(tried.scraps, calm.stored_scrap().id, rename),
        lambda tx: tx.delete(tried.scraps, calm.stored_scrap().id),
        lambda tx: tx.check(tried.scraps, calm.stored_scrap().id, lambda it: it.text == CANARY),
        lambda tx: tx.part(PutItem(table=tried.db.table_of(SCRAP), item=SCRAP.encode(calm.scrap()))),
    ),
    "Database.transaction once": lambda calm, tried: ask_once(tried, calm.new_id()),
    "Database.replay": lambda calm, tried: tried.db.replay(calm.new_id(), scope=CANARY),
    "Database.read": lambda calm, tried: tried.db.read(
        (tried.secrets, calm.stored_secret()), (tried.scraps, calm.stored_scrap().id)
    ),
    "OutboxRelay.list": relay,
}
USERS: dict[str, Call] = {
    "UserDAO.create": lambda calm, tried: tried.users.create(calm.newcomer(PASSWORD), request_id=calm.new_id()),
    "UserDAO.get": lambda calm, tried: tried.users.get(calm.trader),
    "UserDAO.require": lambda calm, tried: tried.users.require(calm.trader),
    "UserDAO.authenticate": lambda calm, tried: tried.users.authenticate(calm.profile().username, PASSWORD),
    "UserDAO.authenticate wrongly": lambda calm, tried: tried.users.authenticate(calm.trader, f"{CANARY} wrong"),
    "UserDAO.authenticate nobody": lambda calm, tried: tried.users.authenticate(f"{CANARY}-nobody", PASSWORD),
    "UserDAO.update": lambda calm, tried: tried.users.update(
        calm.profile(), {"full_name": f"{CANARY} II"}, request_id=calm.new_id()
    ),
    "UserDAO.change_email": lambda calm, tried: tried.users.change_email(
        calm.profile(), calm.newcomer().email, request_id=calm.new_id()
    ),
    "UserDAO.set_password": lambda calm, tried: tried.users.set_password(
        calm.profile(), f"{CANARY} new", request_id=calm.new_id()
    ),
    "UserDAO.stored_password": lambda calm, tried: tried.users.stored_password(calm.profile().username),
    "UserDAO.rehash": lambda calm, tried: tried.users.rehash(
        calm.profile().username, old=f"{CANARY} old hash", new=f"{CANARY} new hash"
    ),
    "UserDAO.close": lambda calm, tried: tried.users.close(calm.profile(), request_id=calm.new_id()),
    "Profile.scan.password-hashes": lambda calm, tried: list(tried.users.password_hashes()),
}
MONEY: dict[str, Call] = {
    "BalanceDAO.deposit": lambda calm, tried: tried.balances.deposit(calm.trader, AMOUNT, request_id=calm.new_id()),
    "BalanceDAO.withdraw": lambda calm, tried: tried.balances.withdraw(calm.trader, AMOUNT, request_id=calm.new_id()),
    "BalanceDAO.adjust": lambda calm, tried: tried.balances.adjust(
        calm.trader, AMOUNT, reason=f"{CANARY} reason", request_id=calm.new_id()
    ),
    "BalanceDAO.refund": lambda calm, tried: tried.balances.refund(
        calm.orders.buy(calm.trader, ASSET, QUANTITY, price=1, request_id=calm.new_id()).entry,
        "0.01",
        request_id=calm.new_id(),
    ),
    "BalanceDAO.get": lambda calm, tried: tried.balances.get(calm.trader),
    "BalanceDAO.entry": lambda calm, tried: tried.balances.entry(
        calm.trader, calm.balances.deposit(calm.trader, AMOUNT, request_id=calm.new_id()).entry.id
    ),
    "BalanceDAO.resolve": lambda calm, tried: tried.balances.resolve(calm.trader, calm.new_id()),
    "BalanceDAO.resolve fence": lambda calm, tried: tried.balances.resolve(calm.trader, calm.new_id(), fence=True),
    "BalanceDAO.history": lambda calm, tried: tried.balances.history(
        calm.trader, limit=1, after=calm.balances.history(calm.trader, limit=1).next
    ),
    "AssetDAO.create": lambda calm, tried: tried.assets.create(calm.asset(), request_id=calm.new_id()),
    "AssetDAO.get": lambda calm, tried: tried.assets.get(ASSET),
    "AssetDAO.list": lambda calm, tried: tried.assets.list(limit=1, after=calm.assets.list(limit=1).next),
    "AssetDAO.by_category": lambda calm, tried: tried.assets.by_category(CANARY),
    "AssetDAO.set_price": lambda calm, tried: tried.assets.set_price(ASSET, AMOUNT, request_id=calm.new_id()),
    "AssetDAO.price": lambda calm, tried: tried.assets.price(ASSET),
    "AssetBalanceDAO.portfolio": lambda calm, tried: tried.holdings.portfolio(calm.trader),
    "AssetBalanceDAO.get": lambda calm, tried: tried.holdings.get(calm.trader, ASSET),
    "AssetTransactionDAO.history": lambda calm, tried: tried.trades.history(calm.trader, ASSET, limit=1),
}
ORDERS: dict[str, Call] = {
    "OrderDAO.buy": lambda calm, tried: tried.orders.buy(
        calm.trader, ASSET, QUANTITY, price=1, request_id=calm.new_id()
    ),
    "OrderDAO.sell": lambda calm, tried: tried.orders.sell(
        calm.trader, ASSET, QUANTITY, price=1, request_id=calm.new_id()
    ),
    "OrderDAO.place": lambda calm, tried: tried.orders.place(calm.trader, calm.limit(), request_id=calm.new_id()),
    "OrderDAO.submit": lambda calm, tried: tried.orders.submit(calm.trader, calm.limit(), request_id=calm.new_id()),
    "OrderDAO.confirm": lambda calm, tried: tried.orders.confirm(calm.order("submit"), request_id=calm.new_id()),
    "OrderDAO.queue": lambda calm, tried: tried.orders.queue(calm.order("submit", "confirm"), request_id=calm.new_id()),
    "OrderDAO.trigger": lambda calm, tried: tried.orders.trigger(calm.order("place"), request_id=calm.new_id()),
    "OrderDAO.claim": lambda calm, tried: tried.orders.claim(calm.order("place", "trigger"), request_id=calm.new_id()),
    "OrderDAO.settle": lambda calm, tried: tried.orders.settle(
        calm.order("place", "trigger", "claim"), price=1, request_id=calm.new_id()
    ),
    "OrderDAO.cancel": lambda calm, tried: tried.orders.cancel(calm.order("place"), request_id=calm.new_id()),
    "OrderDAO.fail": lambda calm, tried: tried.orders.fail(calm.order("submit"), request_id=calm.new_id()),
    "OrderDAO.expire": lambda calm, tried: tried.orders.expire(
        calm.order("place", expires_at=datetime.now(UTC) + AHEAD / 2), request_id=calm.new_id()
    ),
    "OrderDAO.get": lambda calm, tried: tried.orders.get(calm.trader, calm.order("place").id),
    "OrderDAO.resolve": lambda calm, tried: tried.orders.resolve(calm.trader, calm.order("place").id),
    "OrderDAO.resolve fence": lambda calm, tried: tried.orders.resolve(calm.trader, calm.new_id(), fence=True),
    "OrderDAO.list": lambda calm, tried: tried.orders.list(calm.order("place").user, limit=1),
    "OrderDAO.by_status": lambda calm, tried: tried.orders.by_status(calm.trader, OrderStatus.QUEUED, limit=1),
    "OrderDAO.due": lambda calm, tried: tried.orders.due(ASSET, OrderType.LIMIT_BUY, AMOUNT, limit=1),
    "OrderDAO.overdue": lambda calm, tried: tried.orders.overdue(ASSET, OrderType.LIMIT_BUY, datetime.now(UTC)),
}
CALLS = GENERIC | USERS | MONEY | ORDERS
OPERATIONS = {name.partition(" ")[0] for name in CALLS} - {"UserDAO.require"}
"""Those with a span of their own: to require a user is to get one."""


class Waiting:
    """A clock that goes on while somebody waits, and a way to wait that takes no time."""

    def __init__(self) -> None:
        """Begin anywhere."""
        self.now = 1000.0

    def clock(self) -> float:
        """Return the time in seconds."""
        return self.now

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


@dataclass
class Story:
    """All calls, fault by fault, and the errors that came of them."""

    calm: CanaryKit
    tried: CanaryKit
    plan: FaultPlan
    events: InMemoryLogRecordExporter
    errors: list[tuple[str, CommonError]] = field(default_factory=list)

    def tell(self, fault: Fault | None) -> None:
        """Make every call, each attempt meeting *fault* where it can; log what fails, as a service does."""
        rates: dict[str, Any] = {} if fault is None else {fault.value: 1.0}
        self.plan.rates = FaultRates(**rates)
        for name, call in CALLS.items():
            try:
                call(self.calm, self.tried)
            except CommonError as error:
                self.errors.append((f"{name} under {fault}", error))
                log.error("%s failed.", name, exc_info=error)
        self.plan.heal()


@pytest.fixture
def story(each_engine: Engine, table_name: str, faults: FaultPlan) -> Iterator[Story]:
    """Two kits on one table of the engine: a calm one, and one whose calls meet faults."""
    wire, waiting = each_engine.wire(), Waiting()
    events, provider = InMemoryLogRecordExporter(), LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(events))
    options: dict[str, Any] = {
        "table": table_name,
        "entity_types": [SECRET, SCRAP, *LEDGER_ENTITY_TYPES],
        "event_types": [TOLD],
        "cursor_keys": ["a key for tests, and nothing else"],
        "logger_provider": provider,
    }
    calm = Database.connect(wire=wire, **options)
    calm.create_tables()
    tried = Database.connect(
        wire=FaultyWire(wire, faults),
        clock=lambda: time.time() + AHEAD.total_seconds(),
        monotonic=waiting.clock,
        sleep=waiting.wait,
        **options,
    )
    yield Story(CanaryKit(calm, quick_passwords()), CanaryKit(tried, quick_passwords()), faults, events)
    tried.close()


def health_of(database: Database) -> dict[str, str]:
    """Return the body of a health report at every level, of everything that is installed."""
    plugins = Plugins()
    plugins.load(Settings.from_environment({"COMMON_AUTH_PASSWORDS": "off"}))
    runner = HealthRunner(plugins.health_checks(), plugins=plugins.listing)
    with plugins.running(App(settings=Settings(), plugins=plugins, provides=(runner, database))):
        reports = {level: runner.evaluate_sync(None, level) for level in Level}
    return {f"health at {level.name}": report.http()[2].decode() for level, report in reports.items()}


def test_no_operation_tells_what_it_works_on(story: Story, spans: Spans, metrics: Metrics, logs: Logs) -> None:
    """Success, load, conflicts, lost answers: no span, metric, event, log line, error or report has a canary."""
    story.tell(None)
    assert [] == story.errors
    for fault in FAULTS:
        story.tell(fault)
    health = health_of(story.tried.db)
    errors = {name: told_by(error) for name, error in story.errors}
    events = story.events.get_finished_logs()
    told = {"spans": spans.text(), "metrics": metrics.text(), "logs": logs.text()} | health | errors
    told["events"] = "\n".join(event.to_json() for event in events)

    assert [] == find_canaries(told, cursor_of(story.calm))
    assert {Unavailable, OutcomeUnknown} == {type(error) for _, error in story.errors}
    assert {"db.client.operation.duration", "common.dynamo.client.unknown_outcomes"} <= metrics.names()
    assert {"common.dynamo.transaction.item_cancelled"} == {event.log_record.event_name for event in events}
    assert len(errors) == len(logs.lines("common.test"))
    assert '"output":"throttled"' in health["health at FULL"] or '"output":"errors"' in health["health at FULL"]
    ended = {(span.name, span.status.status_code is StatusCode.ERROR) for span in spans.all()}
    assert set() == {(name, failed) for name in OPERATIONS for failed in (True, False)} - ended


def test_every_operation_of_every_dao_is_called() -> None:
    """A new method of a DAO is not forgotten here."""
    ledger = (UserDAO, BalanceDAO, OrderDAO, AssetDAO, AssetBalanceDAO, AssetTransactionDAO)
    wanted = {f"{dao.__name__}.{method}" for dao in ledger for method in methods(dao)}

    assert wanted <= OPERATIONS | {"UserDAO.require", "UserDAO.password_hashes"}
    assert methods(DAO) == {name.split(".")[1] for name in OPERATIONS if name.startswith(("Secret.", "Scrap."))}
    told = {"create", "put", "update", "delete", "check", "part", "request", "emit"}
    assert told | {"result_as"} == methods(Transaction)


def methods(kind: type) -> set[str]:
    """Return the names of a class's own public methods."""
    return {name for name, member in vars(kind).items() if inspect.isfunction(member) and not name.startswith("_")}
