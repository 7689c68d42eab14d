"""The access patterns that the installed plugins make possible."""

from typing import TYPE_CHECKING

from common.dynamo.access import TABLE_PATTERNS, AccessPattern
from common.dynamo.entity_access import patterns_of, walks_of
from common.dynamo.own_items_access import OWN_ITEM_PATTERNS

if TYPE_CHECKING:
    from common.core.plugins import Plugins

__all__ = ["known_patterns", "known_walks"]


def known_patterns(plugins: "Plugins") -> tuple[AccessPattern, ...]:
    """Return the patterns that plugins describe, those of every other entity type, of request ids and events, and of tables."""
    described: tuple[AccessPattern, ...] = plugins.access_patterns()
    touched = {touch.entity for pattern in described for trip in pattern.all_trips for touch in trip.touches}
    others = (entity for entity in plugins.entity_types() if entity not in touched)
    entities = (pattern for entity in others for pattern in patterns_of(entity))
    return (*described, *entities, *OWN_ITEM_PATTERNS, *TABLE_PATTERNS)


def known_walks(plugins: "Plugins") -> tuple[AccessPattern, ...]:
    """Return what scans and backfills of each entity type send and cost; no policy allows them unless they are named."""
    return tuple(pattern for entity in plugins.entity_types() for pattern in walks_of(entity))
