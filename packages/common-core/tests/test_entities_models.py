"""Entities: frozen, exact in JSON, silent about what they refuse, without secrets."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import common.entities
from common.core.validation import invalid_input
from common.entities.asset import (
    AssetBalance,
    AssetTransaction,
    AssetTransactionStatus,
    AssetTransactionType,
    Portfolio,
)
from common.entities.inventory import USD, Asset, AssetListResponse, AssetPrice
from common.entities.model import Entity, Input
from common.entities.order import Order, OrderCreate, OrderResponse, OrderStep
from common.entities.user import (
    Balance,
    BalanceTransaction,
    TransactionStatus,
    TransactionType,
    User,
    UserCreate,
    UserStatus,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ID = "01J0B3V1MMEEDTX9CPDGKFHBCH"
PASSWORD = "correct horse battery staple"


def user(**changes: object) -> User:
    """Return a user with sane defaults."""
    content: dict[str, object] = {"username": "alice", "email": "a@x.org", "created_at": NOON, "updated_at": NOON}
    return User.model_validate(content | changes)


def asset(**changes: object) -> Asset:
    """Return an asset with sane defaults."""
    content: dict[str, object] = {"id": "BTC", "name": "Bitcoin", "category": "crypto", "scale": 8, "created_at": NOON}
    return Asset.model_validate(content | changes)


def posting(**changes: object) -> BalanceTransaction:
    """Return a deposit of five dollars, changed."""
    content: dict[str, object] = {
        "id": ID,
        "user": "alice",
        "type": TransactionType.DEPOSIT,
        "status": TransactionStatus.COMPLETED,
        "amount": "5.00",
        "posted_at": NOON,
    }
    return BalanceTransaction.model_validate(content | changes)


def trade(**changes: object) -> AssetTransaction:
    """Return a purchase, changed."""
    content: dict[str, object] = {
        "id": ID,
        "user": "alice",
        "asset": "BTC",
        "type": AssetTransactionType.BUY,
        "status": AssetTransactionStatus.COMPLETED,
        "quantity": "0.50000000",
        "price": "45000.00",
        "total": "22500.00",
        "posted_at": NOON,
    }
    return AssetTransaction.model_validate(content | changes)


MODELS = [
    getattr(common.entities, name)
    for name in common.entities.__all__
    if isinstance(getattr(common.entities, name), type) and issubclass(getattr(common.entities, name), Entity | Input)
]


@pytest.mark.parametrize("model", MODELS)
def test_every_entity_is_frozen_and_quiet(model: type[Entity]) -> None:
    """No field can be assigned, and pydantic's own error text does not quote the input."""
    assert model.model_config["frozen"]
    assert model.model_config["hide_input_in_errors"]


@pytest.mark.parametrize("model", MODELS)
def test_every_model_has_a_json_schema(model: type[Entity]) -> None:
    """An OpenAPI document can be made of each, and shows amounts as text: there is no JSON number but scales."""
    schema = model.model_json_schema(mode="serialization")
    numbers = {
        name
        for definition in (schema, *schema.get("$defs", {}).values())
        for name, field in definition.get("properties", {}).items()
        if "number" in str(field.get("type")) or "integer" in str(field)
    }

    assert numbers <= {"scale", "quote_scale"}


def test_an_entity_cannot_be_changed() -> None:
    """Assigning a field is an error; who needs another value makes one."""
    alice = user()
    with pytest.raises(ValidationError, match="frozen"):
        alice.email = "b@x.org"  # type: ignore[misc]

    assert "a@x.org" == alice.email
    assert hash(alice) == hash(user())


def test_a_user_is_stored_in_canonical_form() -> None:
    """Names and addresses that differ in case alone are the same user."""
    assert user() == user(username="Alice", email="A@X.ORG")
    assert UserStatus.ACTIVE is user().status


@pytest.mark.parametrize("name", ["password", "password_hash", "hash", "rid", "version", "pk", "sk"])
def test_a_user_never_carries_a_secret(name: str) -> None:
    """What is stored beside a user does not get into the model, its JSON or its repr, even where it is handed in."""
    alice = user(**{name: PASSWORD})

    assert name not in User.model_fields
    assert not hasattr(alice, name)
    assert PASSWORD not in f"{alice!r} {alice.model_dump()} {alice.model_dump_json()}"


