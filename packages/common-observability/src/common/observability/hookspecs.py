"""The hooks of common-observability; called once each, while plugins load (see :mod:`common.core.hookspecs`)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from common.core.hook_rules import Claim, HookRule, Shape
from common.core.json_types import AttributeValue
from common.core.markers import hookspec

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

    from common.core.settings import Settings

__all__ = [
    "RESOURCE_ATTRIBUTES",
    "RULES",
    "SPAN_PROCESSORS",
    "common_resource_attributes",
    "common_span_processors",
]


@hookspec
def common_resource_attributes() -> Mapping[str, AttributeValue]:
    """Contribute attributes of the resource: facts about the process that every span, metric and log shares.

    When: at start-up, while plugins load; how often: once. They are used by
    :func:`common.observability.monitoring.configure`.

    Returns:
        Attributes by name (semantic conventions, "Resource"). The service's own arguments and the ``OTEL_*``
        environment win over them; two plugins may not give one name different values.

    On an exception: loading fails, and the error names this plugin.
    """


@hookspec
def common_span_processors(settings: "Settings") -> "Iterable[SpanProcessor]":
    """Contribute processors that see every span start and end.

    When: at start-up, while plugins load; how often: once.

    Returns:
        Span processors of the OpenTelemetry SDK, called in order, before the family's own exporters.

    On an exception: loading fails, and the error names this plugin. At run time a processor that raises is logged
    once, by the name of its plugin; the other processors and the request go on.
    """


def _are_attributes(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and name and _is_attribute_value(given) for name, given in value.items()
    )


def _is_attribute_value(value: object) -> bool:
    if isinstance(value, str | bool | int | float):
        return True
    return isinstance(value, Sequence) and all(isinstance(part, str | bool | int | float) for part in value)


def _is_span_processor(value: object) -> bool:
    # The SDK is costly to import, and a service may load plugins without ever configuring it.
    from opentelemetry.sdk.trace import SpanProcessor

    return isinstance(value, SpanProcessor)


RESOURCE_ATTRIBUTES: HookRule[Mapping[str, AttributeValue]] = HookRule(
    "common_resource_attributes",
    wants="a mapping of resource attributes (text, bool, int, float, or a sequence of one of them)",
    accepts=_are_attributes,
    shape=Shape.MAPPING,
    claims=lambda attributes: [Claim("resource attribute", name, value) for name, value in attributes.items()],
)
SPAN_PROCESSORS: HookRule[Any] = HookRule(
    "common_span_processors",
    wants="a SpanProcessor of the OpenTelemetry SDK",
    accepts=_is_span_processor,
)

RULES: tuple[HookRule[Any], ...] = (RESOURCE_ATTRIBUTES, SPAN_PROCESSORS)
"""Read by :meth:`common.core.Plugins.load` together with the specifications above."""
