"""Counts attempts in one store: reserved before anything is verified, cleared by a success, or given back.

An attempt is counted as failed when it begins, together with the wait that follows from it, in one conditional write.
However many begin at once, no more than the limit get through, and a failure needs no further write.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from common.auth.security.login_buckets import Bucket, Claim, LoginBuckets, SharedBucket
from common.auth.security.login_limits import LoginLimits
from common.auth.security.stores import LoginCounter, LoginCounterStore

__all__ = ["Attempts", "Hold", "Refusal"]

_ROUNDS: Final = 128
"""How often a write is tried anew while others change the same counter; in each round somebody else's was counted."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """No attempt may begin."""

    kind: str
    """Of the bucket that refused; for the audit trail, never for a client."""
    retry_after: float
    """Seconds, above zero."""
    limit: int | None = None
    """Of a bucket that many share."""


@dataclass(frozen=True, slots=True)
class Hold:
    """An attempt that is under way."""

    kind: str
    bucket: str
    before: LoginCounter | None
    """The counter that the attempt found; ``None`` where there was none."""
    after: LoginCounter
    """The counter with this attempt in it."""
    shards: tuple[tuple[str, float], ...] = ()
    """Names of the shared counters that it was added to, and when their windows end."""
    remembers: str | None = None
    """The bucket that makes the network known once the login succeeds."""

    @property
    def failures(self) -> int:
        """Failures in a row before this attempt."""
        return self.after.attempts - 1


class Attempts:
    """Attempts in one store. Safe to use from any thread.

    Args:
        store: Where the counters are.
        limits: How many are too many.
        buckets: Names of the counters.
        choose: Chooses a shard: a number below the one it is given.
    """

    def __init__(
        self, store: LoginCounterStore, *, limits: LoginLimits, buckets: LoginBuckets, choose: Callable[[int], int]
    ) -> None:
        self._store = store
        self._limits = limits
        self._buckets = buckets
        self._choose = choose

    def reserve(self, claim: Claim, now: float) -> Hold | Refusal:
        """Count an attempt in the first bucket of *claim* that has room: device, then known network or strangers.

        1 write for a device; 1 read and 2 writes from a known network; 1 read and 3 writes for a stranger. A refusal
        writes nothing that stays.
        """
        refusals: list[Refusal] = []
        for kind, bucket, seen in self._doors(claim, now):
            entered = self._enter(kind, bucket, seen, now)
            if isinstance(entered, Hold):
                return self._with_shared(replace(entered, remembers=_remembered(kind, claim)), claim, now)
            refusals.append(entered)
        return min(refusals, key=lambda refusal: refusal.retry_after)

    def succeed(self, hold: Hold, now: float) -> None:
        """Clear the bucket that the attempt went through, take it out of the shared ones, and know the network."""
        if hold.kind == Bucket.KNOWN_NETWORK:
            self._alter(hold.bucket, lambda counter: self._known(now), first=hold.after)
        else:
            self._store.clear(hold.bucket)
        if hold.remembers is not None:
            self._alter(hold.remembers, lambda counter: self._still_known(counter, now), first=None)
        self._leave_shards(hold)

    def give_back(self, hold: Hold) -> None:
        """Undo the attempt, since nothing was verified: the wait with it, unless another attempt came after."""
        change = self._store.exchange(hold.bucket, expected=hold.after, new=hold.before)
        if not change.applied:
            self._alter(hold.bucket, _one_less, first=change.counter)
        self._leave_shards(hold)

    def forget(self, claim: Claim) -> None:
        """Delete all counters of the account that *claim* names; its network becomes unknown."""
        for bucket in (claim.account, claim.known_network, claim.device):
            if bucket is not None:
                self._store.clear(bucket)

    def _doors(self, claim: Claim, now: float) -> Iterator[tuple[str, str, LoginCounter | None]]:
        """Yield kind and name of each bucket that this client may use, and the counter where it was read."""
        if claim.device is not None:
            yield Bucket.DEVICE, claim.device, None
        if claim.known_network is not None:
            seen = self._store.read(claim.known_network)
            if seen is not None and seen.expires_at > now:
                yield Bucket.KNOWN_NETWORK, claim.known_network, seen
                # Going on to the strangers' bucket would give twice the attempts, but only where the account exists.
                return
        yield Bucket.ACCOUNT, claim.account, None

    def _enter(self, kind: str, bucket: str, seen: LoginCounter | None, now: float) -> Hold | Refusal:
        for _ in range(_ROUNDS):
            if seen is not None and self._limits.is_blocked(seen, now):
                return Refusal(kind, seen.blocked_until - now)
            counted = self._limits.after_attempt(seen, now)
            change = self._store.exchange(bucket, expected=seen, new=counted)
            if change.applied:
                return Hold(kind, bucket, seen, counted)
            seen = change.counter
        return Refusal(kind, self._limits.first_delay.total_seconds())

    def _with_shared(self, hold: Hold, claim: Claim, now: float) -> Hold | Refusal:
        """Count the attempt in what many share too; where one of these is full, undo all of it."""
        for shared in self._shared(hold.kind, claim, now):
            shard = self._join(shared)
            if shard is None:
                self.give_back(hold)
                return Refusal(shared.kind, max(0.001, shared.ends_at - now), shared.limit)
            hold = replace(hold, shards=(*hold.shards, (shard, shared.ends_at)))
        return hold

    def _shared(self, kind: str, claim: Claim, now: float) -> Iterator[SharedBucket]:
        if kind != Bucket.DEVICE and claim.network is not None:
            yield self._buckets.of_network(claim.network, now)
        if kind == Bucket.ACCOUNT:
            yield self._buckets.of_everybody(now)

    def _join(self, shared: SharedBucket) -> str | None:
        for shard in shared.two_shards(self._choose):
            # A full shard keeps what was added: it stays full until its window ends, and undoing would double the cost.
            if self._store.add(shard, 1, expires_at=shared.ends_at) <= shared.share:
                return shard
        return None

    def _leave_shards(self, hold: Hold) -> None:
        for shard, ends_at in hold.shards:
            self._store.add(shard, -1, expires_at=ends_at)

    def _alter(
        self, bucket: str, change: Callable[[LoginCounter | None], LoginCounter | None], *, first: LoginCounter | None
    ) -> None:
        """Replace a counter by what *change* makes of it; *first* is what it is expected to be."""
        seen = first
        for _ in range(_ROUNDS):
            made = change(seen)
            if made == seen:
                return
            outcome = self._store.exchange(bucket, expected=seen, new=made)
            if outcome.applied:
                return
            seen = outcome.counter

    def _known(self, now: float) -> LoginCounter:
        expiry = now + self._limits.known_network_for.total_seconds()
        return LoginCounter(attempts=0, expires_at=round(expiry, 3))

    def _still_known(self, counter: LoginCounter | None, now: float) -> LoginCounter:
        fresh = self._known(now)
        if counter is None or counter.expires_at <= now:
            return fresh
        return replace(counter, expires_at=max(counter.expires_at, fresh.expires_at))


def _remembered(kind: str, claim: Claim) -> str | None:
    return claim.known_network if kind == Bucket.ACCOUNT else None


def _one_less(counter: LoginCounter | None) -> LoginCounter | None:
    if counter is None or counter.attempts < 1:
        return counter
    return replace(counter, attempts=counter.attempts - 1)
