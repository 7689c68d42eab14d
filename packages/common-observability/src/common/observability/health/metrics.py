"""Health as metrics: how long checks take, and in which state each of them is."""

import weakref
from collections.abc import Iterable

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from common.core.health import Status
from common.observability.health.aggregation import Finding
from common.observability.health.transitions import Transitions

__all__ = ["HealthMetrics"]

_STATES = tuple(Status)


class HealthMetrics:
    """``common.health.check.duration`` and ``common.health.check.status``.

    The second has one series per check and state, 1 for the state it is in and 0 for the others, after the pattern of
    ``k8s.node.condition.status`` (semantic conventions v1.44.0).
    """

    def __init__(self, transitions: Transitions, meter_provider: metrics.MeterProvider | None = None) -> None:
        """Make the instruments; what is measured before a meter provider is in place is dropped."""
        self._transitions = transitions
        self._meter = metrics.get_meter("common.observability", meter_provider=meter_provider)
        self._duration = self._meter.create_histogram(
            "common.health.check.duration", unit="s", description="How long health checks took."
        )

    def record(self, finding: Finding) -> None:
        """Record one run."""
        labels = {
            "common.health.check.name": finding.spec.name,
            "common.health.check.state": finding.status.name.lower(),
        }
        self._duration.record(finding.duration, labels)

    def report_statuses(self) -> None:
        """Begin to report in which state each check is; once per runner."""
        # A runner that nobody needs any more must not live on in the meter.
        found = weakref.ref(self._transitions)

        def observe(_: CallbackOptions) -> Iterable[Observation]:
            transitions = found()
            statuses = {} if transitions is None else transitions.statuses()
            for name, status in statuses.items():
                for state in _STATES:
                    labels = {"common.health.check.name": name, "common.health.check.state": state.name.lower()}
                    yield Observation(int(state is status), labels)

        self._meter.create_observable_up_down_counter(
            "common.health.check.status", [observe], unit="1", description="1 for the state a check is in, else 0."
        )
