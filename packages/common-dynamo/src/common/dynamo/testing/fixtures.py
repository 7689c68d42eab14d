"""The pytest side of the kit: fixtures, and a line in the header."""

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import pytest

from common.dynamo.testing.engines import Choice, Engine, fresh_table_name, start_engine
from common.dynamo.testing.server import BINARY_VARIABLE, Dynoxide, find_dynoxide
from common.dynamo.wire.faults import FaultPlan

if TYPE_CHECKING:
    from common.dynamo.database import Database

REQUIRE_VARIABLE: Final = "COMMON_TEST_REQUIRE_ENGINES"
SEED_VARIABLE: Final = "COMMON_TEST_SEED"
_MISSING: Final = (
    "the dynoxide binary was not found: install it with "
    "`npm ci --ignore-scripts --prefix tools/engine`, or name it by " + BINARY_VARIABLE
)


def pytest_report_header() -> str:
    """Say which engine and wire the run uses."""
    choice = Choice.from_environment()
    return f"common engine: {choice.engine}, wire: {choice.wire}"


def _missing(reason: str) -> None:
    """Skip, or fail where the run has to have every engine."""
    if os.environ.get(REQUIRE_VARIABLE) == "1":
        pytest.fail(f"{reason} ({REQUIRE_VARIABLE}=1)", pytrace=False)
    pytest.skip(reason)


def _find(config: pytest.Config) -> Any:
    return find_dynoxide((config.rootpath, config.invocation_params.dir))


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The engine of ``COMMON_TEST_ENGINE``, one per worker; skipped, with the reason, where it is not to be had."""
    choice = Choice.from_environment()
    binary = _find(request.config)
    if choice.needs_binary and binary is None:
        _missing(_MISSING)
    engine = start_engine(choice, binary, tmp_path_factory.mktemp("engine"))
    yield engine
    engine.stop()


@pytest.fixture(scope="session")
def dynoxide(request: pytest.FixtureRequest) -> Iterator[Dynoxide]:
    """A second engine in memory, whatever the run's engine is; skipped where the binary is missing."""
    binary = _find(request.config)
    if binary is None:
        _missing(_MISSING)
    with Dynoxide(binary) as server:
        yield server


@pytest.fixture
def table_name() -> str:
    """A table name that no other test has."""
    return fresh_table_name()


@pytest.fixture
def entity_types() -> tuple[Any, ...]:
    """The entity types that ``database`` knows; override it in your own tests."""
    return ()


@pytest.fixture
def database(engine: Engine, table_name: str, entity_types: tuple[Any, ...]) -> "Iterator[Database]":
    """A database on a fresh table of the run's engine."""
    database = engine.open(table=table_name, entity_types=entity_types)
    yield database
    database.close()


@pytest.fixture
def faults() -> Iterator[FaultPlan]:
    """A plan without faults yet, seeded by ``COMMON_TEST_SEED`` or by chance; a failing test shows its seed."""
    seed = int(os.environ.get(SEED_VARIABLE) or uuid4().int % 1_000_000)
    plan = FaultPlan(seed)
    print(f"fault plan: repeat with {SEED_VARIABLE}={seed}")
    yield plan
    plan.heal()
    plan.settle()
    print(plan)


@pytest.fixture
def faulty_database(
    engine: Engine, table_name: str, entity_types: tuple[Any, ...], faults: FaultPlan
) -> "Iterator[Database]":
    """A database on a fresh table whose calls meet what ``faults`` has in store."""
    database = engine.open(table=table_name, entity_types=entity_types, faults=faults)
    yield database
    faults.heal()
    faults.settle()
    database.close()


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Make names that no other test or run has: an engine's token cache and streams survive their table."""
    return lambda prefix: f"{prefix}-{uuid4().hex[:12]}"
