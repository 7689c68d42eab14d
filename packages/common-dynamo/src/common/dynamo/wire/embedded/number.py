"""DynamoDB's numbers: canonical text, exact arithmetic, and bytes that sort as the numbers do.

Range and precision are those of the Amazon DynamoDB Developer Guide, "Supported data types": zero, or a magnitude
between 1E-130 and 9.99...E+125, with at most 38 significant digits.
"""

import re
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from functools import lru_cache

from common.dynamo.wire.embedded.refusal import invalid

_CANONICAL = re.compile(r"-?(?:[1-9][0-9]{0,37}|(?:0|[1-9][0-9]{0,17})\.[0-9]{0,18}[1-9])|0")
_NUMERAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_MAX_DIGITS = 38
_MIN_EXPONENT = -130
_MAX_EXPONENT = 125
# Wide enough that the sum of any two numbers in range is exact; the digits are checked afterwards.
_EXACT = Context(prec=600, traps=[InvalidOperation, Inexact, Overflow])


def canonical(text: str) -> str:
    """Return *text* as DynamoDB gives it back: plain digits, no leading or trailing zeros, no exponent.

    Raises:
        Refused: Not a number, more than 38 significant digits, or out of range.
    """
    if _CANONICAL.fullmatch(text):
        return text
    if not isinstance(text, str) or not _NUMERAL.fullmatch(text):
        raise invalid("The parameter cannot be converted to a numeric value")
    return plain(Decimal(text))


def plain(number: Decimal) -> str:
    """Return *number* in canonical form.

    Raises:
        Refused: More than 38 significant digits, or out of range.
    """
    if not number:
        return "0"
    sign, digits, exponent = number.as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    significant = text.rstrip("0")
    if not isinstance(exponent, int):
        raise invalid("The parameter cannot be converted to a numeric value")
    magnitude = exponent + len(text) - 1
    if magnitude > _MAX_EXPONENT:
        raise invalid("Number overflow. Attempting to store a number with magnitude larger than supported range")
    if magnitude < _MIN_EXPONENT:
        raise invalid("Number underflow. Attempting to store a number with magnitude smaller than supported range")
    if len(significant) > _MAX_DIGITS:
        raise invalid("Attempting to store more than 38 significant digits in a Number")
    return ("-" if sign else "") + _positional(significant, magnitude)


def _positional(significant: str, magnitude: int) -> str:
    point = magnitude + 1
    if point <= 0:
        return "0." + "0" * -point + significant
    if point >= len(significant):
        return significant + "0" * (point - len(significant))
    return f"{significant[:point]}.{significant[point:]}"


def add(left: str, right: str) -> str:
    """Return the exact sum in canonical form."""
    return plain(_EXACT.add(Decimal(left), Decimal(right)))


def subtract(left: str, right: str) -> str:
    """Return the exact difference in canonical form."""
    return plain(_EXACT.subtract(Decimal(left), Decimal(right)))


def size(text: str) -> int:
    """Return the bytes that a number in canonical form counts for.

    One byte, one per two significant digits on each side of the point, and one for a minus sign. The Developer Guide
    ("DynamoDB item sizes and formats") gives the rule as approximate; the pairs on each side are what engines count.
    """
    whole, point, fraction = text.lstrip("-").partition(".")
    if not point:
        digits = (len(whole.rstrip("0")) + 1) // 2
    elif whole == "0":
        digits = (len(fraction.lstrip("0")) + 1) // 2
    else:
        digits = (len(whole) + 1) // 2 + (len(fraction) + 1) // 2
    return digits + 1 + (text[0] == "-")


@lru_cache(maxsize=4096)
def sort_bytes(text: str) -> bytes:
    """Return bytes whose order is the order of the numbers, for *text* in canonical form."""
    if text == "0":
        return b"\x02"
    whole, _, fraction = text.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    exponent = len(whole) if whole != "0" else len(digits) - len(fraction)
    digits = digits.rstrip("0")
    pairs = [int(digits[i : i + 2].ljust(2, "0")) + 1 for i in range(0, len(digits), 2)]
    magnitude = bytes([exponent - _MIN_EXPONENT - 1, *pairs])
    if text[0] != "-":
        return b"\x03" + magnitude
    # A longer negative number is smaller than its own prefix: the terminator sorts above every complemented pair.
    return b"\x01" + bytes(255 - byte for byte in magnitude) + b"\xff"
