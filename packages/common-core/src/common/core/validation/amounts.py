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
STORED_DIGITS: Final = 38
"""Digits of a DynamoDB number at most, and so of a sum of amounts, such as a balance (same source)."""


def parse_amount(value: object, *, digits: int = AMOUNT_DIGITS, pointer: str = "") -> Decimal:
    """Return *value* as an exact, finite decimal with the decimal places it came with; minus zero becomes zero.

    Args:
        value: A ``Decimal``, an ``int`` or a text that matches :data:`AMOUNT_PATTERN`. Booleans, binary floating point,
            text with exponents or other than ASCII digits, infinities and NaN are refused.
        digits: How many it may have; :data:`STORED_DIGITS` for sums.
        pointer: Where it stood in the input, for the error.

    Raises:
        InvalidAmount: *value* is none of these, or has more than *digits* digits.

    >>> parse_amount("12.50")
    Decimal('12.50')
    """
    if isinstance(value, str):
        amount = _from_text(value, digits, pointer)
    elif isinstance(value, Decimal):
        amount = _from_decimal(value, digits, pointer)
    elif isinstance(value, int) and not isinstance(value, bool):
        if abs(value) >= 10**digits:
            raise too_long(digits, pointer)
        amount = Decimal(value)
    else:
        raise _not_exact(pointer)
    return amount if amount else amount.copy_abs()


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


def require_digits(amount: Decimal, digits: int, *, pointer: str = "") -> Decimal:
    """Return *amount* unchanged.

    Raises:
        InvalidAmount: In plain digits, decimal places included and leading zeros not, it has more than *digits*; or it
            is not finite.
    """
    _, coefficient, exponent = amount.as_tuple()
    if not isinstance(exponent, int):
        raise _not_exact(pointer)
    if max(len(coefficient) + max(exponent, 0), -exponent) > digits:
        raise too_long(digits, pointer)
    return amount


def too_long(digits: int, pointer: str = "") -> InvalidAmount:
    """Return the error for an amount of more than *digits* digits."""
    return invalid_amount("amount_too_long", f"The amount has more than {digits} digits.", pointer)


def longest_text(digits: int) -> int:
    """Return the characters of the longest amount of *digits* digits: with a sign, a zero before the point, the point."""
    return digits + 3


def _from_text(text: str, digits: int, pointer: str) -> Decimal:
    # The length comes first: no work on megabytes of digits.
    if len(text) > longest_text(digits):
        raise too_long(digits, pointer)
    if not AMOUNT_PATTERN.fullmatch(text):
        raise _not_exact(pointer)
    return require_digits(Decimal(text), digits, pointer=pointer)


def _from_decimal(value: Decimal, digits: int, pointer: str) -> Decimal:
    # The limit comes first: no work on 1E+999999999. 1E+3 is exact; written out it is 1000.
    return Decimal(format(require_digits(value, digits, pointer=pointer), "f"))


def _not_exact(pointer: str) -> InvalidAmount:
    return invalid_amount("amount_not_exact", 'Send the amount as a string of plain digits, such as "12.50".', pointer)
