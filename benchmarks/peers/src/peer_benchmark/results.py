"""What was measured: samples by row and work, and what they say as ratios."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from peer_benchmark.works import WORKS, Work

__all__ = ["BOUNDS", "Bound", "Ratio", "Results", "spread"]


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Return the quartiles between which the middle half of *values* lies; of fewer than four, the least and greatest."""
    if len(values) < 4:
        return min(values), max(values)
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


@dataclass(frozen=True, slots=True)
class Ratio:
    """A row's cost as a multiple of the baseline's: the median of the rounds, and the middle half of them."""

    middle: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Bound:
    """How much a row may cost; for works where more is better, how much it has to do."""

    row: str
    work: str
    limit: float


BOUNDS = (
    Bound("common-direct", "get", 0.10),
    Bound("common-direct", "put", 0.10),
    Bound("common-direct-unsampled", "get", 0.12),
    Bound("common-direct-unsampled", "put", 0.12),
    Bound("common-direct", "query_100", 0.13),
    Bound("common-direct", "transaction_4", 0.15),
    Bound("common-direct", "cold_start", 0.35),
    Bound("common-direct", "threads_8", 5.0),
    Bound("common-boto", "get", 1.0),
    Bound("common-boto", "put", 1.0),
    Bound("common-boto", "query_100", 1.0),
)
"""The budgets; those of the boto wire are against boto3 by hand, the others against the baseline of the work."""


@dataclass
class Results:
    """The samples of one run, and what was not measured and why."""

    samples: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """Work to row to one value per round, in the unit of the work."""
    absent: dict[str, str] = field(default_factory=dict)
    """Row to why it was not measured at all."""
    lacking: dict[str, dict[str, str]] = field(default_factory=dict)
    """Row to work to why that was not measured."""
    exactness: dict[str, str] = field(default_factory=dict)
    """Row to the type in which fractions are read."""
    extra: dict[str, dict[str, float]] = field(default_factory=dict)
    """Further figures, such as the processor time of a call among eight threads, in µs."""
    setting: dict[str, Any] = field(default_factory=dict)

    def add(self, work: str, row: str, value: float) -> None:
        """Add one sample."""
        self.samples.setdefault(work, {}).setdefault(row, []).append(value)

    def middle(self, work: str, row: str) -> float | None:
        """Return the median of the samples; ``None`` without any."""
        values = self.samples.get(work, {}).get(row)
        return statistics.median(values) if values else None

    def ratio(self, work: Work, row: str, baseline: str | None = None) -> Ratio | None:
        """Return what *row* costs of the baseline, by rounds: each sample is divided by the baseline's of its round."""
        ours = self.samples.get(work.name, {}).get(row)
        base = self.samples.get(work.name, {}).get(baseline or work.baseline)
        if not ours or not base:
            return None
        ratios = [one / other for one, other in zip(ours, base, strict=False) if other > 0]
        if not ratios:
            return None
        return Ratio(statistics.median(ratios), *spread(ratios))

    def verdicts(self) -> list[tuple[Bound, Work, float | None]]:
        """Return each bound with what was measured of it."""
        return [
            (bound, work, self._measured(bound, work)) for bound in BOUNDS for work in WORKS if work.name == bound.work
        ]

    def _measured(self, bound: Bound, work: Work) -> float | None:
        ratio = self.ratio(work, bound.row, "boto3-pydantic" if bound.row == "common-boto" else None)
        return None if ratio is None else ratio.middle

    def as_json(self) -> Mapping[str, Any]:
        """Return everything in a form for machines."""
        ratios: dict[str, dict[str, Any]] = {}
        for work in WORKS:
            for row in self.samples.get(work.name, {}):
                ratio = self.ratio(work, row)
                if ratio is not None and math.isfinite(ratio.middle):
                    shown = {"median": ratio.middle, "low": ratio.low, "high": ratio.high}
                    ratios.setdefault(work.name, {})[row] = shown
        units = {work.name: work.unit for work in WORKS}
        return {
            "setting": self.setting,
            "units": units,
            "ratios": ratios,
            "samples": self.samples,
            "absent": self.absent,
            "lacking": self.lacking,
            "fractions": self.exactness,
            "extra": self.extra,
            "bounds": [
                {"row": bound.row, "work": bound.work, "bound": bound.limit, "measured": measured}
                for bound, _, measured in self.verdicts()
            ],
        }


def holds(bound: Bound, work: Work, measured: float) -> bool:
    """Whether what was measured is within the bound."""
    return measured >= bound.limit if work.more_is_better else measured <= bound.limit
