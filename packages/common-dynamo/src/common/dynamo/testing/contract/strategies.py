"""Strategies of models, derived from annotations: what the type can store and the model accepts, with a taste for edges."""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Final, Literal, NewType, TypeVar, Union, get_args, get_origin
from uuid import UUID

from hypothesis import HealthCheck, Phase, given, reject, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException
from hypothesis.strategies import SearchStrategy
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from common.dynamo.decimals import MAX_DIGITS
from common.dynamo.entity_type import EntityType
from common.dynamo.value_codec import AnyScale
from common.exceptions import ConfigurationError

__all__ = ["derive_models", "texts", "untried_models"]

M = TypeVar("M", bound=BaseModel)

_LARGEST: Final = 10**MAX_DIGITS - 1
_KEY_CHARACTERS: Final = 24
"""Of a text in a key: with three bytes for an escaped character, several of them stay below 1,024 bytes."""
_CHARACTERS: Final = st.characters(exclude_categories=["Cs"])
_MEMBERS: Final = (3, 1)
"""Of a list, set or dict at the top and further in: several models have to fit into one example of hypothesis."""
_AWKWARD: Final = st.sampled_from("#$%\x00\x1f \"'\\/é€\U0001f600\U0010ffff0aA")
_MOMENTS: Final = ((1, 1, 2), (9999, 12, 30))
_ZONES: Final = (UTC, timezone(timedelta(hours=14)), timezone(-timedelta(hours=9, minutes=30)))


def texts(least: int = 0, most: int | None = None) -> SearchStrategy[str]:
    """Return a strategy of texts of *least* to *most* characters, awkward ones among them, without lone surrogates."""
    longest = least + 12 if most is None else most
    return st.text(_CHARACTERS | _AWKWARD, min_size=least, max_size=min(longest, least + 12))


def derive_models(entity: EntityType[M], fields: Mapping[str, SearchStrategy[Any]]) -> SearchStrategy[M]:
    """Return a strategy of models of *entity*; see :func:`common.dynamo.testing.models_of`."""
    unknown = sorted(fields.keys() - entity.model.model_fields.keys())
    if unknown:
        raise ConfigurationError(f"{entity.model.__name__} has no field {', '.join(unknown)}.")
    derivation = _Derivation(entity, fields)
    strategy: SearchStrategy[M] = derivation.model(entity.model, "", given=fields)
    derivation.try_out(strategy)
    return strategy


def untried_models(entity: EntityType[M]) -> SearchStrategy[M]:
    """Same as :func:`derive_models`, without making a model first; for types that are made up themselves."""
    strategy: SearchStrategy[M] = _Derivation(entity, {}).model(entity.model, "", given={})
    return strategy


