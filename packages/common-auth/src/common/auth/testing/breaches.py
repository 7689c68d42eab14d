"""A breach checker for tests."""

from common.auth.security.breaches import PasswordHashes

__all__ = ["KnownBreaches"]


class KnownBreaches:
    """Knows the passwords that it is given, as hashes.

    >>> KnownBreaches("hunter2").occurrences(PasswordHashes.of("hunter2"))
    1
    """

    def __init__(self, *passwords: str, name: str = "known-breaches") -> None:
        self.name = name
        self._known = frozenset(PasswordHashes.of(password).sha1 for password in passwords)

    def occurrences(self, hashes: PasswordHashes, /) -> int:
        """See :class:`~common.auth.security.breaches.BreachChecker`."""
        return int(hashes.sha1 in self._known)
