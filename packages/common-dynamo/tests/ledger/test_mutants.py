"""A ledger that is wrong in one way fails the bank within three runs: the checker can see (ledger R16)."""

import pytest

from common.dynamo.testing.ledger_mutants import MUTANTS, Mutant, is_caught

pytestmark = pytest.mark.thorough


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_bank_catches(mutant: Mutant) -> None:
    """Within three runs some account, journal, answer or reading is wrong, and the bank says so."""
    assert is_caught(mutant)
