"""Remembers what was used, so that it is not used again: in this process, in bounded memory."""

import threading
from collections import OrderedDict

__all__ = ["ReplayMemory"]


class ReplayMemory:
    """Holds the newest *size* keys until each expires. Safe to share between threads.

    When it is full the oldest goes, so *size* must be above the requests of one assertion's life. Other processes know
    nothing of it: that takes a store.

    >>> memory = ReplayMemory(2)
    >>> memory.is_first_use("a", expires=60.0, now=0.0), memory.is_first_use("a", expires=60.0, now=1.0)
    (True, False)
    >>> memory.is_first_use("a", expires=120.0, now=60.0)
    True
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._expiries: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._expiries)

    def is_first_use(self, key: str, *, expires: float, now: float) -> bool:
        """Remember *key* until *expires* and tell whether it was unknown; both times in seconds since the epoch."""
        with self._lock:
            if self._expiries.get(key, now) > now:
                return False
            self._expiries[key] = expires
            self._expiries.move_to_end(key)
            if len(self._expiries) > self._size:
                self._expiries.popitem(last=False)
            return True
