"""The bounded queue in front of one sink, and the exact account of what it could not keep. Pure: no lock, no clock."""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from common.core.audit import Severity

__all__ = ["Queued", "SeqRanges", "SeverityQueue"]


class Queued(Protocol):
    """What the queue needs to know of its entries."""

    @property
    def seq(self) -> int: ...

    @property
    def severity(self) -> Severity: ...

    @property
    def required(self) -> bool:
        """Whether somebody waits for it, so that no other entry may push it out."""
        ...


E = TypeVar("E", bound=Queued)


class SeverityQueue(Generic[E]):
    """Holds at most *bound* entries and gives them back in order of ``seq``.

    When it is full, the least severe entry goes, and among equals the newest: what came first explains what follows,
    and losses stay together in few ranges. A required entry goes only when required ones alone fill the queue.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._lanes: tuple[deque[E], ...] = tuple(deque() for _ in range(Severity.CRITICAL + 2))
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def head(self) -> E | None:
        """Return the entry with the lowest ``seq``, without taking it."""
        lane = self._first_lane()
        return lane[0] if lane else None

    def pop(self) -> E:
        """Take the entry with the lowest ``seq``.

        Raises:
            IndexError: The queue is empty.
        """
        lane = self._first_lane()
        if lane is None:
            raise IndexError("The queue is empty.")
        self._size -= 1
        return lane.popleft()

    def push(self, entry: E) -> E | None:
        """Add *entry*, whose ``seq`` is the highest so far; return what had to go, possibly *entry* itself."""
        victim = None
        if self._size >= self._bound:
            victim = self._make_room(entry)
            if victim is entry:
                return entry
        self._lanes[_rank(entry)].append(entry)
        self._size += 1
        return victim

    def required(self) -> Iterable[E]:
        """Return the required entries, in order."""
        return tuple(self._lanes[-1])

    def clear(self) -> list[E]:
        """Take everything, in order."""
        taken = sorted((entry for lane in self._lanes for entry in lane), key=lambda entry: entry.seq)
        for lane in self._lanes:
            lane.clear()
        self._size = 0
        return taken

    def _make_room(self, entry: E) -> E:
        for lane in self._lanes[: _rank(entry)]:
            if lane:
                self._size -= 1
                return lane.pop()
        return entry

    def _first_lane(self) -> deque[E] | None:
        return min((lane for lane in self._lanes if lane), key=lambda lane: lane[0].seq, default=None)


def _rank(entry: Queued) -> int:
    return Severity.CRITICAL + 1 if entry.required else int(entry.severity)


@dataclass(slots=True)
class _Range:
    first: int
    last: int


class SeqRanges:
    """A set of positions, kept as runs: what a sink has lost and nobody has been told yet.

    >>> lost = SeqRanges()
    >>> for seq in (4, 5, 9, 6):
    ...     lost.add(seq)
    >>> lost.runs()
    ((4, 6), (9, 9))
    """

    def __init__(self) -> None:
        self._ranges: list[_Range] = []
        self._count = 0

    def __len__(self) -> int:
        """Return how many positions are in the set."""
        return self._count

    def add(self, first: int, last: int | None = None) -> None:
        """Add *first*, or all from *first* to *last*; none of them may be in the set already."""
        run = _Range(first, first if last is None else last)
        self._count += run.last - run.first + 1
        at = bisect_right(self._ranges, run.first, key=lambda known: known.first)
        if at < len(self._ranges) and self._ranges[at].first == run.last + 1:
            run.last = self._ranges.pop(at).last
        if at and self._ranges[at - 1].last == run.first - 1:
            self._ranges[at - 1].last = run.last
        else:
            self._ranges.insert(at, run)

    def begins_by(self, seq: int) -> bool:
        """Tell whether the set holds a position up to *seq*."""
        return bool(self._ranges) and self._ranges[0].first <= seq

    def runs(self) -> tuple[tuple[int, int], ...]:
        """Return the first and last position of each run, in order."""
        return tuple((run.first, run.last) for run in self._ranges)

    def take(self, limit: int) -> tuple[tuple[int, int], ...]:
        """Take up to *limit* runs out of the set, the lowest first."""
        taken, self._ranges = self._ranges[:limit], self._ranges[limit:]
        self._count -= sum(run.last - run.first + 1 for run in taken)
        return tuple((run.first, run.last) for run in taken)
