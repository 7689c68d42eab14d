"""Records of a DynamoDB stream as typed changes: which entity changed, what it was, what it is now.

A record is taken as DynamoDB Streams gives it (boto3's ``dynamodbstreams.get_records``, the feed of an embedded database)
and as AWS Lambda delivers it (JSON, binary as base64 text). Both images pass the codec and the upcast steps of their type,
so a consumer sees models of today, whatever wrote the item.

>>> from pydantic import BaseModel
>>> from common.dynamo import EntityType, Key
>>> class Note(BaseModel):
...     id: str
...     text: str
>>> NOTE = EntityType(Note, "note", key=Key("NOTE#{id}", "NOTE"))
>>> record = {"eventName": "INSERT", "dynamodb": {
...     "SequenceNumber": "111", "StreamViewType": "NEW_AND_OLD_IMAGES", "Keys": NOTE.item_key("n1"),
...     "NewImage": NOTE.encode(Note(id="n1", text="remember")),
... }}
>>> change = decode_record(record, {"note": NOTE})
>>> change.kind, change.old, change.new
('INSERT', None, Note(id='n1', text='remember'))
"""

import logging
import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from datetime import UTC, datetime
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar, cast

from pydantic import BaseModel

from common.dynamo.arguments import require_callback
from common.dynamo.entity_type import EntityType
from common.dynamo.layout import TYPE
from common.dynamo.requests import AttributeValue, Item, ItemKey
from common.dynamo.value_classes import dataclass
from common.exceptions import ConfigurationError, InvalidInput

__all__ = ["StreamBatch", "StreamChange", "StreamFailure", "StreamSkip", "decode_record", "handle_records"]

M = TypeVar("M", bound=BaseModel)
N = TypeVar("N", bound=BaseModel)

Kind: TypeAlias = Literal["INSERT", "MODIFY", "REMOVE"]
Record: TypeAlias = Mapping[str, Any]

_KINDS: Final = ("INSERT", "MODIFY", "REMOVE")
_TTL_IDENTITY: Final = ("Service", "dynamodb.amazonaws.com")
"""Who deletes expired items (Amazon DynamoDB Developer Guide, "DynamoDB Streams and Time to Live")."""

_SEQUENCE: Final = re.compile(r"[0-9]{1,200}")
"""DynamoDB's have 21 to 40 digits (Streams API Reference, "StreamRecord")."""

_log: Final = logging.getLogger("common.dynamo.streams")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamChange(Generic[M]):
    """What one write did to one entity.

    A write that changed no field makes a change too: a rewrite in a newer schema, and on some engines a write of what was
    there already. Then :attr:`old` and :attr:`new` are equal.
    """

    kind: Kind
    """``INSERT``, ``MODIFY`` or ``REMOVE``: of the item."""
    entity: EntityType[M]
    """The registered type that ``_t`` names."""
    key: ItemKey = field(repr=False)
    """The item's primary key."""
    old: M | None = field(repr=False)
    """As it was before; ``None`` for a new item, and in a stream without old images."""
    new: M | None = field(repr=False)
    """As it is now; ``None`` for a removed item, and in a stream without new images."""
    sequence: int
    """Grows with every change of the same item; of different items it tells an order within one shard alone."""
    expired: bool
    """Whether DynamoDB removed the item since its time was over, and not a program."""
    at: datetime | None
    """About when it was written, in UTC, to the second; not made for ordering."""
    event_id: str
    """Unique within the stream: a record that is delivered again has the same; empty where the record has none."""

    def of(self, entity: EntityType[N]) -> "StreamChange[N] | None":
        """Return this very change, typed, where it is one of *entity*; else ``None``."""
        return cast("StreamChange[N]", self) if cast("Any", self.entity) is entity else None


@dataclass(frozen=True, slots=True)
class StreamSkip:
    """A record that is nobody's change here."""

    reason: Literal["layer", "unknown", "untyped"]
    """``layer``: a lock, an outbox item, or anything else that the layer keeps for itself; ``unknown``: an entity type
    that this database does not know; ``untyped``: an item that no program of this family wrote."""
    type: str
    """Its ``_t``; empty where it has none."""
    sequence: int


