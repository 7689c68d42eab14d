"""Who watches, and who must not matter (OT2, OT5, OT12, OT13, OT16)."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, detach, set_value
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind

from common.dynamo import Change, Database
from common.dynamo.exceptions import AlreadyExists
from common.dynamo.testing.engines import Engine, fresh_table_name, network_wire
from common.dynamo.testing.examples import BY_STATE, INVOICE, NOTE, Note, State, make_invoice
from common.dynamo.testing.server import Dynoxide

TYPES = (INVOICE, NOTE)


def pay(change: Change[Any], it: Any) -> None:
    change.set(it.state, State.PAID)


def test_the_callers_span_is_the_parent_in_threads_too(db: Database, telescope: Any) -> None:
    """A batch stays in the caller's thread, under the caller's span; what shards do is in ``test_side_by_side.py``."""
    tracer = telescope.tracer_provider.get_tracer("test")
    before = threading.active_count()
    with tracer.start_as_current_span("request") as parent:
        db.dao(NOTE).batch_get([str(number) for number in range(150)])
        notes = db.dao(NOTE)
        notes.batch_write([notes.plan.put(Note(id=str(number), text="x"), replace=True) for number in range(60)])

    children = [span for span in telescope.spans() if span.name != "request"]
    assert [parent.get_span_context().span_id] * 2 == [span.parent.span_id for span in children if span.parent]
    assert before == threading.active_count()


def test_under_suppression_nothing_is_recorded(db: Database, telescope: Any) -> None:
    """No span, no metric, no entry in the traffic window; the result is the same."""
    notes = db.dao(NOTE)
    created = notes.create(Note(id="1", text="x"))
    calls = db.traffic().calls
    measured = sum(point.count for point in telescope.metrics()["db.client.operation.duration"])
    telescope.clear()
    token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
    try:
        assert created == notes.get("1")
        with pytest.raises(AlreadyExists):
            notes.create(Note(id="1", text="x"))
    finally:
        detach(token)

    assert () == telescope.spans()
    assert measured == sum(point.count for point in telescope.metrics()["db.client.operation.duration"])
    assert calls == db.traffic().calls


def down(*_: object, **__: object) -> Any:
    raise RuntimeError("the exporter is broken")


class Broken(SpanExporter):
    """An exporter that raises."""

    export = down


class BrokenMetrics(MetricExporter):
    """One for metrics."""

    export = down

    def force_flush(self, timeout_millis: float = 0) -> bool:
        return False

    def shutdown(self, timeout_millis: float = 0, **_: object) -> None: ...


class BrokenLogs:
    """One for log records; its class has a name that differs between versions."""

    export = down

    def shutdown(self) -> None: ...


class Hanging(SpanExporter):
    """An exporter that comes back only when the test ends."""

    def __init__(self) -> None:
        self.entered, self.released = threading.Event(), threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.entered.set()
        self.released.wait(60)
        return SpanExportResult.FAILURE


def suite(db: Database) -> list[Any]:
    """A little of everything; what it returns must not depend on who watches."""
    notes, invoices = db.dao(NOTE), db.dao(INVOICE)
    results: list[Any] = [notes.create(Note(id="1", text="x")), notes.get("1"), notes.get("2")]
    try:
        notes.create(Note(id="1", text="y"))
    except AlreadyExists as error:
        results.append(error.stored)
    results.append(invoices.create(make_invoice()))
    results.append(invoices.update(results[-1], pay))
    results.append(invoices.query(BY_STATE, tenant="t1", state=State.PAID).all())
    results.append(notes.batch_get(["1", "2"]))
    with db.transaction() as tx:
        tx.create(notes, Note(id="a", text="x"))
        tx.check(notes, "b", absent=True)
    try:
        with db.transaction() as tx:
            tx.create(notes, Note(id="c", text="x"))
            tx.create(notes, Note(id="a", text="x"))
    except AlreadyExists as error:
        results.append([(failure.position, failure.operation, failure.code) for failure in error.failures])  # type: ignore[attr-defined]
    results.append(notes.query(id="a").page(5).items)
    return results


def broken(telescope: Any) -> dict[str, Any]:
    """Exporters of spans, metrics and events that raise, at once and in the background."""
    telescope.tracer_provider.add_span_processor(SimpleSpanProcessor(Broken()))
    telescope.tracer_provider.add_span_processor(BatchSpanProcessor(Broken(), schedule_delay_millis=1))
    logs: Any = BrokenLogs()
    telescope.logger_provider.add_log_record_processor(SimpleLogRecordProcessor(logs))
    reader = PeriodicExportingMetricReader(BrokenMetrics(), export_interval_millis=5)
    telescope.meter_provider = MeterProvider([reader], shutdown_on_exit=False)
    options: dict[str, Any] = telescope.options
    return options


def sampled_out(telescope: Any) -> dict[str, Any]:
    return {**telescope.options, "tracer_provider": TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)}


def disabled(telescope: Any) -> dict[str, Any]:
    """Providers of an SDK that the operator has switched off."""
    return {"tracer_provider": TracerProvider(shutdown_on_exit=False), "meter_provider": MeterProvider()}


CONDITIONS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "broken exporters": broken,
    "sampler off": sampled_out,
    "disabled": disabled,
    "no sdk": lambda telescope: {},
    "spans off": lambda telescope: {**telescope.options, "sdk_spans": "off"},
    "events of spans": lambda telescope: {**telescope.options, "events": "span"},
}


@pytest.fixture
def unwatched(engine: Engine, table_name: str) -> list[Any]:
    """What the suite returns where nobody watches."""
    with engine.open(table=f"{table_name}-2", entity_types=TYPES, cursor_keys=["k" * 32]) as db:
        return suite(db)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_results_do_not_depend_on_telemetry(
    engine: Engine,
    table_name: str,
    condition: str,
    telescope: Any,
    unwatched: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever is broken or switched off there."""
    if condition == "disabled":
        monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    options = CONDITIONS[condition](telescope)
    with engine.open(table=table_name, entity_types=TYPES, cursor_keys=["k" * 32], **options) as db:
        assert unwatched == suite(db)


