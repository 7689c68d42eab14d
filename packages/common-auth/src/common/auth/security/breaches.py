"""Whether a new password is known from a breach: asks all checkers, each by itself (OWASP ASVS 5.0, 6.2.12).

A checker never sees the password, only its hashes in the two forms in which such lists are published.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, Self

from common.auth.exceptions import AuthError, AuthUnavailable, ConfigurationError
from common.auth.security.audit_logger import AuditEmitter
from common.auth.security.md4 import md4
from common.core.audit import AuditOutcome

if TYPE_CHECKING:
    from common.core import Plugins

__all__ = ["BreachChecker", "BreachChecks", "BreachHash", "OnBreachFailure", "PasswordHashes", "breach_checks"]

_log = logging.getLogger("common.auth.breaches")


class BreachHash(StrEnum):
    """The form in which a list has its passwords."""

    SHA1 = "sha1"
    """SHA-1 of the password in UTF-8: 40 hexadecimal digits."""
    NTLM = "ntlm"
    """MD4 of the password in UTF-16, little-endian: 32 hexadecimal digits."""

    @property
    def digits(self) -> int:
        """How many hexadecimal digits a hash has."""
        return 40 if self is BreachHash.SHA1 else 32


@dataclass(frozen=True, slots=True)
class PasswordHashes:
    """What a checker is told about a password. Both are unsalted, so that they are worth a secret's care.

    >>> PasswordHashes.of("password").sha1
    '5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8'
    >>> PasswordHashes.of("password")
    PasswordHashes(***)
    """

    sha1: str = field(repr=False)
    """40 hexadecimal digits in upper case."""
    ntlm: str = field(repr=False)
    """32 hexadecimal digits in upper case."""

    @classmethod
    def of(cls, password: str) -> Self:
        """Hash *password* as it was typed, without any normalisation."""
        sha1 = hashlib.sha1(password.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
        return cls(sha1.upper(), md4(password.encode("utf-16-le", "surrogatepass")).hex().upper())

    def by(self, kind: BreachHash) -> str:
        """Return the hash of that form."""
        return self.sha1 if kind is BreachHash.SHA1 else self.ntlm

    def __repr__(self) -> str:
        return "PasswordHashes(***)"


class BreachChecker(Protocol):
    """Knows breached passwords. Given by the hook ``common_breach_checker``."""

    @property
    def name(self) -> str:
        """Unique in the service; for logs and the trail."""
        ...

    def occurrences(self, hashes: PasswordHashes, /) -> int:
        """Return how often the password occurs in the breaches that it knows; 0 where it does not.

        May block, for a few seconds at most, and may be called from several threads. Whatever it raises means that it
        does not know.
        """
        ...


class OnBreachFailure(StrEnum):
    """What happens where no checker knows the password, and one of them did not answer."""

    OPEN = "open"
    """The password is taken; the trail has the failure."""
    CLOSED = "closed"
    """``AuthUnavailable``: the password is not set now."""


class BreachChecks:
    """All checkers of a service. Each is asked within its own ``try``: one that fails hides no other's finding.

    Args:
        checkers: Who knows breached passwords.
        on_failure: What happens where one does not answer and none of the others knows the password.
        audit: Gets ``authn_breach_check_fail`` for each checker that fails.

    Raises:
        ConfigurationError: Two checkers have one name, or an option is none of its kind.

    >>> from common.auth.testing.breaches import KnownBreaches
    >>> checks = BreachChecks([KnownBreaches("correct horse battery staple")])
    >>> checks.is_breached("correct horse battery staple"), checks.is_breached("violet-tractor-mumbles-sonnet")
    (True, False)
    """

    def __init__(
        self,
        checkers: Sequence[BreachChecker],
        *,
        on_failure: OnBreachFailure = OnBreachFailure.OPEN,
        audit: AuditEmitter | None = None,
    ) -> None:
        names = [checker.name for checker in checkers]
        if len(set(names)) != len(names):
            raise ConfigurationError("Two breach checkers have one name. Rename one.", reason="checker_named_twice")
        if on_failure not in tuple(OnBreachFailure):
            raise ConfigurationError(f"on_failure is one of {', '.join(OnBreachFailure)}.", reason="bad_option")
        self._checkers = tuple(zip(names, checkers, strict=True))
        self._on_failure = OnBreachFailure(on_failure)
        self._audit = audit

    def is_breached(self, password: str) -> bool:
        """Return whether a checker knows *password*. Asks one after the other, and may block for as long as they do.

        Raises:
            AuthUnavailable: No checker knows it, one did not answer, and that is not permitted.
        """
        hashes = PasswordHashes.of(password)
        failed = []
        for name, checker in self._checkers:
            try:
                if checker.occurrences(hashes) > 0:
                    return True
            except Exception as error:  # noqa: BLE001 - a checker of somebody else's may raise anything
                failed.append(name)
                self._tell(name, error)
        if failed and self._on_failure is OnBreachFailure.CLOSED:
            raise AuthUnavailable("A breach checker did not answer.", reason="breach_check_failed")
        return False

    def __repr__(self) -> str:
        return f"BreachChecks({[name for name, _ in self._checkers]}, on_failure={self._on_failure.value!r})"

    def _tell(self, name: str, error: Exception) -> None:
        cause = (error.reason if isinstance(error, AuthError) else "") or type(error).__name__
        _log.warning("Breach checker %r did not answer: %s.", name, cause)
        if self._audit is not None:
            self._audit.emit(
                "authn_breach_check_fail",
                outcome=AuditOutcome.UNKNOWN,
                reason="breach_check_failed",
                checker=name,
                cause=cause,
            )


def breach_checks(
    plugins: "Plugins",
    *,
    on_failure: OnBreachFailure = OnBreachFailure.OPEN,
    audit: AuditEmitter | None = None,
) -> BreachChecks:
    """Return the checkers that the hook ``common_breach_checker`` gave, for ``PasswordManager.judging(breaches=…)``.

    Args:
        plugins: Loaded, with the hooks of common-auth known.
        on_failure: Same as of :class:`BreachChecks`.
        audit: Same as of :class:`BreachChecks`.
    """
    given = [contribution.value for contribution in plugins.contributions("common_breach_checker")]
    return BreachChecks(given, on_failure=on_failure, audit=audit)
