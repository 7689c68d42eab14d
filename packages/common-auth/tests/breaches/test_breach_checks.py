"""All checkers are asked, each by itself; the service says what a failure means (auth P19; ASVS 6.2.12)."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

import common.auth.hookspecs
import common.auth.plugin
from common.auth.exceptions import AuthUnavailable, ConfigurationError
from common.auth.security.audit_logger import AuditLogger
from common.auth.security.audit_sinks import MemorySink
from common.auth.security.breach_file import BreachFile
from common.auth.security.breach_range import BreachRange
from common.auth.security.breach_settings import BreachSettings
from common.auth.security.breaches import (
    BreachChecker,
    BreachChecks,
    BreachHash,
    OnBreachFailure,
    PasswordHashes,
    breach_checks,
)
from common.auth.security.md4 import md4
from common.auth.testing import quick_passwords
from common.auth.testing.breaches import KnownBreaches
from common.core import Settings
from common.core.testing import bare_plugins, make_plugin
from common.exceptions import PluginLoadError, to_problem

KNOWN = "saffron giraffe unwinds quartz"
FRESH = "violet-tractor-mumbles-sonnet"


class Broken:
    """A checker that raises."""

    def __init__(self, name: str = "broken", error: Exception | None = None) -> None:
        self.name = name
        self.error = error or ConnectionError("lost")
        self.asked: list[PasswordHashes] = []

    def occurrences(self, hashes: PasswordHashes, /) -> int:
        self.asked.append(hashes)
        raise self.error


# RFC 1320, appendix A.5.
MD4_VECTORS = {
    "": "31d6cfe0d16ae931b73c59d7e0c089c0",
    "a": "bde52cb31de33e46245e05fbdbd6fb24",
    "abc": "a448017aaf21d8525fc10ae87aa6729d",
    "message digest": "d9130a8164549fe818874806e1c7014b",
    "abcdefghijklmnopqrstuvwxyz": "d79e1c308aa5bbcdeea8ed63df412da9",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789": "043f8582f241db351ce627e153e7f0e4",
    "1234567890" * 8: "e33b4ddc9c38f2199c3e7b164fcc0536",
}


@pytest.mark.parametrize(("message", "digest"), MD4_VECTORS.items(), ids=map(str, range(len(MD4_VECTORS))))
def test_md4_is_that_of_its_standard(message: str, digest: str) -> None:
    """All examples of RFC 1320, appendix A.5."""
    assert digest == md4(message.encode()).hex()


def test_both_hashes_are_those_of_the_published_lists() -> None:
    """SHA-1 of UTF-8 and MD4 of UTF-16, in upper case."""
    hashes = PasswordHashes.of("password")

    assert "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8" == hashes.by(BreachHash.SHA1)
    assert "8846F7EAEE8FB117AD06BDD830B7586C" == hashes.by(BreachHash.NTLM)
    assert (40, 32) == (BreachHash.SHA1.digits, BreachHash.NTLM.digits)
    assert PasswordHashes.of("\ud800").sha1 != PasswordHashes.of("?").sha1


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_raising_checker_hides_no_other(place: int) -> None:
    """Wherever it stands."""
    checkers: list[BreachChecker] = [KnownBreaches("other"), KnownBreaches(KNOWN, name="second")]
    checkers.insert(place, Broken())

    for mode in OnBreachFailure:
        assert BreachChecks(checkers, on_failure=mode).is_breached(KNOWN)


def test_where_a_checker_fails_the_service_chose_what_follows(caplog: pytest.LogCaptureFixture) -> None:
    """Open: the password is taken; closed: it is not, now. Both are logged and audited, by the checker's name."""
    sink = MemorySink()
    audit = AuditLogger([sink], service="users")
    with caplog.at_level(logging.WARNING):
        assert not BreachChecks([Broken()], audit=audit).is_breached(FRESH)
        closed = BreachChecks([Broken(), KnownBreaches()], on_failure=OnBreachFailure.CLOSED, audit=audit)
        with pytest.raises(AuthUnavailable) as refused:
            closed.is_breached(FRESH)
    audit.close()

    assert 503 == to_problem(refused.value).status
    assert ["authn_breach_check_fail"] * 2 == [event.type for event in sink.events]
    assert {"checker": "broken", "cause": "ConnectionError"} == dict(sink.events[0].details)
    assert 2 == len(caplog.messages)


def test_no_checker_is_told_the_password() -> None:
    """Only its hashes, which show themselves to nobody."""
    broken = Broken(error=ValueError(FRESH))
    checks = BreachChecks([broken])
    checks.is_breached(FRESH)
    (told,) = broken.asked

    assert FRESH not in repr(vars(broken)["asked"])
    assert {"sha1", "ntlm"} == set(PasswordHashes.__slots__)
    assert told.sha1 not in repr(told)


