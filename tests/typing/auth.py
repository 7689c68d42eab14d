"""What type checkers see of common.auth. Checked, never executed."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import assert_type

from common.auth import (
    Actor,
    ApiKeyManager,
    AuditLogger,
    Claims,
    Freshness,
    GatewaySigner,
    HashingPool,
    HeaderValidator,
    Identity,
    IssuedToken,
    KeyRing,
    LoginGuard,
    LoginLimits,
    MemoryRefreshFamilyStore,
    MemoryRevocationStore,
    PasswordManager,
    PasswordPolicy,
    PeerRule,
    PepperRing,
    RequestContext,
    RevocationPolicy,
    SecretBytes,
    SecretStr,
    SessionInfo,
    SessionProfile,
    SigningKey,
    StrengthCheck,
    TokenKind,
    TokenManager,
    TokenPair,
    TokenProfile,
    VerificationKey,
    breach_checks,
    claim_sources,
)
from common.auth.doctor import Finding, doctor
from common.auth.exceptions import (
    AuthError,
    ConfigurationError,
    InvalidClaim,
    InvalidCredentials,
    PolicyViolation,
    RateLimited,
)
from common.auth.gateway.peers import Peer
from common.auth.security.api_keys import ApiKeyIdentity, ApiKeySummary, IssuedApiKey
from common.auth.security.audit_logger import AuditStats, EventRef
from common.auth.security.breach_file import BreachFile
from common.auth.security.breach_range import BreachRange
from common.auth.security.breaches import BreachChecker, BreachChecks
from common.auth.security.claim_sources import ClaimSource
from common.auth.security.hashing_pool import PoolStats
from common.auth.security.keys import KeySource, KeyState, Signer
from common.auth.security.login_guard import Reservation, WhenBlocked
from common.auth.security.memory_stores import (
    MemoryApiKeyStore,
    MemoryCredentialStore,
    MemoryLoginCounterStore,
    MemoryNonceStore,
)
from common.auth.security.password_policy import PolicyReport
from common.auth.security.stores import (
    ApiKeyStore,
    CredentialStore,
    LoginCounterStore,
    NonceStore,
    RefreshFamily,
    RefreshFamilyStore,
    RevocationStore,
)
from common.auth.security.strength import StrengthEstimator, ZxcvbnEstimator
from common.auth.security.token_format import TokenReader, write_token
from common.auth.testing.store_laws import check_store
from common.core import Plugins
from common.core.audit import AuditOutcome
from common.core.json_types import JSONValue
from common.core.passwords import PasswordHasher, VerifyResult
from common.exceptions import CommonError, InvalidInput
from common.exceptions import ConfigurationError as FamilyConfigurationError


def passwords(manager: PasswordManager, ring: PepperRing, store: CredentialStore) -> None:
    """Hash, verify, judge, exchange the pepper."""
    assert_type(manager.hash("password"), str)
    assert_type(manager.verify(b"password", None), VerifyResult)
    assert_type(manager.needs_rehash("stored"), bool)
    assert_type(manager.validate_strength("password", context=["name"], mfa=True), PolicyReport)
    assert_type(manager.validate_strength("password").codes, tuple[str, ...])
    assert_type(manager.pool, HashingPool)
    assert_type(manager.pool.stats(), PoolStats)
    assert_type(PasswordManager.calibrate(), int)
    assert_type(ring.rotated("k2", SecretBytes(b"")), PepperRing)
    assert_type(ring.without("k1", store), PepperRing)
    assert_type(ring.hashes_by_pepper(store), Counter[str])
    hasher: PasswordHasher = manager
    PasswordManager(peppers=ring, policy=PasswordPolicy(context=("orders",)), pool=HashingPool(2, wait=1.0))
    PasswordManager(peppers=None, legacy_truncation="maybe")  # type: ignore[arg-type]
    PasswordManager()  # type: ignore[call-arg]
    hasher.hash(b"bytes are no part of the family's protocol")  # type: ignore[arg-type]


async def asynchronous_passwords(manager: PasswordManager) -> None:
    """The same on an event loop."""
    assert_type(await manager.ahash("password"), str)
    assert_type(await manager.averify("password", "stored"), VerifyResult)


def keys(ring: KeyRing, signer: Signer) -> None:
    """Sign, verify, rotate, publish."""
    assert_type(ring.active(), SigningKey)
    assert_type(ring.find("kid", "EdDSA"), VerificationKey)
    assert_type(ring.state("kid"), KeyState)
    assert_type(ring.rotate(SigningKey.generate(), overlap=timedelta(minutes=16)), KeyRing)
    assert_type(ring.revoke("kid"), KeyRing)
    assert_type(ring.public_jwks(), dict[str, JSONValue])
    assert_type(ring.active().sign(b"message"), bytes)
    assert_type(ring.find("kid", "EdDSA").verify(b"message", b"signature"), bool)
    source: KeySource = ring
    assert_type(TokenReader(keys=source, typ="at+jwt").read("token"), dict[str, JSONValue])
    assert_type(write_token({"sub": "u-1"}, typ="at+jwt", key=ring.active()), str)
    ring.rotate(SigningKey.generate())  # type: ignore[call-arg]


def tokens(ring: KeyRing, plugins: Plugins) -> None:
    """Issue and validate."""
    sources = claim_sources(plugins)
    assert_type(sources, tuple[ClaimSource, ...])
    manager = TokenManager(issuer="i", audience="a", keys=ring, profile=TokenProfile(), claims=sources)
    issued = manager.create_access("u-1", session="s-1", epoch=0, roles=["trader"], actor=Actor("orders"))
    assert_type(issued, IssuedToken)
    claims = manager.validate(issued.token, kind=TokenKind.ACCESS)
    assert_type(claims, Claims)
    assert_type(claims.subject, str)
    assert_type(claims.session, str | None)
    assert_type(claims.epoch, int)
    assert_type(claims.roles, frozenset[str])
    assert_type(claims.expires_at, datetime)
    assert_type(claims.authenticated_at, datetime | None)
    assert_type(claims.actors, tuple[str, ...])
    assert_type(claims.members, Mapping[str, JSONValue])
    claims.subject = "u-2"  # type: ignore[misc]
    manager.create_access("u-1")  # type: ignore[call-arg]


def sessions(ring: KeyRing, audit: AuditLogger, ctx: RequestContext) -> None:
    """Begin, renew, list and end; every store in memory is one of its protocol."""
    families: RefreshFamilyStore = MemoryRefreshFamilyStore()
    revocations: RevocationStore = MemoryRevocationStore()
    accounts: CredentialStore = MemoryCredentialStore()
    others: tuple[LoginCounterStore, ApiKeyStore, NonceStore] = (
        MemoryLoginCounterStore(),
        MemoryApiKeyStore(),
        MemoryNonceStore(),
    )
    manager = TokenManager(
        issuer="i",
        audience="a",
        keys=ring,
        families=families,
        revocations=revocations,
        accounts=accounts,
        audit=audit,
        sessions=SessionProfile(grace=timedelta(seconds=5)),
        freshness=RevocationPolicy(cache_for=timedelta(seconds=5)),
    )
    pair = manager.start_session("u-1", ctx, roles=["trader"])
    assert_type(pair, TokenPair)
    assert_type(manager.refresh(pair.refresh_token, ctx, scope=["a"]), TokenPair)
    assert_type(manager.validate_live(pair.access_token, freshness=Freshness.STRICT), Claims)
    assert_type(manager.sessions("u-1"), list[SessionInfo])
    assert_type(manager.revoke_user("u-1"), int)
    assert_type(manager.revoke_other_sessions("u-1", keep=pair.session), int)
    assert_type(families.find(pair.session), RefreshFamily | None)
    assert_type(check_store(families), tuple[str, ...])
    manager.refresh(pair.refresh_token)  # type: ignore[call-arg]
    manager.validate_live(pair.access_token, freshness="strict")  # type: ignore[arg-type]
    pair.session = "s-2"  # type: ignore[misc]
    del others


def secrets(octets: SecretBytes, text: SecretStr) -> None:
    """Reveal on purpose."""
    assert_type(octets.reveal(), bytes)
    assert_type(text.reveal(), str)


def weaknesses(manager: PasswordManager, ring: KeyRing, tokens: TokenManager) -> None:
    """Ask what is weak."""
    assert_type(doctor(manager, ring, tokens), tuple[Finding, ...])
    doctor("not inspectable")  # type: ignore[arg-type]


def errors(wrong: ConfigurationError, claim: InvalidClaim, policy: PolicyViolation, limited: RateLimited) -> None:
    """Catch by either root."""
    roots: tuple[AuthError, CommonError, FamilyConfigurationError] = (wrong, wrong, wrong)
    inputs: tuple[AuthError, InvalidInput] = (claim, claim)
    assert_type(policy.codes, tuple[str, ...])
    assert_type(limited.retry_after, float)
    assert_type(wrong.reason, str)
    assert_type(wrong.details, Mapping[str, object])
    del roots, inputs


def gateway(validator: HeaderValidator, signer: GatewaySigner) -> None:
    """Believe a request, and speak on in the caller's name."""
    identity = validator.validate("GET", b"/orders", [(b"x-identity-assertion", b"...")])
    assert_type(identity, Identity)
    assert_type(identity.roles, frozenset[str])
    headers = signer.sign(identity, audience="orders", method="GET", raw_path=b"/orders")
    assert_type(headers, list[tuple[bytes, bytes]])
    assert_type(
        signer.sign_outgoing(identity, audience="inventory", method="GET", raw_path=b"/"), list[tuple[bytes, bytes]]
    )


