"""The OTLP exporters over HTTP. Needs the extra ``[otlp]``; imported only where an endpoint is configured.

OpenTelemetry's modules for logs are private (``_logs``) although their protocol is stable: they are imported here, and
nowhere else.
"""

import time
from collections.abc import Mapping
from typing import Any

from opentelemetry._logs import LogRecord, SeverityNumber, get_logger_provider, set_logger_provider
from opentelemetry._logs._internal import ProxyLoggerProvider
from opentelemetry.context import get_current
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from common.exceptions import MissingPart

try:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
except ImportError as error:
    if not (error.name or "").startswith("opentelemetry.exporter"):
        raise
    raise MissingPart("An OTLP endpoint is configured", dist="common-observability", extra="otlp") from None

__all__ = ["OtlpLogs", "metric_reader", "span_processor"]


def span_processor(endpoint: str | None) -> SpanProcessor:
    """Return a processor that sends spans in batches to *endpoint*, or where ``OTEL_EXPORTER_OTLP_*`` says."""
    return BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces" if endpoint else None))


def metric_reader(endpoint: str | None) -> MetricReader:
    """Return a reader that sends metrics every minute to *endpoint*, or where ``OTEL_EXPORTER_OTLP_*`` says."""
    exporter = OTLPMetricExporter(endpoint=f"{endpoint.rstrip('/')}/v1/metrics" if endpoint else None)
    return PeriodicExportingMetricReader(exporter)


class OtlpLogs:
    """Sends log records in batches to an endpoint, or where ``OTEL_EXPORTER_OTLP_*`` says."""

    def __init__(self, endpoint: str | None, resource: Resource) -> None:
        """Prepare; records carry *resource*."""
        self.provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
        exporter = OTLPLogExporter(endpoint=f"{endpoint.rstrip('/')}/v1/logs" if endpoint else None)
        self.provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
        self._logger = self.provider.get_logger("common.observability")

    def share(self) -> None:
        """Let the events that libraries tell among logs go the same way, unless another provider is in place."""
        if isinstance(get_logger_provider(), ProxyLoggerProvider):
            set_logger_provider(self.provider)

    def emit(
        self, *, timestamp: int, severity_number: int, severity_text: str, body: Any, attributes: Mapping[str, Any]
    ) -> None:
        """Take one record, see :class:`~common.observability.monitoring.log_export.LogRecordSink`."""
        self._logger.emit(
            LogRecord(
                timestamp=timestamp,
                observed_timestamp=time.time_ns(),
                context=get_current(),
                severity_number=SeverityNumber(severity_number),
                severity_text=severity_text,
                body=body,
                attributes=dict(attributes),
            )
        )
