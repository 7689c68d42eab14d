"""What a run has left, and whether any of it is wrong."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from common.dynamo import Database
from common.dynamo.testing.account_log import check_log
from common.dynamo.testing.audit import audit
from common.dynamo.testing.bits import check_bits
from common.dynamo.testing.history import History
from common.dynamo.testing.registrations import check_registrations
from exchange.torture.setting import ROUND_SECONDS, Setting, kit

__all__ = ["Finding", "Verdict", "judge"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that must hold, how much of it was looked at, and what is wrong."""

    title: str
    looked_at: str
    violations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """All findings of a run."""

    findings: tuple[Finding, ...]
    requests: int
    outcomes: Mapping[str, int]
    """What callers were told, by the words of :class:`~common.dynamo.testing.history.Outcome`."""
    unanswered: int
    """Requests whose callers were killed before they were told anything."""
    readings: int

    @property
    def violations(self) -> int:
        """How many, in all."""
        return sum(len(finding.violations) for finding in self.findings)


def judge(
    setting: Setting,
    database: Database,
    opening: frozenset[str],
    changes: Callable[[], Iterable[Mapping[str, Any]]],
) -> Verdict:
    """Look at everything a run has left.

    Args:
        setting: Of the run.
        database: On calls without faults, at rest.
        opening: Ids of the entries that opened the accounts.
        changes: Returns all records of the table's stream.
    """
    ledger = kit(database)
    history = History.load(setting.histories())
    seen, history.violations = history.violations, []
    records = list(changes())
    accounts = (*setting.users, *setting.bits)
    rounds = [setting.newcomers(number * ROUND_SECONDS) for number in setting.rounds]
    names = [what for prefix in rounds for what in check_registrations(ledger, history, prefix)]
    findings = (
        Finding("no answer and no read was wrong while it went on", f"{len(history.readings)} reads", tuple(seen)),
        Finding(
            "accounts = journals, holds = open orders; told yes: once, told no: never",
            f"{len(accounts)} accounts, {len(history.told)} requests",
            tuple(audit(ledger, history, accounts, opening)),
        ),
        Finding(
            "each read shows exactly the requests of one moment (linearizable)",
            f"{sum(reading.user in setting.bits for reading in history.readings)} reads",
            tuple(check_bits(history, setting.bits)),
        ),
        Finding(
            "the stream replays to every account, in the order of the answers",
            f"{len(records)} records",
            tuple(check_log(ledger, records, history, accounts)),
        ),
        Finding("one owner per name and address, no lock of nobody", f"{len(rounds) * 40} names", tuple(names)),
    )
    told = list(history.told.values())
    return Verdict(
        findings=findings,
        requests=len(told),
        outcomes=Counter(outcome.value for each in told for outcome in each.outcomes),
        unanswered=sum(each.is_open for each in told),
        readings=len(history.readings),
    )
