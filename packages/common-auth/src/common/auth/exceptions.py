"""Errors of passwords, tokens, gateway trust and audit. No message holds a password, a token, a key or a claim's value.

::

    CommonError
    └── AuthError                        .reason and .details are for the audit trail, never for a client
        ├── AuthenticationError     401
        │   ├── InvalidCredentials       the one answer to every failed login
        │   │   └── AccountLocked        shown exactly as InvalidCredentials
        │   ├── ApiKeyInvalid
        │   ├── TokenError               outward always ``invalid_token`` (RFC 6750, section 3.1)
        │   │   ├── TokenInvalid         form, algorithm, key, signature or a claim
        │   │   │   └── UnknownKey       no usable key has this id and algorithm
        │   │   ├── TokenExpired
        │   │   ├── TokenNotYetValid
        │   │   ├── TokenWrongType       a token of another kind
        │   │   ├── TokenRevoked
        │   │   └── TokenReuseDetected
        │   └── GatewayTrustError
        │       ├── HeaderMissing
        │       ├── HeaderMalformed 400
        │       ├── HeaderSpoofed   400
        │       ├── AssertionInvalid
        │       └── AssertionReplayed
        ├── AuthorizationError      403
        │   ├── RoleRequired
        │   └── ScopeRequired
        ├── PolicyViolation         422  a new password breaks the policy; .codes
        ├── InvalidClaim            422  a value cannot be put into a token; also an InvalidInput
        ├── RateLimited             429  .retry_after
        ├── AuthUnavailable         503  repeat later
        │   ├── HashingOverloaded        .retry_after
        │   ├── KeySourceUnavailable
        │   ├── StoreUnavailable         a write may have happened or not; repeat it
        │   ├── RevocationUnavailable
        │   ├── AuditUnavailable
        │   └── ClaimsUnavailable
        └── ConfigurationError      500  also a common.exceptions.ConfigurationError; never the client's fault
            ├── WeakKey
            └── HashUnsupported          a stored password hash that cannot be verified here
"""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from common.exceptions import CommonError, InvalidInput
from common.exceptions import ConfigurationError as _FamilyConfigurationError

__all__ = [
    "AccountLocked",
    "ApiKeyInvalid",
    "AssertionInvalid",
    "AssertionReplayed",
    "AuditUnavailable",
    "AuthError",
    "AuthUnavailable",
    "AuthenticationError",
    "AuthorizationError",
    "ClaimsUnavailable",
    "ConfigurationError",
    "GatewayTrustError",
    "HashUnsupported",
    "HashingOverloaded",
    "HeaderMalformed",
    "HeaderMissing",
    "HeaderSpoofed",
    "InvalidClaim",
    "InvalidCredentials",
    "KeySourceUnavailable",
    "PolicyViolation",
    "RateLimited",
    "RevocationUnavailable",
    "RoleRequired",
    "ScopeRequired",
    "StoreUnavailable",
    "TokenError",
    "TokenExpired",
    "TokenInvalid",
    "TokenNotYetValid",
    "TokenReuseDetected",
    "TokenRevoked",
    "TokenWrongType",
    "UnknownKey",
    "WeakKey",
]


class AuthError(CommonError):
    """Anything common-auth raises on purpose.

    Args:
        message: For the operator; it may name a setting or a key id, never a secret.
        reason: A stable code for the audit trail, such as ``bad_signature``. A client never sees it.
        details: Facts for the operator. A client never sees them.
    """

    code = "auth_error"

    def __init__(self, message: str = "", *, reason: str = "", details: Mapping[str, object] | None = None) -> None:
        super().__init__(message or reason)
        self.reason = reason
        self.details: Mapping[str, object] = MappingProxyType(dict(details or {}))


class AuthenticationError(AuthError):
    """Who is asking is not proven."""

    code = "unauthenticated"
    status = 401
    public_message = "Authentication is required."

    def headers(self) -> Mapping[str, str]:
        """Return the challenge that an answer with status 401 must carry (RFC 9110, section 15.5.2)."""
        return {"WWW-Authenticate": "Bearer"}


class InvalidCredentials(AuthenticationError):
    """User name or password is wrong; which of them, nobody outside learns."""

    code = "invalid_credentials"
    public_message = "The user name or the password is not correct."


class AccountLocked(InvalidCredentials):
    """The account takes no login now. Outward it is :class:`InvalidCredentials` to the byte."""


class ApiKeyInvalid(AuthenticationError):
    """The API key is malformed, unknown, revoked or expired. One that lacks a scope is :class:`ScopeRequired`."""

    code = "invalid_api_key"
    public_message = "The API key is not valid."


