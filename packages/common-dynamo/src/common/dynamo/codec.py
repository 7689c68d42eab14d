"""Models <-> attributes, compiled once per entity type.

Encoding refuses what a reader would refuse later; decoding is strict and never puts a default in the place of a misfit.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from common.dynamo.annotations import MISSING, AnnotationReader, FieldPlan, expiry_codec
from common.dynamo.compiled_fields import CompiledFields
from common.dynamo.decimals import at_scale
from common.dynamo.layout import EXPIRY
from common.dynamo.requests import AttributeValue, Item
from common.dynamo.value_classes import dataclass
from common.dynamo.value_codec import NULL, Scale, ValueCodec, utf8_text
from common.exceptions import FieldError, InvalidInput

__all__ = ["Misfit", "ModelCodec", "compile_codec"]

M = TypeVar("M", bound=BaseModel)

_UNFIT: Final = (KeyError, TypeError, ValueError, AttributeError, RecursionError)
"""What encoders raise."""


class Misfit(Exception):
    """Stored data does not fit the model; :attr:`field` and :attr:`stored_type` tell where, no value is kept."""

    def __init__(self, field: str, stored_type: str, wanted: str) -> None:
        super().__init__(wanted)
        self.field = field
        self.stored_type = stored_type
        self.wanted = wanted


@dataclass(frozen=True, slots=True)
class RowScale:
    """A Decimal, or a dict of them, whose scale is a function of the row."""

    field: str
    rule: Callable[[Mapping[str, Any], str], int]

    def apply(self, row: Mapping[str, Any]) -> Any:
        """Return the field's value, or the values of its dict, at the scale that *row* tells.

        Raises:
            ValueError: The value does not fit, or the function failed.
        """
        value = row[self.field]
        if isinstance(value, dict):
            return {key: self.at_scale(row, key, each) for key, each in value.items()}
        return None if value is None else self.at_scale(row, self.field, value)

    def at_scale(self, row: Mapping[str, Any], key: str, value: Any) -> Any:
        """Same as :meth:`apply`, for one *value* under *key*."""
        try:
            scale = self.rule(row, key)
        except Exception as error:  # noqa: BLE001 - the rule is the author's code, and any failure means no scale
            raise ValueError(f"its scale cannot be told ({type(error).__name__} in the scale function)") from None
        return at_scale(value, scale)


@dataclass(frozen=True, slots=True)
class Spread:
    """A dict field over top-level attributes ``<prefix><key>``."""

    field: str
    input: str
    prefix: str
    member: ValueCodec


@dataclass(frozen=True, slots=True)
class ModelCodec(Generic[M]):
    """Encodes and decodes the fields of one model. Made by :func:`compile_codec`."""

    model: type[M]
    plans: Mapping[str, FieldPlan]
    """Field name to plan; spread fields are apart."""
    spreads: Mapping[str, Spread]
    row_scales: tuple[RowScale, ...]
    blank: Mapping[str, Any]
    """What absent attributes read as, by input name."""
    fields: CompiledFields
    """Reads and writes the fields of :attr:`plans` in one pass."""
    is_plain: bool
    """Whether every field stands in an attribute of its own, and nothing depends on the rest of the row."""

    def decode_plain(self, item: Item) -> M:
        """Same as :meth:`decode` for a plain codec, in one pass: what misfits raises whatever Python makes of it."""
        return self.validated(self.fields.read(item))

    def validated(self, values: Mapping[str, Any]) -> M:
        """Return the model of *values*, by input name; raises pydantic's ``ValidationError``."""
        model: M = self.model.__pydantic_validator__.validate_python(values, strict=True)
        return model

    def encode(self, values: Mapping[str, Any]) -> dict[str, AttributeValue]:
        """Return the attributes of a model's *values*, field name to value.

        Raises:
            InvalidInput: A value has another type than its field, or does not fit its scale.
        """
        try:
            attributes = self.fields.write(values)
        except Exception:  # noqa: BLE001 - whatever it was, going field by field tells which one it was
            attributes = self._written(values)
        if not self.is_plain:
            self._spread_out(values, attributes)
        return attributes

    def _written(self, values: Mapping[str, Any]) -> dict[str, AttributeValue]:
        attributes: dict[str, AttributeValue] = {}
        for plan in self.plans.values():
            try:
                encoded = plan.codec.encode(values[plan.field])
            except _UNFIT as error:
                raise refusal(plan.field, error) from None
            if encoded is not NULL or plan.keeps_null:
                attributes[plan.attribute] = encoded
        return attributes

    def _spread_out(self, values: Mapping[str, Any], attributes: dict[str, AttributeValue]) -> None:
        """Write the spread fields, and check Decimals at the scale that the whole row tells."""
        name = ""
        try:
            for name, spread in self.spreads.items():
                encode = spread.member.encode
                for key, value in values[name].items():
                    attributes[spread.prefix + utf8_text(key)] = encode(value)
            for scaled in self.row_scales:
                name = scaled.field
                scaled.apply(values)
        except _UNFIT as error:
            raise refusal(name, error) from None

    def decode(self, item: Item) -> M:
        """Return the model in *item*; attributes that the model does not have are left alone.

        Raises:
            Misfit: Stored data does not fit.
        """
        try:
            values = self.fields.read(item)
        except Exception:  # noqa: BLE001 - whatever it was, going field by field tells which one it was
            values = self._read(item)
        if not self.is_plain:
            self._gather(item, values)
        try:
            return self.validated(values)
        except ValidationError as error:
            raise self._invalid(item, error) from None

    def _read(self, item: Item) -> dict[str, Any]:
        values = dict(self.blank)
        for plan in self.plans.values():
            stored = item.get(plan.attribute)
            if stored is not None:
                try:
                    values[plan.input] = plan.codec.decode(stored)
                except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError, StopIteration):
                    raise self._misfit(plan, stored) from None
        return values

    def _gather(self, item: Item, values: dict[str, Any]) -> None:
        """Read the spread fields, then give Decimals the scale that the whole row tells."""
        name = ""
        try:
            for spread in self.spreads.values():
                name = spread.field
                values[spread.input] = _read_spread(spread, item)
            inputs = {plan.field: plan.input for plan in self.plans.values()}
            inputs.update((spread.field, spread.input) for spread in self.spreads.values())
            row = {field: values[given] for field, given in inputs.items() if given in values}
            for scaled in self.row_scales:
                name = scaled.field
                if name in row:
                    values[inputs[name]] = scaled.apply(row)
        except (KeyError, TypeError, ArithmeticError) as error:
            raise Misfit(name, "", f"a member has another type ({type(error).__name__})") from None
        except ValueError as error:
            raise Misfit(name, "N", str(error)) from None

    def _misfit(self, plan: FieldPlan, value: AttributeValue) -> Misfit:
        stored, kind = stored_type(value), plan.codec.kind
        if stored in plan.codec.tags:
            return Misfit(
                plan.field, stored, f"what it holds {'does not fit' if kind is object else f'is no {kind.__name__}'}"
            )
        return Misfit(plan.field, stored, f"expected {'/'.join(sorted(plan.codec.tags))}")

    def _invalid(self, item: Item, error: ValidationError) -> Misfit:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        names = {plan.input: name for name, plan in self.plans.items()}
        head = str(first["loc"][0]) if first["loc"] else ""
        name = names.get(head, head)
        plan = self.plans.get(name)
        return Misfit(name, stored_type(item.get(plan.attribute) if plan else None), first["type"])


