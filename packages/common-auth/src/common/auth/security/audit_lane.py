"""One sink's own thread and queue, so that a sink that fails or hangs harms nobody else.

A lane keeps the order of ``seq``, repeats what failed, and accounts for every event that it could not keep. It never
calls its sink from two threads, nor while it holds a lock.
"""

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Final, Protocol

from common.auth.security.audit_anchorer import ChainMarks, Head
from common.auth.security.audit_breaker import Breaker
from common.auth.security.audit_chain import Chain
from common.auth.security.audit_entry import Entry
from common.auth.security.audit_queue import SeqRanges, SeverityQueue
from common.auth.security.audit_sink_state import SinkPolicy, SinkState, SinkStats
from common.auth.security.clock import Clock
from common.core.audit import AuditSink

__all__ = ["Lane", "LaneEvents", "SinkPolicy", "SinkState", "SinkStats"]

_log = logging.getLogger("common.auth.audit")

_RUNS_PER_REPORT: Final = 100
_LONGEST_SILENCE: Final = 1.0


class LaneEvents(Protocol):
    """What a lane tells its logger; called from the lane's thread, without a lock."""

    def sink_changed(self, lane: "Lane", state: SinkState, cause: str, /) -> None: ...

    def sink_lost(self, lane: "Lane", runs: tuple[tuple[int, int], ...], count: int, /) -> None: ...

    def sink_recovered(self, lane: "Lane", torn: int, /) -> None: ...


