"""What the distribution contributes, and what it does when a service starts and stops."""

from collections.abc import Callable
from typing import Any

from common.core import App, Plugins, Settings, hookimpl
from common.observability import hookspecs, plugin
from common.observability.health import HealthRunner, State


def loaded(*more: object) -> Plugins:
    """Return plugins: this distribution's and *more*."""
    plugins = Plugins(hookspecs=[hookspecs])
    plugins.register(plugin, name="common-observability")
    for place, one in enumerate(more):
        plugins.register(one, name=f"plugin-{place}")
    plugins.load(Settings(), entry_points=False)
    return plugins


def test_runners_of_the_service_are_ready_when_all_plugins_have_started() -> None:
    """They are told after every other plugin, and stopped with the service."""
    runner = HealthRunner()
    seen: list[State] = []

    class Slow:
        @hookimpl
        def common_startup(self, app: App) -> None:
            seen.append(runner.lifecycle.state)

        @hookimpl
        def common_shutdown(self, app: App) -> None:
            seen.append(runner.lifecycle.state)

    plugins = loaded(Slow())
    with plugins.running(App(settings=Settings(), plugins=plugins, provides=(runner,))):
        seen.append(runner.lifecycle.state)

    assert [State.STARTING, State.READY, State.STOPPED] == seen


def test_a_service_without_runner_starts_too() -> None:
    """Nothing is expected of it."""
    plugins = loaded()
    with plugins.running(App(settings=Settings(), plugins=plugins)):
        pass


def test_what_was_recorded_is_exported_when_the_service_stops(python: Callable[..., Any]) -> None:
    """Before the process ends, within the deadline of the shutdown."""
    program = """
from opentelemetry import trace
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from common.core import App, Plugins, Settings
from common.observability import configure, hookspecs, plugin
exporter = InMemorySpanExporter()
configure(service_name="orders", span_processors=[BatchSpanProcessor(exporter)])
plugins = Plugins(hookspecs=[hookspecs])
plugins.register(plugin, name="common-observability")
plugins.load(Settings(), entry_points=False)
with plugins.running(App(settings=Settings(), plugins=plugins)):
    trace.get_tracer("test").start_span("last request").end()
print(len(exporter.get_finished_spans()))
"""
    assert "1\n" == python(program).stdout


def test_the_command_is_contributed() -> None:
    """By the same hook that is open to everybody."""
    assert ["health"] == [command.name for command in loaded().cli_commands()]


def test_loading_imports_no_opentelemetry(python: Callable[..., Any]) -> None:
    """A service that loads plugins and uses no telemetry pays nothing for it."""
    program = """
import sys
from common.core import Plugins, Settings
from common.observability import hookspecs, plugin
plugins = Plugins(hookspecs=[hookspecs])
plugins.register(plugin, name="common-observability")
plugins.load(Settings(), entry_points=False)
print("opentelemetry" in sys.modules)
"""
    assert "False\n" == python(program).stdout
