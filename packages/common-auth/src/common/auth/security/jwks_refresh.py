"""When a key set is fetched: the decisions of :class:`~common.auth.security.remote_jwks.RemoteJWKS`, without I/O.

All times are readings of one monotonic clock, in seconds. None of the methods locks: the caller holds a lock.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from math import inf
from typing import Final

__all__ = ["RefreshPlan"]

_MISSING_KEPT: Final = 1024
_COOLDOWNS_MISSING: Final = 5
_LONGEST_SLEEP: Final = 3600.0


@dataclass(slots=True)
class _Missing:
    """A key id that somebody asked for and that was not there."""

    fetches: int
    """Successful fetches so far when it was asked for."""
    since: float


@dataclass(slots=True, kw_only=True)
class RefreshPlan:
    """Says when to fetch.

    Every fetch claims its cooldown before it begins, so that an endpoint that fails, hangs or answers nonsense is asked
    no more often than one that works.
    """

    cooldown: float
    refresh_every: float
    claimed_at: float = -inf
    due_at: float = -inf
    """When the set is to be fetched though nobody misses a key."""
    wanted: bool = False
    """Whether somebody misses a key that a fetch may bring."""
    fetches: int = 0
    """Successful ones."""
    _missing: OrderedDict[str, _Missing] = field(default_factory=OrderedDict)

    def miss(self, kid: str, now: float) -> bool:
        """Note that *kid* was asked for and is not there; return whether a fetch may bring it.

        It may not where one has been made since *kid* was missed first. After five cooldowns it may again.
        """
        known = self._missing.get(kid)
        if known is not None and now - known.since < _COOLDOWNS_MISSING * self.cooldown:
            if known.fetches < self.fetches:
                return False
        else:
            self._missing[kid] = _Missing(self.fetches, now)
            self._missing.move_to_end(kid)
            if len(self._missing) > _MISSING_KEPT:
                self._missing.popitem(last=False)
        self.wanted = self.wanted or now >= self.claimed_at + self.cooldown
        return True

    def claim(self, now: float) -> bool:
        """Return whether to fetch now; if so, the cooldown has begun."""
        if now < self.claimed_at + self.cooldown or not (self.wanted or now >= self.due_at):
            return False
        self.wanted = False
        self.claimed_at = now
        self.due_at = now + self.cooldown
        return True

    def succeeded(self, now: float, max_age: float | None) -> None:
        """Note that a fetch brought a set, and how long the issuer lets it be cached for."""
        self.fetches += 1
        wished = self.refresh_every if max_age is None else max_age
        self.due_at = now + min(self.refresh_every, max(self.cooldown, wished))

    def wait(self, now: float) -> float:
        """Return the seconds until :meth:`claim` may say yes though nobody misses a key, from 0 to an hour."""
        return min(_LONGEST_SLEEP, max(0.0, self.due_at - now))
