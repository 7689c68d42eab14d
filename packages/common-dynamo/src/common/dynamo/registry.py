"""The entity types of one database: checked against each other, every fault told at once and by name."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.dynamo.entity_type import EntityType
from common.dynamo.keys import templates_overlap
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
        return f"{self.entity.name!r} of {f'plugin {self.plugin}' if self.plugin else 'the service itself'}"


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
        if table_of.get(entity.group, default) == table_of.get(other.entity.group, default):
            yield from _clashes(entity, other)


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
    slots = {index.name: index.projection for index in theirs.indexes}
    for index in entity.indexes:
        if slots.get(index.name, index.projection) != index.projection:
            yield (
                f"entity type {entity.name!r}: index {index.name} has projection {index.projection} here and "
                f"{slots[index.name]} in {other.named}"
            )
