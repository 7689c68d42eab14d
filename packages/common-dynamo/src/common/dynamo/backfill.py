"""Backfills: walking through all items of one entity type and rewriting those that are not as they should be.

Outdated are items of an older schema, items whose index keys are not those of their content (an index was added), and
what a function says. Each rewrite holds only while the item is what was read, so a write of anybody else is never undone.

>>> from pydantic import BaseModel
>>> from common.dynamo import Database, EntityType, Index, Key
>>> from common.dynamo.requests import PutItem
>>> class Note(BaseModel):
...     id: str
...     author: str
>>> NOTE = EntityType(Note, "note", key=Key("NOTE#{id}", "NOTE"))
>>> by_author = EntityType(Note, "note", key=NOTE.key, indexes=[Index("GSI1", Key("BY#{author}", "{id}"))])
>>> with Database.embedded(entity_types=[by_author]) as db:
...     table = db.dao(by_author).plan.table
...     with db.transaction() as tx:  # what the service has stored before it had the index
...         tx.part(PutItem(table=table, item=NOTE.encode(Note(id="1", author="ada"))))
...     result = Backfill(db, by_author, name="notes-by-author").run()
...     [note.id for note in db.dao(by_author).query("GSI1", author="ada").all()]
['1']
>>> result.state, result.counts.examined, result.counts.rewritten
(<BackfillState.FINISHED: 'finished'>, 1, 1)
"""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import BaseModel

from common.dynamo.arguments import require_callback, require_flag, require_whole_number
from common.dynamo.backfill_progress import (
    BackfillCounts,
    BackfillInUse,
    BackfillProgress,
    BackfillState,
    form_of,
    progress_key,
)
from common.dynamo.backfill_walk import PROGRESS, Saved, Unsaved, Walk, Watching, in_use
from common.dynamo.cost import NOTHING, Cost
from common.dynamo.entity_type import EntityType
from common.dynamo.exceptions import InvalidItem
from common.dynamo.requests import GetItem, Item
from common.dynamo.rewriter import PATIENCE, ChangeOfModel, Rewriter
from common.dynamo.scans import check_name
from common.dynamo.value_classes import dataclass
from common.exceptions import ConfigurationError

if TYPE_CHECKING:
    from common.dynamo.database import Database

__all__ = [
    "Backfill",
    "BackfillCounts",
    "BackfillInUse",
    "BackfillProgress",
    "BackfillResult",
    "BackfillState",
    "Watching",
]

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillResult:
    """What a backfill has done when a run of it ended."""

    name: str
    state: BackfillState
    counts: BackfillCounts
    """Of all its runs."""
    cost: Cost
    """Of all its runs, as far as it was saved."""
    runs: int
    """How many there were, this one included; 1 of a dry run."""
    dry_run: bool = False
    """Whether nothing was written, the progress included."""


