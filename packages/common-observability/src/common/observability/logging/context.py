"""Fields that every log line of one request carries, whoever writes it.

One context variable holds an immutable mapping: tasks and :func:`asyncio.to_thread` inherit it and cannot change it
for each other. A thread started by hand inherits nothing; run it in :func:`contextvars.copy_context`.
"""

from collections.abc import Mapping
from contextvars import ContextVar, Token
from types import MappingProxyType, TracebackType
from typing import Self

__all__ = ["Bound", "bind", "bound_fields"]

_FIELDS: ContextVar[Mapping[str, object]] = ContextVar("common_log_fields", default=MappingProxyType({}))


class Bound:
    """Fields that hold inside one ``with`` block; made by :func:`bind`."""

    __slots__ = ("_token", "fields")

    def __init__(self, fields: Mapping[str, object]) -> None:
        self.fields = fields
        self._token: Token[Mapping[str, object]] | None = None

    def __enter__(self) -> Self:
        self._token = _FIELDS.set(MappingProxyType({**_FIELDS.get(), **self.fields}))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        token, self._token = self._token, None
        if token is None:
            return
        try:
            _FIELDS.reset(token)
        except ValueError:
            # An abandoned generator is closed in another context; the one in which the fields held is gone with them.
            return


def bind(**fields: object) -> Bound:
    """Add *fields* to every log line written inside the ``with`` block, in this task and what it starts.

    A user belongs here only as an opaque id. Fields of an inner block hide those of an outer one by name.

    >>> with bind(order_id="o-1"), bind(step="settle"):
    ...     dict(bound_fields())
    {'order_id': 'o-1', 'step': 'settle'}
    >>> dict(bound_fields())
    {}
    """
    return Bound(fields)


def bound_fields() -> Mapping[str, object]:
    """Return the fields in force here; the mapping never changes."""
    return _FIELDS.get()
