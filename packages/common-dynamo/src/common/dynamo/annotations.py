"""From a field's annotation to its codec, with every fault collected instead of raised at the first."""

import types
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Final, Literal, NewType, Union, cast, get_args, get_origin

from pydantic import BaseModel, PydanticUserError, TypeAdapter
from pydantic.fields import FieldInfo

from common.dynamo.requests import AttributeValue
from common.dynamo.value_classes import dataclass
from common.dynamo.value_codec import (
    ANY,
    ANY_SCALE,
    NULL,
    SCALARS,
    Scale,
    ValueCodec,
    choice_codec,
    decimal_codec,
    decode_text,
    dict_codec,
    enum_codec,
    list_codec,
    nullable_codec,
    set_codec,
    union_codec,
)

__all__ = ["MISSING", "AnnotationReader", "FieldPlan", "expiry_codec"]


class _Missing:
    """Stands for "leave it to the model": a default, or the error that the field is required."""


MISSING: Final = _Missing()
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_EXPIRY: Final = 10**11
"""Epoch seconds in the year 5138; a larger number is milliseconds by mistake."""


@dataclass(frozen=True, slots=True)
class FieldPlan:
    """How one field of a model is stored."""

    field: str
    input: str
    """The name under which the model's validator takes it."""
    attribute: str
    codec: ValueCodec
    keeps_null: bool
    """Whether ``None`` is stored as NULL: where an absent attribute would read as another default."""
    absent: Any
    """What an absent attribute reads as; :data:`MISSING` leaves it to the model."""
    may_be_absent: bool
    """Whether an item without the attribute can be read at all."""


class FieldCheck:
    """Validates new values of one field; the validator is made when it is first needed."""

    __slots__ = ("_adapter", "_info")

    def __init__(self, info: FieldInfo) -> None:
        self._info = info
        self._adapter: TypeAdapter[Any] | None = None

    def __call__(self, value: Any) -> Any:
        if self._adapter is None:
            self._adapter = TypeAdapter(cast("Any", Annotated[(self._info.annotation, *self._info.metadata)]))
        return self._adapter.validate_python(value, strict=True)


