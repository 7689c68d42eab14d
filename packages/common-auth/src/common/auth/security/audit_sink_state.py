"""What may be asked of a sink, and how it is doing: its policy, its state, its counters."""

from dataclasses import dataclass
from enum import StrEnum

from common.auth.exceptions import ConfigurationError

__all__ = ["SinkPolicy", "SinkState", "SinkStats"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkPolicy:
    """How long a sink may take and what happens when it fails. Times are in seconds."""

    timeout: float = 5.0
    """A call that takes longer counts the sink as hanging; it goes on, since nothing can end it from outside."""
    failures: int = 5
    """So many failures in a row open the circuit breaker: the sink counts as down."""
    first_delay: float = 0.1
    """Pause after the first failure; it doubles with each further one."""
    longest_delay: float = 30.0
    flush_interval: float = 0.05
    """The longest time that a written record waits for :meth:`~common.core.audit.AuditSink.flush`."""

    def __post_init__(self) -> None:
        times = (self.timeout, self.first_delay, self.longest_delay, self.flush_interval)
        if min(times) <= 0 or self.failures < 1:
            raise ConfigurationError("SinkPolicy: every time must be above 0 seconds, and failures at least 1.")


class SinkState(StrEnum):
    """How a sink is doing."""

    OK = "ok"
    DOWN = "down"
    """Its circuit breaker is open: it is tried again now and then, and events wait in its queue."""
    HANGING = "hanging"
    """A call has not come back in time."""
    DISABLED = "disabled"
    """The operator has turned it off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkStats:
    """What one sink has done so far."""

    name: str
    plugin: str
    """Who contributed it; empty where it was handed in directly."""
    state: SinkState
    durable: bool
    written: int
    lost: int
    """Events it will never get: the queue overflowed, or it refused them for good."""
    unreported: int
    """Those of :attr:`lost` that no ``audit_gap`` has told yet."""
    failures: int
    """Calls that raised."""
    depth: int
    """Events that wait for it."""
