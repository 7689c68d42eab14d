"""Bad days in a simulation: one seed, one history, so a day that goes wrong can be lived through again (ledger section 11)."""

import random

import pytest

from common.dynamo.dao.ledger_types import LEDGER_ENTITY_TYPES
from common.dynamo.testing import CHECKER_RATES, FaultRates
from common.dynamo.testing.account_log import check_log
from common.dynamo.testing.audit import audit
from common.dynamo.testing.bank import open_branch
from common.dynamo.testing.bits import Bits, check_bits, open_bits
from common.dynamo.testing.business import Business
from common.dynamo.testing.history import History, Outcome
from common.dynamo.testing.ledger import LedgerKit
from common.dynamo.testing.simulation import Step, World, simulation
from common.dynamo.testing.streams import feed_records

TELLERS, ERRANDS = 4, 12


def live_through(world: World) -> tuple[list[str], History]:
    """Let four tellers of two processes do business under faults; return what is wrong, and what they were told."""
    ledger, other = (LedgerKit(world.open(stream=True, entity_types=LEDGER_ENTITY_TYPES)) for _ in range(2))
    history = History(clock=lambda: int(world.monotonic() * 1e9))
    opened: list[tuple[tuple[str, ...], frozenset[str], str]] = []

    def open_accounts() -> None:
        ledger.list_asset("BTC")
        users, opening = open_branch(ledger, 2)
        opened.append((users, opening, open_bits(ledger, "bits")))

    world.spawn(open_accounts)
    world.run()
    users, opening, bits = opened[0]
    world.faults.rates = CHECKER_RATES
    work = [
        [Business(kit, history, users), Bits(kit, history, [bits], share=n, of=2)]
        for n, kit in enumerate((ledger, other))
    ]

    def serve(number: int) -> None:
        chance = random.Random(f"{world.seed}-{number}")
        for _ in range(ERRANDS):
            chance.choice(work[number % 2]).serve(chance)

    for number in range(TELLERS):
        world.spawn(serve, number)
    world.run()
    world.faults.rates = FaultRates()
    found: list[str] = []

    def check() -> None:
        found.extend(audit(ledger, history, users, opening))
        found.extend(check_bits(history, [bits]))
        found.extend(check_log(ledger, feed_records(ledger.db), history, users))

    world.spawn(check)
    world.run()
    return found, history


def lived_through(seed: int) -> tuple[list[str], list[Outcome], tuple[Step, ...]]:
    """Live through the day of *seed*; return what was wrong, what was told, and every step."""
    with simulation(seed) as world:
        found, history = live_through(world)
        told = [outcome for each in history.told.values() for outcome in each.outcomes]
        return found, told, world.history


@pytest.mark.parametrize("seed", range(10))
def test_a_simulated_day_leaves_every_account_exact(seed: int) -> None:
    """Whatever the schedule: nothing lost, nothing doubled, every read of one moment, every log whole."""
    found, told, _ = lived_through(seed)

    assert found == []
    assert Outcome.OK in told


@pytest.mark.thorough
@pytest.mark.parametrize("first", range(100, 150, 5))
def test_fifty_simulated_days_leave_every_account_exact(first: int) -> None:
    """Five schedules each."""
    assert {seed: lived_through(seed)[0] for seed in range(first, first + 5)} == {
        seed: [] for seed in range(first, first + 5)
    }


def test_a_seed_repeats_its_day() -> None:
    """The same answers and the same steps in the same order; another seed has another day."""
    once, again, other = lived_through(3), lived_through(3), lived_through(4)

    assert once == again
    assert once[2] != other[2]
