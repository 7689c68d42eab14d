"""One call sets a process up, in a process of its own for each test, since providers are global."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

HEAD = """
import json, logging, os, sys, threading, time
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from common.core import Plugins, Settings, hookimpl
from common.observability import hookspecs
from common.observability.monitoring import configure, current

exporter = InMemorySpanExporter()
tracer = trace.get_tracer("test")

def loaded(*found):
    plugins = Plugins(hookspecs=[hookspecs])
    for place, plugin in enumerate(found):
        plugins.register(plugin, name=f"plugin-{place}")
    plugins.load(Settings(), entry_points=False)
    return plugins
"""


def output(result: Any) -> Any:
    """Return the last line of a program's output as a JSON value; it must have ended well."""
    assert 0 == result.returncode, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_spans_and_metrics_of_code_imported_earlier_are_recorded(python: Run) -> None:
    """Tracer and meter obtained before the call work after it; what was measured before is dropped in silence."""
    program = f"""{HEAD}
counter = metrics.get_meter("test").create_counter("orders")
counter.add(1)
with tracer.start_as_current_span("before"):
    pass
reader = InMemoryMetricReader()
configure(service_name="orders", span_processors=[SimpleSpanProcessor(exporter)], metric_readers=[reader])
counter.add(2)
with tracer.start_as_current_span("after"):
    pass
point = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics[0].data.data_points[0]
print(json.dumps([[span.name for span in exporter.get_finished_spans()], point.value]))
"""
    assert [["after"], 2] == output(python(program))


def test_a_second_call_changes_nothing_and_warns_once(python: Run) -> None:
    """It returns the first handle; the warning comes with the second call and not with the third."""
    program = f"""{HEAD}
first = configure(service_name="orders", log_stream=sys.stderr)
provider = trace.get_tracer_provider()
second = configure(service_name="other", sample_ratio=0.5)
third = configure()
assert first is second is third is current()
assert trace.get_tracer_provider() is provider
print(json.dumps(provider.resource.attributes["service.name"]))
"""
    result = python(program)

    assert "orders" == output(result)
    assert ["WARNING"] == [json.loads(line)["level"] for line in result.stderr.splitlines()]


def test_a_provider_that_is_there_already_is_kept(python: Run) -> None:
    """An agent's provider stays in place, and the warning says what is not attached to it."""
    program = f"""{HEAD}
theirs = TracerProvider(shutdown_on_exit=False)
trace.set_tracer_provider(theirs)
configure(service_name="orders", span_processors=[SimpleSpanProcessor(exporter)], log_stream=sys.stderr)
with tracer.start_as_current_span("work"):
    pass
print(json.dumps([trace.get_tracer_provider() is theirs, len(exporter.get_finished_spans())]))
"""
    result = python(program)

    assert [True, 0] == output(result)
    (line,) = result.stderr.splitlines()
    assert "span processors of plugins and of the service are not attached" in line


def test_a_meter_provider_that_is_there_already_is_kept(python: Run) -> None:
    """The same for metrics."""
    program = f"""{HEAD}
from opentelemetry.sdk.metrics import MeterProvider
theirs = MeterProvider(shutdown_on_exit=False)
metrics.set_meter_provider(theirs)
configure(service_name="orders", metric_readers=[InMemoryMetricReader()], log_stream=sys.stderr)
print(json.dumps(metrics.get_meter_provider() is theirs))
"""
    result = python(program)

    assert output(result)
    assert "metric readers are not attached" in result.stderr


def test_a_disabled_sdk_is_left_alone_and_logs_are_configured(python: Run) -> None:
    """``OTEL_SDK_DISABLED`` stops traces and metrics; log lines still come in our shape."""
    program = f"""{HEAD}
configure(service_name="orders", span_processors=[SimpleSpanProcessor(exporter)])
with tracer.start_as_current_span("work"):
    logging.info("hello")
assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
"""
    line = output(python(program, OTEL_SDK_DISABLED="true"))

    assert ("hello", "orders") == (line["message"], line["service.name"])
    assert "trace_id" not in line


