"""The compiled form of an entity type: model <-> item, keys included."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel

from common.dynamo.assignments import AssignmentForm
from common.dynamo.bound_keys import BoundKey, QueryableKey
from common.dynamo.codec import Misfit, ModelCodec, RowScale, compile_codec, refusal
from common.dynamo.exceptions import InvalidItem
from common.dynamo.keys import PARTITION_LIMIT, SORT_LIMIT, BoundTemplate, Key
from common.dynamo.layout import EXPIRY, PARTITION, SCHEMA, SORT, TYPE, index_attributes, is_reserved
from common.dynamo.multi_attribute_keys import BoundMultiKey, MultiKey, bind_multi_key
from common.dynamo.requests import AttributeValue, Constant, Item, ItemKey, Path
from common.dynamo.schema_versions import SchemaVersions
from common.dynamo.shards import Sharding, shard_partition
from common.dynamo.value_classes import dataclass
from common.dynamo.value_codec import ValueCodec
from common.exceptions import ConfigurationError, FieldError, InvalidInput

if TYPE_CHECKING:
    from common.dynamo.entity_type import EntityType

__all__ = ["BoundKey", "Mapped", "compile_mapping"]

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class WholeItemForm:
    """What the updates that store a whole model have in common, for one choice of optional attributes."""

    assignments: AssignmentForm
    values: Callable[[Item], tuple[AttributeValue, ...]]
    """Of an item, in the order of the assignments: the type's and schema's stamps and the write id make it two or more."""
    remove: tuple[Path, ...]
    add: tuple[tuple[Path, Constant], ...]


@dataclass(frozen=True, slots=True)
class Mapped(Generic[M]):
    """An entity type that is ready to use."""

    entity: "EntityType[M]"
    codec: ModelCodec[M]
    key: BoundKey
    indexes: Mapping[str, BoundKey]
    stamps: Mapping[str, AttributeValue]
    """``_t`` and ``_s``."""
    field_of: Mapping[str, str]
    """Attribute name to field; spread fields are apart."""
    lock_keys: Mapping[str, BoundKey]
    """Unique field to the key of its locks, where a template gives it."""
    versions: SchemaVersions
    """The schema of the type, and the steps to it from older ones."""
    native: Mapping[str, BoundMultiKey] = field(default_factory=dict)
    """The indexes whose keys are attributes of the model themselves; nothing is written for them."""
    forms: dict[tuple[object, ...], WholeItemForm] = field(default_factory=dict, repr=False, compare=False)
    """Made so far, by whether the version is counted up and the names of the item's attributes."""

    # Keys

    def row(self, key: Any) -> Mapping[str, Any]:
        """Return the key fields that *key* gives, field name to value.

        Raises:
            InvalidInput: *key* has another number of values, or other names.
        """
        if type(key) is tuple and len(key) == len(self.key.fields):
            return dict(zip(self.key.fields, key, strict=True))
        if isinstance(key, self.entity.model):
            return vars(key)
        if isinstance(key, Mapping):
            if key.keys() - set(self.key.fields):
                wanted = ", ".join(self.key.fields)
                raise InvalidInput(f"The key of {self.entity.name} is made of {wanted}; other fields were given.")
            return key
        values = key if isinstance(key, tuple) else (key,)
        if len(values) != len(self.key.fields):
            wanted = ", ".join(self.key.fields)
            raise InvalidInput(f"The key of {self.entity.name} is ({wanted}); {len(values)} values were given.")
        return dict(zip(self.key.fields, values, strict=True))

    def queryable(self, index: str | None) -> QueryableKey | None:
        """Return the key of the table, or of *index*; ``None`` where the type is not in it."""
        if index is None:
            return self.key
        return self.indexes.get(index) or self.native.get(index)

    def item_key(self, key: Any) -> dict[str, AttributeValue]:
        """Return the primary key of the item that *key* names.

        Raises:
            InvalidInput: A value is missing, empty, of another type or too wide.
        """
        return self.key.attributes(self.row(key))

    def index_keys(self, row: Mapping[str, Any]) -> dict[str, AttributeValue]:
        """Return the index key attributes of *row*; none for an index where a component is ``None``."""
        keys: dict[str, AttributeValue] = {}
        for bound in self.indexes.values():
            if all(row.get(name) is not None for name in bound.fields):
                keys.update(bound.attributes(row))
        return keys

    # Items

    def require_own(self, model: object, name: str = "model") -> None:
        """Refuse what is no model of this type; *name* is the parameter's.

        Raises:
            InvalidInput: It is something else.
        """
        if not isinstance(model, self.entity.model):
            message = f"{self.entity.name} stores {self.entity.model.__name__}, not {type(model).__name__}."
            raise InvalidInput(message, errors=[FieldError(f"/{name}", "invalid_type", message)])

    def encode(self, model: M) -> dict[str, AttributeValue]:
        """Return the whole item of *model*, without a write id."""
        self.require_own(model)
        return self.encode_row(vars(model))

    def encode_row(self, row: Mapping[str, Any]) -> dict[str, AttributeValue]:
        """Return the whole item of a *row*, field name to value, without a write id."""
        return self._item(row, self.codec.encode(row))

    def _item(self, row: Mapping[str, Any], attributes: Mapping[str, AttributeValue]) -> dict[str, AttributeValue]:
        item = {**self.key.attributes(row), **self.stamps, **attributes}
        if self.indexes:
            item.update(self.index_keys(row))
        for native in self.native.values():
            native.check(row)
        return item

    def store(self, row: Mapping[str, Any]) -> tuple[dict[str, AttributeValue], M]:
        """Return the whole item of a *row*, without a write id, and the model as a reader of it would see it.

        Raises:
            InvalidInput: A value cannot be stored, or the model does not fit its own annotations.
        """
        codec = self.codec
        if codec.is_plain:
            try:
                attributes, values = codec.fields.store(row)
                return self._item(row, attributes), codec.validated(values)
            except InvalidInput:
                raise
            except Exception:  # noqa: BLE001, S110 - whatever it was, the way below tells it
                pass
        item = self.encode_row(row)
        return item, self.read_back(item)

    def read_back(self, item: Item) -> M:
        """Return the model as a reader of *item* would see it; so nothing is stored that cannot be read.

        Raises:
            InvalidInput: The model does not fit its own annotations.
        """
        try:
            return self.codec.decode(item)
        except Misfit as misfit:
            message = f"{misfit.field or 'the model'} does not fit its annotation ({misfit.wanted})."
            raise InvalidInput(message, errors=[FieldError(f"/{misfit.field}", "invalid_value", message)]) from None

    def decode(self, item: Item) -> M:
        """Return the model in *item*, which passes the upcast steps first where it is older; raises ``InvalidItem``."""
        if self.codec.is_plain and item.get(TYPE) == self.stamps[TYPE] and item.get(SCHEMA) == self.stamps[SCHEMA]:
            try:
                return self.codec.decode_plain(item)
            except Exception:  # noqa: BLE001, S110 - whatever it was, the way below tells it
                pass
        return self._decode(item)

    def decode_all(self, items: Iterable[Item]) -> list[M]:
        """Same as :meth:`decode`, for the items of a page."""
        codec, kind, schema = self.codec, self.stamps[TYPE], self.stamps[SCHEMA]
        if not codec.is_plain:
            return [self._decode(item) for item in items]
        models: list[M] = []
        read, validate = codec.fields.reader(), codec.model.__pydantic_validator__.validate_python
        for item in items:
            try:
                if item.get(TYPE) != kind or item.get(SCHEMA) != schema:
                    models.append(self._decode(item))
                else:
                    models.append(validate(read(item), strict=True))
            except Exception:  # noqa: BLE001 - whatever it was, the way below tells it
                models.append(self._decode(item))
        return models

    def _decode(self, item: Item) -> M:
        stamps = self.stamps
        if item.get(TYPE) != stamps[TYPE]:
            raise self._foreign(item)
        if item.get(SCHEMA) != stamps[SCHEMA] and self.is_outdated(item):
            return self._decode_outdated(item)
        try:
            return self.codec.decode(item)
        except Misfit as misfit:
            raise self._invalid(item, misfit) from None

    def _decode_outdated(self, item: Item) -> M:
        form = self.upcast(item)
        try:
            model = self.codec.decode(form)
        except Misfit as misfit:
            raise self._invalid(form, misfit, f", after the upcast steps from schema {self.schema_of(item)},") from None
        self.require_own_key(model, item)
        return model

    def require_own_key(self, model: M, item: Item) -> None:
        """Refuse *item* where *model*, which was read from it, would be stored at another key.

        Raises:
            InvalidItem: The key's fields do not make the key of *item*.
        """
        if self.key.attributes(vars(model)) != _primary(item):
            raise InvalidItem(
                f"A stored {self.entity.name} ({self.entity.key.text}) does not hold the fields of its own primary key. A key "
                "never changes: let the upcast steps leave these fields as they are, or copy such items to new ones.",
                entity=self.entity.name,
                key=_primary(item),
            )

    def schema_of(self, item: Item) -> int:
        """Return the schema that *item* was written in, 1 where it carries none; raises ``InvalidItem``."""
        return self.versions.of(item)

    def is_outdated(self, item: Item) -> bool:
        """Tell whether *item*, of this type, is of an older schema than the type; raises ``InvalidItem``."""
        return self.versions.is_older(item)

    def upcast(self, item: Item) -> Item:
        """Return *item* in the form of the type's schema: a copy, or *item* itself where it is not outdated.

        Raises:
            InvalidItem: A step failed, or returned what is no item.
        """
        return self.versions.upcast(item)

    def _foreign(self, item: Item) -> InvalidItem:
        stamp = item.get(TYPE)
        found = stamp.get("S") if isinstance(stamp, Mapping) else None
        told = f"an item of type {found!r}" if found else "an item without a type"
        return InvalidItem(
            f"At a key of {self.entity.name} ({self.entity.key.text}) stands {told}.",
            entity=self.entity.name,
            field=TYPE,
            stored_type="S" if found else "",
            key=_primary(item),
        )

    def _invalid(self, item: Item, misfit: Misfit, when: str = "") -> InvalidItem:
        stored = f"is stored as {misfit.stored_type}" if misfit.stored_type else "is absent"
        return InvalidItem(
            f"A stored {self.entity.name} ({self.entity.key.text}){when} does not fit its model: "
            f"{misfit.field or 'the item'} {stored}; {misfit.wanted}. Repair the item or add an upcast step.",
            entity=self.entity.name,
            field=misfit.field,
            stored_type=misfit.stored_type,
            key=_primary(item),
        )

    # Fields

    def value_codec(self, field: str) -> ValueCodec:
        """Return the codec of *field*; raises ``ConfigurationError`` where the model has no such field."""
        plan = self.codec.plans.get(field)
        if plan is None:
            raise ConfigurationError(
                f"{self.entity.name} has no stored field {field!r}; it has: {', '.join(self.codec.plans)}."
            )
        return plan.codec

    def path(self, field: str, rest: Sequence[str | int] = ()) -> Path:
        """Return where *field*, or the member *rest* inside it, is stored."""
        spread = self.codec.spreads.get(field)
        if spread is None:
            self.value_codec(field)
            return Path((self.codec.plans[field].attribute, *rest))
        if not rest or not isinstance(rest[0], str):
            raise ConfigurationError(f"{field} of {self.entity.name} is spread: name one of its keys.")
        return Path((spread.prefix + rest[0], *rest[1:]))

    def encode_field(self, field: str, value: Any) -> AttributeValue:
        """Return *value* as *field* stores it; a member of a spread field is encoded as a member."""
        spread = self.codec.spreads.get(field)
        codec = spread.member if spread is not None else self.value_codec(field)
        try:
            return codec.encode(value)
        except (TypeError, ValueError, KeyError, RecursionError) as error:
            raise refusal(field, error) from None

    def scale_of(self, path: Path) -> tuple[RowScale, str] | None:
        """Return the scale by function that governs what is stored at *path*, and the key it is asked for."""
        if not self.codec.row_scales:
            return None
        head = str(path.parts[0])
        for scaled in self.codec.row_scales:
            spread = self.codec.spreads.get(scaled.field)
            if spread is not None and head.startswith(spread.prefix):
                return scaled, head[len(spread.prefix) :]
            if spread is None and self.field_of.get(head) == scaled.field:
                return scaled, str(path.parts[-1]) if len(path.parts) > 1 else scaled.field
        return None


