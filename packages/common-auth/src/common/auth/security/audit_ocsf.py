"""Audit events in the form of the Open Cybersecurity Schema Framework, for systems that collect security events.

The classes and activities are those of OCSF 1.8.0 (https://schema.ocsf.io/1.8.0). A type that has no class of its own,
such as one that a service has declared, is a base event with its details under ``unmapped``.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from common.auth.exceptions import ConfigurationError
from common.core.audit import AuditEvent, AuditOutcome
from common.core.json_types import JSONValue

__all__ = ["OCSF_VERSION", "to_ocsf"]

OCSF_VERSION: Final = "1.8.0"
"""The one version that is written."""

_BASE, _ACCOUNT, _AUTHENTICATION, _ACCESS, _LIFECYCLE, _API = 0, 3001, 3002, 3005, 6002, 6003
_OTHER: Final = 99
_LOCKED: Final = "locked"
_STATUS_DETAILS: Final = {
    **dict.fromkeys(
        ("wrong_password", "empty", "too_long", "not_unicode", "not_text", "invalid_credentials"), "INVALID_CREDENTIALS"
    ),
    "unknown_user": "USER_DOES_NOT_EXIST",
    "user_disabled": "ACCOUNT_DISABLED",
}
_METHODS: Final = {"POST": 1, "GET": 2, "HEAD": 2, "PUT": 3, "PATCH": 3, "DELETE": 4}

_TOKENS: Final = frozenset({"authn_token_created", "authn_token_revoked", "authn_token_delete"})
_CLASSES: Final[Mapping[str, tuple[int, int]]] = {
    "authn_login_success": (_AUTHENTICATION, 1),
    "authn_login_successafterfail": (_AUTHENTICATION, 1),
    "authn_login_fail": (_AUTHENTICATION, 1),
    "authn_login_fail_max": (_AUTHENTICATION, 1),
    "authn_login_lock": (_ACCOUNT, 9),
    "authn_password_change": (_ACCOUNT, 3),
    "authn_password_change_fail": (_ACCOUNT, 3),
    "authn_password_reset_admin": (_ACCOUNT, 4),
    "authn_token_created": (_AUTHENTICATION, 3),
    "authn_token_revoked": (_AUTHENTICATION, _OTHER),
    "authn_token_reuse": (_AUTHENTICATION, _OTHER),
    "authn_token_delete": (_AUTHENTICATION, _OTHER),
    "authz_fail": (_API, 0),
    "authz_admin": (_API, _OTHER),
    "authz_change": (_ACCESS, 1),
    "privilege_permissions_changed": (_ACCESS, 1),
    "session_created": (_AUTHENTICATION, 3),
    "session_renewed": (_AUTHENTICATION, 5),
    "session_expired": (_AUTHENTICATION, 2),
    "session_ended": (_AUTHENTICATION, 2),
    "session_use_after_expire": (_AUTHENTICATION, _OTHER),
    "user_created": (_ACCOUNT, 1),
    "user_updated": (_ACCOUNT, _OTHER),
    "user_archived": (_ACCOUNT, 5),
    "user_deleted": (_ACCOUNT, 6),
    "excess_rate_limit_exceeded": (_API, 0),
    "input_validation_fail": (_API, 0),
    "gateway_mismatch": (_API, 0),
    "gateway_rejected": (_API, 0),
    "gateway_spoof": (_API, 0),
    "sys_startup": (_LIFECYCLE, 3),
    "sys_shutdown": (_LIFECYCLE, 4),
}


def to_ocsf(event: AuditEvent, version: str = OCSF_VERSION) -> dict[str, JSONValue]:
    """Return *event* as an OCSF event, a JSON object.

    The user of an Authentication or Account Change event is the event's subject, or where it has none its actor; what
    OCSF has no attribute for is under ``unmapped``.

    Args:
        event: The event.
        version: Of OCSF; there is one.

    Raises:
        ConfigurationError: Another version is asked for.
    """
    if version != OCSF_VERSION:
        raise ConfigurationError(
            f"Events are written in OCSF {OCSF_VERSION}, not in another version.", reason="ocsf_version"
        )
    uid, activity = _CLASSES.get(event.type, (_BASE, _OTHER))
    if event.type in _TOKENS and event.details.get("kind") == "api_key":
        uid, activity = _ACCOUNT, _OTHER  # OCSF 1.8.0 has no activity for keys of an account
    activity = _activity(event, uid, activity)
    return {
        "class_uid": uid,
        "category_uid": uid // 1000,
        "activity_id": activity,
        # An activity that is none of the class's needs its name (OCSF, activity_id 99).
        **({"activity_name": event.type} if activity == _OTHER else {}),
        "type_uid": uid * 100 + activity,
        "time": round(event.time.timestamp() * 1000),
        "severity_id": int(event.severity),
        **_status(event),
        "metadata": _metadata(event),
        **_PARTS[uid](event),
        "unmapped": _unmapped(event),
    }


def _activity(event: AuditEvent, uid: int, activity: int) -> int:
    if uid == _API and activity == 0:
        return _METHODS.get(str(event.details.get("method", "")), 0)
    if uid == _ACCESS and event.details.get("before") and not event.details.get("after"):
        return 2  # Revoke Privileges
    return activity


def _status(event: AuditEvent) -> dict[str, JSONValue]:
    codes = {AuditOutcome.SUCCESS: 1, AuditOutcome.FAILURE: 2, AuditOutcome.UNKNOWN: 0}
    status: dict[str, JSONValue] = {"status_id": codes[event.outcome]}
    if event.reason is not None:
        status["status_code"] = event.reason
        # Why a login is refused while it is locked says which bucket is full: locked_account, locked_network ...
        known = "ACCOUNT_LOCKED_OUT" if event.reason.startswith(_LOCKED) else _STATUS_DETAILS.get(event.reason)
        status["status_detail"] = known or event.reason
    return status


def _metadata(event: AuditEvent) -> dict[str, JSONValue]:
    metadata: dict[str, JSONValue] = {
        "version": OCSF_VERSION,
        "product": {"name": event.service, "vendor_name": "common"},
        "uid": event.id,
        "event_code": event.type,
        "sequence": event.seq,
        "log_name": event.stream,
    }
    if event.request_id is not None:
        metadata["correlation_uid"] = event.request_id
    return metadata


def _unmapped(event: AuditEvent) -> dict[str, JSONValue]:
    return {"boot_id": event.boot_id, "truncated": event.truncated, "details": dict(event.details)}


def _user(who: str | None) -> dict[str, JSONValue]:
    return {"name": "unknown"} if who is None else {"uid": who}


def _actor(event: AuditEvent) -> dict[str, JSONValue]:
    actor: dict[str, JSONValue] = {"app_name": event.source_service or event.service}
    if event.actor is not None:
        actor["user"] = _user(event.actor)
    if event.session is not None:
        actor["session"] = {"uid": event.session}
    return actor


def _source(event: AuditEvent) -> dict[str, JSONValue]:
    source: dict[str, JSONValue] = {}
    if event.source_ip is not None:
        source["ip"] = event.source_ip
    if event.source_service is not None:
        source["svc_name"] = event.source_service
    return source


def _with_source(event: AuditEvent, parts: dict[str, JSONValue]) -> dict[str, JSONValue]:
    source = _source(event)
    return {**parts, "src_endpoint": source} if source else parts


def _authentication(event: AuditEvent) -> dict[str, JSONValue]:
    parts: dict[str, JSONValue] = {
        "user": _user(event.subject or event.actor),
        "service": {"name": event.service},
        "actor": _actor(event),
    }
    if event.session is not None:
        parts["session"] = {"uid": event.session}
    return _with_source(event, parts)


def _account(event: AuditEvent) -> dict[str, JSONValue]:
    return _with_source(event, {"user": _user(event.subject or event.actor), "actor": _actor(event)})


def _access(event: AuditEvent) -> dict[str, JSONValue]:
    changed = event.details.get("after") or event.details.get("before") or event.type
    privileges = changed if isinstance(changed, list) else [changed]
    parts: dict[str, JSONValue] = {
        "user": _user(event.subject or event.actor),
        "actor": _actor(event),
        "privileges": [str(each) for each in privileges],
    }
    return _with_source(event, parts)


def _api(event: AuditEvent) -> dict[str, JSONValue]:
    method, path = event.details.get("method"), event.details.get("path")
    operation = " ".join(str(part) for part in (method, path) if part) or event.type
    source = _source(event) or {"name": "unknown"}
    parts: dict[str, JSONValue] = {
        "actor": _actor(event),
        "api": {"operation": operation, "service": {"name": event.service}},
        "src_endpoint": source,
    }
    return parts


def _lifecycle(event: AuditEvent) -> dict[str, JSONValue]:
    app: dict[str, JSONValue] = {"name": event.service}
    version: Any = event.details.get("version")
    if version:
        app["version"] = str(version)
    return {"app": app}


_PARTS: Final[Mapping[int, Callable[[AuditEvent], dict[str, JSONValue]]]] = {
    _BASE: lambda event: {},
    _ACCOUNT: _account,
    _AUTHENTICATION: _authentication,
    _ACCESS: _access,
    _LIFECYCLE: _lifecycle,
    _API: _api,
}
