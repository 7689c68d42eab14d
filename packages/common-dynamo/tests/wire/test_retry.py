"""Every outcome of an attempt has one meaning, a pace, and a price."""

from typing import Any

import pytest

from common.dynamo.wire import Answer, AnswerLost, NotSent, WireFailure
from common.dynamo.wire.retry import Backoff, Classification, Pace, RetryQuota, Verdict, classify

OK, FINAL, NOT_APPLIED, UNKNOWN = Verdict.OK, Verdict.FINAL, Verdict.NOT_APPLIED, Verdict.UNKNOWN


def error(code: str, status: int = 400, **members: Any) -> Answer:
    return Answer(status, {"__type": code, "message": "text", **members})


def cancelled(*codes: str) -> Answer:
    return error("TransactionCanceledException", CancellationReasons=[{"Code": code} for code in codes])


TABLE: list[tuple[Answer | WireFailure, Verdict, Pace | None]] = [
    (Answer(200, {}), OK, None),
    (error("ConditionalCheckFailedException"), FINAL, None),
    (error("ValidationException"), FINAL, None),
    (error("AccessDeniedException"), FINAL, None),
    (error("ResourceNotFoundException"), FINAL, None),
    (error("ResourceInUseException"), FINAL, None),
    (error("ItemCollectionSizeLimitExceededException"), FINAL, None),
    (error("IdempotentParameterMismatchException"), FINAL, None),
    (error("UnrecognizedClientException"), FINAL, None),
    (error("MissingAuthenticationTokenException"), FINAL, None),
    (error("IncompleteSignatureException"), FINAL, None),
    (error("InvalidSignatureException"), FINAL, None),
    (error("ExpiredTokenException"), FINAL, None),
    (error("SerializationException"), FINAL, None),
    (error("ProvisionedThroughputExceededException"), NOT_APPLIED, Pace.THROTTLE),
    (error("ThrottlingException"), NOT_APPLIED, Pace.THROTTLE),
    (error("RequestLimitExceeded"), NOT_APPLIED, Pace.THROTTLE),
    (error("LimitExceededException"), NOT_APPLIED, Pace.THROTTLE),
    (error("ThrottlingException", 503), NOT_APPLIED, Pace.THROTTLE),
    (error("TransactionConflictException"), NOT_APPLIED, Pace.CONFLICT),
    (error("ReplicatedWriteConflictException"), NOT_APPLIED, Pace.CONFLICT),
    (error("TransactionInProgressException"), UNKNOWN, Pace.FAULT),
    (error("InternalServerError", 500), UNKNOWN, Pace.FAULT),
    (error("ServiceUnavailable", 503), UNKNOWN, Pace.FAULT),
    (error("RequestTimeoutException", 408), UNKNOWN, Pace.FAULT),
    (cancelled("ConditionalCheckFailed", "None"), FINAL, None),
    (cancelled("ValidationError", "None"), FINAL, None),
    (cancelled("ItemCollectionSizeLimitExceeded"), FINAL, None),
    (cancelled("None", "TransactionConflict"), NOT_APPLIED, Pace.CONFLICT),
    (cancelled("ThrottlingError"), NOT_APPLIED, Pace.THROTTLE),
    (cancelled("ProvisionedThroughputExceeded"), NOT_APPLIED, Pace.THROTTLE),
    (cancelled("TransactionConflict", "ThrottlingError"), NOT_APPLIED, Pace.THROTTLE),
    (cancelled("ConditionalCheckFailed", "TransactionConflict"), NOT_APPLIED, Pace.CONFLICT),
    (cancelled("ConditionalCheckFailed", "ThrottlingError"), NOT_APPLIED, Pace.THROTTLE),
    (cancelled("TransactionConflict", "ValidationError"), FINAL, None),
    (cancelled(), FINAL, None),
    (error("SomethingNew", 400), FINAL, None),
    (error("SomethingNew", 500), UNKNOWN, Pace.FAULT),
    (error("", 403), FINAL, None),
    (error("", 408), UNKNOWN, Pace.FAULT),
    (error("", 413), FINAL, None),
    (error("", 429), NOT_APPLIED, Pace.THROTTLE),
    (error("", 502), UNKNOWN, Pace.FAULT),
    (error("", 504), UNKNOWN, Pace.FAULT),
    (Answer(302, {}), UNKNOWN, Pace.FAULT),
    (Answer(204, {}), UNKNOWN, Pace.FAULT),
    (NotSent("refused"), NOT_APPLIED, Pace.FAULT),
    (AnswerLost("closed"), UNKNOWN, Pace.FAULT),
    (WireFailure("of a kind to come"), UNKNOWN, Pace.FAULT),
]