class _Derivation:
    """From annotations to strategies; :attr:`refused` counts the fields whose values the model did not accept."""

    def __init__(self, entity: EntityType[Any], given: Mapping[str, SearchStrategy[Any]]) -> None:
        self.entity = entity
        self.given = given
        self.refused: Counter[str] = Counter()
        self.in_keys: dict[str, str] = {}
        for key in (entity.key, *(index.key for index in entity.indexes), *(u.key for u in entity.unique if u.key)):
            for component in key.components:
                self.in_keys[component.field] = component.spec or self.in_keys.get(component.field, "")
        self._open: dict[type, SearchStrategy[Any]] = {}

    def try_out(self, strategy: SearchStrategy[Any]) -> None:
        """Make a model, so that a strategy which makes none is told before any law is tried."""
        options = settings(
            max_examples=3,
            database=None,
            deadline=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
        found: list[Any] = []
        with suppress(HypothesisException):
            seed(0)(options(given(strategy)(lambda model: found.append(model))))()
        if not found:
            names = ", ".join(name for name, _ in self.refused.most_common(3))
            raise ConfigurationError(
                f"No {self.entity.model.__name__} can be derived from its annotations: it refuses {names}. Tell what is "
                f"valid there: models_of(..., {names.split(', ')[0]}=...)."
            )

    # Models

    def model(
        self, model: type[BaseModel], path: str, *, given: Mapping[str, SearchStrategy[Any]]
    ) -> SearchStrategy[Any]:
        """Return the strategy of *model*, which stands at *path* of the entity's."""
        values = {
            _input_name(name, info, model): given[name] if name in given else self._field(name, info, path)
            for name, info in model.model_fields.items()
        }
        names = {_input_name(name, info, model): name for name, info in model.model_fields.items()}

        def build(chosen: dict[str, Any]) -> Any:
            try:
                return model.model_validate(chosen)
            except ValidationError as error:
                for each in error.errors(include_url=False, include_context=False, include_input=False):
                    head = str(each["loc"][0]) if each["loc"] else model.__name__
                    self.refused[path + names.get(head, head)] += 1
                return reject()

        return st.fixed_dictionaries(values).map(build)

    def _field(self, name: str, info: FieldInfo, path: str) -> SearchStrategy[Any]:
        limits = _Limits.of(info.metadata)
        if not path and name in self.in_keys:
            limits = limits.in_key(self.in_keys[name])
        if not path and name == self.entity.version:
            return st.just(0)
        if not path and name == self.entity.ttl and int in (info.annotation, *get_args(info.annotation)):
            limits = limits.within(0, 10**10)
        values = self.of(info.annotation, path + name, limits)
        return values.filter(self._accepts(info, path + name)) if info.metadata else values

    def _accepts(self, info: FieldInfo, path: str) -> Callable[[Any], bool]:
        """Return what tells whether the field's own rules accept a value, so that not a whole model is drawn in vain."""
        adapter: TypeAdapter[Any] = TypeAdapter(Annotated[(info.annotation, *info.metadata)])  # type: ignore[arg-type]

        def accepts(value: Any) -> bool:
            try:
                adapter.validate_python(value)
            except ValidationError:
                self.refused[path] += 1
                return False
            return True

        return accepts

    # Annotations

    def of(self, annotation: Any, path: str, limits: "_Limits") -> SearchStrategy[Any]:
        """Return the strategy of values of *annotation*, the field or member at *path*, within *limits*."""
        origin = get_origin(annotation)
        if origin is Annotated:
            inner, *metadata = get_args(annotation)
            return self.of(inner, path, limits.and_also(_Limits.of(metadata)))
        if origin in (Union, UnionType):
            # Beside an alternative the empty set is refused: it is stored as nothing.
            limits = limits.and_also(_Limits(alternative=True))
            members = [
                st.none() if each is type(None) else self.of(each, path, limits) for each in get_args(annotation)
            ]
            return st.one_of(members)
        if origin is Literal:
            return st.sampled_from(get_args(annotation))
        if isinstance(annotation, NewType):
            return self.of(annotation.__supertype__, path, limits)
        if hasattr(annotation, "__value__"):
            return self.of(annotation.__value__, path, limits)
        if origin is not None and not (isinstance(origin, type) and issubclass(origin, BaseModel)):
            return self._container(origin, get_args(annotation), path, limits)
        return self._plain(annotation, path, limits)

    def _plain(self, annotation: Any, path: str, limits: "_Limits") -> SearchStrategy[Any]:
        if annotation is Any or annotation is object:
            return _anything()
        if annotation is Decimal:
            return self._decimals(path, limits)
        scalar = _SCALARS.get(annotation)
        if scalar is not None:
            return scalar(limits)
        if isinstance(annotation, type) and issubclass(annotation, Enum):
            return st.sampled_from(list(annotation))
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return self._member_model(annotation, path)
        return st.from_type(annotation)

    def _member_model(self, model: type[BaseModel], path: str) -> SearchStrategy[Any]:
        if model in self._open:
            return self._open[model]
        # Known while its fields are read, so that a model may contain itself.
        made: list[SearchStrategy[Any]] = []
        self._open[model] = st.deferred(lambda: made[0])
        made.append(self.model(model, f"{path}.", given={}))
        del self._open[model]
        return made[0]

    def _decimals(self, path: str, limits: "_Limits") -> SearchStrategy[Any]:
        scale = self.entity.scales.get(path, 0)
        if isinstance(scale, AnyScale) and limits.decimals is None:
            return st.builds(_decimal, limits.integers(10**MAX_DIGITS), st.integers(-30, 30))
        places = scale if isinstance(scale, int) else limits.decimals or 0
        if limits.decimals is not None:
            places = min(places, limits.decimals)
        return limits.integers(10**places).map(lambda units: _decimal(units, -places))

    def _container(self, origin: Any, arguments: tuple[Any, ...], path: str, limits: "_Limits") -> SearchStrategy[Any]:
        least, most = limits.sizes(_MEMBERS[min(path.count("."), len(_MEMBERS) - 1)])
        nothing = _Limits()
        if origin is dict:
            keys, values = self.of(arguments[0], path, nothing), self.of(arguments[1], path, nothing)
            return st.dictionaries(keys.filter(bool), values, min_size=least, max_size=most)
        member = self.of(arguments[0], path, nothing)
        if origin in (set, frozenset):
            make = st.sets if origin is set else st.frozensets
            least = max(least, 1 if "alternative" in limits.facts else 0)
            return make(member, min_size=least, max_size=max(least, most))
        return st.lists(member, min_size=least, max_size=most).map(origin)


def _input_name(name: str, info: FieldInfo, model: type[BaseModel]) -> str:
    config = model.model_config
    by_name = info.validation_alias is None or config.get("populate_by_name") or config.get("validate_by_name")
    return name if by_name or not isinstance(info.validation_alias, str) else info.validation_alias


def _decimal(units: int, exponent: int) -> Decimal:
    return Decimal((int(units < 0), tuple(map(int, str(abs(units)))), exponent))


def _anything() -> SearchStrategy[Any]:
    plain = st.none() | st.booleans() | st.integers(-_LARGEST, _LARGEST) | texts()
    return st.recursive(
        plain, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts(1), inner, max_size=2), max_leaves=4
    )


