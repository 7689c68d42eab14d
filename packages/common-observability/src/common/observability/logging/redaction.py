"""What must not reach a log, by the name of its field and by the look of its text.

Limits, told plainly: a secret under a harmless name, in a form that no pattern knows, is not found. Names are the
strong rule, patterns the net below it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["MASK", "Redaction"]

MASK = "[redacted]"

_SEPARATORS = re.compile(r"[^a-z0-9]+")
_ANYWHERE = (
    "password", "passwd", "passphrase", "secret", "credential", "authorization", "cookie", "apikey", "accesskey",
    "privatekey", "signingkey", "encryptionkey", "bearer", "cardnumber",
)  # fmt: skip
_AT_THE_END = ("token", "jwt", "pwd", "totp")
_WHOLE = frozenset({"auth", "otp", "pin", "cvv", "cvc", "ssn", "iban", "pan", "sid", "sessionid"})
_PATTERNS = (
    r"\beyJ[\w-]{4,}\.[\w-]{4,}(?:\.[\w-]*)?",  # JSON Web Token (RFC 7519), signed or not
    r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}",  # AWS access key id, long-lived or of a session
    r"(?i:\b(?:bearer|basic)\s+)[\w.~+/=-]{6,}",  # RFC 6750 and RFC 7617
    r"(?i:\b[\w.-]*(?:password|passwd|pwd|secret|token|api[_-]?key)[\"']?\s*[=:]\s*)(?:\"[^\"]*\"|'[^']*'|[^\s,;&)}\]]+)",
    r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)",  # user information of a URL (RFC 3986, section 3.2.1)
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
)
_SECRET_TEXT = re.compile("|".join(f"(?:{pattern})" for pattern in _PATTERNS))


_MOST_NAMES = 4096
_MOST_LINES = 1024
_MOST_FIELDS = 128
_LONGEST_NAME = 64


def _is_sensitive(name: str, more: frozenset[str]) -> bool:
    folded = _SEPARATORS.sub("", name.lower())
    return (
        folded in _WHOLE or folded in more or folded.endswith(_AT_THE_END) or any(word in folded for word in _ANYWHERE)
    )


@dataclass(frozen=True, slots=True)
class Redaction:
    """Which fields are masked, and where text is searched for secrets.

    >>> Redaction().hides("X-Api-Key"), Redaction().hides("token_count"), Redaction().hides("refreshToken")
    (True, False, True)
    >>> Redaction().mask("login failed: Bearer abcdef123456")
    'login failed: [redacted]'
    """

    names: frozenset[str] = field(default_factory=frozenset)
    """Further field names, compared without case and separators; they add to the built-in ones."""
    patterns_in_fields: bool = False
    """Search the text of every field, at some cost; the text of exceptions is always searched."""

    known: dict[str, bool] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Names decided before, so that a line is not slowed down by deciding again; bounded."""

    harmless: set[tuple[str, ...]] = field(default_factory=set, init=False, repr=False, compare=False)
    """The names of lines that were found harmless before, for the same reason; bounded in number and size."""

    def __post_init__(self) -> None:
        folded = frozenset(_SEPARATORS.sub("", name.lower()) for name in self.names)
        object.__setattr__(self, "names", folded)

    def hides(self, name: str) -> bool:
        """Return whether the value of a field called *name* is masked, whatever it holds."""
        if (decided := self.known.get(name)) is not None:
            return decided
        if len(self.known) >= _MOST_NAMES:
            self.known.clear()
        self.known[name] = hidden = _is_sensitive(name, self.names)
        return hidden

    def leaves(self, fields: Mapping[str, object]) -> bool:
        """Return whether the names of all *fields* are plain ones that hide nothing; asked once for lines that look alike.

        Lines of very many fields, or of very long names, are not looked at, since they would have to be remembered.
        """
        names = tuple(fields)
        if names in self.harmless:
            return True
        if len(names) > _MOST_FIELDS or not all(map(self._is_harmless, names)):
            return False
        if len(self.harmless) >= _MOST_LINES:
            self.harmless.clear()
        self.harmless.add(names)
        return True

    def _is_harmless(self, name: object) -> bool:
        return type(name) is str and len(name) <= _LONGEST_NAME and name.isascii() and not self.hides(name)

    def mask(self, text: str) -> str:
        """Return *text* with everything that looks like a secret replaced."""
        return _SECRET_TEXT.sub(MASK, text)
