"""The secret keys of the password pre-hash, by id, so that they can be exchanged."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Final, Protocol

from common.auth.exceptions import ConfigurationError, HashUnsupported
from common.auth.security.key_strength import require_strong_secret
from common.auth.security.password_format import StoredHash
from common.auth.security.secrets import SecretBytes
from common.auth.security.stores import StoredHashes

__all__ = ["PEPPER_ID", "PepperRing", "PepperSource"]

PEPPER_ID: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,15}")
_LEAST_BYTES: Final = 32


class PepperSource(Protocol):
    """Gives peppers by id, such as out of a secrets manager. :class:`PepperRing` is one."""

    @property
    def active_id(self) -> str:
        """The id of the pepper for new hashes."""
        ...

    def find(self, pepper_id: str) -> SecretBytes:
        """Return the pepper *pepper_id*, from memory. Raises ``HashUnsupported`` where there is none."""
        ...


class PepperRing:
    """Peppers by id, one of them active. Immutable; ``repr`` shows the ids alone.

    To exchange a pepper: :meth:`rotated` makes new hashes take the new one, and each login rehashes one user; once
    :meth:`hashes_by_pepper` counts none for the old id, :meth:`without` removes it.

    Args:
        peppers: At least 32 random bytes each; ids are 1 to 16 of ``[A-Za-z0-9_-]`` and do not begin with a hyphen.
        active: The id of the pepper for new hashes.

    Raises:
        WeakKey: A pepper is short, of low variety, or a placeholder.
        ConfigurationError: An id is malformed, or the active one is not among them.
    """

    def __init__(self, peppers: Mapping[str, bytes | SecretBytes], *, active: str) -> None:
        sealed = {
            name: value if isinstance(value, SecretBytes) else SecretBytes(value) for name, value in peppers.items()
        }
        del peppers
        for name, pepper in sealed.items():
            if not PEPPER_ID.fullmatch(name):
                raise ConfigurationError(f"A pepper id must match {PEPPER_ID.pattern}.", reason="malformed_pepper_id")
            require_strong_secret(pepper, at_least=_LEAST_BYTES, what=f"Pepper {name!r}")
        if active not in sealed:
            raise ConfigurationError(
                f"The active pepper {active!r} is not among {', '.join(sealed) or 'none'}.", reason="no_active_pepper"
            )
        self._peppers: Mapping[str, SecretBytes] = sealed
        self._active_id = active

    @property
    def active_id(self) -> str:
        """The id of the pepper for new hashes."""
        return self._active_id

    @property
    def ids(self) -> tuple[str, ...]:
        """All ids, in the order in which the peppers were given."""
        return tuple(self._peppers)

    def find(self, pepper_id: str) -> SecretBytes:
        """Return the pepper *pepper_id*.

        Raises:
            HashUnsupported: There is none; whoever removed it made the hashes that need it useless.
        """
        found = self._peppers.get(pepper_id)
        if found is None:
            raise HashUnsupported(
                "A stored password hash needs a pepper that is not in the ring.", reason="unknown_pepper"
            )
        return found

    def rotated(self, pepper_id: str, pepper: bytes | SecretBytes) -> "PepperRing":
        """Return a ring with one more pepper, which new hashes take.

        Raises:
            ConfigurationError: The id is taken.
            WeakKey: The pepper is weak.
        """
        sealed = pepper if isinstance(pepper, SecretBytes) else SecretBytes(pepper)
        del pepper
        if pepper_id in self._peppers:
            raise ConfigurationError(
                f"Pepper id {pepper_id!r} is taken. Choose a new one.", reason="duplicate_pepper_id"
            )
        return PepperRing({**self._peppers, pepper_id: sealed}, active=pepper_id)

    def without(self, pepper_id: str, credentials: StoredHashes) -> "PepperRing":
        """Return a ring that lacks *pepper_id*, once no stored hash needs it.

        Args:
            pepper_id: Not the active one.
            credentials: Scanned for hashes that still need it.

        Raises:
            ConfigurationError: It is the active one, or hashes still need it; ``details["still_needed"]`` counts them.
        """
        if pepper_id == self._active_id:
            raise ConfigurationError("The active pepper cannot be removed. Rotate first.", reason="pepper_active")
        still_needed = self.hashes_by_pepper(credentials)[pepper_id]
        if still_needed:
            raise ConfigurationError(
                f"{still_needed} stored hashes still need pepper {pepper_id!r}. Wait for logins, or reset these passwords.",
                reason="pepper_needed",
                details={"still_needed": still_needed},
            )
        kept = {name: pepper for name, pepper in self._peppers.items() if name != pepper_id}
        return PepperRing(kept, active=self._active_id)

    @staticmethod
    def hashes_by_pepper(credentials: StoredHashes) -> Counter[str]:
        """Count the stored hashes by the pepper id they need; ``-`` counts those without one, legacy ones included."""
        return Counter(StoredHash.pepper_needed_by(stored) for stored in credentials.stored_hashes())

    def __repr__(self) -> str:
        return f"PepperRing({', '.join(self._peppers)}; active={self._active_id})"
