"""The testing kit, as a plugin author uses it: one line in a conftest."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from common.dynamo.database import Database
from common.dynamo.execution import Pattern
from common.dynamo.requests import GetItem, ListTables, PutItem
from common.dynamo.testing import (
    Choice,
    Dynoxide,
    EngineFailed,
    FaultPlan,
    WrongCost,
    find_dynoxide,
    network_wire,
    spend,
)
from common.dynamo.testing.engines import start_engine
from common.dynamo.testing.server import free_port
from common.dynamo.testing.values import N, key

pytestmark = pytest.mark.thorough

PUT = Pattern("Kit.put", "PutItem")
GET = Pattern("Kit.get", "GetItem")

TESTS = """
from common.dynamo.execution import Pattern
from common.dynamo.requests import GetItem, PutItem
from common.dynamo.testing import CHECKER_RATES, spend
from common.dynamo.testing.values import key

SEEN = set()


def check(database, table_name):
    with spend(wcu=1, trips=1):
        database.execute(PutItem(table=table_name, item=key("a", "1")), Pattern("Kit.put", "PutItem"))
    assert table_name not in SEEN
    SEEN.add(table_name)


def test_one(database, table_name):
    check(database, table_name)


def test_two(database, table_name):
    check(database, table_name)


def test_names(unique):
    assert unique("user") != unique("user")


def test_faults(faulty_database, faults, table_name):
    faults.rates = CHECKER_RATES
    assert not "shown"
"""


def run(folder: Path, **environment: str) -> str:
    """Run the tests of *folder* in a process of their own; return what pytest printed."""
    (folder / "conftest.py").write_text('pytest_plugins = ["common.dynamo.testing"]\n')
    (folder / "test_service.py").write_text(TESTS)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("COMMON_TEST_", "PYTEST_"))}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", "-W", "error", "."]
    done = subprocess.run(
        command, cwd=folder, env={**clean, **environment}, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def counts(output: str) -> dict[str, int]:
    summary = output.strip().splitlines()[-1]
    return {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|error)", summary)}


def test_one_line_gives_databases_and_faults(tmp_path: Path) -> None:
    """Each test has a fresh table, the header names engine and wire, and a failing test shows the seed of its faults."""
    output = run(tmp_path, COMMON_TEST_SEED="4711")

    assert {"passed": 3, "failed": 1} == counts(output)
    assert "common engine: embedded, wire: embedded" in output
    assert "repeat with COMMON_TEST_SEED=4711" in output


@pytest.mark.parametrize("wire", ["boto", "direct"])
def test_the_same_tests_run_on_a_server(tmp_path: Path, dynoxide: Dynoxide, wire: str) -> None:
    """The environment chooses the engine and the wire to it; the tests do not change."""
    output = run(tmp_path, COMMON_TEST_ENGINE=dynoxide.endpoint_url, COMMON_TEST_WIRE=wire)

    assert {"passed": 3, "failed": 1} == counts(output)
    assert f"common engine: {dynoxide.endpoint_url}, wire: {wire}" in output


def test_a_wire_that_is_not_named_follows_the_environment(monkeypatch: pytest.MonkeyPatch, dynoxide: Dynoxide) -> None:
    """Tests that open wires by themselves go with the run, whatever its engine is."""
    for kind in ("boto", "direct"):
        monkeypatch.setenv("COMMON_TEST_WIRE", kind)
        wire = network_wire(dynoxide.endpoint_url)
        assert (kind, 200) == (wire.name, wire.send(ListTables(), 5.0).status)
        wire.close()


@pytest.mark.parametrize(
    ("required", "expected"),
    [("0", {"passed": 1, "skipped": 3}), ("1", {"passed": 1, "error": 3})],
    ids=["skip", "fail"],
)
def test_a_missing_engine_is_skipped_or_fails(tmp_path: Path, required: str, expected: dict[str, int]) -> None:
    """Without its binary the engine's tests are skipped with the reason; a run that requires engines fails."""
    output = run(
        tmp_path,
        COMMON_TEST_ENGINE="dynoxide",
        COMMON_TEST_DYNOXIDE=str(tmp_path / "missing"),
        COMMON_TEST_REQUIRE_ENGINES=required,
    )

    assert expected == counts(output)
    assert "the dynoxide binary was not found: install it with" in output