class TokenError(AuthenticationError):
    """A token was refused. Every subclass looks alike from outside; :attr:`reason` is for the audit trail."""

    code = "invalid_token"
    public_message = "The access token is not valid."

    def headers(self) -> Mapping[str, str]:
        """Return the challenge of RFC 6750, section 3."""
        return {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class TokenInvalid(TokenError):
    """The form, the algorithm, the signature or a claim of the token is not acceptable."""


class UnknownKey(TokenInvalid):
    """No key that may verify now has the token's key id and algorithm."""


class TokenExpired(TokenError):
    """The token's time is over."""


class TokenNotYetValid(TokenError):
    """The token's time has not begun, or it was issued in the future."""


class TokenWrongType(TokenError):
    """A genuine kind of token, shown where another kind is wanted."""


class TokenRevoked(TokenError):
    """The token, its session or all sessions of its user were ended."""


class TokenReuseDetected(TokenError):
    """A refresh token was used again; its session has been ended."""


class GatewayTrustError(AuthenticationError):
    """The request does not prove that it came through the gateway."""

    code = "untrusted_request"
    public_message = "The request did not come through the gateway."


class HeaderMissing(GatewayTrustError):
    """An identity header or assertion is absent."""


class HeaderMalformed(GatewayTrustError):
    """An identity header breaks its grammar."""

    code = "malformed_header"
    status = 400
    public_message = "A request header is not valid."

    def headers(self) -> Mapping[str, str]:
        return {}


class HeaderSpoofed(HeaderMalformed):
    """An identity header occurs twice or under a look-alike name. Outward it is :class:`HeaderMalformed`."""


class AssertionInvalid(GatewayTrustError):
    """The gateway's assertion or MAC does not verify for this request."""


class AssertionReplayed(AssertionInvalid):
    """The gateway's assertion or MAC was used before. Outward it is :class:`AssertionInvalid`."""


class AuthorizationError(AuthError):
    """Who is asking is known, and may not do this."""

    code = "forbidden"
    status = 403
    public_message = "This is not allowed."


class RoleRequired(AuthorizationError):
    """A role is missing."""


class ScopeRequired(AuthorizationError):
    """A scope is missing from the token or the API key."""

    code = "insufficient_scope"

    def headers(self) -> Mapping[str, str]:
        """Return the challenge of RFC 6750, section 3.1."""
        return {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}


class PolicyViolation(AuthError):
    """A new password breaks the policy. Nothing was stored.

    Args:
        codes: What it breaks, such as ``("too_short", "listed")``; clients may branch on them.
    """

    code = "password_policy"
    status = 422
    public_message = "The password does not satisfy the policy."

    def __init__(self, codes: Sequence[str], message: str = "") -> None:
        self.codes = tuple(codes)
        super().__init__(
            message or f"The password was refused: {', '.join(self.codes)}.", reason=next(iter(self.codes), "")
        )

    def extensions(self) -> Mapping[str, object]:
        return {"codes": list(self.codes)}


class InvalidClaim(AuthError, InvalidInput):
    """A value cannot be put into a token. Nothing was issued."""

    code = "invalid_claim"
    status = 422
    public_message = "A value cannot be put into a token."

    def __init__(self, message: str = "", *, reason: str = "invalid_claim") -> None:
        super().__init__(message, reason=reason)


class _RetryLater(AuthError):
    """Carries ``Retry-After`` (RFC 9110, section 10.2.3)."""

    retryable = True

    def __init__(self, message: str = "", *, retry_after: float = 1.0, reason: str = "") -> None:
        super().__init__(message, reason=reason)
        self.retry_after = retry_after
        """Seconds after which the same call may succeed."""

    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": str(max(1, math.ceil(self.retry_after)))}


class RateLimited(_RetryLater):
    """Too many requests. Nothing was done."""

    code = "rate_limited"
    status = 429
    public_message = "Too many requests."


class AuthUnavailable(AuthError):
    """Something that authentication needs does not answer. Nothing was granted; the call may be repeated."""

    code = "auth_unavailable"
    status = 503
    retryable = True
    public_message = "Authentication is not available now."


class HashingOverloaded(_RetryLater, AuthUnavailable):
    """More passwords wait to be hashed than the pool takes. This one was not hashed."""


class KeySourceUnavailable(AuthUnavailable):
    """The holder of the keys does not answer."""


class StoreUnavailable(AuthUnavailable):
    """A store of authentication does not answer. A write may have happened or not; it can be repeated."""


class RevocationUnavailable(AuthUnavailable):
    """Whether a token was revoked cannot be found out."""


class AuditUnavailable(AuthUnavailable):
    """An operation that must leave an audit record could not, and was refused."""


class ClaimsUnavailable(AuthUnavailable):
    """A plugin could not give its claims. The token was not issued, since a missing claim may be a restriction."""


class ConfigurationError(AuthError, _FamilyConfigurationError):
    """The service is put together wrongly. It never comes from what a client sent."""

    code = "configuration_error"
    status = 500
    public_message = "The service is not configured correctly."


class WeakKey(ConfigurationError):
    """A key or secret is too weak or of the wrong kind for its algorithm."""


class HashUnsupported(ConfigurationError):
    """A stored password hash cannot be verified here: unknown scheme, unknown pepper id, or damaged."""
