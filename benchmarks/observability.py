"""What it costs to tell: spans and metrics of a call, a line of a log, a health report. Ratios of processor time.

    python benchmarks/observability.py [--seconds 0.3]

Everything is measured in one process, in turns with what it is compared to, so that a busy machine slows both down. A call
of the data layer is compared with a bare ``get_item`` of boto3 that is answered without a socket (B), measured before
and after it; figures are medians of rounds. Exits 1 where a budget does not suffice.
"""

import argparse
import asyncio
import gc
import io
import logging
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

from common.core.health import CheckContext, CheckSpec
from common.dynamo.cost import Cost
from common.dynamo.requests import GetItem
from common.dynamo.telemetry import Telemetry
from common.dynamo.wire import Answer
from common.observability.health import HealthRunner
from common.observability.logging import JsonFormatter, LineHandler, bind
from common.observability.logging.render import encode_with_stdlib, render

ROUNDS = 7
BODY = b'{"Item":{"pk":{"S":"USER#1"},"name":{"S":"ann"}},"ConsumedCapacity":{"TableName":"users","CapacityUnits":0.5}}'
EVENT = {"order_id": "o-7", "amount": 12.5, "kind": "limit", "filled": True, "price": 101}

Work = Callable[[], object]

_NO_TRACER = trace.NoOpTracerProvider().get_tracer("benchmark")


@dataclass(frozen=True, slots=True)
class Row:
    """One thing measured."""

    name: str
    ratio: float
    budget: float
    unit: str


class NoSocket:
    """Stands for the wire in the eyes of the telemetry."""

    name = "direct"
    reason = "benchmark"
    endpoint = ("dynamodb.eu-central-1.amazonaws.com", 443)
    region = "eu-central-1"


class _Raw(io.BytesIO):
    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        yield self.read()


def boto_call() -> Work:
    """Return B: ``get_item`` of a whole client, answered before it would be sent."""
    client = boto3.client("dynamodb", region_name="eu-central-1", aws_access_key_id="a", aws_secret_access_key="b")
    headers = {"content-type": "application/x-amz-json-1.0", "x-amzn-requestid": "R"}
    client.meta.events.register(
        "before-send.dynamodb", lambda request, **_: AWSResponse(request.url, 200, headers, _Raw(BODY))
    )
    key = {"pk": {"S": "USER#1"}}
    return lambda: client.get_item(TableName="users", Key=key)


def told_call(call: Work, telemetry: Telemetry) -> Work:
    """Return *call* as an operation of the data layer: one span and two records."""
    request = GetItem(table="users", key={"pk": "USER#1"})
    answer = Answer(200, {"ConsumedCapacity": {"TableName": "users", "CapacityUnits": 0.5}}, "R")
    cost = Cost(rcu=0.5, trips=1)

    def told() -> None:
        recording = telemetry.start("User.get", "GetItem", ("users",))
        call()
        if recording is not None:
            recording.answered(request, answer, cost, 0)
            recording.end(None)

    return told


def telemetries() -> dict[str, tuple[Telemetry, float]]:
    """Return the three ways to watch, each with its budget."""
    wire: Any = NoSocket()
    reader = InMemoryMetricReader()
    measured = MeterProvider([reader], shutdown_on_exit=False)

    def sdk(sampler: Any) -> Telemetry:
        traced = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        return Telemetry(wire, tracer_provider=traced, meter_provider=measured)

    bare = Telemetry(wire, tracer_provider=trace.NoOpTracerProvider(), meter_provider=NoOpMeterProvider())
    return {
        "call, OpenTelemetry's API alone": (bare, 0.03),
        "call, SDK, sampled": (sdk(ALWAYS_ON), 0.35),
        "call, SDK, sampled out, measured": (sdk(ALWAYS_OFF), 0.20),
    }


def bare_span() -> None:
    """Start, attach, detach and end a span without an SDK: the least that a span can cost."""
    span = _NO_TRACER.start_span("User.get", kind=trace.SpanKind.CLIENT)
    otel_context.detach(otel_context.attach(trace.set_span_in_context(span)))
    span.end()


def added(reference: Work, work: Work, seconds: float) -> float:
    """Return what *work* costs beyond *reference*, divided by it: the median of rounds that alternate call by call."""
    count = _count(reference, seconds)
    return statistics.median(_share(reference, work, count) for _ in range(ROUNDS))


def _share(reference: Work, work: Work, count: int) -> float:
    """Compare medians of single calls, of which a neighbour on the machine disturbs only some."""
    costs: tuple[list[int], list[int]] = ([], [])
    gc.collect()
    for _ in range(count):
        for call, taken in zip((reference, work), costs, strict=True):
            begin = time.thread_time_ns()
            call()
            taken.append(time.thread_time_ns() - begin)
    return statistics.median(costs[1]) / statistics.median(costs[0]) - 1


def times(reference: Work, work: Work, seconds: float) -> float:
    """Return how many times *reference* the cost of *work* is: the least of each, over interleaved rounds."""
    count = _count(reference, seconds)
    rounds = [(_time(reference, count), _time(work, count)) for _ in range(30)]
    return min(cost for _, cost in rounds) / min(cost for cost, _ in rounds)


def _count(work: Work, seconds: float) -> int:
    return max(20, int(seconds / ROUNDS / max(_time(work, 20), 1e-7)))


