"""The arithmetic of money: exact, and rounded once, against the customer."""

from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.core.validation import at_scale, cost, exact_arithmetic, parse_amount, proceeds, require_scale, total
from common.exceptions import InvalidAmount

SCALES = st.integers(0, 18)
POSITIVE = st.builds(
    lambda coefficient, places: Decimal((0, tuple(map(int, str(coefficient))), -places)),
    st.integers(1, 10**10),  # a product of two stays within 30 digits at scale 8
    st.integers(0, 10),
)


@pytest.mark.parametrize(
    ("price", "quantity", "scale", "paid", "received"),
    [
        ("45000", "0.0000001", 2, "0.01", "0.00"),
        ("45000.00", "0.5", 2, "22500.00", "22500.00"),
        ("0.333", "1", 2, "0.34", "0.33"),
        ("0.335", "1", 2, "0.34", "0.33"),
        ("3", "0.1", 0, "1", "0"),
        ("999999999999999", "999999999999999", 0, "999999999999998000000000000001", "999999999999998000000000000001"),
        ("1.000000000000000001", "1.000000000000000001", 18, "1.000000000000000003", "1.000000000000000002"),
    ],
)
def test_cost_rounds_up_and_proceeds_round_down(
    price: str, quantity: str, scale: int, paid: str, received: str
) -> None:
    """The fraction of a cent is always the customer's loss, and the result is at full scale."""
    assert paid == str(cost(Decimal(price), Decimal(quantity), scale))
    assert received == str(proceeds(Decimal(price), Decimal(quantity), scale))


@given(POSITIVE, POSITIVE, st.integers(0, 8))
def test_rounding_is_within_one_unit_of_the_exact_product(price: Decimal, quantity: Decimal, scale: int) -> None:
    """Compared with fractions, cost and proceeds enclose the product and differ from it by less than one unit."""
    exact = Fraction(price) * Fraction(quantity)
    unit = Fraction(1, 10**scale)

    assert Fraction(cost(price, quantity, scale)) - unit < exact <= Fraction(cost(price, quantity, scale))
    assert Fraction(proceeds(price, quantity, scale)) <= exact < Fraction(proceeds(price, quantity, scale)) + unit


@given(POSITIVE, st.lists(st.tuples(st.booleans(), POSITIVE), max_size=30), st.integers(0, 8))
def test_no_sequence_of_trades_at_one_price_gains_money(
    price: Decimal, trades: list[tuple[bool, Decimal]], scale: int
) -> None:
    """However buys and sells are cut, cash plus the exact worth of what is held never exceeds the start."""
    cash, held = Decimal(0), Decimal(0)
    with exact_arithmetic():
        for is_buy, wanted in trades:
            quantity = wanted if is_buy else min(wanted, held)
            if not quantity:
                continue
            cash += -cost(price, quantity, scale) if is_buy else proceeds(price, quantity, scale)
            held += quantity if is_buy else -quantity

        assert Fraction(cash) + Fraction(held) * Fraction(price) <= 0


def test_a_thousand_tiny_buys_are_not_free() -> None:
    """Half-even rounding would give 1,000 buys of 1e-7 for nothing and pay 4.50 for selling them together."""
    price, crumb = Decimal(45000), Decimal("0.0000001")
    half_even = (price * crumb).quantize(Decimal("0.01"), rounding=ROUND_HALF_EVEN)
    paid = total([cost(price, crumb, 2)] * 1000)

    assert half_even == 0
    assert Decimal("10.00") == paid
    assert paid > proceeds(price, crumb * 1000, 2)


@pytest.mark.parametrize(("price", "quantity"), [("0", "1"), ("-1", "1"), ("1", "0"), ("1", "-1"), ("-1", "-1")])
def test_factors_must_be_positive(price: str, quantity: str) -> None:
    """Two negative factors would make a positive cost; each is refused by name."""
    with pytest.raises(InvalidAmount, match=r"/(price|quantity): The amount must be above zero"):
        cost(Decimal(price), Decimal(quantity), 2)


def test_factors_must_be_exact() -> None:
    """A binary fraction does not slip into a product where nobody checks types."""
    with pytest.raises(InvalidAmount, match="plain digits"):
        proceeds(0.1, Decimal(1), 2)  # type: ignore[arg-type]


