"""The keys of an issuer that publishes them at an address, fetched beside the requests and never by one.

``find`` looks into the set that is in memory. What a request may cause is a wish: a thread of its own fetches, at most
once per cooldown whatever it brings, so that tokens with invented key ids cannot make this process call anybody more
often. When the address does not answer, the keys that are known go on for as long as they may be stale.
"""

import logging
import os
import threading
import weakref
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final, NoReturn

from common.auth.doctor import Finding
from common.auth.exceptions import ConfigurationError, KeySourceUnavailable, UnknownKey
from common.auth.security.algorithms import DEFAULT_ALGORITHMS, algorithm_named
from common.auth.security.clock import SYSTEM, Clock
from common.auth.security.jwks_endpoint import FetchedJwks, JwksEndpoint, JwksFetcher
from common.auth.security.jwks_refresh import RefreshPlan
from common.auth.security.keys import KeyRing
from common.auth.security.signing_keys import KEY_ID, VerificationKey

__all__ = ["JwksEndpoint", "JwksFetcher", "JwksStats", "RemoteJWKS"]

_log = logging.getLogger("common.auth.jwks")

_MOST_KEYS: Final = 128
_LONGEST_WAIT: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class JwksStats:
    """How a remote key set is."""

    age: float | None
    """Seconds since the set in use was fetched; ``None`` where none ever was."""
    is_usable: bool
    """Whether there is a set, and it is not older than it may be."""
    keys: int
    skipped: int
    """Members of the set that are no keys for signatures by the permitted algorithms."""
    fetches: int
    """Fetches that brought a set."""
    failures: int
    """Fetches that did not."""
    last_failure: str
    """Why the last fetch failed, such as ``unreachable``; empty where it did not."""


@dataclass(frozen=True, slots=True)
class _KeySet:
    ring: KeyRing
    keys: int
    skipped: int
    fetched_at: float


