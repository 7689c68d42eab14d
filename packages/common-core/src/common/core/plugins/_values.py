"""The frozen values that :class:`common.core.Plugins` hands out."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class PluginState(StrEnum):
    """What became of a plugin."""

    LOADED = "loaded"
    BLOCKED = "blocked"
    """Named in ``COMMON_PLUGINS_BLOCK``, or left out by ``COMMON_PLUGINS_ONLY``; its code was not run."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginListing:
    """One plugin as ``common plugins`` lists it."""

    name: str
    """Of the entry point, or as given to :meth:`common.core.Plugins.register`."""
    dist: str | None
    """The distribution, in normal form; ``None`` for a plugin registered in code."""
    version: str | None
    """The distribution's version; ``None`` for a plugin registered in code."""
    hooks: tuple[str, ...] = ()
    """The hooks that it implements, sorted; empty where its code was not run."""
    state: PluginState
    cause: str | None = None
    """Why it is blocked or failed; ``None`` where it is loaded."""


@dataclass(frozen=True, slots=True)
class Contribution(Generic[T]):
    """One object that a hook returned, and whose it is: for the log record, the counter, the error of its failure."""

    plugin: str
    dist: str | None
    version: str | None
    value: T

    @property
    def origin(self) -> str:
        """The plugin, its distribution and version in words: ``acme-plugin (acme-plugin 1.0.0)``."""
        return origin(self.plugin, self.dist, self.version)


def origin(plugin: str, dist: str | None, version: str | None) -> str:
    """Say whose plugin this is, in words."""
    return f"{plugin} (registered in code)" if dist is None else f"{plugin} ({dist} {version})"
