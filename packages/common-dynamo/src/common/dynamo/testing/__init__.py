"""What tests on DynamoDB need; switched on by ``pytest_plugins = ["common.dynamo.testing"]``.

Fixtures: ``engine`` and ``database`` (a fresh table per test), ``faults`` and ``faulty_database``, ``dynoxide`` (a second
engine over a real socket), ``table_name``, ``unique``, and ``entity_types`` to override. See the guide "Testing".

Only the fixtures need pytest, only :func:`check_entity_type` needs hypothesis, and only
:mod:`common.dynamo.testing.certificates` needs cryptography; no distribution depends on any of them.
"""

from importlib.util import find_spec

from common.dynamo.testing.contract import BrokenContract, ContractReport, LawReport, check_entity_type, models_of
from common.dynamo.testing.costs import WrongCost, spend
from common.dynamo.testing.engines import Choice, EmbeddedEngine, Engine, NetworkEngine, fresh_table_name, network_wire
from common.dynamo.testing.proxy import FaultProxy
from common.dynamo.testing.server import Dynoxide, EngineFailed, find_dynoxide
from common.dynamo.wire.faults import CHECKER_RATES, Crash, Fault, FaultPlan, FaultRates
from common.dynamo.wire.faulty import FaultyWire

if find_spec("pytest") is not None:
    from common.dynamo.testing.fixtures import (
        database,
        dynoxide,
        engine,
        entity_types,
        faults,
        faulty_database,
        pytest_report_header,
        table_name,
        unique,
    )

__all__ = [
    "CHECKER_RATES",
    "BrokenContract",
    "Choice",
    "ContractReport",
    "Crash",
    "Dynoxide",
    "EmbeddedEngine",
    "Engine",
    "EngineFailed",
    "Fault",
    "FaultPlan",
    "FaultProxy",
    "FaultRates",
    "FaultyWire",
    "LawReport",
    "NetworkEngine",
    "WrongCost",
    "check_entity_type",
    "database",
    "dynoxide",
    "engine",
    "entity_types",
    "faults",
    "faulty_database",
    "find_dynoxide",
    "fresh_table_name",
    "models_of",
    "network_wire",
    "pytest_report_header",
    "spend",
    "table_name",
    "unique",
]
