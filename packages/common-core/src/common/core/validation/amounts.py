"""Amounts at the edge: what counts as an exact decimal, and how one is written."""

import re
from decimal import Decimal
from typing import Final

from common.core.validation.refusals import invalid_amount
from common.exceptions import InvalidAmount

AMOUNT_PATTERN: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
"""The text of an amount: ASCII digits, no exponent, no leading zero or plus sign, no separators."""
AMOUNT_DIGITS: Final = 30
"""Digits of one amount at most, before and after the point: 10**8 of the largest still add up within the 38 digits of a
DynamoDB number (Amazon DynamoDB Developer Guide, "Data types: number")."""
AMOUNT_LENGTH: Final = AMOUNT_DIGITS + 3
"""Characters of such a text at most: a sign, a zero before the point, the point."""


def parse_amount(value: object, *, pointer: str = "") -> Decimal:
    """Return *value* as an exact, finite decimal with the decimal places it came with; minus zero becomes zero.

    Args:
        value: A ``Decimal``, an ``int`` or a text that matches :data:`AMOUNT_PATTERN`. Booleans, binary floating point,
            text with exponents or other than ASCII digits, infinities and NaN are refused.
        pointer: Where it stood in the input, for the error.

    Raises:
        InvalidAmount: *value* is none of these, or has more than 30 digits.

    >>> parse_amount("12.50")
    Decimal('12.50')
    """
    if isinstance(value, str):
        amount = _from_text(value, pointer)
    elif isinstance(value, Decimal):
        amount = _from_decimal(value, pointer)
    elif isinstance(value, int) and not isinstance(value, bool):
        if abs(value) >= 10**AMOUNT_DIGITS:
            raise _too_long(pointer)
        amount = Decimal(value)
    else:
        raise _not_exact(pointer)
    return amount if amount else abs(amount)


def require_positive(amount: Decimal, *, pointer: str = "") -> Decimal:
    """Return *amount* unchanged.

    Raises:
        InvalidAmount: *amount* is zero or below.
    """
    if amount > 0:
        return amount
    raise invalid_amount("amount_not_positive", "The amount must be above zero.", pointer)


def require_non_negative(amount: Decimal, *, pointer: str = "") -> Decimal:
    """Return *amount* unchanged.

    Raises:
        InvalidAmount: *amount* is below zero.
    """
    if amount >= 0:
        return amount
    raise invalid_amount("amount_negative", "The amount must not be below zero.", pointer)


def format_amount(amount: Decimal) -> str:
    """Return *amount* in plain digits with all its decimal places, never with an exponent.

    >>> format_amount(Decimal("0.00000001"))
    '0.00000001'
    """
    return format(amount, "f")


def digit_count(amount: Decimal) -> int:
    """Return how many digits *amount* takes in plain writing, without leading zeros but with all decimal places."""
    _, digits, exponent = amount.as_tuple()
    if not isinstance(exponent, int):
        raise _not_exact("")
    return max(len(digits) + max(exponent, 0), -exponent)


def _from_text(text: str, pointer: str) -> Decimal:
    # The length comes first: no work on megabytes of digits.
    if len(text) > AMOUNT_LENGTH:
        raise _too_long(pointer)
    if not AMOUNT_PATTERN.fullmatch(text):
        raise _not_exact(pointer)
    return _within_limit(Decimal(text), pointer)


def _from_decimal(value: Decimal, pointer: str) -> Decimal:
    if not value.is_finite():
        raise _not_exact(pointer)
    # 1E+3 is exact; written out it is 1000. The limit comes first: no work on 1E+999999999.
    _within_limit(value, pointer)
    return Decimal(format(value, "f"))


def _within_limit(amount: Decimal, pointer: str) -> Decimal:
    if digit_count(amount) > AMOUNT_DIGITS:
        raise _too_long(pointer)
    return amount


def _not_exact(pointer: str) -> InvalidAmount:
    return invalid_amount("amount_not_exact", 'Send the amount as a string of plain digits, such as "12.50".', pointer)


def _too_long(pointer: str) -> InvalidAmount:
    return invalid_amount("amount_too_long", f"The amount has more than {AMOUNT_DIGITS} digits.", pointer)