def _primary(item: Item) -> ItemKey:
    return {name: item[name] for name in (PARTITION, SORT) if name in item}


# Compilation ----------------------------------------------------------------------------------------------------------


def compile_mapping(entity: "EntityType[M]") -> "tuple[Mapped[M], tuple[str, ...]]":
    """Return the compiled form of *entity* and its faults; with faults, the first is not to be used."""
    codec, faults = compile_codec(
        entity.model,
        attributes=entity.attributes,
        spread=entity.spread,
        scales=entity.scales,
        ttl=entity.ttl,
    )
    kinds = {name: plan.codec.kind for name, plan in codec.plans.items()}
    key = _sharded(_bind(entity.key, (PARTITION, SORT), kinds, faults), entity.key)
    indexes, native = _bind_indexes(entity, codec, key, faults)
    faults += [*_key_faults(entity, codec), *_attribute_faults(codec), *_option_faults(entity, codec)]
    stamps: dict[str, AttributeValue] = {TYPE: {"S": entity.name}, SCHEMA: {"N": str(entity.schema)}}
    field_of = {plan.attribute: name for name, plan in codec.plans.items()}
    lock_keys = {
        unique.field: _bind(unique.key, (PARTITION, SORT), kinds, faults) for unique in entity.unique if unique.key
    }
    versions = _versions(entity, codec)
    return Mapped(entity, codec, key, indexes, stamps, field_of, lock_keys, versions, native), tuple(faults)


