"""Health as metrics: how long checks take, and in which state each of them is."""

from collections.abc import Iterable
from functools import cache
from weakref import WeakSet

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from common.core.health import Status
from common.observability.health.aggregation import Finding
from common.observability.health.transitions import Transitions

__all__ = ["HealthMetrics"]

# An instrument exists once per process, so every runner is told of by the same one; a runner that nobody needs any
# more does not live on in it.
_reporting: WeakSet[Transitions] = WeakSet()


class HealthMetrics:
    """``common.health.check.duration`` and ``common.health.check.status``, of the global meter provider.

    The second has one series per check and state, 1 for the state it is in and 0 for the others, after the pattern of
    ``k8s.node.condition.status`` (semantic conventions v1.44.0). What is measured before a meter provider is in place
    is dropped.
    """

    def __init__(self, transitions: Transitions) -> None:
        """Prepare to measure the checks of one runner."""
        self._transitions = transitions
        self._duration = metrics.get_meter("common.observability").create_histogram(
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
        """Begin to report in which state each check is."""
        _reporting.add(self._transitions)
        _make_status_instrument()


@cache
def _make_status_instrument() -> None:
    metrics.get_meter("common.observability").create_observable_up_down_counter(
        "common.health.check.status",
        [_observe_statuses],
        unit="1",
        description="1 for the state a check is in, else 0.",
    )


def _observe_statuses(_: CallbackOptions) -> Iterable[Observation]:
    for transitions in tuple(_reporting):
        for name, status in transitions.statuses().items():
            for state in Status:
                labels = {"common.health.check.name": name, "common.health.check.state": state.name.lower()}
                yield Observation(int(state is status), labels)
