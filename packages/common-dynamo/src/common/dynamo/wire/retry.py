"""What an attempt's outcome means, how long to wait, and whether to try again: the same for every wire.

Pure: nothing here sleeps, reads a clock or sends. :meth:`common.dynamo.Database.execute` is the one loop that uses it,
so there is one layer of retries (clients that we build make a single attempt).

The three questions, in order::

    classification = classify(answer_or_failure)      # what happened: ok, final, not applied, unknown
    backoff.delay(classification.pace, retry)         # seconds to wait, full jitter
    quota.acquire(classification.pace)                # may this process retry at all?

Sources: Amazon DynamoDB Developer Guide, "Error handling with DynamoDB" and "Amazon DynamoDB Transactions: How it
works"; the retry quota follows the "standard" retry mode of the AWS SDKs and Tools Reference Guide; full jitter is that
of the AWS Architecture Blog, "Exponential Backoff And Jitter".
"""

from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, Final

from common.dynamo.locking import ForkSafeLock
from common.dynamo.value_classes import dataclass
from common.dynamo.wire import Answer, AnswerLost, NotSent, WireFailure

__all__ = ["Backoff", "Classification", "Pace", "RetryQuota", "Verdict", "classify"]


class Verdict(Enum):
    """What one attempt did."""

    OK = "ok"
    """The engine did it."""
    FINAL = "final"
    """Refused, not applied, and the same request would be refused again."""
    NOT_APPLIED = "not applied"
    """Certainly not applied; the same request may succeed later."""
    UNKNOWN = "unknown"
    """It may have been applied, or still may."""

    @property
    def is_retryable(self) -> bool:
        """Whether another attempt with the same bytes makes sense."""
        return self in (Verdict.NOT_APPLIED, Verdict.UNKNOWN)


class Pace(Enum):
    """What a retry waits for: it sets the delay and what the retry costs of the quota."""

    CONFLICT = "conflict"
    """Another transaction holds the item; it is over in milliseconds and is no sign of an overload."""
    THROTTLE = "throttle"
    """The engine has too much to do."""
    FAULT = "fault"
    """The engine or the network does not work; every retry makes that worse."""


@dataclass(frozen=True, slots=True)
class Classification:
    """The meaning of one attempt's outcome."""

    verdict: Verdict
    code: str
    """The engine's error code, or ``NotSent`` / ``AnswerLost``; empty when the verdict is OK."""
    pace: Pace | None = None
    """How to wait for the next attempt; ``None`` unless the verdict is retryable."""


_OK: Final = Classification(Verdict.OK, "")
_CONFLICTS: Final = frozenset({"TransactionConflictException", "ReplicatedWriteConflictException"})
_THROTTLES: Final = frozenset(
    {
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
    }
)
_UNKNOWNS: Final = frozenset(
    {
        "InternalFailure",
        "InternalServerError",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "TransactionInProgressException",
    }
)
_FINALS: Final = frozenset(
    {
        "AccessDeniedException",
        "ConditionalCheckFailedException",
        "ExpiredTokenException",
        "IdempotentParameterMismatchException",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "ItemCollectionSizeLimitExceededException",
        "MissingAuthenticationTokenException",
        "RequestExpired",
        "ResourceInUseException",
        "ResourceNotFoundException",
        "SerializationException",
        "UnknownOperationException",
        "UnrecognizedClientException",
        "ValidationException",
    }
)
_REASON_PACES: Final[Mapping[str, Pace]] = MappingProxyType(
    {
        "TransactionConflict": Pace.CONFLICT,
        "ThrottlingError": Pace.THROTTLE,
        "ProvisionedThroughputExceeded": Pace.THROTTLE,
    }
)
_REASONS_THAT_STAY: Final = frozenset(
    {"ValidationError", "ItemCollectionSizeLimitExceeded", "AccessDenied", "DuplicateItem"}
)


