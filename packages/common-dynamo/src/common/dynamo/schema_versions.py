"""Schema versions of stored items, and the steps that take an older item to the form its type has now. Pure.

An item carries the schema that wrote it (``_s``). A reader whose type is at a later one passes a copy of the item
through the upcast steps in between, one after the other; the stored item changes only with a write.

>>> steps = SchemaVersions("note", own=3, steps={
...     1: lambda item: {**item, "title": item.get("name", {"S": "untitled"})},
...     2: lambda item: {name: value for name, value in item.items() if name != "name"},
... })
>>> stored = {"pk": {"S": "N#1"}, "_t": {"S": "note"}, "_s": {"N": "1"}, "name": {"S": "Plan"}}
>>> steps.of(stored), steps.is_older(stored)
(1, True)
>>> steps.upcast(stored)
{'pk': {'S': 'N#1'}, '_t': {'S': 'note'}, '_s': {'N': '3'}, 'title': {'S': 'Plan'}}
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, Final, TypeAlias

from common.dynamo.exceptions import InvalidItem
from common.dynamo.layout import PARTITION, SCHEMA, SORT, TYPE, WRITE_ID
from common.dynamo.requests import AttributeValue, Item, ItemKey
from common.dynamo.value_classes import dataclass

__all__ = ["SchemaVersions", "Upcast"]

Upcast: TypeAlias = Callable[[dict[str, AttributeValue]], dict[str, AttributeValue]]
"""Takes the attributes of an item of one schema version to those of the next.

It gets the whole item, a copy of its own, and returns what the item is to be: what it leaves out is removed when the item
is next written, so unknown attributes are handed on. Keys and the layer's own attributes (``pk``, ``sk``, ``_t``, ``_w``)
stay as they are, whatever it does with them. It is pure, and may run many times on one item before a write keeps its
result."""

_NUMERAL: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_KEPT: Final = (PARTITION, SORT, TYPE, WRITE_ID)


@dataclass(frozen=True, slots=True)
class SchemaVersions:
    """The schema of one entity type, and the steps to it from older ones."""

    entity: str
    """The type's name."""
    own: int
    """The schema that the type has now, from 1."""
    steps: Mapping[int, Upcast] = field(default_factory=dict)
    """Of each older schema, what takes an item to the next one."""
    template: str = ""
    """The text of the type's key, for messages."""
    attributes: frozenset[str] = frozenset()
    """Of the model: a message may name one of these, since no key of a dict is among them."""
    version: str | None = None
    """The attribute of the optimistic version; an older item without one is of version 1."""

    def of(self, item: Item) -> int:
        """Return the schema that *item* was written in; 1 where it carries none.

        Raises:
            InvalidItem: What it carries is no schema version.
        """
        stamp = item.get(SCHEMA)
        if stamp is None:
            return 1
        text = stamp.get("N")
        if not isinstance(text, str) or not (text.isascii() and text.isdigit()) or int(text) < 1:
            raise self._invalid(item, f"its {SCHEMA} is no schema version", "Repair the item.", SCHEMA)
        return int(text)

    def is_older(self, item: Item) -> bool:
        """Tell whether *item* has to pass upcast steps before it is read; raises as :meth:`of` does."""
        return self.of(item) < self.own

    def upcast(self, item: Item) -> Item:
        """Return *item* in the form of :attr:`own`: a copy; *item* itself where it is of that schema or a newer one.

        Raises:
            InvalidItem: A step failed, or returned what is no item. The message names type and step, and no value.
        """
        schema = self.of(item)
        if schema >= self.own:
            return item
        kept = {name: item[name] for name in _KEPT if name in item}
        try:
            form = {name: _copied(value) for name, value in item.items()}
        except (AttributeError, TypeError, ValueError):
            raise self._invalid(item, "it holds what is no attribute value", "Repair the item.") from None
        for step in range(schema, self.own):
            made = self._stepped(step, form, item)
            form = {**kept, **{name: value for name, value in made.items() if name not in _KEPT}}
            form[SCHEMA] = {"N": str(step + 1)}
        if self.version is not None:
            form.setdefault(self.version, {"N": "1"})
        return form

    def _stepped(self, step: int, form: dict[str, AttributeValue], item: Item) -> dict[str, AttributeValue]:
        try:
            made: Any = self.steps[step](form)
        except Exception as error:  # noqa: BLE001 - the step is the author's code, and its message may hold values
            raise self._broken(step, item, f"raised {type(error).__name__}") from None
        if not isinstance(made, dict):
            raise self._broken(step, item, f"returned {type(made).__name__}, not a dict of attributes")
        for name, value in made.items():
            if not isinstance(name, str) or not _is_attribute_value(value):
                told = f"an attribute {name}" if name in self.attributes else "an attribute"
                raise self._broken(step, item, f"returned {told} that is no attribute value such as {{'S': 'text'}}")
        return made

    def _broken(self, step: int, item: Item, what: str) -> InvalidItem:
        return self._invalid(
            item, f"its upcast step from schema {step} to {step + 1} {what}", "Correct the step, or repair the item."
        )

    def _invalid(self, item: Item, what: str, advice: str, at: str = "") -> InvalidItem:
        key: ItemKey = {name: item[name] for name in (PARTITION, SORT) if name in item}
        return InvalidItem(
            f"A stored {self.entity} ({self.template}) cannot be read: {what}. {advice}",
            entity=self.entity,
            field=at,
            stored_type=next(iter(item.get(at, ())), ""),
            key=key,
        )


# Attribute values -----------------------------------------------------------------------------------------------------


def _copied(value: AttributeValue) -> AttributeValue:
    """Return a copy that shares nothing which can be changed; several times faster than ``copy.deepcopy``."""
    ((tag, content),) = value.items()
    if tag == "M":
        return {tag: {name: _copied(member) for name, member in content.items()}}
    if tag == "L":
        return {tag: [_copied(member) for member in content]}
    return {tag: list(content) if tag in ("SS", "NS", "BS") else content}


def _is_attribute_value(value: object) -> bool:
    if not isinstance(value, Mapping) or len(value) != 1:
        return False
    ((tag, content),) = value.items()
    shape = _SHAPES.get(tag)
    return shape is not None and shape(content)


def _is_list(content: object) -> bool:
    return isinstance(content, list | tuple) and all(map(_is_attribute_value, content))


def _is_map(content: object) -> bool:
    return isinstance(content, Mapping) and all(
        isinstance(name, str) and _is_attribute_value(member) for name, member in content.items()
    )


def _is_text(content: object) -> bool:
    return isinstance(content, str)


def _is_numeral(content: object) -> bool:
    return isinstance(content, str) and _NUMERAL.fullmatch(content) is not None


def _is_binary(content: object) -> bool:
    return isinstance(content, bytes)


def _is_set_of(is_member: Callable[[object], bool]) -> Callable[[object], bool]:
    def is_set(content: object) -> bool:
        return (
            isinstance(content, list | tuple) and all(map(is_member, content)) and len(set(content)) == len(content) > 0
        )

    return is_set


_SHAPES: Final[Mapping[str, Callable[[object], bool]]] = {
    "S": _is_text,
    "N": _is_numeral,
    "B": _is_binary,
    "BOOL": lambda content: isinstance(content, bool),
    "NULL": lambda content: content is True,
    "L": _is_list,
    "M": _is_map,
    "SS": _is_set_of(_is_text),
    "NS": _is_set_of(_is_numeral),
    "BS": _is_set_of(_is_binary),
}
"""``AttributeValue`` of the Amazon DynamoDB API Reference, in the form that the layer keeps them."""
