"""The segments of a scan: where the walk through each of them stands, and walking through all of them side by side."""

import json
from collections.abc import Callable, Iterable, Sequence
from contextvars import copy_context
from threading import Event
from typing import Final, TypeVar

from common.dynamo.layout import PARTITION, SORT
from common.dynamo.requests import ItemKey
from common.dynamo.value_classes import dataclass
from common.exceptions import ConfigurationError

__all__ = ["SEGMENTS_LIMIT", "START", "SegmentPosition", "check_segments", "run_together", "shares"]

T = TypeVar("T")

SEGMENTS_LIMIT: Final = 100
"""Segments of a scan, at most: each is a thread. DynamoDB itself would take a million."""

_ENDED: Final = "."


@dataclass(frozen=True, slots=True)
class SegmentPosition:
    """Where the walk through one segment stands."""

    key: tuple[str, str] | None = None
    """Partition and sort key of the last item that was dealt with; ``None`` at the beginning."""
    has_ended: bool = False

    @property
    def start(self) -> ItemKey | None:
        """The key after which it goes on, as a request has it."""
        return None if self.key is None else {PARTITION: {"S": self.key[0]}, SORT: {"S": self.key[1]}}

    @classmethod
    def after(cls, item: ItemKey) -> "SegmentPosition":
        """Return the position after *item*, or after its key."""
        return cls((item[PARTITION]["S"], item[SORT]["S"]))

    def text(self) -> str:
        """Return it as one text, for cursors and for the table; :meth:`parse` reads it."""
        if self.has_ended:
            return _ENDED
        return "" if self.key is None else json.dumps(self.key)

    @classmethod
    def parse(cls, text: str) -> "SegmentPosition":
        """Return the position whose :meth:`text` is *text*."""
        if text in ("", _ENDED):
            return cls(has_ended=text == _ENDED)
        partition, sort = json.loads(text)
        return cls((partition, sort))


START: Final = SegmentPosition()


def check_segments(segments: int) -> int:
    """Return *segments*; raises ``ConfigurationError`` where that is no number from 1 to :data:`SEGMENTS_LIMIT`."""
    if not isinstance(segments, int) or isinstance(segments, bool) or not 1 <= segments <= SEGMENTS_LIMIT:
        raise ConfigurationError(f"segments is a number from 1 to {SEGMENTS_LIMIT}: each of them is read by a thread.")
    return segments


def shares(size: int | None, positions: Sequence[SegmentPosition]) -> Iterable[tuple[int, int | None]]:
    """Yield for each segment that has not ended its number and its share of *size*, leaving out shares of nothing."""
    going = [number for number, position in enumerate(positions) if not position.has_ended]
    for place, number in enumerate(going):
        if size is None:
            yield number, None
        elif size // len(going) + (place < size % len(going)):
            yield number, size // len(going) + (place < size % len(going))


def run_together(tasks: Sequence[Callable[[], T]], stop: Event) -> list[T]:
    """Return what *tasks* return, in their order; more than one of them run in threads of their own.

    Each thread has a copy of the caller's context, so that spans keep their parent and meters count. No thread outlives
    the call.

    Args:
        tasks: They look at *stop* now and then, and return early when it is set.
        stop: Is set when a task fails, or the caller is interrupted.

    Raises:
        Exception: What the first task to fail has raised, after all of them have ended.
    """
    if len(tasks) == 1:
        return [tasks[0]()]
    from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait  # dear to import, and for walks alone

    with ThreadPoolExecutor(max(1, len(tasks)), thread_name_prefix="common-segment") as pool:
        futures = [pool.submit(copy_context().run, task) for task in tasks]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
            return [future.result() for future in futures]
        except BaseException:
            stop.set()
            raise
