"""Says, signed and in time, how far each chain has come: at once, then every so many records, and every minute in any case.

The anchorer has a thread of its own. Sinks' threads leave heads with it and never wait; what an anchor speaks of has been
flushed, so that no crash makes a true anchor look like a loss.
"""

import logging
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from common.auth.exceptions import ConfigurationError
from common.auth.security.audit_anchor import Anchor, AnchorSink, anchor_hash, sign_anchor, signing_key_of
from common.auth.security.audit_breaker import Breaker
from common.auth.security.audit_mac import check_mac_key
from common.auth.security.clock import Clock
from common.auth.security.keys import KeyRing, SigningKey
from common.auth.security.secrets import SecretBytes

__all__ = ["Anchorer", "Anchoring", "ChainMarks", "Head"]

_log = logging.getLogger("common.auth.audit")

_HEADS_KEPT: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchoring:
    """Where anchors go, who signs them, and how often.

    Raises:
        ConfigurationError: A number is below 1, or the key is not one of Ed25519.
        WeakKey: The MAC key is too short or too simple.
    """

    sink: AnchorSink
    keys: SigningKey | KeyRing
    """An Ed25519 key, or a ring of them whose active one signs."""
    records: int = 1_000
    """After so many records of a chain there is an anchor."""
    seconds: int = 60
    """After so many seconds there is one in any case: the heartbeat."""
    mac_key: SecretBytes | None = field(default=None, repr=False)
    """Where given, each line gets a MAC by a key that evolves with each anchor: it protects what no anchor covers yet."""

    def __post_init__(self) -> None:
        if self.records < 1 or not 1 <= self.seconds < 1_000_000:
            raise ConfigurationError("Anchoring: records and seconds must be at least 1.", reason="bad_anchoring")
        signing_key_of(self.keys)
        if self.mac_key is not None:
            check_mac_key(self.mac_key)


@dataclass(frozen=True, slots=True)
class Head:
    """How far a chain had come at one moment."""

    seq: int
    hash: bytes


class ChainMarks:
    """Marks where in one chain anchors are due; used by the thread of one sink.

    Args:
        anchorer: Writes the anchors.
        sink: Name of the sink.
    """

    def __init__(self, anchorer: "Anchorer", sink: str) -> None:
        self._anchorer = anchorer
        self._sink = sink
        self._since = 0
        self._passed: list[Head] = []
        self._latest: Head | None = None

    def stored(self, head: Head) -> int:
        """Note that the chain has come to *head*, and return how many anchors it has."""
        self._latest = head
        self._since += 1
        if self._since >= self._anchorer.records:
            self._since = 0
            self._passed.append(head)
        return self._anchorer.anchors(self._sink)

    def flushed(self) -> None:
        """Say that what was stored is stored for good."""
        if self._latest is not None:
            passed, self._passed = self._passed, []
            self._anchorer.flushed(self._sink, self._latest, passed)


@dataclass(slots=True)
class _Course:
    """What is known of one chain."""

    latest: Head | None = None
    due: deque[Head] = field(default_factory=lambda: deque(maxlen=_HEADS_KEPT))
    anchored_at: float = 0.0
    anchors: int = 0
    last: Head | None = None


