"""Comparing a stored model with the one that was given, member by member and type by type."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, get_args

from pydantic import BaseModel

from common.dynamo.entity_type import EntityType

__all__ = ["differences", "expected_values"]


def expected_values(entity: EntityType[Any], model: BaseModel, version: int) -> dict[str, Any]:
    """Return the fields that a reader has to find after *model* was stored as *version*."""
    values = dict(vars(model))
    if entity.version is not None:
        values[entity.version] = version
    expiry = values.get(entity.ttl) if entity.ttl is not None else None
    if isinstance(expiry, datetime):
        values[str(entity.ttl)] = expiry.replace(microsecond=0)  # epoch seconds, as the table's TTL wants them
    return values


def differences(entity: EntityType[Any], wanted: Mapping[str, Any], found: BaseModel) -> dict[str, str]:
    """Return, by field, how *found* is not exactly what was *wanted*; empty where it is."""
    told: dict[str, str] = {}
    for name, value in wanted.items():
        loose = _is_loose(entity.model.model_fields[name].annotation)
        difference = next(_compare(entity, name, value, getattr(found, name), loose=loose), None)
        if difference is not None:
            told[name] = difference
    return told


def _compare(entity: EntityType[Any], path: str, wanted: Any, found: Any, *, loose: bool) -> Iterator[str]:
    """Yield what differs between two values at *path*."""
    if loose:
        if _plain(wanted) != _plain(found):
            yield f"{wanted!r} came back as {found!r}"
    elif type(wanted) is not type(found) and not isinstance(wanted, datetime):
        yield f"{wanted!r} came back as {found!r}, a {type(found).__name__}"
    elif isinstance(wanted, BaseModel):
        for name, value in vars(wanted).items():
            info = type(wanted).model_fields.get(name)
            loose = info is None or _is_loose(info.annotation)
            yield from _compare(entity, f"{path}.{name}", value, getattr(found, name), loose=loose)
    elif isinstance(wanted, dict) and wanted.keys() == found.keys():
        for name, value in wanted.items():
            yield from _compare(entity, path, value, found[name], loose=False)
    elif isinstance(wanted, list | tuple) and len(wanted) == len(found):
        for one, other in zip(wanted, found, strict=True):
            yield from _compare(entity, path, one, other, loose=False)
    elif wanted != found:
        yield f"{wanted!r} came back as {found!r}"
    elif isinstance(found, Decimal):
        yield from _scale_fault(entity, path, found)


def _scale_fault(entity: EntityType[Any], path: str, found: Decimal) -> Iterator[str]:
    scale = entity.scales.get(path)
    if isinstance(scale, int) and found.as_tuple().exponent != -scale:
        yield f"{found} does not have its scale, {scale} decimal places"


def _is_loose(annotation: Any) -> bool:
    """Tell whether ``Any`` is somewhere in it: there a tuple comes back as a list, and ``Decimal("5")`` as 5."""
    return annotation is Any or annotation is object or any(map(_is_loose, get_args(annotation)))


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return {name: _plain(each) for name, each in value.items()} if isinstance(value, dict) else value
