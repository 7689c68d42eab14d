"""Where each item of authentication lies. All keys begin with ``AUTH#``, so that they clash with nobody's.

A user's epoch and list of sessions are one partition, and each session is one of its own: see decision 0335.
"""

from typing import Any, Final

from common.auth.dynamo.records import (
    ApiKeyItem,
    AuditItem,
    DeniedItem,
    EpochItem,
    LoginCounterItem,
    NonceItem,
    SessionItem,
    UserSessionItem,
)
from common.dynamo import ANY_SCALE, EntityType, Index, Key

__all__ = [
    "API_KEY",
    "API_KEYS_OF_OWNER",
    "AUDIT_BY_REQUEST",
    "AUDIT_BY_TIME",
    "AUDIT_BY_USER",
    "AUDIT_LINE",
    "AUDIT_SHARDS",
    "AUTH_ENTITY_TYPES",
    "DENIED",
    "EPOCH",
    "LOGIN_COUNTER",
    "NONCE",
    "SESSION",
    "USER_SESSION",
]

AUTH: Final = "auth"
"""The group of what decides whether somebody gets in."""
AUDIT: Final = "audit"
"""The group of the trail: it grows for ever and is read by others, so it often has a table of its own."""

SESSION: Final = EntityType(
    SessionItem,
    "auth_session",
    key=Key("AUTH#S#{session}", "FAMILY"),
    ttl="expires_at",
    attributes={
        "generation": "gen",
        "token_id": "cur_jti",
        "issued_at": "cur_iat",
        "key_id": "kid",
        "user_id": "user",
        "client_id": "client",
        "epoch": "ver",
        "idle_expires_at": "idle_exp",
    },
    scales={"rotated_at": ANY_SCALE, "created_at": ANY_SCALE, "revoked_at": ANY_SCALE},
    group=AUTH,
)

USER_SESSION: Final = EntityType(
    UserSessionItem, "auth_user_session", key=Key("AUTH#U#{user_id}", "S#{session}"), ttl="expires_at", group=AUTH
)

EPOCH: Final = EntityType(EpochItem, "auth_epoch", key=Key("AUTH#U#{user_id}", "EPOCH"), group=AUTH)

DENIED: Final = EntityType(
    DeniedItem,
    "auth_denied",
    key=Key("AUTH#D#{identifier}", "DENIED"),
    ttl="sweep_at",
    scales={"expires_at": ANY_SCALE},
    group=AUTH,
)

LOGIN_COUNTER: Final = EntityType(
    LoginCounterItem,
    "auth_login_counter",
    key=Key("AUTH#L#{bucket}", "COUNTER"),
    ttl="sweep_at",
    scales={"blocked_until": ANY_SCALE, "expires_at": ANY_SCALE},
    group=AUTH,
)
"""A partition for each bucket: a bucket that many share is written as shards, each with a name of its own."""

API_KEYS_OF_OWNER: Final = Index("GSI1", Key("AUTH#KO#{owner}", "{key_id}"))

API_KEY: Final = EntityType(
    ApiKeyItem,
    "auth_api_key",
    key=Key("AUTH#K#{key_id}", "APIKEY"),
    indexes=[API_KEYS_OF_OWNER],
    ttl="sweep_at",
    scales={
        "created_at": ANY_SCALE,
        "expires_at": ANY_SCALE,
        "revoked_at": ANY_SCALE,
        "last_used_at": ANY_SCALE,
    },
    group=AUTH,
)

NONCE: Final = EntityType(
    NonceItem,
    "auth_nonce",
    key=Key("AUTH#N#{nonce}", "NONCE"),
    ttl="sweep_at",
    scales={"expires_at": ANY_SCALE},
    group=AUTH,
)

AUDIT_SHARDS: Final = 4
"""Partitions of the index by time, which every record is in: each takes 1,000 write units a second."""
AUDIT_BY_USER: Final = Index("GSI1", Key("AUTH#AU#{user}", "{time}#{id}"))
AUDIT_BY_TIME: Final = Index("GSI2", Key("AUTH#AT", "{time}#{id}", shards=AUDIT_SHARDS))
AUDIT_BY_REQUEST: Final = Index("GSI9", Key("AUTH#AR#{request_id}", "{time}#{id}"))
"""All types of a service agree on what a slot projects, so this one is where others hardly begin to count."""

AUDIT_LINE: Final = EntityType(
    AuditItem,
    "auth_audit",
    key=Key("AUTH#A#{stream}", "{seq:12}"),
    indexes=[AUDIT_BY_USER, AUDIT_BY_TIME, AUDIT_BY_REQUEST],
    ttl="expires_at",
    group=AUDIT,
)

AUTH_ENTITY_TYPES: Final[tuple[EntityType[Any], ...]] = (
    SESSION,
    USER_SESSION,
    EPOCH,
    DENIED,
    LOGIN_COUNTER,
    API_KEY,
    NONCE,
    AUDIT_LINE,
)
"""What common-auth contributes through the hook ``common_entity_types`` where the extra ``[dynamo]`` is installed."""
