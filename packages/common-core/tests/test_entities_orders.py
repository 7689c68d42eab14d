"""Orders: what may be asked, and the table of states."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from pydantic import ValidationError

from common.core.validation import invalid_input
from common.entities.order import Order, OrderCreate, OrderResponse, OrderSide, OrderStatus, OrderStep, OrderType
from common.entities.order_states import (
    HOLDING,
    INITIAL,
    SOURCES,
    TERMINAL,
    TRANSITIONS,
    AccountEffect,
    Guard,
    can_reach,
    transition,
)

S = OrderStatus
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAIRS = list(product(OrderStatus, OrderStatus))
ID = "01J0B3V1MMEEDTX9CPDGKFHBCH"

ALLOWED = {
    S.PENDING: {S.CONFIRMED, S.CANCELLED, S.FAILED},
    S.CONFIRMED: {S.QUEUED, S.PROCESSING, S.CANCELLED, S.FAILED},
    S.QUEUED: {S.TRIGGERED, S.CANCELLED, S.EXPIRED},
    S.TRIGGERED: {S.PROCESSING, S.FAILED},
    S.PROCESSING: {S.COMPLETED, S.FAILED},
}
"""The table of the published state machine, written down a second time by hand."""


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_step_is_allowed_exactly_where_the_table_has_it(source: OrderStatus, target: OrderStatus) -> None:
    """All 81 pairs: the status, its sources and the table give one answer."""
    expected = target in ALLOWED.get(source, set())

    assert expected is source.allows(target)
    assert expected is (source in target.sources)
    assert expected is (transition(source, target) is not None)


def test_orders_begin_and_end_where_the_table_says() -> None:
    """Four statuses can be the first one, four are the last one."""
    assert {S.PENDING, S.COMPLETED, S.QUEUED, S.FAILED} == INITIAL
    assert {S.COMPLETED, S.CANCELLED, S.FAILED, S.EXPIRED} == TERMINAL
    assert TERMINAL == {status for status in OrderStatus if status.is_terminal}
    assert frozenset() == S.PENDING.sources


def test_no_step_is_listed_twice() -> None:
    """A pair of statuses has one effect and one set of guards."""
    pairs = [(step.source, step.target) for step in TRANSITIONS]

    assert sorted(set(pairs), key=str) == sorted(pairs, key=str)


@pytest.mark.parametrize(("current", "target"), PAIRS)
def test_reach_agrees_with_a_walk(current: OrderStatus, target: OrderStatus) -> None:
    """can_reach says whether any chain of allowed steps leads there, no step at all included."""
    seen = {current}
    for _ in OrderStatus:
        seen |= {after for status in seen for after in ALLOWED.get(status, set())}

    assert (target in seen) is can_reach(current, [target])


@pytest.mark.parametrize(
    ("current", "target", "for_good"),
    [
        (S.CANCELLED, S.TRIGGERED, True),
        (S.COMPLETED, S.CANCELLED, True),
        (S.PENDING, S.TRIGGERED, False),
        (S.TRIGGERED, S.CANCELLED, True),
        (S.CONFIRMED, S.EXPIRED, False),
        (S.PROCESSING, S.EXPIRED, True),
    ],
)
def test_a_refusal_is_final_when_the_way_is_closed(current: OrderStatus, target: OrderStatus, for_good: bool) -> None:
    """A step is refused for good where the order can no longer come to an allowed source."""
    assert for_good is not can_reach(current, target.sources)


def test_a_hold_is_taken_once_and_ends_once() -> None:
    """On every way through the table, held money is released or settled exactly once before the end."""
    takes = {AccountEffect.TAKE_HOLD, AccountEffect.TAKE_HOLD_IF_NOT_TAKEN}
    ends = {AccountEffect.RELEASE_HOLD, AccountEffect.SETTLE}
    for step in TRANSITIONS:
        if step.effect in takes:
            assert step.target in HOLDING, step
            assert Guard.FUNDS in step.guards, step
        if step.source in HOLDING and step.target not in HOLDING:
            assert step.effect in ends, step
        elif step.source in HOLDING:
            assert step.effect is AccountEffect.NONE, step


def test_only_a_claim_stores_the_fill() -> None:
    """The id of the settling entry is chosen when an engine takes the order, never later."""
    assert {S.PROCESSING} == {step.target for step in TRANSITIONS if step.stores_fill}
    assert {True} == {step.stores_fill for step in TRANSITIONS if step.target is S.PROCESSING}


def test_the_table_cannot_be_changed() -> None:
    """Conditions are generated from it, so nobody adds a step at run time."""
    with pytest.raises(TypeError):
        SOURCES[S.PENDING] = frozenset(OrderStatus)  # type: ignore[index]
    with pytest.raises(AttributeError):
        TRANSITIONS[0].target = S.FAILED  # type: ignore[misc]


@pytest.mark.parametrize(
    ("type", "side", "is_limit"),
    [
        (OrderType.MARKET_BUY, OrderSide.BUY, False),
        (OrderType.MARKET_SELL, OrderSide.SELL, False),
        (OrderType.LIMIT_BUY, OrderSide.BUY, True),
        (OrderType.LIMIT_SELL, OrderSide.SELL, True),
    ],
)
def test_a_type_tells_side_and_patience(type: OrderType, side: OrderSide, is_limit: bool) -> None:
    """Each type is one side of the trade, now or at a price."""
    assert (side, is_limit) == (type.side, type.is_limit)


@pytest.mark.parametrize(
    "terms",
    [
        {"type": "LIMIT_BUY"},
        {"type": "MARKET_BUY", "limit_price": "5.00"},
        {"type": "LIMIT_SELL", "limit_price": "5.00", "price_bound": "4.00"},
        {"type": "MARKET_SELL", "expires_at": NOON},
    ],
)
def test_terms_that_do_not_fit_the_type_are_refused(terms: dict[str, object]) -> None:
    """A market order with a limit would be filled at any price, to its owner's surprise."""
    with pytest.raises(ValidationError) as caught:
        OrderCreate.model_validate({"asset": "BTC", "quantity": "1", **terms})

    assert ["order_terms"] == [error.code for error in invalid_input(caught.value).errors]
    assert invalid_input(caught.value).errors[0].message.startswith("A ")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("quantity", 0.5),
        ("quantity", "0"),
        ("quantity", "-1"),
        ("quantity", "1e5"),
        ("limit_price", 5.0),
        ("asset", "btc"),
        ("type", "BUY"),
        ("limit_prise", "5.00"),
    ],
)
def test_an_order_is_asked_for_exactly(field: str, value: object) -> None:
    """Inexact, negative and misspelt input is refused at its field."""
    wanted = {"asset": "BTC", "type": "LIMIT_BUY", "quantity": "1", "limit_price": "5.00", field: value}
    with pytest.raises(ValidationError) as caught:
        OrderCreate.model_validate(wanted)

    assert [f"/{field}"] == [error.pointer for error in invalid_input(caught.value).errors]