def test_a_users_repr_does_not_tell_who_it_is() -> None:
    """A log line with a user in it shows the name alone, not the address."""
    alice = user(full_name="Alice Liddell")

    assert "alice" in repr(alice)
    assert "x.org" not in repr(alice)
    assert "Liddell" not in repr(alice)


def test_a_password_shows_itself_to_nobody() -> None:
    """The password of a sign-up is masked in repr, text and JSON, and absent from errors."""
    wanted = UserCreate.model_validate({"username": "alice", "email": "a@x.org", "password": PASSWORD})
    with pytest.raises(ValidationError) as caught:
        UserCreate.model_validate({"username": "a", "email": "a", "password": [PASSWORD], "pasword": PASSWORD})
    shown = f"{wanted!r} {wanted} {wanted.model_dump()} {wanted.model_dump_json()} {caught.value}"

    assert PASSWORD not in f"{shown} {invalid_input(caught.value).errors}"
    assert wanted.password is not None
    assert PASSWORD == wanted.password.get_secret_value()


def test_requests_refuse_unknown_fields_and_answers_ignore_them() -> None:
    """A caller's typo is an error; a field of a newer service is none for an older client."""
    with pytest.raises(ValidationError, match="Extra inputs"):
        UserCreate.model_validate({"username": "alice", "email": "a@x.org", "nickname": "al"})

    assert user() == user(nickname="al")


@pytest.mark.parametrize("type", TransactionType)
def test_the_sign_of_a_posting_fits_its_type(type: TransactionType) -> None:
    """A deposit that takes and a withdrawal that gives cannot be written down; an adjustment goes either way."""
    amounts = {"5.00": type.is_credit is not False, "-5.00": type.is_credit is not True}
    for amount, fits in amounts.items():
        if fits:
            assert amount == posting(type=type, amount=amount).model_dump(mode="json")["amount"]
            continue
        with pytest.raises(ValidationError, match="sign"):
            posting(type=type, amount=amount)


def test_posted_is_available_and_held() -> None:
    """The third figure of a balance is computed, exactly, and an input cannot contradict it."""
    cash = Balance.model_validate({"user": "alice", "available": "0.10", "held": "0.20", "posted": "9.99"})
    coins = AssetBalance(user="alice", asset="BTC", available=Decimal("9" * 38), held=Decimal(1))

    assert Decimal("0.30") == cash.posted
    assert "0.30" == cash.model_dump(mode="json")["posted"]
    assert Decimal("1" + "0" * 38) == coins.posted


@pytest.mark.parametrize("field", ["available", "held"])
def test_no_balance_is_negative(field: str) -> None:
    """A negative figure read from storage raises, instead of being shown."""
    with pytest.raises(ValidationError) as caught:
        Balance.model_validate({"user": "alice", "available": "1.00", "held": "1.00", field: "-0.01"})

    assert [(f"/{field}", "amount_negative")] == [
        (error.pointer, error.code) for error in invalid_input(caught.value).errors
    ]


def test_a_sale_takes_from_the_holding() -> None:
    """The change of a trade has the sign of its type, whatever the process's decimal context."""
    assert Decimal("0.50000000") == trade().change
    assert Decimal("-0.50000000") == trade(type="SELL").change


def test_an_asset_has_its_minimum_at_the_scale_of_its_quote() -> None:
    """Ten dollars unless told otherwise, written as dollars are."""
    assert Decimal("10.00") == asset().minimum_order_value == USD.minimum_order_value
    assert "5.00" == asset(minimum_order_value=5).model_dump(mode="json")["minimum_order_value"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("scale", 19),
        ("scale", -1),
        ("scale", 2.0),
        ("scale", True),
        ("scale", "8"),
        ("minimum_order_value", "0.005"),
        ("minimum_order_value", "-1"),
        ("category", "Crypto Coins"),
        ("name", ""),
    ],
)
def test_an_asset_is_declared_exactly(field: str, value: object) -> None:
    """A scale is a small whole number, the minimum fits the quote, a category is a word."""
    with pytest.raises(ValidationError) as caught:
        asset(**{field: value})

    assert f"/{field}" == invalid_input(caught.value).errors[0].pointer


def test_a_portfolio_is_one_value() -> None:
    """Cash and holdings come together, and survive JSON together."""
    cash = Balance(user="alice", available=Decimal("1.00"), held=Decimal("0.00"))
    coins = AssetBalance(user="alice", asset="BTC", available=Decimal("0.50000000"), held=Decimal("0.00000000"))
    portfolio = Portfolio(user="alice", balance=cash, assets=(coins,))

    assert portfolio == Portfolio.model_validate_json(portfolio.model_dump_json())


