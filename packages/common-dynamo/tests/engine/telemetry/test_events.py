"""Traces go along with events, and the relay counts what it publishes (D39)."""

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace

from common.dynamo import Database
from common.dynamo.outbox import EmittedEvent
from common.dynamo.relay import OutboxRelay, RelayPass
from common.dynamo.testing.canaries import CANARY, find_canaries
from common.dynamo.testing.engines import Engine
from common.dynamo.testing.events import TOLD, Told


@pytest.fixture
def emitting(engine: Engine, table_name: str, telescope: Any) -> Iterator[Database]:
    """A watched database that knows the event."""
    with engine.open(table=table_name, event_types=[TOLD], **telescope.options) as db:
        yield db


def test_a_consumer_continues_the_trace_of_the_emitter(emitting: Database, telescope: Any) -> None:
    """The W3C context comes with the event, and is current while it is published."""
    tracer = telescope.tracer_provider.get_tracer("test")
    seen: list[tuple[EmittedEvent, int]] = []
    with tracer.start_as_current_span("pay") as span, emitting.transaction() as tx:
        tx.emit(Told(about="a"))
    with emitting.transaction() as tx:
        tx.emit(Told(about="b"))

    def publish(event: EmittedEvent) -> None:
        seen.append((event, trace.get_current_span().get_span_context().trace_id))

    OutboxRelay(emitting, publish).run_once()
    traced = {event.aggregate: (event.trace, trace_id) for event, trace_id in seen}
    context = span.get_span_context()
    parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    assert {"traceparent": parent} == traced["a"][0]
    assert context.trace_id == traced["a"][1]
    assert ({}, 0) == traced["b"]


def test_an_event_without_a_trace_leaves_the_relays_own(emitting: Database, telescope: Any) -> None:
    """Whatever span the relay runs in."""
    tracer = telescope.tracer_provider.get_tracer("test")
    seen: list[int] = []
    with emitting.transaction() as tx:
        tx.emit(Told(about="a"))
    with tracer.start_as_current_span("relay") as span:
        OutboxRelay(
            emitting, lambda event: seen.append(trace.get_current_span().get_span_context().trace_id)
        ).run_once()

    assert [span.get_span_context().trace_id] == seen


def test_a_relay_counts_what_it_publishes_and_what_fails_without_any_value(emitting: Database, telescope: Any) -> None:
    """By type of event; with the time that an event has waited."""
    for about in ("a", CANARY):
        with emitting.transaction() as tx:
            tx.emit(Told(about=about, text=CANARY))

    def publish(event: EmittedEvent) -> None:
        if event.aggregate == CANARY:
            raise ConnectionError(event.body)

    assert RelayPass(published=1, failed=1) == OutboxRelay(emitting, publish).run_once()
    metrics = telescope.metrics()
    which = {"common.dynamo.event.type": "told"}
    (published,) = metrics["common.dynamo.outbox.published"]
    (failed,) = metrics["common.dynamo.outbox.failures"]
    (waited,) = metrics["common.dynamo.outbox.delay"]
    assert (1, which) == (published.value, dict(published.attributes))
    assert (1, {**which, "error.type": "builtins.ConnectionError"}) == (failed.value, dict(failed.attributes))
    assert (1, which) == (waited.count, dict(waited.attributes))
    spans = [repr((span.name, dict(span.attributes or {}), span.events)) for span in telescope.spans()]
    assert [] == find_canaries({"spans": "\n".join(spans), "metrics": repr(metrics)})
    assert {"OutboxRelay.list", "OutboxRelay.claim", "OutboxRelay.acknowledge"} <= {
        span.name for span in telescope.spans()
    }
