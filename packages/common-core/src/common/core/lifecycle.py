"""The running service, as plugins see it at start-up and shutdown."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from common.core.plugins import Plugins
    from common.core.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """What ``common_startup`` and ``common_shutdown`` are given. Fields may be added; it is never subclassed."""

    settings: "Settings"
    plugins: "Plugins"
    """Loaded; what every plugin contributed can be read from it."""
    deadline: float | None = None
    """When shutdown must be over, on :attr:`clock`, in seconds; ``None`` before shutdown has begun."""
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)

    def remaining(self) -> float | None:
        """Return the seconds until :attr:`deadline`, never below zero; ``None`` where there is no deadline."""
        return None if self.deadline is None else max(0.0, self.deadline - self.clock())

    def stopping_within(self, seconds: float) -> "App":
        """Return the same app with a deadline *seconds* from now."""
        return replace(self, deadline=self.clock() + seconds)
