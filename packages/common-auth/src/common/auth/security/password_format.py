"""The stored form of a password hash, which says by itself how to verify it.

``$ca1$p=<pepper id>,n=<normalisation>$2b$<cost>$<22 characters of salt><31 characters of digest>``

``p=-`` is the mark of a hash without pepper. Raw bcrypt hashes of other systems (``$2a$``, ``$2b$``, ``$2y$``) are read
too, so that they can be imported.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from common.auth.exceptions import HashUnsupported

__all__ = ["MAX_COST", "MIN_COST", "NO_PEPPER", "Normalisation", "StoredHash"]

MIN_COST: Final = 4
MAX_COST: Final = 15
"""A stored hash of a higher cost would take seconds of a core, so whoever can write one could stop the service."""
NO_PEPPER: Final = "-"

# The last character of a salt holds two bits: any but these four is a damaged hash.
_BCRYPT: Final = r"\$(?P<version>2[abxy]?)\$(?P<cost>[0-9]{2})\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}"
_OURS: Final = re.compile(
    r"\$ca1\$p=(?P<pepper>-|[A-Za-z0-9_][A-Za-z0-9_-]{0,15}),n=(?P<form>none|nfc|nfkc)(?P<bcrypt>" + _BCRYPT + ")"
)
_RAW: Final = re.compile(f"(?P<bcrypt>{_BCRYPT})")
_VERSIONS: Final = {"ours": frozenset({"2b"}), "raw": frozenset({"2a", "2b", "2y"})}


class Normalisation(StrEnum):
    """The Unicode form in which passwords are hashed (Unicode Standard Annex 15)."""

    NONE = "none"
    """As received (OWASP ASVS 5.0, 6.2.8): the same accented letter may be typed in two ways that do not match."""
    NFC = "nfc"
    """Composed: two ways to type one character match; different characters stay different."""
    NFKC = "nfkc"
    """Compatible: what looks alike matches too, such as ``①`` and ``1``."""

    def apply(self, text: str) -> str:
        """Return *text* in this form."""
        if self is Normalisation.NONE:
            return text
        return unicodedata.normalize("NFC" if self is Normalisation.NFC else "NFKC", text)


@dataclass(frozen=True, slots=True)
class StoredHash:
    """A stored password hash, taken apart. ``repr`` does not show the hash."""

    pepper: str | None
    """The pepper's id; ``None`` for a hash without."""
    normalisation: Normalisation
    cost: int
    """The binary logarithm of bcrypt's rounds."""
    bcrypt: "_Hidden"
    """The 60 characters of bcrypt's own form."""
    is_legacy: bool = False
    """A raw bcrypt hash, made elsewhere."""

    @classmethod
    def parse(cls, stored: str) -> "StoredHash":
        """Read *stored*.

        Raises:
            HashUnsupported: Another scheme, damaged, or of a cost outside 4 to 15; the message does not show it.
        """
        match = (_OURS.fullmatch(stored) or _RAW.fullmatch(stored)) if isinstance(stored, str) else None
        if match is None:
            raise HashUnsupported(
                "A stored password hash is of an unknown scheme, or damaged.", reason="malformed_hash"
            )
        ours = match.re is _OURS
        if match["version"] not in _VERSIONS["ours" if ours else "raw"]:
            # bcrypt gives "2x" the meaning of "2b", so it would refuse the right password.
            raise HashUnsupported("A stored password hash is of another bcrypt version.", reason="unsupported_version")
        cost = int(match["cost"])
        if not MIN_COST <= cost <= MAX_COST:
            raise HashUnsupported(
                f"A stored password hash has cost {cost}; 4 to 15 are verified.", reason="cost_out_of_range"
            )
        if not ours:
            return cls(None, Normalisation.NONE, cost, _Hidden(match["bcrypt"]), is_legacy=True)
        pepper = None if match["pepper"] == NO_PEPPER else match["pepper"]
        return cls(pepper, Normalisation(match["form"]), cost, _Hidden(match["bcrypt"]))

    def format(self) -> str:
        """Return the stored form, so that ``StoredHash.parse(text).format() == text``."""
        if self.is_legacy:
            return str(self.bcrypt)
        return f"$ca1$p={self.pepper or NO_PEPPER},n={self.normalisation.value}{self.bcrypt}"

    @classmethod
    def pepper_needed_by(cls, stored: str) -> str:
        """Return the pepper id that *stored* needs; ``-`` for none, also where it cannot be read."""
        match = _OURS.fullmatch(stored)
        return NO_PEPPER if match is None else match["pepper"]


class _Hidden(str):
    """Text that ``repr`` does not show: a hash is worth an attack without connection."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "***"