@pytest.mark.parametrize(
    ("name", "value"), [("COMMON_TEST_ENGINE", "postgres"), ("COMMON_TEST_WIRE", "carrier-pigeon")]
)
def test_an_unknown_choice_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A misspelt engine never means another one."""
    monkeypatch.setenv(name, value)

    with pytest.raises(ValueError, match=name):
        Choice.from_environment()


def test_on_aws_what_was_made_is_deleted(monkeypatch: pytest.MonkeyPatch, table_name: str) -> None:
    """The opt-in run makes its tables by the credentials of the environment, and leaves none behind."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("COMMON_TEST_ENGINE", "aws")
    monkeypatch.setenv("COMMON_TEST_WIRE", "boto")  # what stands for AWS here is within botocore
    with mock_aws():
        client = boto3.client("dynamodb")
        engine = start_engine(Choice.from_environment(), None, Path())
        database = engine.open(table=table_name)
        database.execute(PutItem(table=table_name, item=key("a", "1")), PUT)
        database.close()
        assert [table_name] == client.list_tables()["TableNames"]

        engine.stop()

        assert [] == client.list_tables()["TableNames"]
        client.close()


# Spending -------------------------------------------------------------------------------------------------------------


def test_spend_asserts_what_a_block_costs(database: Database, table_name: str) -> None:
    """Units and round trips come from what the engine reported."""
    with spend(wcu=1, rcu=1, trips=2, indexes={}) as meter:
        database.execute(PutItem(table=table_name, item={**key("a", "1"), "n": N(1)}), PUT)
        database.execute(GetItem(table=table_name, key=key("a", "1"), consistent=True), GET)

    assert 2 == meter.cost.trips


WRONG: list[tuple[Callable[[], object], str]] = [
    (lambda: spend(wcu=2), r"wcu=2 and cost wcu=1\.0"),
    (lambda: spend(rcu=1), r"rcu=1 and cost rcu=0"),
    (lambda: spend(trips=3), r"trips=3 and cost trips=1"),
    (lambda: spend(indexes={"GSI1": 1}), r"indexes=\{'GSI1': 1\} and cost indexes=\{\}"),
]


@pytest.mark.parametrize(("block", "message"), WRONG, ids=["wcu", "rcu", "trips", "indexes"])
def test_spend_tells_what_differs(
    database: Database, table_name: str, block: Callable[[], object], message: str
) -> None:
    """A block that costs something else fails, with both figures."""
    with pytest.raises(WrongCost, match=message), block():  # type: ignore[attr-defined]
        database.execute(PutItem(table=table_name, item=key("a", "1")), PUT)


def test_spend_does_not_hide_an_error() -> None:
    """A block that raises is not measured."""
    with pytest.raises(ZeroDivisionError), spend(trips=7):
        raise ZeroDivisionError


def test_a_fault_costs_a_trip(faulty_database: Database, faults: FaultPlan, table_name: str) -> None:
    """An attempt that was thrown back was a trip all the same."""
    from common.dynamo.testing import Fault

    faults.script(Fault.THROTTLE, Fault.THROTTLE)

    with spend(wcu=1, trips=3):
        faulty_database.execute(PutItem(table=table_name, item=key("a", "1")), PUT)


# The server -----------------------------------------------------------------------------------------------------------


def test_a_server_keeps_its_file_over_a_kill(dynoxide: Dynoxide, tmp_path: Path, table_name: str) -> None:
    """It is killed by its own process id, and starts again on the same tables."""
    from common.dynamo.requests import CreateTable
    from common.dynamo.testing.values import definition

    server = Dynoxide(dynoxide.binary, file=tmp_path / "tables.db").start()
    wire = network_wire(server.endpoint_url)
    wire.send(CreateTable(definition=definition(table_name)), 5.0)
    wire.close()
    killed = server.pid
    server.kill()

    with server:
        assert killed != server.pid
        again = network_wire(server.endpoint_url)
        assert [table_name] == again.send(ListTables(), 5.0).body["TableNames"]
        again.close()
    with pytest.raises(EngineFailed, match="call start"):
        _ = server.pid


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    """The error carries what the process printed."""
    broken = tmp_path / "dynoxide"
    broken.write_text("#!/bin/sh\necho out of luck >&2\nexit 3\n")
    broken.chmod(0o755)

    with pytest.raises(EngineFailed, match="out of luck"):
        Dynoxide(broken).start()


def test_the_binary_is_found_from_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment names it, or it is installed in a folder above."""
    monkeypatch.delenv("COMMON_TEST_DYNOXIDE", raising=False)
    assert find_dynoxide([tmp_path]) is None
    binary = tmp_path / "tools/engine/node_modules/@dynoxide/linux-x64/dynoxide"
    binary.parent.mkdir(parents=True)
    binary.write_text("")
    binary.chmod(0o755)
    below = tmp_path / "packages" / "common-dynamo"
    below.mkdir(parents=True)

    assert binary == find_dynoxide([below])
    monkeypatch.setenv("COMMON_TEST_DYNOXIDE", str(tmp_path / "elsewhere"))
    assert find_dynoxide([below]) is None


def test_free_ports_differ() -> None:
    """Two servers do not get in each other's way."""
    assert len({free_port() for _ in range(20)}) > 1
