"""The entity types of one database: checked against each other, every fault told at once and by name."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from common.dynamo.entity_type import EntityType
from common.dynamo.index_slots import slot_clashes
from common.dynamo.keys import templates_overlap
from common.dynamo.value_classes import dataclass
from common.exceptions import ConfigurationError, PluginFailure, PluginLoadError

__all__ = ["Registered", "check_entity_types"]


@dataclass(frozen=True, slots=True)
class Registered:
    """An entity type and who brought it."""

    entity: EntityType[Any]
    plugin: str | None = None
    """``None`` for the service itself."""
    dist: str | None = None
    version: str | None = None

    @property
    def named(self) -> str:
        """The type and its origin, for messages."""
        if self.plugin is None:
            return f"{self.entity.name!r} of the service itself"
        brought_by = "registered in code" if self.dist is None else f"{self.dist} {self.version}"
        return f"{self.entity.name!r} of plugin {self.plugin} ({brought_by})"


def check_entity_types(registered: Sequence[Registered], table_of: Mapping[str, str], default: str) -> None:
    """Refuse types that are faulty by themselves or cannot live together.

    Args:
        registered: In the order in which they came; of two that clash the later is at fault.
        table_of: Group to table name.
        default: The table of every other group.

    Raises:
        PluginLoadError: Some fault is a plugin's; all faults are named with plugin, distribution and version.
        ConfigurationError: All faults are the service's own.
    """
    failures = [
        PluginFailure(one.plugin or "the service itself", one.dist, one.version, "common_entity_types", cause)
        for position, one in enumerate(registered)
        for cause in _faults(one, registered[:position], table_of, default)
    ]
    if not failures:
        return
    if any(one.plugin for one in registered if one.plugin in {failure.plugin for failure in failures}):
        raise PluginLoadError(failures)
    raise ConfigurationError("Entity types cannot be used: " + "; ".join(failure.cause for failure in failures) + ".")


def _faults(one: Registered, earlier: Iterable[Registered], table_of: Mapping[str, str], default: str) -> Iterable[str]:
    entity = one.entity
    for fault in entity.faults():
        yield f"entity type {entity.name!r}: {fault}"
    for other in earlier:
        if other.entity is entity:
            continue
        if other.entity.name == entity.name:
            yield f"entity type {entity.name!r} is already given: {other.named}"
        mine, theirs = (table_of.get(each.group, default) for each in (entity, other.entity))
        if mine == theirs:
            yield from _clashes(entity, other)
        elif _share_partitions(entity, other.entity):
            yield (
                f"entity type {entity.name!r} shares its partitions ({entity.key.partition_text!r}) with {other.named}, but "
                f"group {entity.group!r} is bound to table {mine!r} and group {other.entity.group!r} to {theirs!r}; bind "
                "both to one table, give both one group, or begin the partition key with a literal of its own"
            )


def _share_partitions(one: EntityType[Any], other: EntityType[Any]) -> bool:
    """Tell whether items of both are made to lie in one partition: the same literals name it, and sort keys tell them apart.

    Where no literal begins it, such as in ``{tenant}``, that may be chance.
    """
    mine, theirs = one.key.stored_partition.literals, other.key.stored_partition.literals
    return mine == theirs and bool(mine[0]) and not templates_overlap(one.key.sort, other.key.sort)


def _clashes(entity: EntityType[Any], other: Registered) -> Iterable[str]:
    theirs = other.entity
    if all(
        templates_overlap(mine, their)
        for mine, their in (
            (entity.key.stored_partition, theirs.key.stored_partition),
            (entity.key.sort, theirs.key.sort),
        )
    ):
        yield (
            f"entity type {entity.name!r}: its key {entity.key.text!r} can be that of {other.named} ({theirs.key.text!r}); "
            "begin one of the sort keys with a literal of its own"
        )
    for clash in slot_clashes(entity, theirs, other.named):
        yield f"entity type {entity.name!r}: {clash}"
