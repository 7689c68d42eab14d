"""The bank: business on a bad day, from eight threads, and not a cent out of place (ledger R1 to R6, R16)."""

import os
from typing import Any

import pytest

from common.dynamo.dao.ledger_types import LEDGER_ENTITY_TYPES
from common.dynamo.testing import Engine, FaultPlan
from common.dynamo.testing.bank import Bank
from common.dynamo.testing.ledger import LedgerKit

pytestmark = pytest.mark.thorough

OPTIONS: dict[str, Any] = {"entity_types": LEDGER_ENTITY_TYPES, "cursor_keys": ("a key for tests, and nothing else",)}
RUNS = int(os.environ.get("COMMON_TEST_BANK_RUNS", "3"))
"""Seeds to run; twenty make a night."""


@pytest.mark.parametrize("seed", range(11, 11 + RUNS))
def test_a_bad_day_leaves_every_account_exact(faulty_ledger: LedgerKit, faults: FaultPlan, seed: int) -> None:
    """Calls lost, doubled, late, throttled, in conflict and stale: accounts equal journals, answers equal entries."""
    bank = Bank(faulty_ledger, faults, seed=seed, operations=300)

    assert bank.run() == []
    assert faults.injected.total() > 40


@pytest.mark.parametrize("seed", range(11, 11 + RUNS))
def test_the_log_of_every_account_replays_to_what_it_holds(
    engine: Engine, table_name: str, faults: FaultPlan, seed: int
) -> None:
    """No change is missing or came twice, each does what its entry says, and they are in the order of the answers."""
    with engine.open(table=table_name, faults=faults, stream=True, **OPTIONS) as database:
        kit = LedgerKit(database)
        kit.list_asset("BTC")
        bank = Bank(kit, faults, seed=seed, operations=300, changes=lambda: engine.changes(database))

        assert bank.run() == []


@pytest.mark.parametrize("seed", range(11, 11 + RUNS))
def test_every_read_shows_exactly_the_trades_of_its_moment(
    faulty_ledger: LedgerKit, faults: FaultPlan, seed: int
) -> None:
    """No read is torn, misses what was acknowledged, shows what was not asked for, or less than an earlier one."""
    bank = Bank(faulty_ledger, faults, seed=seed, operations=300)

    assert bank.run_bits() == []
    assert len(bank.history.readings) > 60


@pytest.mark.parametrize("seed", range(11, 11 + RUNS))
def test_names_and_addresses_have_one_owner_each(faulty_ledger: LedgerKit, faults: FaultPlan, seed: int) -> None:
    """Newcomers collide, move and leave: one winner per name, one user per address, no lock without its owner."""
    bank = Bank(faulty_ledger, faults, seed=seed, operations=300)

    assert bank.run_registrations() == []
    assert len(bank.history.told) > 60
