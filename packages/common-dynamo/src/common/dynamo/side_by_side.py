"""Calls of one operation side by side: over a network, those that do not depend on each other need not wait for each other.

Each runs in a thread of its own with a copy of the caller's context, so that a client's own spans keep their parent and
the caller's meters count. All of them have ended when the call does, whatever happens.
"""

from collections.abc import Sequence
from contextvars import copy_context
from threading import Lock
from typing import Any, Final, cast

from common.dynamo.execution import Operation, Result
from common.dynamo.requests import BatchWriteItem, ReadRequest
from common.dynamo.telemetry import Recording

__all__ = ["AT_ONCE", "execute_together"]

AT_ONCE: Final = 8
"""Calls in flight, at most: a client keeps ten connections, unless it is told otherwise."""


def execute_together(operation: Operation, requests: Sequence[ReadRequest | BatchWriteItem]) -> list[Result]:
    """Execute *requests*, each as :meth:`Operation.execute` does, in one span, one deadline and one cost.

    An engine in this process would only make the threads wait for each other, so there they follow one another.

    Returns:
        The results, in the order of *requests*.

    Raises:
        DynamoError: What the first of *requests* to fail, in their order, has raised; see :meth:`Operation.execute`.
    """
    if len(requests) < 2 or operation.is_in_process:
        return [operation.execute(request) for request in requests]
    from concurrent.futures import ThreadPoolExecutor, wait  # dear to import, and most services never need it

    recording = None if operation.recording is None else cast("Recording", _SharedRecording(operation.recording))
    branches = [operation.branch(recording) for _ in requests]
    with ThreadPoolExecutor(min(len(requests), AT_ONCE), thread_name_prefix="common-dynamo") as pool:
        futures = [
            pool.submit(copy_context().run, branch.execute, request)
            for branch, request in zip(branches, requests, strict=True)
        ]
        wait(futures)
    for branch in branches:
        operation.cost += branch.cost
    return [future.result() for future in futures]


class _SharedRecording:
    """What branches write down of their calls, one at a time."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._lock = Lock()

    def answered(self, *told: Any) -> None:
        """Write down an answer."""
        with self._lock:
            self._recording.answered(*told)

    def failed(self, *told: Any) -> None:
        """Write down a failed attempt."""
        with self._lock:
            self._recording.failed(*told)

    def gave_up(self, *told: Any) -> None:
        """Write down a call that ended without an answer."""
        with self._lock:
            self._recording.gave_up(*told)
