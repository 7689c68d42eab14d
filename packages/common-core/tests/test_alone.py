"""common-core needs none of the other parts, nor what they need."""

import subprocess
import sys
from importlib import metadata

IMPORT_ALL = """
import importlib, pkgutil, sys
import common.core, common.entities, common.exceptions
for package in (common.core, common.entities, common.exceptions):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith(("__main__", ".testing")):
            importlib.import_module(module.name)
print("\\n".join(sys.modules))
"""

FOREIGN = (
    "common.dynamo",
    "common.auth",
    "common.observability",
    "boto3",
    "botocore",
    "opentelemetry",
    "fastapi",
    "pytest",
)


def test_no_foreign_part_is_loaded() -> None:
    """Importing every module of the distribution loads nothing of another part, whatever is installed beside it."""
    result = subprocess.run([sys.executable, "-I", "-c", IMPORT_ALL], check=True, capture_output=True, text=True)
    loaded = result.stdout.splitlines()

    assert "common.core.plugins" in loaded
    assert [] == [name for name in loaded for part in FOREIGN if name == part or name.startswith(f"{part}.")]


def test_the_declared_dependencies_are_all_it_needs() -> None:
    """pluggy and pydantic; an environment with these two can run it."""
    declared = {
        requirement.split(">")[0].split("<")[0].strip() for requirement in metadata.requires("common-core") or ()
    }

    assert {"pluggy", "pydantic"} == declared
