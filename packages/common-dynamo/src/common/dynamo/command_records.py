"""Command records: what a request id has done, kept in the table beside what it did.

A transaction with a ``request_id`` has one part more: the put of a record, under a condition that there is none that
still counts. So the request is applied once, by whichever attempt comes first, and every later one finds the record,
the hash of its input and its result. Nothing of this rests on the engine's memory (``ClientRequestToken``, ten minutes)
or on the sweep of expired items: an expired record is overwritten by condition, swept or not.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json

from common.dynamo.arguments import require_seconds, require_text
from common.dynamo.exceptions import InvalidItem, RequestIdReused
from common.dynamo.keys import Key
from common.dynamo.layout import EXPIRY, EXPIRY_PATH, PARTITION, PARTITION_PATH, SORT, TYPE, WRITE_ID
from common.dynamo.request_input import input_hash
from common.dynamo.requests import AttributeValue, Compare, Constant, Item, ItemKey, NotExists, Or, PutItem
from common.dynamo.sizes import ITEM_LIMIT, item_size
from common.dynamo.value_classes import dataclass
from common.exceptions import ConfigurationError, InvalidInput

__all__ = [
    "COMMAND_KEY",
    "COMMAND_TYPE",
    "DEFAULT_KEEPS",
    "Command",
    "CommandRecord",
    "Replay",
    "command_key",
    "stored_replay",
]

COMMAND_TYPE: Final = "_command"
"""The ``_t`` of a record: no entity type's name begins with ``_``."""
COMMAND_KEY: Final = Key("_C#{digest}", "_C")
"""The key of a record: a hash of scope and request id."""
DEFAULT_KEEPS: Final = 7 * 24 * 3600.0
"""Seconds that a record counts where nothing is said."""