def _read_spread(spread: Spread, item: Item) -> dict[str, Any]:
    start = len(spread.prefix)
    decode = spread.member.decode
    return {name[start:]: decode(value) for name, value in item.items() if name.startswith(spread.prefix)}


def stored_type(value: AttributeValue | None) -> str:
    """Return the type of an attribute value, such as ``S``; empty where there is none."""
    return next(iter(value)) if value and isinstance(value, Mapping) else ""


def refusal(field: str, error: Exception) -> InvalidInput:
    """Return what a caller is told about a value that cannot be stored; never the value."""
    if isinstance(error, UnicodeEncodeError):
        message = f"{field} holds a lone surrogate, which is no text."
    elif isinstance(error, TypeError):
        message = f"{field} must be {error}."
    elif isinstance(error, ValueError):
        message = f"{field}: {error}."
    elif isinstance(error, RecursionError):
        message = f"{field}: lists and dicts are nested over DynamoDB's 32 levels, or hold themselves."
    else:
        message = f"{field} is missing."
    return InvalidInput(message, errors=[FieldError(f"/{field}", "invalid_value", message)])


# Compilation ----------------------------------------------------------------------------------------------------------


def compile_codec(
    model: type[M],
    *,
    attributes: Mapping[str, str],
    spread: Mapping[str, str],
    scales: Mapping[str, Scale],
    ttl: str | None,
) -> tuple[ModelCodec[M], list[str]]:
    """Return the codec of *model*, and what is wrong with the declaration (then the codec is not to be used)."""
    reader = AnnotationReader(scales)
    reader.refuse_extras(model)
    plans: dict[str, FieldPlan] = {}
    spreads: dict[str, Spread] = {}
    for name, info in model.model_fields.items():
        plan = reader.plan(name, info, model, name, attributes.get(name, name))
        if name in spread:
            spreads[name] = _spread(plan, spread[name], reader.faults)
        elif name == ttl:
            plans[name] = _expiring(plan, info.annotation, reader.faults)
        else:
            plans[name] = plan
    known = set(model.model_fields)
    for given, option in ((attributes, "attributes"), (spread, "spread")):
        reader.faults += [f"{option} names {name!r}, which the model does not have" for name in given.keys() - known]
    reader.faults += [
        f"scales names {path!r}, which is no Decimal of the model" for path in scales.keys() - reader.scaled
    ]
    row_scales = tuple(RowScale(name, rule) for name, rule in scales.items() if callable(rule))
    blank = {plan.input: plan.absent for plan in plans.values() if plan.absent is not MISSING}
    fields = CompiledFields(tuple(plans.values()), blank)
    is_plain = not (spreads or row_scales)
    return ModelCodec(model, plans, spreads, row_scales, blank, fields, is_plain), reader.faults


def _spread(plan: FieldPlan, prefix: str, faults: list[str]) -> Spread:
    member = plan.codec.member
    if "M" not in plan.codec.tags or member is None or plan.codec.nullable:
        faults.append(f"{plan.field}: only a field of type dict[str, T] can be spread")
        member = plan.codec
    if not prefix:
        faults.append(f"{plan.field}: the prefix of a spread field is empty")
    return Spread(plan.field, plan.input, prefix, member)


def _expiring(plan: FieldPlan, annotation: Any, faults: list[str]) -> FieldPlan:
    try:
        codec = expiry_codec(annotation)
    except ValueError as error:
        faults.append(f"{plan.field}: {error}")
        codec = plan.codec
    return replace(plan, attribute=EXPIRY, codec=codec)