RESOURCE = """
class Cloud:
    @hookimpl
    def common_resource_attributes(self):
        return {"cloud.region": "eu-central-1", "service.version": "0.0.1", "team": "a"}

configure(
    service_name="orders", settings=Settings(service_version="1.4.0", environment="staging"),
    plugins=loaded(Cloud()), resource_attributes={"team": "b"},
)
attributes = dict(trace.get_tracer_provider().resource.attributes)
print(json.dumps(attributes))
"""


def test_the_resource_has_the_services_and_the_plugins_attributes(python: Run) -> None:
    """Arguments go before plugins, and every process has an instance id of its own."""
    found = output(python(HEAD + RESOURCE))

    instance = found.pop("service.instance.id")
    sdk = {name: found.pop(name) for name in list(found) if name.startswith("telemetry.sdk.")}
    expected = {
        "service.name": "orders",
        "service.version": "1.4.0",
        "deployment.environment.name": "staging",
        "cloud.region": "eu-central-1",
        "team": "b",
    }
    assert expected == found
    assert "opentelemetry" == sdk["telemetry.sdk.name"]
    assert instance != output(python(HEAD + RESOURCE))["service.instance.id"]


def test_the_environment_goes_before_arguments(python: Run) -> None:
    """What the operator says by ``OTEL_*`` wins."""
    environ = {"OTEL_SERVICE_NAME": "by-operator", "OTEL_RESOURCE_ATTRIBUTES": "team=c,service.version=9"}
    found = output(python(HEAD + RESOURCE, **environ))

    assert ("by-operator", "9", "c") == (found["service.name"], found["service.version"], found["team"])


def test_two_plugins_that_differ_on_an_attribute_are_both_named(python: Run) -> None:
    """Loading fails, and the message has the attribute and both plugins."""
    program = f"""{HEAD}
class One:
    @hookimpl
    def common_resource_attributes(self):
        return {{"team": "a", "same": 1}}

class Two:
    @hookimpl
    def common_resource_attributes(self):
        return {{"team": "b", "same": 1}}

try:
    loaded(One(), Two())
except Exception as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""
    kind, message = output(python(program))

    assert "PluginLoadError" == kind
    assert all(part in message for part in ("plugin-0", "plugin-1", "'team'"))
    assert "'same'" not in message


def test_a_wrong_result_of_a_hook_is_a_loading_failure(python: Run) -> None:
    """What is no processor, and what is no attribute, is refused by name while plugins load."""
    program = f"""{HEAD}
class Wrong:
    @hookimpl
    def common_span_processors(self, settings):
        return ["no processor"]

    @hookimpl
    def common_resource_attributes(self):
        return {{"a": object()}}

try:
    loaded(Wrong())
except Exception as error:
    print(json.dumps(str(error)))
"""
    message = output(python(program))

    assert "a SpanProcessor of the OpenTelemetry SDK" in message
    assert "a mapping of resource attributes" in message


@pytest.mark.parametrize(
    ("ratio", "environ", "recorded"),
    [
        (0.0, {}, ["sampled parent"]),
        (1.0, {}, ["sampled parent", "no parent"]),
        (0.0, {"OTEL_TRACES_SAMPLER": "always_on"}, ["sampled parent", "unsampled parent", "no parent"]),
    ],
)
def test_the_callers_decision_counts_then_the_ratio(
    ratio: float, environ: dict[str, str], recorded: list[str], python: Run
) -> None:
    """A sampled parent is kept at ratio 0, an unsampled one dropped at ratio 1; ``OTEL_TRACES_SAMPLER`` goes first."""
    program = f"""{HEAD}
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context
configure(service_name="orders", sample_ratio={ratio}, span_processors=[SimpleSpanProcessor(exporter)])
for name, flags in (("sampled parent", 1), ("unsampled parent", 0)):
    parent = NonRecordingSpan(SpanContext(1, 1, is_remote=True, trace_flags=TraceFlags(flags)))
    tracer.start_span(name, context=set_span_in_context(parent)).end()
tracer.start_span("no parent").end()
print(json.dumps([span.name for span in exporter.get_finished_spans()]))
"""
    assert recorded == output(python(program, **environ))


def test_a_ratio_out_of_range_is_refused(python: Run) -> None:
    """The message says what to give."""
    program = f"""{HEAD}
