"""The time of a line as text."""

from datetime import UTC, datetime

__all__ = ["Timestamps"]


class Timestamps:
    """Writes times as RFC 3339 in UTC with microseconds; most lines share their second with the one before.

    >>> Timestamps().text(1_800_000_000.25)
    '2027-01-15T08:00:00.250000Z'
    """

    __slots__ = ("_second",)

    def __init__(self) -> None:
        # The text of the latest second; one tuple, so that threads never see half of it.
        self._second = (-1, "")

    def text(self, seconds: float) -> str:
        """Return *seconds* since the epoch as text."""
        second = int(seconds)
        known, text = self._second
        if second != known:
            text = datetime.fromtimestamp(second, UTC).isoformat()[:-6]
            self._second = (second, text)
        return f"{text}.{int((seconds - second) * 1_000_000):06d}Z"
