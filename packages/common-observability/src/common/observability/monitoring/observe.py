"""One span and one duration for a piece of work of the service's own."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import metrics, trace
from opentelemetry.trace import Span, Status, StatusCode

from common.core.json_types import AttributeValue

__all__ = ["observe"]


@contextmanager
def observe(
    name: str,
    *,
    low: Mapping[str, AttributeValue] | None = None,
    high: Mapping[str, AttributeValue] | None = None,
    tracer_provider: trace.TracerProvider | None = None,
    meter_provider: metrics.MeterProvider | None = None,
    monotonic: Callable[[], float] = time.perf_counter,
) -> Iterator[Span]:
    """Measure the block by a span called *name* and a record of the histogram ``{name}.duration``, in seconds.

    An exception marks both with its class name, never its text, and goes on.

    Args:
        name: Lower-case words with dots, such as ``orders.settle``; fixed in the code.
        low: Attributes with few values, such as a kind or an outcome: they go to the span and to the metric.
        high: Attributes with many values, such as an order's id: they go to the span only.
        tracer_provider: Defaults to the global one.
        meter_provider: Defaults to the global one.
        monotonic: Clock in seconds.
    """
    tracer = trace.get_tracer("common.observability", tracer_provider=tracer_provider)
    histogram = metrics.get_meter("common.observability", meter_provider=meter_provider).create_histogram(
        f"{name}.duration", unit="s", description=f"Duration of {name}."
    )
    labels = dict(low or {})
    with tracer.start_as_current_span(
        name, attributes={**labels, **(high or {})}, record_exception=False, set_status_on_exception=False
    ) as span:
        started = monotonic()
        try:
            yield span
        except BaseException as error:
            labels["error.type"] = type(error).__qualname__
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(Status(StatusCode.ERROR))
            raise
        finally:
            histogram.record(monotonic() - started, labels)