try:
    configure(sample_ratio=50)
except Exception as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""
    kind, message = output(python(program))

    assert "ConfigurationError" == kind
    assert "such as 0.1" in message


def test_probes_are_left_out_of_fastapis_instrumentation_unless_the_operator_decides(python: Run) -> None:
    """The variable is set with anchored patterns; a value that is there stays."""
    program = f"""{HEAD}
import re
configure(service_name="orders")
patterns = os.environ["OTEL_PYTHON_FASTAPI_EXCLUDED_URLS"]
regex = re.compile("|".join(patterns.split(",")))
urls = ["http://h/livez", "https://h:1/health/checks/a", "http://h/orders/health", "http://h/livez2", "http://h/healthy"]
print(json.dumps([patterns, [bool(regex.search(url)) for url in urls]]))
"""
    _, excluded = output(python(program))
    kept, _ = output(python(program, OTEL_PYTHON_FASTAPI_EXCLUDED_URLS="mine"))

    assert [True, True, False, False, False] == excluded
    assert "mine" == kept


PROCESSORS = """
class Broken(SpanProcessor):
    def on_start(self, span, parent_context=None):
        raise ValueError("secret")
    def on_end(self, span):
        raise SystemExit("secret")
    force_flush = shutdown = on_start

class Plugin:
    @hookimpl
    def common_span_processors(self, settings):
        return [Broken(), SimpleSpanProcessor(exporter)]

obs = configure(service_name="orders", plugins=loaded(Plugin()), log_stream=sys.stderr)
for _ in range(3):
    with tracer.start_as_current_span("work"):
        pass
print(json.dumps([len(exporter.get_finished_spans()), obs.flush(1.0), obs.shutdown(1.0)]))
"""


def test_a_broken_processor_is_logged_once_and_harms_nobody(python: Run) -> None:
    """The healthy one beside it sees every span, flushing works, and the log names the plugin, not the text.

    Even an attempt to end the process stays where it is.
    """
    result = python(HEAD + PROCESSORS)

    assert [3, True, True] == output(result)
    (line,) = [json.loads(line) for line in result.stderr.splitlines()]
    assert ("plugin-0", "ValueError") == (line["plugin"], line["error.type"])
    assert "secret" not in result.stderr


HANGING = """
class Hanging(SpanExporter):
    def export(self, spans):
        threading.Event().wait()
    def shutdown(self):
        threading.Event().wait()

received = InMemorySpanExporter()
obs = configure(
    service_name="orders", flush_within=0.3,
    span_processors=[BatchSpanProcessor(received), BatchSpanProcessor(Hanging())],
)
with tracer.start_as_current_span("last request"):
    pass
"""


def test_a_hanging_exporter_does_not_hold_up_a_flush(python: Run) -> None:
    """The call returns within its deadline and half a second and says so; the healthy exporter has the last span.

    Later calls find the hanging one still busy, and start no further thread.
    """
    program = f"""{HEAD}{HANGING}
started = time.monotonic()
flushed = obs.flush(deadline=0.2)
took = time.monotonic() - started
threads = threading.active_count()
for _ in range(5):
    obs.flush(deadline=0.01)
print(json.dumps([flushed, took < 0.7, len(received.get_finished_spans()), threading.active_count() - threads]))
"""
    assert [False, True, 1, 0] == output(python(program))


def test_a_hanging_exporter_does_not_hold_up_the_end(python: Run) -> None:
    """The process ends by itself, soon after its deadline of 0.3 s; without one it would wait for ever."""
    last = output(python(f"{HEAD}{HANGING}print(json.dumps(time.monotonic()))"))

    assert time.monotonic() - last < 3


def test_the_spans_of_the_last_request_are_exported_at_the_end(python: Run, tmp_path: Path) -> None:
    """A batch that has not been sent is sent when the process ends, without a call."""
    program = f"""{HEAD}
from common.observability.monitoring.span_file import SpanFileExporter
configure(service_name="orders", span_processors=[BatchSpanProcessor(SpanFileExporter({str(tmp_path / "spans.jsonl")!r}))])
tracer.start_span("last request").end()
"""
    assert 0 == python(program).returncode
    assert "last request" in (tmp_path / "spans.jsonl").read_text()


