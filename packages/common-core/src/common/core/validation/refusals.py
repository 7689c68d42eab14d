"""How the checks of this package refuse: one error with one field, never with the value."""

from common.exceptions import FieldError, InvalidAmount, InvalidInput


def invalid(code: str, message: str, pointer: str = "") -> InvalidInput:
    """Return the error for one wrong value at *pointer* (JSON Pointer, RFC 6901; empty for the input itself)."""
    return InvalidInput(errors=(FieldError(pointer, code, message),))


def invalid_amount(code: str, message: str, pointer: str = "") -> InvalidAmount:
    """Same as :func:`invalid` for an amount."""
    return InvalidAmount(errors=(FieldError(pointer, code, message),))
