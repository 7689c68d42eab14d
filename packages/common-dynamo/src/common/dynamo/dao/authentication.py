"""The answer of a sign-in."""

from common.dynamo.dao.records import Profile
from common.dynamo.value_classes import dataclass

__all__ = ["Authentication"]


@dataclass(frozen=True, slots=True)
class Authentication:
    """Whether a password matched, and whose it is. True in a condition exactly where it matched."""

    ok: bool
    user: Profile | None = None
    """Who signed in; ``None`` unless *ok*."""
    needs_rehash: bool = False
    """Whether the stored hash is older than the hasher's settings: :meth:`UserDAO.rehash` renews it."""
    reason: str = ""
    """A stable code for the audit trail, such as ``wrong_password``; never shown to a client."""

    def __bool__(self) -> bool:
        return self.ok
