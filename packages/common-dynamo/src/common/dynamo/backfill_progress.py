"""The progress of a backfill, kept in the table that it walks through: where each segment stands, counts, whose it is. Pure.

One item per backfill. A runner claims it before it begins, writes it now and then, and lets go of it at the end; each of
these writes holds only while the item is the runner's. So a walk goes on where it was saved, and two runners of one
backfill never work against each other: the one that lost the item stops at its next save.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

from pydantic import BaseModel

from common.dynamo import requests as rq
from common.dynamo.cost import NOTHING, Cost
from common.dynamo.entity_type import EntityType
from common.dynamo.exceptions import DynamoError, InvalidItem
from common.dynamo.keys import Key
from common.dynamo.layout import PARTITION, PARTITION_PATH, SORT, TYPE, WRITE_ID
from common.dynamo.requests import AttributeValue, Item, ItemKey
from common.dynamo.segments import START, SegmentPosition
from common.dynamo.value_classes import dataclass

__all__ = [
    "BACKFILL_KEY",
    "BACKFILL_TYPE",
    "LEASE",
    "BackfillCounts",
    "BackfillInUse",
    "BackfillProgress",
    "BackfillState",
    "form_of",
    "progress_key",
    "record_type",
]

BACKFILL_TYPE: Final = "_backfill"
"""The ``_t`` of the item: no entity type's name begins with ``_``."""
BACKFILL_KEY: Final = Key("_B#{name}", "_B")
"""The key of the item: the name of the backfill."""

LEASE: Final = 60.0
"""Seconds after a save during which nobody else may go on, unless told to take over."""

_RUNNER: Final = rq.Path(("_r",))


class BackfillInUse(DynamoError):
    """Another runner works on this backfill, or has taken it over. Nothing is lost: each rewrite holds only once."""

    code = "backfill_in_use"
    status = 409

    def __init__(self, message: str = "", *, until: float = 0.0) -> None:
        super().__init__(message)
        self.until = until
        """Epoch seconds from when on it is free, unless its runner saves again."""


class BackfillState(StrEnum):
    """Where a backfill stands."""

    RUNNING = "running"
    """Or its runner has died, when nothing was saved for a minute."""
    STOPPED = "stopped"
    """Before the end; the next run goes on."""
    FINISHED = "finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillCounts:
    """What a backfill has found and done. Counts add."""

    scanned: int = 0
    """Items of whatever type that the engine examined; a page that a stop has cut is examined again."""
    examined: int = 0
    """Items of the entity type."""
    outdated: int = 0
    """Of these, items that had to be rewritten: sum of the next four, where it was no dry run."""
    rewritten: int = 0
    overtaken: int = 0
    """Others have brought them up to date, or deleted them, before it could."""
    refused: int = 0
    """Their new form cannot be stored, or they changed faster than they could be rewritten. They are as they were."""
    unsettled: int = 0
    """It is not known whether the rewrite was applied, nor could be found out."""
    lost_races: int = 0
    """Rewrites that did not hold since another writer was faster; each was read again on the spot."""
    invalid: int = 0
    """Items that cannot be read. They are as they were."""
    newer: int = 0
    """Items of a newer schema, left alone."""

    def __add__(self, other: "BackfillCounts") -> "BackfillCounts":
        if not isinstance(other, BackfillCounts):
            return NotImplemented
        return BackfillCounts(**{name: getattr(self, name) + getattr(other, name) for name in COUNTS})


