"""The OTLP exporters over HTTP. Needs the extra ``[otlp]``; imported only where an endpoint is configured."""

from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from common.exceptions import MissingPart

try:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
except ImportError as error:
    if not (error.name or "").startswith("opentelemetry.exporter"):
        raise
    raise MissingPart("An OTLP endpoint is configured", dist="common-observability", extra="otlp") from None

__all__ = ["metric_reader", "span_processor"]


def span_processor(endpoint: str | None) -> SpanProcessor:
    """Return a processor that sends spans in batches to *endpoint*, or where ``OTEL_EXPORTER_OTLP_*`` says."""
    return BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces" if endpoint else None))


def metric_reader(endpoint: str | None) -> MetricReader:
    """Return a reader that sends metrics every minute to *endpoint*, or where ``OTEL_EXPORTER_OTLP_*`` says."""
    exporter = OTLPMetricExporter(endpoint=f"{endpoint.rstrip('/')}/v1/metrics" if endpoint else None)
    return PeriodicExportingMetricReader(exporter)
