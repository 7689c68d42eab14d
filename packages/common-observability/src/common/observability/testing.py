"""pytest fixtures for telemetry: what a test's code traced, measured and logged.

Switch them on by name, in a ``conftest.py``: ``pytest_plugins = ["common.observability.testing"]``. Providers of
OpenTelemetry are set once per process; the first fixture that needs them sets them, and each test sees its own spans
and measurements alone.
"""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import metrics as metrics_api
from opentelemetry import trace
from opentelemetry.sdk.metrics import (
    Counter,
    Histogram,
    MeterProvider,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    UpDownCounter,
)
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from common.observability.logging import JsonFormatter, LineHandler

__all__ = ["Canary", "Logs", "Metrics", "Spans", "canary", "logs", "metrics", "spans"]

_DELTA: dict[type, AggregationTemporality] = dict.fromkeys(
    (Counter, Histogram, ObservableCounter, ObservableGauge, ObservableUpDownCounter, UpDownCounter),
    AggregationTemporality.DELTA,
)


class Spans:
    """The spans that ended during the test, in that order."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def all(self) -> tuple[ReadableSpan, ...]:
        """Return every span."""
        return self._exporter.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        """Return the spans called *name*."""
        return [span for span in self.all() if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        """Return the only span called *name*; the test fails where there is none or another."""
        found = self.named(name)
        if len(found) != 1:
            pytest.fail(f"{len(found)} spans are called {name!r}; there are {[span.name for span in self.all()]}")
        return found[0]

    def text(self) -> str:
        """Return all that the spans tell, as text to search in."""
        return "\n".join(span.to_json() for span in self.all())


class Metrics:
    """What was measured since the test began."""

    def __init__(self, reader: InMemoryMetricReader) -> None:
        self._reader = reader
        self._found: dict[str, list[Any]] = {}

    def points(self, name: str) -> list[Any]:
        """Return the data points of the instrument *name*; empty where it measured nothing."""
        return self._collected().get(name, [])

    def names(self) -> set[str]:
        """Return the names of the instruments that measured anything."""
        return set(self._collected())

    def text(self) -> str:
        """Return all that was measured, as text to search in."""
        return "\n".join(f"{name} {point.to_json()}" for name, points in self._collected().items() for point in points)

    def _collected(self) -> dict[str, list[Any]]:
        collected = self._reader.get_metrics_data()
        for resource in collected.resource_metrics if collected else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    self._found.setdefault(metric.name, []).extend(metric.data.data_points)
        return self._found


class Logs:
    """The lines that were logged during the test, as the family's handler writes them."""

    def __init__(self, sink: io.BytesIO) -> None:
        self._sink = sink

    def lines(self, logger: str | None = None) -> list[dict[str, Any]]:
        """Return the lines as JSON values: all, or those of one logger."""
        every: list[dict[str, Any]] = [json.loads(line) for line in self._sink.getvalue().splitlines()]
        return [line for line in every if logger is None or line["logger"] == logger]

    def text(self) -> str:
        """Return the lines as they are."""
        return self._sink.getvalue().decode()


class Canary:
    """A text that is found nowhere by chance, to prove that it is found nowhere at all."""

    value = "canary-5f1d0c9e7b3a"

    def __str__(self) -> str:
        return self.value

    def assert_absent(self, *places: object) -> None:
        """Fail the test where the canary occurs in the text of one of *places*; bytes are searched as UTF-8."""
        for place in places:
            text = place.decode("utf-8", "replace") if isinstance(place, bytes) else str(place)
            if (at := text.find(self.value)) >= 0:
                pytest.fail(f"The canary is in {text[max(0, at - 80) : at + 80]!r}")


@pytest.fixture(scope="session")
def _span_exporter() -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider(shutdown_on_exit=False)
        trace.set_tracer_provider(provider)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter


@pytest.fixture(scope="session")
def _metric_reader() -> InMemoryMetricReader:
    reader = InMemoryMetricReader(preferred_temporality=_DELTA)
    metrics_api.set_meter_provider(MeterProvider(metric_readers=[reader], shutdown_on_exit=False))
    return reader


@pytest.fixture
def spans(_span_exporter: InMemorySpanExporter) -> Spans:
    """The spans of this test; the global tracer provider records them."""
    _span_exporter.clear()
    return Spans(_span_exporter)


@pytest.fixture
def metrics(_metric_reader: InMemoryMetricReader) -> Metrics:
    """The measurements of this test; the global meter provider collects them."""
    _metric_reader.get_metrics_data()
    return Metrics(_metric_reader)


@pytest.fixture
def logs() -> Iterator[Logs]:
    """The log lines of this test, of every logger, from DEBUG on."""
    sink = io.BytesIO()
    handler = LineHandler(JsonFormatter(), sink)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield Logs(sink)
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def canary() -> Canary:
    """A text to put where it must not come out of."""
    return Canary()
