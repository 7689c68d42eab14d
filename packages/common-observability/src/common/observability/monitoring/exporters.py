"""Where spans and metrics go, by the arguments of the service and the ``OTEL_*`` variables of the operator."""

from collections.abc import Mapping

from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from common.exceptions import ConfigurationError

__all__ = ["exporting_processors", "exporting_readers"]

_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def exporting_processors(endpoint: str | None, environ: Mapping[str, str]) -> list[SpanProcessor]:
    """Return what exports spans: ``OTEL_TRACES_EXPORTER``, else OTLP where an endpoint is configured, else nothing.

    Raises:
        ConfigurationError: ``OTEL_TRACES_EXPORTER`` names none of ``otlp``, ``console`` and ``none``.
        MissingPart: OTLP is wanted and the extra ``[otlp]`` is not installed.
    """
    processors: list[SpanProcessor] = []
    for name in _names("TRACES", endpoint, environ):
        if name == "otlp":
            from common.observability.monitoring import otlp

            processors.append(otlp.span_processor(_argument("TRACES", endpoint, environ)))
        else:
            processors.append(SimpleSpanProcessor(ConsoleSpanExporter()))
    return processors


def exporting_readers(endpoint: str | None, environ: Mapping[str, str]) -> list[MetricReader]:
    """Return what exports metrics, every minute; the same rules with ``OTEL_METRICS_EXPORTER``.

    Raises:
        ConfigurationError: ``OTEL_METRICS_EXPORTER`` names none of ``otlp``, ``console`` and ``none``.
        MissingPart: OTLP is wanted and the extra ``[otlp]`` is not installed.
    """
    readers: list[MetricReader] = []
    for name in _names("METRICS", endpoint, environ):
        if name == "otlp":
            from common.observability.monitoring import otlp

            readers.append(otlp.metric_reader(_argument("METRICS", endpoint, environ)))
        else:
            readers.append(PeriodicExportingMetricReader(ConsoleMetricExporter()))
    return readers


def _names(signal: str, endpoint: str | None, environ: Mapping[str, str]) -> list[str]:
    variable = f"OTEL_{signal}_EXPORTER"
    named = [name.strip().lower() for name in environ.get(variable, "").split(",") if name.strip()]
    if unknown := [name for name in named if name not in ("otlp", "console", "none")]:
        raise ConfigurationError(f"{variable} names {unknown[0]!r}. Use otlp, console or none.")
    if named:
        return [name for name in named if name != "none"]
    return ["otlp"] if endpoint or _is_in_environment(signal, environ) else []


def _argument(signal: str, endpoint: str | None, environ: Mapping[str, str]) -> str | None:
    # The exporter reads the variables by itself, and the operator's word wins.
    return None if _is_in_environment(signal, environ) else endpoint


def _is_in_environment(signal: str, environ: Mapping[str, str]) -> bool:
    return bool(environ.get(_ENDPOINT) or environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"))
