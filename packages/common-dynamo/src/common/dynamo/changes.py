"""What an update does to an item: recorded from a callback, or ready-made, and checked either way."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from itertools import chain, pairwise
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from common.dynamo import requests as rq
from common.dynamo.annotations import FieldPlan
from common.dynamo.arguments import require_callback, require_iterable, require_text
from common.dynamo.exceptions import InvalidExpression, UnknownField
from common.dynamo.expressions import RecordedValue, codec_of, encoded, exact, name_of, path_of, set_value_for
from common.dynamo.layout import is_reserved
from common.dynamo.mapping import Mapped
from common.dynamo.value_classes import dataclass
from common.dynamo.value_codec import NULL, ValueCodec
from common.exceptions import ConfigurationError, FieldError, InvalidInput

__all__ = [
    "Change",
    "IndexChanges",
    "Recorder",
    "assigned_fields",
    "index_changes",
    "is_repeatable",
    "record_change",
    "refuse_layer_fields",
    "touched_paths",
]

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

_SETS = frozenset({"SS", "NS", "BS", "NULL"})
_ADDABLE = _SETS | {"N"}


class Recorder:
    """Stands for the model in a callback: its attributes are the stored fields, recorded."""

    __slots__ = ("_mapped",)

    def __init__(self, mapped: Mapped[Any]) -> None:
        self._mapped = mapped

    def __getattr__(self, name: str) -> Any:
        codec = self._mapped.codec
        plan = codec.plans.get(name)
        if plan is not None:
            return RecordedValue(rq.Path((plan.attribute,)), plan.codec, name)
        spread = codec.spreads.get(name)
        if spread is not None:
            return RecordedSpread(spread.prefix, spread.member, name)
        known = ", ".join(sorted([*codec.plans, *codec.spreads]))
        raise UnknownField(f"{self._mapped.entity.name} has no stored field {name!r}; it has: {known}.")

    def __repr__(self) -> str:
        return f"<recorded {self._mapped.entity.name}>"


class RecordedSpread:
    """A dict field over top-level attributes: only its members can be named."""

    __slots__ = ("_member", "_name", "_prefix")

    def __init__(self, prefix: str, member: ValueCodec, name: str) -> None:
        self._prefix = prefix
        self._member = member
        self._name = name

    def __getitem__(self, key: str) -> RecordedValue:
        if not isinstance(key, str):
            raise InvalidExpression(f"A member of {self._name} is named by a text.")
        require_text(f"The name of a member of {self._name}", key)
        return RecordedValue(rq.Path((self._prefix + key,)), self._member, f"a member of {self._name}")

    def __getattr__(self, name: str) -> Any:
        raise UnknownField(f"{self._name} is spread over attributes: name one of its keys, {self._name}[key].")


class Change(Generic[M]):
    """Collects what an update does to an item. Given to the callback of ``update``::

        def pay(change: Change[Invoice], it: Invoice) -> None:
            change.set(it.state, State.PAID)
            change.add(it.paid, Decimal("5.00"))

    Values are checked against the field's annotation at once, since type checkers cannot do it here.
    """

    __slots__ = ("_adds", "_deletes", "_mapped", "_removes", "_row", "_sets")

    def __init__(self, mapped: Mapped[M], row: Mapping[str, Any]) -> None:
        self._mapped = mapped
        self._row = row
        self._sets: list[tuple[rq.Path, rq.SetValue]] = []
        self._removes: list[rq.Path] = []
        self._adds: list[tuple[rq.Path, rq.Constant]] = []
        self._deletes: list[tuple[rq.Path, rq.Constant]] = []

    def set(self, field: T, value: T) -> None:
        """Store *value* in *field*; ``None``, and the empty set, remove it.

        *value* may be another field, or ``it.count + 1``; such arithmetic is not idempotent, like :meth:`add`.

        Raises:
            InvalidInput: *value* does not fit the field.
        """
        path = path_of(field)
        stored = set_value_for(field, self._checked(field, value))
        plan = self._plan(path)
        if plan is not None and not plan.keeps_null and isinstance(stored, rq.Constant) and stored.value is NULL:
            self._removes.append(path)
        else:
            self._sets.append((path, stored))

    def set_default(self, field: T, value: T) -> None:
        """Store *value* in *field* only if the item does not have it.

        Raises:
            InvalidInput: *value* does not fit the field.
        """
        path = path_of(field)
        self._sets.append((path, rq.IfNotExists(path, encoded(field, self._checked(field, value)))))

    def add(self, field: T, amount: T) -> None:
        """Add *amount* to a number, or unite a set with it; an absent field counts as zero, or empty.

        Adding to a number is not idempotent: an attempt whose outcome is unknown is never sent again, unless a version
        or a request id protects it.

        Raises:
            InvalidInput: *amount* does not fit the field, or an empty set is added.
            InvalidExpression: The field is neither a number nor a set.
        """
        if codec_of(field).tags - _ADDABLE:
            raise InvalidExpression(f"{name_of(field)} is neither a number nor a set.")
        self._check_scale(field, amount)
        self._adds.append((path_of(field), _not_null(field, encoded(field, amount))))

    def remove(self, field: object) -> None:
        """Remove *field*, or a member of a dict or list.

        Raises:
            InvalidInput: The model requires the field.
        """
        path = path_of(field)
        plan = self._plan(path)
        if plan is not None and not plan.may_be_absent:
            raise _invalid(name_of(field), f"{name_of(field)} is required by the model and cannot be removed.")
        self._removes.append(path)

    def append(self, field: list[T], values: Iterable[T]) -> None:
        """Append *values* to a list; an absent list counts as empty. Not idempotent, like :meth:`add`.

        Raises:
            InvalidInput: A value does not fit the list's members.
        """
        path = path_of(field)
        values = require_iterable("values", values, "values")
        present = rq.IfNotExists(path, rq.Constant({"L": []}))
        self._sets.append((path, rq.ListAppend(present, _not_null(field, encoded(field, list(values))))))

    def delete(self, field: Iterable[T], members: AbstractSet[T]) -> None:
        """Take *members* out of a set; those that are not in it do not matter.

        Raises:
            InvalidInput: A member does not fit the set, or there are none.
            InvalidExpression: The field is no set.
        """
        if codec_of(field).tags - _SETS:
            raise InvalidExpression(f"{name_of(field)} is no set.")
        self._deletes.append((path_of(field), _not_null(field, encoded(field, members))))

    def recorded(self) -> rq.Update:
        """Return what was collected."""
        return rq.Update(tuple(self._sets), tuple(self._removes), tuple(self._adds), tuple(self._deletes))

    def _plan(self, path: rq.Path) -> FieldPlan | None:
        """Return the plan of the field that *path* is, not of one it lies in."""
        if len(path.parts) != 1:
            return None
        return self._mapped.codec.plans.get(self._mapped.field_of.get(str(path.parts[0]), ""))

    def _checked(self, field: object, value: Any) -> Any:
        if isinstance(value, RecordedValue):
            return value
        codec = codec_of(field)
        check, value = codec.check, exact(codec, value)
        self._check_scale(field, value)
        if check is None:
            return value
        try:
            return check(value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            raise _invalid(name_of(field), f"{name_of(field)} does not fit its annotation ({first['type']}).") from None

    def _check_scale(self, field: object, value: Any) -> None:
        """Refuse a value finer than the scale that a function tells, as far as the row is known here."""
        scaled = self._mapped.scale_of(path_of(field))
        if scaled is None or value is None or isinstance(value, dict):
            return
        rule, key = scaled
        try:
            rule.at_scale(self._row, key, exact(codec_of(field), value))
        except (ValueError, TypeError, AttributeError) as error:
            told = f"{name_of(field)}: {error}. Its scale depends on the row: give those fields in known=."
            raise _invalid(name_of(field), told) from None


def _not_null(field: object, constant: rq.Constant) -> rq.Constant:
    if constant.value is NULL:
        raise _invalid(name_of(field), f"{name_of(field)}: there is nothing to add or to take out.")
    return constant


def _invalid(name: str, message: str) -> InvalidInput:
    return InvalidInput(message, errors=[FieldError(f"/{name}", "invalid_value", message)])


# Of recorded and ready-made changes -----------------------------------------------------------------------------------


def record_change(
    mapped: Mapped[M], change: "rq.Update | Callable[[Change[M], M], None]", row: Mapping[str, Any]
) -> rq.Update:
    """Return the update that *change* is, or records.

    Args:
        mapped: The entity type.
        change: A ready-made update, or a callback.
        row: The fields whose values are known, for scales that depend on them.

    Raises:
        InvalidInput: Nothing is changed, two actions touch one field, or a value does not fit.
    """
    if isinstance(change, rq.Update):
        update = change
    else:
        collected: Change[M] = Change(mapped, row)
        recorder: Any = Recorder(mapped)
        require_callback("change", change, "(change, it) or an Update")(collected, recorder)
        update = collected.recorded()
    paths = sorted((path.parts for path in touched_paths(update)), key=lambda parts: [str(part) for part in parts])
    if not paths:
        raise InvalidInput(f"The update of {mapped.entity.name} changes nothing.")
    for one, following in pairwise(paths):
        if following[: len(one)] == one:
            raise InvalidInput(f"The update of {mapped.entity.name} touches {_shown(following)} twice.")
    return update


def _shown(parts: tuple[str | int, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")


def touched_paths(update: rq.Update) -> Iterator[rq.Path]:
    """Walk over every path that *update* changes."""
    changed = (path for path, _ in chain(update.set, update.add, update.delete))
    return chain(changed, update.remove)


def is_repeatable(update: rq.Update) -> bool:
    """Tell whether applying *update* twice gives what applying it once gives."""
    return (
        all(isinstance(value, rq.Constant | rq.IfNotExists) for _, value in update.set)
        and all("N" not in amount.value for _, amount in update.add)
        and not any(isinstance(path.parts[-1], int) for path in update.remove)
    )


class _Unknown:
    """The value of a field after a change that only the engine computes."""


UNKNOWN: Final = _Unknown()


def assigned_fields(mapped: Mapped[Any], update: rq.Update) -> dict[str, Any]:
    """Return the fields that *update* changes with their new values; :data:`UNKNOWN` where the engine computes them.

    Members of spread fields, and attributes that are no field, are left out.
    """
    assigned: dict[str, Any] = {}
    for path in touched_paths(update):
        name = mapped.field_of.get(str(path.parts[0]))
        if name is not None:
            assigned[name] = UNKNOWN
    for path, value in update.set:
        name = mapped.field_of.get(str(path.parts[0]))
        if name is not None and len(path.parts) == 1 and isinstance(value, rq.Constant):
            assigned[name] = mapped.codec.plans[name].codec.decode(value.value)
    for path in update.remove:
        name = mapped.field_of.get(str(path.parts[0]))
        if name is not None and len(path.parts) == 1:
            assigned[name] = None
    return assigned


@dataclass(frozen=True, slots=True)
class IndexChanges:
    """What a change does to index keys."""

    set: tuple[tuple[rq.Path, rq.SetValue], ...]
    remove: tuple[rq.Path, ...]
    used: frozenset[str]
    """The unchanged fields whose known values went into the keys; each must be a condition of the write."""


def index_changes(mapped: Mapped[Any], assigned: Mapping[str, Any], row: Mapping[str, Any]) -> IndexChanges:
    """Return the index keys after fields were *assigned*, recomputed whole.

    Args:
        mapped: The entity type.
        assigned: The changed fields, see :func:`assigned_fields`.
        row: What is known of the others: the key's fields and what the caller gave.

    Raises:
        ConfigurationError: A template needs a field that is neither assigned a plain value nor known.
        InvalidInput: An attribute that is part of an index key itself becomes empty.
    """
    for native in mapped.native.values():
        native.check({name: value for name, value in assigned.items() if value is not UNKNOWN})
    sets: list[tuple[rq.Path, rq.SetValue]] = []
    removes: list[rq.Path] = []
    used: set[str] = set()
    for name, bound in mapped.indexes.items():
        if assigned.keys().isdisjoint(bound.fields):
            continue
        values = {field: assigned.get(field, row.get(field, UNKNOWN)) for field in bound.fields}
        unknown = [field for field, value in values.items() if value is UNKNOWN]
        if unknown:
            raise ConfigurationError(
                f"This update of {mapped.entity.name} changes part of the key of {name}, and {', '.join(unknown)} "
                "of it is not known here. Give the stored value in known=, or the model as it was read instead of its key; "
                "assign plain values instead of adding to them."
            )
        used |= set(bound.fields) - assigned.keys() - set(mapped.key.fields)
        if any(value is None for value in values.values()):
            removes += [rq.Path((attribute,)) for attribute in bound.names]
        else:
            keys = bound.attributes({**row, **values})  # a shard follows from the primary key, which is in the row
            sets += [(rq.Path((attribute,)), rq.Constant(value)) for attribute, value in keys.items()]
    return IndexChanges(tuple(sets), tuple(removes), frozenset(used))


def refuse_layer_fields(mapped: Mapped[Any], update: rq.Update) -> None:
    """Refuse a change of what only the layer writes: keys, index keys, stamps, the version.

    Raises:
        ConfigurationError: *update* touches one of them.
    """
    for path in touched_paths(update):
        attribute = str(path.parts[0])
        name = mapped.field_of.get(attribute)
        if name is not None and name in mapped.key.fields:
            told = f"{name} is part of the primary key; create another item and delete this one"
        elif name is not None and name == mapped.entity.version:
            told = f"{name} is the version, which the layer counts"
        elif name is None and is_reserved(attribute):
            told = f"{attribute} is written by the layer alone"
        else:
            continue
        raise ConfigurationError(f"An update of {mapped.entity.name} cannot change it: {told}.")
