"""Finds what a password is made of: listed words, names from its context, runs, walks over the keyboard, years."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import Final

__all__ = ["Kind", "Piece", "Reading", "read_pieces", "repeats_a_unit"]

_SHORTEST_RUN: Final = 3
_LONGEST_UNIT: Final = 9
_SEPARATORS: Final = frozenset(" -_.,:;/+*#!?&@'\"()")
_YEARS_AND_COUNTERS: Final = re.compile(r"(?<!\d)(?:\d{1,4}|(?:19|20)\d{6}|\d{4}(?:19|20)\d\d)(?!\d)")

# The spellings that people think of first; "1" stands for two letters, hence two tables.
_LEET: Final = (
    str.maketrans("@4310$57+8", "aaeiosstbb"),
    str.maketrans("@43!10$57", "aaeiiosst"),
    str.maketrans("1!", "ll"),
)

_ROWS: Final = (
    ("1234567890-=", "qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./"),
    ("1234567890ß´", "qwertzuiopü+", "asdfghjklöä#", "yxcvbnm,.-"),
    ("&é\"'(-è_çà)=", "azertyuiop^$", "qsdfghjklmù*", "wxcvbn,;:!"),
)


class Kind(StrEnum):
    """What a piece of a password is; also the code of the refusal."""

    CONTEXT_WORD = "context_word"
    LISTED_WORD = "listed_word"
    SEQUENCE = "sequence"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Piece:
    """A predictable part of a password, by where it ends."""

    end: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Reading:
    """The way to read a password that leaves least unexplained, and of these the one with fewest pieces."""

    unexplained: int
    """Characters that belong to no piece; a separator counts only behind another."""
    pieces: tuple[tuple[str, Kind], ...] = ()

    @property
    def different_pieces(self) -> int:
        """How many pieces remain when repeated ones count once."""
        return len(set(self.pieces))

    @property
    def rank(self) -> tuple[int, int]:
        """What readings are compared by; less is better."""
        return (self.unexplained, len(self.pieces))


def _keyboard() -> Mapping[str, tuple[tuple[int, int, int], ...]]:
    """Return where each character lies: layout, row and column; columns run along the slanted keys, as in 1-q-a-z."""
    places: dict[str, tuple[tuple[int, int, int], ...]] = {}
    for layout, rows in enumerate(_ROWS):
        for row, keys in enumerate(rows):
            for column, key in enumerate(keys):
                places[key] = (*places.get(key, ()), (layout, row, column))
    return places


_PLACES: Final = _keyboard()


def read_pieces(text: str, *, words: Collection[str], context: Collection[str]) -> Reading:
    """Read *text* (folded) as pieces.

    Args:
        text: At most 256 characters; the work grows with its length times the longest word.
        words: Listed words, folded.
        context: Words from the password's context, folded.
    """
    spellings = (text, *(text.translate(table) for table in _LEET))
    longest = max(map(len, (*words, *context)), default=0)
    best: list[Reading] = [Reading(0)]
    best.extend(Reading(len(text) + 1) for _ in text)
    for start, _ in enumerate(text):
        here = best[start]
        skipped = Reading(here.unexplained + (not _is_lone_separator(text, start)), here.pieces)
        _improve(best, start + 1, skipped)
        for piece in _pieces_at(text, start, spellings, longest, words, context):
            spelt = text[start : piece.end]
            _improve(best, piece.end, Reading(here.unexplained, (*here.pieces, (spelt, piece.kind))))
    return best[-1]


def _is_lone_separator(text: str, at: int) -> bool:
    return text[at] in _SEPARATORS and text[at - 1 : at] not in _SEPARATORS


def _improve(best: list[Reading], position: int, reading: Reading) -> None:
    if reading.rank < best[position].rank:
        best[position] = reading


def _pieces_at(
    text: str, start: int, spellings: Collection[str], longest: int, words: Collection[str], context: Collection[str]
) -> Iterator[Piece]:
    for end in range(start + 2, min(start + longest, len(text)) + 1):
        candidates = [spelling[start:end] for spelling in spellings]
        if any(candidate in context for candidate in candidates):
            yield Piece(end, Kind.CONTEXT_WORD)
        elif any(candidate in words for candidate in candidates):
            yield Piece(end, Kind.LISTED_WORD)
    run = max(_sequence_end(text, start), _walk_end(text, start))
    if run - start >= _SHORTEST_RUN:
        yield Piece(run, Kind.SEQUENCE)
    number = _YEARS_AND_COUNTERS.match(text, start)
    if number is not None:
        yield Piece(number.end(), Kind.NUMBER)


def _sequence_end(text: str, start: int) -> int:
    """Return where the run of equal steps by -1, 0 or 1 code point that begins at *start* ends: aaa, abc, 321."""
    step = ord(text[start + 1]) - ord(text[start]) if start + 1 < len(text) else None
    if step not in (-1, 0, 1):
        return start + 1
    end = start + 2
    while end < len(text) and ord(text[end]) - ord(text[end - 1]) == step:
        end += 1
    return end


def _walk_end(text: str, start: int) -> int:
    """Return where the straight walk over neighbouring keys that begins at *start* ends: qwe, 1qaz, lkj."""
    pairs = product(_PLACES.get(text[start], ()), _PLACES.get(text[start + 1 : start + 2], ()))
    return max((_walk_along(text, start, first, second) for first, second in pairs), default=start + 1)


def _walk_along(text: str, start: int, first: tuple[int, int, int], second: tuple[int, int, int]) -> int:
    layout, row, column = second
    step = (row - first[1], column - first[2])
    if first[0] != layout or max(map(abs, step)) != 1:
        return start + 1
    end = start + 2
    while end < len(text) and (layout, row + step[0], column + step[1]) in _PLACES.get(text[end], ()):
        row, column = row + step[0], column + step[1]
        end += 1
    return end


def repeats_a_unit(text: str) -> bool:
    """Return whether *text* is one unit of at most nine characters over and over, the last one perhaps cut short."""
    return any(text[unit:] == text[:-unit] for unit in range(1, min(_LONGEST_UNIT, len(text) // 2) + 1))
