"""What a caller asked for, as a hash: it tells a repeated request from another one under the same id. Pure.

Only what is asked for counts, in canonical form: ``5`` and ``5.00`` are one number, a set has no order, and a mapping
none either. What a service adds (times, ids of writes) or has seen (versions, conditions) does not, so that an honest
repeat is a repeat, however the stored items have moved in between.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

import orjson
from pydantic import BaseModel

from common.dynamo.decimals import digits
from common.dynamo.key_components import datetime_text
from common.dynamo.layout import EXPIRY, is_reserved
from common.dynamo.requests import (
    AttributeValue,
    Constant,
    DeleteItem,
    IfNotExists,
    ListAppend,
    Minus,
    Path,
    Plus,
    PutItem,
    SetValue,
    TransactPart,
    Update,
    UpdateItem,
)
from common.dynamo.writes import Write
from common.exceptions import ConfigurationError

__all__ = ["asked_by_part", "asked_by_write", "input_hash"]

_SETS: Final = frozenset({"SS", "NS", "BS"})


def input_hash(asked: object) -> str:
    """Return 22 characters that stand for *asked*: 128 bits of SHA-256. It guards no secret.

    Args:
        asked: Texts, numbers, times, enumerations, bytes and ``None``; models, dataclasses, mappings, lists and sets of
            such.

    Raises:
        ConfigurationError: There is something else in it.

    >>> input_hash({"amount": Decimal("5.00"), "to": "ada"}) == input_hash({"to": "ada", "amount": 5})
    True
    """
    try:
        text = orjson.dumps(_canonical(asked), option=orjson.OPT_SORT_KEYS)
    except (TypeError, ValueError, RecursionError):
        raise ConfigurationError(
            "input= must be made of texts, numbers, times, models, mappings, lists and sets alone, in a few levels."
        ) from None
    return urlsafe_b64encode(hashlib.sha256(text).digest()[:16]).rstrip(b"=").decode("ascii")


def _canonical(value: Any) -> Any:
    """Return *value* as JSON has it, alike for what counts as equal; each kind apart from the others."""
    if isinstance(value, Enum):
        return _canonical(value.value)
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | Decimal):
        return {"n": digits(value) if isinstance(value, Decimal) else str(value)}
    if isinstance(value, float):
        return {"f": repr(value)}
    if isinstance(value, BaseModel):
        return _canonical({name: getattr(value, name) for name in type(value).model_fields})
    if isinstance(value, Mapping):
        return {"m": {_name(name): _canonical(member) for name, member in value.items()}}
    if isinstance(value, list | tuple):
        return {"l": [_canonical(member) for member in value]}
    if isinstance(value, set | frozenset):
        return {"s": sorted(orjson.dumps(_canonical(member), option=orjson.OPT_SORT_KEYS).hex() for member in value)}
    return _canonical_leaf(value)


def _canonical_leaf(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"t": datetime_text(value)}
    if isinstance(value, date | time):
        return {"t": value.isoformat()}
    if isinstance(value, timedelta | UUID):
        return {"t": str(value)}
    if isinstance(value, bytes | bytearray):
        return {"b": bytes(value).hex()}
    if is_dataclass(value) and not isinstance(value, type):
        return _canonical({field.name: getattr(value, field.name) for field in fields(value)})
    raise TypeError(type(value).__name__)


def _name(name: Any) -> str:
    return name if type(name) is str else orjson.dumps(_canonical(name), option=orjson.OPT_SORT_KEYS).decode()


# What an operation of a transaction asks for --------------------------------------------------------------------------


def asked_by_write(write: Write[Any]) -> object:
    """Return what *write* asks for: verb, type, key, and the values that are to be stored.

    Neither what the layer adds (write id, schema, index keys, version) nor what has been seen and is required (version,
    ``where``, ``known``) is part of it.
    """
    entity = write.mapped.entity
    plan = None if entity.version is None else write.mapped.codec.plans[entity.version]
    version = "" if plan is None else plan.attribute
    asked = _asked(write.main, version, whole=write.verb in ("create", "put"))
    return [write.verb, entity.name, _plain_item(write.key), asked]


def asked_by_part(part: TransactPart) -> object:
    """Same as :func:`asked_by_write`, for a ready-made part: its table, its key, what it stores."""
    key = part.item if isinstance(part, PutItem) else part.key
    place = [_plain(value) for name, value in sorted(key.items()) if name in ("pk", "sk")]
    return [part.operation, part.table, place, _asked(part, "", whole=False)]


def _asked(part: TransactPart, version: str, *, whole: bool) -> object:
    if isinstance(part, PutItem):
        return _plain_item({name: value for name, value in part.item.items() if _is_asked(name, version)})
    if isinstance(part, UpdateItem):
        update = _without_layer(part.update, version)
        if whole:  # a put may go out as an update or as a put, as the item was new or not
            return _plain_item(
                {str(path.parts[0]): value.value for path, value in update.set if isinstance(value, Constant)}
            )
        return _plain_update(update)
    return "delete" if isinstance(part, DeleteItem) else "check"


def _is_asked(attribute: str, version: str) -> bool:
    return attribute != version and (attribute == EXPIRY or not is_reserved(attribute))


def _without_layer(update: Update, version: str) -> Update:
    def ours(path: Path) -> bool:
        return _is_asked(str(path.parts[0]), version)

    return Update(
        set=tuple(each for each in update.set if ours(each[0])),
        remove=tuple(path for path in update.remove if ours(path)),
        add=tuple(each for each in update.add if ours(each[0])),
        delete=tuple(each for each in update.delete if ours(each[0])),
    )


def _plain_update(update: Update) -> object:
    return {
        "set": _sorted([list(path.parts), _plain_value(value)] for path, value in update.set),
        "remove": _sorted([list(path.parts)] for path in update.remove),
        "add": _sorted([list(path.parts), _plain(value.value)] for path, value in update.add),
        "delete": _sorted([list(path.parts), _plain(value.value)] for path, value in update.delete),
    }


def _sorted(rows: Iterable[list[Any]]) -> list[list[Any]]:
    return sorted(rows, key=lambda row: [str(part) for part in row[0]])


def _plain_value(value: SetValue) -> object:
    if isinstance(value, Constant):
        return _plain(value.value)
    if isinstance(value, Path):
        return list(value.parts)
    if isinstance(value, IfNotExists):
        return ["if_not_exists", list(value.path.parts), _plain_value(value.default)]
    name = {Plus: "+", Minus: "-", ListAppend: "append"}[type(value)]
    return [name, _plain_value(value.left), _plain_value(value.right)]


def _plain_item(item: Mapping[str, AttributeValue]) -> dict[str, object]:
    return {name: _plain(value) for name, value in item.items()}


def _plain(value: AttributeValue) -> object:
    """Return an attribute value with its sets in order: a set of texts has another order in every process."""
    ((tag, content),) = value.items()
    if tag in _SETS:
        return {tag: sorted(content)}
    if tag == "L":
        return {tag: [_plain(member) for member in content]}
    if tag == "M":
        return {tag: _plain_item(content)}
    return {tag: content}
