"""The one place that knows OpenTelemetry (the API alone): one span and a few metric records per operation.

Names and values follow the semantic conventions v1.44.0 (database client spans, DynamoDB); own names begin with
``common.dynamo.``. No key, attribute value, exception text, ARN or cursor is ever written.

Without an SDK every instrument is a no-op. Tracer and instruments may be obtained before an SDK is set up and work after.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from inspect import signature
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar

from opentelemetry import context as otel_context
from opentelemetry import metrics, trace
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from common.dynamo.budgets import Overrun
from common.dynamo.cost import NOTHING, Cost
from common.dynamo.exceptions import OutcomeUnknown, RequestRefused, Unavailable
from common.dynamo.instruments import Instruments
from common.dynamo.requests import Query, Request, Scan
from common.dynamo.span_attributes import (
    CanceledItem,
    HasParts,
    canceled_items,
    merge_capacity,
    request_attributes,
    written_capacity,
)
from common.dynamo.traffic import TrafficWindow
from common.dynamo.value_classes import dataclass
from common.dynamo.wire import Answer, Wire, WireFailure

if TYPE_CHECKING:
    from opentelemetry._logs import Logger, LoggerProvider, SeverityNumber

__all__ = ["Events", "Recording", "SdkSpans", "Telemetry", "continued", "suppressed", "trace_context"]

SCOPE: Final = "common.dynamo"
SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"
SYSTEM: Final = "aws.dynamodb"

SdkSpans: TypeAlias = Literal["logical", "nested", "off"]
"""Which spans a call makes: the DAO's alone; the DAO's and those of botocore's instrumentation; the latter alone."""

Events: TypeAlias = Literal["logs", "span"]
"""Where the cancelled items of a transaction are told: as events among the logs, or of the span, for back ends without."""

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])

_THROTTLES: Final = frozenset(
    {"ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded", "Throttling"}
)
_ENGINE_FAILURES: Final = (Unavailable, OutcomeUnknown, RequestRefused)
_ITEM_CANCELLED: Final = "common.dynamo.transaction.item_cancelled"
_NO_ANSWER: Final = frozenset({"NotSent", "AnswerLost", "DeadlineExceeded", ""})


@cache
def _version() -> str:
    return metadata.version("common-dynamo")


def _has_tracer_provider() -> bool:
    # Private, and what the API's own stand-ins look at each time; asking here spares ten of their calls without an SDK.
    return getattr(trace, "_TRACER_PROVIDER", trace) is not None


def _has_meter_provider() -> bool:
    # The same, for metrics.
    return getattr(metrics._internal, "_METER_PROVIDER", metrics) is not None


def _suppression_key() -> str:
    # Private, and the only way to tell instrumentations of libraries below us to stay silent.
    return otel_context._SUPPRESS_INSTRUMENTATION_KEY


def _event_logger(provider: "LoggerProvider | None") -> "tuple[Logger, SeverityNumber] | None":
    """Return what takes events among the logs, and how severe ours are; ``None`` where the API knows none, before 1.38.

    Private, and loaded when the first event is told: most processes never tell one.
    """
    from opentelemetry import _logs

    if "event_name" not in signature(_logs.Logger.emit).parameters:
        return None
    return _logs.get_logger(SCOPE, _version(), provider, SCHEMA_URL), _logs.SeverityNumber.WARN


_PAGED: Final = (Query, Scan)
_SUPPRESSED: Final = _suppression_key()


@dataclass(frozen=True, slots=True)
class _Static:
    """What is known of an operation before it starts; built once per pattern and tables."""

    span_name: str
    start: Mapping[str, str | int]
    """The attributes that samplers may see."""
    metric: Mapping[str, str | int]
    reads: Mapping[str, str | int]
    """Of the capacity records."""
    writes: Mapping[str, str | int]
    counters: Mapping[str, str | int]
    tables: tuple[str, ...]

    @property
    def named(self) -> dict[str, str | int]:
        """The table, where it is one, and the access pattern."""
        return {key: self.start[key] for key in ("db.collection.name", "db.query.summary") if key in self.start}


