"""Exact decimals: plain digits, at most 38 of them, at a declared scale. No float, no ambient context.

The limits are DynamoDB's (Developer Guide, "Naming rules and data types", Number): 38 significant digits, magnitudes from
1E-130 to 9.99E+125. Every function computes in a context of its own, so a process-wide precision of 28 changes nothing.
"""

from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Final

__all__ = ["EXACT", "MAX_DIGITS", "at_scale", "digits", "integer_digits", "unit_of"]

MAX_DIGITS: Final = 38
_LARGEST_EXPONENT: Final = 125
_SMALLEST_EXPONENT: Final = -130

# Wide enough for any number that DynamoDB stores at any scale in use; a result that does not fit is an error.
EXACT: Final = Context(prec=400, traps=[Inexact, InvalidOperation])


def digits(value: Decimal) -> str:
    """Return *value* as canonical plain digits: no exponent, no needless zeros, never ``-0``.

    Raises:
        ValueError: *value* is no finite number, has more than 38 significant digits, or is out of DynamoDB's range.

    >>> digits(Decimal("1.2E+3")), digits(Decimal("1.50"))
    ('1200', '1.5')
    """
    text = str(value)
    if len(text) > MAX_DIGITS or "E" in text or not value.is_finite():
        return _checked_digits(value)
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def _checked_digits(value: Decimal) -> str:
    if not value.is_finite():
        raise ValueError("not a finite number")
    if not value:
        return "0"
    significant = value.as_tuple().digits
    held = "".join(map(str, significant)).strip("0")
    if len(held) > MAX_DIGITS:
        raise ValueError(f"more than {MAX_DIGITS} significant digits")
    if not _SMALLEST_EXPONENT <= value.adjusted() <= _LARGEST_EXPONENT:
        raise ValueError("out of the range of a DynamoDB number")
    return format(EXACT.normalize(value), "f")


def integer_digits(value: int) -> str:
    """Return *value* as digits.

    Raises:
        ValueError: *value* has more than 38 significant digits, or is out of DynamoDB's range.
    """
    if -(10**MAX_DIGITS) < value < 10**MAX_DIGITS:
        return str(value)
    if not -(10 ** (_LARGEST_EXPONENT + 1)) < value < 10 ** (_LARGEST_EXPONENT + 1):
        raise ValueError("out of the range of a DynamoDB number")
    return _checked_digits(Decimal(value))


def at_scale(value: Decimal, scale: int) -> Decimal:
    """Return *value* with exactly *scale* decimal places.

    Raises:
        ValueError: *value* is no finite number or has more decimal places than that; it is never rounded.

    >>> at_scale(Decimal("1"), 2)
    Decimal('1.00')
    """
    try:
        return value.quantize(_UNITS[scale] if 0 <= scale < len(_UNITS) else unit_of(scale), context=EXACT)
    except (Inexact, InvalidOperation):
        raise ValueError(f"it does not fit {scale} decimal places") from None


def unit_of(scale: int) -> Decimal:
    """Return the smallest step of *scale* decimal places."""
    return Decimal((0, (1,), -scale))


_UNITS: Final = tuple(unit_of(scale) for scale in range(40))
