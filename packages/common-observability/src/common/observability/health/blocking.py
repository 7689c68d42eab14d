"""Noticing that an asynchronous check blocks the event loop it runs on, and which one it is."""

import time
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

__all__ = ["StepWatch"]

Result = TypeVar("Result")


class StepWatch:
    """Awaits a coroutine and measures each of its steps: between two of them the loop is free, within one it is not.

    So the check that blocks is told apart from those that wait behind it on the same loop.
    """

    def __init__(self, work: Coroutine[Any, Any, Result], limit: float, on_block: Callable[[float], object]) -> None:
        """Watch *work*.

        Args:
            work: Not started yet.
            limit: Seconds that a step may take.
            on_block: Called with the seconds of each step that took longer, right after it.
        """
        self._work = work
        self._limit = limit
        self._on_block = on_block

    def __await__(self) -> Generator[Any, Any, Result]:
        step: Callable[[Any], Any] = self._work.send
        given: Any = None
        try:
            while True:
                try:
                    waited_for = self._timed(step, given)
                except StopIteration as end:
                    return end.value  # type: ignore[no-any-return]  # what the coroutine returns
                try:
                    step, given = self._work.send, (yield waited_for)
                except GeneratorExit:
                    raise
                except BaseException as error:  # noqa: BLE001 - a cancellation too goes into the coroutine
                    step, given = self._work.throw, error
        finally:
            self._work.close()

    def _timed(self, step: Callable[[Any], Any], given: Any) -> Any:
        began = time.monotonic()
        try:
            return step(given)
        finally:
            if (seconds := time.monotonic() - began) > self._limit:
                self._on_block(seconds)
