"""Time as the DAOs take it. The one place below them where a binary number is named: it counts seconds, never money."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeAlias

from common.dynamo.execution import Deadline
from common.exceptions import FieldError, InvalidInput

if TYPE_CHECKING:
    from common.dynamo.database import Database

__all__ = ["DatabaseClock", "DeadlineLike", "require_moment"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

DeadlineLike: TypeAlias = float | Deadline
"""Seconds from the call, or a moment shared by several calls. It bounds all round trips of the call together."""


def require_moment(value: object, *, pointer: str) -> datetime:
    """Return a time of day that everybody reads alike: a datetime with a time zone, from 1970 on.

    Raises:
        InvalidInput: It is something else.
    """
    if isinstance(value, datetime) and value.tzinfo is not None and value >= _EPOCH:
        return value
    message = "Give a datetime with a time zone, from 1970 on."
    raise InvalidInput(errors=(FieldError(pointer, "moment", message),))


class DatabaseClock:
    """The clocks of a database, as a :class:`common.core.utils.Clock`."""

    def __init__(self, db: "Database") -> None:
        self._db = db

    def now(self) -> datetime:
        """Return the time of day, in UTC."""
        return datetime.fromtimestamp(self._db.clock(), UTC)

    def monotonic(self) -> float:
        """Return seconds of a clock that never goes back."""
        return self._db.deadline().clock()
