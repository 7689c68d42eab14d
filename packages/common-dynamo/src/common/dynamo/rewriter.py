"""Bringing one item up to date, whatever other writers do meanwhile."""

from collections.abc import Callable
from typing import Final, Generic, TypeAlias, TypeVar

from pydantic import BaseModel

from common.dynamo.backfill_progress import BackfillCounts
from common.dynamo.cost import NOTHING, Cost
from common.dynamo.exceptions import (
    ConditionFailed,
    DynamoError,
    InvalidItem,
    NotFound,
    OutcomeUnknown,
    UniqueViolation,
)
from common.dynamo.execution import Executor, Operation, Pattern
from common.dynamo.pacing import UnitPace
from common.dynamo.plan import Plan
from common.dynamo.requests import GetItem, Item
from common.dynamo.settlement import send_write
from common.dynamo.value_classes import dataclass
from common.dynamo.writes import Write, has_expired
from common.exceptions import ConfigurationError, InvalidInput

__all__ = ["PATIENCE", "ChangeOfModel", "Outcome", "Refusal", "Rewriter"]

M = TypeVar("M", bound=BaseModel)

ChangeOfModel: TypeAlias = Callable[[M], M | None]
"""Returns what a model is to become; ``None``, or an equal model, where it is as it should be. Pure, and quick to say
``None`` to what it has made itself: it is asked again about items that it has changed, after a crash and after a race."""

Refusal: TypeAlias = DynamoError | InvalidInput
"""Why an item could not be brought up to date; never with a value of it in its text."""

PATIENCE: Final = 30.0
"""Seconds for each request of a backfill, with all its attempts: nobody waits for it."""
_ROUNDS: Final = 20
"""How often an item is read again since others were faster."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one item."""

    counts: BackfillCounts
    cost: Cost = NOTHING
    error: Refusal | None = None
    """Why the item is not up to date."""


class Rewriter(Generic[M]):
    """Rewrites outdated items of one entity type. Used by one thread."""

    def __init__(
        self,
        plan: Plan[M],
        executor: Executor,
        *,
        change: ChangeOfModel[M] | None = None,
        pace: UnitPace | None = None,
        dry_run: bool = False,
    ) -> None:
        self._plan = plan
        self._executor = executor
        self._change = change
        self._pace = pace
        self._dry_run = dry_run
        self._expected_units = 1.0
        self._cost = NOTHING

    def bring_up_to_date(self, item: Item) -> Outcome:
        """Rewrite *item* where it is outdated, and again on what it has become where others were faster.

        Raises:
            ConfigurationError: The change returned something else than a model.
            Unavailable: A call certainly failed, for longer than a backfill waits.
        """
        self._cost = NOTHING
        try:
            write = self._write_for(item)
        except InvalidItem as unreadable:
            return Outcome(BackfillCounts(examined=1, invalid=1), error=unreadable)
        except _NotStorable as refused:
            return Outcome(BackfillCounts(examined=1, outdated=1, refused=1), error=refused.error)
        if write is None:
            newer = self._plan.mapped.schema_of(item) > self._plan.entity.schema
            return Outcome(BackfillCounts(examined=1, newer=int(newer)))
        found = BackfillCounts(examined=1, outdated=1)
        if self._dry_run:
            return Outcome(found)
        counts, failure = self._rewrite(write)
        return Outcome(found + counts, self._cost, failure)

    # What an item needs

    def _write_for(self, item: Item) -> Write[M] | None:
        """Return the rewrite that *item* needs; ``None`` where it needs none, or is of a newer schema.

        Raises:
            InvalidItem: It cannot be read.
            _NotStorable: It cannot be stored in its new form.
        """
        mapped = self._plan.mapped
        if mapped.schema_of(item) > mapped.entity.schema:
            return None
        model = mapped.decode(item)
        content = self._changed(item, model)
        try:
            if content is None and not mapped.is_outdated(item) and self._has_its_index_keys(item, model):
                return None
            return self._plan.rewrite(item, content=content)
        except (InvalidItem, InvalidInput) as error:
            raise _NotStorable(error) from None

    def _changed(self, item: Item, model: M) -> M | None:
        if self._change is None:
            return None
        # The change gets a model of its own, so that one which it alters in place is still told from the stored one.
        content = self._change(self._plan.mapped.decode(item))
        if content is not None and not isinstance(content, self._plan.entity.model):
            raise ConfigurationError(
                f"The change of a backfill returned {type(content).__name__}; it returns {self._plan.entity.model.__name__} "
                "or None."
            )
        return None if content == model else content

    def _has_its_index_keys(self, item: Item, model: M) -> bool:
        mapped = self._plan.mapped
        wanted = mapped.index_keys(vars(model))
        names = {name for bound in mapped.indexes.values() for name in bound.names}
        return all(item.get(name) == wanted.get(name) for name in names)

    # Sending

    def _rewrite(self, write: Write[M]) -> tuple[BackfillCounts, Refusal | None]:
        """Send *write*, and others in its place while the item changes; return what came of it, and why not."""
        lost = 0
        failure: Refusal | None = None
        for _ in range(_ROUNDS):
            failure = self._sent(write)
            if failure is None:
                return BackfillCounts(rewritten=1, lost_races=lost), None
            if isinstance(failure, UniqueViolation):
                break
            lost += not isinstance(failure, OutcomeUnknown)
            item = self._read_again(write)
            if item is not None and write.is_own(item):
                return BackfillCounts(rewritten=1, lost_races=lost), None
            try:
                following = None if item is None else self._write_for(item)
            except (InvalidItem, _NotStorable) as refused:
                failure = refused.error if isinstance(refused, _NotStorable) else refused
                break
            if following is None:
                return BackfillCounts(overtaken=1, lost_races=lost), None
            write = following
        unsettled = isinstance(failure, OutcomeUnknown)
        return BackfillCounts(unsettled=int(unsettled), refused=int(not unsettled), lost_races=lost), failure

    def _sent(self, write: Write[M]) -> DynamoError | None:
        """Send *write* when it is its turn; return why it did not hold, or is not known to."""
        taken = 0.0 if self._pace is None else self._pace.take(self._expected_units)
        with self._operation(write.request().operation) as operation:
            try:
                send_write(operation, write)
            except (ConditionFailed, NotFound, OutcomeUnknown) as error:
                failure: DynamoError | None = error
            else:
                failure = None
        consumed = operation.cost.wcu + operation.cost.rcu
        self._cost += operation.cost
        if self._pace is not None:
            self._pace.settle(taken, consumed)
        self._expected_units = consumed or self._expected_units
        return failure

    def _read_again(self, write: Write[M]) -> Item | None:
        """Return what is stored now; ``None`` where it has been deleted, or has expired."""
        request = GetItem(table=self._plan.table, key=write.key, consistent=True)
        with self._operation("GetItem") as operation:
            item: Item | None = operation.execute(request).body.get("Item")
        self._cost += operation.cost
        return None if item is None or has_expired(self._plan.mapped, item, self._plan.clock()) else item

    def _operation(self, operation: str) -> Operation:
        pattern = Pattern(f"{self._plan.entity.model.__name__}.backfill", operation)
        return self._executor.operation(pattern, self._plan.table, deadline=PATIENCE)


class _NotStorable(Exception):
    """An item's new form cannot be stored."""

    def __init__(self, error: Refusal) -> None:
        super().__init__()
        self.error = error
