"""The outbox: events that are committed with the writes they tell of, in order per aggregate. Pure.

One item per aggregate holds its pending events as a list, in the order of their commits: an emitting transaction appends
to it without reading, and DynamoDB puts the transactions in order. A relay (:mod:`common.dynamo.relay`) publishes from
the head and takes away what it has published. The items are spread over a fixed number of partitions by a hash of the
aggregate, so that a relay finds all of them by as many queries.

An emission costs two write units per kilobyte of the aggregate's pending events, the new one included: 2 as long as the
relay keeps up. Where it does not, :class:`~common.dynamo.exceptions.OutboxFull` stops the emitting transactions of that
aggregate at :data:`BACKLOG_LIMIT`, before DynamoDB's limit for an item would.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from common.dynamo.arguments import require_iterable, require_kind, require_model
from common.dynamo.exceptions import InvalidItem, OutboxFull
from common.dynamo.keys import BoundTemplate, Key, Template
from common.dynamo.layout import (
    PARTITION,
    PARTITION_PATH,
    SCHEMA_PATH,
    SORT,
    TYPE_PATH,
    WRITE_ID,
    WRITE_ID_PATH,
)
from common.dynamo.requests import (
    And,
    AttributeValue,
    Compare,
    Constant,
    IfNotExists,
    Item,
    ItemKey,
    ListAppend,
    NotExists,
    Or,
    Path,
    Plus,
    Update,
    UpdateItem,
)
from common.dynamo.sizes import value_size
from common.dynamo.value_classes import dataclass
from common.exceptions import ConfigurationError, InvalidInput

__all__ = [
    "BACKLOG_LIMIT",
    "BYTES",
    "EVENTS",
    "OUTBOX_KEY",
    "OUTBOX_SHARDS",
    "OUTBOX_TYPE",
    "Emission",
    "EmittedEvent",
    "EventType",
    "Outbox",
    "outbox_key",
    "pending_events",
    "shard_key",
    "shard_of",
    "stored_size",
]

M = TypeVar("M", bound=BaseModel)

OUTBOX_TYPE: Final = "_outbox"
"""The ``_t`` of an outbox item: no entity type's name begins with ``_``."""
OUTBOX_SHARDS: Final = 8
"""Partitions of the outbox. Never changed: an aggregate in two of them at once would lose its order."""
OUTBOX_KEY: Final = Key("_O#{shard}", "{aggregate}")
"""The key of an outbox item: the shard follows from the aggregate."""
BACKLOG_LIMIT: Final = 360 * 1024
"""Bytes of pending events of one aggregate, at most; an item of DynamoDB takes 400 KB."""

_SCHEMA: Final = "1"
EVENTS: Final = Path(("_e",))
LAST: Final = Path(("_n",))
"""The sequence of the last event in the list."""
BYTES: Final = Path(("_b",))
"""The size of the list."""


class EventType(Generic[M]):
    """What an event is called and which aggregate it belongs to; the model itself knows nothing of it.

    >>> class InvoicePaid(BaseModel):
    ...     tenant: str
    ...     number: int
    >>> INVOICE_PAID = EventType(InvoicePaid, "invoice-paid", aggregate="INV#{tenant}#{number:10}")
    >>> INVOICE_PAID.aggregate_of(InvoicePaid(tenant="t1", number=7))
    'INV#t1#10000000007'
    """

    def __init__(self, model: type[M], name: str, *, aggregate: str, schema: int = 1) -> None:
        """Describe an event.

        Args:
            model: A pydantic model.
            name: What consumers know it by; unique in the service and never changed.
            aggregate: Template over fields of the model, as in :mod:`common.dynamo.keys`: events of one aggregate are
                published in the order of their commits. Several event types may share a template, and so an order.
            schema: Version of the model, for consumers; at least 1.

        Raises:
            ConfigurationError: The template names a field that the model has not or that cannot be part of a key, or
                the name is empty.
        """
        if not isinstance(model, type) or not issubclass(model, BaseModel):
            raise ConfigurationError(f"model must be a pydantic model, not {model!r}.")
        if not isinstance(name, str) or not name:
            raise ConfigurationError("An event type has a name, which consumers know it by: give a text.")
        if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
            raise ConfigurationError(f"The schema of event type {name!r} is an int from 1.")
        self.model, self.name, self.schema = model, name, schema
        self._template = BoundTemplate.bind(Template(aggregate), _kinds(model, aggregate))

    def __repr__(self) -> str:
        return f"<EventType {self.name!r} of {self.model.__name__}>"

    def aggregate_of(self, event: M) -> str:
        """Return the aggregate that *event* belongs to.

        Raises:
            InvalidInput: A field of the template is empty, too wide, or makes the aggregate longer than 1024 bytes.
        """
        return self._template.build([getattr(event, name) for name in self._template.fields])


