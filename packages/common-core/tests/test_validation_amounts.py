"""Amounts at the edge: only exact decimals, never rounded, never shown in an error."""

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.core.validation import (
    AMOUNT_PATTERN,
    format_amount,
    parse_amount,
    require_digits,
    require_non_negative,
    require_positive,
)
from common.exceptions import InvalidAmount, InvalidInput

EXACT = st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**20), max_value=10**20)


@pytest.mark.parametrize(
    ("given_value", "written"),
    [
        ("0", "0"),
        ("12.50", "12.50"),
        ("-3.1", "-3.1"),
        ("0.00000001", "0.00000001"),
        ("9" * 30, "9" * 30),
        ("-0." + "9" * 30, "-0." + "9" * 30),
        (7, "7"),
        (-(10**30) + 1, "-" + "9" * 30),
        (Decimal("1.10"), "1.10"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-8"), "0.00000001"),
        ("-0.00", "0.00"),
        (Decimal("-0"), "0"),
    ],
)
def test_exact_decimals_pass(given_value: object, written: str) -> None:
    """Decimals, integers and plain text keep their value and their decimal places; minus zero is zero."""
    assert written == format_amount(parse_amount(given_value))


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        0.1,
        True,
        False,
        None,
        b"1",
        ["1"],
        "",
        " 1",
        "1 ",
        "1\n",
        "+1",
        "01",
        "-01.0",
        ".5",
        "5.",
        "1e5",
        "1E5",
        "0x10",
        "1_000",
        "1,5",
        "1.2.3",
        "--1",
        "NaN",
        "nan",
        "Infinity",
        "-inf",
        "١٢٣",
        "1٫5",
        "１２",
        "½",
        "1.５",
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("Infinity"),
    ],
)
def test_everything_else_is_refused(value: object) -> None:
    """Binary floating point, booleans, exponents, signs, separators and other scripts' digits are no amounts."""
    with pytest.raises(InvalidAmount) as caught:
        parse_amount(value, pointer="/amount")

    assert ("/amount", "amount_not_exact") == (caught.value.errors[0].pointer, caught.value.errors[0].code)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("1" * 31, id="text"),
        pytest.param("-" + "1" * 31, id="negative text"),
        pytest.param("0." + "1" * 31, id="places"),
        pytest.param("1" * 16 + "." + "1" * 15, id="both sides of the point"),
        pytest.param("9" * 200_000, id="a flood of digits"),
        pytest.param(10**30, id="int"),
        pytest.param(-(10**30), id="negative int"),
        pytest.param(10**5000, id="an int that has no text"),
        pytest.param(Decimal("1E+30"), id="exponent"),
        pytest.param(Decimal("1E-31"), id="negative exponent"),
        pytest.param(Decimal("1E+999999"), id="an exponent of megabytes"),
        pytest.param(Decimal("1E-999999"), id="a fraction of megabytes"),
    ],
)
def test_more_than_thirty_digits_are_refused(value: object) -> None:
    """One amount has at most 30 digits, counted with its decimal places; the check does no work on the rest."""
    with pytest.raises(InvalidAmount) as caught:
        parse_amount(value)

    assert "amount_too_long" == caught.value.errors[0].code


def test_a_sum_may_have_thirty_eight_digits() -> None:
    """A balance is a sum of amounts, and may be as long as a stored number."""
    assert Decimal("9" * 38) == parse_amount("9" * 38, digits=38)
    with pytest.raises(InvalidAmount, match="38"):
        parse_amount("9" * 39, digits=38)


@given(EXACT)
def test_text_and_number_are_the_same_amount(amount: Decimal) -> None:
    """What is written out comes back as the same decimal, place for place."""
    written = format_amount(amount)
    back = parse_amount(written) if amount else parse_amount(amount)

    assert AMOUNT_PATTERN.fullmatch(written)
    assert amount == back
    assert amount.as_tuple().exponent == back.as_tuple().exponent


@given(st.text(max_size=12) | st.text(alphabet="0123456789.-eE+ ", max_size=12))
def test_text_is_an_amount_or_refused(text: str) -> None:
    """Whatever text comes in, either it is written exactly as an amount is, or it is refused."""
    try:
        amount = parse_amount(text)
    except InvalidAmount:
        return

    assert text.removeprefix("-") == format_amount(amount).removeprefix("-")


def test_a_narrow_context_changes_nothing() -> None:
    """A process that computes with three digits still reads amounts of thirty."""
    with localcontext() as context:
        context.prec = 3

        assert "1234567890.12" == format_amount(parse_amount("1234567890.12"))
        assert "-1234567890.12" == format_amount(parse_amount(Decimal("-1234567890.12")))


@pytest.mark.parametrize("amount", ["0", "0.00", "-0.01", "-50"])
def test_zero_and_below_are_not_positive(amount: str) -> None:
    """A deposit of minus fifty is refused where amounts must be positive."""
    with pytest.raises(InvalidAmount, match="above zero"):
        require_positive(Decimal(amount))


def test_signs_are_checked() -> None:
    """What has the right sign comes back unchanged."""
    assert Decimal("0.01") == require_positive(Decimal("0.01"))
    assert Decimal(0) == require_non_negative(Decimal(0))
    with pytest.raises(InvalidAmount, match="below zero"):
        require_non_negative(Decimal("-0.01"))


def test_leading_zeros_are_no_digits() -> None:
    """0.001 has three digits after the point and none before it."""
    assert Decimal("0.001") == require_digits(Decimal("0.001"), 3)
    with pytest.raises(InvalidAmount, match="more than 2 digits"):
        require_digits(Decimal("0.001"), 2)


@pytest.mark.parametrize("secret", ["4111111111111111x", "9" * 31, 3.14159])
def test_a_refused_amount_is_not_repeated(secret: object) -> None:
    """An error text can be logged: the value is not in it."""
    with pytest.raises(InvalidInput) as caught:
        parse_amount(secret)

    assert str(secret) not in f"{caught.value} {caught.value!r} {caught.value.extensions()}"
