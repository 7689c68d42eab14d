"""What every call of the stores sends and costs: one row per course that a call can take, items within 1 KB.

``common dynamo explain`` prints it, IAM policies are made of it, and a test measures every row on an engine.
"""

from typing import Final

from common.auth.dynamo.entity_types import (
    API_KEY,
    API_KEYS_OF_OWNER,
    AUDIT_BY_REQUEST,
    AUDIT_BY_TIME,
    AUDIT_BY_USER,
    AUDIT_LINE,
    AUDIT_SHARDS,
    DENIED,
    EPOCH,
    LOGIN_COUNTER,
    NONCE,
    SESSION,
    USER_SESSION,
)
from common.dynamo import Pattern
from common.dynamo.access import AccessPattern, batch_get, delete, get, put, queries, query, transact, update

__all__ = ["AUTH_PATTERNS", "named"]

_row: Final = AccessPattern.of
_PAGE: Final = "a page of up to 4 KB"

_SESSIONS: Final = (
    _row("RefreshFamilyStore.create", transact(put(SESSION), put(USER_SESSION)), wcu=4),
    _row("RefreshFamilyStore.rotate", update(SESSION), wcu=1),
    _row("RefreshFamilyStore.revoke", update(SESSION), wcu=1),
    _row("RefreshFamilyStore.find", get(SESSION), rcu=1),
    _row(
        "RefreshFamilyStore.of_user",
        query(USER_SESSION),
        batch_get(SESSION),
        rcu=2,
        note="the list, and one for each session",
    ),
)
_REVOCATIONS: Final = (
    _row("RevocationStore.deny", put(DENIED), wcu=1),
    _row("RevocationStore.raise_epoch", update(EPOCH), wcu=1),
    _row("RevocationStore.look_up", batch_get(EPOCH, DENIED), rcu=0.5, note="the epoch, and each id"),
    _row(
        "RevocationStore.look_up",
        batch_get(EPOCH, DENIED),
        case="consistent",
        rcu=1,
        note="the epoch, and each id",
    ),
)
_LOGINS: Final = (
    _row("LoginCounterStore.read", get(LOGIN_COUNTER), rcu=1),
    _row("LoginCounterStore.exchange", put(LOGIN_COUNTER), wcu=1),
    _row("LoginCounterStore.exchange", delete(LOGIN_COUNTER), case="for nothing", wcu=1),
    _row("LoginCounterStore.add", update(LOGIN_COUNTER), wcu=1),
    _row(
        "LoginCounterStore.add",
        update(LOGIN_COUNTER),
        update(LOGIN_COUNTER),
        case="with an earlier expiry",
        wcu=1,
    ),
    _row("LoginCounterStore.clear", delete(LOGIN_COUNTER), wcu=1),
)
_MACHINES: Final = (
    _row("ApiKeyStore.create", put(API_KEY), wcu=1, indexes=1),
    _row("ApiKeyStore.find", get(API_KEY), rcu=1),
    _row("ApiKeyStore.of_owner", query(API_KEY, API_KEYS_OF_OWNER), rcu=0.5, note=_PAGE),
    _row("ApiKeyStore.revoke", update(API_KEY), wcu=1, indexes=1),
    _row("ApiKeyStore.touch", update(API_KEY), wcu=1, indexes=1),
    _row("NonceStore.claim", put(NONCE), wcu=1),
)
_AUDIT: Final = (
    _row("AuditTable.write", put(AUDIT_LINE), wcu=1, indexes=3, note="with a user and a request"),
    _row("AuditTable.lines", query(AUDIT_LINE), rcu=1, note="up to 4 KB; a trip per MB"),
    _row("AuditTable.by_user", query(AUDIT_LINE, AUDIT_BY_USER), rcu=0.5, note=_PAGE),
    _row("AuditTable.by_request", query(AUDIT_LINE, AUDIT_BY_REQUEST), rcu=0.5, note=_PAGE),
    _row(
        "AuditTable.by_time",
        *queries(AUDIT_LINE, AUDIT_BY_TIME),
        also=queries(AUDIT_LINE, AUDIT_BY_TIME),
        rcu=0.5 * AUDIT_SHARDS,
        note=f"{_PAGE} of each shard",
    ),
)
_HEALTH: Final = (_row("Health.auth", get(EPOCH), rcu=0.5),)

AUTH_PATTERNS: Final[tuple[AccessPattern, ...]] = (
    *_SESSIONS,
    *_REVOCATIONS,
    *_LOGINS,
    *_MACHINES,
    *_AUDIT,
    *_HEALTH,
)
"""All of them; the first row of a name is its usual course. What users' passwords cost stands in the ledger's table."""

_USUAL: Final = {row.name: row for row in reversed(AUTH_PATTERNS)}


def named(name: str) -> Pattern:
    """Return the name and API operation for the spans and metrics of a store's method.

    Raises:
        KeyError: There is no such access pattern; every one stands in the table above.
    """
    return _USUAL[name].pattern
