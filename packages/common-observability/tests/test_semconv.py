"""Every name that is told, or read from spans, is what the semantic conventions' own package says."""

import ast
import asyncio
import importlib
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry.semconv.schemas import Schemas

import common.observability as package
from common.core.health import CheckSpec
from common.observability.health import HealthRunner
from common.observability.monitoring import observe
from common.observability.monitoring.asgi import ServerSpanMiddleware
from common.observability.monitoring.propagation import client_span
from common.observability.suppression import is_suppressed, suppressing_context
from common.observability.testing import Logs, Metrics, Spans

TABLE: Mapping[str, Any] = json.loads(Path(__file__).with_name("semconv.json").read_text())
"""Names of the conventions, with status, module and constant; and names of our own."""
NAMESPACES = (
    "aws.", "code.", "db.", "deployment.", "error.", "exception.", "http.", "network.", "server.", "service.", "url.",
)  # fmt: skip
NO_NAMES = {"aws.dynamodb", "http.response.body", "http.response.start"}
"""A value, and messages of ASGI."""


def strangers(look_up: Callable[[str, str], object]) -> list[str]:
    """Return the names that the package does not have, or has under another constant or as another status."""
    wrong = []
    for name, (status, module, constant) in TABLE["conventions"].items():
        # What is stable has moved out of the private part of the package.
        is_private = module.startswith("_incubating.")
        if look_up(module, constant) != name or is_private == (status == "stable"):
            wrong.append(name)
    return wrong


def installed(module: str, constant: str) -> object:
    """Look a constant up in the package that is installed."""
    if f"https://opentelemetry.io/schemas/{TABLE['schema']}" not in {known.value for known in Schemas}:
        pytest.skip("opentelemetry-semantic-conventions is older than the table.")
    return getattr(importlib.import_module(f"opentelemetry.semconv.{module}"), constant, None)


def test_every_name_in_the_table_is_the_conventions_own() -> None:
    """An upgrade of the package that renames one, or takes one away, is noticed here."""
    assert [] == strangers(installed)


def test_a_name_that_an_upgrade_changes_is_found() -> None:
    """Whichever of them it is."""
    for victim, (_, _, constant) in TABLE["conventions"].items():

        def upgraded(module: str, asked: str, constant: str = constant) -> object:
            found = installed(module, asked)
            return f"{found}.new" if asked == constant else found

        assert [victim] == strangers(upgraded)


def test_every_name_in_the_sources_is_in_the_table() -> None:
    """Also those that no test calls forth, and those of spans of others that the views read."""
    texts = {
        node.value
        for folder in package.__path__
        for file in Path(folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    written = {text for text in texts if text.startswith(NAMESPACES) and not {" ", "\n"} & set(text)} - NO_NAMES

    assert written
    assert written <= set(TABLE["conventions"]), "A name is not in semconv.json."


def test_what_is_told_is_in_the_table(spans: Spans, metrics: Metrics, logs: Logs) -> None:
    """Spans of servers and clients, health as metrics, lines of errors."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["path_template"] = "/orders"
        with client_span("GET", server="ledger"), observe("orders.settle"):
            raise ZeroDivisionError

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "server": ("127.0.0.1", 80)}
    with pytest.raises(ZeroDivisionError):
        asyncio.run(ServerSpanMiddleware(app)(scope, None, None))  # type: ignore[arg-type]
    runner = HealthRunner()
    runner.add(CheckSpec("ledger"), lambda context: True)
    runner.start()
    runner.evaluate_sync()
    try:
        raise ValueError
    except ValueError:
        logging.getLogger("test.semconv").exception("failed")

    known = {*TABLE["conventions"], *TABLE["own"]}
    told = {name for span in spans.all() for name in span.attributes or {}}
    told |= {name for name in metrics.names() if name.startswith("common.")}
    told |= {name for line in logs.lines("test.semconv") for name in line if "." in name}
    runner.stop()
    assert {"http.route", "error.type", "common.health.check.status", "exception.type"} <= told <= known


def test_the_private_key_that_silences_instrumentation_still_does() -> None:
    """OpenTelemetry has no public name for it; it is read and written in one module."""
    assert "_SUPPRESS_INSTRUMENTATION_KEY" in vars(otel_context)
    assert suppressing_context().run(is_suppressed)
    assert not is_suppressed()
