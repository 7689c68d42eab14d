"""Named scans of one entity type: a walk through the whole table, in parallel segments, resumable, at a rate.

A scan examines and pays for every item of the table, whatever its type. So it is never a fallback: it is asked for by name,
and the name is in its spans, metrics and budgets.

>>> from pydantic import BaseModel
>>> from common.dynamo import Database, EntityType, Key
>>> class Note(BaseModel):
...     id: str
>>> NOTE = EntityType(Note, "note", key=Key("NOTE#{id}", "NOTE"))
>>> with Database.embedded() as db:
...     notes = db.dao(NOTE)
...     for number in range(3):
...         _ = notes.create(Note(id=str(number)))
...     sorted(note.id for note in notes.scan(name="nightly-export"))
['0', '1', '2']
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import field, replace
from functools import partial
from math import ceil
from threading import Event
from typing import Final, Generic, TypeVar

from pydantic import BaseModel

from common.dynamo import requests as rq
from common.dynamo.arguments import require_flag, require_whole_number
from common.dynamo.changes import Recorder
from common.dynamo.cost import NOTHING, Cost
from common.dynamo.execution import Deadline, Executor, Operation, Pattern
from common.dynamo.expressions import all_of, record_condition
from common.dynamo.form_filters import is_wanted, lets_older_through
from common.dynamo.layout import EXPIRY_PATH, TYPE, TYPE_PATH
from common.dynamo.pacing import UnitPace
from common.dynamo.paging import Cursors, Page, Position
from common.dynamo.plan import Plan, Where
from common.dynamo.requests import Item
from common.dynamo.segments import START, SegmentPosition, check_segments, run_together, shares
from common.dynamo.value_classes import dataclass
from common.exceptions import ConfigurationError

__all__ = ["EntityScan", "Stretch", "build_scan", "check_name"]

M = TypeVar("M", bound=BaseModel)

_NAME: Final = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_NAME_LIMIT: Final = 60
_LARGEST_LIMIT: Final = 5000
"""Items examined by one call of a page, at most: what is found beyond the page is read, and paid for, again."""


@dataclass(slots=True)
class Stretch:
    """What was read of one segment."""

    position: SegmentPosition
    """Where to go on."""
    items: list[Item] = field(default_factory=list)
    """Of the entity type, unexpired, in no order that means anything."""
    scanned: int = 0
    """Items that the engine examined, of whatever type."""
    cost: Cost = NOTHING
    operation: Operation | None = None
    """The last one that read it, for the next one to follow."""

    def next_limit(self, size: int | None) -> int | None:
        """Return how many items to examine next, so that *size* are found and few are read in vain."""
        if size is None:
            return None
        per_item = self.scanned / max(1, len(self.items)) if self.scanned else 1
        return min(max(1, ceil((size - len(self.items)) * per_item)), _LARGEST_LIMIT)

    def add(self, more: "Stretch", size: int | None) -> None:
        """Take in what was read after it, up to *size* items in all; what is beyond is read again later."""
        self.scanned += more.scanned
        self.cost += more.cost
        self.operation = more.operation
        room = len(more.items) if size is None else size - len(self.items)
        self.items += more.items[:room]
        self.position = more.position if len(more.items) <= room else SegmentPosition.after(self.items[-1])


@dataclass(frozen=True, slots=True)
class EntityScan(Generic[M]):
    """A scan of one entity type. Immutable: each method returns another. Made by :meth:`common.dynamo.DAO.scan`.

    Nothing is sent before :meth:`page`, :meth:`all` or iteration. Each request is an operation of its own, with its own
    span and, unless a deadline is given for all of them together, its own deadline: how long a walk takes depends on the
    table. With more than one segment, requests go out from one thread per segment, and items come in no order.
    """

    plan: Plan[M]
    executor: Executor
    cursors: Cursors
    pattern: Pattern
    segments: int = 1
    consistent: bool = False
    filter: rq.Condition | None = None
    shows_expired: bool = False
    pace: UnitPace | None = field(default=None, compare=False)
    """Shared by all scans that were made of this one, and by all their pages."""

    # Narrowing

    def where(self, condition: Where[M]) -> "EntityScan[M]":
        """Return the scan that also filters by *condition*: a callback over the model, or a ready-made tree.

        A filter saves transfer, not capacity: DynamoDB charges for what it examines. Items of an older schema are all
        transferred, and judged by what their upcast steps make of them.
        """
        recorded = record_condition(Recorder(self.plan.mapped), condition)
        return replace(self, filter=all_of([self.filter, recorded]))

    def include_expired(self) -> "EntityScan[M]":
        """Return the scan that also gives expired items which DynamoDB has not deleted yet."""
        return replace(self, shows_expired=True)

    # The request

    def request(self, segment: int = 0, position: SegmentPosition = START, *, limit: int | None = None) -> rq.Scan:
        """Return the request of one call.

        Items of other types and expired ones are filtered out by the engine, so they are not transferred.

        Args:
            segment: Which one, from 0.
            position: Where it begins.
            limit: Items to examine, at most; ``None`` up to 1 MB.
        """
        mapped = self.plan.mapped
        own = rq.Compare("=", TYPE_PATH, rq.Constant(mapped.stamps[TYPE]))
        return rq.Scan(
            table=self.plan.table,
            filter=all_of([own, self._unexpired(), lets_older_through(mapped, self.filter)]),
            consistent=self.consistent,
            limit=limit,
            start=position.start,
            segment=segment if self.segments > 1 else None,
            total_segments=self.segments if self.segments > 1 else None,
        )

    def _unexpired(self) -> rq.Condition | None:
        if self.plan.entity.ttl is None or self.shows_expired:
            return None
        now = rq.Constant({"N": str(int(self.plan.clock()))})
        return rq.Or((rq.NotExists(EXPIRY_PATH), rq.Compare(">", EXPIRY_PATH, now)))

    # Reading

    def page(self, size: int, *, after: str | None = None, deadline: "float | Deadline | None" = None) -> Page[M]:
        """Return exactly *size* items, or the last ones, however many calls that takes; never a page before it.

        Args:
            size: At least 1.
            after: :attr:`Page.next` of an earlier page of this very scan: it holds where each segment stands, so a walk
                can go on in another process.
            deadline: Seconds for all calls together, or a moment; ``None`` for the database's default per call.

        Raises:
            InvalidCursor: *after* is damaged or belongs to another scan.
            InvalidItem: Stored data does not fit the model.
            InvalidInput: *size* is below 1.
            Unavailable: No answer in time.
        """
        require_whole_number("size", size, least=1)
        found, positions = self._gather(size, self._positions(after), deadline)
        models = self.plan.mapped.decode_all(found.items)
        ends = all(position.has_ended for position in positions)
        return Page(models, found.cost, found.scanned, None if ends else partial(self._cursor, positions))

    def all(self, *, limit: int | None = None, deadline: "float | Deadline | None" = None) -> list[M]:
        """Return all items, or *limit* of them. Mind that they are in memory together.

        Raises:
            InvalidItem: Stored data does not fit the model.
            Unavailable: No answer in time.
        """
        if limit is not None:
            require_whole_number("limit", limit, least=0)
        found, _ = self._gather(limit, self._positions(None), deadline)
        return self.plan.mapped.decode_all(found.items)

    def __iter__(self) -> Iterator[M]:
        """Walk over all items; each segment reads up to 1 MB when what it read before is used up."""
        read = [Stretch(position) for position in self._positions(None)]
        index = 0
        while going := [number for number, stretch in enumerate(read) if not stretch.position.has_ended]:
            tasks = [partial(self.read, number, read[number], index=index) for number in going]
            for number, stretch in zip(going, run_together(tasks, Event()), strict=True):
                read[number] = stretch
                yield from map(self.plan.mapped.decode, stretch.items)
            index += 1

    def read(
        self,
        segment: int,
        before: Stretch,
        *,
        limit: int | None = None,
        deadline: "float | Deadline | None" = None,
        index: int | None = None,
    ) -> Stretch:
        """Return what one request finds in a segment, behind what was read *before*; the items as they are stored.

        Args:
            segment: Which one, from 0.
            before: ``Stretch(START)`` at the beginning.
            limit: Items to examine, at most; ``None`` up to 1 MB. A rate may make it fewer.
            deadline: Bounds all attempts together, without the time that a rate makes it wait.
            index: Which page of the walk it is, from 0, for its span.
        """
        taken = 0.0
        if self.pace is not None:
            limit = min(limit or _LARGEST_LIMIT, self.pace.limit(self.segments))
            taken = self.pace.take(items=limit)
        with self.executor.operation(
            self.pattern, self.plan.table, deadline=deadline, follows=before.operation
        ) as operation:
            if operation.recording is not None:
                operation.recording.page_index = index
            body = operation.execute(self.request(segment, before.position, limit=limit)).body
        scanned = body.get("ScannedCount", 0)
        if self.pace is not None:
            self.pace.settle(taken, operation.cost.rcu, items=scanned)
        last = body.get("LastEvaluatedKey")
        behind = SegmentPosition.after(last) if last else SegmentPosition(has_ended=True)
        items = list(filter(self._is_wanted, body.get("Items", ())))
        return Stretch(behind, items, scanned, operation.cost, operation)

    def _is_wanted(self, item: Item) -> bool:
        """Tell what the engine's filter tells, by the clock of the moment."""
        return is_wanted(self.plan, item, self.filter, shows_expired=self.shows_expired)

    def _gather(
        self, size: int | None, positions: tuple[SegmentPosition, ...], deadline: "float | Deadline | None"
    ) -> tuple[Stretch, tuple[SegmentPosition, ...]]:
        """Return *size* items of all segments together, or all, and where each segment stands then."""
        within = None if deadline is None else self.executor.deadline(deadline)
        total, now = Stretch(START), list(positions)
        while size is None or len(total.items) < size:
            missing = None if size is None else size - len(total.items)
            parts = list(shares(missing, now))
            if not parts:
                break
            stop = Event()
            tasks = [partial(self._read_share, number, now[number], share, within, stop) for number, share in parts]
            for (number, _), stretch in zip(parts, run_together(tasks, stop), strict=True):
                now[number] = stretch.position
                total.add(stretch, None)
        return total, tuple(now)

    def _read_share(
        self, segment: int, position: SegmentPosition, size: int | None, within: Deadline | None, stop: Event
    ) -> Stretch:
        found, index = Stretch(position), 0
        while not found.position.has_ended and (size is None or len(found.items) < size) and not stop.is_set():
            more = self.read(segment, found, limit=found.next_limit(size), deadline=within, index=index)
            found.add(more, size)
            index += 1
        return found

    # Cursors

    def _scope(self) -> bytes:
        parts = [
            "scan",
            self.pattern.name,
            self.plan.table,
            self.plan.entity.name,
            str(self.segments),
            repr(self.filter),
            str(self.shows_expired),
        ]
        return b"".join(len(part.encode()).to_bytes(4) + part.encode() for part in parts)

    def _cursor(self, positions: Sequence[SegmentPosition]) -> str:
        return self.cursors.sign(Position(True, tuple(position.text() for position in positions)), self._scope())

    def _positions(self, cursor: str | None) -> tuple[SegmentPosition, ...]:
        if cursor is None:
            return (START,) * self.segments
        return tuple(map(SegmentPosition.parse, self.cursors.verify(cursor, self._scope()).keys))


