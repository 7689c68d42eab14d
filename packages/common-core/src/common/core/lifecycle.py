"""The running service, as plugins see it at start-up and shutdown."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from common.core.plugins import Plugins
    from common.core.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """What ``common_startup``, ``common_shutdown`` and commands are given. Fields may be added in minor versions.

    >>> from common.core import App, Plugins, Settings
    >>> app = App(settings=Settings(service_name="orders"), plugins=Plugins(), provides=("a database", 7))
    >>> app.provided(str)
    ('a database',)
    >>> app.remaining() is None
    True
    """

    settings: "Settings"
    plugins: "Plugins"
    """Loaded; what every plugin contributed can be read from it."""
    provides: tuple[object, ...] = field(default=(), repr=False)
    """What the service made for itself and its plugins may need: its audit logger, health runner, databases."""
    deadline: float | None = None
    """When shutdown must be over, on :attr:`clock`, in seconds; ``None`` before shutdown has begun."""
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)

    def provided(self, kind: type[T]) -> tuple[T, ...]:
        """Return those of :attr:`provides` that are a *kind*, in order; a plugin keeps no state of its own for them."""
        return tuple(thing for thing in self.provides if isinstance(thing, kind))

    def remaining(self) -> float | None:
        """Return the seconds until :attr:`deadline`, never below zero; ``None`` where there is no deadline."""
        return None if self.deadline is None else max(0.0, self.deadline - self.clock())

    def stopping_within(self, seconds: float) -> "App":
        """Return the same app with a deadline *seconds* from now."""
        return replace(self, deadline=self.clock() + seconds)
