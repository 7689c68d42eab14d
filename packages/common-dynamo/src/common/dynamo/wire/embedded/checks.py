"""What DynamoDB refuses about an expression before it looks at any item."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import combinations
from types import MappingProxyType
from typing import Any, Final

from common.dynamo.condition_paths import parts_of
from common.dynamo.requests import (
    BeginsWith,
    Between,
    Compare,
    Condition,
    Constant,
    Contains,
    HasType,
    In,
    Operand,
    Path,
    Update,
)
from common.dynamo.wire.embedded.conditions import sortable
from common.dynamo.wire.embedded.refusal import Refused, invalid
from common.dynamo.wire.embedded.updates import touched
from common.dynamo.wire.embedded.values import canonical_value
from common.dynamo.wire.expressions import ExpressionTooLarge, Placeholders, condition_text, update_text

_MAX_OPTIONS = 100
_SCALARS = ("S", "N", "B")
_SETS = ("SS", "NS", "BS")
_TYPES = frozenset({*_SCALARS, *_SETS, "BOOL", "NULL", "L", "M"})
_MANY_PARTS = 32
"""Parts from which an expression may be over DynamoDB's limit; shorter ones are not measured."""


def check_condition(condition: Condition | None, kind: str = "ConditionExpression") -> None:
    """Check a condition or filter.

    Args:
        condition: The tree; ``None`` is right.
        kind: The name of its expression, for the message.

    Raises:
        Refused: An operand of the wrong type, one compared with itself, too many options, over 4 KB.
    """
    if condition is None:
        return
    count = 0
    for part in parts_of(condition):
        count += 1 + len(getattr(part, "options", ()))
        check = _CHECKS.get(type(part))
        if check is not None:
            check(part, kind)
    if count > _MANY_PARTS:
        _measure(lambda: condition_text(condition, Placeholders()))


def _measure(write: Callable[[], str]) -> None:
    try:
        write()
    except ExpressionTooLarge as error:
        raise invalid(str(error)) from None


def _wrong_type(kind: str, operator: str, operand: str) -> Refused:
    return invalid(
        f"Invalid {kind}: Incorrect operand type for operator or function; "
        f"operator or function: {operator}, operand type: {operand}"
    )


def _constant_kinds(operands: Iterable[Operand]) -> Iterator[str]:
    """Yield the types of those *operands* that are constants, which are checked on the way."""
    for operand in operands:
        if isinstance(operand, Constant):
            value, _ = canonical_value(operand.value)
            yield from value


def _distinct(kind: str, operator: str, first: Operand, second: Operand) -> None:
    if isinstance(first, Path) and first == second:
        raise invalid(
            f"Invalid {kind}: The first operand must be distinct from the remaining operands for this operator "
            f"or function; operator: {operator}"
        )


def _compare(condition: Compare, kind: str) -> None:
    _distinct(kind, condition.op, condition.left, condition.right)
    kinds = list(_constant_kinds((condition.left, condition.right)))
    if condition.op not in ("=", "<>"):
        _scalars_only(kind, condition.op, kinds)


def _scalars_only(kind: str, operator: str, kinds: Iterable[str]) -> None:
    for operand in kinds:
        if operand not in _SCALARS:
            raise _wrong_type(kind, operator, operand)


def _between(condition: Between, kind: str) -> None:
    _scalars_only(kind, "BETWEEN", _constant_kinds((condition.operand, condition.low, condition.high)))
    if not isinstance(condition.low, Constant) or not isinstance(condition.high, Constant):
        return
    low = sortable(canonical_value(condition.low.value)[0])
    high = sortable(canonical_value(condition.high.value)[0])
    if low is None or high is None:
        return
    if low[0] != high[0]:
        raise invalid(f"Invalid {kind}: The BETWEEN operator requires same data type for lower and upper bounds")
    if low[1] > high[1]:
        raise invalid(
            f"Invalid {kind}: The BETWEEN operator requires upper bound to be greater than or equal to lower bound"
        )


def _in(condition: In, kind: str) -> None:
    if not 1 <= len(condition.options) <= _MAX_OPTIONS:
        raise invalid(f"Invalid {kind}: The IN operator takes 1 to {_MAX_OPTIONS} operands")
    for _ in _constant_kinds((condition.operand, *condition.options)):
        pass


def _has_type(condition: HasType, kind: str) -> None:
    if condition.type not in _TYPES:
        raise invalid(f"Invalid {kind}: Invalid attribute type name found; valid types: {', '.join(sorted(_TYPES))}")


def _begins_with(condition: BeginsWith, kind: str) -> None:
    _distinct(kind, "begins_with", condition.path, condition.prefix)
    for operand in _constant_kinds((condition.prefix,)):
        if operand not in ("S", "B"):
            raise _wrong_type(kind, "begins_with", operand)


def _contains(condition: Contains, kind: str) -> None:
    _distinct(kind, "contains", condition.path, condition.member)
    for _ in _constant_kinds((condition.member,)):
        pass


_CHECKS: Final[Mapping[type, Callable[[Any, str], None]]] = MappingProxyType(
    {
        Compare: _compare,
        Between: _between,
        In: _in,
        HasType: _has_type,
        BeginsWith: _begins_with,
        Contains: _contains,
    }
)


# Updates --------------------------------------------------------------------------------------------------------------


def check_update(update: Update, key_names: tuple[str, ...]) -> None:
    """Check an update.

    Raises:
        Refused: It touches a key attribute or two overlapping paths, has an operand of the wrong type, or is over 4 KB.
    """
    paths = [path.parts for path in touched(update)]
    for parts in paths:
        if parts[0] in key_names:
            raise invalid(
                f"One or more parameter values were invalid: Cannot update attribute {parts[0]}. "
                "This attribute is part of the key"
            )
    _check_overlaps(paths, "UpdateExpression")
    for _, addend in update.add:
        _check_operand(addend, "ADD", ("N", *_SETS))
    for _, members in update.delete:
        _check_operand(members, "DELETE", _SETS)
    if len(paths) > _MANY_PARTS:
        _measure(lambda: update_text(update, Placeholders()))


def check_projection(paths: tuple[Path, ...]) -> None:
    """Check a projection.

    Raises:
        Refused: Two of its paths overlap.
    """
    if len(paths) > 1:
        _check_overlaps([path.parts for path in paths], "ProjectionExpression")


def _check_overlaps(paths: list[tuple[str | int, ...]], kind: str) -> None:
    if len({parts[0] for parts in paths}) == len(paths):
        return
    for one, two in combinations(paths, 2):
        if one[0] == two[0]:
            _check_overlap(one, two, kind)


def _check_overlap(one: tuple[str | int, ...], two: tuple[str | int, ...], kind: str) -> None:
    for left, right in zip(one, two, strict=False):
        if isinstance(left, int) != isinstance(right, int):
            raise invalid(f"Invalid {kind}: Two document paths conflict with each other")
        if left != right:
            return
    raise invalid(f"Invalid {kind}: Two document paths overlap with each other; must remove or rewrite one of them")


def _check_operand(operand: Constant, operator: str, allowed: tuple[str, ...]) -> None:
    (kind,) = canonical_value(operand.value)[0]
    if kind not in allowed:
        raise invalid(
            "Invalid UpdateExpression: Incorrect operand type for operator or function; "
            f"operator: {operator}, operand type: {kind}"
        )
