"""Values that do not show themselves: not in ``repr``, ``str``, ``format``, a traceback's locals, JSON or a pickle."""

import hmac
from typing import NoReturn

__all__ = ["SecretBytes", "SecretStr"]

_MASK = "***"


class SecretBytes:
    """Bytes that only :meth:`reveal` shows.

    Two secrets are compared in constant time. A secret is not hashable, not picklable and not valid JSON.

    >>> key = SecretBytes(b"correct horse battery staple")
    >>> key
    SecretBytes(***)
    >>> f"{key}"
    '***'
    """

    __slots__ = ("_value",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: bytes) -> None:
        self._value = bytes(value)

    def reveal(self) -> bytes:
        """Return the secret itself. Keep it out of variables that a traceback could show."""
        return self._value

    def __len__(self) -> int:
        return len(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretBytes):
            return NotImplemented
        return hmac.compare_digest(self._value, other._value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({_MASK})"

    def __str__(self) -> str:
        return _MASK

    def __format__(self, spec: str) -> str:
        return format(_MASK, spec)

    def __copy__(self) -> "SecretBytes":
        return self

    def __deepcopy__(self, memo: object) -> "SecretBytes":
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        _refuse_pickling(self)


class SecretStr:
    """Same as :class:`SecretBytes` but for text; lone surrogates are kept."""

    __slots__ = ("_value",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself. Keep it out of variables that a traceback could show."""
        return self._value

    def __len__(self) -> int:
        return len(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretStr):
            return NotImplemented
        ours, theirs = (text.encode("utf-8", "surrogatepass") for text in (self._value, other._value))
        return hmac.compare_digest(ours, theirs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({_MASK})"

    def __str__(self) -> str:
        return _MASK

    def __format__(self, spec: str) -> str:
        return format(_MASK, spec)

    def __copy__(self) -> "SecretStr":
        return self

    def __deepcopy__(self, memo: object) -> "SecretStr":
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        _refuse_pickling(self)


def _refuse_pickling(secret: object) -> NoReturn:
    raise TypeError(
        f"{type(secret).__name__} is not pickled, so that it cannot be written down. Pass reveal() on purpose."
    )
