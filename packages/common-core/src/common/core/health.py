"""Value types and the protocol of health checks. The runner is part of common-observability."""

import re
import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from common.exceptions import ConfigurationError

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")


class Status(IntEnum):
    """How a component is; the worst of several is their maximum."""

    PASS = 0
    WARN = 1
    FAIL = 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one check found."""

    status: Status = Status.PASS
    reason: str = ""
    """A stable code that is safe to show, such as ``timeout`` or ``draining``; empty on a plain pass."""
    observed: tuple[float, str] | None = None
    """The measured value and its unit (UCUM), such as ``(0.02, "1")``."""
    detail: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    """Facts for the operator: shown at detail level *full* only, after redaction."""


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """How a check is run and counted. Times are in seconds."""

    name: str
    """``[a-z0-9][a-z0-9_.-]*``; no colon, which separates the measurement in the HTTP format."""
    groups: frozenset[str] = frozenset({"readiness"})
    critical: bool = True
    """Where false, FAIL counts as WARN in its groups."""
    timeout: float = 0.5
    ttl: float = 5.0
    """How long a PASS or WARN may be answered again without running the check."""
    ttl_fail: float = 1.0
    component_type: str = "component"
    """``datastore``, ``system`` or ``component`` (draft-inadarei-api-health-check-06, section 4.2)."""
    tags: frozenset[str] = frozenset()
    affected: tuple[str, ...] = ()
    """Paths of the endpoints that suffer while the check fails."""
    measurement: str = ""
    """What is measured, such as ``errorRatio``: the HTTP format calls the check ``name:measurement``."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigurationError(f"Health check name {self.name!r} does not match {_NAME.pattern}.")
        if min(self.timeout, self.ttl, self.ttl_fail) < 0 or self.timeout == 0:
            raise ConfigurationError(
                f"Health check {self.name!r}: timeout must be above 0, ttl and ttl_fail not below."
            )


@dataclass(frozen=True, slots=True)
class CheckContext:
    """What a check may know while it runs."""

    deadline: float
    """On the clock of :func:`time.monotonic`."""

    def remaining(self) -> float:
        """Return the seconds until the deadline, never below zero."""
        return max(0.0, self.deadline - time.monotonic())


CheckAnswer = Outcome | bool | None
"""``None`` and ``True`` mean PASS, ``False`` means FAIL."""


class HealthCheck(Protocol):
    """One check, synchronous or asynchronous; building one is cheap and does no I/O."""

    @property
    def spec(self) -> CheckSpec: ...

    def check(self, ctx: CheckContext, /) -> CheckAnswer | Awaitable[CheckAnswer]: ...