@pytest.mark.parametrize(("length", "scale"), [(16, 0), (15, 1), (20, 2), (30, 18)])
def test_a_product_too_long_is_refused(length: int, scale: int) -> None:
    """A product of more than 30 digits is no amount; it is an error and not a rounded number."""
    factor = Decimal("9" * length)
    for function in (cost, proceeds):
        with pytest.raises(InvalidAmount, match="30 digits"):
            function(factor, factor, scale)


@pytest.mark.parametrize(
    ("value", "scale", "written"),
    [("1", 2, "1.00"), ("1.5", 8, "1.50000000"), ("1.500", 2, "1.50"), (3, 0, "3"), (Decimal("1E+2"), 2, "100.00")],
)
def test_an_amount_is_written_at_its_scale(value: object, scale: int, written: str) -> None:
    """Zeros are added or dropped, the value stays."""
    assert written == str(require_scale(value, scale))


@pytest.mark.parametrize(("value", "scale"), [("1.005", 2), ("0.000000001", 8), ("0.5", 0), ("9.999", 2)])
def test_too_many_decimals_are_refused_not_rounded(value: str, scale: int) -> None:
    """A third decimal of dollars is the caller's mistake, not ours to decide."""
    with pytest.raises(InvalidAmount, match=f"/amount: The amount has more than {scale} decimal places"):
        require_scale(value, scale, pointer="/amount")
    with pytest.raises(InvalidAmount):
        at_scale(Decimal(value), scale)


@pytest.mark.parametrize("value", ["0", "-1", "-0.01"])
def test_amounts_from_outside_are_positive_by_default(value: str) -> None:
    """Zero and negative amounts pass only where the caller says that they may."""
    with pytest.raises(InvalidAmount, match="above zero"):
        require_scale(value, 2)

    assert Decimal(value) == require_scale(value, 2, positive=False)


def test_the_limit_counts_digits_at_full_scale() -> None:
    """13 digits before the point and 18 after it are 31, however short the text was."""
    assert "999999999999." + "0" * 18 == str(require_scale("9" * 12, 18))
    with pytest.raises(InvalidAmount, match="30 digits"):
        require_scale("9" * 13, 18)


@pytest.mark.parametrize("number", [Decimal("NaN"), Decimal("Infinity"), 1, "1"])
def test_what_is_read_back_must_be_a_finite_decimal(number: object) -> None:
    """A stored value of another kind raises, and never counts as a default."""
    with pytest.raises(InvalidAmount, match="finite decimal"):
        at_scale(number, 2)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [Decimal("9" * 37), Decimal("1E+80"), Decimal("1E+999999")])
def test_what_is_read_back_fits_a_stored_number(number: Decimal) -> None:
    """More than 38 digits at full scale cannot have been stored."""
    with pytest.raises(InvalidAmount, match="38 digits"):
        at_scale(number, 2)


@given(st.integers(-(10**37), 10**37), SCALES)
def test_what_fits_its_scale_comes_back_unchanged(units: int, scale: int) -> None:
    """A number of smallest units keeps its value and gets exactly its decimal places."""
    number = Decimal(f"{units}E-{scale}")
    written = at_scale(number.normalize(Context(prec=38)), scale)

    assert number == written
    assert -scale == written.as_tuple().exponent


@given(st.lists(st.integers(-(10**29), 10**29).map(lambda units: Decimal(units).scaleb(-8)), max_size=50))
def test_a_total_is_exact_in_any_context(amounts: list[Decimal]) -> None:
    """Sums lose nothing, even in a process whose context has three digits."""
    expected = sum(map(Fraction, amounts), Fraction(0))
    with localcontext() as context:
        context.prec = 3
        summed = total(amounts)

    assert expected == Fraction(summed)


def test_a_hundred_million_of_the_largest_amounts_fit() -> None:
    """10**8 amounts of 30 digits add up to 38 digits; ten times as many do not."""
    largest = parse_amount("9" * 30)
    with exact_arithmetic():
        assert Decimal("9" * 30 + "0" * 8) == total([largest * 10**8])
        with pytest.raises(InvalidAmount, match="38 digits"):
            total([largest * 10**9])


def test_lost_digits_raise() -> None:
    """Inside exact arithmetic a division that does not come out even is an error."""
    with exact_arithmetic(), pytest.raises(Inexact):
        Decimal(1) / Decimal(3)


def test_exact_arithmetic_ends_with_its_block() -> None:
    """The process's own context is back afterwards, also after an error."""
    with pytest.raises(Inexact), exact_arithmetic():
        Decimal(1) / Decimal(3)

    assert Decimal("0.3333333333333333333333333333") == Decimal(1) / Decimal(3)
