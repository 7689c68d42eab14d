"""Lists settings that work and are weaker than they could be."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Finding", "Inspectable", "doctor"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One weak setting."""

    part: str
    """What it is a setting of, such as ``passwords``."""
    code: str
    """Stable and machine-readable."""
    message: str
    """What follows from it, and what to set instead."""

    def __str__(self) -> str:
        return f"{self.part}: {self.code}: {self.message}"


class Inspectable(Protocol):
    """Whatever can tell about its own settings."""

    def weaknesses(self) -> Iterable[Finding]:
        """Return the weak settings; none where all is well."""
        ...


def doctor(*parts: Inspectable) -> tuple[Finding, ...]:
    """Return what is weak about *parts*, such as a password manager, a key ring or a token manager.

    >>> from common.auth.security.keys import KeyRing, SigningKey
    >>> doctor(KeyRing([SigningKey.generate()], issuer="https://id.example"))
    ()
    """
    return tuple(finding for part in parts for finding in part.weaknesses())
