"""The kinds of audit events that the family itself writes, by the OWASP Logging Vocabulary Cheat Sheet.

Names that the vocabulary lacks are ours: ``gateway_*`` for requests that do not prove their way through the gateway,
``authn_revocation_stale``, ``authn_breach_check_fail``, ``crypto_key_rotated``, and ``audit_*`` for what the trail says
about itself. A service declares its own beside them::

    AuditLogger(sinks, service="orders", types=[AuditType("order_canceled", frozenset({"order_id"}))])
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from common.auth.exceptions import ConfigurationError
from common.core.audit import AuditType, Severity

__all__ = [
    "AUDIT_GAP",
    "AUDIT_READ",
    "AUDIT_RECOVERED",
    "AUDIT_UNACKNOWLEDGED",
    "FAMILY_TYPES",
    "STREAM_END",
    "SYS_MONITOR_DISABLED",
    "SYS_MONITOR_ENABLED",
    "declare",
]

AUDIT_GAP: Final = "audit_gap"
"""A sink lost events; ``ranges`` are the first and last ``seq`` of each run of lost ones."""
AUDIT_READ: Final = "audit_read"
"""Somebody has read the trail; ``filters`` are what narrowed it."""
AUDIT_UNACKNOWLEDGED: Final = "audit_unacknowledged"
"""No durable sink took a required event in time: the operation it announces was refused."""
AUDIT_RECOVERED: Final = "audit_recovered"
"""A sink's store ended in ``torn`` bytes that are no line, left by a crash; the first line behind them vouches for them."""
STREAM_END: Final = "stream_end"
"""The process has closed its logger; without it, something may be missing at the end of the stream."""
SYS_MONITOR_DISABLED: Final = "sys_monitor_disabled"
SYS_MONITOR_ENABLED: Final = "sys_monitor_enabled"

_LOGIN = frozenset({"method", "client_id"})
_GATEWAY = frozenset({"header", "method", "path", "mode", "key_id"})


def _type(
    name: str,
    fields: Iterable[str] = (),
    severity: Severity = Severity.INFO,
    *,
    hashed: Iterable[str] = (),
    **more: bool,
) -> AuditType:
    return AuditType(name, frozenset(fields), frozenset(hashed), severity, **more)


_AUTHENTICATION = (
    _type("authn_login_success", _LOGIN | {"rehash"}),
    _type("authn_login_successafterfail", _LOGIN | {"failures", "rehash"}, Severity.LOW),
    _type("authn_login_fail", _LOGIN | {"failures"}, Severity.MEDIUM),
    _type("authn_login_fail_max", _LOGIN | {"failures", "limit"}, Severity.HIGH),
    _type("authn_login_lock", _LOGIN | {"failures", "until"}, Severity.HIGH),
    _type("authn_password_change", ("sessions_ended",), Severity.LOW),
    _type("authn_password_change_fail", ("codes",), Severity.MEDIUM),
    _type("authn_password_reset_admin", ("sessions_ended",), Severity.MEDIUM, required=True),
    _type("authn_breach_check_fail", ("checker", "cause"), Severity.MEDIUM),
    _type("authn_token_created", ("kind", "client_id", "expires", "scope", "roles"), hashed=("jti",)),
    _type("authn_token_revoked", ("kind", "client_id"), Severity.LOW, hashed=("jti",)),
    _type("authn_token_reuse", ("kind", "client_id", "key_id", "method", "path"), Severity.HIGH, hashed=("jti",)),
    _type("authn_token_delete", ("kind", "client_id"), hashed=("jti",)),
    _type("authn_revocation_stale", ("age",), Severity.MEDIUM),
)
_AUTHORISATION = (
    _type("authz_fail", ("resource", "role", "scope", "method", "path"), Severity.MEDIUM),
    _type("authz_change", ("before", "after"), Severity.MEDIUM, required=True),
    _type("authz_admin", ("operation", "resource"), Severity.LOW),
    _type("privilege_permissions_changed", ("resource", "before", "after"), Severity.MEDIUM, required=True),
)
_SESSIONS = (
    _type("session_created", ("client_id",)),
    _type("session_renewed", ("client_id", "generation")),
    _type("session_expired", ("cause",)),
    _type("session_ended", ("cause", "count")),
    _type("session_use_after_expire", ("client_id",), Severity.MEDIUM),
)
_USERS = (
    _type("user_created", ("fields",)),
    _type("user_updated", ("fields",)),
    _type("user_archived", ("cause",), Severity.LOW),
    _type("user_deleted", ("cause",), Severity.MEDIUM),
)
_REQUESTS = (
    _type("excess_rate_limit_exceeded", ("limit", "window", "bucket"), Severity.MEDIUM),
    _type("input_validation_fail", _GATEWAY | {"field", "codes"}, Severity.MEDIUM),
    _type("gateway_mismatch", _GATEWAY, Severity.HIGH),
    _type("gateway_rejected", _GATEWAY, Severity.MEDIUM),
    _type("gateway_spoof", _GATEWAY, Severity.HIGH),
)
_SYSTEM = (
    _type("sys_startup", ("version",)),
    _type("sys_shutdown", ("cause",)),
    _type(SYS_MONITOR_DISABLED, ("sink", "plugin", "cause"), Severity.CRITICAL),
    _type(SYS_MONITOR_ENABLED, ("sink", "plugin"), Severity.LOW),
    _type("crypto_key_rotated", ("key_id", "previous", "algorithm", "purpose"), Severity.MEDIUM, required=True),
    _type(AUDIT_READ, ("filters", "records"), Severity.LOW),
    _type(AUDIT_GAP, ("sink", "plugin", "ranges", "lost"), Severity.CRITICAL),
    _type(AUDIT_UNACKNOWLEDGED, ("event", "event_seq", "event_type"), Severity.CRITICAL),
    _type(AUDIT_RECOVERED, ("sink", "plugin", "torn"), Severity.MEDIUM),
    _type(STREAM_END, ("emitted",)),
)

FAMILY_TYPES: Final[tuple[AuditType, ...]] = (
    *_AUTHENTICATION, *_AUTHORISATION, *_SESSIONS, *_USERS, *_REQUESTS, *_SYSTEM,
)  # fmt: skip
"""What every logger knows without being told."""


def declare(types: Iterable[AuditType]) -> Mapping[str, AuditType]:
    """Return the family's types and *types*, by name.

    Raises:
        ConfigurationError: A name is declared twice. A service adds types; it cannot change what one of ours lets pass.
    """
    declared: dict[str, AuditType] = {}
    for kind in (*FAMILY_TYPES, *types):
        if kind.name in declared:
            raise ConfigurationError(
                f"Audit type {kind.name!r} is declared twice. Give the service's own type another name."
            )
        declared[kind.name] = kind
    return MappingProxyType(declared)