def audit(logger: AuditLogger, ctx: RequestContext) -> None:
    """Write events."""
    assert_type(logger.emit("authn_login_fail", outcome=AuditOutcome.FAILURE, ctx=ctx), EventRef)
    assert_type(logger.emit_required("authz_change", outcome=AuditOutcome.SUCCESS, timeout=1.0), EventRef)
    assert_type(logger.stats(), AuditStats)


def logins(store: LoginCounterStore, key: SecretBytes, audit: AuditLogger, ctx: RequestContext) -> None:
    """Reserve, verify, end."""
    guard = LoginGuard(store, key=key, limits=LoginLimits(free=5), when_blocked=WhenBlocked.CONCEAL, audit=audit)
    with guard.reserve("ada", ctx) as attempt:
        assert_type(attempt, Reservation)
        assert_type(attempt.verifiable(None), str | None)
        assert_type(attempt.failure("wrong_password", user_id="u-1", method="pwd"), InvalidCredentials)
    assert_type(guard.device_cookie("ada"), SecretStr)
    assert_type(doctor(guard), tuple[Finding, ...])
    LoginGuard(store)  # type: ignore[call-arg]
    LoginLimits(5)  # type: ignore[call-arg]


def api_keys(store: ApiKeyStore, ends: datetime) -> None:
    """Issue, verify, rotate, revoke."""
    manager = ApiKeyManager(store, environment="live")
    issued = manager.issue("billing", ["orders:read"], expires=ends)
    assert_type(issued, IssuedApiKey)
    assert_type(issued.key, SecretStr)
    assert_type(manager.verify("ca_...", scope="orders:read"), ApiKeyIdentity)
    assert_type(manager.keys_of("billing"), tuple[ApiKeySummary, ...])
    assert_type(manager.revoke("id"), bool)
    manager.issue("billing", ["orders:read"])  # type: ignore[call-arg]


def new_passwords(manager: PasswordManager, plugins: Plugins) -> None:
    """Judge by more than the policy."""
    checkers: tuple[BreachChecker, ...] = (BreachFile("breached.txt"), BreachRange("https://ranges.example/range"))
    estimator: StrengthEstimator = ZxcvbnEstimator()
    strict = manager.judging(strength=StrengthCheck(estimator=estimator), breaches=BreachChecks(checkers))
    assert_type(strict, PasswordManager)
    assert_type(breach_checks(plugins).is_breached("password"), bool)


def peers(validator: HeaderValidator) -> None:
    """Demand a network or a certificate."""
    PeerRule(networks=["10.1.0.0/24"]).require(Peer("10.1.0.7"))
    PeerRule(["10.1.0.0/24"])  # type: ignore[call-arg]
