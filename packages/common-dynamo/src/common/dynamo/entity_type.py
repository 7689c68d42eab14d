"""Entity types: how one pydantic model becomes items of a table. The model itself knows nothing of it.

>>> from decimal import Decimal
>>> from pydantic import BaseModel
>>> class Invoice(BaseModel):
...     tenant: str
...     number: int
...     total: Decimal
>>> INVOICE = EntityType(Invoice, "invoice", key=Key("INV#{tenant}", "N#{number:6}"), scales={"total": 2})
>>> INVOICE.item_key("t1", 7)
{'pk': {'S': 'INV#t1'}, 'sk': {'S': 'N#1000007'}}
>>> INVOICE.decode(INVOICE.encode(Invoice(tenant="t1", number=7, total=Decimal("5")))).total
Decimal('5.00')
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from pydantic import BaseModel

from common.dynamo.arguments import require_iterable, require_kind, require_mapping, require_text, require_whole_number
from common.dynamo.declarations import check_declaration, check_index, check_unique
from common.dynamo.keys import Key
from common.dynamo.mapping import Mapped, compile_mapping
from common.dynamo.multi_attribute_keys import MultiKey
from common.dynamo.requests import AttributeValue, Constant, Item, ItemKey, Path
from common.dynamo.schema_versions import Upcast
from common.dynamo.value_codec import Scale
from common.exceptions import ConfigurationError, InvalidInput

__all__ = ["EntityType", "Index", "KeyValues", "Unique", "Upcast", "View"]

M = TypeVar("M", bound=BaseModel)
V = TypeVar("V")

KeyValues: TypeAlias = Any
"""What names one item: the values of the key's fields in template order as a tuple (a bare value where there is one
field), a mapping from field to value, or a model of the entity type."""


@dataclass(frozen=True)
class Index:
    """A global secondary index of the table, as one entity type uses it."""

    name: str
    """The slot: ``GSI1`` (attributes ``g1pk``, ``g1sk``), ``GSI2``, ... Entity types share slots; one of a
    :class:`~common.dynamo.multi_attribute_keys.MultiKey` with those that name the same attributes."""
    key: Key | MultiKey
    """Its templates, or fields whose attributes are the key themselves. An item whose component is ``None`` is not in it."""
    projection: Literal["ALL", "KEYS_ONLY"] = "ALL"
    """Equal for all entity types that share the slot. Only ALL can be read as models."""

    def __post_init__(self) -> None:
        check_index(self.name, self.key, self.projection)


@dataclass(frozen=True)
class Unique:
    """A field, or a field within a scope, whose value one item alone may have; held by a lock item per value."""

    field: str
    scope: str | Sequence[str] = ()
    """Fields within whose values the value is unique, such as ``"tenant"``."""
    normalise: Callable[[Any], Any] | None = None
    """Makes equal what counts as the same, such as ``str.casefold``; the stored field keeps its own form."""
    key: Key | None = None
    """The key of the lock item, over :attr:`fields`; without it, a hash of type, field and values."""

    def __post_init__(self) -> None:
        check_unique(self.field, self.scope, self.normalise, self.key)

    @property
    def fields(self) -> tuple[str, ...]:
        """The scope's fields, then the field."""
        scope = (self.scope,) if isinstance(self.scope, str) else tuple(self.scope)
        return (*scope, self.field)


