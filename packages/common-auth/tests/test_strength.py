"""New passwords can be judged by an estimator of the service's choice, within a budget (auth P18)."""

import logging
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from common.auth.exceptions import ConfigurationError, HashingOverloaded
from common.auth.security.hashing_pool import HashingPool
from common.auth.security.password_manager import PasswordManager
from common.auth.security.password_policy import PasswordPolicy
from common.auth.security.strength import StrengthCheck, StrengthEstimator, ZxcvbnEstimator
from common.auth.testing import quick_passwords
from common.exceptions import MissingPart

PHRASE = "violet-tractor-mumbles-sonnet"


class Told:
    """An estimator that answers what it is told, and remembers what it was asked."""

    def __init__(self, answer: Any = 20.0) -> None:
        self.answer = answer
        self.asked: list[tuple[str, Sequence[str]]] = []
        self.threads: list[str] = []

    def guesses_log10(self, password: str, context: Sequence[str], /) -> float:
        self.asked.append((password, context))
        self.threads.append(threading.current_thread().name)
        if isinstance(self.answer, Exception):
            raise self.answer
        guesses: float = self.answer
        return guesses


class Slow(Told):
    """An estimator that waits until it may go on."""

    def __init__(self) -> None:
        super().__init__(0.0)
        self.gate = threading.Event()

    def guesses_log10(self, password: str, context: Sequence[str], /) -> float:
        self.gate.wait(10)
        return super().guesses_log10(password, context)


@pytest.fixture
def passwords() -> Iterator[PasswordManager]:
    """Return a manager whose policy knows a word."""
    manager = quick_passwords(policy=PasswordPolicy(context=("initech",)))
    yield manager
    manager.close()


def judged(passwords: PasswordManager, estimator: StrengthEstimator, password: str, **options: Any) -> tuple[str, ...]:
    """Return the codes of *password*."""
    check = StrengthCheck(estimator=estimator, **options)
    return passwords.judging(strength=check).validate_strength(password).codes


@pytest.mark.parametrize("length", [72, 73, 200, 256])
def test_a_long_password_does_not_raise(passwords: PasswordManager, length: int) -> None:
    """zxcvbn raises over 72 characters; it is given the first 72."""
    long = (PHRASE + " ").join(str(number) for number in range(20))[:length]

    assert () == judged(passwords, ZxcvbnEstimator(), long)


def test_zxcvbn_sees_what_the_policy_does_not(passwords: PasswordManager) -> None:
    """A long word of the dictionary is in no list of passwords, and easy to guess all the same."""
    assert passwords.validate_strength("congratulations!").ok
    assert ("guessable",) == judged(passwords, ZxcvbnEstimator(), "congratulations!")
    assert () == judged(passwords, ZxcvbnEstimator(), PHRASE)


def test_zxcvbn_hears_of_the_context(passwords: PasswordManager) -> None:
    """What attackers know of the user costs them no guess."""
    estimator = ZxcvbnEstimator()
    name = "quixelbramthorpe"

    assert estimator.guesses_log10(name, [name]) < 1
    assert estimator.guesses_log10(name, []) > 8


@pytest.mark.parametrize(("guesses", "codes"), [(7.99, ("guessable",)), (8.0, ()), (float("nan"), ())])
def test_the_limit_is_a_number_of_guesses(passwords: PasswordManager, guesses: float, codes: tuple[str, ...]) -> None:
    """10^8 by default; what is no number refuses nothing."""
    assert codes == judged(passwords, Told(guesses), PHRASE)


def test_the_estimate_runs_in_the_pool_with_the_context(passwords: PasswordManager) -> None:
    """On a thread of the pool, with the words of policy and user."""
    told = Told()
    manager = passwords.judging(strength=StrengthCheck(estimator=told))

    assert manager.validate_strength(PHRASE, context=["ada"]).ok
    assert [(PHRASE, ("initech", "ada"))] == told.asked
    assert told.threads[0].startswith("common-auth-hashing")


def test_what_the_policy_refuses_is_not_estimated(passwords: PasswordManager) -> None:
    """The estimate costs; and what is no text or too long never reaches it."""
    told = Told()
    for password in ("short", "x" * 257, "passwordpassword1", "\ud800" * 20):
        assert judged(passwords, told, password)
    assert [] == told.asked


@pytest.mark.parametrize("answer", [ValueError("violet"), "many", None], ids=repr)
def test_an_estimator_that_fails_refuses_nothing(
    passwords: PasswordManager, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, without the password."""
    with caplog.at_level(logging.WARNING):
        assert () == judged(passwords, Told(answer), PHRASE)
    assert 1 == len(caplog.messages)
    assert "violet" not in caplog.text


def test_an_estimate_has_a_budget(caplog: pytest.LogCaptureFixture) -> None:
    """What takes longer is not waited for; it keeps its slot until it ends, so that such ones do not pile up."""
    slow, pool = Slow(), HashingPool(1, queue=0)
    manager = quick_passwords(pool=pool).judging(strength=StrengthCheck(estimator=slow, seconds=0.05))
    with caplog.at_level(logging.WARNING):
        assert manager.validate_strength(PHRASE).ok
    assert 1 == pool.stats().busy
    with pytest.raises(HashingOverloaded):
        manager.validate_strength(PHRASE)
    slow.gate.set()
    pool.close()

    assert 0 == pool.stats().busy == pool.stats().waiting
    assert ["The strength of a password was not estimated: it took over 0.05 s."] == caplog.messages


def test_a_place_in_the_queue_is_given_back_with_the_budget() -> None:
    """Work that had not begun when its time was over never begins."""
    pool, gate, ran = HashingPool(1, queue=4), threading.Event(), threading.Event()
    with pytest.raises(HashingOverloaded, match="longer"):
        pool.run_within(0.02, lambda: gate.wait(10))
    with pytest.raises(HashingOverloaded, match="longer"):
        pool.run_within(0.02, ran.set)
    assert 0 == pool.stats().waiting
    gate.set()
    pool.close()

    assert not ran.is_set()


def test_work_within_its_budget_returns_and_raises() -> None:
    """As if it were called, also where it raises what a wait raises."""
    pool = HashingPool(1)
    assert 7 == pool.run_within(5.0, lambda: 7)
    with pytest.raises(TimeoutError, match="mine"):
        pool.run_within(5.0, lambda: (_ for _ in ()).throw(TimeoutError("mine")))
    pool.close()


def test_a_judging_manager_shares_everything_else(passwords: PasswordManager) -> None:
    """Pool, peppers and hashes; and the one that it was made of judges as before."""
    twin = passwords.judging(strength=StrengthCheck(estimator=Told(0.0)))

    assert twin.pool is passwords.pool
    assert twin.verify("a password", passwords.hash("a password")).ok
    assert passwords.validate_strength(PHRASE).ok
    assert ("guessable",) == twin.validate_strength(PHRASE).codes


@pytest.mark.parametrize("limit", [{"at_least": 0}, {"seconds": -1.0}, {"characters": 0}, {"at_least": float("inf")}])
def test_limits_that_mean_nothing_are_refused(limit: dict[str, Any]) -> None:
    """When the check is made."""
    with pytest.raises(ConfigurationError):
        StrengthCheck(estimator=Told(), **limit)


def test_zxcvbn_is_imported_when_the_adapter_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service without it does without; one that asks for it is told what to install."""
    monkeypatch.setitem(sys.modules, "zxcvbn", None)
    with pytest.raises(MissingPart, match="Add zxcvbn to the service's dependencies"):
        ZxcvbnEstimator()
