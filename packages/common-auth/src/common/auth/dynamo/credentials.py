"""Credentials of the ledger's users: the password hashes that ``UserDAO`` keeps beside their profiles."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from common.auth.dynamo.table_calls import outages
from common.auth.exceptions import ConfigurationError
from common.auth.security.stores import Credential
from common.dynamo.dao import StoredPassword, UserDAO
from common.exceptions import InvalidInput

__all__ = ["LedgerCredentialStore"]

T = TypeVar("T")


class LedgerCredentialStore:
    """A :class:`~common.auth.security.stores.CredentialStore` over :class:`common.dynamo.dao.UserDAO`.

    Users log in by their names, in whatever case they type them, and the name is the user id: it is never given out
    again. A user who has left is disabled. Roles are for the service to know.

    Args:
        users: The service's users. The hasher that it may have is not used here.
        deadline: Seconds for all attempts of a call together; ``None`` for the database's own.

    Raises:
        ConfigurationError: *users* is no ``UserDAO``.
    """

    def __init__(self, users: UserDAO, *, deadline: float | None = None) -> None:
        if not isinstance(users, UserDAO):
            raise ConfigurationError(f"users must be a UserDAO of common.dynamo.dao, not {type(users).__name__}.")
        self._users = users
        self._deadline = deadline

    def find(self, identifier: str) -> Credential | None:
        """Same as the protocol's: 1 read unit, 1 round trip; 0 for what can be nobody's name."""
        stored = _unless_no_name(lambda: self._users.stored_password(identifier, deadline=self._deadline), None)
        return None if stored is None else _credential(stored)

    def of_user(self, user_id: str) -> Credential | None:
        """Same as :meth:`find`, for the name as tokens carry it."""
        found = self.find(user_id)
        return found if found is not None and found.user_id == user_id else None

    def replace_hash(self, user_id: str, *, expected: str, new: str) -> bool:
        """Same as the protocol's; one conditional update: 1 write unit, 1 round trip."""
        return _unless_no_name(
            lambda: self._users.rehash(user_id, old=expected, new=new, deadline=self._deadline), False
        )

    def stored_hashes(self) -> Iterable[str]:
        """Same as the protocol's; a scan named ``Profile.scan.password-hashes``."""
        with outages():
            yield from self._users.password_hashes()

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def _unless_no_name(call: Callable[[], T], otherwise: T) -> T:
    """Return what *call* returns; *otherwise* where it was given what can be nobody's name or hash."""
    with outages():
        try:
            return call()
        except InvalidInput:
            return otherwise


def _credential(stored: StoredPassword) -> Credential:
    return Credential(user_id=stored.user.username, password_hash=stored.hash, enabled=stored.is_active)
