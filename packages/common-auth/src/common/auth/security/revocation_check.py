"""Whether a token still counts: its id, its session and its user's epoch, asked of a store and remembered for a while.

What is remembered only ever grows – an epoch, and the time until which an id is denied – so an answer that arrives late
never takes back what this process knows already, such as what it has revoked itself a moment ago.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import inf
from typing import Final

from common.auth.exceptions import ConfigurationError, RevocationUnavailable, TokenRevoked
from common.auth.security.clock import Clock, epoch_seconds
from common.auth.security.session_values import Freshness
from common.auth.security.store_calls import asking_revocations
from common.auth.security.stores import RevocationStore
from common.auth.security.token_claims import Claims

__all__ = ["RevocationCheck", "RevocationPolicy", "session_name", "token_name"]

_LONGEST_CACHE: Final = timedelta(seconds=30)
_LONGEST_STALE: Final = timedelta(minutes=15)
_SECONDS_BETWEEN_TRIALS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationPolicy:
    """How old an answer about revocation may be.

    Raises:
        ConfigurationError: A number is out of its range.
    """

    cache_for: timedelta = timedelta(seconds=30)
    """How long an answer counts under ``Freshness.CACHED``: 0 to 30 s. Another process's logout arrives within it."""
    stale_for: timedelta = timedelta(minutes=5)
    """How old an answer may get while the store does not answer; at most 15 min, and zero refuses at once."""
    size: int = 20_000
    """How many users, sessions and tokens are remembered, about 350 bytes each; the least recently used goes first.
    At least 3: one token, its session and its user."""

    def __post_init__(self) -> None:
        if not timedelta(0) <= self.cache_for <= _LONGEST_CACHE:
            raise ConfigurationError("cache_for must be 0 to 30 seconds.", reason="bad_revocation_policy")
        if not timedelta(0) <= self.stale_for <= _LONGEST_STALE:
            raise ConfigurationError("stale_for must be 0 to 15 minutes.", reason="bad_revocation_policy")
        if self.size < 3:
            raise ConfigurationError("size must be at least 3.", reason="bad_revocation_policy")


def token_name(token_id: str) -> str:
    """Return the name that a token is denied under."""
    return f"jti#{token_id}"


def session_name(session: str) -> str:
    """Return the name that the tokens of a session are denied under."""
    return f"sid#{session}"


@dataclass(frozen=True, slots=True)
class _Question:
    user_id: str
    epoch: int
    names: tuple[str, ...]

    @classmethod
    def about(cls, claims: Claims) -> "_Question":
        token = () if claims.token_id is None else (token_name(claims.token_id),)
        session = () if claims.session is None else (session_name(claims.session),)
        return cls(claims.subject, claims.epoch, (*token, *session))


@dataclass(frozen=True, slots=True)
class _Answer:
    epoch: int
    denied: Mapping[str, float]
    read_at: float
    """On the monotonic clock: the oldest part of it; ``-inf`` where a part is not known."""

    def refusal(self, question: _Question, now: float) -> str | None:
        """Return why the token is refused whatever the store says, or ``None``."""
        if self.epoch > question.epoch:
            return "epoch_raised"
        for name in question.names:
            if self.denied.get(name, 0.0) > now:
                return "token_denied" if name.startswith("jti#") else "session_ended"
        return None


