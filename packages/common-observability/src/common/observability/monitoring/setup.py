"""Sets logs, traces and metrics of a process up."""

import logging
import os
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, TextIO

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from common.core.json_types import AttributeValue
from common.observability.hookspecs import SPAN_PROCESSORS
from common.observability.logging import JsonFormatter, LineHandler, Redaction, configure_logging
from common.observability.logging.handler import RootHandler
from common.observability.logging.setup import take_over_root
from common.observability.monitoring.exporters import (
    exporting_processors,
    exporting_readers,
    exports_logs,
    log_endpoint,
)
from common.observability.monitoring.forks import INSTANCE_ID, identify_children
from common.observability.monitoring.guarded import GuardedSpanProcessor
from common.observability.monitoring.handle import FLUSH_WITHIN, Observability, Provider
from common.observability.monitoring.resource import build_resource, new_instance_id
from common.observability.monitoring.sampling import choose_sampler, exclude_probes

if TYPE_CHECKING:
    from common.core.plugins import Plugins
    from common.core.settings import Settings

__all__ = ["configure", "current"]

_log = logging.getLogger("common.observability.monitoring")
_LOG_FIELDS = ("service.name", "service.version", "service.instance.id", "deployment.environment.name")


class _Process:
    """What this process has been configured with. OpenTelemetry's providers are global and set once, and so is this."""

    handle: Observability | None = None
    has_warned = False


@dataclass(frozen=True, slots=True)
class _Wishes:
    """The arguments that concern traces and metrics."""

    sample_ratio: float
    plugins: "Plugins | None"
    span_processors: tuple[SpanProcessor, ...]
    metric_readers: tuple[MetricReader, ...]
    otlp_endpoint: str | None
    otlp_logs: bool
    span_file: str
    dev: bool


def configure(
    *,
    service_name: str | None = None,
    service_version: str | None = None,
    environment: str | None = None,
    settings: "Settings | None" = None,
    plugins: "Plugins | None" = None,
    resource_attributes: Mapping[str, AttributeValue] | None = None,
    sample_ratio: float = 1.0,
    otlp_endpoint: str | None = None,
    span_processors: Iterable[SpanProcessor] = (),
    metric_readers: Iterable[MetricReader] = (),
    span_file: str | os.PathLike[str] | None = None,
    dev: bool | None = None,
    log_level: int | str | None = None,
    log_stream: BinaryIO | TextIO | None = None,
    redaction: Redaction | None = None,
    otlp_logs: bool = False,
    sampled_logs: bool = False,
    flight_recorder: bool | int = False,
    flush_within: float = FLUSH_WITHIN,
) -> Observability:
    """Set logs, traces and metrics of this process up, once; a second call changes nothing and is warned of once.

    The environment (``OTEL_*``) goes before arguments, arguments before what plugins contribute, and that before
    defaults. A provider that is already in place, such as an agent's, is never replaced. ``OTEL_SDK_DISABLED=true``
    leaves OpenTelemetry alone; logging is configured all the same. Call it before instrumentation packages are
    imported, since they read the environment then.

    Args:
        service_name: ``service.name``; by default that of *settings*.
        service_version: ``service.version``; by default that of *settings*.
        environment: ``deployment.environment.name``; by default that of *settings*.
        settings: The service's settings, for the defaults of others.
        plugins: Loaded plugins, for their resource attributes and span processors.
        resource_attributes: Further attributes of the resource.
        sample_ratio: Share of the traces to record, 0 to 1, where the caller of a request has not decided.
        otlp_endpoint: Where to send traces and metrics by OTLP over HTTP, without ``/v1/…``; needs the extra ``[otlp]``.
        span_processors: The service's own; each is guarded like a plugin's.
        metric_readers: The service's own.
        span_file: Also append every span to this file, see :mod:`common.observability.monitoring.span_file`;
            by default what ``COMMON_OBS_SPAN_FILE`` says.
        dev: Draw every trace on the terminal; by default what ``COMMON_OBS_DEV`` says; needs the extra ``[dev]``.
        log_level: Of the root logger; by default that of *settings*, else INFO.
        log_stream: Where log lines go; standard output by default.
        redaction: What is masked in log lines.
        otlp_logs: Send log records by OTLP too, in place of writing lines; ``OTEL_LOGS_EXPORTER`` goes before it.
        sampled_logs: Write INFO and below of sampled traces only.
        flight_recorder: Write the DEBUG lines of a request before its ERROR, see
            :func:`~common.observability.logging.configure_logging`; lines only, not OTLP.
        flush_within: Seconds that the end of the process waits for exporters.

    Raises:
        ConfigurationError: *sample_ratio* is not between 0 and 1, or the environment names an unknown exporter.
        MissingPart: An extra that the arguments need is not installed.
    """
    if _Process.handle is not None:
        return _configured_already(_Process.handle)
    named, own = (service_name, service_version, environment), (tuple(span_processors), tuple(metric_readers))
    resource, id_of_child = _identity(named, settings, plugins, resource_attributes)
    wishes = _Wishes(sample_ratio, plugins, *own, otlp_endpoint, otlp_logs, *_views(span_file, dev, os.environ))
    lines = configure_logging(
        level=log_level or (settings.log_level if settings else logging.INFO),
        service=_log_fields(resource),
        stream=log_stream,
        redaction=redaction,
        sampled=sampled_logs,
        flight_recorder=flight_recorder,
    )
    _Process.handle = _set_up(wishes, resource, lines, redaction, id_of_child)
    _Process.handle.end_with_the_process(flush_within)
    return _Process.handle


