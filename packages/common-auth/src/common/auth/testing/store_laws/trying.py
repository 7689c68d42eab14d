"""What the laws share: ids that nobody has used, many threads at once, and patience with indexes."""

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

__all__ = ["NOW", "at_once", "eventually", "expect", "fresh"]

R = TypeVar("R")

NOW: Final = 2_000_000_000.0
"""In May 2033: ahead of every machine's clock, so that no sweep takes away what a law has stored."""

_PATIENCE: Final = 10.0
_PAUSE: Final = 0.02


def fresh(prefix: str) -> str:
    """Return an id that no law has used."""
    return f"{prefix}-{secrets.token_hex(8)}"


def expect(holds: bool, promise: str) -> None:
    """Raise ``AssertionError`` with *promise* where it does not hold; ``python -O`` changes nothing."""
    if not holds:
        raise AssertionError(f"The store breaks a promise: {promise}")


def at_once(call: Callable[[int], R], *, times: int = 16) -> Sequence[R]:
    """Call *call* with 0, 1, 2 … from as many threads, which begin together, and return the answers in that order."""
    barrier = threading.Barrier(times)

    def begin(number: int) -> R:
        barrier.wait(_PATIENCE)
        return call(number)

    with ThreadPoolExecutor(times) as threads:
        return list(threads.map(begin, range(times)))


def eventually(read: Callable[[], R], is_there: Callable[[R], bool], promise: str) -> R:
    """Repeat *read*, which may be some seconds behind, until *is_there*; return what it read."""
    deadline = time.monotonic() + _PATIENCE
    found = read()
    while not is_there(found):
        expect(time.monotonic() < deadline, promise)
        time.sleep(_PAUSE)
        found = read()
    return found