class AnnotationReader:
    """Builds codecs; :attr:`faults` gathers what is wrong, in words for the author of the entity type."""

    def __init__(self, scales: Mapping[str, Scale]) -> None:
        self.scales = scales
        self.faults: list[str] = []
        self.scaled: set[str] = set()
        """Paths of the Decimals that were met; a scale for anything else is a fault."""
        self._models: dict[type[BaseModel], ValueCodec] = {}

    def refuse_extras(self, model: type[BaseModel], path: str = "") -> None:
        """Note a fault where *model* takes fields that it does not declare, since none of them would be stored."""
        if model.model_config.get("extra") == "allow":
            where = f"{path}: " if path else ""
            self.faults.append(
                f"{where}{model.__name__} allows extra fields, which would be lost; declare a field of type dict for them, "
                "and leave extra='allow' out"
            )

    def plan(self, name: str, info: FieldInfo, model: type[BaseModel], path: str, attribute: str) -> FieldPlan:
        """Return the plan of one field of *model*."""
        codec = replace(self.codec(info.annotation, path), check=FieldCheck(info) if info.metadata else None)
        given = self._input(name, info, model)
        required = info.is_required()
        if not codec.nullable and not codec.tags <= {"SS", "NS", "BS"}:
            return FieldPlan(name, given, attribute, codec, False, MISSING, not required)
        empty = None if codec.nullable else codec.decode(NULL)
        alike = required or (info.default_factory is None and info.default == empty)
        return FieldPlan(name, given, attribute, codec, not alike, empty if alike else MISSING, True)

    def _input(self, name: str, info: FieldInfo, model: type[BaseModel]) -> str:
        alias = info.validation_alias
        config = model.model_config
        if alias is None or config.get("populate_by_name") or config.get("validate_by_name"):
            return name
        if isinstance(alias, str):
            return alias
        self.faults.append(f"{name}: an alias of several choices needs populate_by_name=True in the model")
        return name

    def codec(self, annotation: Any, path: str) -> ValueCodec:
        """Return the codec of *annotation*, the field or member at *path* (``total``, ``lines.price``)."""
        try:
            return self._codec(annotation, path)
        except ValueError as error:
            self.faults.append(f"{path}: {error}")
            return ANY

    def _codec(self, annotation: Any, path: str) -> ValueCodec:
        origin = get_origin(annotation)
        if origin is Annotated:
            return self._codec(get_args(annotation)[0], path)
        if origin in (Union, types.UnionType):
            return self._union(get_args(annotation), path)
        if origin is Literal:
            return _literal(get_args(annotation))
        if origin is not None:
            return self._container(origin, get_args(annotation), path)
        return self._plain(annotation, path)

    def _plain(self, annotation: Any, path: str) -> ValueCodec:
        if isinstance(annotation, NewType):
            return self._codec(annotation.__supertype__, path)
        if hasattr(annotation, "__value__"):
            return self._codec(annotation.__value__, path)
        if annotation is Any or annotation is object:
            return ANY
        if annotation is Decimal:
            return self._decimal(path)
        if annotation is float:
            raise ValueError("a float is not exact; declare a Decimal with a scale")
        if annotation in SCALARS:
            return SCALARS[annotation]
        if isinstance(annotation, type):
            return self._class(annotation, path)
        raise ValueError(f"the annotation {annotation!r} cannot be stored")

    def _class(self, annotation: type, path: str) -> ValueCodec:
        if issubclass(annotation, BaseModel):
            return self._model(annotation, path)
        if issubclass(annotation, Enum):
            if not all(isinstance(each.value, str | int) and not isinstance(each.value, bool) for each in annotation):
                raise ValueError("an enumeration is stored by value, and its values must be texts or integers")
            return enum_codec(annotation)
        if annotation in (list, tuple, dict, set, frozenset):
            raise ValueError(f"name the members, such as {annotation.__name__}[str]")
        return _written_as_text(annotation)

    def _decimal(self, path: str) -> ValueCodec:
        self.scaled.add(path)
        scale = self.scales.get(path)
        if scale is None:
            raise ValueError(f"a Decimal needs a scale: scales={{{path!r}: 2}}, or ANY_SCALE")
        if isinstance(scale, int) and not 0 <= scale <= 38:
            raise ValueError("a scale lies from 0 to 38")
        if callable(scale):
            if "." in path:
                raise ValueError("a scale by function belongs to a field of the entity itself, not to a nested one")
            return decimal_codec(ANY_SCALE)
        return decimal_codec(scale)

    def _union(self, members: tuple[Any, ...], path: str) -> ValueCodec:
        plain = [member for member in members if member is not type(None)]
        codecs = [self._codec(member, path) for member in plain]
        inner = codecs[0] if len(codecs) == 1 else union_codec(codecs)
        return inner if len(plain) == len(members) else nullable_codec(inner)

    def _container(self, origin: Any, arguments: tuple[Any, ...], path: str) -> ValueCodec:
        if origin is tuple and (len(arguments) != 2 or arguments[1] is not Ellipsis):
            raise ValueError("a tuple is stored as a list of one type: tuple[T, ...]")
        if origin in (list, tuple):
            return list_codec(self._codec(arguments[0], path), origin)
        if origin in (set, frozenset):
            return set_codec(self._codec(arguments[0], path), origin)
        if origin is dict:
            if arguments[0] is not str:
                raise ValueError("the keys of a dict must be str")
            return dict_codec(self._codec(arguments[1], path))
        if isinstance(origin, type) and issubclass(origin, BaseModel):
            return self._model(origin, path)
        raise ValueError(f"{getattr(origin, '__name__', origin)} cannot be stored")

    def _model(self, model: type[BaseModel], path: str) -> ValueCodec:
        if model in self._models:
            return self._models[model]
        if "root" in model.model_fields:
            raise ValueError("a RootModel cannot be stored; use its inner type")
        self.refuse_extras(model, path)
        plans: list[FieldPlan] = []
        fields: dict[str, ValueCodec] = {}
        # Known while its fields are read, so that a model may contain itself; elsewhere it may have other scales.
        codec = self._models[model] = _nested_codec(model, plans, fields)
        for name, info in model.model_fields.items():
            plans.append(self.plan(name, info, model, f"{path}.{name}", name))
            fields[name] = plans[-1].codec
        del self._models[model]
        return codec