Skipped: TypeAlias = Callable[[StreamSkip], None]


def decode_record(
    record: Record, types: Mapping[str, EntityType[Any]], *, skipped: Skipped | None = None
) -> StreamChange[Any] | None:
    """Return the change in *record*; ``None`` where it is no change of an entity in *types*.

    Args:
        record: One record, in either form.
        types: Name to entity type.
        skipped: Is told of a record that is left out, and why.

    Raises:
        InvalidItem: An image does not fit its entity type, or an upcast step failed.
        ConfigurationError: The record has no image, so its type is not known: the stream keeps too little.
        InvalidInput: It is no record of a stream.
    """
    if skipped is not None:
        require_callback("skipped", skipped, "(skip: StreamSkip) -> None")
    kind, stream = _parts(record)
    sequence = _sequence(stream)
    images = {name: _image(stream.get(name)) for name in ("NewImage", "OldImage")}
    names = [_type_of(image) for image in images.values() if image is not None]
    if not names:
        raise _without_images(kind, stream)
    entity = next((types[name] for name in names if name in types), None)
    if entity is None:
        if skipped is not None:
            skipped(_skip(names[0], sequence))
        return None
    return StreamChange(
        kind=kind,
        entity=entity,
        key=_image(stream.get("Keys")) or {},
        old=_model(entity, images["OldImage"]),
        new=_model(entity, images["NewImage"]),
        sequence=sequence,
        expired=kind == "REMOVE" and _identity(record) == _TTL_IDENTITY,
        at=_moment(stream.get("ApproximateCreationDateTime")),
        event_id=str(record.get("eventID", "")),
    )


def _model(entity: EntityType[M], image: Item | None) -> M | None:
    """Return the model in *image*; ``None`` also where an item of another type stood at the key before, or does now."""
    if image is None or _type_of(image) != entity.name:
        return None
    return entity.decode(image)


def _type_of(image: Item) -> str:
    name = image.get(TYPE, {}).get("S")
    return name if isinstance(name, str) else ""


def _skip(name: str, sequence: int) -> StreamSkip:
    if not name:
        return StreamSkip("untyped", name, sequence)
    return StreamSkip("layer" if name.startswith("_") else "unknown", name, sequence)


def _without_images(kind: Kind, stream: Record) -> ConfigurationError:
    view = stream.get("StreamViewType", "unknown")
    return ConfigurationError(
        f"A {kind} record of a stream of view type {view} has no image, so its entity type is not known. Let the table keep "
        "NEW_AND_OLD_IMAGES, as create_tables(stream=True) does."
    )


# Records --------------------------------------------------------------------------------------------------------------


def _parts(record: Record) -> tuple[Kind, Record]:
    stream = record.get("dynamodb") if isinstance(record, Mapping) else None
    kind = record.get("eventName") if isinstance(record, Mapping) else None
    if not isinstance(stream, Mapping) or kind not in _KINDS:
        raise InvalidInput(
            "This is no record of a DynamoDB stream: it needs eventName (INSERT, MODIFY, REMOVE) and dynamodb. Give the "
            "entries of Records one by one, not the whole event."
        )
    return cast("Kind", kind), stream


def _sequence(stream: Record) -> int:
    number = stream.get("SequenceNumber")
    if not isinstance(number, str) or not _SEQUENCE.fullmatch(number):
        raise InvalidInput("This is no record of a DynamoDB stream: its SequenceNumber is no row of digits.")
    return int(number)


def _identity(record: Record) -> tuple[Any, Any]:
    """Return type and principal of who made the change; Lambda begins their names with a small letter, boto3 does not."""
    identity = record.get("userIdentity")
    if not isinstance(identity, Mapping):
        return None, None
    return identity.get("type", identity.get("Type")), identity.get("principalId", identity.get("PrincipalId"))


