"""Finding entry points. Nothing is imported here but metadata."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.core.plugins._family import FAMILY, HOOKSPECS_GROUP, PLUGINS_GROUP, normal_dist_name

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry point that was found, not yet imported."""

    name: str
    dist: str
    version: str
    import_it: Callable[[], object]

    @property
    def is_family(self) -> bool:
        return self.dist in FAMILY

    @property
    def key(self) -> tuple[str, str]:
        """One distribution may enter both groups under one name; that is one plugin."""
        return self.name, self.dist


@dataclass(frozen=True, slots=True)
class Discovery:
    """All candidates, the family first, then by distribution and entry-point name."""

    hookspecs: tuple[Candidate, ...] = ()
    plugins: tuple[Candidate, ...] = ()

    def in_order(self) -> tuple[Candidate, ...]:
        """Return the candidates of both groups in one order."""
        return _in_order((*self.hookspecs, *self.plugins))


def discover() -> Discovery:
    """Walk the metadata of all installed distributions, once.

    A distribution that is found twice on the path counts once, with the copy that would be imported
    (:func:`importlib.metadata.entry_points`).
    """
    from importlib.metadata import entry_points  # dear: loaded when plugins are, not with the package

    found = entry_points()
    return Discovery(
        hookspecs=_in_order(map(_candidate, found.select(group=HOOKSPECS_GROUP))),
        plugins=_in_order(map(_candidate, found.select(group=PLUGINS_GROUP))),
    )


def _in_order(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    return tuple(sorted(candidates, key=lambda found: (not found.is_family, found.dist, found.name)))


def _candidate(entry_point: "EntryPoint") -> Candidate:
    # Metadata without a name or version happens: a half-removed installation. The plugin still has to be named.
    metadata = getattr(entry_point.dist, "metadata", None) or {}
    dist = metadata.get("Name", "unknown")
    version = metadata.get("Version", "unknown")
    return Candidate(entry_point.name, normal_dist_name(dist), version, entry_point.load)