def _bind_indexes(
    entity: "EntityType[Any]", codec: ModelCodec[Any], primary: BoundKey, faults: list[str]
) -> tuple[dict[str, BoundKey], dict[str, BoundMultiKey]]:
    """Return the indexes that are keyed by templates and those that are keyed by attributes of the model."""
    kinds = {name: plan.codec.kind for name, plan in codec.plans.items()}
    indexes: dict[str, BoundKey] = {}
    native: dict[str, BoundMultiKey] = {}
    for index in entity.indexes:
        try:
            names = index_attributes(index.name)
        except ValueError as error:
            faults.append(str(error))
            continue
        if index.name in indexes or index.name in native:
            faults.append(f"index {index.name} is named twice")
        if isinstance(index.key, MultiKey):
            bound = bind_multi_key(index.name, index.key, codec.plans, faults)
            native.update({} if bound is None else {index.name: bound})
        else:
            indexes[index.name] = _sharded(_bind(index.key, names, kinds, faults), index.key, of=primary)
    return indexes, native


def _versions(entity: "EntityType[Any]", codec: ModelCodec[Any]) -> SchemaVersions:
    counter = codec.plans.get(entity.version or "")
    return SchemaVersions(
        entity.name,
        entity.schema,
        entity.upcast,
        template=entity.key.text,
        attributes=frozenset(plan.attribute for plan in codec.plans.values()),
        version=None if counter is None else counter.attribute,
    )


