"""A store that can go away: what a service does then is worth a test."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from common.auth.exceptions import StoreUnavailable

__all__ = ["UnreliableStore"]


class UnreliableStore:
    """Passes every call on to *store*, counts it, and fails when told to. It has the methods of *store*.

    >>> from common.auth.security.memory_stores import MemoryRevocationStore
    >>> store = UnreliableStore(MemoryRevocationStore())
    >>> store.loses_answers = True
    >>> store.raise_epoch("u-1")
    Traceback (most recent call last):
    common.auth.exceptions.StoreUnavailable: ...
    >>> store.loses_answers = False
    >>> store.look_up("u-1").epoch, store.calls["raise_epoch"]
    (1, 1)
    """

    def __init__(self, store: Any) -> None:
        self._store = store
        self.is_down = False
        """Whether calls fail without having reached the store."""
        self.loses_answers = False
        """Whether calls fail after having done their work."""
        self.error: Callable[[], Exception] = partial(StoreUnavailable, "The store is away.", reason="store_away")
        """Makes what is raised; a stranger's store may raise anything."""
        self.calls: Counter[str] = Counter()
        """How often each method was called."""

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        def call(*args: Any, **options: Any) -> Any:
            self.calls[name] += 1
            if self.is_down:
                raise self.error()
            answer = method(*args, **options)
            if self.loses_answers:
                raise self.error()
            return answer

        return call