_INPUT, _RESULT = "_h", "_r"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Replay:
    """What an earlier call with the same request id has left."""

    stored: str | None
    """Its result as JSON; ``None`` where it gave none."""

    def __repr__(self) -> str:
        return f"<Replay {'without' if self.stored is None else 'with'} a result>"

    @property
    def result(self) -> Any:
        """The result as JSON has it; ``None`` where there is none."""
        return None if self.stored is None else from_json(self.stored)

    def result_as(self, kind: type[T]) -> T:
        """Return the result as a *kind*, such as a pydantic model.

        Raises:
            InvalidItem: What is stored is no *kind*.
        """
        try:
            return TypeAdapter(kind).validate_json("null" if self.stored is None else self.stored)
        except ValidationError:
            raise InvalidItem(
                f"The stored result of a request is no {getattr(kind, '__name__', 'such value')}.",
                entity=COMMAND_TYPE,
                field=_RESULT,
                stored_type="S" if self.stored is not None else "",
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRecord:
    """The record that a commit puts. Built once per commit: the same bytes on every attempt."""

    table: str
    key: ItemKey
    input: str
    """Hash of what the caller asked for."""
    result: str | None
    """As JSON."""
    write_id: str
    now: float
    """Epoch seconds at which it is judged whether an older record still counts."""
    keeps: float

    @property
    def operation(self) -> str:
        """What it is called in errors."""
        return "keep the request id"

    def parts(self) -> tuple[PutItem, ...]:
        """Return the one part: the put of the record, which holds where there is none or its time is over.

        Raises:
            InvalidInput: The result is too large for an item.
        """
        item: dict[str, AttributeValue] = {
            **self.key,
            TYPE: {"S": COMMAND_TYPE},
            WRITE_ID: {"S": self.write_id},
            EXPIRY: {"N": str(math.ceil(self.now + self.keeps))},
            _INPUT: {"S": self.input},
        }
        if self.result is not None:
            item[_RESULT] = {"S": self.result}
        if item_size(item) > ITEM_LIMIT:
            raise InvalidInput(
                f"The result of a request is over {ITEM_LIMIT // 1024} KB, DynamoDB's limit for an item."
            )
        is_over = Compare("<=", EXPIRY_PATH, Constant({"N": str(int(self.now))}))
        return (PutItem(table=self.table, item=item, condition=Or((NotExists(PARTITION_PATH), is_over))),)

    def is_own(self, item: Item | None) -> bool:
        """Tell whether *item* is the record that this very commit has put."""
        return item is not None and item.get(WRITE_ID) == {"S": self.write_id}

    def replay(self, item: Item) -> Replay:
        """Return what the stored record *item* says about the same request.

        Raises:
            RequestIdReused: It belongs to a request with other input.
        """
        return _replay(item, self.input)


class Command:
    """One request of a caller, as ``db.transaction(request_id=)`` was told of it; holds the result until it is known."""

    def __init__(
        self,
        table: str,
        clock: Callable[[], float],
        request_id: str,
        *,
        scope: str = "",
        asked: object = None,
        keeps: float = DEFAULT_KEEPS,
    ) -> None:
        """Take note of a request.

        Args:
            table: Where its record is.
            clock: Epoch seconds.
            request_id: The caller's own id.
            scope: Within which the id means one request.
            asked: What the caller asks for; ``None`` for what the operations of the block say.
            keeps: Seconds that the record counts.

        Raises:
            InvalidInput: *request_id* or *scope* is no text, or *request_id* is empty.
            ConfigurationError: *keeps* is not above zero, or *asked* cannot be hashed.
        """
        self.request_id = require_text("request_id", request_id)
        self.table, self.key = table, command_key(request_id, scope)
        self._clock = clock
        self._input = None if asked is None else input_hash(asked)
        self._keeps = require_seconds("keeps", keeps)
        if self._keeps <= 0:
            raise ConfigurationError("keeps must be above zero seconds: as long as the request may be repeated.")
        self._kind: type[Any] | None = None
        self._given: str | None = None
        self._found: Replay | None = None

    def give(self, result: Any) -> None:
        """Take *result* as that of the request.

        Raises:
            InvalidInput: It has no form in JSON, or cannot be read back from it.
        """
        kind = type(result) if isinstance(result, BaseModel) else None
        try:
            # By alias, since that is how a model is read.
            given = to_json(result, by_alias=True).decode()
            if kind is not None:
                kind.model_validate_json(given)
        except (PydanticSerializationError, ValidationError, ValueError):
            raise InvalidInput(
                f"The result of a request must be JSON or a pydantic model that can be read back, and this "
                f"{type(result).__name__} is not."
            ) from None
        self._kind, self._given = kind, None if result is None else given

    def record(self, operations: Sequence[object], write_id: str) -> CommandRecord:
        """Return the record of a commit whose operations ask for *operations*."""
        return CommandRecord(
            table=self.table,
            key=self.key,
            input=self._input or input_hash(operations),
            result=self._given,
            write_id=write_id,
            now=self._clock(),
            keeps=self._keeps,
        )

    def settle(self, replay: Replay | None) -> None:
        """Take note that an earlier call had been applied; ``None`` for this one."""
        self._found = replay

    @property
    def replayed(self) -> bool:
        """Whether an earlier call with the same id had been applied, and this one changed nothing."""
        return self._found is not None

    @property
    def replay(self) -> Replay:
        """The result: the stored one where it is known, else that of this call."""
        return self._found or Replay(self._given)

    @property
    def result(self) -> Any:
        """The result, as the kind of model that this call has given, else as JSON has it."""
        return self.replay.result if self._kind is None else self.replay.result_as(self._kind)


def command_key(request_id: str, scope: str) -> dict[str, AttributeValue]:
    """Return the key of a request's record; the id itself is not in it.

    Raises:
        InvalidInput: One of the two is no text, or *request_id* is empty.
    """
    names = (require_text("scope", scope, may_be_empty=True), require_text("request_id", request_id))
    digest = hashlib.sha256()
    for name in names:
        text = name.encode()
        digest.update(b"%d:%s" % (len(text), text))
    partition, sort = COMMAND_KEY.partition, COMMAND_KEY.sort
    return {PARTITION: {"S": partition.literals[0] + digest.hexdigest()}, SORT: {"S": sort.text}}


def stored_replay(item: Item | None, now: float, asked: object) -> Replay | None:
    """Return what the record *item* says at *now*, epoch seconds; ``None`` without one, or when its time is over.

    Raises:
        RequestIdReused: *asked* is given, and the record belongs to a request with other input.
    """
    if item is None or int(item[EXPIRY]["N"]) <= now:
        return None
    return _replay(item, None if asked is None else input_hash(asked))


def _replay(item: Item, asked: str | None) -> Replay:
    if asked is not None and item.get(_INPUT) != {"S": asked}:
        raise RequestIdReused("The request id belongs to a request with other input. Make a new id for a new request.")
    stored = item.get(_RESULT)
    return Replay(None if stored is None else stored["S"])