# Round trips ----------------------------------------------------------------------------------------------------------

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001
SCALES = st.integers(0, 18)
NAMES = st.from_regex(r"[a-z0-9._-]{3,30}", fullmatch=True)
ASSETS = st.from_regex(r"[A-Z][A-Z0-9]{1,9}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=100)


def amounts(least: int = 0, most: int = 10**12) -> st.SearchStrategy[Decimal]:
    """Return amounts already at their scale, as storage hands them out."""
    return st.builds(lambda units, scale: Decimal(f"{units}E-{scale}"), st.integers(least, most), SCALES).map(
        lambda amount: Decimal(format(amount, "f"))
    )


STEPS = st.builds(OrderStep, at=MOMENTS, by=st.just(ID))
ENTITIES: list[st.SearchStrategy[Any]] = [
    st.builds(User, username=NAMES, email=st.just("a@x.org"), full_name=TEXTS, created_at=MOMENTS, updated_at=MOMENTS),
    st.builds(Balance, user=NAMES, asset=ASSETS, available=amounts(), held=amounts()),
    st.builds(AssetBalance, user=NAMES, asset=ASSETS, available=amounts(), held=amounts()),
    st.builds(
        BalanceTransaction,
        id=st.just(ID),
        user=NAMES,
        type=st.just(TransactionType.SYSTEM_ADJUSTMENT),
        amount=amounts(-(10**12)),
        order=st.none() | st.just(ID),
        posted_at=MOMENTS,
    ),
    st.builds(
        AssetTransaction,
        id=st.just(ID),
        user=NAMES,
        asset=ASSETS,
        quantity=amounts(1),
        price=amounts(1),
        total=amounts(),
        posted_at=MOMENTS,
    ),
    st.builds(
        Order,
        id=st.just(ID),
        user=NAMES,
        asset=ASSETS,
        type=st.just("LIMIT_SELL"),
        quantity=amounts(1),
        limit_price=amounts(1),
        price_bound=st.none(),
        price=st.none() | amounts(1),
        total=st.none() | amounts(),
        hold=st.none() | amounts(),
        fill=st.none() | st.just(ID),
        expires_at=st.none() | MOMENTS,
        history=st.lists(STEPS, max_size=3).map(tuple),
        created_at=MOMENTS,
        updated_at=MOMENTS,
    ),
    st.builds(
        Asset,
        id=ASSETS,
        name=TEXTS,
        category=st.from_regex(r"[a-z0-9][a-z0-9-]{0,29}", fullmatch=True),
        scale=SCALES,
        quote_scale=st.just(18),
        minimum_order_value=amounts(),
        created_at=MOMENTS,
    ),
    st.builds(AssetPrice, asset=ASSETS, price=amounts(1), as_of=MOMENTS),
]


@given(st.one_of(ENTITIES))
def test_json_round_trips_are_exact(entity: Entity) -> None:
    """What goes out as JSON comes back equal, and goes out again byte for byte: no digit or zero is lost."""
    sent = entity.model_dump_json()
    back = type(entity).model_validate_json(sent)

    assert entity == back
    assert sent == back.model_dump_json()


@given(st.one_of(ENTITIES))
def test_python_round_trips_are_exact(entity: Entity) -> None:
    """The same through a dictionary, with decimals as decimals."""
    back = type(entity).model_validate(entity.model_dump())

    assert entity == back
    assert entity.model_dump_json() == back.model_dump_json()


def test_a_page_of_assets_has_a_cursor_and_no_total() -> None:
    """The length of a page is not a count of everything, so none is claimed."""
    page = AssetListResponse(assets=(asset(),), next="c1")

    assert {"assets", "next"} == set(page.model_dump())
    assert page == AssetListResponse.model_validate_json(page.model_dump_json())


def test_a_wish_and_an_answer_are_round_tripped_too() -> None:
    """OrderCreate and OrderResponse are exact in JSON like the rest."""
    wish = OrderCreate.model_validate_json('{"asset":"BTC","type":"MARKET_BUY","quantity":"0.10","price_bound":"1.00"}')

    assert wish == OrderCreate.model_validate_json(wish.model_dump_json())
    assert "0.10" == wish.model_dump(mode="json")["quantity"]
    assert {"order", "replayed"} == set(OrderResponse.model_fields)
