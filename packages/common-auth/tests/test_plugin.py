"""What common-auth contributes to a service, by its environment (auth X3, H2; family F15)."""

import asyncio
import base64
import logging
import secrets

import pytest

import common.auth.plugin
from common.auth.exceptions import ConfigurationError
from common.auth.health import HashingPoolCheck, PepperCheck, SignerCheck
from common.auth.plugin import RefusingHasher
from common.auth.security.hashing_pool import HashingPool
from common.auth.security.keys import KeyRing, SigningKey
from common.auth.security.password_manager import PasswordManager
from common.auth.testing import ISSUER, quick_passwords
from common.core import App, Plugins, Settings
from common.core.cli import main
from common.core.health import CheckContext, Status
from common.core.testing import bare_plugins
from common.exceptions import CommonError, PluginLoadError

OCTETS = secrets.token_bytes(32)
PEPPER = base64.b64encode(OCTETS).decode()
OTHER = base64.urlsafe_b64encode(secrets.token_bytes(48)).rstrip(b"=").decode()
CONTEXT = CheckContext(deadline=0)


def loaded(environment: str = "production", **variables: str) -> Plugins:
    """Load the plugin alone, in the environment of the given variables."""
    environ = {f"COMMON_AUTH_{name}": value for name, value in variables.items()}
    settings = Settings(service_name="orders", environment=environment, environ=environ)
    return bare_plugins(common.auth.plugin, settings=settings)


def test_a_pepper_is_all_it_takes() -> None:
    """The hasher is a password manager at cost 12 with that pepper."""
    hasher = loaded(PEPPERS=f"k1:{PEPPER}").password_hasher()

    assert isinstance(hasher, PasswordManager)
    assert "PasswordManager(cost=12, pepper='k1', normalisation='nfc')" == repr(hasher)


def test_every_setting_arrives() -> None:
    """Cost, peppers, normalisation, truncation, slots and context."""
    hasher = loaded(
        PEPPERS=f"k1:{PEPPER}, k2:{OTHER}",
        PEPPER_ACTIVE="k2",
        BCRYPT_COST="10",
        NORMALISATION="NFKC",
        LEGACY_TRUNCATION="truncate",
        HASHING_SLOTS="3",
        CONTEXT="initech",
    ).password_hasher()

    assert isinstance(hasher, PasswordManager)
    assert "PasswordManager(cost=10, pepper='k2', normalisation='nfkc')" == repr(hasher)
    assert 3 == hasher.pool.stats().slots
    assert not hasher.validate_strength("orders-initech-orders").ok
    assert ["low_cost", "truncation"] == [finding.code for finding in hasher.weaknesses()]


def test_one_pepper_in_base64_of_either_alphabet_is_the_same() -> None:
    """With or without padding."""
    plain = quick_passwords()  # any manager: the stored hash says what it needs
    urlsafe = base64.urlsafe_b64encode(OCTETS).rstrip(b"=").decode()
    first, second = (loaded(PEPPERS=f"k1:{form}", BCRYPT_COST="10").password_hasher() for form in (PEPPER, urlsafe))
    assert first is not None
    assert second is not None

    assert second.verify("violet window", first.hash("violet window")).ok
    plain.close()


def test_production_without_pepper_starts_and_refuses_passwords() -> None:
    """A service may keep no passwords at all; one that does is told what to set, at the first password."""
    plugins = loaded()
    hasher = plugins.password_hasher()
    assert isinstance(hasher, RefusingHasher)

    for call in (lambda: hasher.hash("x"), lambda: hasher.verify("x", None)):
        with pytest.raises(ConfigurationError, match="COMMON_AUTH_PEPPERS"):
            call()
    (check,) = plugins.health_checks()
    assert isinstance(check, PepperCheck)
    assert (Status.WARN, "no_pepper") == (check.check(CONTEXT).status, check.check(CONTEXT).reason)


