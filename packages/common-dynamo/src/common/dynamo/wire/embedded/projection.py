"""Projections: the parts of an item that a request names."""

from collections.abc import Iterable
from typing import Any

from common.dynamo.requests import Path
from common.dynamo.wire.embedded.conditions import Document
from common.dynamo.wire.embedded.values import Stored, Value


def project(item: Document, paths: Iterable[Path]) -> Stored:
    """Return what *item* has at *paths*; elements of a list close up, in their order."""
    wanted: dict[Any, Any] = {}
    for path in paths:
        node = wanted
        for part in path.parts[:-1]:
            node = node.setdefault(part, {})
        node[path.parts[-1]] = None
    return _members(item, wanted)


def _members(members: Document, wanted: dict[Any, Any]) -> Stored:
    found = {}
    for name, below in wanted.items():
        value = members.get(name)
        chosen = None if value is None else _choose(value, below)
        if chosen is not None:
            found[name] = chosen
    return found


def _choose(value: Value, wanted: dict[Any, Any] | None) -> Value | None:
    if wanted is None:
        return value
    if "M" in value:
        members = _members(value["M"], {name: below for name, below in wanted.items() if isinstance(name, str)})
        return {"M": members} if members else None
    if "L" in value:
        elements = [
            _choose(value["L"][position], wanted[position])
            for position in sorted(part for part in wanted if isinstance(part, int))
            if position < len(value["L"])
        ]
        found = [element for element in elements if element is not None]
        return {"L": found} if found else None
    return None
