"""The health of one service as the page shows it, here or told by another process."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from common.core.health import Status
from common.observability.health.aggregation import Finding
from common.observability.health.report import Report

__all__ = ["ShownCheck", "ShownGroup", "ShownHealth"]

_STATUSES = tuple(status.name.lower() for status in Status)
_MOST_TEXT = 120
_MOST = 200


@dataclass(frozen=True, slots=True)
class ShownCheck:
    """One check in one group."""

    name: str
    status: str
    """``pass``, ``warn`` or ``fail``."""
    reason: str = ""
    observed: str = ""
    age: float = 0.0
    """Seconds since it ran."""
    duration: float = 0.0
    """Seconds that it ran."""


@dataclass(frozen=True, slots=True)
class ShownGroup:
    """A group of checks, and what they come to."""

    name: str
    status: str
    checks: tuple[ShownCheck, ...] = ()


@dataclass(frozen=True, slots=True)
class ShownHealth:
    """All groups of one service."""

    service: str
    version: str
    status: str
    groups: tuple[ShownGroup, ...] = ()
    reason: str = ""
    """Why nothing is known of it; empty where it answers."""

    @classmethod
    def of(cls, report: Report, now: float) -> "ShownHealth":
        """Return what is shown of *report*, at the time *now*, in seconds since the epoch."""
        groups = tuple(
            ShownGroup(
                name, status.name.lower(), tuple(_check(f, now) for f in report.findings if _in(report, f, name))
            )
            for name, status in report.groups.items()
        )
        return cls(report.service.name, report.service.version, report.status.name.lower(), groups)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "ShownHealth":
        """Return the health that another process has told of.

        Raises:
            ValueError, LookupError, TypeError: It is none.
        """
        return cls(
            _text(told["service"]),
            _text(told["version"]),
            _status(told["status"]),
            tuple(_group(group) for group in told["groups"][:_MOST]),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the form that another process reads."""
        return asdict(self)

    def silent(self, reason: str) -> "ShownHealth":
        """Return what is shown of the service while it does not answer."""
        return replace(self, status="fail", groups=(), reason=reason)


def _in(report: Report, finding: Finding, group: str) -> bool:
    return group in report.groups_of(finding)


def _check(finding: Finding, now: float) -> ShownCheck:
    outcome = finding.outcome
    return ShownCheck(
        finding.spec.name,
        outcome.status.name.lower(),
        outcome.reason if outcome.status is not Status.PASS else "",
        "" if outcome.observed is None else _observed(*outcome.observed),
        max(0.0, now - finding.wall),
        finding.duration,
    )


def _observed(value: float, unit: str) -> str:
    """Return a measured value as a person reads it; *unit* is one of UCUM, as in OpenTelemetry."""
    if unit == "By":
        return f"{value / 2**30:,.1f} GiB"
    return f"{value:.1%}" if unit == "1" else f"{value:.3g} {unit}"


def _group(told: Mapping[str, Any]) -> ShownGroup:
    checks = tuple(
        ShownCheck(
            *(_text(check["name"]), _status(check["status"]), _text(check["reason"]), _text(check["observed"])),
            *(float(check["age"]), float(check["duration"])),
        )
        for check in told["checks"][:_MOST]
    )
    return ShownGroup(_text(told["name"]), _status(told["status"]), checks)


def _text(told: object) -> str:
    return str(told)[:_MOST_TEXT]


def _status(told: object) -> str:
    if told not in _STATUSES:
        raise ValueError("no status of a health check")
    return str(told)