def classify(outcome: Answer | WireFailure) -> Classification:
    """Class the outcome of one attempt (D28); nothing is left unclassed.

    A code that is not in the tables is judged by its status: 429 is a throttle, any other 4xx but 408 is final, and
    everything else is unknown, because an intermediary may have answered after the engine had committed.
    """
    if isinstance(outcome, Answer):
        return _OK if outcome.status == 200 else _classify_error(outcome)
    if isinstance(outcome, NotSent):
        return Classification(Verdict.NOT_APPLIED, "NotSent", Pace.FAULT)
    return Classification(Verdict.UNKNOWN, AnswerLost.__name__, Pace.FAULT)


def _classify_error(answer: Answer) -> Classification:
    code = str(answer.body.get("__type", ""))
    if code == "TransactionCanceledException":
        return _classify_cancellation(code, answer.body)
    if code in _FINALS:
        return Classification(Verdict.FINAL, code)
    if code in _CONFLICTS:
        return Classification(Verdict.NOT_APPLIED, code, Pace.CONFLICT)
    if code in _THROTTLES:
        return Classification(Verdict.NOT_APPLIED, code, Pace.THROTTLE)
    if code in _UNKNOWNS:
        return Classification(Verdict.UNKNOWN, code, Pace.FAULT)
    return _classify_status(code, answer.status)


def _classify_status(code: str, status: int) -> Classification:
    code = code or f"HTTP {status}"
    if status == 429:
        return Classification(Verdict.NOT_APPLIED, code, Pace.THROTTLE)
    if 400 <= status < 500 and status != 408:
        return Classification(Verdict.FINAL, code)
    return Classification(Verdict.UNKNOWN, code, Pace.FAULT)


def _classify_cancellation(code: str, body: Mapping[str, Any]) -> Classification:
    """A conflict or throttle mixed with a failed condition is retried: the condition was judged on a moving item."""
    reasons = {str(reason.get("Code", "")) for reason in body.get("CancellationReasons") or ()}
    if reasons & _REASONS_THAT_STAY:
        return Classification(Verdict.FINAL, code)
    paces = {_REASON_PACES[reason] for reason in reasons if reason in _REASON_PACES}
    if not paces:
        return Classification(Verdict.FINAL, code)
    return Classification(Verdict.NOT_APPLIED, code, Pace.THROTTLE if Pace.THROTTLE in paces else Pace.CONFLICT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Full jitter: a delay is drawn evenly between zero and an exponentially growing, capped ceiling. Seconds."""

    random: Callable[[], float]
    """A number in [0, 1)."""
    conflict_base: float = 0.005
    conflict_cap: float = 0.200
    throttle_base: float = 0.025
    throttle_cap: float = 1.0

    def ceiling(self, pace: Pace, retry: int) -> float:
        """Return the longest delay before the *retry*-th retry, counted from 1."""
        if pace is Pace.CONFLICT:
            base, cap = self.conflict_base, self.conflict_cap
        else:
            base, cap = self.throttle_base, self.throttle_cap
        return float(min(cap, base * 2.0 ** min(retry - 1, 30)))

    def delay(self, pace: Pace, retry: int) -> float:
        """Return the seconds to wait before the *retry*-th retry, counted from 1."""
        return self.random() * self.ceiling(pace, retry)


_COSTS: Final[Mapping[Pace, int]] = MappingProxyType({Pace.CONFLICT: 0, Pace.THROTTLE: 5, Pace.FAULT: 10})


class RetryQuota:
    """One token bucket per database: it ends a retry storm, since an engine that answers nobody refills nothing.

    A retry takes tokens by its pace, a success gives back what its last retry took, and at least one. Conflicts take
    none: they are answered by a healthy engine, and jitter and the deadline bound them. First attempts are free.
    """

    def __init__(self, capacity: int = 500) -> None:
        self._capacity = capacity
        self._available = capacity
        self._lock = ForkSafeLock()

    @property
    def available(self) -> int:
        """Tokens left."""
        return self._available

    def acquire(self, pace: Pace) -> int | None:
        """Take the tokens of one retry; return how many, or ``None`` when the bucket holds too few: do not retry."""
        cost = _COSTS[pace]
        with self._lock:
            if cost > self._available:
                return None
            self._available -= cost
        return cost

    def release(self, taken: int = 0) -> None:
        """Report a success whose last retry, if any, took *taken* tokens."""
        if self._available < self._capacity:
            with self._lock:
                self._available = min(self._capacity, self._available + max(1, taken))
