"""Acme's span processor, on spans that the SDK made."""

import logging

import pytest

pytest.importorskip("common.observability", reason="spans are processed with common-observability")

from opentelemetry.sdk.trace import TracerProvider

import acme_plugin.plugin
from acme_plugin.slow_spans import slow_spans_for
from common.core import Settings
from common.core.testing import bare_plugins

MILLISECOND = 1_000_000


@pytest.mark.parametrize(("took", "told"), [(1000, []), (1001, ["deposit took 1001 ms"])])
def test_only_slow_spans_are_told(took: int, told: list[str], caplog: pytest.LogCaptureFixture) -> None:
    """A span above the limit is a warning with its name; one at the limit is none, and attributes stay out."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(slow_spans_for(Settings()))
    span = provider.get_tracer("test").start_span("deposit", start_time=0, attributes={"user": "alice"})
    span.end(took * MILLISECOND)

    assert told == [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_the_limit_comes_from_the_settings(caplog: pytest.LogCaptureFixture) -> None:
    """ACME_SLOW_MS is counted in milliseconds."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(slow_spans_for(Settings.from_environment({"ACME_SLOW_MS": "5"})))
    provider.get_tracer("test").start_span("buy", start_time=0).end(6 * MILLISECOND)

    assert ["buy took 6 ms"] == [record.getMessage() for record in caplog.records]


def test_the_hooks_bring_processor_and_version() -> None:
    """With the hooks of common-observability known, both optional implementations are called."""
    import common.observability.hookspecs

    plugins = bare_plugins(acme_plugin.plugin, hookspecs=[common.observability.hookspecs])
    [attributes] = [each.value for each in plugins.contributions("common_resource_attributes")]

    assert ["SlowSpanLog"] == [type(each.value).__name__ for each in plugins.contributions("common_span_processors")]
    assert {"acme.plugin.version": "1.0.0"} == attributes