@pytest.mark.parametrize(("outcome", "verdict", "pace"), TABLE, ids=[repr(row[0])[:90] for row in TABLE])
def test_an_outcome_is_final_not_applied_or_unknown(
    outcome: Answer | WireFailure, verdict: Verdict, pace: Pace | None
) -> None:
    """A conflict mixed with a failed condition is retried, and what nobody knows may have been applied."""
    found = classify(outcome)

    assert (verdict, pace) == (found.verdict, found.pace)
    assert verdict.is_retryable == (pace is not None)
    assert (found.code == "") == (verdict is OK)


@pytest.mark.parametrize("status", [100, 201, 301, 400, 404, 408, 418, 429, 499, 500, 501, 503, 599])
def test_no_status_is_left_unclassed(status: int) -> None:
    """Whatever a middlebox invents, there is a verdict, and only 200 is a success."""
    assert isinstance(classify(Answer(status, {})), Classification)
    assert classify(Answer(status, {})).verdict is not OK


CEILINGS = [
    (Pace.CONFLICT, [0.005, 0.010, 0.020, 0.040, 0.080, 0.160, 0.200, 0.200]),
    (Pace.THROTTLE, [0.025, 0.050, 0.100, 0.200, 0.400, 0.800, 1.000, 1.000]),
    (Pace.FAULT, [0.025, 0.050, 0.100, 0.200, 0.400, 0.800, 1.000, 1.000]),
]


@pytest.mark.parametrize(("pace", "ceilings"), CEILINGS, ids=[row[0].name for row in CEILINGS])
def test_delays_double_up_to_their_cap(pace: Pace, ceilings: list[float]) -> None:
    """Conflicts begin at 5 ms and end at 200 ms, throttles begin at 25 ms."""
    backoff = Backoff(random=lambda: 1.0)

    assert ceilings == pytest.approx([backoff.delay(pace, retry) for retry in range(1, 9)])
    assert ceilings[-1] == pytest.approx(backoff.delay(pace, 5000))


@pytest.mark.parametrize("chance", [0.0, 0.25, 0.999])
def test_jitter_is_full(chance: float) -> None:
    """Any delay from nothing up to the ceiling is as likely as any other."""
    backoff = Backoff(random=lambda: chance)

    assert chance * 0.100 == pytest.approx(backoff.delay(Pace.THROTTLE, 3))


def test_a_storm_of_retries_ends() -> None:
    """An engine that answers nobody is retried 100 times by throttle pace, 50 times by fault pace, then no more."""
    for pace, retries in ((Pace.THROTTLE, 100), (Pace.FAULT, 50)):
        quota = RetryQuota()

        taken = [quota.acquire(pace) for _ in range(retries + 1)]

        assert None not in taken[:retries]
        assert taken[retries] is None


def test_conflicts_take_nothing() -> None:
    """A hot account is retried until the deadline however many wait for it, also when the bucket is empty."""
    quota = RetryQuota(capacity=4)

    assert quota.acquire(Pace.THROTTLE) is None
    assert [0] * 1000 == [quota.acquire(Pace.CONFLICT) for _ in range(1000)]


def test_success_refills_the_quota() -> None:
    """What the last retry took comes back, a success without retry gives one, and it never overflows."""
    quota = RetryQuota(capacity=20)
    taken = quota.acquire(Pace.FAULT)
    assert (10, 10) == (taken, quota.available)

    quota.release()
    assert 11 == quota.available
    quota.release(10)
    assert 20 == quota.available