class _Memory:
    """What was learnt, by name; values only grow, and so does the time they were read at."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def learn(self, values: Mapping[str, float], read_at: float) -> None:
        with self._lock:
            for name, value in values.items():
                known, seen_at = self._known.get(name, (value, read_at))
                self._known[name] = (max(known, value), max(seen_at, read_at))
                self._known.move_to_end(name)
            while len(self._known) > self._size:
                self._known.popitem(last=False)

    def recall(self, names: Sequence[str]) -> tuple[dict[str, float], float]:
        """Return what is known, and when the oldest part of it was read."""
        with self._lock:
            found = {name: self._known[name] for name in names if name in self._known}
            for name in found:
                self._known.move_to_end(name)
        oldest = min((read_at for _, read_at in found.values()), default=-inf)
        return {name: value for name, (value, _) in found.items()}, oldest if len(found) == len(names) else -inf


def _level(freshness: object) -> Freshness:
    # By value: the text "strict" must not pass for anything less.
    for level in Freshness:
        if level == freshness:
            return level
    raise ConfigurationError(f"freshness must be one of {', '.join(Freshness)}.", reason="unknown_freshness")


def _user_name(user_id: str) -> str:
    return f"sub#{user_id}"


class RevocationCheck:
    """Asks a revocation store, and remembers. Safe to use from any thread.

    Args:
        store: Knows what was revoked.
        policy: How old an answer may be.
        clock: The time.
        on_stale: Told the age in seconds, at most once in ``cache_for``, while old answers stand in for the store.
    """

    def __init__(
        self, store: RevocationStore, *, policy: RevocationPolicy, clock: Clock, on_stale: Callable[[float], None]
    ) -> None:
        self._store = store
        self._policy = policy
        self._clock = clock
        self._on_stale = on_stale
        self._memory = _Memory(policy.size)
        self._lock = threading.Lock()
        self._away_until = -inf
        self._told_at = -inf

    def require_live(self, claims: Claims, freshness: Freshness) -> None:
        """Accept *claims* of a token whose signature and times are good.

        Raises:
            TokenRevoked: The token or its session was denied, or the user's epoch is not the token's.
            RevocationUnavailable: The store does not answer, and what is known is too old.
            ConfigurationError: *freshness* is none of the three.
        """
        level = _level(freshness)
        if level is Freshness.NONE:
            return
        question = _Question.about(claims)
        answer = self._ask(question, consistent=True) if level is Freshness.STRICT else self._cached(question)
        reason = answer.refusal(question, epoch_seconds(self._clock))
        if reason is None and answer.epoch < question.epoch:
            # Epochs never fall, so this one was never raised in this store: another store, or a lost one.
            reason = "epoch_unknown"
        if reason is not None:
            raise TokenRevoked(reason=reason)

    def epoch_of(self, user_id: str) -> int:
        """Return the user's epoch by a consistent read.

        Raises:
            RevocationUnavailable: The store does not answer.
        """
        return self._ask(_Question(user_id, 0, ()), consistent=True).epoch

    def deny(self, name: str, *, until: float) -> None:
        """Refuse what is called *name* until then; here at once, elsewhere within the cache time.

        Raises:
            RevocationUnavailable: The store does not answer. Repeat it.
        """
        with asking_revocations():
            self._store.deny(name, expires_at=until)
        self._memory.learn({name: until}, self._clock.monotonic())

    def raise_epoch(self, user_id: str) -> int:
        """Refuse all tokens that the user has until now, and return the new epoch.

        Raises:
            RevocationUnavailable: The store does not answer. Repeat it.
        """
        with asking_revocations():
            epoch = self._store.raise_epoch(user_id)
        self._memory.learn({_user_name(user_id): float(epoch)}, self._clock.monotonic())
        return epoch

    def _cached(self, question: _Question) -> _Answer:
        known = self._known(question)
        if known.refusal(question, epoch_seconds(self._clock)) is not None:
            return known  # no store can take this back
        age = self._clock.monotonic() - known.read_at
        is_told = known.epoch == question.epoch
        if is_told and age <= self._policy.cache_for.total_seconds():
            return known
        may_stand_in = is_told and age <= self._policy.stale_for.total_seconds()
        if may_stand_in and self._clock.monotonic() < self._away_until:
            return self._stale(known, age)
        try:
            return self._fresh(question)
        except RevocationUnavailable:
            self._away_until = self._clock.monotonic() + _SECONDS_BETWEEN_TRIALS
            if not may_stand_in:
                raise
            return self._stale(known, age)

    def _known(self, question: _Question) -> _Answer:
        user = _user_name(question.user_id)
        values, read_at = self._memory.recall((user, *question.names))
        return _Answer(int(values.pop(user, 0)), values, read_at)

    def _fresh(self, question: _Question) -> _Answer:
        answer = self._ask(question, consistent=False)
        if answer.epoch < question.epoch:
            # The token is newer than the answer: an eventually consistent read was behind.
            return self._ask(question, consistent=True)
        return answer

    def _ask(self, question: _Question, *, consistent: bool) -> _Answer:
        begun = self._clock.monotonic()
        with asking_revocations():
            found = self._store.look_up(question.user_id, question.names, consistent=consistent)
        self._away_until = -inf
        learnt = {name: found.denied.get(name, 0.0) for name in question.names}
        self._memory.learn({_user_name(question.user_id): float(found.epoch), **learnt}, begun)
        # Not what is remembered alone: another thread may have pushed it out already.
        known = self._known(question)
        denied = {name: max(until, known.denied.get(name, 0.0)) for name, until in learnt.items()}
        return _Answer(max(found.epoch, known.epoch), denied, begun)

    def _stale(self, known: _Answer, age: float) -> _Answer:
        with self._lock:
            now = self._clock.monotonic()
            is_news = now - self._told_at >= self._policy.cache_for.total_seconds()
            if is_news:
                self._told_at = now
        if is_news:
            self._on_stale(age)
        return known
