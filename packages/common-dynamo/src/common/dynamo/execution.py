"""The one place where requests meet a wire: deadline, retries, classification, cost, telemetry, observers.

Retries live here and nowhere else. Every attempt of a call sends the same request value, waits with full jitter in between
(:mod:`common.dynamo.wire.retry`), and stops at the deadline or when the database's retry quota is spent.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import field
from types import TracebackType
from typing import Any, Final, Self

from common.dynamo.arguments import LONGEST_DEADLINE, require_seconds
from common.dynamo.budget_control import REQUEST_PURSE, BudgetControl, Watch
from common.dynamo.cost import NOTHING, Cost, cost_of, count
from common.dynamo.exceptions import (
    ConditionFailed,
    DynamoError,
    OutcomeUnknown,
    Reason,
    RequestRefused,
    TransactionCanceled,
    Unavailable,
)
from common.dynamo.interceptors import Call, InterceptorChain
from common.dynamo.requests import Request
from common.dynamo.telemetry import Recording, Telemetry
from common.dynamo.value_classes import dataclass
from common.dynamo.wire import Answer, Wire, WireFailure
from common.dynamo.wire.retry import Backoff, Classification, Pace, RetryQuota, Verdict, classify

__all__ = ["DEFAULT_DEADLINE", "Deadline", "Executor", "Operation", "Pattern", "Result"]

DEFAULT_DEADLINE: Final = 2.0
"""Seconds that a call may take, all attempts, pages and chunks together."""

_WRITES: Final = frozenset({"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"})


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment after which nothing is started any more; shared by calls that belong together."""

    at: float
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)

    @classmethod
    def after(cls, seconds: float, clock: Callable[[], float] = time.monotonic) -> "Deadline":
        """Return the moment *seconds* from now on *clock*."""
        return cls(clock() + seconds, clock)

    def remaining(self) -> float:
        """Return the seconds left; zero or less when it has passed."""
        return self.at - self.clock()


@dataclass(frozen=True, slots=True)
class Pattern:
    """A named access pattern, made once per DAO method when its class is built. It names spans and metrics."""

    name: str
    """``<Dao>.<method>``, such as ``OrderDAO.buy``; code and configuration only, never a key."""
    operation: str
    """The API operation, such as ``TransactWriteItems``."""


@dataclass(frozen=True, slots=True)
class Result:
    """The answer of a call that succeeded."""

    body: Mapping[str, Any] = field(repr=False)
    """The output in the shape of the DynamoDB API."""
    cost: Cost = NOTHING
    attempts: int = 1
    unknown_attempts: int = 0
    """Attempts before the successful one whose outcome nobody knows; a client's own retries count."""


class Executor:
    """Executes requests on one wire. Thread-safe and fork-safe."""

    def __init__(
        self,
        wire: Wire,
        telemetry: Telemetry,
        *,
        deadline: float = DEFAULT_DEADLINE,
        interceptors: InterceptorChain | None = None,
        budgets: BudgetControl | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float],
    ) -> None:
        self.wire = wire
        self.telemetry = telemetry
        self.interceptors = interceptors or InterceptorChain()
        self.budgets = budgets or BudgetControl(clock=monotonic)
        self.monotonic = monotonic
        self.sleep = sleep
        self.backoff = Backoff(random=random)
        self.quota = RetryQuota()
        self._default = deadline
        self._send = telemetry.sending(wire.send)

    def deadline(self, given: "float | Deadline | None") -> Deadline:
        """Return *given* as a moment: seconds from now, the moment itself, or the database's default."""
        if given is None:
            return Deadline(self.monotonic() + self._default, self.monotonic)
        if isinstance(given, Deadline):
            return given
        return Deadline(self.monotonic() + require_seconds("deadline", given, most=LONGEST_DEADLINE), self.monotonic)

    def operation(
        self,
        pattern: Pattern,
        *tables: str,
        deadline: "float | Deadline | None" = None,
        batch_size: int | None = None,
        follows: "Operation | None" = None,
    ) -> "Operation":
        """Return a block of calls that are one access pattern: one span, one deadline, one cost.

        Args:
            pattern: What it is called.
            tables: The physical tables that it touches.
            deadline: Seconds from now or a moment; bounds all calls of the block together.
            batch_size: Entries of a batch write, for its span.
            follows: The operation that this one carries on, such as the page before: both are held to one budget.
        """
        return Operation(self, pattern, tables, self.deadline(deadline), batch_size, follows)

    def execute(
        self, request: Request, pattern: Pattern, *, deadline: "float | Deadline | None" = None, resend: bool = True
    ) -> Result:
        """Execute *request* as an operation of its own; see :meth:`Operation.execute`."""
        with Operation(self, pattern, tables_of(request), self.deadline(deadline)) as operation:
            return operation.execute(request, resend=resend)

    def attempt(self, request: Request, timeout: float) -> Answer | WireFailure:
        """Send *request* once."""
        try:
            return self._send(request, timeout)
        except WireFailure as failure:
            return failure


