"""Rewriting a stored item in the form that its entity type has now: same content, same version, the new schema. Pure.

What the upcast steps make of an item is read at once and stored by the next write. Whatever refers to fields by their
paths (a change, a condition) can only be applied to the new form, so an older item is rewritten first; so does a backfill.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, TypeVar

from pydantic import BaseModel

from common.dynamo import requests as rq
from common.dynamo.arguments import require_model
from common.dynamo.exceptions import InvalidItem
from common.dynamo.layout import PARTITION, PARTITION_PATH, SCHEMA, SORT, WRITE_ID
from common.dynamo.locks import involved_fields, locks_of_change
from common.dynamo.mapping import Mapped
from common.dynamo.requests import AttributeValue, Item
from common.dynamo.sizes import ITEM_LIMIT, item_size
from common.dynamo.value_codec import Decode
from common.dynamo.writes import LockWrite, Write
from common.exceptions import InvalidInput

__all__ = ["build_rewrite", "rewrite_id"]

M = TypeVar("M", bound=BaseModel)


def build_rewrite(
    mapped: Mapped[M], table: str, item: Item, *, now: float, write_id: str, content: M | None = None
) -> Write[M]:
    """Return the write that stores *item* as its type would store it now.

    One UpdateItem that SETs what differs and REMOVEs what the steps dropped; attributes that the type does not have stay,
    and so does the version. It holds only while the item is what was read: same schema, version and write id. Where the
    steps changed a unique field, a transaction that moves its lock too.

    Args:
        mapped: The entity type.
        table: Where the item is.
        item: Whole, as it was read; of an older schema, or of the type's own (then its index keys are made again).
        now: Epoch seconds, for locks that have expired.
        write_id: Of this write.
        content: What to store instead of the item's own content; then the version is one more than the stored one.

    Raises:
        InvalidItem: The item cannot be read, or is of another type, or its new form cannot be stored.
        InvalidInput: The item is of a newer schema, whose form is not known here; or *content* has another key.
    """
    if mapped.schema_of(item) > mapped.entity.schema:
        raise InvalidInput(
            f"A {mapped.entity.name} of schema {mapped.schema_of(item)} was given, and schema {mapped.entity.schema} is the "
            "latest one known here: leave it to the programs that wrote it."
        )
    model = mapped.decode(item)
    mapped.require_own_key(model, item)
    if content is not None:
        model = _changed(mapped, model, content)
    form = _new_form(mapped, item, model, write_id)
    key = {name: item[name] for name in (PARTITION, SORT)}
    sets = tuple((rq.Path((name,)), rq.Constant(value)) for name, value in form.items() if item.get(name) != value)
    removes = tuple(rq.Path((name,)) for name in item if name not in form)
    update = rq.Update(set=sets, remove=removes)
    return Write(
        verb="rewrite",
        mapped=mapped,
        main=rq.UpdateItem(table=table, key=key, update=update, condition=_as_read(mapped, item)),
        locks=_moved_locks(mapped, table, item, vars(model), now, write_id),
        write_id=write_id,
        now=now,
        expected=_version(mapped, item),
        model=model,
    )


def _changed(mapped: Mapped[M], stored: M, content: M) -> M:
    """Return *content* as it will be read, with the version after the *stored* one: every change of content counts."""
    require_model("content", content, mapped.entity.model)
    if mapped.item_key(content) != mapped.item_key(stored):
        raise InvalidInput(f"The new content of a {mapped.entity.name} has another key; a key never changes.")
    version = mapped.entity.version
    row = vars(content) if version is None else {**vars(content), version: getattr(stored, version) + 1}
    return mapped.read_back(mapped.encode_row(row))


def rewrite_id(write_id: str, item: Item) -> str:
    """Return the id of the rewrite of *item* that the write *write_id* needs; 26 hex digits.

    It is not the write's own, since finding that one in the item means that the write itself was applied.
    """
    found = [item.get(name) for name in (PARTITION, SORT, WRITE_ID)]
    return sha256(f"rewrite\0{write_id}\0{found}".encode()).hexdigest()[:26]


def _new_form(mapped: Mapped[M], item: Item, model: M, write_id: str) -> dict[str, AttributeValue]:
    """Return the whole item: what the type maps as it encodes it, and what else the steps have left."""
    try:
        encoded = mapped.encode_row(vars(model))
    except InvalidInput as refused:
        raise InvalidItem(
            f"A stored {mapped.entity.name} ({mapped.entity.key.text}) cannot be rewritten in schema "
            f"{mapped.entity.schema}: {refused} Correct the upcast steps, or repair the item.",
            entity=mapped.entity.name,
            key={name: item[name] for name in (PARTITION, SORT)},
        ) from None
    form = {name: value for name, value in mapped.upcast(item).items() if not _is_mapped(mapped, name)}
    form.update(encoded)
    form[WRITE_ID] = {"S": write_id}
    if item_size(form) > ITEM_LIMIT:
        raise InvalidItem(
            f"A stored {mapped.entity.name} ({mapped.entity.key.text}) would be over {ITEM_LIMIT // 1024} KB in schema "
            f"{mapped.entity.schema}, DynamoDB's limit for an item.",
            entity=mapped.entity.name,
            key={name: item[name] for name in (PARTITION, SORT)},
        )
    return form


def _is_mapped(mapped: Mapped[Any], attribute: str) -> bool:
    """Tell whether the type itself says what *attribute* holds, or that it is absent."""
    return (
        attribute in mapped.field_of
        or any(attribute in bound.names for bound in mapped.indexes.values())
        or any(attribute.startswith(spread.prefix) for spread in mapped.codec.spreads.values())
    )


def _as_read(mapped: Mapped[Any], item: Item) -> rq.Condition:
    """Return the condition that nobody has written the item since it was read."""
    version = mapped.versions.version
    names = (SCHEMA, WRITE_ID) if version is None else (SCHEMA, WRITE_ID, version)
    return rq.And((rq.Exists(PARTITION_PATH), *(_same(rq.Path((name,)), item.get(name)) for name in names)))


def _same(path: rq.Path, stored: AttributeValue | None) -> rq.Condition:
    return rq.NotExists(path) if stored is None else rq.Compare("=", path, rq.Constant(stored))


def _version(mapped: Mapped[Any], item: Item) -> int | None:
    """Return the version in *item*; ``None`` where it has none yet."""
    stored = item.get(mapped.versions.version or "", {}).get("N")
    return None if stored is None else int(stored)


def _moved_locks(
    mapped: Mapped[Any], table: str, item: Item, row: Mapping[str, Any], now: float, write_id: str
) -> tuple[LockWrite, ...]:
    """Return the locks of unique fields that the steps have changed; none where the stored fields are the model's."""
    before = dict(row)
    for name in involved_fields(mapped):
        plan = mapped.codec.plans[name]
        before[name] = _decoded(plan.codec.decode, item.get(plan.attribute))
    return locks_of_change(mapped, table, before, row, now, write_id, may_own=True)


def _decoded(decode: Decode, stored: AttributeValue | None) -> Any:
    try:
        return None if stored is None else decode(stored)
    except (KeyError, TypeError, ValueError, ArithmeticError):
        # The field in an older form, of which the type as declared here has made no lock.
        return None
