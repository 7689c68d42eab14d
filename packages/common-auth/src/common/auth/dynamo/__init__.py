"""The state of authentication in a DynamoDB table, and the audit trail too; the extra ``[dynamo]``.

Each store keeps the promises of its protocol in :mod:`common.auth.security.stores`. The database is the service's own::

    db = Database.connect(plugins=plugins)
    sessions = DynamoRefreshFamilyStore(db)

The entity types come by the hook ``common_entity_types``, so ``create_tables`` and ``common dynamo`` know them. They are in
the groups ``auth`` and ``audit``, which ``Database.connect(tables=...)`` may bind to tables of their own.

This package is the only part of common-auth that imports common-dynamo. Its names are imported when they are asked for.
"""

from typing import TYPE_CHECKING

from common.exceptions import MissingPart

try:
    import common.dynamo as _data_layer  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "common.dynamo":
        raise
    raise MissingPart("Stores in a table need the data layer", dist="common-auth", extra="dynamo") from None

if TYPE_CHECKING:
    from common.auth.dynamo.api_keys import DynamoApiKeyStore
    from common.auth.dynamo.audit_table import AuditTable
    from common.auth.dynamo.credentials import LedgerCredentialStore
    from common.auth.dynamo.login_counters import DynamoLoginCounterStore
    from common.auth.dynamo.nonces import DynamoNonceStore
    from common.auth.dynamo.revocations import DynamoRevocationStore
    from common.auth.dynamo.sessions import DynamoRefreshFamilyStore

_HOMES = {
    "AuditTable": "audit_table",
    "DynamoApiKeyStore": "api_keys",
    "DynamoLoginCounterStore": "login_counters",
    "DynamoNonceStore": "nonces",
    "DynamoRefreshFamilyStore": "sessions",
    "DynamoRevocationStore": "revocations",
    "LedgerCredentialStore": "credentials",
}

__all__ = [
    "AuditTable",
    "DynamoApiKeyStore",
    "DynamoLoginCounterStore",
    "DynamoNonceStore",
    "DynamoRefreshFamilyStore",
    "DynamoRevocationStore",
    "LedgerCredentialStore",
]


def __getattr__(name: str) -> object:
    """Import *name* from its home (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
