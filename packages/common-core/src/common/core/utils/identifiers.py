"""Identifiers that sort by the time they were made: ULID (github.com/ulid/spec) and UUIDv7 (RFC 9562, section 5.7).

Both are 128 bits that begin with 48 bits of milliseconds since 1970, so a UUIDv7 has a ULID text that sorts among the
others (:func:`to_ulid`). Neither is a secret: within one millisecond the next identifier is the last one plus one.
"""

import os
import re
import threading
import uuid
import weakref
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Final

from common.core.utils.clock import SYSTEM, Clock, epoch_milliseconds, moment_of

ULID_PATTERN: Final = re.compile("[0-7][0-9A-HJKMNP-TV-Z]{25}")
"""Canonical text of a ULID: 26 characters of Crockford's base 32, upper case."""
UUID7_PATTERN: Final = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
"""Canonical text of a UUIDv7: 36 characters, lower case."""

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
_TO_BASE_32 = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")
_TIME_BITS = 48
_TAIL_BITS = 128 - _TIME_BITS
_PAIR_SHIFTS = tuple(range(120, -1, -10))
_ULID_LENGTH = 26


class _MonotonicSequence:
    """Pairs of (millisecond, random tail) that only grow, from any thread and across a fork."""

    def __init__(self, tail_bits: int, clock: Clock, random: Callable[[int], bytes]) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._random = random
        self._last_tail = (1 << tail_bits) - 1
        self._last_millisecond = -1
        self._tail_bits = tail_bits
        _sequences.add(self)
        _watch_for_forks()

    def next(self) -> tuple[int, int]:
        with self._lock:
            now = max(epoch_milliseconds(self._clock.now()), self._last_millisecond)
            if now == self._last_millisecond and self._last_tail + 1 < 1 << self._tail_bits:
                self._last_tail += 1
            else:
                self._begin_millisecond(now)
            return self._last_millisecond, self._last_tail

    def _begin_millisecond(self, now: int) -> None:
        # When the tails of a millisecond are used up, the next millisecond is borrowed: order before accuracy.
        self._last_millisecond = max(now, self._last_millisecond + 1)
        drawn = int.from_bytes(self._random((self._tail_bits + 7) // 8), "big")
        # The top bit stays clear, so that 2**(bits - 1) increments fit at the least (RFC 9562, section 6.2).
        self._last_tail = drawn & ((1 << (self._tail_bits - 1)) - 1)

    def part_from_parent(self) -> None:
        """Draw anew in a forked child: both processes would go on counting from the same tail."""
        self._lock = threading.Lock()
        self._last_tail = (1 << self._tail_bits) - 1


_sequences: "weakref.WeakSet[_MonotonicSequence]" = weakref.WeakSet()


@cache
def _watch_for_forks() -> None:
    # Once per process, since nothing can be unregistered; and not at import, which has no side effects.
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_part_all_from_parent)


def _part_all_from_parent() -> None:
    for sequence in tuple(_sequences):
        sequence.part_from_parent()


class UlidGenerator:
    """Makes ULIDs that sort in the order they were made, in this process; call it.

    Safe to share between threads and across ``fork``. A clock set back does not break the order: the generator stays
    at the latest millisecond it has seen. Make one per service and pass it on.

    >>> new_id = UlidGenerator()
    >>> first, second = new_id(), new_id()
    >>> first < second, len(first)
    (True, 26)
    """

    def __init__(self, *, clock: Clock = SYSTEM, random: Callable[[int], bytes] = os.urandom) -> None:
        """Take *clock* for the time and *random* (number of bytes to bytes) for the rest."""
        self._sequence = _MonotonicSequence(_TAIL_BITS, clock, random)

    def __call__(self) -> str:
        """Return the next ULID, 26 characters."""
        millisecond, tail = self._sequence.next()
        return _ulid_text(millisecond << _TAIL_BITS | tail)


class Uuid7Generator:
    """Makes UUIDv7 texts that sort in the order they were made, in this process; call it.

    Same as :class:`UlidGenerator`, for those who store or expect UUIDs: 36 characters, lower case.
    """

    def __init__(self, *, clock: Clock = SYSTEM, random: Callable[[int], bytes] = os.urandom) -> None:
        """Take *clock* for the time and *random* (number of bytes to bytes) for the rest."""
        self._sequence = _MonotonicSequence(74, clock, random)

    def __call__(self) -> str:
        """Return the next UUIDv7, 36 characters."""
        millisecond, tail = self._sequence.next()
        high, low = tail >> 62, tail & ((1 << 62) - 1)
        return str(uuid.UUID(int=millisecond << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low))


def is_identifier(text: str) -> bool:
    """Tell whether *text* is the canonical text of a ULID or a UUIDv7, of a time up to the year 9999.

    No other case and no other spelling counts, so that one identifier has one text.
    """
    if len(text) == _ULID_LENGTH:
        return text <= _LAST_ULID and ULID_PATTERN.fullmatch(text) is not None
    return text <= _LAST_UUID7 and UUID7_PATTERN.fullmatch(text) is not None


def identifier_time(text: str) -> datetime:
    """Return when the ULID or UUIDv7 *text* says it was made: UTC, to the millisecond. Whoever made it chose it.

    Raises:
        ValueError: *text* is neither (see :func:`is_identifier`).
    """
    return moment_of(_number(text) >> _TAIL_BITS)


def to_ulid(text: str) -> str:
    """Return the ULID text of the same 128 bits; a ULID comes back as it is.

    Texts of the two kinds do not sort by time among each other. Keys that shall sort take this form.

    Raises:
        ValueError: *text* is neither a ULID nor a UUIDv7.

    >>> to_ulid("0190163d-8694-739b-aea5-966c26f8ad91")
    '01J0B3V1MMEEDTX9CPDGKFHBCH'
    """
    number = _number(text)
    return text if len(text) == _ULID_LENGTH else _ulid_text(number)


def first_ulid(moment: datetime) -> str:
    """Return the lowest ULID of *moment*'s millisecond: the inclusive start of a range of keys."""
    return _ulid_text(epoch_milliseconds(moment) << _TAIL_BITS)


def last_ulid(moment: datetime) -> str:
    """Return the highest ULID of *moment*'s millisecond: the inclusive end of a range of keys."""
    return _ulid_text(((epoch_milliseconds(moment) + 1) << _TAIL_BITS) - 1)


def _number(text: str) -> int:
    if not is_identifier(text):
        raise ValueError(
            "The identifier is neither a ULID (26 upper-case characters) nor a UUIDv7 (36 lower-case ones)."
        )
    if len(text) == _ULID_LENGTH:
        return int(text.translate(_TO_BASE_32), 32)
    return int(text.replace("-", ""), 16)


def _ulid_text(number: int) -> str:
    return "".join([_PAIRS[number >> shift & 0x3FF] for shift in _PAIR_SHIFTS])


_LAST_ULID: Final = last_ulid(datetime.max.replace(tzinfo=UTC))
_LAST_UUID7: Final = str(uuid.UUID(int=((epoch_milliseconds(datetime.max.replace(tzinfo=UTC)) + 1) << _TAIL_BITS) - 1))
