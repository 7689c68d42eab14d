"""Time as the DAOs take it. The one place below them where a binary number is named: it counts seconds, never money."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

from common.dynamo.execution import Deadline

if TYPE_CHECKING:
    from common.dynamo.database import Database

__all__ = ["DatabaseClock", "DeadlineLike"]

DeadlineLike: TypeAlias = float | Deadline
"""Seconds from the call, or a moment shared by several calls. It bounds all round trips of the call together."""


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
