"""common-dynamo needs common-core and what it declares; no other part of the family, no SDK, no web framework."""

import os
import re
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest

import common.dynamo
from common.dynamo.testing.certificates import Authority
from common.dynamo.testing.scripted_server import ScriptedServer, answer

IMPORT_ALL = """
import importlib, pkgutil, sys
import common.dynamo
def import_below(package):
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if not module.name.endswith(".testing"):
            found = importlib.import_module(module.name)
            if module.ispkg:
                import_below(found)
import_below(common.dynamo)
print("\\n".join(sys.modules))
"""

FOREIGN = ("common.auth", "common.observability", "opentelemetry.sdk", "fastapi", "pytest")
INSTALLED_ONLY_WHEN_NEEDED = ("boto3", "botocore")
SDK = ("boto3", "botocore", "s3transfer", "urllib3", "opentelemetry.sdk")
DEAR = (
    "asyncio",
    "common.core",
    "concurrent.futures",
    "http.client",
    "multiprocessing",
    "pluggy",
    "sqlite3",
    "ssl",
    "urllib.request",
)
"""What takes long to import, and what a first call over plain HTTP has no use for."""


def modules(code: str, **variables: str) -> list[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "COVERAGE_"))}
    command = [sys.executable, "-I", "-c", code]
    run = subprocess.run(command, check=True, capture_output=True, text=True, env={**environment, **variables})
    return run.stdout.splitlines()


def loaded(names: list[str], parts: tuple[str, ...]) -> list[str]:
    """Return those of *names* that belong to one of *parts*."""
    return [name for name in names for part in parts if name == part or name.startswith(f"{part}.")]


def test_no_foreign_part_is_loaded() -> None:
    """Importing every module of the distribution loads nothing of another part, whatever is installed beside it."""
    found = modules(IMPORT_ALL)

    assert "common.dynamo.plugin" in found
    assert [] == loaded(found, FOREIGN)


def test_boto3_waits_until_a_client_is_needed() -> None:
    """The door, an embedded database and a write load neither boto3 nor botocore."""
    code = """
import sys
from pydantic import BaseModel
from common.dynamo import Database, EntityType, Key
class Note(BaseModel):
    id: str
with Database.embedded() as db:
    db.dao(EntityType(Note, "note", key=Key("N#{id}", "N"))).create(Note(id="1"))
print("\\n".join(sys.modules))
"""

    assert [] == [name for name in modules(code) if name.split(".")[0] in INSTALLED_ONLY_WHEN_NEEDED]


BELOW = """
import sys
import httptools, orjson
from opentelemetry import context, metrics, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from pydantic import BaseModel, TypeAdapter
class Note(BaseModel):
    id: str
print(*sys.modules, sep="\\n")
"""


def dear(found: list[str]) -> list[str]:
    """Return what of *found* is dear and is not loaded by what we depend on anyway, as older versions of it do."""
    return [name for name in loaded(found, DEAR) if name not in modules_below()]


@cache
def modules_below() -> frozenset[str]:
    return frozenset(modules(BELOW))


def test_the_door_is_light() -> None:
    """Importing it loads no SDK, and nothing dear that a first call may do without."""
    found = modules("import common.dynamo, sys; print(*sys.modules, sep='\\n')")

    assert [] == loaded(found, SDK) == dear(found)


FIRST_ITEM = """
import sys
from pydantic import BaseModel
from common.dynamo import Database, EntityType, Key
class Note(BaseModel):
    id: str
db = Database.connect(wire="direct")
note = db.dao(EntityType(Note, "note", key=Key("N#{id}", "N"))).get("1")
assert note == Note(id="1"), note
assert db.wire.name == "direct", db.wire
db.close()
print(*sys.modules, sep="\\n")
"""
ITEM = {"Item": {"pk": {"S": "N#1"}, "sk": {"S": "N"}, "_t": {"S": "note"}, "_s": {"N": "1"}, "id": {"S": "1"}}}


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_first_item_needs_no_boto3(scheme: str, tmp_path: Path) -> None:
    """With region and credentials as variables, a database reads over the direct wire without it, and TLS comes with https."""
    authority = Authority(tmp_path)
    with ScriptedServer(answer(ITEM), tls=authority.server("127.0.0.1") if scheme == "https" else None) as server:
        found = modules(
            FIRST_ITEM,
            HOME=str(tmp_path),
            AWS_ACCESS_KEY_ID="AKID",
            AWS_SECRET_ACCESS_KEY="secret",  # a server that asks nobody
            AWS_DEFAULT_REGION="eu-central-1",
            AWS_ENDPOINT_URL=server.url,
            AWS_CA_BUNDLE=str(authority.bundle),
        )

    assert [] == loaded(found, SDK)
    assert (["ssl"] if scheme == "https" and "ssl" not in modules_below() else []) == dear(found)


def test_only_telemetry_imports_opentelemetry() -> None:
    """One module knows it, and only its API."""
    (folder,) = common.dynamo.__path__
    sources = {file.name: file.read_text() for file in Path(folder).rglob("*.py")}

    assert ["telemetry.py"] == [
        name for name, text in sources.items() if re.search(r"(?:import|from) opentelemetry", text)
    ]


def test_the_declared_dependencies_are_all_it_needs() -> None:
    """An environment with these can run it."""
    declared = {
        requirement.split(">")[0].split("~")[0].split("<")[0].strip()
        for requirement in metadata.requires("common-dynamo") or ()
    }

    assert {"boto3", "common-core", "httptools", "opentelemetry-api", "orjson", "pydantic"} >= declared
    assert "common-core" in declared


def test_the_kit_without_pytest_is_the_kit_without_fixtures() -> None:
    """Workloads, faults and checks can be used by a program; only the fixtures need pytest."""
    code = """
import sys
sys.modules["pytest"] = sys.modules["hypothesis"] = None
import common.dynamo.testing
import common.dynamo.testing.bank
print("\\n".join(name for name in dir(common.dynamo.testing)))
"""
    names = modules(code)

    assert "FaultPlan" in names
    assert "database" not in names
