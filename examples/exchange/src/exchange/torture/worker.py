"""One process of a run: threads that do business until standard input ends, or until somebody kills it."""

import contextlib
import json
import random
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Final

from common.dynamo.testing.bits import Bits
from common.dynamo.testing.business import Business
from common.dynamo.testing.history import History
from common.dynamo.testing.ledger import LedgerKit
from common.dynamo.testing.registrations import Registrations
from common.dynamo.wire.faults import CHECKER_RATES, FaultPlan, FaultRates
from exchange.torture.setting import Setting, kit

SKEWS: Final = (0, 3600, -3600)
"""Seconds by which the clocks of processes are wrong, in turn."""
_REPORT_SECONDS: Final = 0.25


class Worker:
    """The work of one process in one of its lives.

    Args:
        setting: Of the run.
        process: Number of the process, from 0.
        life: How often it has been killed before.
    """

    def __init__(self, setting: Setting, process: int, life: int) -> None:
        self.setting = setting
        self.process = process
        self.seed = f"{setting.seed}-{process}-{life}"
        self.faults = FaultPlan(hash_of(self.seed))
        skew = SKEWS[process % len(SKEWS)]
        self.database = setting.open(faults=self.faults, clock=lambda: time.time() + skew)
        self.ledger: LedgerKit = kit(self.database)
        self.past = History.load(setting.histories(process))
        self.file = setting.history(process, life).open("x", encoding="utf-8")
        self.history = History(self.file)
        self.business = Business(self.ledger, self.history, setting.users)
        self.bits = Bits(self.ledger, self.history, setting.bits, share=process, of=setting.processes)
        self.bits.skip([told.request for told in self.past.told.values()])
        self.newcomers = Registrations(self.ledger, self.history, setting.newcomers(0))
        self.served: Counter[str] = Counter()
        self.stopping = threading.Event()

    def run(self) -> None:
        """Finish what an earlier life has left, then work until standard input ends."""
        started = time.monotonic()
        if self.setting.endpoint is None:
            self.faults.rates = CHECKER_RATES
        unfinished = self.past.unfinished()
        chance = random.Random(self.seed)  # noqa: S311 - chance for a run, no secret
        self.business.take_over(unfinished, chance)
        self.bits.take_over(unfinished, chance)
        threads = [threading.Thread(target=self._serve, args=(number,)) for number in range(self.setting.threads)]
        threading.Thread(target=self._wait_for_end, daemon=True).start()
        for thread in threads:
            thread.start()
        while not self.stopping.wait(_REPORT_SECONDS):
            self.newcomers.prefix = self.setting.newcomers(time.monotonic() - started)
            self._report()
        for thread in threads:
            thread.join()
        self.faults.rates = FaultRates()
        self.faults.settle()
        self._report()
        self.database.close()
        self.file.close()

    def _serve(self, number: int) -> None:
        chance = random.Random(f"{self.seed}-{number}")  # noqa: S311 - chance for a run, no secret
        while not self.stopping.is_set():
            lot = chance.random()
            name = "business" if lot < 0.5 else "bits" if lot < 0.8 else "newcomers"
            getattr(self, name).serve(chance)
            self.served[name] += 1

    def _wait_for_end(self) -> None:
        with contextlib.suppress(OSError):
            sys.stdin.read()
        self.stopping.set()

    def _report(self) -> None:
        told = Counter(outcome.value for told in self.history.answered() for outcome in told.outcomes)
        state = {
            "served": dict(self.served),
            "told": dict(told),
            "faults": dict(self.faults.injected),
            "violations": len(self.history.violations),
        }
        print(json.dumps(state), flush=True)


def hash_of(text: str) -> int:
    """Return a number that is the same in every process."""
    return random.Random(text).randrange(2**32)  # noqa: S311 - the seed of a run, no secret


def main() -> None:
    """Run ``python -m exchange.torture.worker FOLDER PROCESS LIFE``."""
    folder, process, life = sys.argv[1:]
    Worker(Setting.read(Path(folder)), int(process), int(life)).run()


if __name__ == "__main__":
    main()
