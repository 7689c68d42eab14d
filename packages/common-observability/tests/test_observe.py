"""One span and one duration for a piece of the service's own work."""

import pytest
from opentelemetry.trace import StatusCode

from common.observability import observe
from common.observability.testing import Canary, Metrics, Spans


def test_a_block_is_one_span_and_one_duration(spans: Spans, metrics: Metrics) -> None:
    """Low-cardinality attributes go to both, high-cardinality ones to the span alone."""
    clock = iter([1.0, 1.5])
    with observe("orders.settle", low={"kind": "limit"}, high={"order": "o-1"}, monotonic=lambda: next(clock)):
        pass

    span, (point,) = spans.one("orders.settle"), metrics.points("orders.settle.duration")
    assert {"kind": "limit", "order": "o-1"} == dict(span.attributes or {})
    assert ({"kind": "limit"}, 0.5, 1) == (dict(point.attributes), point.sum, point.count)


def test_many_high_values_make_no_more_series(spans: Spans, metrics: Metrics) -> None:
    """10,000 different ids leave one series."""
    for number in range(10_000):
        with observe("orders.scan", low={"kind": "x"}, high={"order": number}):
            pass

    assert [10_000] == [point.count for point in metrics.points("orders.scan.duration")]


def test_a_failing_block_marks_both_and_goes_on(spans: Spans, metrics: Metrics, canary: Canary) -> None:
    """By the class of the error, never by its text."""
    with pytest.raises(KeyError), observe("orders.fail"):
        raise KeyError(canary.value)

    span, (point,) = spans.one("orders.fail"), metrics.points("orders.fail.duration")
    assert StatusCode.ERROR is span.status.status_code
    assert "KeyError" == (span.attributes or {})["error.type"] == point.attributes["error.type"]
    canary.assert_absent(spans.text(), metrics.text())
