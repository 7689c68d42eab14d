"""Importing a part is cheap and changes nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

EFFECTS = Path(__file__).parent / "probes" / "import_effects.py"
ALWAYS_ABSENT = {"fastapi", "starlette", "pytest"}
ABSENT = {
    "common.core": {"boto3", "botocore", "opentelemetry", "common.dynamo", "common.auth", "common.observability"},
    "common.entities": {"boto3", "botocore", "opentelemetry", "common.dynamo", "common.auth", "common.observability"},
    "common.exceptions": {"boto3", "botocore", "opentelemetry", "common.dynamo", "common.auth", "common.observability"},
    "common.dynamo": {"opentelemetry.sdk", "common.auth", "common.observability", "boto3", "botocore"},
    "common.auth": {"opentelemetry", "boto3", "common.dynamo", "common.observability"},
    "common.observability": {"boto3", "botocore", "rich", "common.dynamo", "common.auth"},
}

IMPORT = """
import json, sys
__import__(sys.argv[1])
print(json.dumps(sorted(sys.modules)))
"""


def fresh(*arguments: str | Path) -> list[str]:
    """Run an isolated interpreter and return the list that it prints, as JSON."""
    result = subprocess.run([sys.executable, "-I", *arguments], check=True, capture_output=True, text=True)
    answer: list[str] = json.loads(result.stdout)
    return answer


@pytest.mark.parametrize("part", ABSENT)
def test_import_loads_nothing_heavy(part: str) -> None:
    """Importing a part leaves what it does not need out of ``sys.modules``, although all of it is installed."""
    loaded = fresh("-c", IMPORT, part)
    heavy = {
        name for name in loaded for root in ABSENT[part] | ALWAYS_ABSENT if name == root or name.startswith(f"{root}.")
    }

    assert set() == heavy


@pytest.mark.parametrize("part", ABSENT)
def test_import_changes_nothing(part: str) -> None:
    """Importing a part sets up no logging, reads no environment, scans no entry point, opens no file, socket or thread."""
    assert [] == fresh(EFFECTS, part)
