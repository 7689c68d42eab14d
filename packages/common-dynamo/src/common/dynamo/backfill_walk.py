"""One run of a backfill through its table: threads, one per segment, and the progress that they share and save."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from pydantic import BaseModel

from common.dynamo.backfill_progress import LEASE, BackfillCounts, BackfillInUse, BackfillProgress, BackfillState
from common.dynamo.cost import NOTHING, Cost
from common.dynamo.exceptions import ConditionFailed, DynamoError
from common.dynamo.execution import Pattern
from common.dynamo.layout import PARTITION, SORT
from common.dynamo.locking import ForkSafeLock
from common.dynamo.requests import Item, ItemKey, PutItem
from common.dynamo.rewriter import PATIENCE, Outcome, Refusal, Rewriter
from common.dynamo.scans import EntityScan, Stretch
from common.dynamo.segments import SegmentPosition, run_together
from common.dynamo.value_classes import dataclass

if TYPE_CHECKING:
    from common.dynamo.database import Database

__all__ = ["PROGRESS", "Saved", "Unsaved", "Walk", "Watching", "in_use"]

M = TypeVar("M", bound=BaseModel)

PROGRESS: Final = Pattern("Backfill.progress", "PutItem")

_SAVE_SECONDS: Final = 5.0
"""Between two saves, at most, while items are dealt with."""
_LEAST_PAGE: Final = 100
"""Items examined by one call, at least, unless a rate allows fewer: others than those of the type may lie between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """Who looks on while a backfill runs. The functions are called from its threads, one call at a time, and are quick."""

    should_stop: Callable[[], bool] = lambda: False
    """Asked before each item; where it is true, the run saves where it stands and ends."""
    on_progress: Callable[[BackfillCounts], object] = lambda counts: None
    """Called after each item with the counts so far."""
    on_failure: Callable[[ItemKey, Refusal], object] = lambda key, error: None
    """Called with the key of each item that could not be read or rewritten. No message, log or result holds a key."""


class Unsaved:
    """A dry run writes nothing."""

    def put(self, progress: BackfillProgress, found: Item | None, *, claims: bool) -> Cost:
        """Do nothing."""
        return NOTHING


class Saved:
    """The item in the table."""

    def __init__(self, database: "Database", table: str) -> None:
        self._database = database
        self._table = table

    def put(self, progress: BackfillProgress, found: Item | None, *, claims: bool) -> Cost:
        """Store *progress* while it is the runner's, or (*claims*) while what is stored is what was *found*.

        Raises:
            BackfillInUse: Another runner was faster, or has taken over.
        """
        write_id = self._database.new_write_id()
        request: PutItem = (
            progress.claim(self._table, found, write_id) if claims else progress.save(self._table, write_id)
        )
        with self._database.operation(PROGRESS, self._table, deadline=PATIENCE) as operation:
            try:
                operation.execute(request)
            except ConditionFailed as refused:
                stored: Item | None = refused.stored
                theirs = None if stored is None else BackfillProgress.read(progress.name, stored)
                if theirs is None or theirs.runner != progress.runner:
                    raise in_use(progress.name, theirs) from None
        return operation.cost


def in_use(name: str, progress: BackfillProgress | None) -> BackfillInUse:
    """Return the error for a backfill that another runner has, or whose progress somebody has deleted."""
    return BackfillInUse(
        f"Another runner works on backfill {name}. Wait for it, or, where it has died, for a minute after its last save, or "
        "take over: if it is alive after all, it stops by itself.",
        until=0.0 if progress is None else progress.until,
    )