COUNTS: Final = tuple(field.name for field in fields(BackfillCounts))


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillProgress:
    """The stored progress of one backfill."""

    name: str
    entity: str
    """The entity type's name."""
    form: str
    """What the items are brought to, see :func:`form_of`."""
    state: BackfillState = BackfillState.RUNNING
    runner: str
    until: float
    """Epoch seconds until when nobody else goes on."""
    positions: tuple[SegmentPosition, ...]
    counts: BackfillCounts = BackfillCounts()
    cost: Cost = NOTHING
    """Of all runs, as far as it was saved; without its indexes."""
    runs: int = 1

    @classmethod
    def begun(cls, name: str, entity: EntityType[Any], segments: int, *, runner: str, now: float) -> "BackfillProgress":
        """Return the progress of a backfill at its beginning."""
        return cls(
            name=name,
            entity=entity.name,
            form=form_of(entity),
            runner=runner,
            until=now + LEASE,
            positions=(START,) * segments,
        )

    def resumed(self, *, runner: str, now: float) -> "BackfillProgress":
        """Return the progress as another runner goes on with it."""
        return replace(self, state=BackfillState.RUNNING, runner=runner, until=now + LEASE, runs=self.runs + 1)

    def is_held(self, now: float) -> bool:
        """Tell whether its runner may be alive."""
        return self.state is BackfillState.RUNNING and self.until > now

    @property
    def has_ended(self) -> bool:
        """Whether every segment was walked to its end."""
        return all(position.has_ended for position in self.positions)

    # As an item

    def item(self, write_id: str) -> Item:
        """Return the item of it."""
        cost = {"rcu": self.cost.rcu, "wcu": self.cost.wcu, "trips": self.cost.trips}
        return {
            **progress_key(self.name),
            TYPE: {"S": BACKFILL_TYPE},
            WRITE_ID: {"S": write_id},
            "_e": {"S": self.entity},
            "_f": {"S": self.form},
            "_st": {"S": str(self.state)},
            "_r": {"S": self.runner},
            "_u": {"N": f"{self.until:.3f}"},
            "_p": {"L": [{"S": position.text()} for position in self.positions]},
            "_n": {"M": {name: {"N": str(getattr(self.counts, name))} for name in COUNTS}},
            "_c": {"M": {name: {"N": f"{units:f}"} for name, units in cost.items()}},
            "_i": {"N": str(self.runs)},
        }

    @classmethod
    def read(cls, name: str, item: Item) -> "BackfillProgress":
        """Return the progress in *item*.

        Raises:
            InvalidItem: It is no progress of a backfill.
        """
        try:
            if item[TYPE] != {"S": BACKFILL_TYPE}:
                raise ValueError("another type")
            counts: Mapping[str, AttributeValue] = item["_n"]["M"]
            cost: Mapping[str, AttributeValue] = item["_c"]["M"]
            return cls(
                name=name,
                entity=item["_e"]["S"],
                form=item["_f"]["S"],
                state=BackfillState(item["_st"]["S"]),
                runner=item["_r"]["S"],
                until=float(item["_u"]["N"]),
                positions=tuple(SegmentPosition.parse(position["S"]) for position in item["_p"]["L"]),
                counts=BackfillCounts(**{each: int(counts[each]["N"]) for each in COUNTS if each in counts}),
                cost=Cost(float(cost["rcu"]["N"]), float(cost["wcu"]["N"]), trips=int(float(cost["trips"]["N"]))),
                runs=int(item["_i"]["N"]),
            )
        except (KeyError, TypeError, ValueError):
            raise InvalidItem(
                f"The progress of backfill {name} cannot be read. Begin again with restart=True.",
                entity=BACKFILL_TYPE,
                key=progress_key(name),
            ) from None

    # As requests

    def claim(self, table: str, found: Item | None, write_id: str) -> rq.PutItem:
        """Return the write that makes it this runner's, while the item is what was *found*."""
        if found is None:
            free: rq.Condition = rq.NotExists(PARTITION_PATH)
        else:
            free = rq.Compare("=", rq.Path((WRITE_ID,)), rq.Constant(found[WRITE_ID]))
        return rq.PutItem(table=table, item=self.item(write_id), condition=free)

    def save(self, table: str, write_id: str) -> rq.PutItem:
        """Return the write that stores it, while the item is this runner's."""
        mine = rq.Compare("=", _RUNNER, rq.Constant({"S": self.runner}))
        return rq.PutItem(table=table, item=self.item(write_id), condition=mine)


def progress_key(name: str) -> ItemKey:
    """Return the key of the item of the backfill called *name*."""
    partition, sort = BACKFILL_KEY.partition, BACKFILL_KEY.sort
    return {PARTITION: {"S": partition.literals[0] + name}, SORT: {"S": sort.text}}


def form_of(entity: EntityType[Any]) -> str:
    """Return what a backfill brings items of *entity* to: schema and index templates, as a hash of 16 characters."""
    indexes = [(index.name, index.key.partition_text, index.key.sort_text) for index in entity.indexes]
    return sha256(repr((entity.schema, indexes)).encode()).hexdigest()[:16]


def record_type(entity: EntityType[Any]) -> EntityType[Any]:
    """Return what stands for the item among access patterns; it is no type that a database knows."""
    return EntityType(BaseModel, BACKFILL_TYPE, key=BACKFILL_KEY, group=entity.group)
