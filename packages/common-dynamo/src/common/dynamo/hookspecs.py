"""The hooks of common-dynamo; called once each, while plugins load (see :mod:`common.core.hookspecs`)."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from common.core.hook_rules import Claim, HookRule
from common.core.markers import hookspec
from common.exceptions import ConfigurationError

if TYPE_CHECKING:
    from common.core.settings import Settings
    from common.dynamo.access import AccessPattern
    from common.dynamo.entity_type import EntityType
    from common.dynamo.interceptors import Interceptor


@hookspec
def common_entity_types() -> "Iterable[EntityType[Any]]":
    """Contribute entity types, stored in the service's tables beside the family's own.

    When: at start-up, while plugins load; how often: once.

    Returns:
        The entity types; discriminators and key prefixes are unique in the service.

    On an exception: loading fails, and the error names this plugin.
    """


@hookspec
def common_access_patterns() -> "Iterable[AccessPattern]":
    """Contribute what the methods of your own DAOs send and cost, for ``common dynamo explain`` and for policies.

    An entity type that they touch is explained by them alone. Where its generic DAO is used besides, add what
    :func:`common.dynamo.entity_access.uses` returns for it.

    When: at start-up, while plugins load; how often: once.

    Returns:
        The access patterns; the title of each is unique in the service.

    On an exception: loading fails, and the error names this plugin.
    """


@hookspec
def common_dynamo_interceptors(settings: "Settings") -> "Iterable[Interceptor]":
    """Contribute observers of every request value and its result.

    When: at start-up, while plugins load; how often: once. What each method may do, and what its exceptions do, is
    stated at :class:`common.dynamo.interceptors.Interceptor`.

    Returns:
        The interceptors, called in order.

    On an exception: loading fails, and the error names this plugin.
    """


def _is_entity_type(value: object) -> bool:
    from common.dynamo.entity_type import EntityType

    return isinstance(value, EntityType)


def _is_access_pattern(value: object) -> bool:
    from common.dynamo.access import AccessPattern

    return isinstance(value, AccessPattern)


def _is_interceptor(value: object) -> bool:
    return all(callable(getattr(value, method, None)) for method in ("on_request", "on_result", "on_error"))


def _entity_claims(entity: "EntityType[Any]") -> Iterable[Claim]:
    faults = entity.faults()
    if faults:
        raise ConfigurationError(f"entity type {entity.name!r}: " + "; ".join(faults))
    yield Claim("entity type", entity.name)
    yield Claim("key", entity.key.shape)
    for index in entity.indexes:
        yield Claim("projection of index", index.name, index.projection)
        native = entity.mapped.native.get(index.name)
        yield Claim("key of index", index.name, "text templates" if native is None else native.schema)


ENTITY_TYPES: "HookRule[EntityType[Any]]" = HookRule(
    "common_entity_types",
    wants="an EntityType",
    accepts=_is_entity_type,
    claims=_entity_claims,
)
ACCESS_PATTERNS: "HookRule[AccessPattern]" = HookRule(
    "common_access_patterns",
    wants="an AccessPattern",
    accepts=_is_access_pattern,
    claims=lambda pattern: [Claim("access pattern", pattern.title)],
)
INTERCEPTORS: "HookRule[Interceptor]" = HookRule(
    "common_dynamo_interceptors",
    wants="an Interceptor (an object with `on_request`, `on_result` and `on_error`)",
    accepts=_is_interceptor,
)
RULES: "tuple[HookRule[EntityType[Any]] | HookRule[AccessPattern] | HookRule[Interceptor], ...]" = (
    ENTITY_TYPES,
    ACCESS_PATTERNS,
    INTERCEPTORS,
)
"""Read by :meth:`common.core.Plugins.load` together with the specifications above."""
