"""The access patterns that the installed plugins make possible."""

from typing import TYPE_CHECKING

from common.dynamo.access import TABLE_PATTERNS, AccessPattern
from common.dynamo.entity_access import patterns_of, walks_of
from common.dynamo.own_items_access import OWN_ITEM_PATTERNS

if TYPE_CHECKING:
    from common.core.plugins import Plugins

__all__ = ["known_patterns", "known_walks"]


def known_patterns(plugins: "Plugins") -> tuple[AccessPattern, ...]:
    """Return the patterns of the ledger's DAOs, of every other entity type's, of request ids and events, and of tables."""
    from common.dynamo.dao.access_patterns import LEDGER_PATTERNS
    from common.dynamo.dao.ledger_types import LEDGER_ENTITY_TYPES

    installed = plugins.entity_types()
    # Where common-dynamo's own plugin is blocked, its DAOs are not there to be explained.
    ledger = LEDGER_PATTERNS if set(LEDGER_ENTITY_TYPES) <= set(installed) else ()
    others = (entity for entity in installed if entity not in LEDGER_ENTITY_TYPES)
    entities = (pattern for entity in others for pattern in patterns_of(entity))
    return (*ledger, *entities, *OWN_ITEM_PATTERNS, *TABLE_PATTERNS)


def known_walks(plugins: "Plugins") -> tuple[AccessPattern, ...]:
    """Return what scans and backfills of each entity type send and cost; no policy allows them unless they are named."""
    return tuple(pattern for entity in plugins.entity_types() for pattern in walks_of(entity))
