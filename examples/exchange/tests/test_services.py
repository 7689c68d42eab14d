"""What a service imports, before it has opened anything."""

import json
import subprocess
import sys

import pytest

PARTS = ("common.dynamo", "common.auth", "common.observability", "boto3", "sqlite3", "acme_plugin")
FAMILY = {"common.dynamo", "common.auth", "common.observability"}
STRANGERS = {"gateway": set(), "users": set(), "orders": {"acme_plugin"}, "inventory": set()}
PROBE = """
import importlib, json, sys
before = set(sys.modules)
importlib.import_module("exchange.services.hosting")
importlib.import_module("exchange.services." + sys.argv[1])
print(json.dumps([part for part in json.loads(sys.argv[2]) if part in set(sys.modules) - before]))
"""


@pytest.mark.parametrize("service", STRANGERS)
def test_a_service_imports_only_what_it_needs(service: str) -> None:
    """No service loads boto3 or an engine before it opens a database, nor a plugin whose types it does not use."""
    command = [sys.executable, "-c", PROBE, service, json.dumps(PARTS)]
    imported = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    assert FAMILY | STRANGERS[service] == set(imported)
