"""Bad settings are refused or told (auth X3)."""

import secrets
from datetime import timedelta
from typing import Any

import pytest

from common.auth.doctor import Inspectable, doctor
from common.auth.exceptions import ConfigurationError
from common.auth.security.api_keys import ApiKeyManager
from common.auth.security.audit_logger import AuditLogger
from common.auth.security.audit_sinks import MemorySink
from common.auth.security.keys import KeyRing, SigningKey
from common.auth.security.login_guard import LoginGuard, LoginLimits
from common.auth.security.memory_stores import MemoryApiKeyStore, MemoryLoginCounterStore
from common.auth.security.password_manager import PasswordManager
from common.auth.security.peppers import PepperRing
from common.auth.security.secrets import SecretBytes
from common.auth.security.token_manager import TokenProfile
from common.auth.testing import ISSUER, quick_passwords, token_manager
from common.core.utils.clock import FrozenClock

PEPPERS = PepperRing({"k1": secrets.token_bytes(32)}, active="k1")
CLOCK = FrozenClock()
AUDIT = AuditLogger([MemorySink()], service="users")  # its threads would start with the first event; there is none


def ring(*keys: SigningKey, **options: Any) -> KeyRing:
    """Build a ring."""
    return KeyRing(keys or [SigningKey.generate("EdDSA", kid="k1")], issuer=ISSUER, **options)


def tokens(**profile: Any) -> Inspectable:
    """Build a token manager with such a profile."""
    return token_manager(clock=CLOCK, profile=TokenProfile(**profile))


def guard(**options: Any) -> LoginGuard:
    """Build a guard of logins."""
    return LoginGuard(MemoryLoginCounterStore(), key=SecretBytes(secrets.token_bytes(32)), **options)


WEAK: dict[str, tuple[Inspectable, list[str]]] = {
    "good passwords": (PasswordManager(peppers=PEPPERS), []),
    "no pepper": (PasswordManager(peppers=None, allow_unpeppered=True), ["unpeppered"]),
    "low cost": (PasswordManager(peppers=PEPPERS, cost=11), ["low_cost"]),
    "test settings": (quick_passwords(), ["low_cost", "testing"]),
    "truncation": (PasswordManager(peppers=PEPPERS, legacy_truncation="truncate"), ["truncation"]),
    "good keys": (ring(), []),
    "secrets": (ring(SigningKey.generate("HS256"), allow_symmetric=True), ["symmetric_keys"]),
    "no signer": (ring().revoke("k1"), ["no_active_signer"]),
    "good tokens": (tokens(), []),
    "long life": (tokens(max_ttl=timedelta(hours=1)), ["long_lived"]),
    "wide leeway": (tokens(leeway=timedelta(seconds=60)), ["wide_leeway"]),
    "audience lists": (tokens(accept_audience_lists=True), ["shared_audience"]),
    "fewer claims": (tokens(required=frozenset({"sub"})), ["fewer_claims"]),
    "good logins": (guard(audit=AUDIT), []),
    "logins without a trail": (guard(), ["no_audit"]),
    "many attempts": (guard(audit=AUDIT, limits=LoginLimits(free=11)), ["many_attempts"]),
    "good API keys": (ApiKeyManager(MemoryApiKeyStore(), environment="live", audit=AUDIT), []),
    "API keys without a trail": (ApiKeyManager(MemoryApiKeyStore(), environment="live"), ["no_audit"]),
}


@pytest.mark.parametrize(("part", "codes"), WEAK.values(), ids=WEAK)
def test_weak_settings_are_told(part: Inspectable, codes: list[str]) -> None:
    """Each by a stable code and a sentence that says what to do."""
    findings = doctor(part)

    assert codes == [finding.code for finding in findings]
    assert all(len(finding.message) > 20 and str(finding).startswith(finding.part) for finding in findings)


def test_the_doctor_looks_at_everything_it_is_given() -> None:
    """In the order of the parts."""
    parts = [part for part, _ in WEAK.values()]

    assert [code for _, codes in WEAK.values() for code in codes] == [finding.code for finding in doctor(*parts)]


BAD: dict[str, dict[str, Any]] = {
    "no pepper": {"peppers": None},
    "low cost": {"peppers": PEPPERS, "cost": 9},
    "high cost": {"peppers": PEPPERS, "cost": 16},
    "truncation": {"peppers": PEPPERS, "legacy_truncation": "yes"},
}


@pytest.mark.parametrize("options", BAD.values(), ids=BAD)
def test_bad_settings_are_refused_at_once(options: dict[str, Any]) -> None:
    """When the manager is made, not when the first password comes."""
    with pytest.raises(ConfigurationError):
        PasswordManager(**options)


def test_there_is_no_insecure_default() -> None:
    """What has to be decided has no default: a manager cannot be made without naming its peppers."""
    with pytest.raises(TypeError, match="peppers"):
        PasswordManager()  # type: ignore[call-arg]
