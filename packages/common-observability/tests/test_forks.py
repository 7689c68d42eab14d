"""Processes that fork: each is an instance of its own, whether it was configured before the fork or after it."""

import json
from collections.abc import Callable
from typing import Any

import pytest

PROGRAM = """
import io, json, logging, os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from common.observability import configure

tracer, counter = trace.get_tracer("test"), metrics.get_meter("test").create_counter("orders")
exporter, reader, sink = InMemorySpanExporter(), InMemoryMetricReader(), io.BytesIO()

def set_up():
    global obs
    obs = configure(
        service_name="orders", span_processors=[BatchSpanProcessor(exporter)], metric_readers=[reader], log_stream=sink
    )

def work(worker):
    exporter.clear()
    with tracer.start_as_current_span(f"work of {worker}"):
        logging.warning("worked")
    counter.add(1, {"worker": worker})
    flushed = obs.flush(10)
    (span,) = exporter.get_finished_spans()
    (resource,) = reader.get_metrics_data().resource_metrics
    ours = [point for metric in resource.scope_metrics[0].metrics for point in metric.data.data_points]
    return {
        "flushed": flushed,
        "span": span.name,
        "count": [point.value for point in ours if point.attributes["worker"] == worker],
        "ids": [
            span.resource.attributes["service.instance.id"],
            resource.resource.attributes["service.instance.id"],
            json.loads(sink.getvalue().splitlines()[-1])["service.instance.id"],
        ],
    }

def forked(worker, deeper=False):
    out, into = os.pipe()
    if os.fork() == 0:
        if not BEFORE:
            set_up()
        found = [work(worker)]
        if deeper:
            found += forked(f"{worker}'s child")
        os.write(into, json.dumps(found).encode())
        os._exit(0)
    os.close(into)
    with open(out, "rb") as answer:
        found = json.loads(answer.read())
    os.wait()
    return found

if BEFORE:
    set_up()
found = [work("parent")] if BEFORE else []
print(json.dumps(found + forked("a", deeper=BEFORE) + forked("b")))
"""


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_forked_workers_tell_what_they_did_as_instances_of_their_own(before: bool, python: Callable[..., Any]) -> None:
    """Spans, metrics and lines of two workers, of their parent and of a worker's own child: nothing lost, no id twice."""
    result = python(PROGRAM.replace("BEFORE", str(before)))

    assert 0 == result.returncode, result.stderr
    found = json.loads(result.stdout.splitlines()[-1])
    workers = ["parent", "a", "a's child", "b"] if before else ["a", "b"]
    assert [f"work of {worker}" for worker in workers] == [process["span"] for process in found]
    assert all(process["flushed"] and process["count"] == [1] for process in found)
    assert all(len(set(process["ids"])) == 1 for process in found)
    assert len(workers) == len({process["ids"][0] for process in found})


def test_an_instance_id_that_the_operator_gave_is_kept(python: Callable[..., Any]) -> None:
    """Whoever names instances names those of the workers too."""
    environ = {"OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=pod-1"}
    result = python(PROGRAM.replace("BEFORE", "True"), **environ)

    assert 0 == result.returncode, result.stderr
    found = json.loads(result.stdout.splitlines()[-1])
    assert {"pod-1"} == {one for process in found for one in process["ids"]}