def test_a_forked_child_flushes_by_itself(python: Run, tmp_path: Path) -> None:
    """Its threads are made anew where they are needed: its last span is exported, and its exit hangs on nothing."""
    file = tmp_path / "spans.jsonl"
    program = f"""{HEAD}
from common.observability.monitoring.span_file import SpanFileExporter
obs = configure(service_name="orders", span_processors=[BatchSpanProcessor(SpanFileExporter({str(file)!r}))])
obs.flush(1.0)
child = os.fork()
tracer.start_span("child" if child == 0 else "parent").end()
if child == 0:
    os._exit(0 if obs.flush(5.0) else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert 0 == output(python(program))
    assert all(name in file.read_text() for name in ("child", "parent"))


def test_sigterm_exports_what_is_waiting_and_ends_the_process(tmp_path: Path) -> None:
    """Where nobody else handles the signal: spans are written, and the process ends by the signal as before."""
    file = tmp_path / "spans.jsonl"
    program = f"""{HEAD}
from common.observability.monitoring.span_file import SpanFileExporter
configure(service_name="orders", span_processors=[BatchSpanProcessor(SpanFileExporter({str(file)!r}))])
tracer.start_span("last request").end()
print("ready", flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "ready\n" == process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)

    assert -signal.SIGTERM == process.returncode
    assert "last request" in file.read_text()


def test_a_handler_of_sigterm_that_is_there_is_kept(python: Run) -> None:
    """A server that handles the signal comes to its end in order, and needs no help."""
    program = f"""{HEAD}
import signal
handler = lambda number, frame: None
signal.signal(signal.SIGTERM, handler)
configure(service_name="orders")
print(json.dumps(signal.getsignal(signal.SIGTERM) is handler))
"""
    assert output(python(program))


def test_it_can_be_called_outside_of_the_main_thread(python: Run) -> None:
    """Signals are left alone there."""
    program = f"""{HEAD}
import signal
thread = threading.Thread(target=configure)
thread.start()
thread.join()
print(json.dumps([current() is not None, signal.getsignal(signal.SIGTERM) == signal.SIG_DFL]))
"""
    assert [True, True] == output(python(program))


def test_exporters_follow_the_environment(python: Run) -> None:
    """``console`` is there without any extra, ``none`` stops an endpoint, and an unknown name is an error."""
    program = f"""{HEAD}
try:
    configure(service_name="orders", otlp_endpoint="http://127.0.0.1:1")
    tracer.start_span("work").end()
    print(json.dumps("configured"))
except Exception as error:
    print(json.dumps(str(error)))
"""
    none = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}
    assert "configured" == output(python(program, **none))
    assert '"name": "work"' in python(program, **{**none, "OTEL_TRACES_EXPORTER": "console"}).stdout
    wrong = output(python(program, **{**none, "OTEL_TRACES_EXPORTER": "zipkin"}))
    assert "OTEL_TRACES_EXPORTER names 'zipkin'. Use otlp, console or none." == wrong


def test_nothing_dear_is_imported_unless_it_is_asked_for(python: Run) -> None:
    """The OTLP exporter, the terminal view and the span file stay out of a plain service."""
    program = f"""{HEAD}
configure(service_name="orders")
names = ("opentelemetry.exporter", "rich", "common.observability.monitoring.dev", "common.observability.monitoring.span_file")
print(json.dumps([name for name in names if name in sys.modules]))
"""
    assert [] == output(python(program))


def test_a_span_file_can_be_asked_for_by_the_environment(python: Run, tmp_path: Path) -> None:
    """``COMMON_OBS_SPAN_FILE`` needs no change of the service."""
    file = tmp_path / "spans.jsonl"
    program = f"{HEAD}\nconfigure(service_name='orders')\ntracer.start_span('work').end()\n"

    assert 0 == python(program, COMMON_OBS_SPAN_FILE=str(file)).returncode
    assert '"work"' in file.read_text()
