"""Exact decimals (D3): plain digits, 38 of them, whatever the process's context is."""

from collections.abc import Iterator
from decimal import Context, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.dynamo.decimals import at_scale, digits, integer_digits


@pytest.fixture(autouse=True)
def narrow_context() -> Iterator[None]:
    """A process-wide context that rounds to 5 digits, in case anything should use it."""
    with localcontext(Context(prec=5)):
        yield


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("12345678901234567.89", "12345678901234567.89"),
        ("9" * 38, "9" * 38),
        ("-" + "9" * 38, "-" + "9" * 38),
        ("1.50", "1.5"),
        ("1E+3", "1000"),
        ("-0.00", "0"),
        ("0E+9", "0"),
        ("1E-130", "0." + "0" * 129 + "1"),
        ("1E+125", "1" + "0" * 125),
        ("12300", "12300"),
    ],
)
def test_a_decimal_becomes_plain_canonical_digits(value: str, text: str) -> None:
    """No exponent, no needless zeros, no minus before zero, no rounding."""
    assert text == digits(Decimal(value))


@pytest.mark.parametrize(
    "value", ["1" * 39, "0." + "1" * 39, "NaN", "sNaN", "Infinity", "1E+126", "1E-131"], ids=lambda value: value[:12]
)
def test_what_dynamodb_cannot_hold_exactly_is_refused(value: str) -> None:
    """39 digits, infinities and exponents beyond the range are errors, never roundings."""
    with pytest.raises(ValueError, match=r"digits|finite|range"):
        digits(Decimal(value))


def test_whole_numbers_have_the_same_limits() -> None:
    """38 digits pass, 39 significant ones do not, trailing zeros count for nothing."""
    assert "9" * 38 == integer_digits(int("9" * 38))
    assert "1" + "0" * 60 == integer_digits(10**60)
    with pytest.raises(ValueError, match="38 significant"):
        integer_digits(int("1" * 39))
    with pytest.raises(ValueError, match="range"):
        integer_digits(10**126)


@given(
    st.decimals(
        allow_nan=False, allow_infinity=False, min_value=Decimal(-(10**20)), max_value=Decimal(10**20), places=9
    )
)
def test_digits_read_back_as_the_same_number(value: Decimal) -> None:
    """Writing and reading changes nothing of the value."""
    assert value == Decimal(digits(value))


def test_a_scale_is_restored_and_never_rounded_to() -> None:
    """1 comes back as 1.00; a third decimal place does not fit two."""
    assert "1.00" == str(at_scale(Decimal(1), 2))
    assert "12345678901234567890123456789012345678.00" == str(
        at_scale(Decimal(12345678901234567890123456789012345678), 2)
    )
    with pytest.raises(ValueError, match="does not fit 2 decimal places"):
        at_scale(Decimal("1.005"), 2)
