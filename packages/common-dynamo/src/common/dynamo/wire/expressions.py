"""Expressions of the DynamoDB API, written from the trees of :mod:`common.dynamo.requests`.

Names and values always go as placeholders, ``#a0`` and ``:v0``, numbered in order of appearance; so no reserved word
and no value ever stands in an expression.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from common.dynamo.assignments import AssignmentForm, Assignments
from common.dynamo.requests import (
    And,
    AttributeValue,
    BeginsWith,
    Between,
    Compare,
    Condition,
    Constant,
    Contains,
    Exists,
    HasType,
    IfNotExists,
    In,
    KeyCondition,
    ListAppend,
    Minus,
    Not,
    NotExists,
    Or,
    Path,
    Plus,
    SetValue,
    Size,
    Update,
)

MAX_EXPRESSION_BYTES: Final = 4096
"""DynamoDB's limit for one expression ("Service, account, and table quotas" in the Developer Guide)."""


class ExpressionTooLarge(ValueError):
    """An expression is over 4 KB; nothing is sent."""


class Placeholders:
    """The names and values of all expressions of one request."""

    __slots__ = ("_known", "names", "values")

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        """Attribute name to placeholder."""
        self.values: dict[str, AttributeValue] = {}
        """Placeholder to value."""
        self._known: dict[str, str] = {}

    def begin(self, form: "_FormText", values: Sequence[AttributeValue]) -> None:
        """Take the placeholders of *form* for the first ones, and *values* for theirs."""
        self.names, self._known = form.names.copy(), form.explained
        self.values = dict(zip(form.holders, values, strict=True))

    def name(self, name: str) -> str:
        """Return the placeholder of an attribute name."""
        placeholder = self.names.get(name)
        if placeholder is None:
            placeholder = self.names[name] = f"#a{len(self.names)}"
        return placeholder

    def value(self, value: AttributeValue) -> str:
        """Return a placeholder for *value*."""
        placeholder = f":v{len(self.values)}"
        self.values[placeholder] = value
        return placeholder

    def parameters(self) -> dict[str, Any]:
        """Return the request parameters that explain the placeholders."""
        parameters: dict[str, Any] = {}
        if self.names:
            known = len(self.names) == len(self._known)
            parameters["ExpressionAttributeNames"] = self._known if known else _explained(self.names)
        if self.values:
            parameters["ExpressionAttributeValues"] = self.values
        return parameters

    def path(self, path: Path) -> str:
        """Return a document path."""
        if len(path.parts) == 1:
            return self.name(str(path.parts[0]))
        text = ""
        for part in path.parts:
            text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{self.name(part)}"
        return text


class _FormText(NamedTuple):
    """The SET clause of a form, which is the same for all values."""

    text: str
    names: dict[str, str]
    """Attribute name to placeholder."""
    explained: dict[str, str]
    """Placeholder to attribute name."""
    holders: tuple[str, ...]
    """The placeholders of the values."""


@lru_cache(maxsize=4096)
def _form_text(form: AssignmentForm) -> _FormText:
    holders = Placeholders()
    nothing: AttributeValue = {}
    text = _set_clause(Assignments(form, (nothing,) * len(form.paths)), holders)
    return _FormText(text, holders.names, _explained(holders.names), tuple(holders.values))


def _explained(names: Mapping[str, str]) -> dict[str, str]:
    return {placeholder: name for name, placeholder in names.items()}


def condition_text(condition: Condition, holders: Placeholders) -> str:
    """Return *condition* as an expression.

    Raises:
        ExpressionTooLarge: It is over 4 KB.
    """
    return _bounded(_condition(condition, holders))


def update_text(update: Update, holders: Placeholders) -> str:
    """Return *update* as an expression, its list removals from the highest index down.

    Raises:
        ExpressionTooLarge: It is over 4 KB.
    """
    clauses = []
    if isinstance(update.set, Assignments) and not holders.names:
        form = _form_text(update.set.form)
        holders.begin(form, update.set.values)
        clauses.append(form.text)
    elif update.set:
        clauses.append(_set_clause(update.set, holders))
    if update.remove:
        clauses.append(f"REMOVE {', '.join(map(holders.path, _highest_first(update.remove)))}")
    for clause, members in (("ADD", update.add), ("DELETE", update.delete)):
        if members:
            actions = [f"{holders.path(path)} {holders.value(value.value)}" for path, value in members]
            clauses.append(f"{clause} {', '.join(actions)}")
    return _bounded(" ".join(clauses))


def _set_clause(assigned: Iterable[tuple[Path, SetValue]], holders: Placeholders) -> str:
    actions = [f"{holders.path(path)} = {_operand(value, holders)}" for path, value in assigned]
    return f"SET {', '.join(actions)}"


