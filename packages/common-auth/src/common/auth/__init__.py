"""Passwords, tokens, gateway trust and audit for Python services.

The names below are the public door; each is imported when it is first asked for, so that importing this package costs
nothing. Further public modules: :mod:`common.auth.exceptions`, :mod:`common.auth.hookspecs`, :mod:`common.auth.health`,
:mod:`common.auth.settings`, :mod:`common.auth.testing` (pytest fixtures), and the modules of
:mod:`common.auth.security` and :mod:`common.auth.gateway`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from common.auth.gateway.header_validator import HeaderValidator, TrustMode
    from common.auth.gateway.hmac_ring import HmacRing
    from common.auth.gateway.identity import Identity
    from common.auth.gateway.lambda_authorizer import LambdaAuthorizer
    from common.auth.gateway.middleware import GatewayAuthMiddleware
    from common.auth.gateway.peers import PeerRule
    from common.auth.gateway.signer import GatewaySigner
    from common.auth.security.api_keys import ApiKeyManager
    from common.auth.security.audit_anchor import PublicKeys
    from common.auth.security.audit_anchorer import Anchoring
    from common.auth.security.audit_logger import AuditLogger
    from common.auth.security.audit_settings import audit_logger
    from common.auth.security.audit_verification import verify_chain
    from common.auth.security.authenticator import Authenticator, LoginResult
    from common.auth.security.breaches import breach_checks
    from common.auth.security.context import RequestContext
    from common.auth.security.hashing_pool import HashingPool
    from common.auth.security.keys import KeyRing, SigningKey, VerificationKey
    from common.auth.security.login_guard import LoginGuard
    from common.auth.security.login_limits import LoginLimits
    from common.auth.security.memory_stores import (
        MemoryApiKeyStore,
        MemoryLoginCounterStore,
        MemoryRefreshFamilyStore,
        MemoryRevocationStore,
    )
    from common.auth.security.password_manager import PasswordManager
    from common.auth.security.password_policy import PasswordPolicy
    from common.auth.security.peppers import PepperRing
    from common.auth.security.remote_jwks import RemoteJWKS
    from common.auth.security.secrets import SecretBytes, SecretStr
    from common.auth.security.strength import StrengthCheck
    from common.auth.security.token_claims import Claims
    from common.auth.security.token_manager import (
        Actor,
        Freshness,
        IssuedToken,
        RevocationPolicy,
        SessionInfo,
        SessionProfile,
        TokenKind,
        TokenManager,
        TokenPair,
        TokenProfile,
        TokenSubject,
        claim_sources,
    )

_HOMES = {
    "Actor": "security.token_manager",
    "Anchoring": "security.audit_anchorer",
    "ApiKeyManager": "security.api_keys",
    "AuditLogger": "security.audit_logger",
    "Authenticator": "security.authenticator",
    "Claims": "security.token_claims",
    "Freshness": "security.token_manager",
    "GatewayAuthMiddleware": "gateway.middleware",
    "GatewaySigner": "gateway.signer",
    "HashingPool": "security.hashing_pool",
    "HeaderValidator": "gateway.header_validator",
    "HmacRing": "gateway.hmac_ring",
    "Identity": "gateway.identity",
    "IssuedToken": "security.token_manager",
    "KeyRing": "security.keys",
    "LambdaAuthorizer": "gateway.lambda_authorizer",
    "LoginGuard": "security.login_guard",
    "LoginLimits": "security.login_limits",
    "LoginResult": "security.authenticator",
    "MemoryApiKeyStore": "security.memory_stores",
    "MemoryLoginCounterStore": "security.memory_stores",
    "MemoryRefreshFamilyStore": "security.memory_stores",
    "MemoryRevocationStore": "security.memory_stores",
    "PasswordManager": "security.password_manager",
    "PasswordPolicy": "security.password_policy",
    "PeerRule": "gateway.peers",
    "PepperRing": "security.peppers",
    "PublicKeys": "security.audit_anchor",
    "RemoteJWKS": "security.remote_jwks",
    "RequestContext": "security.context",
    "RevocationPolicy": "security.token_manager",
    "SecretBytes": "security.secrets",
    "SecretStr": "security.secrets",
    "SessionInfo": "security.token_manager",
    "SessionProfile": "security.token_manager",
    "SigningKey": "security.keys",
    "StrengthCheck": "security.strength",
    "TokenKind": "security.token_manager",
    "TokenManager": "security.token_manager",
    "TokenPair": "security.token_manager",
    "TokenProfile": "security.token_manager",
    "TokenSubject": "security.token_manager",
    "TrustMode": "gateway.header_validator",
    "VerificationKey": "security.keys",
    "audit_logger": "security.audit_settings",
    "breach_checks": "security.breaches",
    "claim_sources": "security.token_manager",
    "verify_chain": "security.audit_verification",
}

__all__ = [
    "Actor",
    "Anchoring",
    "ApiKeyManager",
    "AuditLogger",
    "Authenticator",
    "Claims",
    "Freshness",
    "GatewayAuthMiddleware",
    "GatewaySigner",
    "HashingPool",
    "HeaderValidator",
    "HmacRing",
    "Identity",
    "IssuedToken",
    "KeyRing",
    "LambdaAuthorizer",
    "LoginGuard",
    "LoginLimits",
    "LoginResult",
    "MemoryApiKeyStore",
    "MemoryLoginCounterStore",
    "MemoryRefreshFamilyStore",
    "MemoryRevocationStore",
    "PasswordManager",
    "PasswordPolicy",
    "PeerRule",
    "PepperRing",
    "PublicKeys",
    "RemoteJWKS",
    "RequestContext",
    "RevocationPolicy",
    "SecretBytes",
    "SecretStr",
    "SessionInfo",
    "SessionProfile",
    "SigningKey",
    "StrengthCheck",
    "TokenKind",
    "TokenManager",
    "TokenPair",
    "TokenProfile",
    "TokenSubject",
    "TrustMode",
    "VerificationKey",
    "audit_logger",
    "breach_checks",
    "claim_sources",
    "verify_chain",
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
