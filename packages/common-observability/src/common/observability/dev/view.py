"""All that the page shows, gathered as it happens: thread-safe, and bounded in every direction."""

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from common.observability.dev.audit import ShownEvent
from common.observability.dev.health import ShownHealth
from common.observability.dev.live_operations import LiveOperations, OperationsShown
from common.observability.dev.spans import lean
from common.observability.dev.traces import RecentTraces, Trace
from common.observability.monitoring.spans import SpanRecord

__all__ = [
    "MAX_EVENTS",
    "MAX_SERVICES",
    "MAX_TOLD",
    "MAX_TRACES_SHOWN",
    "MAX_WAITING",
    "Cursor",
    "LiveView",
    "Shown",
    "Told",
]

MAX_EVENTS = 40
"""Audit events kept; the oldest are dropped."""
MAX_TRACES_SHOWN = 20
MAX_WAITING = 5_000
"""Spans and events kept for readers of the feed; the oldest are dropped, and their number is told."""
MAX_TOLD = 1_000
"""Spans and events told in one answer."""
MAX_SERVICES = 50


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a reader has come."""

    boot: str = ""
    """The life of the process that it has read; another one is read from its beginning."""
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """What has come since a cursor."""

    cursor: Cursor
    """Where to go on."""
    missed: int
    """What was dropped before it could be told."""
    spans: tuple[SpanRecord, ...]
    events: tuple[ShownEvent, ...]
    health: tuple[ShownHealth, ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """All of the page at one moment."""

    now: float
    """Seconds since the epoch."""
    health: tuple[ShownHealth, ...]
    operations: OperationsShown
    traces: tuple[Trace, ...]
    """The newest first."""
    events: tuple[ShownEvent, ...]
    """The newest first."""
    missed: int
    """Spans and events that were dropped before they came here."""


@dataclass(slots=True)
class _Log:
    """The latest spans and events, numbered, for those who read from another process."""

    boot: str = field(default_factory=lambda: secrets.token_hex(8))
    last: int = 0
    kept: deque[SpanRecord | ShownEvent] = field(default_factory=lambda: deque(maxlen=MAX_WAITING))

    def append(self, item: SpanRecord | ShownEvent) -> None:
        self.kept.append(item)
        self.last += 1

    def since(self, cursor: Cursor) -> Told:
        oldest = self.last - len(self.kept)
        asked = cursor.seq if cursor.boot == self.boot else 0
        begin = min(max(asked, oldest), self.last)
        told = [self.kept[place] for place in range(begin - oldest, len(self.kept))][:MAX_TOLD]
        return Told(
            Cursor(self.boot, begin + len(told)),
            max(0, oldest - asked),
            tuple(item for item in told if isinstance(item, SpanRecord)),
            tuple(item for item in told if isinstance(item, ShownEvent)),
        )


class LiveView:
    """What a process does now, from its spans and audit events, or from what other processes tell of theirs.

    >>> view = LiveView()
    >>> view.shown().traces
    ()
    """

    def __init__(self, *, settle: float = 0.0, clock: Callable[[], float] = time.time) -> None:
        """Begin to look.

        Args:
            settle: Seconds without a further span after which a trace is shown; more than a reader's pause between two
                questions where several processes are shown together, so that no trace is shown in part.
            clock: Seconds since the epoch.
        """
        self._clock = clock
        self._lock = threading.Lock()
        self._log = _Log()
        self._operations = LiveOperations(int(clock()))
        self._traces = RecentTraces(settle)
        self._events: deque[ShownEvent] = deque(maxlen=MAX_EVENTS)
        self._health: dict[str, ShownHealth] = {}
        self._missed = 0

    def now(self) -> float:
        """Return the time by the clock of the view, in seconds since the epoch."""
        return self._clock()

    def add_span(self, span: SpanRecord) -> None:
        """Take in a span that has ended."""
        kept, now = lean(span), self._clock()
        with self._lock:
            self._log.append(kept)
            self._operations.add(kept, int(now))
            self._traces.add(kept, now)

    def add_event(self, event: ShownEvent) -> None:
        """Take in an audit event."""
        with self._lock:
            self._log.append(event)
            self._events.append(event)

    def note_health(self, health: ShownHealth) -> None:
        """Take in how a service is now, in the place of how it was."""
        with self._lock:
            if health.service in self._health or len(self._health) < MAX_SERVICES:
                self._health[health.service] = health

    def take(self, told: Told) -> None:
        """Take in what another process has told."""
        for span in told.spans:
            self.add_span(span)
        for event in told.events:
            self.add_event(event)
        for health in told.health:
            self.note_health(health)
        with self._lock:
            self._missed += told.missed

    def told_since(self, cursor: Cursor) -> Told:
        """Return what has come since *cursor*, 1,000 spans and events at most, and the health of now."""
        with self._lock:
            told = self._log.since(cursor)
            return Told(told.cursor, told.missed, told.spans, told.events, tuple(self._health.values()))

    def shown(self) -> Shown:
        """Return all of the page as it is now."""
        now = self._clock()
        with self._lock:
            return Shown(
                now,
                tuple(self._health[name] for name in sorted(self._health)),
                self._operations.shown(int(now)),
                self._traces.latest(MAX_TRACES_SHOWN, now),
                tuple(sorted(self._events, key=lambda event: event.time, reverse=True)),
                self._missed,
            )