class EntityType(Generic[M]):
    """Binds a model to keys, indexes, unique fields, version, expiry and schema. Immutable. Nothing is compiled, and how
    its parts go together is not checked, before first use, so that all faults of all plugins can be told at once.

    Attributes of an item: ``pk``, ``sk``, ``g1pk``, ``g1sk``, ...; ``_t`` type, ``_s`` schema, ``_w`` write id, ``_x``
    expiry; and the model's fields, each under its own name unless *attributes* renames it.
    """

    model: type[M]
    name: str
    key: Key
    indexes: tuple[Index, ...]
    unique: tuple[Unique, ...]
    version: str | None
    ttl: str | None
    scales: Mapping[str, Scale]
    schema: int
    upcast: Mapping[int, Upcast]
    group: str
    attributes: Mapping[str, str]
    spread: Mapping[str, str]
    _mapped: "tuple[Mapped[M], tuple[str, ...]] | None"

    def __init__(
        self,
        model: type[M],
        name: str,
        *,
        key: Key,
        indexes: Iterable[Index] = (),
        unique: Iterable[Unique] = (),
        version: str | None = None,
        ttl: str | None = None,
        scales: Mapping[str, Scale] | None = None,
        schema: int = 1,
        upcast: Mapping[int, Upcast] | None = None,
        group: str = "default",
        attributes: Mapping[str, str] | None = None,
        spread: Mapping[str, str] | None = None,
    ) -> None:
        """Describe how *model* is stored.

        Args:
            model: A pydantic model.
            name: The discriminator, stored in every item; unique in the service and never changed.
            key: Templates of the primary key, over fields of the model; see :mod:`common.dynamo.keys`.
            indexes: Secondary indexes that items of this type are in.
            unique: Fields whose values one item alone may have.
            version: An int field, default 0: every change requires the version seen and adds 1.
            ttl: A field (datetime, or int of epoch seconds) that says when an item expires. It is stored as ``_x``.
                An expired item is hidden from every read and condition, whether or not DynamoDB has deleted it.
            scales: Decimal places of every Decimal: field or dotted path to a number, a function of the row, or
                :data:`~common.dynamo.ANY_SCALE`.
            schema: Version of the stored form, from 1, stamped into every item as ``_s``. Count it up with every change
                that older items do not fit; those of newer programs are read by the fields known here.
            upcast: For each older schema version, the step that takes an item's attributes to the next one; see
                :data:`~common.dynamo.schema_versions.Upcast`. Older items pass them on every read, and a write keeps
                the result.
            group: Types of one group share a table; ``Database.connect(tables=...)`` binds groups to tables.
            attributes: Field to attribute name, where they differ.
            spread: Dict fields stored as top-level attributes ``<prefix><key>``: field to prefix.

        Raises:
            ConfigurationError: A parameter is of another kind of thing; it names all of them.
        """
        given: dict[str, Any] = {
            "model": model,
            "name": name,
            "key": key,
            "indexes": tuple(require_iterable("indexes", indexes, "Index objects")),
            "unique": tuple(require_iterable("unique", unique, "Unique objects")),
            "version": version,
            "ttl": ttl,
            "scales": dict(require_mapping("scales", scales or {})),
            "schema": schema,
            "upcast": dict(require_mapping("upcast", upcast or {})),
            "group": group,
            "attributes": dict(require_mapping("attributes", attributes or {})),
            "spread": dict(require_mapping("spread", spread or {})),
        }
        check_declaration(given, index=Index, unique=Unique)
        for slot, value in given.items():
            object.__setattr__(self, slot, value)
        object.__setattr__(self, "_mapped", None)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"An EntityType is immutable; make a new one with another {name}.")

    def __repr__(self) -> str:
        return f"<EntityType {self.name!r} of {self.model.__name__}>"

    # Compilation

    def faults(self) -> tuple[str, ...]:
        """Return what is wrong with this declaration, each in one sentence; empty when it can be used."""
        return self._compiled()[1]

    @property
    def mapped(self) -> Mapped[M]:
        """The compiled form.

        Raises:
            ConfigurationError: The declaration has faults; it names all of them.
        """
        mapped, faults = self._compiled()
        if faults:
            raise ConfigurationError(f"Entity type {self.name!r}: " + "; ".join(faults) + ".")
        return mapped

    def _compiled(self) -> tuple[Mapped[M], tuple[str, ...]]:
        compiled = self._mapped
        if compiled is None:
            # Two threads may both compile it; the results are equal and one of them stays.
            compiled = compile_mapping(self)
            object.__setattr__(self, "_mapped", compiled)
        return compiled

    # Pure helpers

    def item_key(self, *values: Any, **fields: Any) -> ItemKey:
        """Return the primary key made of *values* in template order, or of *fields* by name.

        Raises:
            InvalidInput: A value is missing, empty, of another type or too wide.
        """
        if values and fields:
            raise InvalidInput(f"The key of {self.name} is given by position or by name, not both.")
        return self.mapped.item_key(fields or values)

    def encode(self, model: M) -> dict[str, AttributeValue]:
        """Return the whole item of *model*: key, index keys, ``_t``, ``_s`` and its fields; without a write id.

        Raises:
            InvalidInput: A value cannot be stored as declared.
        """
        return self.mapped.encode(model)

    def decode(self, item: Item) -> M:
        """Return the model in *item*.

        Raises:
            InvalidItem: It is an item of another type, or stored data does not fit the model.
        """
        require_mapping("item", item)
        return self.mapped.decode(item)

    def index_keys(self, model: M) -> dict[str, AttributeValue]:
        """Return the index key attributes of *model*; none for an index that it is not in.

        Raises:
            InvalidInput: A component cannot be stored as declared.
        """
        self.mapped.require_own(model)
        return self.mapped.index_keys(vars(model))

    def path(self, field: str, *rest: str | int) -> Path:
        """Return where *field*, or a member inside it, is stored.

        Raises:
            ConfigurationError: The model has no such field.
        """
        require_kind("field", field, str)
        for part in rest:
            if isinstance(part, str):
                require_text("A member of the path", part)
            else:
                require_whole_number("A position in the path", part, least=0)
        return self.mapped.path(field, rest)

    def constant(self, field: str, value: Any) -> Constant:
        """Return *value* as it is stored in *field*; for ready-made conditions and updates.

        Raises:
            InvalidInput: It does not fit the field.
            ConfigurationError: The model has no such field.
        """
        return Constant(self.mapped.encode_field(require_kind("field", field, str), value))


@dataclass(frozen=True)
class View(Generic[M, V]):
    """A read-only model made of another entity's item, such as a balance of an account.

    Several views of one item are decoded from one read, so they always agree. Nothing is written through a view.
    """

    name: str
    of: EntityType[M]
    read: Callable[[M], V]
    """Makes the view of the entity's model; pure."""

    def decode(self, item: Item) -> V:
        """Return the view of *item*.

        Raises:
            InvalidItem: The item does not fit the entity type.
        """
        return self.read(self.of.decode(item))
