"""What a new password must be: long, and not what everybody tries first. There are no composition rules.

Sources: NIST SP 800-63B-4, section 3.1.1.2 (15 characters, 8 with a second factor; no composition rules, no expiry);
OWASP ASVS 5.0, 6.1.2, 6.2.4, 6.2.9 and 6.2.11.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final
from unicodedata import normalize

from common.auth.exceptions import ConfigurationError, PolicyViolation
from common.auth.security.blocklist import Blocklist, bundled_blocklist, folded
from common.auth.security.predictability import read_pieces, repeats_a_unit

__all__ = ["MAX_BYTES", "MAX_CHARACTERS", "PasswordPolicy", "PolicyReport"]

MAX_CHARACTERS: Final = 256
"""Code points of the longest password that is hashed."""
MAX_BYTES: Final = 1024
"""Bytes of the longest password that is hashed, where it is given as bytes."""

_MIN_LENGTH: Final = 15
_MIN_LENGTH_WITH_MFA: Final = 8
_ALLOWED_AT_LEAST: Final = 64  # OWASP ASVS 5.0, 6.2.9
_STRAY_CHARACTERS: Final = 2
"""How many characters beside predictable pieces do not yet make a password."""
_FEW_PIECES: Final = 4
"""How many different predictable pieces do not yet make a passphrase."""
_SHORTEST_CONTEXT_WORD: Final = 3


@dataclass(frozen=True, slots=True)
class PolicyReport:
    """What a password breaks; nothing of the password itself."""

    codes: tuple[str, ...] = ()
    """``too_short``, ``too_long``, ``not_text``, ``not_unicode``, ``listed_password``, ``repetition``, or what a password
    consists of: ``context_word``, ``listed_word``, ``sequence``, ``number``. Where a manager asks for more,
    ``guessable`` and ``breached``."""

    @property
    def ok(self) -> bool:
        """Whether the password breaks nothing."""
        return not self.codes

    def require(self) -> None:
        """Do nothing where all is well.

        Raises:
            PolicyViolation: With :attr:`codes`.
        """
        if self.codes:
            raise PolicyViolation(self.codes)


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordPolicy:
    """The limits; all lengths are in Unicode code points of the NFC form.

    Raises:
        ConfigurationError: A limit is laxer than its source allows.

    >>> PasswordPolicy().report("violet-tractor-mumbles-sonnet").ok
    True
    >>> PasswordPolicy().report("passwordpassword1").codes
    ('listed_word', 'number')
    """

    min_length: int = _MIN_LENGTH
    """For a password alone; at least 15."""
    min_length_with_mfa: int = _MIN_LENGTH_WITH_MFA
    """For a password beside a second factor; at least 8."""
    max_length: int = MAX_CHARACTERS
    """64 to 256."""
    context: tuple[str, ...] = ()
    """Words that attackers of this service try: its name, the organisation, its products."""
    blocklist: Blocklist | None = field(default=None, repr=False)
    """``None``: the one that comes with the package."""

    def __post_init__(self) -> None:
        if self.min_length < _MIN_LENGTH or self.min_length_with_mfa < _MIN_LENGTH_WITH_MFA:
            raise ConfigurationError("Passwords need 15 characters, or 8 beside a second factor.", reason="weak_policy")
        if not _ALLOWED_AT_LEAST <= self.max_length <= MAX_CHARACTERS:
            raise ConfigurationError("The longest password must have 64 to 256 characters.", reason="weak_policy")
        if self.min_length > self.max_length:
            raise ConfigurationError("min_length is above max_length.", reason="weak_policy")

    def report(self, password: str, *, context: Iterable[str] = (), mfa: bool = False) -> PolicyReport:
        """Judge *password*, in time that its length does not blow up.

        Args:
            password: As the user typed it.
            context: What attackers know of this user: user name, e-mail address, real name.
            mfa: Whether a second factor stands beside it.
        """
        if not isinstance(password, str):
            return PolicyReport(("not_text",))
        if len(password) > self.max_length:
            return PolicyReport(("too_long",))
        if any("\ud800" <= character <= "\udfff" for character in password):
            return PolicyReport(("not_unicode",))
        text = folded(password)
        short = len(normalize("NFC", password)) < (self.min_length_with_mfa if mfa else self.min_length)
        codes = (*(("too_short",) if short else ()), *self._predictable(text, tuple(context)))
        return PolicyReport(tuple(dict.fromkeys(codes)))

    def _predictable(self, text: str, context: Sequence[str]) -> Iterator[str]:
        blocklist = self.blocklist or bundled_blocklist()
        if text in blocklist.passwords:
            yield "listed_password"
        elif repeats_a_unit(text):
            yield "repetition"
        else:
            known = frozenset(_context_words((*self.context, *context)))
            reading = read_pieces(text, words=blocklist.words, context=known)
            if reading.unexplained <= _STRAY_CHARACTERS and reading.different_pieces <= _FEW_PIECES:
                yield from sorted({kind.value for _, kind in reading.pieces})


def _context_words(context: Iterable[str]) -> Iterator[str]:
    """Yield each word whole and in parts: of an e-mail address the local part, of a name its words."""
    for text in map(folded, context):
        for word in (text, text.partition("@")[0], *re.split(r"[\W_]+", text)):
            if len(word) >= _SHORTEST_CONTEXT_WORD:
                yield word
