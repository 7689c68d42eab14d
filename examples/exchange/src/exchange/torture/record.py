"""The record of runs as a page of the documentation: figures, findings, and what the checker itself was tested with."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from common.dynamo.testing.ledger_mutants import MUTANTS, is_caught
from exchange.torture.report import rows
from exchange.torture.run import Outcome

__all__ = ["mutants_caught", "write_record"]

_INTRODUCTION = """\
# Reliability

What the ledger goes through, and what is left of it.
This page is written by `uv run exchange torture --engine {engines} --seed {seed} --seconds {seconds} --record docs/reliability.md`.

Several processes, each with several threads, deposit, withdraw, trade, place limit orders and take them through their states, refund, register, move to other addresses and close accounts, all on one engine.
Meanwhile answers are lost before and after the commit, requests arrive twice or after their caller has given up, the engine throttles, conflicts and fails, eventual reads are stale, two of three clocks are wrong by an hour, and processes are killed with SIGKILL in the middle; their successors repeat what was under way.
Then the faults end, everything is read consistently, and compared with what every caller was told.
"""

_CHECKER = """\
Silence means something only where the checker speaks up.
Each of these ledgers is wrong in one way, and has to be noticed within three short runs: {caught} of {mutants} were.
"""
_REPEAT = """\
```
uv run exchange torture --seed 7 --seconds 30
```

The seed decides what every thread asks for, which faults are drawn, and who is killed when.
How the operating system schedules processes and threads is up to chance.
"""


def mutants_caught(watch: Callable[[str], None]) -> Mapping[str, bool]:
    """Return for each ledger that is wrong in one way whether the checker has noticed it within three short runs."""
    caught: dict[str, bool] = {}
    for mutant in MUTANTS:
        watch(f"mutant: {mutant.name}")
        caught[mutant.name] = is_caught(mutant)
    return caught


def write_record(path: Path, outcomes: Sequence[Outcome], mutants: Mapping[str, bool]) -> None:
    """Write the page."""
    options = outcomes[0].options
    engines = ",".join(outcome.options.engine for outcome in outcomes)
    engines += "" if options.wire == "auto" else f" --wire {options.wire}"
    parts = [
        _INTRODUCTION.format(engines=engines, seed=options.seed, seconds=options.seconds),
        "## Figures\n",
        _figures(outcomes),
        "## What must hold\n",
        _findings(outcomes),
        "## The checker itself\n",
        _CHECKER.format(caught=sum(mutants.values()), mutants=len(mutants)),
        _table(("ledger", "noticed"), [(name, "yes" if caught else "**no**") for name, caught in mutants.items()]),
        "## Run it yourself\n",
        _REPEAT,
    ]
    path.write_text("\n".join(parts), encoding="utf-8")


def _figures(outcomes: Sequence[Outcome]) -> str:
    columns = [rows(outcome) for outcome in outcomes]
    names = [name for name in columns[0] if name != "engine"]
    head = ("", *(column["engine"] for column in columns))
    return _table(head, [(name, *(column[name] for column in columns)) for name in names])


def _findings(outcomes: Sequence[Outcome]) -> str:
    head = ("check", *(f"{outcome.options.place}: looked at, violations" for outcome in outcomes))
    checks = zip(*(outcome.verdict.findings for outcome in outcomes), strict=True)
    return _table(
        head, [(same[0].title, *(f"{each.looked_at}, {len(each.violations)}" for each in same)) for same in checks]
    )


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