@pytest.mark.parametrize(
    ("environment", "variables"), [("development", {}), ("test", {}), ("production", {"ALLOW_UNPEPPERED": "1"})]
)
def test_without_pepper_where_that_is_permitted(
    environment: str, variables: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """In development, or on demand; a warning is logged."""
    caplog.set_level(logging.WARNING)
    plugins = loaded(environment, **variables)
    hasher = plugins.password_hasher()

    assert "PasswordManager(cost=12, pepper=None, normalisation='nfc')" == repr(hasher)
    assert ["Passwords are hashed without a pepper. Set COMMON_AUTH_PEPPERS before production."] == caplog.messages
    assert [Status.PASS] == [check.check(CONTEXT).status for check in plugins.health_checks()]  # type: ignore[union-attr]


def test_passwords_can_be_switched_off() -> None:
    """Then there is neither hasher nor check."""
    plugins = loaded(PASSWORDS="off")

    assert plugins.password_hasher() is None
    assert () == plugins.health_checks()


MALFORMED = {
    "no id": {"PEPPERS": PEPPER},
    "no base64": {"PEPPERS": "k1:***"},
    "cut base64": {"PEPPERS": "k1:AAAAA"},
    "not ASCII": {"PEPPERS": "k1:ключ"},
    "one id twice": {"PEPPERS": f"k1:{PEPPER},k1:{OTHER}"},
    "short": {"PEPPERS": "k1:c2hvcnQ="},
    "weak": {"PEPPERS": "k1:" + base64.b64encode(b"k" * 32).decode()},
    "which one": {"PEPPERS": f"k1:{PEPPER},k2:{OTHER}"},
    "active one missing": {"PEPPERS": f"k1:{PEPPER}", "PEPPER_ACTIVE": "k2"},
    "cost too low": {"BCRYPT_COST": "9"},
    "cost no number": {"BCRYPT_COST": "twelve"},
    "normalisation": {"NORMALISATION": "nfd"},
    "truncation": {"LEGACY_TRUNCATION": "maybe"},
    "slots": {"HASHING_SLOTS": "0"},
    "flag": {"PASSWORDS": "perhaps"},
}


@pytest.mark.parametrize("variables", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_variable_stops_the_start(variables: dict[str, str]) -> None:
    """Loading fails with an error that names what is wrong, and shows no value."""
    with pytest.raises(PluginLoadError) as refused:
        loaded("development", **variables)

    assert PEPPER[:12] not in str(refused.value)
    assert all(isinstance(failure.error, CommonError) for failure in refused.value.failures)


def test_shutdown_ends_the_threads_of_the_pools() -> None:
    """The hasher's own, and those that the service made."""
    plugins = loaded(PEPPERS=f"k1:{PEPPER}", BCRYPT_COST="10")
    hasher = plugins.password_hasher()
    assert isinstance(hasher, PasswordManager)
    own, pool = quick_passwords(), HashingPool(1)
    app = App(settings=Settings(), plugins=plugins, provides=(own, pool))

    with plugins.running(app):
        asyncio.run(hasher.averify("x", None))
    for closed in (hasher.pool, own.pool, pool):
        with pytest.raises(CommonError, match="closed"):
            closed.run(int)


def test_the_plugin_keeps_no_state() -> None:
    """Two services in one process have hashers of their own."""
    assert loaded("test").password_hasher() is not loaded("test").password_hasher()


ALONE = {"COMMON_PLUGINS_BLOCK": "common-dynamo,common-observability,acme-plugin", "COMMON_PLUGINS_ONLY": ""}


def test_the_doctor_finds_what_is_weak(capsys: pytest.CaptureFixture[str]) -> None:
    """``common auth doctor`` lists each finding and exits 1."""
    assert 1 == main(["auth", "doctor"], environ=ALONE)
    assert "passwords: no_pepper: Passwords are refused." in capsys.readouterr().out

    assert 1 == main(["auth", "doctor"], environ={**ALONE, "COMMON_ENVIRONMENT": "test"})
    assert "passwords: unpeppered" in capsys.readouterr().out


def test_the_doctor_finds_nothing_where_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    """And exits 0."""
    assert 0 == main(["auth", "doctor"], environ={**ALONE, "COMMON_AUTH_PEPPERS": f"k1:{PEPPER}"})
    assert "No weak settings found." in capsys.readouterr().out


def test_calibrate_prints_the_setting(capsys: pytest.CaptureFixture[str]) -> None:
    """``common auth calibrate`` prints a line for the environment."""
    words = ["auth", "calibrate", "--target-ms", "1", "--floor", "4", "--ceil", "5"]

    assert 0 == main(words, environ=ALONE)
    assert capsys.readouterr().out in {"COMMON_AUTH_BCRYPT_COST=4\n", "COMMON_AUTH_BCRYPT_COST=5\n"}


def test_a_ring_without_signer_fails_its_check() -> None:
    """No token can be issued: the service is not ready."""
    ring = KeyRing([SigningKey.generate(kid="k1")], issuer=ISSUER)

    assert (Status.PASS, "k1") == (
        SignerCheck(ring).check(CONTEXT).status,
        SignerCheck(ring).check(CONTEXT).detail["kid"],
    )
    failed = SignerCheck(ring.revoke("k1")).check(CONTEXT)
    assert (Status.FAIL, "no_active_signer") == (failed.status, failed.reason)


def test_a_filling_queue_warns() -> None:
    """Before passwords are refused, somebody can act."""
    pool = HashingPool(1, queue=2)
    assert Status.PASS is HashingPoolCheck(pool).check(CONTEXT).status

    pool._waiting = 2
    warned = HashingPoolCheck(pool).check(CONTEXT)
    assert (Status.WARN, "queue_filling", (2.0, "1")) == (warned.status, warned.reason, warned.observed)
