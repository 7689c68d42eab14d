"""common-dynamo needs common-core and what it declares; no other part of the family, no SDK, no web framework."""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import common.dynamo

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


def modules(code: str) -> list[str]:
    result = subprocess.run([sys.executable, "-I", "-c", code], check=True, capture_output=True, text=True)
    return result.stdout.splitlines()


def test_no_foreign_part_is_loaded() -> None:
    """Importing every module of the distribution loads nothing of another part, whatever is installed beside it."""
    loaded = modules(IMPORT_ALL)

    assert "common.dynamo.plugin" in loaded
    assert [] == [name for name in loaded for part in FOREIGN if name == part or name.startswith(f"{part}.")]


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
