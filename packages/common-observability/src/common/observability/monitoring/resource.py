"""What every span, metric and log of this process shares."""

import uuid
from collections.abc import Callable, Mapping

from opentelemetry.sdk.resources import OTELResourceDetector, Resource

from common.core.json_types import AttributeValue

__all__ = ["build_resource", "new_instance_id"]


def new_instance_id() -> str:
    """Return an id that no other process has (semantic conventions, ``service.instance.id``)."""
    return str(uuid.uuid4())


def build_resource(
    *,
    service_name: str | None = None,
    service_version: str | None = None,
    environment: str | None = None,
    attributes: Mapping[str, AttributeValue] | None = None,
    plugin_attributes: Mapping[str, AttributeValue] | None = None,
    new_instance_id: Callable[[], str] = new_instance_id,
) -> Resource:
    """Return the resource: ``OTEL_*`` environment over arguments over plugins over defaults.

    The defaults are a new ``service.instance.id`` per call, and the SDK's name and version.

    Args:
        service_name: ``service.name``; ``unknown_service`` where nobody says it.
        service_version: ``service.version``.
        environment: ``deployment.environment.name``, such as ``production``.
        attributes: Further attributes of the service.
        plugin_attributes: What plugins contributed.
        new_instance_id: Makes the instance id, a UUID by default.
    """
    named = {
        "service.name": service_name,
        "service.version": service_version,
        "deployment.environment.name": environment,
    }
    given = {name: value for name, value in named.items() if value}
    defaults = {"service.name": "unknown_service", "service.instance.id": new_instance_id()}
    layers = {**defaults, **(plugin_attributes or {}), **(attributes or {}), **given}
    # The environment is merged last: Resource.create would let the arguments win over it.
    return Resource.create({}).merge(Resource(layers)).merge(OTELResourceDetector().detect())
