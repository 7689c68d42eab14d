"""Conditions and changes as typed Python callbacks, recorded into the trees of :mod:`common.dynamo.requests`.

A callback is called once with a recording stand-in for the model. Type checkers see the model itself, so a misspelt field
or a comparison of a Decimal with a text is an error before the program runs; here, both are errors when it does::

    where=lambda it: (it.total >= due) & (it.state == State.OPEN) & not_(it.locked)

    def pay(change: Change[Invoice], it: Invoice) -> None:
        change.set(it.state, State.PAID)

``and``, ``or``, ``not``, ``in`` and chained comparisons need a truth value, which only the engine knows: they raise, and
the message names what to write instead.
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, NoReturn, TypeVar, cast

from common.dynamo import requests as rq
from common.dynamo.arguments import require_callback, require_iterable, require_text
from common.dynamo.codec import refusal
from common.dynamo.exceptions import InvalidExpression, UnknownField
from common.dynamo.value_codec import SCALARS, ValueCodec
from common.exceptions import InvalidInput

__all__ = [
    "RecordedValue",
    "begins_with",
    "between",
    "condition_of",
    "contains",
    "encoded",
    "exists",
    "is_in",
    "not_",
    "not_exists",
    "size",
]

T = TypeVar("T")

_ORDERED = frozenset({"S", "N", "B", "NULL"})


class RecordedCondition:
    """A condition under construction; combine with ``&``, ``|`` and :func:`not_`."""

    __slots__ = ("tree",)

    def __init__(self, tree: rq.Condition) -> None:
        self.tree = tree

    def __and__(self, other: Any) -> "RecordedCondition":
        return RecordedCondition(rq.And((*_parts(rq.And, self.tree), *_parts(rq.And, condition_of(other)))))

    def __or__(self, other: Any) -> "RecordedCondition":
        return RecordedCondition(rq.Or((*_parts(rq.Or, self.tree), *_parts(rq.Or, condition_of(other)))))

    __rand__, __ror__ = __and__, __or__

    def __invert__(self) -> "RecordedCondition":
        return RecordedCondition(rq.Not(self.tree))

    def __bool__(self) -> bool:  # noqa: PLE0304 - it always raises
        _refuse_truth()


def _parts(kind: type[rq.And] | type[rq.Or], tree: rq.Condition) -> tuple[rq.Condition, ...]:
    return tree.parts if isinstance(tree, kind) else (tree,)


def _refuse_truth() -> NoReturn:
    raise InvalidExpression(
        "A condition has no truth value here; only the engine evaluates it. Write & for 'and', | for 'or' (each side in "
        "parentheses), not_(...) for 'not', between(...) for a chained comparison, is_in(...) or contains(...) for 'in'."
    )


class RecordedValue:
    """A field of the item, or something computed of it, while a callback is recorded.

    All its names begin with an underscore, which no field of a pydantic model does.
    """

    __slots__ = ("_at", "_codec", "_name")

    def __init__(self, at: rq.Operand | rq.SetValue, codec: ValueCodec, name: str) -> None:
        self._at = at
        self._codec = codec
        self._name = name

    # Nested fields and members

    def __getattr__(self, name: str) -> "RecordedValue":
        fields = self._codec.fields
        if name not in fields:
            known = ", ".join(sorted(fields)) or "none"
            raise UnknownField(f"{self._name} has no stored field {name!r}; it has: {known}.")
        return RecordedValue(self._inside(name), fields[name], f"{self._name}.{name}")

    def __getitem__(self, part: str | int) -> "RecordedValue":
        member = self._codec.member
        if member is None or not self._codec.tags & {"L", "M"}:
            raise InvalidExpression(f"{self._name} has no members.")
        wanted = int if "L" in self._codec.tags else str
        if not isinstance(part, wanted) or isinstance(part, bool) or (isinstance(part, int) and part < 0):
            raise InvalidExpression(
                f"A member of {self._name} is named by {wanted.__name__}, from 0 where it is a number."
            )
        if isinstance(part, str):
            require_text(f"The name of a member of {self._name}", part)
        return RecordedValue(self._inside(part), member, f"a member of {self._name}")

    def _inside(self, part: str | int) -> rq.Path:
        return rq.Path((*path_of(self).parts, part))

    # Comparisons

    def __eq__(self, other: object) -> Any:
        return self._is_none() if other is None else self._compare("=", other)

    def __ne__(self, other: object) -> Any:
        return ~self._is_none() if other is None else self._compare("<>", other)

    def __lt__(self, other: object) -> Any:
        return self._compare("<", other)

    def __le__(self, other: object) -> Any:
        return self._compare("<=", other)

    def __gt__(self, other: object) -> Any:
        return self._compare(">", other)

    def __ge__(self, other: object) -> Any:
        return self._compare(">=", other)

    def __hash__(self) -> int:  # noqa: PLE0309 - it always raises
        _refuse_truth()  # equality records a condition, so nothing can be found by it

    def _compare(self, op: rq.Comparator, other: object) -> RecordedCondition:
        if op not in ("=", "<>") and not self._codec.tags <= _ORDERED:
            raise InvalidExpression(f"{self._name} has no order; only texts, numbers and bytes do.")
        return RecordedCondition(rq.Compare(op, _operand(self), operand_for(self, other)))

    def _is_none(self) -> RecordedCondition:
        if not self._codec.nullable:
            raise InvalidExpression(f"{self._name} is never None, so nothing can be asked about that.")
        path = path_of(self)
        return RecordedCondition(rq.Or((rq.NotExists(path), rq.HasType(path, "NULL"))))

    # Arithmetic, for changes

    def __add__(self, other: object) -> Any:
        return self._arithmetic(rq.Plus, other)

    def __sub__(self, other: object) -> Any:
        return self._arithmetic(rq.Minus, other)

    def _arithmetic(self, kind: type[rq.Plus] | type[rq.Minus], other: object) -> "RecordedValue":
        if self._codec.tags - {"N", "NULL"}:
            raise InvalidExpression(f"{self._name} is no number.")
        return RecordedValue(kind(set_value(self), set_value_for(self, other)), self._codec, self._name)

    # Truth

    def __and__(self, other: object) -> Any:
        return RecordedCondition(condition_of(self)) & other

    def __or__(self, other: object) -> Any:
        return RecordedCondition(condition_of(self)) | other

    def __invert__(self) -> Any:
        return RecordedCondition(rq.Not(condition_of(self)))

    def __bool__(self) -> bool:  # noqa: PLE0304 - it always raises
        _refuse_truth()

    def __contains__(self, other: object) -> bool:
        _refuse_truth()

    def __iter__(self) -> NoReturn:
        raise InvalidExpression(f"{self._name} is only recorded here, so it cannot be walked over.")

    # What Python would compute from the stand-in itself

    def _refuse(self, *_: object) -> NoReturn:
        raise InvalidExpression(
            f"{self._name} is only recorded here and has no value yet. A change can add to a number and subtract from it "
            "(it.count + 1), size(...) asks for a length; compute everything else before, from the model as it was read."
        )

    __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _refuse
    __radd__ = __rsub__ = __pow__ = __rpow__ = __neg__ = __abs__ = __round__ = _refuse
    __len__ = __int__ = __float__ = __str__ = __format__ = _refuse

    def __repr__(self) -> str:
        return f"<recorded {self._name}>"


# From recorded values to trees ----------------------------------------------------------------------------------------


def path_of(value: object) -> rq.Path:
    """Return where a recorded field is stored.

    Raises:
        InvalidExpression: *value* is no field of the item.
    """
    if not isinstance(value, RecordedValue) or not isinstance(value._at, rq.Path):
        raise InvalidExpression("Give a field of the item, such as it.total.")
    return value._at


def codec_of(value: object) -> ValueCodec:
    """Return the codec of a recorded value; raises ``InvalidExpression`` for anything else."""
    if not isinstance(value, RecordedValue):
        raise InvalidExpression("Give a field of the item, such as it.total.")
    return value._codec


def name_of(value: object) -> str:
    """Return the name of a recorded value, as messages call it."""
    return value._name if isinstance(value, RecordedValue) else "the value"


def condition_of(value: object) -> rq.Condition:
    """Return the tree of what a ``where=`` callback returned, or of a ready-made tree.

    Raises:
        InvalidExpression: It is neither a condition nor a bool field.
    """
    if isinstance(value, RecordedCondition):
        return value.tree
    if isinstance(value, RecordedValue) and value._codec.tags <= {"BOOL", "NULL"}:
        return rq.Compare("=", _operand(value), rq.Constant({"BOOL": True}))
    if isinstance(value, rq.Condition):
        return value
    raise InvalidExpression(
        f"A condition is made of fields of the item, such as it.total > 0; the callback returned {type(value).__name__}."
    )


def _operand(value: RecordedValue) -> rq.Operand:
    if isinstance(value._at, rq.Path | rq.Size):
        return value._at
    raise InvalidExpression(f"Arithmetic on {value._name} belongs into a change; conditions compare stored values.")


def operand_for(field: object, other: object) -> rq.Operand:
    """Return *other* as the operand that *field* is compared with."""
    return _operand(other) if isinstance(other, RecordedValue) else encoded(field, other)


def encoded(field: object, value: object) -> rq.Constant:
    """Return *value* as *field* stores it.

    Raises:
        InvalidInput: It does not fit the field.
    """
    codec = codec_of(field)
    try:
        return rq.Constant(codec.encode(exact(codec, value)))
    except (TypeError, ValueError, KeyError, RecursionError) as error:
        raise refusal(name_of(field), error) from None


def exact(codec: ValueCodec, value: object) -> object:
    """Return an int for a Decimal field as a Decimal: Python compares and adds the two exactly, and so do we."""
    if codec.kind is Decimal and isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    return value


def set_value(value: RecordedValue) -> rq.SetValue:
    """Return a recorded value as the right side of a SET."""
    if isinstance(value._at, rq.Size | rq.Constant):
        raise InvalidExpression(f"The size of {value._name} cannot be stored; only conditions may ask for it.")
    return value._at


def set_value_for(field: object, value: object) -> rq.SetValue:
    """Return *value*, recorded or plain, as what is stored in *field*."""
    return set_value(value) if isinstance(value, RecordedValue) else encoded(field, value)


# Functions of conditions: typed as what they would give on the model, so that & and | type-check ------------------------


def not_(condition: object) -> bool:
    """Return the condition that holds where *condition* does not; type checkers read ``~bool`` as a number."""
    return _as_bool(rq.Not(condition_of(condition)))


def exists(field: object) -> bool:
    """Return the condition that the item has *field* (or the nested field or member)."""
    return _as_bool(rq.Exists(path_of(field)))


def not_exists(field: object) -> bool:
    """Return the condition that the item does not have *field*."""
    return _as_bool(rq.NotExists(path_of(field)))


def begins_with(field: str, prefix: str) -> bool:
    """Return the condition that the text *field* begins with *prefix*."""
    return _as_bool(rq.BeginsWith(path_of(field), operand_for(field, prefix)))


def contains(field: Iterable[T], member: T) -> bool:
    """Return the condition that a set or list has *member*, or that a text contains the text *member*."""
    codec = codec_of(field)
    inner = RecordedValue(path_of(field), codec.member or codec, name_of(field))
    return _as_bool(rq.Contains(path_of(field), operand_for(inner, member)))


def between(field: T, low: T, high: T) -> bool:
    """Return the condition that *field* lies from *low* to *high*, both included."""
    if not codec_of(field).tags <= _ORDERED:
        raise InvalidExpression(f"{name_of(field)} has no order; only texts, numbers and bytes do.")
    value = cast("RecordedValue", field)
    return _as_bool(rq.Between(_operand(value), operand_for(value, low), operand_for(value, high)))


def is_in(field: T, options: Iterable[T]) -> bool:
    """Return the condition that *field* equals one of *options*; 1 to 100 of them.

    Raises:
        InvalidInput: There are no options, or more than 100.
    """
    operands = tuple(operand_for(field, option) for option in require_iterable("options", options, "values"))
    if not 1 <= len(operands) <= 100:
        raise InvalidInput(f"is_in takes 1 to 100 options; {len(operands)} were given.")
    return _as_bool(rq.In(_operand(cast("RecordedValue", field)), operands))


def size(field: object) -> int:
    """Return the length of *field* for comparisons: characters of a text, bytes, or members."""
    return cast("int", RecordedValue(rq.Size(path_of(field)), SCALARS[int], f"the size of {name_of(field)}"))


def _as_bool(tree: rq.Condition) -> bool:
    return cast("bool", RecordedCondition(tree))


# Recording ------------------------------------------------------------------------------------------------------------


def record_condition(recorder: object, where: rq.Condition | Callable[[Any], bool]) -> rq.Condition:
    """Return the tree of *where*: a ready-made one, or what the callback makes of *recorder*.

    Raises:
        InvalidExpression: The callback used ``and``, ``or``, ``not``, ``in`` or a chained comparison, or returned no condition.
        UnknownField: The model has no such field.
        InvalidInput: A value does not fit its field.
    """
    if isinstance(where, rq.Condition | RecordedCondition):
        return condition_of(where)
    return condition_of(require_callback("where", where, "(it) -> condition, or a ready-made condition")(recorder))


def all_of(conditions: Sequence[rq.Condition | None]) -> rq.Condition | None:
    """Return the condition that all of *conditions* hold, ``None`` ones left out; ``None`` where none is left."""
    parts: list[rq.Condition] = []
    for condition in conditions:
        if condition is not None:
            parts.extend(_parts(rq.And, condition))
    if len(parts) > 1:
        return rq.And(tuple(parts))
    return parts[0] if parts else None
