"""What happens when a check changes from one status to another."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, TypeAlias

from common.core.health import Status
from common.core.hookspecs import HEALTH_CHECKS
from common.observability.health.aggregation import Finding

if TYPE_CHECKING:
    from common.core.plugins import Plugins

__all__ = ["Listener", "Transition", "Transitions", "owners_of_checks"]

_HISTORY = 20
_log = logging.getLogger("common.observability.health")


@dataclass(frozen=True, slots=True)
class Transition:
    """A check has another status than before. Before its first finding, a check counts as PASS."""

    check: str
    before: Status
    finding: Finding


Listener: TypeAlias = Callable[[Transition], None]


def owners_of_checks(plugins: "Plugins") -> Mapping[str, str]:
    """Return the name of the plugin that contributed each check, by the check's name: for ``HealthRunner(owners=…)``."""
    return {found.value.spec.name: found.plugin for found in plugins.contributions(HEALTH_CHECKS)}


class Transitions:
    """Notices transitions, writes one log line for each, and tells every listener, each in its own ``try``."""

    def __init__(self, listeners: Iterable[Listener], owners: Mapping[str, str]) -> None:
        """Prepare for *listeners*, called in order, in whichever thread the check ended.

        Lines name the plugin that *owners* gives for a check.
        """
        self._listeners = tuple(listeners)
        self._owners = dict(owners)
        self._latest: dict[str, Status] = {}
        self._history: deque[Transition] = deque(maxlen=_HISTORY)
        self._lock = Lock()

    def note(self, finding: Finding) -> None:
        """Take *finding* in."""
        name = finding.spec.name
        with self._lock:
            before = self._latest.get(name, Status.PASS)
            self._latest[name] = finding.status
            if before is not finding.status:
                self._history.appendleft(Transition(name, before, finding))
        if before is not finding.status:
            self._tell(Transition(name, before, finding))

    def statuses(self) -> dict[str, Status]:
        """Return the status of each check that has run."""
        with self._lock:
            return dict(self._latest)

    def history(self) -> tuple[Transition, ...]:
        """Return the last 20 transitions, the latest first."""
        with self._lock:
            return tuple(self._history)

    def _tell(self, transition: Transition) -> None:
        _write_line(transition, self._owners.get(transition.check))
        for listener in self._listeners:
            try:
                listener(transition)
            except Exception as error:  # noqa: BLE001 - one listener never keeps a transition from the next
                _log.warning(
                    "A listener for health transitions failed.",
                    extra={"check": transition.check, "error.type": type(error).__qualname__},
                )


def _write_line(transition: Transition, plugin: str | None) -> None:
    outcome = transition.finding.outcome
    fields: dict[str, object] = {
        "check": transition.check,
        "from": transition.before.name.lower(),
        "to": outcome.status.name.lower(),
    }
    if plugin is not None:
        fields["plugin"] = plugin
    if outcome.reason:
        fields["reason"] = outcome.reason
    if trace_id := outcome.detail.get("trace_id"):
        fields["trace_id"] = trace_id
    level = logging.INFO if outcome.status is Status.PASS else logging.WARNING
    _log.log(level, "Health check %s is %s.", transition.check, outcome.status.name.lower(), extra=fields)
