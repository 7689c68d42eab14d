"""Where spans and metrics go, by the arguments of the service and the ``OTEL_*`` variables of the operator."""

from collections.abc import Mapping

from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from common.exceptions import ConfigurationError

__all__ = ["exporting_processors", "exporting_readers", "exports_logs", "log_endpoint"]

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
    """Return what exports metrics, every minute; the same rules with ``OTEL_METRICS_EXPORTER``, and ``emf`` beside them.

    Raises:
        ConfigurationError: ``OTEL_METRICS_EXPORTER`` names none of ``otlp``, ``console``, ``emf`` and ``none``.
        MissingPart: OTLP is wanted and the extra ``[otlp]`` is not installed.
    """
    readers: list[MetricReader] = []
    for name in _names("METRICS", endpoint, environ):
        if name == "otlp":
            from common.observability.monitoring import otlp

            readers.append(otlp.metric_reader(_argument("METRICS", endpoint, environ)))
        elif name == "emf":
            from common.observability.monitoring.emf import EmfExporter

            readers.append(PeriodicExportingMetricReader(EmfExporter()))
        else:
            readers.append(PeriodicExportingMetricReader(ConsoleMetricExporter()))
    return readers


def exports_logs(wanted: bool, environ: Mapping[str, str]) -> bool:
    """Return whether logs leave by OTLP in place of lines: what ``OTEL_LOGS_EXPORTER`` says, else what is *wanted*.

    Raises:
        ConfigurationError: ``OTEL_LOGS_EXPORTER`` names none of ``otlp``, ``console`` and ``none``; the latter two
            stand for lines.
    """
    if not environ.get("OTEL_LOGS_EXPORTER", "").strip():
        return wanted
    return "otlp" in _names("LOGS", None, environ)


def log_endpoint(endpoint: str | None, environ: Mapping[str, str]) -> str | None:
    """Return where logs go; ``None`` leaves it to the environment, whose word wins."""
    return _argument("LOGS", endpoint, environ)


def _names(signal: str, endpoint: str | None, environ: Mapping[str, str]) -> list[str]:
    variable = f"OTEL_{signal}_EXPORTER"
    known = ("otlp", "console", "emf", "none") if signal == "METRICS" else ("otlp", "console", "none")
    named = [name.strip().lower() for name in environ.get(variable, "").split(",") if name.strip()]
    if unknown := [name for name in named if name not in known]:
        raise ConfigurationError(f"{variable} names {unknown[0]!r}. Use {', '.join(known[:-1])} or {known[-1]}.")
    if named:
        return [name for name in named if name != "none"]
    return ["otlp"] if endpoint or _is_in_environment(signal, environ) else []


def _argument(signal: str, endpoint: str | None, environ: Mapping[str, str]) -> str | None:
    # The exporter reads the variables by itself, and the operator's word wins.
    return None if _is_in_environment(signal, environ) else endpoint


def _is_in_environment(signal: str, environ: Mapping[str, str]) -> bool:
    return bool(environ.get(_ENDPOINT) or environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"))
