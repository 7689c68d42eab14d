"""Who watches, and who must not matter (OT2, OT5, OT12, OT13, OT16)."""

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, detach, set_value
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
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
    """The layer starts no thread of its own: a batch stays in the caller's, under the caller's span."""
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


class Broken(SpanExporter):
    """An exporter that raises."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        raise RuntimeError("the exporter is broken")


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
    results.append(notes.query(id="a").page(5).items)
    return results


@pytest.mark.parametrize("condition", ["broken exporter", "sampler off", "no sdk", "spans off"])
def test_results_do_not_depend_on_telemetry(
    engine: Engine, table_name: str, condition: str, telescope: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever is broken or switched off there."""
    options: dict[str, Any] = dict(telescope.options)
    if condition == "broken exporter":
        telescope.tracer_provider.add_span_processor(SimpleSpanProcessor(Broken()))
    elif condition == "sampler off":
        options["tracer_provider"] = TracerProvider(sampler=ALWAYS_OFF)
    elif condition == "no sdk":
        options = {}
    else:
        options["sdk_spans"] = "off"
    with engine.open(table=table_name, entity_types=TYPES, cursor_keys=["k" * 32], **options) as db:
        watched = suite(db)
    with engine.open(table=f"{table_name}-2", entity_types=TYPES, cursor_keys=["k" * 32]) as db:
        assert suite(db) == watched


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