class Telemetry:
    """Spans, metrics and the traffic window of one database."""

    def __init__(
        self,
        wire: Wire,
        *,
        sdk_spans: SdkSpans = "logical",
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        logger_provider: "LoggerProvider | None" = None,
        events: Events = "logs",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare instruments.

        Args:
            wire: Tells endpoint and region, and whether there is an SDK below whose instrumentation must stay silent.
            sdk_spans: Which spans a call makes.
            tracer_provider: Instead of the process's own.
            meter_provider: Instead of the process's own.
            logger_provider: Instead of the process's own.
            events: Where the cancelled items of a transaction are told.
            clock: Monotonic seconds, for durations and the traffic window.
        """
        self.clock = clock
        self.traffic = TrafficWindow(clock)
        self._has_sdk = wire.name == "boto"
        self._spans = sdk_spans
        self._events = events
        self._logger_provider = logger_provider
        self._event_logger: tuple[Logger, SeverityNumber] | None = None
        self._kind = SpanKind.INTERNAL if sdk_spans == "nested" and self._has_sdk else SpanKind.CLIENT
        self._wire = wire
        self._statics: dict[tuple[str, str, tuple[str, ...]], _Static] = {}
        self._traces = tracer_provider is not None
        self._measures = meter_provider is not None
        self._tracer = trace.get_tracer(SCOPE, _version(), tracer_provider, SCHEMA_URL)
        self.instruments = Instruments(metrics.get_meter(SCOPE, _version(), meter_provider, SCHEMA_URL))

    def sending(self, send: AnyFunction) -> AnyFunction:
        """Return *send*, or *send* with instrumentation below it silenced, where there is any and this is wanted."""
        if not self._has_sdk or self._spans != "logical":
            return send

        def silenced(*arguments: Any) -> Any:
            with suppressed():
                return send(*arguments)

        return silenced  # type: ignore[return-value]  # it takes and returns what *send* does

    def start(
        self, name: str, operation: str, tables: tuple[str, ...], *, batch_size: int | None = None
    ) -> "Recording | None":
        """Begin an operation: its span is current until :meth:`Recording.end`.

        Returns:
            ``None`` under the suppression key: nothing of the operation is recorded.
        """
        context = otel_context.get_current()
        if context.get(_SUPPRESSED):
            return None
        key = (name, operation, tables)
        static = self._statics.get(key)
        if static is None:
            static = self._statics[key] = self._static(name, operation, tables)
        span: Span = INVALID_SPAN
        token = None
        now = time.time_ns()
        if self._spans != "off" and (self._traces or self._is_traced()):
            span = self._tracer.start_span(
                static.span_name, context, kind=self._kind, attributes=static.start, start_time=now
            )
            if span is not INVALID_SPAN:  # without an SDK it is current already
                token = otel_context.attach(trace.set_span_in_context(span, context))
        return Recording(self, static, span, token, now, batch_size)

    def _is_traced(self) -> bool:
        """Tell whether a provider has been set meanwhile, which then stays; without one, a span would be nobody's."""
        self._traces = _has_tracer_provider()
        return self._traces

    def measures(self) -> bool:
        """Tell whether anybody takes measurements."""
        if not self._measures:
            self._measures = _has_meter_provider()
        return self._measures

    def _static(self, name: str, operation: str, tables: tuple[str, ...]) -> _Static:
        start: dict[str, str | int] = {"db.system.name": SYSTEM, "db.operation.name": operation}
        if len(tables) == 1:
            start["db.collection.name"] = tables[0]
        counters = dict(start)
        if name:
            start["db.query.summary"] = name
        endpoint = self._wire.endpoint
        if endpoint is not None:
            start["server.address"] = endpoint[0]
            if endpoint[1] != 443:
                start["server.port"] = endpoint[1]
        capacity = {key: value for key, value in start.items() if not key.startswith("server.")}
        return _Static(
            name or " ".join([operation, *tables[:1]] if len(tables) == 1 else [operation]),
            start,
            start,
            {**capacity, "common.dynamo.capacity.type": "read"},
            {**capacity, "common.dynamo.capacity.type": "write"},
            counters,
            tables,
        )

    def tell(self, span: Span, name: str, attributes: Mapping[str, str | int]) -> None:
        """Tell of a single occurrence: as an event among the logs, in the current context, or of *span*."""
        if self._event_logger is None and self._events == "logs":
            self._event_logger = _event_logger(self._logger_provider)
        if self._event_logger is None:
            self._events = "span"
            span.add_event(name, attributes)
            return
        logger, severity = self._event_logger
        enabled = getattr(logger, "enabled", None)  # not before 1.45
        if enabled is None or enabled(severity_number=severity, event_name=name):
            logger.emit(
                timestamp=time.time_ns(),
                severity_number=severity,
                severity_text=severity.name,
                attributes=attributes,
                event_name=name,
            )

    def published(self, event_type: str, waited: float) -> None:
        """Note an event that was published *waited* seconds after its commit."""
        which = {"common.dynamo.event.type": event_type}
        self.instruments.published.add(1, which)
        self.instruments.waited.record(max(0.0, waited), which)

    def unpublished(self, event_type: str, error: BaseException) -> None:
        """Note an event whose publication failed."""
        kind = type(error)
        which = {"common.dynamo.event.type": event_type, "error.type": f"{kind.__module__}.{kind.__qualname__}"}
        self.instruments.unpublished.add(1, which)

    @property
    def region(self) -> str | None:
        """Where the engine is, for spans."""
        return self._wire.region


@contextmanager
def suppressed() -> Iterator[None]:
    """Record nothing of the block: no span, no metric, no entry in the traffic window."""
    token = otel_context.attach(otel_context.set_value(_suppression_key(), True))
    try:
        yield
    finally:
        otel_context.detach(token)


def trace_context() -> dict[str, str]:
    """Return the W3C trace context of the current span: ``traceparent`` and ``tracestate``, or nothing."""
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier


@contextmanager
def continued(context: Mapping[str, str]) -> Iterator[None]:
    """Make the remote span of a W3C trace *context* the current one; without one, all stays as it is."""
    token = otel_context.attach(TraceContextTextMapPropagator().extract(context, otel_context.get_current()))
    try:
        yield
    finally:
        otel_context.detach(token)


class Recording:
    """One operation on its way. The execution tells it what happens; :meth:`end` writes it down."""

    # Defaults of the class, so that starting an operation sets no more than it has to.
    _first: Request | None = None
    _last: Answer | None = None
    _cost: Cost = NOTHING
    _calls = _pages = _attempts = _retries = _throttles = _found = _scanned = 0
    _code = ""
    _cause: BaseException | None = None
    _canceled: tuple[str, ...] = ()
    _capacity: dict[str, dict[str, Any]] | None = None
    operations: Iterable[HasParts] = ()
    """What the caller asked for, in order, where the next request is a transaction of that."""
    page_index: int | None = None
    """Of a page that is an operation of its own, from 0."""
    unprocessed = 0
    """Batch entries that the engine left for another round, summed."""

    def __init__(
        self, telemetry: Telemetry, static: _Static, span: Span, token: Any, now: int, batch_size: int | None
    ) -> None:
        self._telemetry = telemetry
        self._static = static
        self._span = span
        self._token = token
        self._recording = span is not INVALID_SPAN and span.is_recording()
        self._now = now
        self._started = telemetry.clock()
        self._batch_size = batch_size

    def answered(self, request: Request, answer: Answer, cost: Cost, retries: int) -> None:
        """Note a call that succeeded, after *retries* further attempts."""
        self._called(request, retries)
        self._last = answer
        if self._code:
            self._code, self._cause = "", None
        self._cost = cost if self._cost is NOTHING else self._cost + cost
        if isinstance(request, _PAGED):
            self._pages += 1
            self._found += answer.body.get("Count", 0)
            self._scanned += answer.body.get("ScannedCount", 0)
        if self._recording:
            if self._capacity is None:
                self._capacity = {}
            merge_capacity(self._capacity, answer.body.get("ConsumedCapacity"))

    def failed(self, outcome: Answer | WireFailure, code: str) -> None:
        """Note an attempt that failed; another one may follow."""
        self._code = code
        self._throttles += code in _THROTTLES
        if isinstance(outcome, WireFailure):
            self._cause = outcome.__cause__ or outcome
            return
        self._cause = None
        self._last = outcome
        for item in canceled_items(outcome.body, self.operations):
            self._canceled += (item.code,)
            self._tell_canceled(item)

    def _tell_canceled(self, item: CanceledItem) -> None:
        attributes: dict[str, str | int] = dict(self._static.named)
        if item.table is not None:
            attributes["db.collection.name"] = item.table
        attributes["common.dynamo.cancellation.index"] = item.index
        attributes["common.dynamo.cancellation.code"] = item.code
        self._telemetry.tell(self._span, _ITEM_CANCELLED, attributes)

    def gave_up(self, request: Request, retries: int) -> None:
        """Note a call that failed for good, after *retries* further attempts."""
        self._called(request, retries)

    def over_budget(self, scope: str, overruns: Iterable[Overrun]) -> None:
        """Write down which limits of a budget did not suffice: an event of the span, and the metric.

        Args:
            scope: Whose budget it is: ``pattern`` or ``request``.
            overruns: One per limit.
        """
        for overrun in overruns:
            which = {"common.dynamo.budget.scope": scope, "common.dynamo.budget.dimension": overrun.dimension}
            amounts = {"common.dynamo.budget.spent": overrun.spent, "common.dynamo.budget.limit": overrun.limit}
            if self._recording:
                self._span.add_event("common.dynamo.budget.exceeded", {**which, **amounts})
            self._telemetry.instruments.overruns.add(1, {**self._static.named, **which})

    def _called(self, request: Request, retries: int) -> None:
        if self._first is None:
            self._first = request
        self._calls += 1
        self._retries += retries
        self._attempts += retries + 1

    def end(self, error: BaseException | None) -> None:
        """Write down what happened and make the outer span current again.

        Args:
            error: What leaves the operation; ``None`` where it succeeded or its caller handled the failure.
        """
        seconds = self._telemetry.clock() - self._started
        failure = self._failure(error) if error is not None else {}
        if self._recording:
            self._describe(failure)
        if self._telemetry.measures():
            self._measure(seconds, failure)
            if isinstance(error, OutcomeUnknown):
                self._telemetry.instruments.unknown.add(1, self._static.counters)
        self._telemetry.traffic.count(
            error=error is not None and isinstance(error, _ENGINE_FAILURES),
            attempts=self._attempts,
            throttles=self._throttles,
            trace_id=self._span.get_span_context().trace_id if error is not None else 0,
        )
        if self._token is not None:
            otel_context.detach(self._token)
            # So that the span lasts as long as the metric says, whatever the machine does in between.
            self._span.end(self._now + int(seconds * 1e9))

    def _failure(self, error: BaseException) -> dict[str, str]:
        code = self._code
        if code not in _NO_ANSWER:
            return {"error.type": code, "db.response.status_code": code}
        cause = self._cause if code else error
        if code == "DeadlineExceeded" or isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__:
            return {"error.type": "timeout"}
        kind = type(cause or error)
        return {"error.type": f"{kind.__module__}.{kind.__qualname__}"}

    def _measure(self, seconds: float, failure: Mapping[str, str]) -> None:
        static, instruments = self._static, self._telemetry.instruments
        instruments.duration.record(seconds, {**static.metric, **failure} if failure else static.metric)
        if self._cost.rcu:
            instruments.capacity.record(self._cost.rcu, static.reads)
        if self._cost.wcu:
            instruments.capacity.record(self._cost.wcu, static.writes)
        if self._retries:
            instruments.retries.add(self._retries, static.counters)
        if self.unprocessed:
            instruments.unprocessed.add(self.unprocessed, static.counters)
        if self._pages > 1:
            instruments.pages.add(self._pages, static.counters)
        for code in self._canceled:
            instruments.cancellations.add(1, {**static.named, "common.dynamo.cancellation.code": code})

    def _describe(self, failure: Mapping[str, str]) -> None:
        attributes: dict[str, Any] = dict(failure)
        if self._first is not None:
            attributes.update(request_attributes(self._first))
        if self._static.tables:
            attributes["aws.dynamodb.table_names"] = sorted(self._static.tables)
        if self._batch_size is not None:
            attributes["db.operation.batch.size"] = self._batch_size
        if self._capacity:
            attributes["aws.dynamodb.consumed_capacity"] = written_capacity(self._capacity)
        self._describe_answers(attributes)
        for name, number in (("retry", self._retries), ("unprocessed", self.unprocessed)):
            if number:
                attributes[f"common.dynamo.{name}.count"] = number
        if self._canceled:
            attributes["common.dynamo.transaction.cancellation_codes"] = sorted(set(self._canceled))
        self._span.set_attributes(attributes)
        if failure:
            self._span.set_status(Status(StatusCode.ERROR, failure.get("db.response.status_code")))

    def _describe_answers(self, attributes: dict[str, Any]) -> None:
        if self._last is not None and self._last.request_id:
            attributes["aws.request_id"] = self._last.request_id
            extended = self._last.headers.get("x-amz-id-2")
            if extended:
                attributes["aws.extended_request_id"] = extended
        if self._telemetry.region:
            attributes["cloud.region"] = self._telemetry.region
        if isinstance(self._first, Scan):
            attributes["aws.dynamodb.count"] = self._found
            attributes["aws.dynamodb.scanned_count"] = self._scanned
        if self.page_index is not None:
            attributes["common.dynamo.page.index"] = self.page_index
        elif self._pages:
            attributes["common.dynamo.page.count"] = self._pages
        elif self._calls > 1:
            attributes["common.dynamo.call.count"] = self._calls
