"""A lock that a forked process does not inherit."""

import threading
from types import TracebackType

from common.dynamo.forks import begin_anew_after_fork

__all__ = ["ForkSafeLock"]


class ForkSafeLock:
    """A lock that can be taken again by its holder, and that is free in a child process.

    A fork copies a lock as it is: one that another thread holds at that moment would never be released in the child. What
    it guards must therefore be harmless when a change of it is half done, such as counters.
    """

    __slots__ = ("__weakref__", "raw")

    def __init__(self) -> None:
        self.raw = threading.RLock()
        """The lock itself, of this process; for paths where the calls of this class would be felt."""
        begin_anew_after_fork(self)

    def begin_anew(self) -> None:
        """Be free in a child process."""
        self.raw = threading.RLock()

    def __enter__(self) -> None:
        self.raw.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.raw.release()
