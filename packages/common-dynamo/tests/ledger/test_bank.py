"""The bank: business on a bad day, from eight threads, and not a cent out of place (ledger R1 to R6, R16)."""

import os

import pytest

from common.dynamo.testing import FaultPlan
from common.dynamo.testing.bank import Bank
from common.dynamo.testing.ledger import LedgerKit

pytestmark = pytest.mark.thorough

RUNS = int(os.environ.get("COMMON_TEST_BANK_RUNS", "3"))
"""Seeds to run; twenty make a night."""


@pytest.mark.parametrize("seed", range(11, 11 + RUNS))
def test_a_bad_day_leaves_every_account_exact(faulty_ledger: LedgerKit, faults: FaultPlan, seed: int) -> None:
    """Calls lost, doubled, late, throttled, in conflict and stale: accounts equal journals, answers equal entries."""
    bank = Bank(faulty_ledger, faults, seed=seed, operations=300)

    assert bank.run() == []
    assert faults.injected.total() > 40


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