def _time(work: Work, count: int) -> float:
    """Return the processor seconds of this thread for one call of *work*."""
    gc.collect()
    begin = time.thread_time_ns()
    for _ in range(count):
        work()
    return (time.thread_time_ns() - begin) / count / 1e9


def data_layer(seconds: float) -> Iterator[Row]:
    """Measure spans and metrics of a call."""
    call = boto_call()
    for name, (telemetry, budget) in telemetries().items():
        yield Row(name, added(call, told_call(call, telemetry), seconds), budget, "of B")
    bare, _ = telemetries()["call, OpenTelemetry's API alone"]
    isolated = times(bare_span, told_call(lambda: None, bare), seconds)
    yield Row("telling alone, API alone", isolated, 3.0, "bare spans")


def logger_with(handler: logging.Handler) -> logging.Logger:
    """Return a logger of its own at INFO."""
    logger = logging.Logger("orders.api", logging.INFO)  # noqa: LOG001 - outside of the hierarchy, on purpose
    logger.addHandler(handler)
    return logger


@contextmanager
def in_a_request() -> Iterator[None]:
    """Bind three fields inside a span."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("benchmark")
    with tracer.start_as_current_span("request"), bind(user="u-1", tenant="t-1", step="settle"):
        yield


def lines(seconds: float) -> Iterator[Row]:
    """Measure lines against the standard library's lines of text."""
    plain = logging.StreamHandler(io.StringIO())
    plain.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    text = logger_with(plain)
    ours = logger_with(LineHandler(JsonFormatter(service={"service.name": "orders"}), io.BytesIO()))
    stdlib = logger_with(LineHandler(_StdlibFormatter(service={"service.name": "orders"}), io.BytesIO()))

    def written(logger: logging.Logger, **extra: Any) -> Work:
        return lambda: logger.info("paid %s", "o-7", **extra)

    with in_a_request():
        yield Row("line, orjson", times(written(text), written(ours, extra=EVENT), seconds), 1.8, "lines of text")
        yield Row(
            "line, stdlib json", times(written(text), written(stdlib, extra=EVENT), seconds), 2.5, "lines of text"
        )
    disabled = times(lambda: text.debug("no"), lambda: ours.debug("no"), seconds)
    yield Row("disabled line", disabled, 1.3, "disabled lines")


class _StdlibFormatter(JsonFormatter):
    """The formatter where orjson is not installed."""

    def render(self, record: logging.LogRecord, *, bare: bool = False) -> bytes:
        return render(self._fields(record, bare=bare), redaction=self._redaction, encode=encode_with_stdlib)


async def _nothing(context: CheckContext) -> None:
    """Pass."""


def ready(count: int, check: Callable[[CheckContext], Any], ttl: float) -> HealthRunner:
    """Return a runner of *count* checks that is ready."""
    runner = HealthRunner()
    for number in range(count):
        runner.add(CheckSpec(f"check-{number}", ttl=ttl), check)
    runner.lifecycle.ready()
    return runner


def health(seconds: float) -> Iterator[Row]:
    """Measure reports against bare tasks with a time limit, and against the clock."""
    fresh, one, cached = ready(50, _nothing, 0.0), ready(1, _nothing, 0.0), ready(1, _nothing, 600.0)
    context = CheckContext(0.0)

    async def bare() -> None:
        await asyncio.gather(*(asyncio.wait_for(_nothing(context), 10) for _ in range(50)))

    with asyncio.Runner() as loop:
        run = loop.run
        yield Row("check", times(lambda: run(bare()), lambda: run(fresh.evaluate()), seconds), 4.0, "bare tasks")
        single = times(lambda: run(one.evaluate()), lambda: run(cached.evaluate()), seconds)
        yield Row("cached probe", single, 1.0, "checks")
    yield Row("100 checks of 50 ms, threads", _waited(ready(100, _sleep, 0.0).evaluate_sync), 0.6, "s")
    asynchronous = ready(100, _sleep_async, 0.0)
    yield Row("100 checks of 50 ms, tasks", _waited(lambda: asyncio.run(asynchronous.evaluate())), 0.15, "s")


def _sleep(context: CheckContext) -> None:
    time.sleep(0.05)


async def _sleep_async(context: CheckContext) -> None:
    await asyncio.sleep(0.05)


def _waited(work: Work) -> float:
    """Return the least seconds of the clock that *work* took in three rounds."""
    rounds = []
    for _ in range(3):
        begin = time.perf_counter()
        work()
        rounds.append(time.perf_counter() - begin)
    return min(rounds)


def table(rows: Sequence[Row]) -> str:
    """Return the rows as text."""
    lines = [f"{'':<34} {'measured':>9} {'budget':>8}  {'unit':<15} verdict"]
    for row in rows:
        verdict = "within" if row.ratio <= row.budget else "OVER"
        lines.append(f"{row.name:<34} {row.ratio:>9.3f} {row.budget:>8.2f}  {row.unit:<15} {verdict}")
    return "\n".join(lines)


def main() -> int:
    """Measure, print, and return 1 where a budget does not suffice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0.3, help="for each figure, roughly")
    seconds = parser.parse_args().seconds
    rows = [*data_layer(seconds), *lines(seconds), *health(seconds)]
    print(table(rows))
    return int(any(row.ratio > row.budget for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
