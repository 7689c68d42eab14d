"""Metrics as lines that CloudWatch understands."""

import io
import json
from collections.abc import Callable, Iterable
from typing import Any

from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExportResult, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

from common.observability.monitoring.emf import EmfExporter


class Cloud:
    """Measures, and reads back what was written."""

    def __init__(self, namespace: str | None = None, **options: Any) -> None:
        self._sink = io.BytesIO()
        reader = PeriodicExportingMetricReader(EmfExporter(namespace, stream=self._sink))
        resource = Resource({"service.name": "orders"})
        self.provider = MeterProvider([reader], resource=resource, shutdown_on_exit=False, **options)
        self.meter = self.provider.get_meter("test")

    def blobs(self) -> list[dict[str, Any]]:
        """Export, and return the documents written by that."""
        self._sink.seek(0)
        self._sink.truncate()
        self.provider.force_flush()
        return [json.loads(line) for line in self._sink.getvalue().splitlines()]

    def close(self) -> None:
        """End the thread of the reader."""
        self.provider.shutdown()


def directive(blob: dict[str, Any]) -> dict[str, Any]:
    """Return what tells CloudWatch where the metrics of *blob* are; there is one per document."""
    (found,) = blob["_aws"]["CloudWatchMetrics"]
    assert {"Namespace", "Dimensions", "Metrics"} == set(found)
    return dict(found)


def assert_valid(blob: dict[str, Any]) -> None:
    """Check *blob* against the specification of the format."""
    found = directive(blob)
    assert isinstance(blob["_aws"]["Timestamp"], int)
    assert 1 <= len(found["Namespace"]) <= 1024
    assert 1 <= len(found["Metrics"]) <= 100
    (dimensions,) = found["Dimensions"]
    assert len(dimensions) <= 30
    assert all(isinstance(blob[name], str) and blob[name] for name in dimensions)
    assert all(metric["Name"] in blob for metric in found["Metrics"])
    assert len(json.dumps(blob)) < 256 * 1024


def test_250_metrics_are_three_documents() -> None:
    """100 to a document, none lost, and the sum is that of the input."""
    cloud = Cloud()
    for number in range(250):
        cloud.meter.create_counter(f"metric.{number}").add(number)
    blobs = cloud.blobs()
    cloud.close()

    for blob in blobs:
        assert_valid(blob)
    assert [100, 100, 50] == [len(directive(blob)["Metrics"]) for blob in blobs]
    assert sum(range(250)) == sum(blob[metric["Name"]] for blob in blobs for metric in directive(blob)["Metrics"])


def test_counters_tell_what_came_since_the_last_export() -> None:
    """CloudWatch adds up itself; what goes up and down is told as it stands."""
    cloud = Cloud()
    orders, open_orders = cloud.meter.create_counter("orders"), cloud.meter.create_up_down_counter("open")
    orders.add(3)
    open_orders.add(3)
    (first,) = cloud.blobs()
    orders.add(2)
    open_orders.add(-1)
    (second,) = cloud.blobs()
    cloud.close()

    assert [(3, 3), (2, 2)] == [(blob["orders"], blob["open"]) for blob in (first, second)]


def test_each_combination_of_attributes_is_a_document() -> None:
    """Its attributes are the dimensions, beside the service's name, as text."""
    cloud = Cloud("Shop")
    counter = cloud.meter.create_counter("orders", unit="{order}")
    counter.add(1, {"kind": "limit", "paid": True})
    counter.add(2, {"kind": "market", "paid": False})
    blobs = cloud.blobs()
    cloud.close()

    for blob in blobs:
        assert_valid(blob)
        assert ("Shop", [["service.name", "kind", "paid"]]) == (
            directive(blob)["Namespace"],
            directive(blob)["Dimensions"],
        )
    assert {("orders", "limit", "True", 1), ("orders", "market", "False", 2)} == {
        (blob["service.name"], blob["kind"], blob["paid"], blob["orders"]) for blob in blobs
    }


def test_a_histogram_has_its_statistics() -> None:
    """Of either aggregation; units are CloudWatch's."""
    exponential = View(instrument_name="second", aggregation=ExponentialBucketHistogramAggregation())
    cloud = Cloud(views=[exponential])
    for name in ("first", "second"):
        histogram = cloud.meter.create_histogram(name, unit="s")
        for seconds in (0.5, 0.25, 1.0):
            histogram.record(seconds)
    (blob,) = cloud.blobs()
    cloud.close()

    assert_valid(blob)
    assert {"Max": 1.0, "Min": 0.25, "Count": 3, "Sum": 1.75} == blob["first"] == blob["second"]
    assert [{"Name": "first", "Unit": "Seconds"}, {"Name": "second", "Unit": "Seconds"}] == directive(blob)["Metrics"]


def test_attributes_beyond_29_are_fields_and_no_dimensions() -> None:
    """CloudWatch would refuse the document; nothing is lost for a search."""
    cloud = Cloud()
    cloud.meter.create_counter("orders").add(1, {f"attribute_{number:02}": "x" for number in range(40)})
    (blob,) = cloud.blobs()
    cloud.close()

    assert_valid(blob)
    (dimensions,) = directive(blob)["Dimensions"]
    assert ["service.name", *(f"attribute_{number:02}" for number in range(29))] == dimensions
    assert "x" == blob["attribute_39"]


def test_units_are_those_of_cloudwatch() -> None:
    """What it has no word for has none."""
    cloud = Cloud()
    for unit in ("ms", "By", "%", "{order}", "1", "furlong", ""):
        cloud.meter.create_counter(f"in.{unit}" if unit.isalpha() else f"in.{ord((unit or '_')[0])}", unit=unit).add(1)
    (blob,) = cloud.blobs()
    cloud.close()

    units = [metric["Unit"] for metric in directive(blob)["Metrics"]]
    assert ["Milliseconds", "Bytes", "Percent", "Count", "None", "None", "None"] == units


def test_values_that_are_not_finite_are_left_out() -> None:
    """JSON has none; the others are written."""

    def observe(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(value, {"which": str(value)}) for value in (float("nan"), float("inf"), 2.5)]

    cloud = Cloud()
    cloud.meter.create_observable_gauge("load", [observe])
    (blob,) = cloud.blobs()
    cloud.close()

    assert ("2.5", 2.5) == (blob["which"], blob["load"])


def test_nothing_measured_is_nothing_written() -> None:
    """Not even an empty line."""
    cloud = Cloud()

    assert [] == cloud.blobs()
    cloud.close()


def test_a_stream_that_is_broken_is_told_to_the_reader() -> None:
    """And raises nothing."""

    class Broken(io.BytesIO):
        def write(self, _: Any) -> int:
            raise OSError("disk full")

    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    provider.get_meter("test").create_counter("orders").add(1)
    collected = reader.get_metrics_data()
    provider.shutdown()
    assert collected is not None

    assert MetricExportResult.FAILURE is EmfExporter(stream=Broken()).export(collected)


def test_the_operator_chooses_it_by_name(python: Callable[..., Any]) -> None:
    """``OTEL_METRICS_EXPORTER=emf``; what was measured last comes out at the end, under the service's name."""
    result = python(
        """
from opentelemetry import metrics
from common.observability import configure
configure(service_name="orders")
metrics.get_meter("test").create_counter("orders").add(3)
""",
        OTEL_METRICS_EXPORTER="emf",
    )

    assert 0 == result.returncode, result.stderr
    (blob,) = [json.loads(line) for line in result.stdout.splitlines()]
    assert_valid(blob)
    assert ("orders", 3) == (directive(blob)["Namespace"], blob["orders"])