def test_what_a_checker_says_of_the_password_reaches_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """A message or reason of somebody else's may hold anything; the class of the error is enough."""
    telling = UnicodeEncodeError("ascii", FRESH, 0, 1, FRESH)
    with caplog.at_level(logging.DEBUG):
        BreachChecks([Broken(error=ValueError(FRESH)), Broken("telling", telling)]).is_breached(FRESH)
    assert FRESH not in caplog.text
    assert 2 == len(caplog.messages)


def test_a_new_password_from_a_breach_is_refused_by_a_code() -> None:
    """``validate_strength`` asks them, once the policy has nothing against it."""
    broken = Broken()
    passwords = quick_passwords().judging(breaches=BreachChecks([broken, KnownBreaches(KNOWN)]))

    assert ("breached",) == passwords.validate_strength(KNOWN).codes
    assert passwords.validate_strength(FRESH).ok
    asked = len(broken.asked)
    assert ("too_short", "listed_word", "number") == passwords.validate_strength("password1").codes
    assert asked == len(broken.asked), "what is refused anyway is asked nobody"


def test_two_checkers_of_one_name_are_refused() -> None:
    """The trail could not tell them apart."""
    with pytest.raises(ConfigurationError):
        BreachChecks([Broken(), Broken()])
    with pytest.raises(ConfigurationError):
        BreachChecks([], on_failure="sometimes")  # type: ignore[arg-type]


def plugins_with(*strangers: Any, **variables: str) -> Any:
    """Load the plugin of common-auth and others."""
    environ = {f"COMMON_AUTH_BREACH_{name}": value for name, value in variables.items()}
    settings = Settings(service_name="users", environment="test", environ=environ)
    return bare_plugins(common.auth.plugin, *strangers, settings=settings, hookspecs=[common.auth.hookspecs])


def test_all_checkers_of_all_plugins_are_kept() -> None:
    """Ours by the environment, a stranger's by the same hook."""
    stranger = make_plugin(common_breach_checker=lambda settings: [KnownBreaches(KNOWN, name="acme")])
    plugins = plugins_with(stranger, FILE="nowhere", FILE_HASH="ntlm", RANGE_URL="https://ranges.example/range")
    file, ranges, known = plugins.breach_checkers()

    assert (BreachFile, BreachRange, KnownBreaches) == (type(file), type(ranges), type(known))
    assert "BreachFile(name='breach-file', kind='ntlm')" == repr(file)
    assert "BreachRange('https://ranges.example/range', kind='sha1')" == repr(ranges)
    assert "BreachChecks(['breach-file', 'breach-range', 'acme'], on_failure='open')" == repr(breach_checks(plugins))


def test_without_a_variable_nobody_is_asked() -> None:
    """No list is bundled, and no address is built in."""
    assert () == plugins_with().breach_checkers()
    assert not breach_checks(plugins_with()).is_breached("password")


WRONG: dict[str, Callable[[], object]] = {
    "no checker": lambda: [object()],
    "the class": lambda: [KnownBreaches],
    "no name": lambda: [KnownBreaches(name="")],
    "one object": lambda: KnownBreaches(),
    "twice one name": lambda: [KnownBreaches(), KnownBreaches()],
    "an exception": lambda: 1 / 0,
}


@pytest.mark.parametrize("give", WRONG.values(), ids=WRONG)
def test_what_is_no_checker_fails_the_load(give: Callable[[], object]) -> None:
    """Not the first new password."""
    with pytest.raises(PluginLoadError, match="common_breach_checker"):
        plugins_with(make_plugin(common_breach_checker=give))


@pytest.mark.parametrize(
    "variables",
    [
        {"FILE_HASH": "md5"},
        {"RANGE_URL": "http://ranges.example/range"},
        {"RANGE_URL": "https://u:p@ranges.example/"},
        {"RANGE_URL": "https://ranges.example", "RANGE_SECONDS": "11"},
        {"ON_FAILURE": "maybe"},
    ],
    ids=str,
)
def test_a_malformed_variable_stops_the_start(variables: dict[str, str]) -> None:
    """And is named."""
    with pytest.raises(PluginLoadError):
        plugins_with(**variables)


def test_the_failure_mode_is_read_from_the_environment() -> None:
    """For ``breach_checks(on_failure=…)``."""
    settings = Settings(environ={"COMMON_AUTH_BREACH_ON_FAILURE": "closed"})

    assert BreachSettings.of(settings).on_failure is OnBreachFailure.CLOSED
    assert BreachSettings.of(Settings()).on_failure is OnBreachFailure.OPEN
