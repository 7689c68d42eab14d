"""A process that forks after it was configured: each child is an instance of its own."""

import os
from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakSet

from opentelemetry.sdk.resources import Resource

from common.observability.logging import JsonFormatter

__all__ = ["INSTANCE_ID", "identify_children"]

INSTANCE_ID = "service.instance.id"


def identify_children(
    resource: Resource, providers: Iterable[object], formatter: JsonFormatter, id_of_child: Callable[[], str]
) -> None:
    """Give every process that is forked from this one its instance id: in spans, metrics and log lines.

    Args:
        resource: Shared by all *providers*.
        providers: Of traces, metrics and logs.
        formatter: Writes the lines of this process.
        id_of_child: Makes a new id, or returns the one that somebody has chosen.
    """
    if not hasattr(os, "register_at_fork"):
        return
    owned: WeakSet[Any] = WeakSet(provider for provider in providers if provider is not None)

    def in_child() -> None:
        identity = {INSTANCE_ID: id_of_child()}
        formatter.identify(identity)
        for provider in owned:
            _update(provider, resource, Resource(identity))

    # After the providers' own functions, registered when they were made: the SDK (1.45) gives children an id by itself,
    # other than that of their lines, and also where the operator has chosen one.
    os.register_at_fork(after_in_child=in_child)


def _update(provider: Any, shared: Resource, identity: Resource) -> None:
    # Private in the SDK, which replaces resources after a fork by it (1.45). Before, a resource never changes, and the
    # one that everything shares is changed in its place.
    if (update := getattr(provider, "_update_resource", None)) is not None:
        update(identity)
    else:
        shared._attributes = shared.merge(identity)._attributes