class Walk(Generic[M]):
    """One run through the table: what its threads share."""

    def __init__(
        self, scan: EntityScan[M], progress: BackfillProgress, store: "Unsaved | Saved", save_every: int
    ) -> None:
        self.watching = Watching()
        self.items_left: int | None = None
        self.stop_on_invalid = False
        self._scan = scan
        self._progress = progress
        self._store = store
        self._save_every = save_every
        self._unsaved = 0
        self._saved_at = scan.executor.monotonic()
        self._lock = ForkSafeLock()
        self._stop = Event()

    def claim(self, found: Item | None) -> None:
        """Make the progress this runner's; raises ``BackfillInUse``."""
        cost = self._store.put(self._progress, found, claims=True)
        self._progress = replace(self._progress, cost=self._progress.cost + cost)

    def go(self, rewriter: Callable[[], Rewriter[M]]) -> BackfillProgress:
        """Walk through every segment that has not ended; return the progress as it was saved in the end."""
        going = [number for number, position in enumerate(self._progress.positions) if not position.has_ended]
        try:
            run_together([partial(self._walk, number, rewriter()) for number in going], self._stop)
        except BackfillInUse:
            raise
        except BaseException:
            # What was done is kept; an error of this save would hide what has happened.
            self._stop.set()
            self._end_quietly()
            raise
        self._end()
        return self._progress

    def _walk(self, segment: int, rewriter: Rewriter[M]) -> None:
        read = Stretch(self._progress.positions[segment])
        while not read.position.has_ended:
            if not self._may_go_on():
                return
            read = self._scan.read(segment, read, limit=self._page_limit(), deadline=PATIENCE)
            self._note(segment, None, Outcome(BackfillCounts(scanned=read.scanned), read.cost))
            for item in read.items:
                if not self._takes_one():
                    return
                outcome = rewriter.bring_up_to_date(item)
                if self.stop_on_invalid and outcome.counts.invalid and outcome.error is not None:
                    raise outcome.error
                self._note(segment, SegmentPosition.after(item), outcome, item)
            self._note(segment, read.position, Outcome(BackfillCounts()))

    def _page_limit(self) -> int | None:
        """Return how many items to examine next: few, where only few are wanted; ``None`` up to 1 MB."""
        with self._lock:
            return None if self.items_left is None else max(self.items_left, _LEAST_PAGE)

    def _may_go_on(self) -> bool:
        with self._lock:
            if self.watching.should_stop():
                self._stop.set()
        return not self._stop.is_set()

    def _takes_one(self) -> bool:
        """Tell whether another item may be dealt with, and count it."""
        if not self._may_go_on():
            return False
        with self._lock:
            if self.items_left is None:
                return True
            self.items_left -= 1
            if self.items_left < 0:
                self._stop.set()
            return self.items_left >= 0

    def _note(self, segment: int, position: SegmentPosition | None, outcome: Outcome, item: Item | None = None) -> None:
        """Take note of what has happened, and save when it is time."""
        with self._lock:
            before = self._progress
            positions = before.positions
            if position is not None:
                positions = (*positions[:segment], position, *positions[segment + 1 :])
            counts, cost = before.counts + outcome.counts, before.cost + outcome.cost
            self._progress = replace(before, positions=positions, counts=counts, cost=cost)
            self._unsaved += outcome.counts.examined
            if outcome.error is not None and item is not None:
                self.watching.on_failure({name: item[name] for name in (PARTITION, SORT)}, outcome.error)
            self.watching.on_progress(counts)
            late = self._scan.executor.monotonic() - self._saved_at >= _SAVE_SECONDS
            if self._unsaved >= self._save_every or late:
                self._save()

    def _save(self, state: BackfillState = BackfillState.RUNNING) -> None:
        until = self._scan.plan.clock() + LEASE if state is BackfillState.RUNNING else self._scan.plan.clock()
        self._progress = replace(self._progress, state=state, until=until)
        cost = self._store.put(self._progress, None, claims=False)
        if self._scan.pace is not None:
            self._scan.pace.settle(0.0, cost.wcu)
        self._progress = replace(self._progress, cost=self._progress.cost + cost)
        self._unsaved, self._saved_at = 0, self._scan.executor.monotonic()

    def _end(self) -> None:
        with self._lock:
            self._save(BackfillState.FINISHED if self._progress.has_ended else BackfillState.STOPPED)

    def _end_quietly(self) -> None:
        try:
            self._end()
        except DynamoError:
            return
