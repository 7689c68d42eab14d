"""Who can log in, and with which roles: the ledger's users and their password hashes."""

from dataclasses import replace

from common.auth.dynamo import LedgerCredentialStore
from common.auth.security.stores import Credential

OPERATORS = frozenset({"operator"})
"""Users who set prices and run the matching; a real service keeps its roles in its own table."""


def roles_of(username: str) -> tuple[str, ...]:
    """Return what a user may be."""
    return ("operator",) if username in OPERATORS else ("trader",)


class Accounts(LedgerCredentialStore):
    """The ledger's users, with their roles of today."""

    def find(self, identifier: str) -> Credential | None:
        """Same as the ledger's, with roles."""
        found = super().find(identifier)
        return None if found is None else replace(found, roles=roles_of(found.user_id))
