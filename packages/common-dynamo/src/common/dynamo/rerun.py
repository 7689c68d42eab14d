"""Running a function again while other writers are faster."""

from collections.abc import Callable
from typing import TypeVar

from common.dynamo.arguments import require_callback, require_whole_number
from common.dynamo.exceptions import VersionConflict
from common.dynamo.execution import Deadline, Executor
from common.dynamo.wire.retry import Pace

__all__ = ["rerun"]

T = TypeVar("T")


def rerun(executor: Executor, work: Callable[[], T], *, attempts: int, deadline: Deadline) -> T:
    """Return what *work* returns; run it again, after a pause with full jitter, while it raises ``VersionConflict``.

    Args:
        executor: Whose sleep, chance and pace are used.
        work: Reads, decides and writes anew each time it is called.
        attempts: Times that it runs, at most.
        deadline: After which no other attempt is started.

    Raises:
        VersionConflict: That of the last attempt.
        InvalidInput: *attempts* is below 1.
        ConfigurationError: *work* cannot be called.
    """
    require_callback("work", work, "() -> result")
    require_whole_number("attempts", attempts, least=1)
    for attempt in range(1, attempts):
        try:
            return work()
        except VersionConflict:
            delay = executor.backoff.delay(Pace.CONFLICT, attempt)
            if delay >= deadline.remaining():
                raise
        executor.sleep(delay)
    return work()
