"""What a login guard does while its counters do not answer: count in this process, or refuse. Never go on uncounted."""

import logging
import threading
from collections.abc import Callable
from enum import StrEnum
from typing import Final, TypeVar

from common.auth.exceptions import StoreUnavailable
from common.auth.security.clock import Clock, epoch_seconds
from common.auth.security.stores import LoginCounter, LoginCounterChange, LoginCounterStore

__all__ = ["BoundedCounters", "OnOutage", "Switch"]

T = TypeVar("T")

_log = logging.getLogger("common.auth.login")

_OVERFLOW: Final = 64
"""How many counters those share who come when there is no room for more."""
_SECONDS_BETWEEN_SWEEPS: Final = 60.0


class OnOutage(StrEnum):
    """What happens to logins while the store of the counters does not answer."""

    LOCAL = "local"
    """They are counted in this process, by the same limits: each process permits what the fleet did together."""
    REFUSE = "refuse"
    """``StoreUnavailable``: nobody who would have to be counted logs in."""


class BoundedCounters:
    """Keeps counters by way of another store, and lets a flood of names share the last few.

    What forgets old counters to make room for new ones can be emptied by whoever sends enough names
    (argo-cd GHSA-x32m-mvfj-52xv).

    Args:
        store: Where the counters are.
        capacity: How many buckets have a counter of their own.
        clock: Tells which of them have expired.
    """

    def __init__(self, store: LoginCounterStore, *, capacity: int, clock: Clock) -> None:
        self._store = store
        self._capacity = capacity
        self._clock = clock
        self._lock = threading.Lock()
        self._own: set[str] = set()
        self._next_sweep = 0.0

    def read(self, bucket: str) -> LoginCounter | None:
        """See :class:`~common.auth.security.stores.LoginCounterStore`; nothing shared is anybody's known network."""
        return self._store.read(bucket) if bucket in self._own else None

    def exchange(self, bucket: str, *, expected: LoginCounter | None, new: LoginCounter | None) -> LoginCounterChange:
        """See :class:`~common.auth.security.stores.LoginCounterStore`."""
        return self._store.exchange(self._place(bucket), expected=expected, new=new)

    def add(self, bucket: str, amount: int, *, expires_at: float) -> int:
        """See :class:`~common.auth.security.stores.LoginCounterStore`."""
        return self._store.add(self._place(bucket), amount, expires_at=expires_at)

    def clear(self, bucket: str) -> None:
        """See :class:`~common.auth.security.stores.LoginCounterStore`; a shared counter stays."""
        with self._lock:
            if bucket in self._own:
                self._own.discard(bucket)
                self._store.clear(bucket)

    def _place(self, bucket: str) -> str:
        with self._lock:
            if bucket not in self._own and len(self._own) >= self._capacity:
                self._sweep(epoch_seconds(self._clock))
            if bucket in self._own or len(self._own) < self._capacity:
                self._own.add(bucket)
                return bucket
        return f"overflow#{hash(bucket) % _OVERFLOW}"

    def _sweep(self, now: float) -> None:
        """Forget the names of counters that have expired, not more often than it is worth."""
        if now < self._next_sweep:
            return
        self._next_sweep = now + _SECONDS_BETWEEN_SWEEPS
        counters = ((bucket, self._store.read(bucket)) for bucket in self._own)
        self._own = {bucket for bucket, counter in counters if counter is not None and counter.expires_at > now}


class Switch:
    """Uses the store while it answers, and tells when that changes. After a failure it is left alone for a while.

    Args:
        on_outage: What to do without it.
        pause: Seconds until it is asked again; one caller asks, so that an outage holds up nobody else.
        clock: For the pause.
        tell: Called with the cause when the store fails, and with ``None`` when it answers again.
    """

    def __init__(self, *, on_outage: OnOutage, pause: float, clock: Clock, tell: Callable[[str | None], None]) -> None:
        self._on_outage = on_outage
        self._pause = pause
        self._clock = clock
        self._tell = tell
        self._lock = threading.Lock()
        self._resumes: float | None = None
        """On the monotonic clock, when the store is asked again; ``None`` while it answers."""

    def call(self, usual: Callable[[], T], instead: Callable[[], T]) -> T:
        """Return what *usual* gives, or *instead* where the store does not answer.

        Raises:
            StoreUnavailable: The store does not answer, and *instead* is not wanted.
        """
        if self._may_ask():
            try:
                answer = usual()
            except Exception as error:  # a store of somebody else's may raise anything, and no login goes uncounted
                self._went_down(error)
                if self._on_outage is OnOutage.REFUSE:
                    raise StoreUnavailable("The login counters do not answer.", reason="counters_down") from error
            else:
                self._is_up()
                return answer
        elif self._on_outage is OnOutage.REFUSE:
            raise StoreUnavailable("The login counters do not answer.", reason="counters_down")
        return instead()

    def require(self, usual: Callable[[], None]) -> None:
        """Do *usual*, whatever is wanted on an outage.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        try:
            usual()
        except Exception as error:
            self._went_down(error)
            raise StoreUnavailable("The login counters do not answer.", reason="counters_down") from error

    def attempt(self, usual: Callable[[], None]) -> None:
        """Do *usual*; where the store fails, what was counted stays counted, and nobody hears of it but the trail."""
        try:
            usual()
        except Exception as error:  # noqa: BLE001 - the login that it belongs to is decided, whatever a store raises
            self._went_down(error)

    def _may_ask(self) -> bool:
        with self._lock:
            if self._resumes is None:
                return True
            now = self._clock.monotonic()
            if now < self._resumes:
                return False
            self._resumes = now + self._pause
            return True

    def _went_down(self, error: Exception) -> None:
        with self._lock:
            is_news = self._resumes is None
            self._resumes = self._clock.monotonic() + self._pause
        if is_news:
            _log.error("The login counters do not answer (%s); now: %s.", type(error).__name__, self._on_outage.value)
            self._tell(type(error).__name__)

    def _is_up(self) -> None:
        with self._lock:
            is_news, self._resumes = self._resumes is not None, None
        if is_news:
            _log.warning("The login counters answer again.")
            self._tell(None)