def test_results_do_not_wait_for_an_exporter_that_hangs(
    engine: Engine, table_name: str, telescope: Any, unwatched: list[Any]
) -> None:
    """Spans wait in a queue that is full soon, and are dropped then; calls go on."""
    exporter = Hanging()
    processor = BatchSpanProcessor(exporter, max_queue_size=4, max_export_batch_size=2, schedule_delay_millis=1)
    telescope.tracer_provider.add_span_processor(processor)
    options = {"cursor_keys": ["k" * 32], **telescope.options}
    try:
        with engine.open(table=table_name, entity_types=TYPES, **options) as db:
            db.dao(NOTE).get("0")
            assert exporter.entered.wait(10)
            assert unwatched == suite(db)
            assert not exporter.released.is_set()
    finally:
        exporter.released.set()


def test_spans_off_still_measures(engine: Engine, table_name: str, telescope: Any) -> None:
    """Metrics alone."""
    with engine.open(table=table_name, entity_types=TYPES, sdk_spans="off", **telescope.options) as db:
        db.dao(NOTE).get("1")

    assert () == telescope.spans()
    assert telescope.metrics()["db.client.operation.duration"]


PROGRAM = """
from opentelemetry import metrics, trace
from common.dynamo import Database
from common.dynamo.testing.examples import NOTE, Note
with Database.embedded(entity_types=[NOTE]) as db:
    notes = db.dao(NOTE)
    notes.create(Note(id="1", text="x"))
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([reader]))
    notes.get("1")
    print([span.name for span in exporter.get_finished_spans()])
    data = reader.get_metrics_data().resource_metrics[0].scope_metrics[0]
    print(data.scope.name, sorted(metric.name for metric in data.metrics))
"""


def test_an_sdk_that_is_set_up_late_sees_what_follows() -> None:
    """Tracer and meter were obtained before; what was earlier is dropped in silence."""
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)

    assert [
        "['Note.get']",
        "common.dynamo ['common.dynamo.client.consumed_capacity', 'db.client.operation.duration']",
    ] == result.stdout.splitlines()
    assert "" == result.stderr


# botocore's own instrumentation


@pytest.fixture
def instrumented(telescope: Any) -> Iterator[None]:
    """botocore instrumentation, writing to the same place."""
    from opentelemetry.instrumentation.botocore import BotocoreInstrumentor

    instrumentor = BotocoreInstrumentor()
    instrumentor.instrument(tracer_provider=telescope.tracer_provider, meter_provider=telescope.meter_provider)
    yield
    instrumentor.uninstrument()


@pytest.mark.parametrize(
    ("mode", "kinds"),
    [
        ("logical", [SpanKind.CLIENT]),
        ("nested", [SpanKind.CLIENT, SpanKind.CLIENT, SpanKind.INTERNAL]),
        ("off", [SpanKind.CLIENT, SpanKind.CLIENT]),
    ],
)
def test_an_operation_of_two_calls_on_the_boto_wire(
    dynoxide: Dynoxide, telescope: Any, instrumented: None, mode: Any, kinds: list[SpanKind]
) -> None:
    """logical: the DAO's span alone; nested: it and one per SDK call below it; off: those of botocore alone."""
    table = fresh_table_name()
    with Database.connect(
        table=table,
        wire=network_wire(dynoxide.endpoint_url, "boto"),
        entity_types=TYPES,
        sdk_spans=mode,
        **telescope.options,
    ) as db:
        db.create_tables()
        telescope.clear()
        db.dao(NOTE).batch_get([str(number) for number in range(150)])

    spans = telescope.spans()
    assert kinds == sorted((span.kind for span in spans), key=lambda kind: kind.name)
    if mode == "nested":
        (outer,) = [span for span in spans if span.kind is SpanKind.INTERNAL]
        assert {outer.context.span_id} == {span.parent.span_id for span in spans if span is not outer}


@pytest.mark.parametrize(
    ("mode", "kinds"), [("logical", [SpanKind.CLIENT]), ("nested", [SpanKind.CLIENT]), ("off", [])]
)
def test_an_operation_of_two_calls_on_the_embedded_wire(
    telescope: Any, instrumented: None, mode: Any, kinds: list[SpanKind]
) -> None:
    """There is no SDK below, so nested is as logical."""
    with Database.embedded(entity_types=TYPES, sdk_spans=mode, **telescope.options) as db:
        db.dao(NOTE).batch_get([str(number) for number in range(150)])

    assert kinds == [span.kind for span in telescope.spans()]
