"""An SDK in memory, and databases that it watches. Only tests may import the SDK."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk import _logs as sdk_logs
from opentelemetry.sdk._logs import export as log_export
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

from common.dynamo import Database
from common.dynamo.testing.engines import Engine
from common.dynamo.testing.examples import COUNTER, INVOICE, NOTE
from common.dynamo.wire.faults import FaultPlan

TYPES = (INVOICE, NOTE, COUNTER)

# The name that the exporter goes by since 1.39.
_InMemoryLogs: Any = getattr(log_export, "InMemoryLogRecordExporter", None) or log_export.InMemoryLogExporter

SEMCONV: Mapping[str, Any] = json.loads(Path(__file__).with_name("semconv.json").read_text())
"""Every name that spans and metrics may have: where the conventions' own package has it, and those of our own."""


class Names(SpanProcessor):
    """Keeps the names of all attributes and events of the data layer's spans, whatever else is forgotten."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def on_end(self, span: ReadableSpan) -> None:
        if span.instrumentation_scope is None or span.instrumentation_scope.name != "common.dynamo":
            return
        self.seen.update(span.attributes or {})
        for event in span.events:
            self.seen.update({event.name, *(event.attributes or {})})


class RecordingSampler(Sampler):
    """Samples everything and keeps what it was shown."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, Any]]] = []

    def should_sample(
        self,
        parent_context: Any,
        trace_id: int,
        name: str,
        kind: Any = None,
        attributes: Any = None,
        *args: Any,
        **_: Any,
    ) -> SamplingResult:
        self.seen.append((name, dict(attributes or {})))
        return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)

    def get_description(self) -> str:
        return "recording"


class Telescope:
    """An SDK that keeps everything in memory."""

    def __init__(self, sampler: Sampler | None = None) -> None:
        self.sampler = sampler or RecordingSampler()
        self.exporter = InMemorySpanExporter()
        self._names = Names()
        self.tracer_provider = TracerProvider(sampler=self.sampler)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer_provider.add_span_processor(self._names)
        self.reader = InMemoryMetricReader()
        self.meter_provider = MeterProvider([self.reader], exemplar_filter=AlwaysOnExemplarFilter())
        self.log_exporter = _InMemoryLogs()
        self.logger_provider = sdk_logs.LoggerProvider(shutdown_on_exit=False)
        self.logger_provider.add_log_record_processor(log_export.SimpleLogRecordProcessor(self.log_exporter))

    @property
    def options(self) -> dict[str, Any]:
        providers = ("tracer_provider", "meter_provider", "logger_provider")
        return {name: getattr(self, name) for name in providers}

    def spans(self) -> Sequence[ReadableSpan]:
        return self.exporter.get_finished_spans()

    def span(self) -> ReadableSpan:
        (span,) = self.spans()
        return span

    def events(self) -> list[Any]:
        """Return the records that were told among the logs."""
        return [one.log_record for one in self.log_exporter.get_finished_logs()]

    def metrics(self) -> dict[str, list[Any]]:
        """Return the data points of each metric by its name."""
        data = self.reader.get_metrics_data()
        if data is None:
            return {}
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics]
        return {metric.name: list(metric.data.data_points) for scope in scopes for metric in scope.metrics}

    def names(self) -> set[str]:
        """Return every name that was told: of attributes, events and metrics; nothing of it is ever forgotten."""
        measured = self.metrics()
        labels = {name for points in measured.values() for point in points for name in point.attributes}
        logged = {name for event in self.events() for name in (event.event_name, *(event.attributes or {}))}
        return self._names.seen | labels | measured.keys() | logged

    def clear(self) -> None:
        """Forget spans and what the sampler saw; metrics and events are cumulative and are read by difference."""
        self.exporter.clear()
        if isinstance(self.sampler, RecordingSampler):
            self.sampler.seen.clear()

    def close(self) -> None:
        self.tracer_provider.shutdown()
        self.meter_provider.shutdown()
        self.logger_provider.shutdown()


@pytest.fixture
def telescope() -> Iterator[Telescope]:
    telescope = Telescope()
    yield telescope
    told = telescope.names()
    telescope.close()
    assert told <= {*SEMCONV["conventions"], *SEMCONV["own"]}, "A name is not in semconv.json."


@pytest.fixture
def semconv() -> Mapping[str, Any]:
    return SEMCONV


@pytest.fixture
def db(engine: Engine, table_name: str, telescope: Telescope) -> Iterator[Database]:
    """A database that is watched; making its tables is not."""
    with engine.open(table=table_name, entity_types=TYPES, cursor_keys=["k" * 32], **telescope.options) as db:
        telescope.clear()
        yield db


@pytest.fixture
def faulty(engine: Engine, table_name: str, telescope: Telescope, faults: FaultPlan) -> Iterator[Database]:
    with engine.open(table=table_name, entity_types=TYPES, faults=faults, **telescope.options) as db:
        telescope.clear()
        yield db
        faults.heal()
        faults.settle()