def _literal(options: tuple[Any, ...]) -> ValueCodec:
    plain = {option: option.value if isinstance(option, Enum) else option for option in options}
    if not all(isinstance(value, str | int) and not isinstance(value, bool) for value in plain.values()):
        raise ValueError("the choices of a Literal must be texts or integers")
    return choice_codec(plain, type(options[0]))


def _nested_codec(model: type[BaseModel], plans: list[FieldPlan], fields: Mapping[str, ValueCodec]) -> ValueCodec:
    def encode(value: Any) -> AttributeValue:
        if not isinstance(value, model):
            raise TypeError(f"a {model.__name__}")
        values = value.__dict__
        encoded = {plan.attribute: (plan, plan.codec.encode(values[plan.field])) for plan in plans}
        return {"M": {name: each for name, (plan, each) in encoded.items() if each is not NULL or plan.keeps_null}}

    def decode(stored: AttributeValue) -> Any:
        members = stored["M"]
        values = {plan.input: plan.absent for plan in plans if plan.absent is not MISSING}
        for plan in plans:
            if plan.attribute in members:
                values[plan.input] = plan.codec.decode(members[plan.attribute])
        return values

    return ValueCodec(frozenset({"M"}), encode, decode, fields=fields)


def _written_as_text(annotation: type) -> ValueCodec:
    """Return the codec of a type that pydantic reads from and writes to one JSON string, such as ``timedelta``."""
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        schema = adapter.json_schema(mode="serialization")
    except PydanticUserError:
        schema = {}
    if schema.get("type") != "string" or schema.get("writeOnly"):
        raise ValueError(f"{annotation.__name__} cannot be stored; see the table of annotations in the guide")
    instance = annotation if schema.get("format") != "email" else str

    def encode(value: Any) -> AttributeValue:
        if not isinstance(value, instance):
            raise TypeError(f"a {annotation.__name__}")
        return {"S": adapter.dump_python(value, mode="json")}

    def decode(stored: AttributeValue) -> Any:
        return adapter.validate_python(decode_text(stored))

    return ValueCodec(frozenset({"S"}), encode, decode)


def _unwrapped(annotation: Any) -> Any:
    """Return what an ``Annotated`` type annotates; every other type as it is."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return annotation


def expiry_codec(annotation: Any) -> ValueCodec:
    """Return the codec of the field that says when an item expires: epoch seconds, as DynamoDB's TTL wants them.

    A datetime is stored by its whole second, so it reads back without microseconds.

    Raises:
        ValueError: The field is neither a datetime nor an int, with or without ``None``.
    """
    annotation = _unwrapped(annotation)
    members = get_args(annotation) or (annotation,)
    plain = {_unwrapped(member) for member in members if member is not type(None)}
    if plain == {datetime}:
        codec = ValueCodec(frozenset({"N"}), _encode_expiry, _decode_expiry, datetime)
    elif plain == {int}:
        codec = ValueCodec(frozenset({"N"}), _encode_seconds, SCALARS[int].decode, int)
    else:
        raise ValueError("the TTL field must be a datetime or an int of epoch seconds, optionally None")
    return nullable_codec(codec) if type(None) in get_args(annotation) else codec


def _encode_expiry(value: Any) -> AttributeValue:
    if not isinstance(value, datetime):
        raise TypeError("a datetime")
    if value.tzinfo is None:
        raise ValueError("is a datetime without a time zone; give an aware one")
    return _encode_seconds((value - _EPOCH) // timedelta(seconds=1))


def _encode_seconds(value: Any) -> AttributeValue:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("an int")
    if not 0 <= value < _LATEST_EXPIRY:
        raise ValueError("is no time in epoch seconds (milliseconds by mistake?)")
    return {"N": str(value)}


def _decode_expiry(stored: AttributeValue) -> Any:
    return datetime.fromtimestamp(int(stored["N"]), UTC)
