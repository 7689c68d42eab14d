"""Passwords that everybody tries first, made by rule from a short list of words."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final
from unicodedata import normalize

__all__ = ["Blocklist", "bundled_blocklist", "folded"]

_SHORTEST_ENTRY: Final = 15
"""Code points; a shorter entry is refused by its length (NIST SP 800-63B-4, section 3.1.1.2)."""
_PAIRED: Final = 150
"""How many of the words are also joined in pairs; the list begins with the most popular kinds."""


def folded(text: str) -> str:
    """Return the form in which passwords and words are compared: NFC, case-folded."""
    return normalize("NFC", normalize("NFC", text).casefold())


@dataclass(frozen=True, slots=True)
class Blocklist:
    """Whole passwords that are refused, and the words that are looked for inside others; all folded.

    >>> "passwordpassword" in bundled_blocklist().passwords
    True
    """

    passwords: frozenset[str]
    words: frozenset[str]

    @classmethod
    def of(cls, words: Iterable[str], passwords: Iterable[str] = ()) -> "Blocklist":
        """Make a list of *passwords* and of what follows from *words*: each repeated, the first joined in pairs."""
        ordered = tuple(dict.fromkeys(map(folded, words)))
        made = (entry for entry in _combinations(ordered) if len(entry) >= _SHORTEST_ENTRY)
        return cls(frozenset((*map(folded, passwords), *made)), frozenset(ordered))

    def with_words(self, *words: str) -> "Blocklist":
        """Return a list that knows *words* too, such as the names of the organisation and its products."""
        return Blocklist(self.passwords, self.words | set(map(folded, words)))


def _combinations(words: tuple[str, ...]) -> Iterator[str]:
    for word in words:
        times = -(-_SHORTEST_ENTRY // len(word))
        yield word * times
        yield word * (times + 1)
    for first in words[:_PAIRED]:
        yield from (first + second for second in words[:_PAIRED])


@cache
def bundled_blocklist() -> Blocklist:
    """Return the list that comes with this package; read from its file at the first call."""
    text = resources.files(__package__).joinpath("weak_words.txt").read_text("utf-8")
    entries = [entry for line in text.splitlines() if not line.startswith("#") for entry in line.split()]
    words = (entry for entry in entries if not entry.startswith("="))
    return Blocklist.of(words, (entry.removeprefix("=") for entry in entries if entry.startswith("=")))
