"""Events for the tests of the outbox, and somewhere to publish them."""

import threading
from collections.abc import Callable, Iterable

from pydantic import BaseModel

from common.dynamo.outbox import EmittedEvent, EventType

__all__ = ["TOLD", "Postbox", "Told"]


class Told(BaseModel):
    """Something that happened to an aggregate."""

    about: str
    number: int = 0
    text: str = ""


TOLD = EventType(Told, "told", aggregate="{about}")


class Postbox:
    """Takes what a relay publishes and keeps it, in order; thread-safe.

    Args:
        before: Called with each event before it is taken; what it raises is a failure to publish.
    """

    def __init__(self, before: Callable[[EmittedEvent], object] | None = None) -> None:
        self.events: list[EmittedEvent] = []
        """Everything, repeats included."""
        self._before = before
        self._lock = threading.Lock()

    def __call__(self, event: EmittedEvent) -> None:
        """Take *event*."""
        if self._before is not None:
            self._before(event)
        with self._lock:
            self.events.append(event)

    def numbers(self, about: str, *, repeats: bool = False) -> list[int]:
        """Return the numbers told about *about*, in order of publication; repeats are left out unless asked for."""
        events: Iterable[EmittedEvent] = [event for event in self.events if event.aggregate == about]
        if not repeats:
            first: dict[str, EmittedEvent] = {}
            for event in events:
                first.setdefault(event.id, event)
            events = first.values()
        return [event.decode(TOLD).number for event in events]
