"""The state that authentication keeps, each kind behind a protocol of its own."""

from collections.abc import Iterable
from typing import Protocol

__all__ = ["CredentialStore"]


class CredentialStore(Protocol):
    """Where the password hashes of the users are."""

    def stored_hashes(self) -> Iterable[str]:
        """Return every stored password hash, in any order; a scan, for operators' questions."""
        ...
