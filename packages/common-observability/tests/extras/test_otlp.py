"""Spans and metrics reach a collector by OTLP; needs the extra ``[otlp]``."""

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

Received = list[tuple[str, bytes]]


PROGRAM = """
from opentelemetry import metrics, trace
from common.observability import configure
configure(service_name="orders", otlp_endpoint=ENDPOINT)
metrics.get_meter("test").create_counter("orders").add(3)
with trace.get_tracer("test").start_as_current_span("POST /orders"):
    pass
"""


@pytest.mark.parametrize("by_environment", [False, True])
def test_what_a_process_recorded_reaches_the_collector_at_its_end(
    by_environment: bool, collector: tuple[int, Received], python: Callable[..., Any]
) -> None:
    """The endpoint is the argument, or the operator's, which wins; nothing has to be called."""
    port, received = collector
    endpoint = f"http://127.0.0.1:{port}"
    argument = "http://127.0.0.1:1" if by_environment else endpoint
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint} if by_environment else {}

    result = python(PROGRAM.replace("ENDPOINT", repr(argument)), OTEL_EXPORTER_OTLP_COMPRESSION="none", **environ)

    assert 0 == result.returncode, result.stderr
    bodies = dict(received)
    assert {"/v1/traces", "/v1/metrics"} == set(bodies)
    (resource,) = ExportTraceServiceRequest.FromString(bodies["/v1/traces"]).resource_spans
    assert ["POST /orders"] == [span.name for span in resource.scope_spans[0].spans]
    assert "orders" in {attribute.value.string_value for attribute in resource.resource.attributes}
    metric = (
        ExportMetricsServiceRequest.FromString(bodies["/v1/metrics"]).resource_metrics[0].scope_metrics[0].metrics[0]
    )
    assert ("orders", 3) == (metric.name, metric.sum.data_points[0].as_int)


def test_a_collector_that_is_away_harms_nobody(python: Callable[..., Any]) -> None:
    """The program works and ends, within its deadline."""
    result = python(PROGRAM.replace("ENDPOINT", "'http://127.0.0.1:1'"))

    assert 0 == result.returncode, result.stderr
