"""The data layer as common-observability sees it: its health, its spans, its table of operations."""

import socket
from collections.abc import Iterator

import boto3
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from common.core import App, Plugins, Settings
from common.core.health import Status
from common.dynamo import Database
from common.dynamo.dao import UserDAO
from common.exceptions import ConfigurationError
from common.observability.health import HealthRunner, Level
from common.observability.monitoring.dev import render_trace
from common.observability.monitoring.operations import operation_rows
from common.observability.monitoring.spans import SpanRecord


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    """The installed plugins of the family."""
    plugins = Plugins()
    plugins.load(Settings(), only=())
    return plugins


@pytest.fixture
def away(plugins: Plugins) -> Iterator[Database]:
    """A database at an endpoint where nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-central-1")
    with Database.connect(session=session, endpoint_url=f"http://127.0.0.1:{port}", plugins=plugins) as database:
        yield database


def test_a_database_that_is_away_never_restarts_the_service(plugins: Plugins, away: Database) -> None:
    """Liveness passes and asks nothing; start-up fails by a code; a check of the database is refused for liveness."""
    runner = HealthRunner(plugins.health_checks(), plugins=plugins.listing)
    app = App(settings=Settings(), plugins=plugins, provides=(runner, away))
    with plugins.running(app):
        alive = runner.evaluate_sync("liveness", Level.FULL)
        started = runner.evaluate_sync("startup", Level.FULL)

    assert (Status.PASS, ()) == (alive.status, alive.findings)
    assert Status.FAIL is started.status
    code, _, body = started.http()
    assert 503 == code
    assert b"127.0.0.1" not in body
    with pytest.raises(ConfigurationError, match=r"'dynamo\.tables' asks a datastore"):
        HealthRunner(plugins.health_checks(), groups={"liveness": ("dynamo.tables",)})


def test_the_spans_of_a_dao_are_drawn_and_counted(plugins: Plugins) -> None:
    """Method, API, table and capacity units of real calls, in the tree and in the table."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with (
        Database.embedded(plugins=plugins, tracer_provider=provider) as database,
        provider.get_tracer("test").start_as_current_span("GET /users"),
    ):
        UserDAO(database).get("alice")
    spans = [SpanRecord.of(span) for span in exporter.get_finished_spans()]

    root, line, *_ = render_trace(spans).plain.splitlines()
    assert root.startswith("GET /users ")
    assert line.startswith("└─ UserDAO.get  GetItem app ")
    assert " CU" in line
    (row,) = operation_rows(spans)
    assert ("UserDAO.get", "GetItem", "app", 1, 0) == (row.operation, row.api, row.table, row.calls, row.errors)
    assert row.units > 0
