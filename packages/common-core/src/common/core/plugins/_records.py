"""What the registry remembers about each plugin."""

from dataclasses import dataclass, field
from typing import Any

from common.core.hook_rules import HookRule
from common.core.plugins._failing import in_one_line
from common.core.plugins._values import Contribution, PluginListing, PluginState, origin
from common.exceptions import PluginFailure


@dataclass(frozen=True, slots=True)
class Collected:
    """One contribution, and where its implementation asked to stand."""

    rule: HookRule[Any]
    rank: int
    """0 for ``tryfirst``, 2 for ``trylast``, else 1."""
    contribution: Contribution[Any]


@dataclass(slots=True, eq=False)
class PluginRecord:
    """One plugin from its discovery on; the only mutable value here, and never handed out."""

    name: str
    dist: str | None
    version: str | None
    is_family: bool = False
    hooks: tuple[str, ...] = ()
    blocked: str | None = None
    """Why it was left out, unrun."""
    collected: list[Collected] = field(default_factory=list)
    failures: list[PluginFailure] = field(default_factory=list)

    @property
    def is_loaded(self) -> bool:
        return not self.failures and self.blocked is None

    @property
    def origin(self) -> str:
        return origin(self.name, self.dist, self.version)

    def failure(self, cause: str | BaseException, *, hook: str | None = None) -> PluginFailure:
        """Describe a failure of this plugin, without noting it."""
        if isinstance(cause, BaseException):
            return PluginFailure(self.name, self.dist, self.version, hook, in_one_line(cause), cause)
        return PluginFailure(self.name, self.dist, self.version, hook, cause)

    def fail(self, cause: str | BaseException, *, hook: str | None = None) -> None:
        """Note a failure; the plugin is not loaded any more."""
        self.failures.append(self.failure(cause, hook=hook))

    def keep(self, rule: HookRule[Any], rank: int, value: object) -> None:
        """Note a contribution."""
        self.collected.append(Collected(rule, rank, Contribution(self.name, self.dist, self.version, value)))

    def listing(self) -> PluginListing:
        """Return the frozen view for operators."""
        state = PluginState.LOADED
        cause = None
        if self.failures:
            state, cause = PluginState.FAILED, "; ".join(_short(failure) for failure in self.failures)
        elif self.blocked:
            state, cause = PluginState.BLOCKED, self.blocked
        return PluginListing(
            name=self.name, dist=self.dist, version=self.version, hooks=self.hooks, state=state, cause=cause
        )


def _short(failure: PluginFailure) -> str:
    return f"{failure.hook}: {failure.cause}" if failure.hook else failure.cause
