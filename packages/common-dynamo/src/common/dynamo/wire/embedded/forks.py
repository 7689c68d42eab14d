"""Forks: every open database file is closed before one and opened again after it.

SQLite keeps the file locks of a process in its memory; a child that inherits that memory believes that it holds locks
which only its parent has ("How To Corrupt An SQLite Database File", section 2.6). So no connection crosses a fork.
"""

import os
import threading
import weakref
from typing import Protocol


class Forkable(Protocol):
    """What is told of forks."""

    def before_fork(self) -> None:
        """Finish the work in progress, start no other."""
        ...

    def after_fork(self) -> None:
        """Go on, in parent and child."""
        ...


_watched: "weakref.WeakSet[Forkable]" = weakref.WeakSet()
_paused: "list[Forkable]" = []
_lock = threading.Lock()
_registered = False


def watch(storage: Forkable) -> None:
    """Tell *storage* of every fork for as long as it lives."""
    global _registered
    with _lock:
        _watched.add(storage)
        if not _registered and hasattr(os, "register_at_fork"):
            os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
            _registered = True


def _before() -> None:
    _lock.acquire()
    for storage in list(_watched):
        storage.before_fork()
        _paused.append(storage)


def _after() -> None:
    if not _lock.locked():  # a fork from C ran only half of the hooks
        return
    while _paused:
        _paused.pop().after_fork()
    _lock.release()
