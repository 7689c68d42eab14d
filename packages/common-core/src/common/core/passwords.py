"""The protocol of password hashing, so that a data layer can store hashes without knowing who makes them."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """Whether a password matched, and whether its stored hash should be written anew."""

    ok: bool
    needs_rehash: bool = False
    reason: str = ""
    """A stable code for the audit trail, such as ``wrong_password`` or ``unknown_user``; never shown to a client."""


class PasswordHasher(Protocol):
    """Makes and verifies password hashes. Both methods are slow on purpose and safe to call from any thread."""

    def hash(self, password: str, /) -> str:
        """Return the string to store for *password*."""
        ...

    def verify(self, password: str, stored: str | None, /) -> VerifyResult:
        """Check *password* against *stored*; ``None`` (no such user) costs the same work and is never ok."""
        ...
