"""What callers give, checked before anything is built or sent.

By whose mistake it is, a wrong argument is one of two errors. ``InvalidInput``: keys, models, values, amounts, page
sizes, versions and ids, which a service often takes from its own callers. ``ConfigurationError``: what the program alone
says, such as deadlines, flags, callbacks, indexes and the objects of this package. Neither holds a value; both name the
parameter and what to give instead.

Values of fields and keys are not checked here: their codecs and templates refuse what they cannot store.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NoReturn, TypeVar

from common.exceptions import ConfigurationError, FieldError, InvalidInput

__all__ = [
    "LONGEST_DEADLINE",
    "require_callback",
    "require_flag",
    "require_iterable",
    "require_kind",
    "require_mapping",
    "require_model",
    "require_seconds",
    "require_text",
    "require_whole_number",
]

T = TypeVar("T")

LONGEST_DEADLINE: Final = 1_000_000.0
"""Seconds that a call may be given, at most: eleven days. What waits below, sockets and SQLite, counts in milliseconds."""


def require_flag(name: str, value: object) -> None:
    """Refuse what is neither ``True`` nor ``False``: every other value is a mistake that happens to be true or false.

    Raises:
        ConfigurationError: It is neither.
    """
    if value is not True and value is not False:
        _misused(name, "True or False", value)


def require_seconds(name: str, value: object, *, most: float = math.inf) -> float:
    """Return a number of seconds; zero or below is a time that is over.

    Raises:
        ConfigurationError: It is no number, not a finite one, or above *most*.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        _misused(name, "a number of seconds or a Deadline", value)
    try:
        seconds = float(value)
    except OverflowError:
        seconds = math.inf
    if not math.isfinite(seconds):
        raise ConfigurationError(f"{name} must be a finite number of seconds; every call has an end.")
    if seconds > most:
        raise ConfigurationError(f"{name} must be at most {most:,.0f} seconds.")
    return seconds


def require_whole_number(name: str, value: object, *, least: int) -> int:
    """Return an int that is not below *least*.

    Raises:
        InvalidInput: It is another type, or below.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        _refused(name, "invalid_type", f"{name} must be an int from {least}, not {type(value).__name__}.")
    if value < least:
        _refused(name, "out_of_range", f"{name} must be at least {least}.")
    return value


def require_text(name: str, value: object, *, may_be_empty: bool = False) -> str:
    """Return a text that can be written as UTF-8.

    Raises:
        InvalidInput: It is another type, holds a lone surrogate, or is empty.
    """
    if not isinstance(value, str):
        _refused(name, "invalid_type", f"{name} must be a text, not {type(value).__name__}.")
    if not value and not may_be_empty:
        _refused(name, "empty", f"{name} must not be empty.")
    try:
        value.encode()
    except UnicodeEncodeError:
        _refused(name, "invalid_text", f"{name} holds a lone surrogate, which is no text; send UTF-8.")
    return value


def require_model(name: str, value: object, kind: type[T]) -> T:
    """Return a model of the right class; its fields were checked when it was made.

    Raises:
        InvalidInput: It is something else.
    """
    if not isinstance(value, kind):
        _refused(name, "invalid_type", f"{name} must be {_a(kind)}, not {type(value).__name__}.")
    return value


def require_kind(name: str, value: object, kind: type[T], instead: str = "") -> T:
    """Return an object of this package, or of its kind.

    Args:
        name: Of the parameter.
        value: What was given.
        kind: What it must be.
        instead: How to come by one, as the end of the message.

    Raises:
        ConfigurationError: It is something else.
    """
    if not isinstance(value, kind):
        _misused(name, _a(kind), value, instead)
    return value


def require_callback(name: str, value: object, shape: str) -> Callable[..., Any]:
    """Return a callable; *shape* says what its parameters are.

    Raises:
        ConfigurationError: It cannot be called.
    """
    if not callable(value):
        _misused(name, f"a callback {shape}", value)
    return value


def require_mapping(name: str, value: object) -> Mapping[Any, Any]:
    """Return a mapping.

    Raises:
        ConfigurationError: It is none.
    """
    if not isinstance(value, Mapping):
        _misused(name, "a mapping from field to value", value)
    return value


def require_iterable(name: str, value: object, of: str) -> Iterable[Any]:
    """Return something to walk over that is no single text and no mapping, whose parts nobody means.

    Raises:
        ConfigurationError: It is one of these, or cannot be walked over.
    """
    if isinstance(value, str | bytes | bytearray | Mapping) or not isinstance(value, Iterable):
        _misused(name, f"a list of {of}", value)
    return value


def _a(kind: type) -> str:
    return f"{'an' if kind.__name__[0] in 'AEIOUaeiou' else 'a'} {kind.__name__}"


def _misused(name: str, wanted: str, value: object, instead: str = "") -> NoReturn:
    end = f" {instead}" if instead else ""
    raise ConfigurationError(f"{name} must be {wanted}, not {type(value).__name__}.{end}")


def _refused(name: str, code: str, message: str) -> NoReturn:
    raise InvalidInput(message, errors=[FieldError(f"/{name}", code, message)])
