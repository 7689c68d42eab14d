"""The hooks of common-dynamo; called once each, while plugins load (see :mod:`common.core.hookspecs`)."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from common.core.markers import hookspec

if TYPE_CHECKING:
    from common.dynamo.interceptors import Interceptor

    from common.core.settings import Settings
    from common.dynamo.entity_type import EntityType


@hookspec
def common_entity_types() -> "Iterable[EntityType[Any]]":
    """Contribute entity types, stored in the service's tables beside the family's own.

    When: at start-up, while plugins load; how often: once.

    Returns:
        The entity types; discriminators and key prefixes are unique in the service.

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
