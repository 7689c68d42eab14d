"""What entity types of one table must agree on where they share indexes: keys of slots, and types of attributes.

An index whose key is made of models' own attributes takes in every item of the table that has them, and DynamoDB refuses
every item that stores one of them as another type. So it concerns types that do not name the index, too.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from common.dynamo.entity_type import EntityType
from common.dynamo.requests import KeySchema

__all__ = ["slot_clashes"]


def slot_clashes(entity: EntityType[Any], theirs: EntityType[Any], named: str) -> Iterator[str]:
    """Yield in what *entity* cannot live in one table with *theirs*, each in a sentence for its author.

    Args:
        entity: The type at fault.
        theirs: One that was there before.
        named: That one and its origin, in words.
    """
    if entity.faults() or theirs.faults():
        return  # told by themselves
    projections = {index.name: index.projection for index in theirs.indexes}
    mine, others = _keys(entity), _keys(theirs)
    for index in entity.indexes:
        if index.name not in projections:
            continue
        if projections[index.name] != index.projection:
            yield f"index {index.name} has projection {index.projection} here and {projections[index.name]} in {named}"
        if mine[index.name] != others[index.name]:
            yield f"index {index.name} is keyed by {_told(mine[index.name])} here and by {_told(others[index.name])} in {named}"
    yield from _type_clashes(mine, theirs, f"here, and is stored as {{}} by {named}")
    yield from _type_clashes(others, entity, f"in {named}, and is stored as {{}} here")


def _keys(entity: EntityType[Any]) -> dict[str, KeySchema | None]:
    """Return the key of each index: its schema, or ``None`` where text templates make it."""
    native = entity.mapped.native
    return {index.name: native[index.name].schema if index.name in native else None for index in entity.indexes}


def _told(schema: KeySchema | None) -> str:
    if schema is None:
        return "text templates"
    return ", ".join(f"{name} ({kind})" for name, kind in (*schema.partitions, *schema.sorts))


def _type_clashes(keys: Mapping[str, KeySchema | None], entity: EntityType[Any], where: str) -> Iterator[str]:
    """Yield the attributes of *keys* that *entity* stores as another type, or may store as NULL."""
    for index, schema in keys.items():
        for name, kind in () if schema is None else (*schema.partitions, *schema.sorts):
            stored = _stored(entity, name)
            if stored - {kind}:
                types = " or ".join(sorted(stored))
                yield f"attribute {name!r} has type {kind} in the key of index {index} {where.format(types)}"


def _stored(entity: EntityType[Any], attribute: str) -> frozenset[str]:
    """Return the types as which *entity* may store *attribute*; none where it does not."""
    codec = entity.mapped.codec
    plan = codec.plans.get(entity.mapped.field_of.get(attribute, ""))
    if plan is not None:
        return plan.codec.tags if plan.keeps_null else plan.codec.tags - {"NULL"}
    for spread in codec.spreads.values():
        if attribute.startswith(spread.prefix):
            return spread.member.tags
    return frozenset()
