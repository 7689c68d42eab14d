"""What a group of checks came to, and its HTTP form.

The body is ``application/health+json`` after draft-inadarei-api-health-check-06, which expired and never became an RFC.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

from common.core.health import Status
from common.observability.health.aggregation import Finding
from common.observability.logging.json_safe import json_safe
from common.observability.logging.redaction import MASK, Redaction
from common.observability.logging.render import encode

__all__ = ["CONTENT_TYPE", "Headers", "Level", "Report", "ServiceDescription"]

CONTENT_TYPE = "application/health+json"

Headers = Sequence[tuple[str, str]]

_DETAIL = Redaction(patterns_in_fields=True)


class Level(IntEnum):
    """How much an answer tells."""

    NONE = 0
    """The status alone: what anybody may know."""
    SUMMARY = 1
    """Status, time and reason of each check."""
    FULL = 2
    """Observed values, details and durations too."""


@dataclass(frozen=True, slots=True)
class ServiceDescription:
    """Who answers; shown from level SUMMARY on."""

    name: str = ""
    """``serviceId``."""
    version: str = ""
    """``releaseId``, such as ``1.4.0``."""
    api_version: str = ""
    """``version``: the public version of the API, such as ``1``."""
    description: str = ""
    links: Mapping[str, str] = field(default_factory=dict)
    """Link relation to URI, such as ``about`` to a runbook."""

    def members(self) -> dict[str, Any]:
        """Return the members of the body that are not empty."""
        every = {
            "version": self.api_version,
            "releaseId": self.version,
            "serviceId": self.name,
            "description": self.description,
            "links": dict(self.links),
        }
        return {name: value for name, value in every.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The answer to one probe."""

    status: Status
    findings: tuple[Finding, ...]
    level: Level = Level.NONE
    service: ServiceDescription = field(default_factory=ServiceDescription)
    max_age: float = 0.0
    """Seconds until the first finding is stale."""
    groups: Mapping[str, Status] = field(default_factory=dict)
    """The status of each group that was asked for, by its name; empty where single checks were."""
    members: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The groups of each check, by its name."""

    def groups_of(self, finding: Finding) -> frozenset[str]:
        """Return the names of the groups that *finding* counts in."""
        return self.members.get(finding.spec.name, frozenset())

    def body(self) -> dict[str, Any]:
        """Return the members of the body, as much as :attr:`level` allows."""
        body: dict[str, Any] = {"status": self.status.name.lower()}
        if self.level is Level.NONE:
            return body
        body.update(self.service.members())
        if self.findings:
            body["checks"] = {_key(finding): [_member(finding, self.level)] for finding in self.findings}
        return body

    def http(self, *, cached: bool = False) -> tuple[int, Headers, bytes]:
        """Return status code, headers and body: 200 for PASS and WARN, 503 for FAIL.

        Args:
            cached: Whether the answer may be kept for :attr:`max_age`; a probe of an orchestrator never is.
        """
        body = encode(self.body())
        headers = (
            ("Content-Type", CONTENT_TYPE),
            ("Cache-Control", f"max-age={int(self.max_age)}" if cached else "no-store"),
            ("Content-Length", str(len(body))),
        )
        return 503 if self.status is Status.FAIL else 200, headers, body


def _key(finding: Finding) -> str:
    spec = finding.spec
    return f"{spec.name}:{spec.measurement}" if spec.measurement else spec.name


def _member(finding: Finding, level: Level) -> dict[str, Any]:
    outcome = finding.outcome
    member: dict[str, Any] = {
        "status": outcome.status.name.lower(),
        "time": datetime.fromtimestamp(finding.wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    if outcome.reason and outcome.status is not Status.PASS:
        member["output"] = outcome.reason
    if level is Level.FULL:
        member.update(_facts(finding))
    return member


def _facts(finding: Finding) -> dict[str, Any]:
    outcome, spec = finding.outcome, finding.spec
    facts: dict[str, Any] = {"componentType": spec.component_type, "durationSeconds": round(finding.duration, 6)}
    if outcome.observed is not None:
        value, unit = outcome.observed
        facts |= json_safe({"observedValue": value, "observedUnit": str(unit)}, _DETAIL)
    if spec.affected and outcome.status is not Status.PASS:
        facts["affectedEndpoints"] = list(spec.affected)
    if outcome.detail:
        facts["detail"] = {name: _without_arn(value) for name, value in json_safe(outcome.detail, _DETAIL).items()}
    return facts


def _without_arn(value: Any) -> Any:
    return MASK if isinstance(value, str) and "arn:" in value else value
