"""Every method of the ledger's DAOs refuses every wrong argument before anything is sent (DI6)."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from common.dynamo import Database
from common.dynamo.dao import (
    AssetBalanceDAO,
    AssetDAO,
    AssetTransactionDAO,
    BalanceDAO,
    OrderDAO,
    UserDAO,
    check_account,
)
from common.dynamo.dao.ledger_types import LEDGER_ENTITY_TYPES
from common.dynamo.exceptions import DynamoError
from common.dynamo.testing import spend
from common.dynamo.testing.canaries import CANARY
from common.dynamo.testing.ledger import LedgerKit
from common.dynamo.testing.wrong_arguments import (
    COUNT,
    CURSOR,
    DEADLINE,
    FLAG,
    MODEL,
    OBJECT,
    Case,
    Kind,
    Rows,
    assert_refused,
    undescribed,
    wrong_values,
)
from common.entities import USD, Asset, OrderCreate, OrderStatus, OrderType, UserCreate
from common.exceptions import InvalidAmount, InvalidInput

pytestmark = [pytest.mark.thorough, pytest.mark.in_process]

USER = wrong_values(
    InvalidInput,
    None_=None,
    an_int=7,
    bytes_=b"alice",
    empty="",
    too_short="ab",
    too_long=CANARY * 3,
    a_blank=f"{CANARY} x",
    a_surrogate="alic\ud800",
    a_list=[CANARY],
)
ASSET = wrong_values(
    InvalidInput, None_=None, an_int=7, bytes_=b"BTC", empty="", lower="btc", too_long="B" * 11, a_list=["BTC"]
)
REQUEST = wrong_values(
    InvalidInput,
    None_=None,
    an_int=7,
    bytes_=b"x",
    empty="",
    a_text=CANARY,
    a_uuid4="9b2d7f3e-4c1a-4e8b-9f21-0a6b5c4d3e2f",
)
AMOUNT = wrong_values(
    InvalidAmount,
    None_=None,
    a_bool=True,
    a_float=1.5,
    zero=0,
    below_zero="-1",
    empty="",
    a_text=CANARY,
    an_exponent="1e3",
    bytes_=b"1",
    NaN=Decimal("NaN"),
    infinity=Decimal("Infinity"),
    too_long="1" * 31,
    a_huge_exponent=Decimal("1E+999999"),
    other_digits="\u0661",
    a_list=["1"],
)
BOUND = AMOUNT[1:]
MOMENT = wrong_values(
    InvalidInput,
    a_text="2026-01-01",
    an_int=7,
    naive=datetime(2026, 1, 1),  # noqa: DTZ001 - that is the point
    before_time=datetime(1, 1, 1, tzinfo=UTC),
    a_date=datetime(2026, 1, 1, tzinfo=UTC).date(),
)
SIZE = (*wrong_values(InvalidInput, None_=None), *COUNT)
SIDE = wrong_values(
    InvalidInput, None_=None, a_text="limit_buy", a_market_order=OrderType.MARKET_BUY, another=OrderStatus.QUEUED
)
STATUS = wrong_values(InvalidInput, None_=None, a_text="QUEUED", another=OrderType.LIMIT_BUY, an_int=1)
TEXT = wrong_values(InvalidInput, None_=None, an_int=7, bytes_=b"x", a_surrogate="\ud800", a_list=[CANARY])
EMAIL = (*TEXT, *wrong_values(InvalidInput, empty="", no_address=CANARY))
REASON = TEXT
CHANGES = wrong_values(
    InvalidInput,
    empty={},
    unknown={CANARY: CANARY},
    the_name={"username": CANARY},
    no_text_for_a_name={7: "x"},
)
NO_CHANGES = wrong_values(InvalidInput, None_=None, an_int=7, a_text=CANARY, a_list=[CANARY])

WRITE: Mapping[str, Kind] = {"request_id": REQUEST, "deadline": DEADLINE}
STEP = {"order": MODEL, **WRITE}
PAGE: Mapping[str, Kind] = {"limit": SIZE, "after": CURSOR, "deadline": DEADLINE}
MARKET = {"user": USER, "asset": ASSET, "quantity": AMOUNT, "price": AMOUNT, "price_bound": BOUND, **WRITE}
ROWS: Mapping[str, tuple[type, Rows]] = {
    "users": (
        UserDAO,
        {
            "create": {"wanted": MODEL, **WRITE},
            "get": {"username": USER, "deadline": DEADLINE},
            "require": {"username": USER, "deadline": DEADLINE},
            "authenticate": {"username": TEXT, "password": TEXT, "deadline": DEADLINE},
            "update": {"seen": MODEL, "changes": (*CHANGES, *NO_CHANGES), **WRITE},
            "change_email": {"seen": MODEL, "email": EMAIL, **WRITE},
            "set_password": {"seen": MODEL, "password": TEXT, **WRITE},
            "stored_password": {"username": USER, "deadline": DEADLINE},
            "rehash": {"username": USER, "old": TEXT, "new": TEXT, "deadline": DEADLINE},
            "password_hashes": {},
            "close": {"seen": MODEL, **WRITE},
        },
    ),
    "balances": (
        BalanceDAO,
        {
            "deposit": {"user": USER, "amount": AMOUNT, **WRITE},
            "withdraw": {"user": USER, "amount": AMOUNT, **WRITE},
            "adjust": {
                "user": USER,
                "amount": wrong_values(InvalidAmount, None_=None, a_bool=True, a_float=1.5, zero=0, a_text=CANARY),
                "reason": REASON,
                **WRITE,
            },
            "refund": {"order": MODEL, "amount": AMOUNT, **WRITE},
            "get": {"user": USER, "deadline": DEADLINE},
            "entry": {"user": USER, "request_id": REQUEST, "deadline": DEADLINE},
            "resolve": {"user": USER, "fence": FLAG, **WRITE},
            "history": {"user": USER, "since": MOMENT, "until": MOMENT, "consistent": FLAG, **PAGE},
        },
    ),
    "orders": (
        OrderDAO,
        {
            "buy": MARKET,
            "sell": MARKET,
            "place": {"user": USER, "wanted": MODEL, **WRITE},
            "submit": {"user": USER, "wanted": MODEL, **WRITE},
            **dict.fromkeys(("confirm", "queue", "trigger", "claim", "cancel", "fail", "expire"), STEP),
            "settle": {"price": AMOUNT, **STEP},
            "get": {"user": USER, "order_id": REQUEST, "deadline": DEADLINE},
            "resolve": {"user": USER, "fence": FLAG, **WRITE},
            "list": {"user": USER, "consistent": FLAG, **PAGE},
            "by_status": {"user": USER, "status": STATUS, **PAGE},
            "due": {"asset": ASSET, "type": SIDE, "price": AMOUNT, **PAGE},
            "overdue": {
                "asset": ASSET,
                "type": SIDE,
                "as_of": (*wrong_values(InvalidInput, None_=None), *MOMENT),
                **PAGE,
            },
        },
    ),
    "assets": (
        AssetDAO,
        {
            "create": {"asset": MODEL, **WRITE},
            "get": {"asset_id": ASSET, "deadline": DEADLINE},
            "list": PAGE,
            "by_category": {"category": TEXT, **PAGE},
            "set_price": {"asset_id": ASSET, "price": AMOUNT, **WRITE},
            "price": {"asset_id": ASSET, "deadline": DEADLINE},
        },
    ),
    "holdings": (
        AssetBalanceDAO,
        {
            "portfolio": {"user": USER, "deadline": DEADLINE},
            "get": {"user": USER, "asset": ASSET, "deadline": DEADLINE},
        },
    ),
    "trades": (AssetTransactionDAO, {"history": {"user": USER, "asset": ASSET, **PAGE}}),
}
NAMES = {"asset_id": "asset", "after": "cursor", "limit": "size"}


class Desk:
    """A ledger with everything that an argument can be, and one that has asked nothing so far."""

    def __init__(self, ledger: LedgerKit, cold: LedgerKit) -> None:
        self.cold = cold
        user = ledger.open_account("alice", cash="1000.00")
        order, request_id = ledger.place(user), ledger.new_id()
        profile = ledger.users.require(user)
        claimed = ledger.place(user)
        for step in (ledger.orders.trigger, ledger.orders.claim):
            claimed = step(claimed, request_id=ledger.new_id()).entry
        wanted = OrderCreate(
            asset="BTC", type=OrderType.LIMIT_BUY, quantity=Decimal("0.5"), limit_price=Decimal("100.00")
        )
        asset = Asset(id="ETH", name="Ether", category="crypto", scale=18, created_at=order.created_at)
        newcomer = UserCreate(username="bobby", email="b@example.org")
        self.right: Mapping[str, Any] = {
            "user": user,
            "username": user,
            "asset_id": "BTC",
            "amount": "1.00",
            "reason": "a correction",
            "quantity": "0.5",
            "price": "100.00",
            "request_id": request_id,
            "order_id": order.id,
            "order": order,
            "seen": profile,
            "email": "other@example.org",
            "password": "a password",
            "old": "a hash",
            "new": "another hash",
            "changes": {"full_name": "Alice"},
            "status": OrderStatus.QUEUED,
            "type": OrderType.LIMIT_BUY,
            "as_of": datetime(2026, 1, 1, tzinfo=UTC),
            "category": "crypto",
        }
        filled = ledger.orders.buy(user, "BTC", "0.5", price="100.00", request_id=ledger.new_id()).entry
        self.by_dao: Mapping[tuple[str, str], Any] = {
            ("users", "wanted"): newcomer,
            ("orders", "wanted"): wanted,
            ("assets", "asset"): asset,
            ("balances", "order"): filled,
            ("settle", "order"): claimed,
        }

    def arguments(self, dao: str, method: str, row: Mapping[str, Kind]) -> dict[str, Any]:
        """Return arguments that the method takes; what may be left out is."""
        given = {}
        for name in row:
            value = self.by_dao.get((method, name)) or self.by_dao.get(
                (dao, name), self.right.get(name, "BTC" if name == "asset" else None)
            )
            if value is not None:
                given[name] = value
        return given


@pytest.fixture
def desk(ledger: LedgerKit, database: Database, table_name: str, tables: dict[str, str]) -> Desk:
    """One for each test; the wire is shared, so both ledgers see the same tables."""
    cold = Database.connect(
        table=table_name,
        tables=tables,
        wire=database.wire,
        entity_types=LEDGER_ENTITY_TYPES,
        cursor_keys=["a key for tests, and nothing else"],
    )
    return Desk(ledger, LedgerKit(cold))


def rows_of(dao: str) -> Rows:
    """Return the rows of one DAO."""
    return ROWS[dao][1]


METHODS = [(dao, method) for dao in ROWS for method in rows_of(dao)]


def test_every_public_method_is_in_the_table() -> None:
    """A new method, or a new parameter, needs a row before it is done."""
    assert [] == [fault for described, rows in ROWS.values() for fault in undescribed(described, rows)]


@pytest.mark.parametrize(("dao", "method"), METHODS)
def test_a_wrong_argument_is_refused_before_anything_is_sent(desk: Desk, dao: str, method: str) -> None:
    """Each parameter in turn; not even the asset is read, by a ledger that has read none so far."""
    call, row = getattr(getattr(desk.cold, dao), method), rows_of(dao)[method]
    right = desk.arguments(dao, method, row)

    for parameter, kind in row.items():
        assert_refused(
            Case(method, parameter, kind),
            lambda wrong, parameter=parameter: call(**{**right, parameter: wrong}),  # type: ignore[misc]
            named=NAMES.get(parameter),
        )


def test_a_value_of_a_profile_that_does_not_fit_is_named_by_its_field(desk: Desk) -> None:
    """As the caller of a service knows it."""
    seen = desk.right["seen"]

    with spend(trips=0), pytest.raises(InvalidInput, match="/full_name"):
        desk.cold.users.update(seen, {"full_name": 7}, request_id=desk.right["request_id"])


@pytest.mark.parametrize("dao", ROWS)
def test_the_right_arguments_of_the_table_are_no_wrong_input(desk: Desk, dao: str) -> None:
    """Whatever else the ledger says to them: else a refusal in the table would prove nothing."""
    for method, row in rows_of(dao).items():
        with suppress(DynamoError):  # a refusal by the ledger is an answer; wrong input and wrong set-up are not
            getattr(getattr(desk.cold, dao), method)(**desk.arguments(dao, method, row))


MAKERS: Mapping[str, tuple[type, Mapping[str, Kind]]] = {
    name: (
        described,
        {"db": OBJECT, "hasher": OBJECT[1:]}
        if name == "users"
        else {"db": OBJECT, "cash": (*wrong_values(InvalidInput, None_=None), *MODEL[1:])},
    )
    for name, (described, _) in ROWS.items()
}


@pytest.mark.parametrize("dao", MAKERS)
def test_a_dao_is_not_made_of_what_cannot_be_meant(database: Database, dao: str) -> None:
    """Neither of another object than a database, nor with another cash than an asset."""
    described, row = MAKERS[dao]
    right: dict[str, Any] = {"db": database}

    for parameter, kind in row.items():
        assert_refused(
            Case("make", parameter, kind),
            lambda wrong, parameter=parameter: described(**{**right, parameter: wrong}),  # type: ignore[misc]
        )
    described(**right, **({"cash": USD} if "cash" in row else {}))


def test_the_check_of_an_account_refuses_what_is_no_user(database: Database) -> None:
    """It reads nothing."""
    assert_refused(Case("check_account", "user", USER), lambda wrong: check_account(database, wrong))
    assert_refused(Case("check_account", "db", OBJECT), lambda wrong: check_account(wrong, "alice"))
