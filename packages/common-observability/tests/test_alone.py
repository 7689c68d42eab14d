"""The distribution stands on its declared dependencies alone."""

import ast
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import common.observability

SOURCES = sorted(Path(common.observability.__path__[0]).rglob("*.py"))
FORBIDDEN = ("boto3", "botocore", "common.auth", "common.dynamo")
ONLY_IN = {
    "fastapi": "health/fastapi.py",
    "opentelemetry.exporter": "monitoring/otlp.py",
    "orjson": "logging/render.py",
    "pytest": "testing.py",
    "rich": "monitoring/dev.py",
    "starlette": "health/fastapi.py",
}


def imported(file: Path) -> set[str]:
    """Return the modules that a file names in its import statements."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


@pytest.mark.parametrize("module", FORBIDDEN)
def test_no_source_imports_another_part(module: str) -> None:
    """Neither at the top of a file nor inside of a function."""
    assert [] == [str(file) for file in SOURCES for name in imported(file) if f"{name}.".startswith(f"{module}.")]


@pytest.mark.parametrize(("module", "home"), ONLY_IN.items())
def test_what_is_optional_has_one_home(module: str, home: str) -> None:
    """An extra's library is imported by the extra's module alone."""
    homes = {
        file.relative_to(common.observability.__path__[0]).as_posix()
        for file in SOURCES
        for name in imported(file)
        if f"{name}.".startswith(f"{module}.")
    }

    assert {home} == homes


def test_the_declared_dependencies_are_these() -> None:
    """Core and the SDK always, one library per extra."""
    declared: dict[str, set[str]] = {}
    for line in requires("common-observability") or ():
        requirement = Requirement(line)
        extra = str(requirement.marker).partition('extra == "')[2].rstrip('"') if requirement.marker else ""
        declared.setdefault(extra, set()).add(requirement.name)

    assert {
        "": {"common-core", "opentelemetry-sdk"},
        "dev": {"rich"},
        "fastapi": {"fastapi"},
        "otlp": {"opentelemetry-exporter-otlp-proto-http"},
    } == declared
