"""Spans of several processes, in one file."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode

from common.observability.monitoring.span_file import SpanFileExporter, read_spans, span_line
from common.observability.monitoring.spans import SpanRecord


def provider(exporter: SpanFileExporter, service: str = "orders") -> TracerProvider:
    """Return a provider of *service* that writes every span at its end."""
    provider = TracerProvider(resource=Resource({"service.name": service}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


def test_a_span_comes_back_as_it_was(tmp_path: Path) -> None:
    """Name, ids, times, kind, status, service and attributes of every type survive the file."""
    file = tmp_path / "spans.jsonl"
    tracer = provider(SpanFileExporter(file)).get_tracer("test")
    attributes: dict[str, Any] = {
        "text": "Zürich\n",
        "whole": 2**60,
        "real": 0.5,
        "flag": True,
        "list": ["a", "b"],
        "numbers": [1, 2],
    }
    with (
        tracer.start_as_current_span("POST /orders", kind=SpanKind.SERVER) as parent,
        tracer.start_as_current_span("OrderDAO.place", kind=SpanKind.CLIENT, attributes=attributes) as child,
    ):
        child.set_status(Status(StatusCode.ERROR))

    inner, outer = read_spans(file)
    assert ("OrderDAO.place", "CLIENT", True, "orders") == (inner.name, inner.kind, inner.failed, inner.service)
    assert ("POST /orders", "SERVER", False, None) == (outer.name, outer.kind, outer.failed, outer.parent_id)
    assert inner.parent_id == outer.span_id == f"{parent.get_span_context().span_id:016x}"
    assert inner.trace_id == outer.trace_id == f"{parent.get_span_context().trace_id:032x}"
    assert inner.end_ns is not None
    assert outer.start_ns <= inner.start_ns <= inner.end_ns
    assert {**attributes, "list": ("a", "b"), "numbers": (1, 2)} == inner.attributes


def test_a_line_is_otlp_in_json() -> None:
    """The encoding is that of the OTLP file exporter: ids in hexadecimal, times and integers as text, kinds as numbers."""
    span = SpanRecord(
        name="work", trace_id="a" * 32, span_id="b" * 16, parent_id="c" * 16, start_ns=1, end_ns=2, kind="SERVER",
        failed=True, attributes={"n": 1, "list": ("x",)}, service="orders",
    )  # fmt: skip

    expected = {
        "traceId": "a" * 32,
        "spanId": "b" * 16,
        "parentSpanId": "c" * 16,
        "name": "work",
        "kind": 2,
        "startTimeUnixNano": "1",
        "endTimeUnixNano": "2",
        "attributes": [
            {"key": "n", "value": {"intValue": "1"}},
            {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "x"}]}}},
        ],
        "status": {"code": 2},
    }
    (resource,) = json.loads(span_line(span))["resourceSpans"]
    assert [expected] == resource["scopeSpans"][0]["spans"]
    assert [{"key": "service.name", "value": {"stringValue": "orders"}}] == resource["resource"]["attributes"]


def test_processes_share_a_file(tmp_path: Path) -> None:
    """Four processes write 200 spans each at once: 800 whole lines, none mixed with another."""
    file = tmp_path / "spans.jsonl"
    program = """
import sys
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from common.observability.monitoring.span_file import SpanFileExporter
provider = TracerProvider(resource=Resource({"service.name": sys.argv[2]}), shutdown_on_exit=False)
provider.add_span_processor(SimpleSpanProcessor(SpanFileExporter(sys.argv[1])))
for number in range(200):
    provider.get_tracer("test").start_span("work", attributes={"text": "x" * 500}).end()
"""
    processes = [subprocess.Popen([sys.executable, "-c", program, str(file), f"s{number}"]) for number in range(4)]
    assert [0, 0, 0, 0] == [process.wait(timeout=60) for process in processes]

    spans = read_spans(file)
    assert {f"s{number}": 200 for number in range(4)} == {
        name: sum(span.service == name for span in spans) for name in ("s0", "s1", "s2", "s3")
    }


def test_a_line_that_is_still_being_written_is_left_out(tmp_path: Path) -> None:
    """A reader never sees half a span, and a file that is not there yet has none."""
    file = tmp_path / "spans.jsonl"
    provider(SpanFileExporter(file)).get_tracer("test").start_span("whole").end()
    with file.open("ab") as unfinished:
        unfinished.write(b'{"resourceSpans":[{"res')

    assert ["whole"] == [span.name for span in read_spans(file)]
    assert [] == read_spans(tmp_path / "later.jsonl")


def test_several_files_and_folders_can_be_read_by_trace(tmp_path: Path) -> None:
    """A folder stands for its files, and one trace can be picked."""
    for service in ("b", "a"):
        provider(SpanFileExporter(tmp_path / f"{service}.jsonl"), service).get_tracer("test").start_span("work").end()

    both = read_spans(tmp_path)
    assert ["a", "b"] == [span.service for span in both]
    assert both[:1] == read_spans(tmp_path / "b.jsonl", tmp_path / "a.jsonl", trace_id=both[0].trace_id)


def test_a_foreign_line_is_refused(tmp_path: Path) -> None:
    """A whole line that is no JSON is no span, and reading says so."""
    (tmp_path / "spans.jsonl").write_text("no span\n")

    with pytest.raises(ValueError, match="Expecting value"):
        read_spans(tmp_path)


def test_a_file_that_cannot_be_written_loses_spans_and_nothing_else(tmp_path: Path) -> None:
    """The exporter reports a failure; the program that made the span notices nothing."""
    exporter = SpanFileExporter(tmp_path / "missing" / "spans.jsonl")
    provider(exporter).get_tracer("test").start_span("work").end()

    assert SpanExportResult.FAILURE is exporter.export([])


def test_the_file_is_private_and_is_closed(tmp_path: Path) -> None:
    """Only its owner reads it; an exporter that was shut down opens it anew when it is needed."""
    file = tmp_path / "spans.jsonl"
    exporter = SpanFileExporter(file)
    tracer = provider(exporter).get_tracer("test")
    tracer.start_span("one").end()
    exporter.shutdown()
    exporter.shutdown()

    assert 0o600 == file.stat().st_mode & 0o777
    assert exporter.force_flush()