def key_condition_text(key: KeyCondition, holders: Placeholders) -> str:
    """Return a key condition, the partition key first: some engines insist on that order. The range comes last."""
    equal = ((key.partition_name, key.partition), *key.others)
    text = " AND ".join(f"{holders.name(name)} = {holders.value(value)}" for name, value in equal)
    if key.sort is None:
        return text
    name, low = holders.name(str(key.sort_name)), holders.value(key.sort.value)
    if key.sort.op == "between":
        return f"{text} AND {name} BETWEEN {low} AND {holders.value(key.sort.upper or {})}"
    if key.sort.op == "begins_with":
        return f"{text} AND begins_with({name}, {low})"
    return f"{text} AND {name} {key.sort.op} {low}"


def projection_text(paths: Iterable[Path], holders: Placeholders) -> str:
    """Return a projection expression.

    Raises:
        ExpressionTooLarge: It is over 4 KB.
    """
    return _bounded(", ".join(map(holders.path, paths)))


def _bounded(text: str) -> str:
    # Placeholders and operators are ASCII, so characters are bytes.
    if len(text) > MAX_EXPRESSION_BYTES:
        raise ExpressionTooLarge(
            f"An expression has {len(text)} bytes; DynamoDB takes {MAX_EXPRESSION_BYTES}. Split the request."
        )
    return text


def _highest_first(paths: tuple[Path, ...]) -> list[Path]:
    def positions(path: Path) -> tuple[int, ...]:
        return tuple(part for part in path.parts if isinstance(part, int))

    return sorted(paths, key=positions, reverse=True)


# Operands -------------------------------------------------------------------------------------------------------------

_Writer = Callable[[Any, Placeholders], str]


def _operand(operand: Any, holders: Placeholders) -> str:
    return _OPERANDS[type(operand)](operand, holders)


def _sum(sign: str) -> _Writer:
    return lambda value, holders: f"{_operand(value.left, holders)} {sign} {_operand(value.right, holders)}"


_OPERANDS: Final[dict[type, _Writer]] = {
    Path: lambda path, holders: holders.path(path),
    Constant: lambda constant, holders: holders.value(constant.value),
    Size: lambda size, holders: f"size({holders.path(size.path)})",
    Plus: _sum("+"),
    Minus: _sum("-"),
    IfNotExists: lambda value, holders: (
        f"if_not_exists({holders.path(value.path)}, {_operand(value.default, holders)})"
    ),
    ListAppend: lambda value, holders: (
        f"list_append({_operand(value.left, holders)}, {_operand(value.right, holders)})"
    ),
}


# Conditions -----------------------------------------------------------------------------------------------------------


def _condition(condition: Condition, holders: Placeholders) -> str:
    return _CONDITIONS[type(condition)](condition, holders)


def _compare(condition: Compare, holders: Placeholders) -> str:
    return f"{_operand(condition.left, holders)} {condition.op} {_operand(condition.right, holders)}"


def _between(condition: Between, holders: Placeholders) -> str:
    value, low = _operand(condition.operand, holders), _operand(condition.low, holders)
    return f"{value} BETWEEN {low} AND {_operand(condition.high, holders)}"


def _in(condition: In, holders: Placeholders) -> str:
    value = _operand(condition.operand, holders)
    return f"{value} IN ({', '.join(_operand(option, holders) for option in condition.options)})"


def _has_type(condition: HasType, holders: Placeholders) -> str:
    return f"attribute_type({holders.path(condition.path)}, {holders.value({'S': condition.type})})"


def _joined(word: str) -> _Writer:
    def write(condition: And | Or, holders: Placeholders) -> str:
        if len(condition.parts) == 1:
            # DynamoDB refuses brackets within brackets that hold nothing else.
            return _condition(condition.parts[0], holders)
        return f" {word} ".join(_bracketed(part, holders) for part in condition.parts)

    return write


def _bracketed(condition: Condition, holders: Placeholders) -> str:
    while isinstance(condition, And | Or) and len(condition.parts) == 1:
        (condition,) = condition.parts
    text = _condition(condition, holders)
    return f"({text})" if isinstance(condition, And | Or | Not) else text


_CONDITIONS: Final[dict[type, _Writer]] = {
    Compare: _compare,
    Between: _between,
    In: _in,
    Exists: lambda condition, holders: f"attribute_exists({holders.path(condition.path)})",
    NotExists: lambda condition, holders: f"attribute_not_exists({holders.path(condition.path)})",
    HasType: _has_type,
    BeginsWith: lambda condition, holders: (
        f"begins_with({holders.path(condition.path)}, {_operand(condition.prefix, holders)})"
    ),
    Contains: lambda condition, holders: (
        f"contains({holders.path(condition.path)}, {_operand(condition.member, holders)})"
    ),
    And: _joined("AND"),
    Or: _joined("OR"),
    Not: lambda condition, holders: f"NOT ({_condition(condition.part, holders)})",
}
