"""Exact arithmetic on money. Rounding happens in :func:`cost` and :func:`proceeds` alone, against the customer.

No function reads or changes the process's decimal context, so a service that sets 28 digits loses none here.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from decimal import (
    ROUND_CEILING,
    ROUND_FLOOR,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
    localcontext,
)
from typing import Final

from common.core.validation.amounts import (
    AMOUNT_DIGITS,
    STORED_DIGITS,
    parse_amount,
    require_digits,
    require_positive,
    too_long,
)
from common.core.validation.refusals import invalid_amount

PRECISION: Final = 76
"""Digits of intermediate results: any two stored numbers (38 digits each) multiply without loss."""
SCALE_LIMIT: Final = 18
"""Decimal places of an asset at most: those of ether, the finest in wide use."""

# Threads share these: a context records signals, but nobody reads the records.
_EXACT = Context(prec=PRECISION, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
_UP = Context(prec=PRECISION, rounding=ROUND_CEILING, traps=[InvalidOperation])
_DOWN = Context(prec=PRECISION, rounding=ROUND_FLOOR, traps=[InvalidOperation])


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Run a block under 76 digits, in which any operation that would lose a digit raises ``decimal.Inexact``.

    >>> with exact_arithmetic():
    ...     Decimal("12345678901234567890.12") + Decimal("0.000000000000000001")
    Decimal('12345678901234567890.120000000000000001')
    """
    with localcontext(_EXACT):
        yield


def cost(price: Decimal, quantity: Decimal, scale: int) -> Decimal:
    """Return what *quantity* costs at *price*, rounded up to *scale* decimal places: the customer pays the fraction.

    Args:
        price: In units of the quote asset for one unit of the asset, above zero.
        quantity: In units of the asset, above zero.
        scale: Decimal places of the quote asset.

    Raises:
        InvalidAmount: A factor is not exact or not positive, or the cost has more than 30 digits.

    >>> cost(Decimal("45000"), Decimal("0.0000001"), 2)
    Decimal('0.01')
    """
    return _product(price, quantity, scale, _UP)


def proceeds(price: Decimal, quantity: Decimal, scale: int) -> Decimal:
    """Return what selling *quantity* at *price* brings, rounded down to *scale* decimal places; it can be zero.

    Same arguments and errors as :func:`cost`.

    >>> proceeds(Decimal("45000"), Decimal("0.0000001"), 2)
    Decimal('0.00')
    """
    return _product(price, quantity, scale, _DOWN)


def add_exactly(one: Decimal, other: Decimal) -> Decimal:
    """Return the sum of two amounts, whatever the process's decimal context; negate one to subtract (``copy_negate``).

    Raises:
        decimal.Inexact: The sum has more than 76 digits, as no sum of stored numbers has.
    """
    return _EXACT.add(one, other)


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Return the exact sum of *amounts*, at the finest scale among them; ``Decimal(0)`` for none.

    Raises:
        InvalidAmount: The sum does not fit in the 38 digits of a stored number.
    """
    result = Decimal(0)
    for amount in amounts:
        result = _EXACT.add(result, amount)
    return require_digits(result, STORED_DIGITS)


def at_scale(number: Decimal, scale: int) -> Decimal:
    """Return the same number written with *scale* decimal places: ``1`` at scale 2 is ``1.00``. Nothing is rounded.

    For numbers that are known to be exact, such as balances read back; :func:`require_scale` is for amounts from outside.

    Raises:
        InvalidAmount: *number* has more decimal places that are not zero, or more than 38 digits once written so.
    """
    if not (isinstance(number, Decimal) and number.is_finite()):
        raise invalid_amount("amount_not_exact", "The amount is not a finite decimal.")
    return _written(number, scale, STORED_DIGITS, "")


def require_scale(value: object, scale: int, *, positive: bool = True, pointer: str = "") -> Decimal:
    """Return an amount from outside, checked and written with *scale* decimal places.

    Args:
        value: See :func:`common.core.validation.parse_amount`.
        scale: Decimal places of the amount's asset, 0 to 18.
        positive: Whether zero and negative amounts are refused.
        pointer: Where it stood in the input, for the error.

    Raises:
        InvalidAmount: *value* is not exact, not positive, finer than *scale* (it is never rounded), or has more than
            30 digits once written so.

    >>> require_scale("12.5", 2)
    Decimal('12.50')
    """
    amount = parse_amount(value, pointer=pointer)
    if positive:
        require_positive(amount, pointer=pointer)
    return _written(amount, scale, AMOUNT_DIGITS, pointer)


def _product(price: Decimal, quantity: Decimal, scale: int, rounding: Context) -> Decimal:
    exact = _EXACT.multiply(
        require_positive(parse_amount(price, pointer="/price"), pointer="/price"),
        require_positive(parse_amount(quantity, pointer="/quantity"), pointer="/quantity"),
    )
    return require_digits(_quantized(exact, scale, rounding, AMOUNT_DIGITS, ""), AMOUNT_DIGITS)


def _written(number: Decimal, scale: int, digits: int, pointer: str) -> Decimal:
    try:
        return require_digits(_quantized(number, scale, _EXACT, digits, pointer), digits, pointer=pointer)
    except Inexact:
        raise invalid_amount("amount_too_fine", f"The amount has more than {scale} decimal places.", pointer) from None


def _quantized(number: Decimal, scale: int, context: Context, digits: int, pointer: str) -> Decimal:
    try:
        return number.quantize(Decimal((0, (1,), -scale)), context=context)
    except InvalidOperation:
        # More than 76 digits, which is more than any limit here.
        raise too_long(digits, pointer) from None
