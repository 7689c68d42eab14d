"""What a run shows: live while it goes on, and a table in the end."""

from collections.abc import Mapping
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from exchange.report import mark, section, table
from exchange.torture.crew import Progress
from exchange.torture.run import Outcome
from exchange.torture.worker import SKEWS

__all__ = ["LiveView", "show"]

_SHOWN: Final = 5
"""Violations of one kind that are printed."""


class LiveView:
    """One line that tells how a run goes; a context manager. On something that is no terminal it prints nothing."""

    def __init__(self, console: Console, seconds: int) -> None:
        columns = (
            TextColumn("{task.description:24}"),
            BarColumn(20),
            TimeElapsedColumn(),
            TextColumn("{task.fields[told]}"),
        )
        self._bar = Bar(*columns, console=console, transient=True)
        self._task = self._bar.add_task("starting", total=seconds, told="")

    def __enter__(self) -> Self:
        """Show it."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take it away."""
        self._bar.stop()

    def __call__(self, doing: str, elapsed: float, progress: Progress) -> None:
        """Show what is done, after *elapsed* seconds, with these figures."""
        served, faults = progress.total("served").total(), progress.total("faults").total()
        told = f"{served:,} operations, {faults:,} faults, {progress.kills} kills, {progress.violations} violations"
        self._bar.update(self._task, description=doing, completed=elapsed, told=told if served else "")


def show(console: Console, outcome: Outcome) -> None:
    """Print the figures, the findings, and every kind of violation."""
    console.print(section("What happened", figures(outcome)))
    console.print(section("Nothing was lost", findings(outcome)))


def figures(outcome: Outcome) -> RenderableType:
    """Show operations, answers and faults."""
    shown = Table.grid(padding=(0, 2))
    shown.add_column(no_wrap=True, style="bold")
    shown.add_column()
    for name, value in rows(outcome).items():
        shown.add_row(name, value)
    return shown


def rows(outcome: Outcome) -> Mapping[str, str]:
    """Return the figures of a run, by name, as text."""
    options, progress, verdict = outcome.options, outcome.progress, outcome.verdict
    served, faults = progress.total("served"), progress.total("faults")
    skews = ", ".join(f"{skew:+d} s" for skew in SKEWS[: options.processes] if skew) or "none"
    return {
        "engine": options.place,
        "seed": str(options.seed),
        "processes × threads": f"{options.processes} × {options.threads}, for {options.seconds} s",
        "operations": f"{served.total():,} ({served.total() / options.seconds:,.0f} per second)",
        "requests noted": f"{verdict.requests:,}: {_listed(verdict.outcomes)}, {verdict.unanswered} killed unanswered",
        "reads judged": f"{verdict.readings:,}",
        "faults injected": f"{faults.total():,}: {_listed(faults)}",
        "processes killed (SIGKILL)": str(progress.kills),
        "clocks wrong by": skews,
        "violations": str(verdict.violations),
        "in all": f"{outcome.seconds:.1f} s",
    }


def findings(outcome: Outcome) -> RenderableType:
    """Show what must hold, and what does not."""
    shown = table("", "check", "looked at", wrapped=("check",))
    told: list[Text] = []
    for finding in outcome.verdict.findings:
        shown.add_row(mark(not finding.violations), finding.title, finding.looked_at)
        kinds = sorted(set(finding.violations))
        told += [Text(f"{finding.violations.count(kind)} × {kind}", style="red") for kind in kinds[:_SHOWN]]
    return Group(shown, *told)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items(), key=lambda pair: -pair[1])) or "none"
