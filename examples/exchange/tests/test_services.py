"""A service imports only the parts of the family that it needs."""

import json
import subprocess
import sys

import pytest

PARTS = ("common.dynamo", "common.auth", "common.observability", "boto3", "sqlite3")
EXPECTED = {
    "gateway": {"common.auth", "common.observability"},
    "users": {"common.dynamo", "common.auth", "common.observability"},
    "orders": {"common.dynamo", "common.auth", "common.observability"},
    "inventory": {"common.dynamo", "common.auth", "common.observability"},
}
PROBE = """
import importlib, json, sys
before = set(sys.modules)
importlib.import_module("exchange.services.hosting")
importlib.import_module("exchange.services." + sys.argv[1])
print(json.dumps([part for part in json.loads(sys.argv[2]) if part in set(sys.modules) - before]))
"""


@pytest.mark.parametrize("service", EXPECTED)
def test_a_service_imports_only_what_it_needs(service: str) -> None:
    """The gateway knows no data layer; no service loads boto3 or an engine before it opens a database."""
    command = [sys.executable, "-c", PROBE, service, json.dumps(PARTS)]
    imported = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    assert EXPECTED[service] == set(imported)