def tables_of(request: Request) -> tuple[str, ...]:
    """Return the physical tables that *request* touches, sorted, each once."""
    table = getattr(request, "table", None)
    if table is not None:
        return (table,)
    parts = getattr(request, "parts", None)
    if parts is not None:
        return tuple(sorted({part.table for part in parts}))
    return tuple(sorted(getattr(request, "keys", ()) or getattr(request, "writes", ())))


class Operation:
    """One access pattern on its way: a context manager around the calls it consists of.

    What leaves the block as an exception is reported as the operation's failure; what the block handles is not.
    """

    __slots__ = (
        "_batch_size",
        "_executor",
        "_follows",
        "_pattern",
        "_recording",
        "_tables",
        "_watch",
        "cost",
        "deadline",
    )

    def __init__(
        self,
        executor: Executor,
        pattern: Pattern,
        tables: tuple[str, ...],
        deadline: Deadline,
        batch_size: int | None = None,
        follows: "Operation | None" = None,
    ) -> None:
        self._batch_size = batch_size
        self._executor = executor
        self._follows = follows
        self._pattern = pattern
        self._tables = tables
        self._recording: Recording | None = None
        self._watch: Watch | None = None
        self.cost = NOTHING
        """What the calls of the block have cost so far."""
        self.deadline = deadline
        """Shared by all calls of the block; can be handed on to others."""

    def __enter__(self) -> Self:
        pattern, budgets = self._pattern, self._executor.budgets
        if budgets.is_watching or REQUEST_PURSE.get() is not None:
            self._watch = budgets.watch(pattern.name, None if self._follows is None else self._follows._watch)
        self._follows = None  # a chain of pages would keep all of them
        self._recording = self._executor.telemetry.start(
            pattern.name, pattern.operation, self._tables, batch_size=self._batch_size
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._watch is not None:
            self._watch.close(self._recording)
        if self._recording is not None:
            self._recording.end(error)

    @property
    def recording(self) -> Recording | None:
        """What the span and the metrics will tell; ``None`` where telemetry is suppressed."""
        return self._recording

    def execute(self, request: Request, *, resend: bool = True) -> Result:
        """Execute *request*, again where that makes sense, until the deadline.

        Args:
            request: The same value goes out with every attempt.
            resend: Where false, a write is never sent again after an attempt whose outcome is unknown.

        Raises:
            ConditionFailed: A single write's condition did not hold; ``stored`` is the item itself.
            TransactionCanceled: Some part of a transaction did not hold; ``reasons`` has one entry per part.
            RequestRefused: The engine refused the request as such.
            Unavailable: Certainly not applied; or a read that brought no answer in time.
            OutcomeUnknown: The write may have been applied, or still may be.
            BudgetExceeded: A budget stops the operation, which has sent no write so far.
        """
        watch = self._watch
        if watch is None:
            if not self._executor.interceptors.interceptors:
                return self._attempt(request, resend=resend)
            return self._observed(request, resend=resend)
        planned = watch.begin(request)
        try:
            result = self._observed(request, resend=resend)
        except BaseException:
            watch.failed(planned)
            raise
        watch.answered(planned, request, result)
        return result

    def _observed(self, request: Request, *, resend: bool) -> Result:
        """Execute *request* and tell the interceptors."""
        chain = self._executor.interceptors
        if not chain.interceptors:
            return self._attempt(request, resend=resend)
        call = Call(self._pattern.name, request)
        chain.request(call)
        try:
            result = self._attempt(request, resend=resend)
        except BaseException as error:
            chain.error(call, error)
            raise
        chain.result(call, result)
        return result

    def _attempt(self, request: Request, *, resend: bool) -> Result:
        """Send *request*. Nearly every first attempt succeeds; only others keep a record of what has happened."""
        executor, deadline = self._executor, self.deadline
        remaining = deadline.at - deadline.clock()
        if remaining <= 0:
            return _Attempts(self, request, resend=resend).run()
        outcome = executor.attempt(request, remaining)
        if isinstance(outcome, Answer) and outcome.status == 200 and not outcome.retry_attempts:
            executor.quota.release()
            return self._answered(request, outcome)
        return _Attempts(self, request, resend=resend).run(outcome)

    def _answered(
        self, request: Request, answer: Answer, made: int = 1, *, retries: int = 0, unknown: int = 0
    ) -> Result:
        """Take note of an answer that ends a call, after *made* attempts of ours."""
        cost = cost_of(request, answer.body, made)
        self.cost = cost if self.cost is NOTHING else self.cost + cost
        count(cost)
        if self._recording is not None:
            self._recording.answered(request, answer, cost, retries)
        return Result(answer.body, cost, made, unknown)

    @property
    def is_in_process(self) -> bool:
        """Whether the engine is in this process, so that calls wait for each other and not for a network."""
        return self._executor.wire.endpoint is None

    def branch(self, recording: Recording | None) -> "Operation":
        """Return an operation of the same name, deadline and budgets for another thread, with a cost of its own.

        It is not entered. Who makes it adds its cost to this one's.

        Args:
            recording: What tells this one's recording, from several threads.
        """
        branch = Operation(self._executor, self._pattern, self._tables, self.deadline)
        branch._watch, branch._recording = self._watch, recording
        return branch

    def pause(self, rounds: int) -> bool:
        """Wait before the next round of a batch that the engine has left unfinished, as after a throttle.

        Args:
            rounds: How many rounds were unfinished so far, from 1.

        Returns:
            Whether another round may begin: false at the deadline, or when the retry quota is spent.
        """
        delay = self._executor.backoff.delay(Pace.THROTTLE, rounds)
        if delay >= self.deadline.remaining() or self._executor.quota.acquire(Pace.THROTTLE) is None:
            return False
        self._executor.sleep(delay)
        if self._watch is not None:
            self._watch.repeat()
        return True


class _Attempts:
    """The attempts of one request."""

    __slots__ = (
        "_client_retries",
        "_executor",
        "_failure",
        "_made",
        "_operation",
        "_request",
        "_resend",
        "_unknown",
        "_writes",
    )

    def __init__(self, operation: Operation, request: Request, *, resend: bool) -> None:
        self._operation = operation
        self._executor = operation._executor
        self._request = request
        self._resend = resend
        self._writes = request.operation in _WRITES
        self._made = 0
        self._client_retries = 0
        self._unknown = 0
        self._failure: WireFailure | None = None

    def run(self, outcome: Answer | WireFailure | None = None) -> Result:
        """Go on until an attempt succeeds; *outcome* is that of a first one, made already."""
        deadline = self._operation.deadline
        taken = 0
        code = ""
        while True:
            if outcome is None:
                remaining = deadline.remaining()
                if remaining <= 0:
                    raise self._gave_up(code or "DeadlineExceeded")
                outcome = self._executor.attempt(self._request, remaining)
            self._made += 1
            if isinstance(outcome, Answer):
                self._client_retries += outcome.retry_attempts
                self._unknown += outcome.retry_attempts
                if outcome.status == 200:
                    self._executor.quota.release(taken)
                    return self._operation._answered(
                        self._request, outcome, self._made, retries=self._retries, unknown=self._unknown
                    )
            meaning = classify(outcome)
            self._failed(outcome, meaning)
            code = meaning.code
            taken, outcome = self._wait(meaning, deadline.remaining()), None

    def _failed(self, outcome: Answer | WireFailure, meaning: Classification) -> None:
        """Take note of a failed attempt; raise where no other one can follow."""
        self._failure = outcome if isinstance(outcome, WireFailure) else None
        if self._operation._recording is not None:
            self._operation._recording.failed(outcome, meaning.code)
        if meaning.verdict is Verdict.UNKNOWN:
            self._unknown += 1
            if self._writes and not self._resend:
                raise self._gave_up(meaning.code)
        elif not meaning.verdict.is_retryable:
            assert isinstance(outcome, Answer)  # noqa: S101 - a wire failure is never final
            raise self._refused(outcome, meaning.code)

    def _wait(self, meaning: Classification, remaining: float) -> int:
        """Wait for the next attempt; return the quota tokens that it took."""
        assert meaning.pace is not None  # noqa: S101 - every retryable outcome has one
        taken = self._executor.quota.acquire(meaning.pace)
        delay = self._executor.backoff.delay(meaning.pace, self._made)
        if taken is None or delay >= remaining:
            raise self._gave_up(meaning.code)
        self._executor.sleep(delay)
        return taken

    @property
    def _retries(self) -> int:
        return max(0, self._made - 1) + self._client_retries

    def _spent(self) -> None:
        cost = Cost(trips=self._made)
        self._operation.cost += cost
        count(cost)
        if self._operation._recording is not None:
            self._operation._recording.gave_up(self._request, self._retries)

    def _gave_up(self, code: str) -> DynamoError:
        self._spent()
        cause = "" if self._failure is None else f" ({self._failure})"
        told = f"{self._operation._pattern.name}: {code} after {self._made} attempt(s){cause}"
        if self._writes and self._unknown:
            return OutcomeUnknown(
                f"{told}; it may have been applied, or still may be. Repeat it with the same request id, or read the "
                "item before deciding.",
                engine_code=code,
            )
        return Unavailable(
            f"{told}; nothing was applied. Repeat the call, with a longer deadline if the engine is slow.",
            engine_code=code,
            unknown_attempts=self._unknown,
        )

    def _refused(self, answer: Answer, code: str) -> DynamoError:
        name = self._operation._pattern.name
        if code == "ConditionalCheckFailedException":
            self._spent()
            item = answer.body.get("Item")
            reason = Reason("ConditionalCheckFailed", item)
            return ConditionFailed(
                f"{name}: the condition did not hold.", stored=item, reasons=(reason,), unknown_attempts=self._unknown
            )
        if code == "TransactionCanceledException":
            self._spent()
            return TransactionCanceled(
                f"{name}: the transaction was canceled.",
                reasons=[Reason(each.get("Code", "None"), each.get("Item")) for each in _reasons(answer)],
                unknown_attempts=self._unknown,
            )
        if self._writes and self._unknown:
            return self._gave_up(code)
        self._spent()
        return RequestRefused(
            f"{name}: the engine refused the request: {code}.{_HINTS.get(code, '')}",
            engine_code=code,
            engine_message=str(answer.body.get("message", "")),
        )


def _reasons(answer: Answer) -> list[Mapping[str, Any]]:
    return list(answer.body.get("CancellationReasons") or ())


_HINTS: Final[Mapping[str, str]] = {
    "ResourceNotFoundException": " There is no such table or index: call create_tables(), or check table= and region.",
    "AccessDeniedException": " The credentials in use may not do this: compare the service's policy with its tables.",
    "UnrecognizedClientException": " The credentials in use are not valid for this endpoint.",
    "ExpiredTokenException": " The credentials in use have expired.",
    "ValidationException": " This is a mistake in the request, not in the stored data.",
}