class RemoteJWKS:
    """The keys that an issuer publishes; stands wherever a verifying :class:`~common.auth.security.keys.KeyRing` does.

    Fetching begins with :meth:`start`, or with the first key that is asked for; ``common_startup`` starts the sets that
    the service provides. A forked child fetches for itself. Safe to use from any thread.

    Args:
        source: The address, an :class:`~common.auth.security.jwks_endpoint.JwksEndpoint`, or another fetcher.
        issuer: Whose keys these are: the ``iss`` of the tokens. A set from an address speaks for this issuer alone.
        algorithms: Those that keys may have, asymmetric ones only; keys of others are skipped.
        alg: The algorithm of RSA keys that do not name theirs.
        refresh_every: The set is fetched anew this often, or as often as the issuer's ``Cache-Control`` says if that is
            more often; a key that the issuer has withdrawn verifies until then.
        cooldown: The least time between two fetches, counted from the beginning of the first, whatever it brought.
        max_stale: How long keys are used after the last fetch that succeeded.
        miss_wait: How long :meth:`find` waits for a key that is not there, at most 5 s. Leave it at zero on an event loop.
        clock: The time.

    Raises:
        ConfigurationError: The address is not ``https``, a time is out of its range, or an algorithm is symmetric.

    >>> keys = RemoteJWKS("https://id.example/.well-known/jwks.json", issuer="https://id.example")
    >>> keys
    RemoteJWKS('https://id.example', JwksEndpoint('https://id.example/.well-known/jwks.json'))
    """

    def __init__(
        self,
        source: str | JwksFetcher,
        *,
        issuer: str,
        algorithms: Collection[str] = DEFAULT_ALGORITHMS,
        alg: str | None = None,
        refresh_every: timedelta = timedelta(minutes=15),
        cooldown: timedelta = timedelta(seconds=30),
        max_stale: timedelta = timedelta(hours=24),
        miss_wait: timedelta = timedelta(0),
        clock: Clock = SYSTEM,
    ) -> None:
        _check_times(refresh_every, cooldown, max_stale, miss_wait)
        self._source = JwksEndpoint(source) if isinstance(source, str) else source
        self._issuer = _issuer(issuer)
        self._algorithms = _asymmetric(algorithms)
        self._alg = alg if alg is None else next(iter(_asymmetric([alg])))
        self._refresh_every = refresh_every.total_seconds()
        self._cooldown = cooldown.total_seconds()
        self._max_stale = max_stale.total_seconds()
        self._miss_wait = miss_wait.total_seconds()
        self._clock = clock
        self._set: _KeySet | None = None
        self._failures = 0
        self._last_failure = ""
        self._closed = False
        self._begin()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=partial(_begin_in_child, weakref.ref(self)))

    @property
    def issuer(self) -> str:
        """Whose keys these are: the ``iss`` of the tokens."""
        return self._issuer

    def find(self, kid: str, alg: str) -> VerificationKey:
        """Return the key *kid* if it may verify now and its algorithm is *alg*.

        Raises:
            UnknownKey: The set in memory has none; a fetch has been wished for if one may bring it.
            KeySourceUnavailable: There is no set: none was ever fetched, or it is older than it may be.
        """
        if not isinstance(kid, str) or not KEY_ID.fullmatch(kid):
            raise UnknownKey(reason="unknown_kid")
        self._wake_if_due()
        try:
            return self._usable().ring.find(kid, alg)
        except (UnknownKey, KeySourceUnavailable) as error:
            if error.reason == "wrong_algorithm":
                raise
        self._miss(kid)
        return self._usable().ring.find(kid, alg)

    def active(self) -> NoReturn:
        """Raise ``ConfigurationError``: a published set verifies and does not sign."""
        raise ConfigurationError(
            f"The published keys of issuer {self._issuer!r} verify and do not sign. Sign with a KeyRing.",
            reason="no_active_signer",
        )

    def signer(self, kid: str) -> NoReturn:
        """Raise ``UnknownKey``: a published set verifies and does not sign."""
        raise UnknownKey(reason="unknown_signer")

    def start(self, *, wait: timedelta = timedelta(0)) -> bool:
        """Start fetching; return whether a set is in memory.

        Args:
            wait: How long to wait for the first one.
        """
        with self._changed:
            self._run()
            self._changed.wait_for(lambda: self._set is not None or self._closed, _seconds(wait))
        return self._set is not None

    def close(self, deadline: float = 1.0) -> None:
        """Fetch no more. The keys in memory go on until they are stale.

        Args:
            deadline: Seconds to wait for a fetch that is under way.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(min(deadline, threading.TIMEOUT_MAX))

    def stats(self) -> JwksStats:
        """Return how the set is."""
        now, known = self._clock.monotonic(), self._set
        age = None if known is None else max(0.0, now - known.fetched_at)
        return JwksStats(
            age=age,
            is_usable=age is not None and age <= self._max_stale,
            keys=0 if known is None else known.keys,
            skipped=0 if known is None else known.skipped,
            fetches=self._plan.fetches,
            failures=self._failures,
            last_failure=self._last_failure,
        )

    def weaknesses(self) -> tuple[Finding, ...]:
        """Return what :func:`common.auth.doctor.doctor` tells about the address and the times."""
        found = []
        if isinstance(self._source, JwksEndpoint) and not self._source.is_encrypted:
            found.append(Finding("keys", "plain_jwks", "The key set comes without TLS. Use https outside of tests."))
        if self._max_stale > timedelta(days=1).total_seconds():
            found.append(Finding("keys", "stale_jwks", "Withdrawn keys verify while the address is down. Keep 24 h."))
        return tuple(found)

    def __repr__(self) -> str:
        return f"RemoteJWKS({self._issuer!r}, {self._source!r})"

    # Asking

    def _usable(self) -> _KeySet:
        known = self._set
        if known is None or self._clock.monotonic() - known.fetched_at > self._max_stale:
            raise KeySourceUnavailable(
                f"The keys of issuer {self._issuer!r} have not been fetched"
                f"{'' if known is None else ' for too long'}. See the health check for why.",
                reason="no_key_set" if known is None else "stale_key_set",
            )
        return known

    def _wake_if_due(self) -> None:
        now = self._clock.monotonic()
        if self._thread is None or now >= max(self._plan.due_at, self._plan.claimed_at + self._cooldown):
            with self._changed:
                self._run()
                self._changed.notify_all()

    def _miss(self, kid: str) -> None:
        """Wish for a fetch that may bring *kid*, and wait for it as long as :meth:`find` may."""
        with self._changed:
            if self._plan.miss(kid, self._clock.monotonic()):
                self._changed.notify_all()
                if self._miss_wait and (self._plan.wanted or self._is_fetching):
                    ended = self._ended
                    self._changed.wait_for(lambda: self._ended > ended or self._closed, self._miss_wait)

    # Fetching

    def _begin(self) -> None:
        """Begin anew: in a forked child the thread is missing, and the lock may be held by it for ever."""
        self._changed = threading.Condition()
        self._plan = RefreshPlan(cooldown=self._cooldown, refresh_every=self._refresh_every)
        self._thread: threading.Thread | None = None
        self._is_fetching = False
        self._ended = 0

    def _run(self) -> None:
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._fetch_when_due, name="common-auth-jwks", daemon=True)
            self._thread.start()

    def _fetch_when_due(self) -> None:
        while self._may_fetch():
            fetched = self._fetched()
            with self._changed:
                self._is_fetching = False
                self._ended += 1
                if fetched is not None:
                    self._set, max_age = fetched
                    self._plan.succeeded(self._clock.monotonic(), max_age)
                self._changed.notify_all()

    def _may_fetch(self) -> bool:
        """Wait until a fetch is due and claim its cooldown; false when there are to be none."""
        with self._changed:
            while not self._closed:
                now = self._clock.monotonic()
                if self._plan.claim(now):
                    self._is_fetching = True
                    return True
                self._changed.wait(self._plan.wait(now))
            return False

    def _fetched(self) -> tuple[_KeySet, float | None] | None:
        try:
            answer = self._source.fetch()
            known = self._key_set(answer)
        except Exception as error:  # noqa: BLE001 - whatever a fetcher raises, the keys in memory go on
            self._failures += 1
            self._last_failure = error.reason if isinstance(error, KeySourceUnavailable) else "fetcher_failed"
            _log.warning("The keys of issuer %r were not fetched: %s.", self._issuer, self._last_failure)
            return None
        self._last_failure = ""
        return known, answer.max_age

    def _key_set(self, answer: FetchedJwks) -> _KeySet:
        members = answer.document.get("keys")
        if not isinstance(members, list) or len(members) > _MOST_KEYS:
            raise KeySourceUnavailable(reason="no_jwks")
        keys = [key for key in map(self._key, members) if key is not None]
        times = Counter(key.kid for key in keys)
        usable = [key for key in keys if times[key.kid] == 1]
        if not usable:
            raise KeySourceUnavailable(reason="no_usable_key")
        ring = KeyRing(usable, issuer=self._issuer, algorithms=self._algorithms, clock=self._clock)
        return _KeySet(ring, len(usable), len(members) - len(usable), self._clock.monotonic())

    def _key(self, jwk: object) -> VerificationKey | None:
        """Return a key of the set; ``None`` for one that is not for signatures, is weak, or of another algorithm."""
        if not isinstance(jwk, Mapping):
            return None
        alg = self._alg if jwk.get("kty") == "RSA" and "alg" not in jwk else None
        try:
            key = VerificationKey.from_jwk(jwk, alg=alg)
        except ConfigurationError:
            return None
        return key if key.alg in self._algorithms else None


def _begin_in_child(reference: "weakref.ref[RemoteJWKS]") -> None:
    keys = reference()
    if keys is not None:
        keys._begin()


def _check_times(refresh_every: timedelta, cooldown: timedelta, max_stale: timedelta, miss_wait: timedelta) -> None:
    if not timedelta(seconds=1) <= cooldown <= refresh_every <= max_stale:
        raise ConfigurationError(
            "RemoteJWKS: cooldown must be 1 s or more, refresh_every not below it, and max_stale not below that.",
            reason="bad_limits",
        )
    if not timedelta(0) <= miss_wait <= _LONGEST_WAIT:
        raise ConfigurationError("RemoteJWKS: miss_wait must be 0 to 5 s.", reason="bad_limits")


def _seconds(wait: timedelta) -> float:
    return min(wait.total_seconds(), threading.TIMEOUT_MAX)


def _issuer(issuer: str) -> str:
    if not issuer or not isinstance(issuer, str):
        raise ConfigurationError("RemoteJWKS needs the issuer whose keys these are.", reason="bad_ring")
    return issuer


def _asymmetric(algorithms: Collection[str]) -> frozenset[str]:
    named = [algorithm_named(name) for name in algorithms]
    if not named or any(algorithm.is_symmetric for algorithm in named):
        raise ConfigurationError(
            "Published keys are asymmetric: a secret that is published is none.", reason="symmetric_keys"
        )
    return frozenset(algorithm.name for algorithm in named)