class Backfill(Generic[M]):
    """A backfill of one entity type. Its progress is an item of the table, so any process can go on with it."""

    def __init__(
        self,
        database: "Database",
        entity: EntityType[M],
        *,
        name: str,
        change: ChangeOfModel[M] | None = None,
        segments: int = 1,
        units_per_second: float | None = None,
        consistent: bool = True,
        save_every: int = 500,
    ) -> None:
        """Describe it; nothing is sent before :meth:`run`.

        Args:
            database: Whose table is walked through.
            entity: Whose items are rewritten.
            name: What its progress is found by, such as ``invoice-3``; spans say ``<Model>.scan.<name>``.
            change: What else items are to become; see :data:`~common.dynamo.rewriter.ChangeOfModel`.
            segments: Parts of the table that are worked on side by side, each by a thread; 1 to 100. A walk that was
                begun goes on with the segments that it was begun with.
            units_per_second: Capacity units that reads and writes together keep to; ``None`` for no limit.
            consistent: Whether the walk sees every item stored before it comes by; an eventual read costs half.
            save_every: Items after which progress is saved; and every five seconds besides. After a crash, items
                since the last save are looked at again.

        Raises:
            ConfigurationError: One of them is not what it should be.
            InvalidInput: *save_every* is no number from 1.
        """
        check_name(name, "a backfill", "invoice-3")
        if change is not None:
            require_callback("change", change, "(model) -> model or None")
        self.name = name
        self._database = database
        self._entity = entity
        self._change = change
        self._save_every = require_whole_number("save_every", save_every, least=1)
        dao = database.dao(entity)
        self._plan = dao.plan
        self._scan = dao.scan(name=name, consistent=consistent, segments=segments, units_per_second=units_per_second)

    def __repr__(self) -> str:
        return f"<Backfill {self.name!r} of {self._entity.name}>"

    def progress(self) -> BackfillProgress | None:
        """Return what is stored of it; ``None`` where it has never begun. One consistent GetItem.

        Raises:
            InvalidItem: It cannot be read.
        """
        item, _ = self._stored()
        return None if item is None else BackfillProgress.read(self.name, item)

    def run(
        self,
        *,
        dry_run: bool = False,
        restart: bool = False,
        take_over: bool = False,
        max_items: int | None = None,
        stop_on_invalid: bool = False,
        watching: Watching | None = None,
    ) -> BackfillResult:
        """Walk on from where the last run stopped, to the end; nothing where it has ended before.

        Args:
            dry_run: Counts from the beginning what would be rewritten, and writes nothing at all.
            restart: Forgets what was saved and begins anew.
            take_over: Goes on although the runner before may be alive; if it is, it stops at its next save.
            max_items: Stops after that many items of the type.
            stop_on_invalid: Ends with the error of the first item that cannot be read, instead of counting it.
            watching: Who looks on, and may stop it.

        Returns:
            How far it is; ``finished`` when every item was looked at.

        Raises:
            BackfillInUse: Another runner is at it.
            ConfigurationError: Its name is that of another backfill, or of one to an older form.
            InvalidItem: See *stop_on_invalid*; or the stored progress cannot be read.
            InvalidInput: *max_items* is no number from 1.
            Unavailable: The engine gave no answer for half a minute. What was done is saved, where that was possible.
        """
        for flag, value in (("dry_run", dry_run), ("restart", restart), ("take_over", take_over)):
            require_flag(flag, value)
        require_flag("stop_on_invalid", stop_on_invalid)
        if max_items is not None:
            require_whole_number("max_items", max_items, least=1)
        if dry_run:
            walk = self._walk(self._beginning(), Unsaved(), NOTHING)
        else:
            item, cost = self._stored()
            progress = self._claimable(item, restart=restart, take_over=take_over)
            if progress.state is BackfillState.FINISHED:
                return self._result(progress)
            walk = self._walk(progress, Saved(self._database, self._plan.table), cost)
            walk.claim(item)
        walk.watching = watching or Watching()
        walk.items_left = max_items
        walk.stop_on_invalid = stop_on_invalid
        progress = walk.go(partial(self._rewriter, dry_run=dry_run))
        return replace(self._result(progress), dry_run=dry_run)

    # Whose turn it is

    def _stored(self) -> tuple[Item | None, Cost]:
        request = GetItem(table=self._plan.table, key=progress_key(self.name), consistent=True)
        result = self._database.execute(request, PROGRESS, deadline=PATIENCE)
        item: Item | None = result.body.get("Item")
        return item, result.cost

    def _beginning(self) -> BackfillProgress:
        now, segments = self._plan.clock(), self._scan.segments
        return BackfillProgress.begun(self.name, self._entity, segments, runner=self._database.new_write_id(), now=now)

    def _claimable(self, item: Item | None, *, restart: bool, take_over: bool) -> BackfillProgress:
        """Return the progress to go on with, or that of a backfill which has finished."""
        if item is None:
            return self._beginning()
        now = self._plan.clock()
        try:
            stored = BackfillProgress.read(self.name, item)
        except InvalidItem:
            if restart:
                return self._beginning()
            raise
        if stored.entity != self._entity.name:
            raise ConfigurationError(f"Backfill {self.name} is one of {stored.entity}; give this one another name.")
        if stored.is_held(now) and not take_over:
            raise in_use(self.name, stored)
        if restart:
            return self._beginning()
        if stored.form != form_of(self._entity):
            raise ConfigurationError(
                f"Backfill {self.name} was begun for another schema or other indexes than {self._entity.name} has now. Give "
                "another name, or restart=True."
            )
        is_over = stored.state is BackfillState.FINISHED
        return stored if is_over else stored.resumed(runner=self._database.new_write_id(), now=now)

    # Walking

    def _walk(self, progress: BackfillProgress, store: Unsaved | Saved, cost: Cost) -> "Walk[M]":
        scan = replace(self._scan, segments=len(progress.positions))
        return Walk(scan, replace(progress, cost=progress.cost + cost), store, self._save_every)

    def _rewriter(self, *, dry_run: bool) -> Rewriter[M]:
        return Rewriter(self._plan, self._scan.executor, change=self._change, pace=self._scan.pace, dry_run=dry_run)

    def _result(self, progress: BackfillProgress) -> BackfillResult:
        return BackfillResult(
            name=self.name, state=progress.state, counts=progress.counts, cost=progress.cost, runs=progress.runs
        )
