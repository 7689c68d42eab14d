"""Names (OT15): every one that is told is in a table, and the table is what the conventions' own package says."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.semconv.schemas import Schemas

from common.dynamo import Database, telemetry
from common.dynamo.exceptions import AlreadyExists, TransactionCanceled
from common.dynamo.testing.examples import NOTE, Note

SEMCONV = "opentelemetry.semconv"
NAMESPACES = ("aws.", "cloud.", "db.", "error.", "server.", "network.", "rpc.", "code.", "exception.")

OWN = "common.dynamo."

Conventions = Mapping[str, tuple[str, str, str]]


def strangers(conventions: Conventions, look_up: Callable[[str, str], object]) -> list[str]:
    """Return the names that the package does not have, or has under another constant or as another status."""
    wrong = []
    for name, (status, module, constant) in conventions.items():
        # What is stable has moved out of the private part of the package.
        is_private = module.startswith("_incubating.")
        if look_up(module, constant) != name or is_private == (status == "stable"):
            wrong.append(name)
    return wrong


def installed(module: str, constant: str) -> object:
    """Look a constant up in the package that is installed."""
    return getattr(importlib.import_module(f"{SEMCONV}.{module}"), constant, None)


@pytest.fixture
def conventions(semconv: Mapping[str, Any]) -> Conventions:
    """The names that the semantic conventions define, where the package is at least as new as the table."""
    schema = f"https://opentelemetry.io/schemas/{semconv['schema']}"
    if schema not in {known.value for known in Schemas}:
        pytest.skip("opentelemetry-semantic-conventions is older than the table.")
    assert schema == telemetry.SCHEMA_URL
    found: Conventions = semconv["conventions"]
    return found


def test_every_name_in_the_table_is_the_conventions_own(conventions: Conventions) -> None:
    """An upgrade of the package that renames one, or takes one away, is noticed here."""
    assert [] == strangers(conventions, installed)


@pytest.mark.parametrize("change", ["renamed", "removed"])
def test_a_name_that_an_upgrade_changes_is_found(conventions: Conventions, change: str) -> None:
    """Whichever of them it is."""
    for victim, (_, _, constant) in conventions.items():

        def upgraded(module: str, asked: str, constant: str = constant) -> object:
            if asked != constant:
                return installed(module, asked)
            return f"{installed(module, asked)}.new" if change == "renamed" else None

        assert [victim] == strangers(conventions, upgraded)


def test_the_value_for_the_database_is_the_conventions_own(conventions: Conventions) -> None:
    """``aws.dynamodb`` exists in the private part of the package only, so it is a constant of ours."""
    values = importlib.import_module(f"{SEMCONV}._incubating.attributes.db_attributes").DbSystemNameValues

    assert values.AWS_DYNAMODB.value == telemetry.SYSTEM


def test_every_name_in_the_sources_is_in_the_table(semconv: Mapping[str, Any]) -> None:
    """Also those that no test calls forth."""
    folder = Path(telemetry.__file__).parent
    texts = {
        node.value
        for file in ("telemetry.py", "span_attributes.py", "instruments.py")
        for node in ast.walk(ast.parse((folder / file).read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    written = {text for text in texts if text.startswith(NAMESPACES) and " " not in text} - {
        telemetry.SYSTEM,
        "server.",
    }

    assert written == set(semconv["conventions"])


def written_own(folder: Path) -> tuple[set[str], list[str]]:
    """Return our own names as the sources write them: whole ones, and patterns of those that are put together."""
    whole, together = set(), []
    trees = [
        ast.parse((folder / file).read_text()) for file in ("telemetry.py", "span_attributes.py", "instruments.py")
    ]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    parts = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in nodes:
        if isinstance(node, ast.Constant) and id(node) not in parts and str(node.value).startswith(OWN):
            whole.add(str(node.value))
        elif isinstance(node, ast.JoinedStr):
            pieces = [str(part.value) if isinstance(part, ast.Constant) else None for part in node.values]
            if re.search("[a-z]", "".join(filter(None, pieces))):  # else it would match any name
                together.append("".join("[a-z._]+" if piece is None else re.escape(piece) for piece in pieces))
    return whole, together


def test_our_own_names_in_the_sources_and_in_the_table_are_the_same(semconv: Mapping[str, Any]) -> None:
    """A name of ours that is told nowhere any more has left the table too."""
    whole, together = written_own(Path(telemetry.__file__).parent)
    prefixes = {text for text in whole if text.endswith(".")}
    names = set(semconv["own"])

    assert whole - prefixes <= names
    assert [] == [name for name in names - whole if not any(re.fullmatch(each, name) for each in together)]


def create_together(db: Database, *notes: Note) -> None:
    """Create all or none."""
    with db.transaction() as tx:
        for note in notes:
            tx.create(db.dao(NOTE), note)


def test_what_is_told_is_in_the_table(db: Database, telescope: Any, semconv: Mapping[str, Any]) -> None:
    """Of calls that succeed and fail; every other test of these checks the same of what it calls forth."""
    notes = db.dao(NOTE)
    notes.create(Note(id="1", text="x"))
    notes.query(id="1").all()
    notes.batch_write([notes.plan.delete("2"), notes.plan.delete("3")])
    with pytest.raises(AlreadyExists):
        notes.create(Note(id="1", text="x"))
    with pytest.raises((TransactionCanceled, AlreadyExists)):
        create_together(db, Note(id="1", text="x"), Note(id="4", text="x"))

    assert telescope.names() <= {*semconv["conventions"], *semconv["own"]}
    assert {"db.system.name", "error.type", "common.dynamo.cancellation.code"} <= telescope.names()


def test_the_private_key_that_silences_instrumentation_still_does() -> None:
    """OpenTelemetry has no public name for it; its own instrumentations read it."""
    assert telemetry._suppression_key() == otel_context._SUPPRESS_INSTRUMENTATION_KEY

    assert is_instrumentation_enabled()
    with telemetry.suppressed():
        assert not is_instrumentation_enabled()
    assert is_instrumentation_enabled()


def test_the_private_logs_take_events() -> None:
    """Their API becomes public some day; until then they are called by one function, which notices a change of shape."""
    _logs = pytest.importorskip("opentelemetry._logs")
    if "event_name" not in inspect.signature(_logs.Logger.emit).parameters:
        assert telemetry._event_logger(None) is None
        return
    logger, severity = telemetry._event_logger(_logs.NoOpLoggerProvider()) or pytest.fail("Events are told no more.")

    assert ("WARN", 13) == (severity.name, severity.value)
    logger.emit(timestamp=1, severity_number=severity, severity_text="WARN", attributes={}, event_name="any")


def test_the_private_names_of_the_providers_are_what_the_stand_ins_look_at() -> None:
    """In a process without an SDK they are there and hold nothing; once a provider is set, both say so."""
    script = """
from opentelemetry import metrics, trace
from common.dynamo import telemetry
assert "_TRACER_PROVIDER" in vars(trace) and "_METER_PROVIDER" in vars(metrics._internal)
before = telemetry._has_tracer_provider(), telemetry._has_meter_provider()
trace.set_tracer_provider(trace.NoOpTracerProvider())
metrics.set_meter_provider(metrics.NoOpMeterProvider())
print(before, (telemetry._has_tracer_provider(), telemetry._has_meter_provider()))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)

    assert "(False, False) (True, True)" == ran.stdout.strip()


def test_one_function_knows_each_private_name() -> None:
    """So that there is one place to change."""
    tree = ast.parse(Path(telemetry.__file__).read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]

    owners = {
        "_SUPPRESS_INSTRUMENTATION_KEY": "_suppression_key",
        "_logs": "_event_logger",
        "_TRACER_PROVIDER": "_has_tracer_provider",
        "_METER_PROVIDER": "_has_meter_provider",
    }
    for private, owner in owners.items():
        assert [owner] == [one.name for one in functions if re.search(rf"\b{private}\b", ast.unparse(one))]