def _moment(given: Any) -> datetime | None:
    """Return a moment in UTC: boto3 has a datetime, JSON has epoch seconds."""
    try:
        if isinstance(given, datetime):
            return given.astimezone(UTC)
        return datetime.fromtimestamp(given, UTC) if isinstance(given, int | float) else None
    except (OverflowError, ValueError, OSError):
        raise InvalidInput(
            "This is no record of a DynamoDB stream: its ApproximateCreationDateTime is no moment."
        ) from None


def _image(image: Any) -> dict[str, AttributeValue] | None:
    """Return *image* with binary as bytes.

    Raises:
        InvalidInput: It has another shape.
    """
    if image is None:
        return None
    try:
        return {name: _value(value) for name, value in image.items()}
    except (AttributeError, TypeError, ValueError, NotBase64):
        raise InvalidInput(
            "This is no record of a DynamoDB stream: an image holds what is no attribute value."
        ) from None


def _value(value: AttributeValue) -> AttributeValue:
    ((tag, content),) = value.items()
    if tag == "B":
        return {tag: _bytes(content)}
    if tag == "BS":
        return {tag: [_bytes(member) for member in content]}
    if tag == "L":
        return {tag: [_value(member) for member in content]}
    if tag == "M":
        return {tag: {name: _value(member) for name, member in content.items()}}
    return value


def _bytes(content: Any) -> bytes:
    if isinstance(content, str):
        return b64decode(content, validate=True)
    return bytes(memoryview(content))


# Batches --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StreamFailure:
    """The record at which a batch stopped."""

    sequence_number: str
    """As the record has it: where the stream is to be read from again. Empty where the record has none, which AWS Lambda
    takes for the whole batch."""
    error: Exception = field(repr=False)
    """What the handler, or the decoding, raised."""


@dataclass(frozen=True, slots=True)
class StreamBatch:
    """What came of a batch of records."""

    handled: int
    """Changes that the handler has taken."""
    skipped: tuple[StreamSkip, ...]
    failure: StreamFailure | None
    """``None`` where all records are done."""

    def response(self) -> dict[str, list[dict[str, str]]]:
        """Return what an AWS Lambda function answers, so that the failed record and those after it come again.

        The event source mapping has to have ``FunctionResponseTypes=["ReportBatchItemFailures"]`` (AWS Lambda Developer
        Guide, "Configuring partial batch response with DynamoDB and Lambda").
        """
        failed = [] if self.failure is None else [{"itemIdentifier": self.failure.sequence_number}]
        return {"batchItemFailures": failed}


def handle_records(
    event: Record | Iterable[Record], types: Mapping[str, EntityType[Any]], handler: Callable[[StreamChange[Any]], None]
) -> StreamBatch:
    """Give the changes in *event* to *handler*, in order, up to the first that fails; see ``Database.handle_stream``."""
    require_callback("handler", handler, "(change: StreamChange) -> None")
    records = event.get("Records") if isinstance(event, Mapping) else event
    if isinstance(records, str | bytes) or not isinstance(records, Iterable):
        raise InvalidInput(
            "This is no event of a DynamoDB stream: it has no Records. Give the whole event, or a list of records."
        )
    skipped: list[StreamSkip] = []
    handled = 0
    for record in records:
        try:
            change = decode_record(record, types, skipped=skipped.append)
            if change is not None:
                handler(change)
                handled += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, the stream goes on from this record
            return StreamBatch(handled, tuple(skipped), _failure(record, error))
    return StreamBatch(handled, tuple(skipped), None)


def _failure(record: Any, error: Exception) -> StreamFailure:
    _log.warning("a record of a stream failed (%s); it and those after it will come again", type(error).__name__)
    stream = record.get("dynamodb") if isinstance(record, Mapping) else None
    number = stream.get("SequenceNumber") if isinstance(stream, Mapping) else None
    return StreamFailure(number if isinstance(number, str) else "", error)
