"""Who begins anew in a child process: after a fork, each one that is still alive is told once, in the child."""

import os
from typing import Protocol
from weakref import WeakSet

__all__ = ["BeginsAnew", "begin_anew_after_fork"]


class BeginsAnew(Protocol):
    """Something that holds what belongs to one process: a lock, sockets."""

    def begin_anew(self) -> None:
        """Leave to the parent what is the parent's."""
        ...


_ALIVE: WeakSet[BeginsAnew] = WeakSet()


def begin_anew_after_fork(owner: BeginsAnew) -> None:
    """Call :meth:`BeginsAnew.begin_anew` of *owner* in every child of this process, as long as *owner* lives."""
    _ALIVE.add(owner)


def _tell_all() -> None:
    for owner in _ALIVE:
        owner.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_tell_all)
