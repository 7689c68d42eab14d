"""Metrics as lines of the CloudWatch embedded metric format (EMF), for AWS Lambda and all whose output CloudWatch gets.

The rules are those of the Amazon CloudWatch User Guide, "Specification: Embedded metric format": at most 100 metrics in
one document, at most 30 dimensions in one set. A histogram is written as the AWS Distro for OpenTelemetry writes it, by
``Max``, ``Min``, ``Count`` and ``Sum``.
"""

import math
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

from opentelemetry.sdk.metrics import Counter, Histogram, ObservableCounter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
)

from common.observability.logging.render import encode

__all__ = ["MAX_DIMENSIONS", "MAX_METRICS", "EmfExporter"]

MAX_METRICS: Final = 100
"""Metrics in one document."""
MAX_DIMENSIONS: Final = 29
"""Attributes of a data point that become dimensions: one less than CloudWatch takes, which leaves room for the service."""

_SERVICE: Final = "service.name"
_DELTA: Final[dict[type, AggregationTemporality]] = dict.fromkeys(
    (Counter, Histogram, ObservableCounter), AggregationTemporality.DELTA
)
# UCUM, as OpenTelemetry writes units, to the units of CloudWatch ("MetricDatum", Amazon CloudWatch API Reference).
_UNITS: Final = {
    "s": "Seconds",
    "ms": "Milliseconds",
    "us": "Microseconds",
    "By": "Bytes",
    "KiBy": "Kilobytes",
    "MiBy": "Megabytes",
    "%": "Percent",
    "By/s": "Bytes/Second",
}


@dataclass(slots=True)
class _Document:
    """Values of one moment that share their dimensions."""

    dimensions: Mapping[str, str]
    metrics: list[dict[str, str]] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)


class EmfExporter(MetricExporter):
    """Writes what was measured since the last export; CloudWatch sums it up.

    Every attribute of a data point is a dimension, and each combination of their values is a metric that CloudWatch
    bills: what has many values belongs to spans. Attributes beyond 29, in order of name, are written as fields that
    can be searched but are no dimensions. Values that are not finite are left out.
    """

    def __init__(self, namespace: str | None = None, *, stream: BinaryIO | None = None) -> None:
        """Prepare an exporter.

        Args:
            namespace: Of the metrics in CloudWatch; by default ``service.name``.
            stream: Where lines go; standard output by default.
        """
        super().__init__(preferred_temporality=_DELTA)
        self._namespace = namespace
        self._stream = stream
        self._lock = threading.Lock()

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object) -> MetricExportResult:
        lines = b"".join(encode(blob) + b"\n" for blob in self._blobs(metrics_data))
        if not lines:
            return MetricExportResult.SUCCESS
        try:
            with self._lock:
                stream = self._stream or sys.stdout.buffer
                stream.write(lines)
                stream.flush()
        except (OSError, ValueError):
            return MetricExportResult.FAILURE
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: object) -> None:
        """Do nothing: each export is written whole."""

    def _blobs(self, collected: MetricsData) -> Iterator[dict[str, Any]]:
        for resource in collected.resource_metrics:
            service = str(resource.resource.attributes.get(_SERVICE, ""))
            metrics = [metric for scope in resource.scope_metrics for metric in scope.metrics]
            for at, document in _documents(metrics, service):
                yield _blob(at, self._namespace or service or "unknown_service", document)


def _documents(metrics: Sequence[Metric], service: str) -> Iterator[tuple[int, _Document]]:
    """Yield documents with their time in milliseconds since the epoch, each with no more metrics than it may have."""
    open_documents: dict[tuple[int, tuple[tuple[str, str], ...]], _Document] = {}
    for metric in metrics:
        for point in metric.data.data_points:
            if (value := _value(point)) is None:
                continue
            dimensions = _dimensions(point.attributes or {}, service)
            key = (point.time_unix_nano // 1_000_000, tuple(dimensions.items()))
            document = open_documents.get(key)
            if document is not None and (len(document.metrics) == MAX_METRICS or metric.name in document.values):
                yield key[0], document
                document = None
            if document is None:
                document = open_documents[key] = _Document(dimensions)
            document.metrics.append({"Name": metric.name, "Unit": _unit(metric.unit or "")})
            document.values[metric.name] = value
    for (at, _), document in open_documents.items():
        yield at, document


def _blob(at: int, namespace: str, document: _Document) -> dict[str, Any]:
    """Return one document; what CloudWatch calls target members stands at its root."""
    directive = {
        "Namespace": namespace,
        "Dimensions": [list(document.dimensions)[: MAX_DIMENSIONS + 1]],
        "Metrics": document.metrics,
    }
    return {
        "_aws": {"Timestamp": at, "CloudWatchMetrics": [directive]},
        **document.dimensions,
        **document.values,
    }


def _dimensions(attributes: Mapping[str, Any], service: str) -> dict[str, str]:
    """Return the service first, then the attributes in order of name, as text: CloudWatch knows no other values."""
    named = {name: str(attributes[name]) for name in sorted(attributes) if str(attributes[name])}
    return {_SERVICE: service, **named} if service else named


def _value(point: Any) -> float | dict[str, float] | None:
    if isinstance(point, NumberDataPoint):
        return point.value if math.isfinite(point.value) else None
    # Of either kind of histogram: both have the same statistics.
    if point.count and math.isfinite(point.sum):
        return {"Max": point.max, "Min": point.min, "Count": point.count, "Sum": point.sum}
    return None


def _unit(unit: str) -> str:
    if unit.startswith("{"):
        return "Count"
    return _UNITS.get(unit, "None")