def _bind(key: Key, names: tuple[str, str], kinds: Mapping[str, type], faults: list[str]) -> BoundKey:
    bound = []
    suffix = len(shard_partition("", 0)) if key.shards > 1 else 0
    for template, limit in ((key.partition, PARTITION_LIMIT - suffix), (key.sort, SORT_LIMIT)):
        try:
            bound.append(BoundTemplate.bind(template, kinds, limit=limit))
        except ConfigurationError as error:
            faults.append(str(error).rstrip("."))
            bound.append(BoundTemplate(template, (), (), lambda values: "", limit))
    return BoundKey(names, bound[0], bound[1], key.fields)


def _sharded(bound: BoundKey, key: Key, *, of: BoundKey | None = None) -> BoundKey:
    """Return *bound* with the shards of *key*, which follow from the primary key *of* the item; ``None``: this is it."""
    if key.shards == 1:
        return bound
    primary = of or bound
    return replace(bound, sharding=Sharding(key.shards, primary.partition, primary.sort))


def _key_faults(entity: "EntityType[Any]", codec: ModelCodec[Any]) -> Iterable[str]:
    for name in entity.key.fields:
        plan = codec.plans.get(name)
        if plan is not None and plan.codec.nullable:
            yield f"key field {name} may be None; a primary key needs a value"
        if name in (entity.version, entity.ttl):
            yield f"key field {name} changes with every write; it cannot be part of the primary key"