def _set_up(
    wishes: _Wishes,
    resource: Resource,
    lines: LineHandler,
    redaction: Redaction | None,
    id_of_child: Callable[[], str],
) -> Observability:
    providers = _provide(wishes, resource, os.environ)
    handler, logger_provider = _export_logs(wishes, lines, resource, redaction, os.environ)
    identify_children(resource, (*providers, logger_provider), lines.lines, id_of_child)
    return Observability(*providers, handler, logger_provider)


def current() -> Observability | None:
    """Return what :func:`configure` has set up in this process, or ``None``."""
    return _Process.handle


def _views(span_file: str | os.PathLike[str] | None, dev: bool | None, environ: Mapping[str, str]) -> tuple[str, bool]:
    file = str(span_file or environ.get("COMMON_OBS_SPAN_FILE") or "")
    return file, _is_true(environ.get("COMMON_OBS_DEV")) if dev is None else dev


def _identity(
    named: tuple[str | None, str | None, str | None],
    settings: "Settings | None",
    plugins: "Plugins | None",
    attributes: Mapping[str, AttributeValue] | None,
) -> tuple[Resource, Callable[[], str]]:
    """Return the resource, and what gives a forked child its instance id: a new one, unless somebody has chosen it."""
    by_settings = (
        (settings.service_name, settings.service_version, settings.environment) if settings else (None, None, None)
    )
    name, version, environment = (given or default for given, default in zip(named, by_settings, strict=True))
    instance_id = new_instance_id()
    resource = build_resource(
        service_name=name,
        service_version=version,
        environment=environment,
        attributes=attributes,
        plugin_attributes=plugins.resource_attributes() if plugins else None,
        new_instance_id=lambda: instance_id,
    )
    found = str(resource.attributes[INSTANCE_ID])
    return resource, new_instance_id if found == instance_id else lambda: found


def _configured_already(handle: Observability) -> Observability:
    if not _Process.has_warned:
        _Process.has_warned = True
        _log.warning("configure() was called again and changed nothing. Call it once, where the process starts.")
    return handle


def _provide(
    wishes: _Wishes, resource: Resource, environ: MutableMapping[str, str]
) -> tuple[TracerProvider | None, MeterProvider | None]:
    if _is_true(environ.get("OTEL_SDK_DISABLED")):
        return None, None
    exclude_probes(environ)
    return _provide_traces(wishes, resource, environ), _provide_metrics(wishes, resource, environ)


def _export_logs(
    wishes: _Wishes,
    lines: LineHandler,
    resource: Resource,
    redaction: Redaction | None,
    environ: Mapping[str, str],
) -> tuple[RootHandler, Provider | None]:
    """Put an exporting handler in the place of *lines* where that is wanted, never both; return who takes the lines."""
    if _is_true(environ.get("OTEL_SDK_DISABLED")) or not exports_logs(wishes.otlp_logs, environ):
        return lines, None
    from common.observability.monitoring import otlp
    from common.observability.monitoring.log_export import LogExportHandler

    logs = otlp.OtlpLogs(log_endpoint(wishes.otlp_endpoint, environ), resource)
    logs.share()
    handler = LogExportHandler(JsonFormatter(redaction=redaction), logs, beside=lines)
    handler.setLevel(lines.level)
    for chosen in lines.filters:
        handler.addFilter(chosen)
    root = take_over_root(logging.getLogger().level, None)
    root.addHandler(handler)
    return handler, logs.provider


def _provide_traces(wishes: _Wishes, resource: Resource, environ: Mapping[str, str]) -> TracerProvider | None:
    sampler = choose_sampler(wishes.sample_ratio, environ)
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        _log.warning(
            "A tracer provider is already in place and is kept: "
            "span processors of plugins and of the service are not attached to it."
        )
        return None
    # The SDK's own exit handler waits for exporters without end; ours has a deadline.
    provider = TracerProvider(sampler=sampler, resource=resource, shutdown_on_exit=False)
    for processor in _processors(wishes, environ):
        provider.add_span_processor(processor)
    trace.set_tracer_provider(provider)
    return provider


def _processors(wishes: _Wishes, environ: Mapping[str, str]) -> list[SpanProcessor]:
    contributed = wishes.plugins.contributions(SPAN_PROCESSORS) if wishes.plugins else ()
    processors: list[SpanProcessor] = [
        *(GuardedSpanProcessor(found.value, owner=found.plugin) for found in contributed),
        *(GuardedSpanProcessor(own, owner="the service") for own in wishes.span_processors),
    ]
    if wishes.dev:
        from common.observability.monitoring.dev import DevView

        processors.append(GuardedSpanProcessor(DevView(), owner="the development view"))
    if wishes.span_file:
        from common.observability.monitoring.span_file import SpanFileExporter

        processors.append(SimpleSpanProcessor(SpanFileExporter(wishes.span_file)))
    return [*processors, *exporting_processors(wishes.otlp_endpoint, environ)]


def _provide_metrics(wishes: _Wishes, resource: Resource, environ: Mapping[str, str]) -> MeterProvider | None:
    # The API's stand-in has no public name.
    if type(metrics.get_meter_provider()).__name__ != "_ProxyMeterProvider":
        _log.warning("A meter provider is already in place and is kept: metric readers are not attached to it.")
        return None
    readers = [*wishes.metric_readers, *exporting_readers(wishes.otlp_endpoint, environ)]
    if not readers:
        return None
    provider = MeterProvider(metric_readers=readers, resource=resource, shutdown_on_exit=False)
    metrics.set_meter_provider(provider)
    return provider


def _log_fields(resource: Resource) -> dict[str, str]:
    return {name: str(resource.attributes[name]) for name in _LOG_FIELDS if resource.attributes.get(name)}


def _is_true(text: str | None) -> bool:
    return (text or "").strip().lower() in ("1", "true", "yes", "on")
