"""The order of text keys, which is that of their code points: neighbours of a text, and ranges that leave one out.

DynamoDB takes one condition on a sort key, and ``BETWEEN`` includes both ends, so "above x and up to y" is written as
"from the text just above x up to y".
"""

import sys
from collections.abc import Sequence
from typing import Final

from common.dynamo.keys import SORT_LIMIT, successor
from common.dynamo.requests import SortCondition

__all__ = ["ends_of", "from_to", "hull", "just_above", "just_below", "narrowed"]

_GREATEST: Final = ((4, "\U0010ffff"), (3, "\uffff"), (2, "\u07ff"), (1, "\x7f"))
"""The greatest character of each length in UTF-8."""
_SURROGATES: Final = range(0xD800, 0xE000)


def just_above(text: str, limit: int = SORT_LIMIT) -> str | None:
    """Return the least text of up to *limit* bytes above *text*, which has no more; ``None`` where there is none."""
    if len(text.encode()) < limit:
        return text + "\0"
    for end in range(len(text) - 1, -1, -1):
        following = _after(text[end])
        if following is not None and len((text[:end] + following).encode()) <= limit:
            return text[:end] + following
    return None


def _after(character: str) -> str | None:
    code = ord(character) + 1
    return None if code > sys.maxunicode else chr(_SURROGATES.stop if code in _SURROGATES else code)


def just_below(text: str, limit: int = SORT_LIMIT) -> str | None:
    """Return the greatest text of up to *limit* bytes below *text*; ``None`` below the empty text and U+0000.

    >>> just_below("E#2", limit=5) == "E#1" + chr(0x7ff)
    True
    """
    if not text:
        return None
    head, last = text[:-1], ord(text[-1]) - 1
    if last < 0:
        return head or None
    below = head + chr(_SURROGATES.start - 1 if last in _SURROGATES else last)
    room = limit - len(below.encode())
    for length, character in _GREATEST:
        below += character * (room // length)
        room %= length
    return below


def ends_of(sort: SortCondition | None) -> tuple[str, str | None]:
    """Return the least and the greatest text that *sort* lets through, both included; ``None`` for no upper end."""
    if sort is None:
        return "", None
    text = str(sort.value["S"])
    if sort.op == "between":
        return text, str((sort.upper or {})["S"])
    if sort.op == "<=":
        return "", text
    if sort.op == "begins_with":
        return text, successor(text)
    return text, text if sort.op == "=" else None


def narrowed(sort: SortCondition | None, low: str, high: str | None) -> SortCondition | None:
    """Return *sort* with these ends besides, both included; ``None`` where nothing is left in between.

    Args:
        sort: A condition on a text key.
        low: The empty text for no lower end, where there is an upper one.
        high: ``None`` for no upper end.
    """
    least, greatest = ends_of(sort)
    least = max(least, low)
    if high is not None:
        greatest = high if greatest is None else min(greatest, high)
    return None if greatest is not None and least > greatest else from_to(least, greatest)


def hull(sorts: Sequence[SortCondition | None]) -> SortCondition | None:
    """Return the narrowest condition that lets through whatever one of *sorts* does; ``None`` for everything.

    >>> orders, lines = (SortCondition("begins_with", {"S": text}) for text in ("ORDER#7", "LINE#7#"))
    >>> hull([orders, lines])
    SortCondition(op='between', value={'S': 'LINE#7#'}, upper={'S': 'ORDER#8'})
    """
    if all(sort == sorts[0] for sort in sorts):
        return sorts[0]
    ends = [ends_of(sort) for sort in sorts]
    least = min(low for low, _ in ends)
    greatest = None if any(high is None for _, high in ends) else max(high or "" for _, high in ends)
    return from_to(least, greatest) if least or greatest is not None else None


def from_to(low: str, high: str | None) -> SortCondition:
    """Return the condition of texts from *low* to *high*, both included; at least one end is given.

    Args:
        low: The empty text for no lower end: a key is never empty, and DynamoDB refuses the empty text as a bound.
        high: ``None`` for no upper end.
    """
    if high is None:
        return SortCondition(">=", {"S": low})
    return SortCondition("between", {"S": low}, {"S": high}) if low else SortCondition("<=", {"S": high})