class Anchorer:
    """Writes the anchors of one stream. Everything public may be called from any thread.

    Args:
        anchoring: Where to, by whom and how often.
        stream: The stream.
        clock: Tells the time.
    """

    def __init__(self, anchoring: Anchoring, *, stream: str, clock: Clock) -> None:
        self._anchoring = anchoring
        self._stream = stream
        self._clock = clock
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        self._courses: dict[str, _Course] = {}
        self._previous: bytes | None = None
        self._is_linked = False
        self._breaker = Breaker(threshold=1, first_delay=1.0, longest_delay=30.0)
        self._is_over = False
        self._thread: threading.Thread | None = None

    @property
    def records(self) -> int:
        """After how many records a chain leaves its head for certain."""
        return self._anchoring.records

    @property
    def age(self) -> float | None:
        """Seconds since the oldest of the chains was anchored last; ``None`` before the first record."""
        with self._changed:
            times = [course.anchored_at for course in self._courses.values() if course.latest is not None]
        return self._clock.monotonic() - min(times) if times else None

    @property
    def is_late(self) -> bool:
        """Whether a heartbeat is missing: more than half an interval has passed since one was due."""
        age = self.age
        return age is not None and age > self._anchoring.seconds * 1.5

    def anchors(self, sink: str) -> int:
        """Return how many anchors there are of the chain in *sink*."""
        course = self._courses.get(sink)
        return 0 if course is None else course.anchors

    def flushed(self, sink: str, latest: Head, passed: list[Head]) -> None:
        """Take the head of the chain in *sink*, all of which is stored for good, and those at which an anchor was due."""
        with self._changed:
            course = self._courses.get(sink)
            if course is None:
                course = self._courses[sink] = _Course(anchored_at=self._clock.monotonic() - self._anchoring.seconds)
            course.latest = latest
            course.due.extend(passed)
            if passed:
                self._start()
                self._changed.notify_all()
            elif self._thread is None:
                self._start()

    def tick(self, *, final: bool = False) -> bool:
        """Write what is due now and tell whether that was possible.

        Args:
            final: Anchor every head that has none, whether its time has come or not.
        """
        with self._writing:
            return all(self._write(sink, head) for sink, head in self._due(final=final))

    def close(self, seconds: float) -> bool:
        """Anchor the ends of all chains within *seconds*, end the thread, and tell whether that was possible."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
            thread = self._thread
        if thread is None:
            return True
        thread.join(seconds)
        return not thread.is_alive() and not self._due(final=True)

    def _start(self) -> None:
        if self._thread is None and not self._is_over:
            self._thread = threading.Thread(target=self._run, name="audit-anchors", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while not self._is_over:
            self.tick()
            with self._changed:
                if not self._is_over:
                    self._changed.wait(self._pause())
        self.tick(final=True)
        try:
            self._anchoring.sink.close()
        except Exception as error:  # noqa: BLE001 - a stranger's sink, and there is nothing left to do for it
            self._complain(error)

    def _pause(self) -> float:
        now = self._clock.monotonic()
        if now < self._breaker.retry_at:
            return self._breaker.retry_at - now
        if any(course.due for course in self._courses.values()):
            return 0.0
        next_beat = (
            min((course.anchored_at for course in self._courses.values()), default=now) + self._anchoring.seconds
        )
        return max(0.05, next_beat - now)

    def _due(self, *, final: bool) -> list[tuple[str, Head]]:
        now = self._clock.monotonic()
        if now < self._breaker.retry_at and not final:
            return []
        with self._changed:
            found = [(sink, head) for sink, course in self._courses.items() for head in course.due]
            for sink, course in self._courses.items():
                latest = course.latest
                beats = now - course.anchored_at >= self._anchoring.seconds and not course.due
                if latest is not None and (beats or (final and latest not in (course.last, *course.due))):
                    found.append((sink, latest))
        return found

    def _write(self, sink: str, head: Head) -> bool:
        try:
            line = self._line(sink, head)
            self._anchoring.sink.write(line)
        # A stranger's sink or signer may raise anything; the trail goes on, and the anchor is tried again.
        except Exception as error:  # noqa: BLE001
            self._breaker.failed(self._clock.monotonic())
            self._complain(error)
            return False
        self._breaker.succeeded()
        self._previous = anchor_hash(line)
        with self._changed:
            course = self._courses[sink]
            if course.due and course.due[0] is head:
                course.due.popleft()
            course.last, course.anchored_at = head, self._clock.monotonic()
            course.anchors += 1
        return True

    def _line(self, sink: str, head: Head) -> bytes:
        if not self._is_linked:
            last = self._anchoring.sink.last()
            self._previous = None if last is None else anchor_hash(last)
            self._is_linked = True
        key = signing_key_of(self._anchoring.keys)
        anchor = Anchor(
            stream=self._stream, sink=sink, seq=head.seq, head=head.hash, time=self._clock.now(),
            within=self._anchoring.seconds, previous=self._previous, kid=key.kid,
        )  # fmt: skip
        return sign_anchor(anchor, key)

    def _complain(self, error: Exception) -> None:
        _log.error(
            "Anchors of the audit trail cannot be written to %r: %s.", self._anchoring.sink.name, type(error).__name__
        )