# Scalars within limits ------------------------------------------------------------------------------------------------


class _Limits:
    """Bounds, lengths and patterns, as annotated-types and pydantic write them; for ints those of key templates too."""

    def __init__(self, **facts: Any) -> None:
        self.facts = {name: value for name, value in facts.items() if value is not None}

    @classmethod
    def of(cls, metadata: Any) -> "_Limits":
        """Read *metadata*; what it does not know is left to the model, which refuses what does not fit."""
        facts: dict[str, Any] = {}
        for each in metadata:
            for one in each if hasattr(each, "__is_annotated_types_grouped_metadata__") else (each,):
                names = ("gt", "ge", "lt", "le", "min_length", "max_length", "pattern", "max_digits", "decimal_places")
                facts |= {name: getattr(one, name) for name in names if getattr(one, name, None) is not None}
        return cls(**facts)

    def and_also(self, other: "_Limits") -> "_Limits":
        """Return both; of two alike, *other*'s."""
        return _Limits(**self.facts | other.facts)

    def within(self, least: int, most: int) -> "_Limits":
        """Return these, and not below *least* nor above *most*."""
        return self.and_also(_Limits(ge=least, le=most))

    def in_key(self, spec: str) -> "_Limits":
        """Return these, for a component of a key with the width *spec*."""
        if not spec:
            longest = min(_KEY_CHARACTERS, self.facts.get("max_length", _KEY_CHARACTERS))
            return _Limits(
                **self.facts | {"min_length": max(1, self.facts.get("min_length", 1)), "max_length": longest}
            )
        digits, _, places = spec.partition(".")
        return _Limits(
            **self.facts | {"width": 10 ** int(digits) - 1, "decimal_places": int(places) if places else None}
        )

    @property
    def decimals(self) -> int | None:
        """The most decimal places; ``None`` where nothing limits them."""
        places: int | None = self.facts.get("decimal_places")
        return places

    def integers(self, unit: int = 1) -> SearchStrategy[int]:
        """Return whole numbers within the bounds, each counted in parts of *unit*; small ones more often."""
        least, most = -_LARGEST, _LARGEST
        width = self.facts.get("width")
        if width is not None:
            least, most = max(least, -width * unit), min(most, width * unit)
        digits = self.facts.get("max_digits")
        if digits is not None:
            least, most = max(least, 1 - 10**digits), min(most, 10**digits - 1)
        for name, edge in (("gt", 1), ("ge", 0)):
            if name in self.facts:
                least = max(least, int(self.facts[name] * unit) + edge)
        for name, edge in (("lt", -1), ("le", 0)):
            if name in self.facts:
                most = min(most, int(self.facts[name] * unit) + edge)
        small = st.integers(max(least, -20), min(most, 20)) if least <= 20 and most >= -20 else st.nothing()
        return small | st.integers(least, most)

    def sizes(self, usual: int) -> tuple[int, int]:
        """Return the least and the most members; a few more than the least where nothing limits them."""
        least: int = self.facts.get("min_length", 0)
        return least, min(self.facts.get("max_length", least + usual), least + usual)

    def texts(self) -> SearchStrategy[str]:
        """Return texts of the pattern, or of the lengths."""
        least, most = self.facts.get("min_length", 0), self.facts.get("max_length")
        pattern = self.facts.get("pattern")
        if pattern is None:
            return texts(least, most)
        fits: Callable[[str], bool] = lambda text: least <= len(text) <= (most or len(text))
        return st.from_regex(pattern.replace(r"\z", r"\Z") if isinstance(pattern, str) else pattern).filter(fits)


def _moments(limits: _Limits) -> SearchStrategy[datetime]:
    # hypothesis wants naive ends; a day from either, so that every zone has the moment within years 1 to 9999.
    earliest, latest = (datetime(year, month, day, tzinfo=UTC).replace(tzinfo=None) for year, month, day in _MOMENTS)
    return st.datetimes(min_value=earliest, max_value=latest, timezones=st.sampled_from(_ZONES))


_SCALARS: Final[Mapping[Any, Callable[[_Limits], SearchStrategy[Any]]]] = {
    str: lambda limits: limits.texts(),
    int: lambda limits: limits.integers(),
    bool: lambda limits: st.booleans(),
    bytes: lambda limits: st.binary(min_size=limits.sizes(20)[0], max_size=limits.sizes(20)[1]),
    datetime: _moments,
    date: lambda limits: st.dates(),
    UUID: lambda limits: st.uuids(),
}
