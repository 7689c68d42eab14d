"""What callers of the ledger hand over besides numbers, names and ids: of the kind that is asked for, or refused."""

from typing import TypeVar

from common.exceptions import FieldError, InvalidInput

__all__ = ["require_given"]

T = TypeVar("T")


def require_given(value: object, kind: type[T], *, pointer: str) -> T:
    """Return *value*, which must be a *kind*.

    Args:
        value: As the caller gave it.
        kind: An entity, an enumeration or a type of Python's own.
        pointer: Which argument it is, for the error (JSON Pointer, RFC 6901).

    Raises:
        InvalidInput: It is something else. Nothing was sent.
    """
    if isinstance(value, kind):
        return value
    message = f"This takes a value of type {kind.__name__}, and was given one of type {type(value).__name__}."
    raise InvalidInput(errors=(FieldError(pointer, "wrong_type", message),))
