"""From the findings of single checks to the status of a group."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from common.core.health import CheckSpec, Outcome, Status

__all__ = ["Aggregator", "Finding", "counted_status", "worst"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one run of one check came to."""

    spec: CheckSpec
    outcome: Outcome
    monotonic: float
    """When it was found, on the runner's monotonic clock, in seconds."""
    wall: float
    """When it was found, in seconds since the epoch."""
    duration: float = 0.0
    """How long the check ran, in seconds."""

    @property
    def status(self) -> Status:
        """The status of the check itself, whatever it counts for in its groups."""
        return self.outcome.status

    def remaining(self, monotonic: float, wall: float) -> float:
        """Return the seconds for which the finding is still fresh; 0 as soon as *either* clock says so.

        A process that was frozen (Lambda, a suspended machine) wakes with one clock behind the other; a clock that
        was set back makes everything stale.
        """
        ttl = self.spec.ttl_fail if self.status is Status.FAIL else self.spec.ttl
        ages = (monotonic - self.monotonic, wall - self.wall)
        return 0.0 if min(ages) < 0 else max(0.0, ttl - max(ages))


Aggregator: TypeAlias = Callable[[Sequence[Finding]], Status]
"""Makes the status of a group from the findings of its checks, of which there is at least one."""


def counted_status(finding: Finding) -> Status:
    """Return what a finding counts for: FAIL of a check that is not critical counts as WARN."""
    return finding.status if finding.spec.critical else min(finding.status, Status.WARN)


def worst(findings: Iterable[Finding]) -> Status:
    """Return the worst that the findings count for; PASS where there are none."""
    return max((counted_status(finding) for finding in findings), default=Status.PASS)
