"""Where laws are tried: a table of one's own, a clock moved by hand, faults on demand, and models to try with."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from hypothesis import reject
from hypothesis import strategies as st
from hypothesis.strategies import DataObject, SearchStrategy
from pydantic import BaseModel

from common.dynamo import requests as rq
from common.dynamo.changes import Change
from common.dynamo.database import Database
from common.dynamo.entity_type import EntityType, Unique
from common.dynamo.exceptions import DynamoError
from common.dynamo.execution import Pattern
from common.dynamo.layout import PARTITION, SORT
from common.dynamo.testing.contract.comparison import differences, expected_values
from common.dynamo.testing.routes import ROUTES, Route
from common.dynamo.wire.faults import FaultPlan
from common.dynamo.wire.faulty import FaultyWire
from common.exceptions import CommonError, ConfigurationError, InvalidInput

__all__ = ["LIFE", "Broken", "Law", "Stage", "refuse"]

M = TypeVar("M", bound=BaseModel)

LIFE: Final = 3600
"""Seconds until a model expires that is given an expiry; no law but that of expiry moves the clock."""

_READ, _SCAN = Pattern("Contract.read", "GetItem"), Pattern("Contract.scan", "Scan")
_WRITE: Final = Pattern("Contract.write", "PutItem")
_TRIES: Final = 8


class Broken(AssertionError):
    """A law does not hold: for which field, and how."""

    def __init__(self, field: str, told: str) -> None:
        super().__init__(f"{field}: {told}" if field else told)


@dataclass(frozen=True, slots=True)
class Law:
    """One law: a check of one example, and the types that it concerns."""

    name: str
    rules: str
    check: "Callable[[Stage[Any]], None]"
    needs: Callable[[EntityType[Any]], str] = lambda entity: ""
    """Why a type does not need it; empty where it does."""


@contextmanager
def refuse(error: type[Exception], what: str, field: str = "") -> Iterator[list[Any]]:
    """Expect that the block raises *error*; the list that it yields holds the error afterwards.

    Raises:
        Broken: Nothing was raised, or something else.
    """
    caught: list[Any] = []
    try:
        yield caught
    except error as raised:
        caught.append(raised)
    except CommonError as raised:
        raise Broken(field, f"{what} raised {type(raised).__name__} instead of {error.__name__}: {raised}") from raised
    else:
        raise Broken(field, f"{what} was accepted; {error.__name__} was due")


class Stage(Generic[M]):
    """One entity type on one table, and the models of one example."""

    def __init__(self, database: Database, entity: EntityType[M], strategy: SearchStrategy[M]) -> None:
        """Open a database of the stage's own on *database*'s wire and table.

        Raises:
            ConfigurationError: The table is not empty or lacks an index of the type, or *entity* cannot be used.
        """
        database.dao(entity)  # makes the type known, so that an embedded table gets its indexes
        database.create_tables()
        self.entity = entity
        self.mapped = entity.mapped
        self.table = database.table_of(entity)
        self.now = int(database.clock())
        self.faults = FaultPlan(0)
        self.between_attempts: Callable[[], None] = lambda: None
        self._wire = FaultyWire(database.wire, self.faults)
        self._open()
        self._strategy = strategy
        self._data: DataObject | None = None
        self.shown: list[M] = []
        """The models of the example, for the report."""
        self.admitted: frozenset[str] | None = None
        """The first models, as text, of the examples that are tried at all; ``None`` for any."""
        if self.everything():
            raise ConfigurationError(
                "check_entity_type empties its table between examples, and this one has items: give it a database on a "
                "table of its own, such as the fixture database has."
            )

    def _open(self) -> None:
        """Open a database on the wire; the wire belongs to who called, so it is never closed here."""
        self.db = Database.connect(
            table=self.table,
            wire=self._wire,
            entity_types=[self.entity],
            cursor_keys=("a cursor key of the contract suite",),
            clock=lambda: self.now,
            sleep=lambda seconds: self.between_attempts(),
            deadline=30.0,
        )
        self.dao = self.db.dao(self.entity)

    # Examples

    def begin(self, data: DataObject) -> None:
        """Begin an example that draws from *data*, on an empty table, without faults, with a full quota of retries."""
        self._data = data
        self.shown.clear()
        self._open()
        self.reset()

    def reset(self) -> None:
        """Empty the table and end all faults."""
        self.faults.heal()
        self.between_attempts = lambda: None
        for item in self.everything():
            key = {name: item[name] for name in (PARTITION, SORT)}
            self.db.execute(rq.DeleteItem(table=self.table, key=key), _WRITE)

    def routes(self) -> Iterator[Route]:
        """Walk over the routes of a write, each on an empty table."""
        for name in ROUTES:
            self.reset()
            yield Route(name, self.db)

    def draw(self, strategy: SearchStrategy[Any]) -> Any:
        """Draw something else than a model."""
        assert self._data is not None  # noqa: S101 - an example has begun
        return self._data.draw(strategy)

    def model(self) -> M:
        """Draw a model that is not stored: version 0, alive."""
        return self._show(self._alive(self.draw(self._strategy)))

    def _alive(self, model: M) -> M:
        settled: dict[str, Any] = {}
        if self.entity.version is not None:
            settled[self.entity.version] = 0
        if self.entity.ttl is not None and getattr(model, self.entity.ttl) is not None:
            settled[self.entity.ttl] = self.expiry(LIFE)
        return model.model_copy(update=settled)

    def expiry(self, seconds: int) -> datetime | int:
        """Return the moment *seconds* from now, as the type's expiry field takes it."""
        moment = datetime.fromtimestamp(self.now, UTC) + timedelta(seconds=seconds)
        assert self.entity.ttl is not None  # noqa: S101 - only asked for with one
        kind = self.mapped.value_codec(self.entity.ttl).kind
        return moment if kind is datetime else int(moment.timestamp())

    def variant(self, model: M) -> M:
        """Draw a model that is *model*'s item with other content."""
        other = self.model()
        kept = {name: getattr(model, name) for name in (*self.entity.key.fields, *self.layer_fields)}
        return self.compose(other, **kept)

    def neighbour(self, model: M, *alike: str) -> M:
        """Draw a model with another key than *model*'s, and the same values in *alike*.

        An example without one is given up.
        """
        for _ in range(_TRIES):
            other = self._composed(
                self._alive(self.draw(self._strategy)), {name: getattr(model, name) for name in alike}
            )
            if other is not None and self.key(other) != self.key(model) and (alike or not self._clash(other, model)):
                return self._show(other)
        return reject()

    def _clash(self, one: M, other: M) -> bool:
        """Tell whether two models have a value of a unique field in common."""
        return not self.lock_keys(one).isdisjoint(self.lock_keys(other))

    def lock_keys(self, model: M) -> frozenset[tuple[str, str]]:
        """Return the keys of the locks that *model* takes."""
        locks = [lock.part.item for lock in self.dao.plan.create(model).locks if isinstance(lock.part, rq.PutItem)]
        return frozenset((item[PARTITION]["S"], item[SORT]["S"]) for item in locks)

    def compose(self, model: M, **values: Any) -> M:
        """Return *model* with *values*; an example whose model does not accept them is given up."""
        composed = self._composed(model, values)
        if composed is None:
            reject()
        return self._show(composed)

    def _composed(self, model: M, values: Mapping[str, Any]) -> M | None:
        """Return *model* with *values*; ``None`` where they do not go together."""
        composed = model.model_copy(update=dict(values))
        try:
            self.mapped.read_back(self.mapped.encode(composed))
        except InvalidInput:
            return None
        return composed

    def accepts(self, model: M, field: str, value: Any) -> bool:
        """Tell whether *model* may have *value* in *field*."""
        return self._composed(model, {field: value}) is not None

    def _show(self, model: M) -> M:
        if self.admitted is not None and not self.shown and repr(model) not in self.admitted:
            reject()
        self.shown.append(model)
        return model

    def owner(self) -> tuple[M, Unique]:
        """Draw a model and one of its unique fields that has a value, which no other item may have then."""
        unique: Unique = self.draw(st.sampled_from(self.entity.unique))
        owner = self.model()
        return (owner, unique) if getattr(owner, unique.field) is not None else reject()

    # The type

    @property
    def layer_fields(self) -> tuple[str, ...]:
        """The fields that the layer counts or judges by: version and expiry."""
        return tuple(name for name in (self.entity.version, self.entity.ttl) if name is not None)

    @property
    def changeable(self) -> tuple[str, ...]:
        """The fields that an update may set."""
        fixed = {*self.entity.key.fields, *self.layer_fields}
        return tuple(name for name in self.mapped.codec.plans if name not in fixed)

    @property
    def spreads(self) -> bool:
        """Whether some field is spread, so that only a replacing put is allowed."""
        return bool(self.mapped.codec.spreads)

    def put_options(self, route: Route, stored: M) -> dict[str, Any]:
        """Return what a put of a new state over *stored* says besides."""
        options: dict[str, Any] = {"replace": True} if self.spreads else {}
        return options if route.reads_by_itself or not self.entity.unique else {**options, "old": stored}

    def change_for(
        self, stored: M, wanted: M, but: Collection[str] = ()
    ) -> tuple[str, Callable[[Change[M], M], None]] | None:
        """Return a field in which *stored* and *wanted* differ, and the change to *wanted*'s value; ``None`` without one.

        Fields of *but* come last.
        """
        for name in sorted(self.changeable, key=lambda name: name in but):
            value = getattr(wanted, name)
            if value != getattr(stored, name) and self.accepts(stored, name, value):
                return name, setting(name, value)
        return None

    def any_change(self, stored: M, *, but: Collection[str] = ()) -> tuple[str, Callable[[Change[M], M], None]]:
        """Return a field and a change of *stored*, of *but* only where nothing else can change.

        An example in which nothing can change is given up.
        """
        for _ in range(_TRIES):
            found = self.change_for(stored, self.draw(self._strategy), but)
            if found is not None:
                return found
        return reject()

    # What is stored

    def key(self, model: M) -> dict[str, Any]:
        """Return the primary key of *model*."""
        return self.mapped.item_key(model)

    def raw(self, model: M) -> rq.Item | None:
        """Return the item at *model*'s key, as it is."""
        request = rq.GetItem(table=self.table, key=self.key(model), consistent=True)
        item: rq.Item | None = self.db.execute(request, _READ).body.get("Item")
        return item

    def put_raw(self, item: rq.Item) -> None:
        """Store *item* as it is."""
        self.db.execute(rq.PutItem(table=self.table, item=item), _WRITE)

    def everything(self) -> list[rq.Item]:
        """Return all items of the table."""
        items: list[rq.Item] = []
        start: rq.ItemKey | None = None
        while True:
            body = self.db.execute(rq.Scan(table=self.table, consistent=True, start=start), _SCAN).body
            items += body.get("Items", ())
            start = body.get("LastEvaluatedKey")
            if not start:
                return items

    def stored(self, model: M) -> M:
        """Return the model that is stored where *model* belongs.

        Raises:
            Broken: There is none.
        """
        found = self.dao.get(model)
        if found is None:
            raise Broken("", "what was stored is not found by its key")
        return found

    # Judgements

    def expect(self, holds: bool, told: str, field: str = "") -> None:
        """Go on where it *holds*.

        Raises:
            Broken: It does not.
        """
        if not holds:
            raise Broken(field, told)

    def expect_stored(self, wanted: M, version: int, after: str) -> M:
        """Return what is stored at *wanted*'s key, if it is *wanted* exactly, as *version*.

        Raises:
            Broken: It is not.
        """
        found = self.stored(wanted)
        told = differences(self.entity, expected_values(self.entity, wanted, version), found)
        for field, difference in told.items():
            raise Broken(field, f"after {after}, {difference}")
        return found


def setting(name: str, value: Any) -> Callable[[Change[Any], Any], None]:
    """Return the change that sets field *name* to *value*."""
    return lambda change, it: change.set(getattr(it, name), value)


def attempt(call: Callable[[], Any]) -> DynamoError | None:
    """Return the error that *call* raises; ``None`` where it raises none."""
    try:
        call()
    except DynamoError as error:
        return error
    return None