def _attribute_faults(codec: ModelCodec[Any]) -> Iterable[str]:
    taken: dict[str, str] = {}
    for name, plan in codec.plans.items():
        if is_reserved(plan.attribute) and plan.attribute != EXPIRY:
            yield f"{name} would be stored as {plan.attribute!r}, which belongs to the layer; rename it in attributes="
        if plan.attribute in taken:
            yield f"{name} and {taken[plan.attribute]} would both be stored as {plan.attribute!r}"
        taken[plan.attribute] = name
    prefixes = {spread.prefix: name for name, spread in codec.spreads.items()}
    for prefix, name in prefixes.items():
        if is_reserved(prefix):
            yield f"the prefix {prefix!r} of {name} belongs to the layer"
        for other in [*taken, *("pk", "sk", "g1pk", "g1sk"), *(each for each in prefixes if each != prefix)]:
            if prefix and other.startswith(prefix):
                yield f"the prefix {prefix!r} of {name} also begins the attribute {other!r}"


def _option_faults(entity: "EntityType[Any]", codec: ModelCodec[Any]) -> Iterable[str]:
    if not entity.name or entity.name.startswith("_"):
        yield "the name of an entity type is not empty and does not begin with '_'"
    if entity.ttl is not None and entity.ttl not in codec.plans:
        yield f"ttl names {entity.ttl!r}, which the model does not have"
    if entity.ttl is not None and entity.ttl in entity.attributes:
        yield f"{entity.ttl} is the ttl field: it is stored as {EXPIRY}, the table's one TTL attribute, and not renamed"
    if entity.version is not None:
        yield from _version_faults(entity, codec)
    missing = [step for step in range(1, entity.schema) if step not in entity.upcast]
    if missing:
        yield f"upcast has no step from schema {', '.join(map(str, missing))} to the next, up to {entity.schema}"
    if entity.schema < 1 or any(step >= entity.schema or step < 1 for step in entity.upcast):
        yield "upcast steps start at schema 1 and end below the schema of the type"
    yield from _unique_faults(entity, codec)


def _version_faults(entity: "EntityType[Any]", codec: ModelCodec[Any]) -> Iterable[str]:
    plan = codec.plans.get(entity.version or "")
    if plan is None:
        yield f"version names {entity.version!r}, which the model does not have"
    elif plan.codec.kind is not int or plan.codec.nullable:
        yield f"the version field {entity.version} must be an int, with the default 0"
    elif any(entity.version in index.key.fields for index in entity.indexes if isinstance(index.key, Key)):
        yield f"the version field {entity.version} changes with every write; it cannot be part of an index key"


def _unique_faults(entity: "EntityType[Any]", codec: ModelCodec[Any]) -> Iterable[str]:
    seen: set[str] = set()
    for unique in entity.unique:
        if unique.field in seen:
            yield f"unique field {unique.field} is named twice"
        seen.add(unique.field)
        if unique.key is not None and unique.key.shards > 1:
            yield f"the lock key of unique field {unique.field} has shards; a lock has a partition of its own without them"
        if unique.key is not None and set(unique.key.fields) != set(unique.fields):
            yield f"the lock key of unique field {unique.field} must be made of {', '.join(unique.fields)}"
        for name in unique.fields:
            if name not in codec.plans:
                yield f"unique names {name!r}, which the model does not have"
            elif codec.plans[name].codec.tags - {"S", "N", "NULL"}:
                yield f"unique field {name} must be a text or a number"
