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
    from common.auth.gateway.signer import GatewaySigner
    from common.auth.security.audit_logger import AuditLogger
    from common.auth.security.authenticator import Authenticator, LoginResult
    from common.auth.security.context import RequestContext
    from common.auth.security.hashing_pool import HashingPool
    from common.auth.security.keys import KeyRing, SigningKey, VerificationKey
    from common.auth.security.memory_stores import MemoryRefreshFamilyStore, MemoryRevocationStore
    from common.auth.security.password_manager import PasswordManager
    from common.auth.security.password_policy import PasswordPolicy
    from common.auth.security.peppers import PepperRing
    from common.auth.security.remote_jwks import RemoteJWKS
    from common.auth.security.secrets import SecretBytes, SecretStr
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
    "LoginResult": "security.authenticator",
    "MemoryRefreshFamilyStore": "security.memory_stores",
    "MemoryRevocationStore": "security.memory_stores",
    "PasswordManager": "security.password_manager",
    "PasswordPolicy": "security.password_policy",
    "PepperRing": "security.peppers",
    "RemoteJWKS": "security.remote_jwks",
    "RequestContext": "security.context",
    "RevocationPolicy": "security.token_manager",
    "SecretBytes": "security.secrets",
    "SecretStr": "security.secrets",
    "SessionInfo": "security.token_manager",
    "SessionProfile": "security.token_manager",
    "SigningKey": "security.keys",
    "TokenKind": "security.token_manager",
    "TokenManager": "security.token_manager",
    "TokenPair": "security.token_manager",
    "TokenProfile": "security.token_manager",
    "TokenSubject": "security.token_manager",
    "TrustMode": "gateway.header_validator",
    "VerificationKey": "security.keys",
    "claim_sources": "security.token_manager",
}

__all__ = [
    "Actor",
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
    "LoginResult",
    "MemoryRefreshFamilyStore",
    "MemoryRevocationStore",
    "PasswordManager",
    "PasswordPolicy",
    "PepperRing",
    "RemoteJWKS",
    "RequestContext",
    "RevocationPolicy",
    "SecretBytes",
    "SecretStr",
    "SessionInfo",
    "SessionProfile",
    "SigningKey",
    "TokenKind",
    "TokenManager",
    "TokenPair",
    "TokenProfile",
    "TokenSubject",
    "TrustMode",
    "VerificationKey",
    "claim_sources",
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