def _kinds(model: type[BaseModel], aggregate: str) -> dict[str, type]:
    """Return the types of the fields of *model*, of which those in *aggregate* have just one."""
    found = {name: info.annotation for name, info in model.model_fields.items()}
    for name in Template(aggregate).fields:
        if name in found and not isinstance(found[name], type):
            raise ConfigurationError(
                f"Aggregate {aggregate!r}: {name} may be None, or of several types; an aggregate needs a value of one type."
            )
    return {name: kind for name, kind in found.items() if isinstance(kind, type)}


@dataclass(frozen=True, slots=True, kw_only=True)
class EmittedEvent:
    """An event as it is published. Its :attr:`body` and :attr:`aggregate` hold values: never log them."""

    id: str
    """What consumers know a repeat by: 21 hex digits, the same at every delivery and in no other event."""
    type: str
    """The name of its :class:`EventType`."""
    schema: int
    aggregate: str = field(repr=False)
    sequence: int
    """Grows by one with each event of the aggregate. Where nothing was pending it starts anew, from the microseconds of
    the emitter's clock: so gaps mean nothing, and it is the order of delivery that counts."""
    occurred_at: datetime
    """When it was emitted, by the emitter's clock, in UTC."""
    body: str = field(repr=False)
    """The model as JSON."""
    trace: Mapping[str, str] = field(default_factory=dict, repr=False)
    """W3C trace context of the emitter (``traceparent``, ``tracestate``), to be sent along; empty without tracing."""

    def decode(self, event_type: EventType[M]) -> M:
        """Return the model in the event.

        Raises:
            ConfigurationError: It is another type of event.
            InvalidItem: Its body does not fit the model.
        """
        if event_type.name != self.type:
            raise ConfigurationError(f"An event of type {self.type!r} cannot be read as {event_type.name!r}.")
        try:
            return event_type.model.model_validate_json(self.body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            raise InvalidItem(
                f"A stored event of type {self.type!r} does not fit its model: {first['type']}.",
                entity=self.type,
                field=str(first["loc"][0]) if first["loc"] else "",
                stored_type="S",
            ) from None


# Emitting -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Emission:
    """The events of one aggregate that a transaction emits: one part, however many they are."""

    table: str
    aggregate: str
    events: tuple[AttributeValue, ...]
    asked: tuple[object, ...]
    """What the caller has asked for: type and model of each event."""
    write_id: str
    now: float

    @property
    def operation(self) -> str:
        """What it is called in errors."""
        return "emit"

    def also(self, other: "Emission") -> "Emission":
        """Return the emission of these events and then of *other*'s."""
        return replace(self, events=self.events + other.events, asked=self.asked + other.asked)

    def parts(self) -> tuple[UpdateItem, ...]:
        """Return the one part: it appends to the pending events, unless this very write has done so.

        Raises:
            InvalidInput: The events are more than fit into an empty outbox.
        """
        size = sum(map(stored_size, self.events))
        if size > BACKLOG_LIMIT:
            raise InvalidInput(f"The events of one transaction and aggregate are over {BACKLOG_LIMIT // 1024} KB.")
        before = Constant({"N": str(int(self.now * 1_000_000))})
        update = Update(
            set=(
                (EVENTS, ListAppend(IfNotExists(EVENTS, Constant({"L": []})), Constant({"L": list(self.events)}))),
                (LAST, Plus(IfNotExists(LAST, before), Constant({"N": str(len(self.events))}))),
                (TYPE_PATH, Constant({"S": OUTBOX_TYPE})),
                (SCHEMA_PATH, Constant({"N": _SCHEMA})),
                (WRITE_ID_PATH, Constant({"S": self.write_id})),
            ),
            add=((BYTES, Constant({"N": str(size)})),),
        )
        is_new_here = Compare("<>", WRITE_ID_PATH, Constant({"S": self.write_id}))
        has_room = Compare("<=", BYTES, Constant({"N": str(BACKLOG_LIMIT - size)}))
        condition = Or((NotExists(PARTITION_PATH), And((is_new_here, has_room))))
        return (UpdateItem(table=self.table, key=outbox_key(self.aggregate), update=update, condition=condition),)

    def is_own(self, item: Item | None) -> bool:
        """Tell whether *item* is what this very write made."""
        return item is not None and item.get(WRITE_ID) == {"S": self.write_id}

    def failure(self) -> OutboxFull:
        """Return the error for a failed condition that is not our own doing."""
        return OutboxFull(
            f"{self.operation}: {BACKLOG_LIMIT // 1024} KB of events of this aggregate wait to be published. See that the "
            "relay runs and that publishing works, then repeat."
        )


def stored_size(event: AttributeValue) -> int:
    """Return the bytes that *event* takes in the list of pending events."""
    return 1 + value_size(event)


def shard_of(aggregate: str) -> int:
    """Return the shard of *aggregate*, from 0 to ``OUTBOX_SHARDS - 1``."""
    return int.from_bytes(sha256(aggregate.encode()).digest()[:4]) % OUTBOX_SHARDS


def shard_key(shard: int) -> AttributeValue:
    """Return the partition key of *shard*."""
    return {"S": f"{OUTBOX_KEY.partition.literals[0]}{shard}"}


def outbox_key(aggregate: str) -> ItemKey:
    """Return the key of the outbox item of *aggregate*."""
    return {PARTITION: shard_key(shard_of(aggregate)), SORT: {"S": aggregate}}


class Outbox:
    """Makes emissions: the event types of one database, and where their events wait."""

    def __init__(
        self,
        event_types: Iterable[EventType[Any]],
        table: str,
        *,
        clock: Callable[[], float],
        new_id: Callable[[], str],
        trace: Callable[[], Mapping[str, str]],
    ) -> None:
        """Take in *event_types*.

        Args:
            event_types: All of the service.
            table: Where events wait.
            clock: Epoch seconds.
            new_id: Makes ids that no other event has.
            trace: Tells the W3C trace context of the caller.

        Raises:
            ConfigurationError: Two of *event_types* share a name or a model.
        """
        self.table = table
        self._types: dict[type[BaseModel], EventType[Any]] = {}
        self._clock, self._new_id, self._trace = clock, new_id, trace
        for event_type in require_iterable("event_types", event_types, "EventType objects"):
            self._take_in(require_kind("event_types", event_type, EventType))

    def _take_in(self, event_type: EventType[Any]) -> None:
        if event_type.model in self._types or any(one.name == event_type.name for one in self._types.values()):
            raise ConfigurationError(f"The event type {event_type.name!r}, or its model, is given twice.")
        self._types[event_type.model] = event_type

    def emission(self, event: BaseModel, write_id: str) -> Emission:
        """Return the emission of *event*.

        Raises:
            ConfigurationError: The database does not know its type.
            InvalidInput: It cannot be stored, or names no aggregate.
        """
        event_type = self._types.get(type(require_model("event", event, BaseModel)))
        if event_type is None:
            raise ConfigurationError(
                f"No event type is known for {type(event).__name__}. Give event_types=[EventType(...)] when the database is "
                "opened."
            )
        now = self._clock()
        return Emission(
            table=self.table,
            aggregate=event_type.aggregate_of(event),
            events=(_stored(event_type, event, self._new_id(), now, self._trace()),),
            asked=((event_type.name, event),),
            write_id=write_id,
            now=now,
        )


def _stored(
    event_type: EventType[Any], event: BaseModel, event_id: str, now: float, trace: Mapping[str, str]
) -> AttributeValue:
    try:
        body = event.model_dump_json(by_alias=True)
        event_type.model.model_validate_json(body)
    except (ValueError, ValidationError):
        raise InvalidInput(f"An event of type {event_type.name!r} has no form in JSON that can be read back.") from None
    members: dict[str, AttributeValue] = {
        "i": {"S": event_id},
        "t": {"S": event_type.name},
        "s": {"N": str(event_type.schema)},
        "o": {"N": str(int(now * 1_000_000))},
        "b": {"S": body},
    }
    if trace:
        members["c"] = {"M": {name: {"S": value} for name, value in trace.items()}}
    return {"M": members}


# Reading --------------------------------------------------------------------------------------------------------------

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def pending_events(item: Item) -> tuple[EmittedEvent, ...]:
    """Return the events that wait in an outbox item, the oldest first.

    Raises:
        InvalidItem: The item is not of a form that this version writes.
    """
    aggregate = item[SORT]["S"]
    try:
        events = item["_e"]["L"]
        first = int(item["_n"]["N"]) - len(events) + 1
        return tuple(_event(event["M"], aggregate, first + position) for position, event in enumerate(events))
    except (KeyError, TypeError, ValueError, OverflowError):
        raise InvalidItem(
            "An outbox item is not of a form that this version can read.",
            entity=OUTBOX_TYPE,
            field="_e",
            key={name: item[name] for name in (PARTITION, SORT)},
        ) from None


def _event(stored: Mapping[str, AttributeValue], aggregate: str, sequence: int) -> EmittedEvent:
    context = stored["c"]["M"] if "c" in stored else {}
    return EmittedEvent(
        id=stored["i"]["S"],
        type=stored["t"]["S"],
        schema=int(stored["s"]["N"]),
        aggregate=aggregate,
        sequence=sequence,
        occurred_at=_EPOCH + timedelta(microseconds=int(stored["o"]["N"])),
        body=stored["b"]["S"],
        trace={name: value["S"] for name, value in context.items()},
    )
