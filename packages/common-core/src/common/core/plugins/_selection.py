"""Which plugins may load."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from common.core.plugins._failing import did_you_mean
from common.core.settings import Settings

BLOCK = "COMMON_PLUGINS_BLOCK"
ONLY = "COMMON_PLUGINS_ONLY"


@dataclass(frozen=True, slots=True)
class Selection:
    """What the operator's settings and the service's own code say together."""

    blocked: tuple[str, ...]
    only: frozenset[str] | None
    asked_for: frozenset[str]
    """Every name in an ``only`` list, also one that the other list leaves out."""

    @classmethod
    def of(cls, settings: Settings, block: Iterable[str], only: Iterable[str] | None) -> "Selection":
        """Add the block lists, and intersect the allow lists."""
        limits = [frozenset(names) for names in (settings.plugins_only, only) if names is not None]
        return cls(
            blocked=tuple(dict.fromkeys([*settings.plugins_block, *block])),
            only=frozenset.intersection(*limits) if limits else None,
            asked_for=frozenset().union(*limits),
        )

    def reason_against(self, name: str, *, limited: bool) -> str | None:
        """Say why the plugin *name* is not loaded; ``None`` where it is.

        Args:
            name: Of the entry point or registration.
            limited: Whether an allow list applies: to entry points from outside the family.
        """
        if name in self.blocked:
            return f"blocked by name ({BLOCK})"
        if limited and self.only is not None and name not in self.only:
            return f"not among those allowed ({ONLY})"
        return None

    def unknown_names(self, known: Iterable[str]) -> Iterator[str]:
        """Yield a sentence for each listed name that no plugin has: probably a slip, and then nothing is blocked."""
        names = frozenset(known)
        for variable, listed in ((BLOCK, self.blocked), (ONLY, sorted(self.asked_for))):
            for name in listed:
                if name not in names:
                    yield f"{variable} names {name!r}, and no plugin of that name is found{did_you_mean(name, names)}"
