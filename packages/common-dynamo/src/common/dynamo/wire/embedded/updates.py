"""Update expressions, applied to an item as DynamoDB does: every operand is read from the item as it was."""

import copy
from collections.abc import Callable, Iterable
from typing import Any

from common.dynamo.requests import IfNotExists, ListAppend, Minus, Path, Plus, SetValue, Update
from common.dynamo.wire.embedded import number
from common.dynamo.wire.embedded.conditions import Document, find, operand_value
from common.dynamo.wire.embedded.refusal import invalid
from common.dynamo.wire.embedded.values import Stored, Value, canonical_value

_WRONG_TYPE = "An operand in the update expression has an incorrect data type"
_MISSING = "The provided expression refers to an attribute that does not exist in the item"
_BAD_PATH = "The document path provided in the update expression is invalid for update"


def apply(update: Update, item: Document) -> Stored:
    """Return *item* changed by *update*, which has passed its checks; *item* itself stays as it is.

    Raises:
        Refused: An operand is missing or of the wrong type, or a path leads nowhere.
    """
    changes = [(path, _evaluate(value, item)) for path, value in update.set]
    changed = dict(item)
    # Whole attributes are replaced; only what is changed within is copied.
    for name in {path.parts[0] for path in touched(update) if len(path.parts) > 1}:
        if name in changed:
            changed[name] = copy.deepcopy(changed[name])
    # By list position, so that appends past the end keep their order.
    for path, new in sorted(changes, key=lambda change: _positions(change[0])):
        if len(path.parts) == 1:
            changed[str(path.parts[0])] = new
        else:
            _set(changed, path, new)
    for path, addend in update.add:
        _set(changed, path, _added(find(path, item), canonical_value(addend.value)[0]))
    for path, members in update.delete:
        _delete_members(changed, path, canonical_value(members.value)[0])
    for path in sorted(update.remove, key=_positions, reverse=True):
        _remove(changed, path)
    return changed


def touched(update: Update) -> Iterable[Path]:
    """Return every path that *update* names as a target."""
    yield from (path for path, _ in update.set)
    yield from update.remove
    yield from (path for path, _ in update.add)
    yield from (path for path, _ in update.delete)


def _positions(path: Path) -> tuple[int, ...]:
    return tuple(part for part in path.parts if isinstance(part, int))


# SET ------------------------------------------------------------------------------------------------------------------


def _evaluate(value: SetValue, item: Document) -> Value:
    evaluator = _EVALUATORS.get(type(value))
    if evaluator is not None:
        return evaluator(value, item)
    found = operand_value(value, item)  # type: ignore[arg-type]  # a path or a constant
    if found is None:
        raise invalid(_MISSING)
    return found


def _arithmetic(operation: Callable[[str, str], str]) -> Callable[[Any, Document], Value]:
    def evaluate(value: Plus | Minus, item: Document) -> Value:
        left, right = _evaluate(value.left, item), _evaluate(value.right, item)
        if "N" not in left or "N" not in right:
            raise invalid(_WRONG_TYPE)
        return {"N": operation(left["N"], right["N"])}

    return evaluate


def _if_not_exists(value: IfNotExists, item: Document) -> Value:
    found = find(value.path, item)
    return _evaluate(value.default, item) if found is None else found


def _list_append(value: ListAppend, item: Document) -> Value:
    left, right = _evaluate(value.left, item), _evaluate(value.right, item)
    if "L" not in left or "L" not in right:
        raise invalid(_WRONG_TYPE)
    return {"L": [*left["L"], *right["L"]]}


_EVALUATORS: dict[type, Callable[[Any, Document], Value]] = {
    Plus: _arithmetic(number.add),
    Minus: _arithmetic(number.subtract),
    IfNotExists: _if_not_exists,
    ListAppend: _list_append,
}


# Targets --------------------------------------------------------------------------------------------------------------


def _parent(item: Stored, path: Path) -> tuple[Any, str | int]:
    """Return the dict or list that holds the last part of *path*, and that part."""
    holder: Any = item
    for part, following in zip(path.parts, path.parts[1:], strict=False):
        value = _step(holder, part)
        holder = None if value is None else value.get("L" if isinstance(following, int) else "M")
        if holder is None:
            raise invalid(_BAD_PATH)
    return holder, path.parts[-1]


def _step(holder: Any, part: str | int) -> Value | None:
    if isinstance(holder, dict):
        return holder.get(part)
    return holder[part] if isinstance(part, int) and part < len(holder) else None


def _set(item: Stored, path: Path, value: Value) -> None:
    holder, last = _parent(item, path)
    if isinstance(holder, list) and isinstance(last, int) and last >= len(holder):
        holder.append(value)
    else:
        holder[last] = value


def _remove(item: Stored, path: Path) -> None:
    holder, last = _parent(item, path)
    if isinstance(holder, dict):
        holder.pop(last, None)
    elif isinstance(last, int) and last < len(holder):
        del holder[last]


# ADD and DELETE -------------------------------------------------------------------------------------------------------


def _added(value: Value | None, addend: Value) -> Value:
    ((kind, content),) = addend.items()
    if value is None:
        return {kind: content}
    if kind not in value:
        raise invalid(_WRONG_TYPE)
    if kind == "N":
        return {"N": number.add(value["N"], content)}
    return {kind: list(dict.fromkeys([*value[kind], *content]))}


def _delete_members(item: Stored, path: Path, members: Value) -> None:
    ((kind, content),) = members.items()
    value = find(path, item)
    if value is None:
        return
    if kind not in value:
        raise invalid(_WRONG_TYPE)
    rest = [member for member in value[kind] if member not in set(content)]
    if rest:
        _set(item, path, {kind: rest})
    else:
        _remove(item, path)