def check_name(name: object, what: str, example: str) -> str:
    """Return *name*, which spans, metrics and records are to be found by.

    Raises:
        ConfigurationError: It is missing, or not made of words of lower-case letters and digits.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > _NAME_LIMIT:
        raise ConfigurationError(
            f"The name of {what} is made of lower-case letters and digits, with '-' or '_' between words, of up to "
            f"{_NAME_LIMIT} characters, such as {example!r}."
        )
    return name


def build_scan(
    plan: Plan[M],
    executor: Executor,
    cursors: Cursors,
    pattern: Callable[[str, str], Pattern],
    *,
    name: str | None,
    consistent: bool,
    segments: int,
    units_per_second: float | None,
) -> EntityScan[M]:
    """Return the scan called *name*.

    Raises:
        ConfigurationError: There is no name; or segments or the rate are none.
    """
    entity = plan.entity
    if name is None:
        raise ConfigurationError(
            f"A scan of {entity.name} reads and pays for every item of its table, so it has a name that its cost is found "
            "by: scan(name='nightly-export'). To find items by a key or an index, use query()."
        )
    pace = None
    if units_per_second is not None:
        pace = UnitPace(units_per_second, monotonic=executor.monotonic, sleep=executor.sleep)
    require_flag("consistent", consistent)
    called = pattern(f"scan.{check_name(name, 'a scan', 'nightly-export')}", "Scan")
    return EntityScan(plan, executor, cursors, called, check_segments(segments), consistent, pace=pace)