class Lane:
    """Serves one sink. Everything public may be called from any thread."""

    def __init__(
        self,
        sink: AuditSink,
        *,
        plugin: str,
        bound: int,
        policy: SinkPolicy,
        clock: Clock,
        events: LaneEvents,
        chain: Chain,
        marks: ChainMarks | None = None,
    ) -> None:
        self.name = sink.name
        self.plugin = plugin
        self.durable = bool(sink.durable)
        self._sink = sink
        self._policy = policy
        self._clock = clock
        self._events = events
        self._bound = bound
        self._chain = chain
        self._marks = marks
        self._changed = threading.Condition()
        self._queue: SeverityQueue[Entry] = SeverityQueue(bound)
        self._in_hand: list[Entry] = []
        self._head_failures = 0
        self._breaker = Breaker(
            threshold=policy.failures, first_delay=policy.first_delay, longest_delay=policy.longest_delay
        )
        self._unreported = SeqRanges()
        self._silent_since = 0.0
        self._is_telling = False
        self._flush_by: float | None = None
        self._gap_seq = self._hurry = 0
        self._busy_since: float | None = None
        self._state = SinkState.OK
        self._stop_by: float | None = None
        self._is_over = False
        self._thread: threading.Thread | None = None
        self._written = self._lost = self._failures = 0

    @property
    def state(self) -> SinkState:
        """How the sink is doing now."""
        return self._state

    def offer(self, entry: Entry) -> bool:
        """Queue *entry*, the next of the stream, and tell whether it is kept. Never waits for the sink."""
        with self._changed:
            if self._is_over:
                return False
            victim = self._queue.push(entry)
            if victim is not None:
                self._lose(victim)
            if self._state is not SinkState.OK:
                entry.give_up(self.name)
            self._start_if_needed()
            self._changed.notify_all()
            return victim is not entry

    def start(self) -> None:
        """Start the thread now instead of with the first event."""
        with self._changed:
            self._start_if_needed()

    def stats(self) -> SinkStats:
        """Return what the sink has done so far."""
        with self._changed:
            return SinkStats(
                name=self.name,
                plugin=self.plugin,
                state=self._state,
                durable=self.durable,
                written=self._written,
                lost=self._lost,
                unreported=len(self._unreported),
                failures=self._failures,
                depth=len(self._queue) + len(self._in_hand),
            )

    def wait_until_settled(self, seq: int, seconds: float) -> bool:
        """Wait until every event up to *seq* is stored and flushed, or its loss told, and tell whether it is so.

        Nobody waits for a sink that is turned off.
        """
        with self._changed:
            self._hurry += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._state is SinkState.DISABLED or self._is_settled(seq), seconds)
            self._hurry -= 1
            return self._is_settled(seq)

    def watch(self, now: float) -> None:
        """Call the sink hanging if its present call has taken too long. The logger's supervisor asks now and then."""
        with self._changed:
            since = self._busy_since
            if since is None or now - since < self._policy.timeout or self._state is not SinkState.OK:
                return
            self._enter(SinkState.HANGING)
        self._tell(SinkState.HANGING, "timeout")

    def disable(self, cause: str) -> None:
        """Leave the sink alone until :meth:`enable`; events go on waiting for it, as many as the queue takes."""
        with self._changed:
            if self._state is SinkState.DISABLED:
                return
            self._enter(SinkState.DISABLED)
        self._tell(SinkState.DISABLED, cause)

    def enable(self) -> None:
        """Use the sink again."""
        with self._changed:
            if self._state is not SinkState.DISABLED:
                return
            self._breaker.succeeded()
            self._enter(SinkState.OK)
        self._tell(SinkState.OK, "")

    def stop(self, seconds: float) -> None:
        """Let the thread end when its queue is empty, or after *seconds*; then it closes the sink."""
        with self._changed:
            self._stop_by = self._clock.monotonic() + seconds
            self._start_if_needed()
            self._changed.notify_all()

    def join(self, seconds: float) -> bool:
        """Wait up to *seconds* for the thread to end and tell whether it has. A sink that hangs cannot be ended."""
        thread = self._thread
        if thread is None:
            return True
        thread.join(seconds)
        return not thread.is_alive()

    # The thread

    def _start_if_needed(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        self._busy_since = None
        thread = threading.Thread(target=self._serve, name=f"audit-{self.name}", daemon=True)
        # An interpreter that is shutting down starts no thread; what is queued then is lost, as at any exit.
        with contextlib.suppress(RuntimeError):
            thread.start()
            self._thread = thread

    def _serve(self) -> None:
        while True:
            with self._changed:
                step = self._next_step()
            if step is None:
                break
            step()
        with self._changed:
            self._is_over = True
        self._attempt(self._sink.close)

    def _next_step(self) -> Callable[[], None] | None:
        """Wait for something to do and return it; ``None`` ends the thread."""
        while True:
            now = self._clock.monotonic()
            if self._may_end(now):
                return None
            step, pause = self._due(now)
            if step is not None:
                return step
            self._changed.wait(self._bounded(pause, now))

    def _due(self, now: float) -> tuple[Callable[[], None] | None, float | None]:
        """Return what is due now, else how many seconds there may be until something is."""
        if self._state is SinkState.DISABLED:
            return None, None
        if now < self._breaker.retry_at:
            return None, self._breaker.retry_at - now
        if self._should_tell_losses(now):
            return self._tell_losses, None
        has_more = bool(self._in_hand) or len(self._queue) > 0
        is_awaited = (self._hurry or self._stop_by is not None) and not has_more
        if self._flush_by is not None and (now >= self._flush_by or is_awaited):
            return self._flush, None
        if has_more:
            return self._write, None
        return None, None if self._flush_by is None else self._flush_by - now

    def _may_end(self, now: float) -> bool:
        if self._stop_by is None:
            return False
        if now >= self._stop_by or self._state is SinkState.DISABLED:
            return True
        return not self._in_hand and not len(self._queue) and self._flush_by is None and not len(self._unreported)

    def _bounded(self, pause: float | None, now: float) -> float | None:
        left = None if self._stop_by is None else self._stop_by - now
        known = [seconds for seconds in (pause, left) if seconds is not None]
        return max(0.0, min(known)) if known else None

    def _write(self) -> None:
        with self._changed:
            entry = self._choose()
        if self._attempt(lambda: self._store(entry)):
            self._chained()
            self._wrote(entry)
        else:
            self._head_failures += 1

    def _store(self, entry: Entry) -> object:
        if not self._chain.has_begun:
            torn = self._chain.begin(self._sink).torn
            if torn:
                self._events.sink_recovered(self, len(torn))
        # What a sink returns is looked at by _attempt: it must not be an awaitable.
        return self._sink.write(self._chain.seal(entry))  # type: ignore[func-returns-value]

    def _chained(self) -> None:
        self._chain.advance()
        if self._marks is not None:
            self._chain.evolve_to(self._marks.stored(Head(self._chain.seq, self._chain.head)))

    def _choose(self) -> Entry:
        """Return the first event; where the sink keeps refusing it, every other time the one after it.

        If that one passes, it is the event that the sink refuses, and it is given up; else the sink is down, and
        nothing is lost.
        """
        if not self._in_hand:
            self._in_hand.append(self._queue.pop())
            self._head_failures = 0
        if self._head_failures >= self._policy.failures and self._head_failures % 2:
            if len(self._in_hand) == 1 and len(self._queue):
                self._in_hand.append(self._queue.pop())
            return self._in_hand[-1]
        return self._in_hand[0]

    def _wrote(self, entry: Entry) -> None:
        with self._changed:
            while self._in_hand[0] is not entry:
                self._lose(self._in_hand.pop(0))
            self._in_hand.pop(0)
            self._head_failures = 0
            self._written += 1
            if self._flush_by is None:
                self._flush_by = self._clock.monotonic() + self._policy.flush_interval
            self._changed.notify_all()
        if self.durable:
            entry.confirm()

    def _flush(self) -> None:
        if self._attempt(self._sink.flush):
            if self._marks is not None:
                self._marks.flushed()
            with self._changed:
                self._flush_by = None
                self._changed.notify_all()

    def _attempt(self, call: Callable[[], object]) -> bool:
        """Call the sink and tell whether it did its work; keep the breaker."""
        self._busy_since = self._clock.monotonic()
        try:
            _refuse_awaitable(call())
        # A stranger's sink may raise anything, SystemExit included, and none of it may end the lane.
        except BaseException as error:  # noqa: BLE001
            self._failed(type(error).__name__)
            return False
        self._succeeded()
        return True

    def _failed(self, cause: str) -> None:
        with self._changed:
            self._busy_since = None
            self._failures += 1
            opened = self._breaker.failed(self._clock.monotonic())
            went_down = (opened and self._state is SinkState.OK) or self._state is SinkState.HANGING
            if went_down:
                self._enter(SinkState.DOWN)
        # The message of the error may quote the record, so its kind alone is logged.
        _log.warning(
            "Audit sink %r of plugin %r failed: %s.", self.name, self.plugin, cause,
            extra={"sink": self.name, "plugin": self.plugin},
        )  # fmt: skip
        if went_down:
            self._tell(SinkState.DOWN, cause)

    def _succeeded(self) -> None:
        with self._changed:
            self._busy_since = None
            self._breaker.succeeded()
            came_back = self._state in (SinkState.DOWN, SinkState.HANGING)
            if came_back:
                self._enter(SinkState.OK)
        if came_back:
            self._tell(SinkState.OK, "")

    # Losses

    def _lose(self, entry: Entry) -> None:
        if not len(self._unreported):
            self._silent_since = self._clock.monotonic()
        self._lost += 1
        self._unreported.add(entry.seq)
        entry.give_up(self.name)

    def _should_tell_losses(self, now: float) -> bool:
        if not len(self._unreported) or self._in_hand or len(self._queue) >= self._bound:
            return False
        return len(self._queue) <= self._bound // 2 or now - self._silent_since >= _LONGEST_SILENCE

    def _tell_losses(self) -> None:
        with self._changed:
            before = len(self._unreported)
            runs = self._unreported.take(_RUNS_PER_REPORT)
            count = before - len(self._unreported)
            self._is_telling = True
        self._events.sink_lost(self, runs, count)

    def gap_told(self, runs: tuple[tuple[int, int], ...], seq: int, *, kept: bool) -> None:
        """Note that the event *seq* tells the loss of *runs*, or that the queue had no room for it either."""
        with self._changed:
            self._is_telling = False
            self._gap_seq = max(self._gap_seq, seq)
            for first, last in () if kept else runs:
                self._unreported.add(first, last)
            self._changed.notify_all()

    # State

    def _enter(self, state: SinkState) -> None:
        self._state = state
        if state is not SinkState.OK:
            for entry in (*self._in_hand, *self._queue.required()):
                entry.give_up(self.name)
        self._changed.notify_all()

    def _tell(self, state: SinkState, cause: str) -> None:
        if state is not SinkState.OK:
            _log.error(
                "Audit sink %r of plugin %r is %s: %s.", self.name, self.plugin, state.value, cause,
                extra={"sink": self.name, "plugin": self.plugin},
            )  # fmt: skip
        self._events.sink_changed(self, state, cause)

    def _is_settled(self, seq: int) -> bool:
        wanted = max(seq, self._gap_seq)
        waiting = self._in_hand[0] if self._in_hand else self._queue.head()
        if waiting is not None and waiting.seq <= wanted:
            return False
        return self._flush_by is None and not self._is_telling and not self._unreported.begins_by(wanted)


def _refuse_awaitable(answer: object) -> None:
    close = getattr(answer, "close", None)
    if hasattr(answer, "__await__"):
        if callable(close):
            close()
        raise TypeError("The sink returned an awaitable.")