def order(**changes: object) -> Order:
    """Return an order with sane defaults."""
    content: dict[str, object] = {
        "id": ID,
        "user": "alice",
        "asset": "BTC",
        "type": OrderType.LIMIT_BUY,
        "status": OrderStatus.QUEUED,
        "quantity": "0.50000000",
        "limit_price": "45000.00",
        "hold": "22500.00",
        "history": ({"status": "QUEUED", "at": NOON, "by": ID},),
        "created_at": NOON,
        "updated_at": NOON,
    }
    return Order.model_validate(content | changes)


def test_an_order_expires_at_its_time() -> None:
    """The moment itself is too late; an order without a time never expires."""
    placed = order(expires_at=NOON)

    assert placed.is_expired(NOON)
    assert not placed.is_expired(NOON - timedelta(microseconds=1))
    assert not order().is_expired(NOON + timedelta(days=36500))


def test_an_answer_shows_the_order_exactly() -> None:
    """The response to a caller holds text at full scale, and its history with the requests behind it."""
    answer = OrderResponse(order=order(), replayed=True)
    shown = answer.model_dump(mode="json")

    assert ("0.50000000", "45000.00", "22500.00") == tuple(
        shown["order"][name] for name in ("quantity", "limit_price", "hold")
    )
    assert answer == OrderResponse.model_validate_json(answer.model_dump_json())
    assert OrderStep(status=S.QUEUED, at=NOON, by=ID) == answer.order.history[0]
