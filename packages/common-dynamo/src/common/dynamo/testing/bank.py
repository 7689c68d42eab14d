"""The bank: random business from several threads on a bad day, and the invariants that must hold whatever happens.

Users deposit, withdraw, trade and order; calls are lost, doubled, late, throttled and answered stale; requests are
repeated, and some are sent again with another amount. When the faults are over, the accounts, the journal and what each
caller was told are compared. A run is repeated by its seed, up to the scheduling of threads.

    >>> from common.dynamo import Database
    >>> from common.dynamo.testing import FaultPlan
    >>> from common.dynamo.testing.ledger import LedgerKit
    >>> plan = FaultPlan(seed=1)
    >>> with Database.embedded(faults=plan) as db:
    ...     Bank(LedgerKit(db), plan, seed=1, threads=2, operations=10).run()
    []
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from common.dynamo.testing.account_log import check_log
from common.dynamo.testing.audit import audit, entry_ids
from common.dynamo.testing.bits import Bits, check_bits, open_bits
from common.dynamo.testing.business import Business
from common.dynamo.testing.history import History
from common.dynamo.testing.ledger import LedgerKit
from common.dynamo.testing.registrations import Registrations, check_registrations
from common.dynamo.wire.faults import CHECKER_RATES, FaultPlan, FaultRates

__all__ = ["Bank", "Workload", "open_branch"]


class Workload(Protocol):
    """What people do at random."""

    def serve(self, chance: random.Random) -> None:
        """Do one thing, whatever comes of it, and note it."""


def open_branch(ledger: LedgerKit, users: int = 3) -> tuple[tuple[str, ...], frozenset[str]]:
    """Open accounts to do business with; return their names, and the ids of the entries that opened them."""
    names = tuple(ledger.open_account(cash="300.00", holding={"BTC": "3"}) for _ in range(users))
    return names, frozenset().union(*(entry_ids(ledger, name) for name in names))


class Bank:
    """One run on one ledger. Build it, :meth:`run` it once, look at what it returns.

    What :meth:`prepare` does is done by :meth:`run` too, unless it has been done.
    """

    def __init__(
        self,
        ledger: LedgerKit,
        faults: FaultPlan,
        *,
        seed: int,
        threads: int = 8,
        operations: int = 300,
        rates: FaultRates = CHECKER_RATES,
        changes: Callable[[], Iterable[Mapping[str, Any]]] | None = None,
    ) -> None:
        """Prepare a run.

        Args:
            ledger: On calls that follow *faults*.
            faults: Healed while the accounts are opened and when the invariants are checked.
            seed: Decides what every thread asks for.
            threads: How many ask at once.
            operations: How many requests in all.
            rates: How often which fault strikes.
            changes: Returns all records of the stream of the ledger's table, where it has one: then the log of every
                account is replayed too.
        """
        self.ledger = ledger
        self.faults = faults
        self.rates = rates
        self.seed = seed
        self.threads = threads
        self.operations = operations
        self.changes = changes
        self.history = History()
        self._users: tuple[str, ...] = ()
        self._opening: frozenset[str] = frozenset()

    def prepare(self) -> None:
        """Open the accounts, without faults."""
        if not self._users:
            self._users, self._opening = open_branch(self.ledger)

    def run(self) -> list[str]:
        """Do business, let the faults end, check; return the violations, none where the ledger is right."""
        self.prepare()
        business = Business(self.ledger, self.history, self._users)
        self._do(business)
        return self._audit(self._users, self._opening)

    def run_bits(self) -> list[str]:
        """Same as :meth:`run`, for trades of which every read tells which it has seen."""
        user = open_bits(self.ledger, f"bits-{self.seed}")
        opening = entry_ids(self.ledger, user)
        self._do(Bits(self.ledger, self.history, [user]))
        return [*self._audit([user], opening), *check_bits(self.history, [user])]

    def run_registrations(self) -> list[str]:
        """Same as :meth:`run`, for newcomers whose names and addresses collide."""
        prefix = f"new-{self.seed}"
        self._do(Registrations(self.ledger, self.history, prefix))
        return [*self.history.violations, *check_registrations(self.ledger, self.history, prefix)]

    def _audit(self, users: Sequence[str], opening: frozenset[str]) -> list[str]:
        found = audit(self.ledger, self.history, users, opening)
        if self.changes is not None:
            found += check_log(self.ledger, self.changes(), self.history, users)
        return found

    def _do(self, workload: Workload) -> None:
        self.faults.rates = self.rates
        share = self.operations // self.threads
        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(lambda number: self._work(workload, number, share), range(self.threads)))
        self.faults.heal()
        self.faults.settle()

    def _work(self, workload: Workload, number: int, operations: int) -> None:
        chance = random.Random(f"{self.seed}-{number}")  # noqa: S311 - chance for tests, no secret
        for _ in range(operations):
            workload.serve(chance)
