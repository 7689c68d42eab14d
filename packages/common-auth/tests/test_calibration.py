"""The cost is chosen by the processor (auth P10)."""

import bcrypt
import pytest

from common.auth.exceptions import ConfigurationError
from common.auth.security.calibration import choose_cost
from common.auth.security.password_manager import PasswordManager
from common.auth.testing import quick_passwords


class Stopwatch:
    """A timer by which each hash took *seconds*."""

    def __init__(self, *seconds: float) -> None:
        self._readings = iter([reading for each in seconds for reading in (0.0, each)])

    def __call__(self) -> float:
        return next(self._readings)


def no_work(password: bytes, salt: bytes) -> bytes:
    """Take no time; the stopwatch says how long it took."""
    return b""


@pytest.mark.parametrize(
    ("seconds", "cost"), [(0.25, 10), (0.126, 10), (0.125, 11), (0.0625, 12), (0.04, 12), (0.001, 14), (0.9, 10)]
)
def test_the_highest_affordable_cost_is_chosen(seconds: float, cost: int) -> None:
    """Each step doubles: what takes 62.5 ms at cost 10 takes 250 ms at cost 12."""
    assert cost == choose_cost(timer=Stopwatch(*[seconds] * 3), digest=no_work)


def test_one_disturbed_measurement_changes_nothing() -> None:
    """The median of three counts."""
    assert 12 == choose_cost(timer=Stopwatch(0.06, 3.0, 0.06), digest=no_work)


def test_a_slow_machine_is_warned_about() -> None:
    """Where even the floor takes over a second of processor time, somebody should know."""
    with pytest.warns(UserWarning, match=r"cost 10 takes 1\.5 s"):
        assert 10 == choose_cost(timer=Stopwatch(1.5, 1.5, 1.5), digest=no_work)


def test_it_measures_bcrypt_at_the_floor() -> None:
    """What is timed are three real hashes of the least cost."""
    salts = []

    def recorded(password: bytes, salt: bytes) -> bytes:
        salts.append(salt[:7])
        return bcrypt.hashpw(password, salt)

    choose_cost(floor=4, ceil=5, timer=Stopwatch(1e-3, 1e-3, 1e-3), digest=recorded)

    assert [b"$2b$04$"] * 3 == salts


def test_the_manager_calibrates_with_the_real_clock() -> None:
    """The result lies within the limits, whatever this machine is."""
    assert 4 <= PasswordManager.calibrate(5, floor=4, ceil=6) <= 6


@pytest.mark.parametrize("limits", [(0, 10, 14), (250, 3, 14), (250, 12, 11), (250, 10, 16)])
def test_limits_are_checked(limits: tuple[float, int, int]) -> None:
    """A range outside bcrypt's use, or no time at all, is refused."""
    with pytest.raises(ConfigurationError):
        choose_cost(*limits)


@pytest.mark.parametrize("cost", [9, 4, 16, 31, -1, 10.0, True, "12"])
def test_costs_out_of_range_are_refused(cost: object) -> None:
    """Below 10 is refused without ``testing=True`` (ASVS appendix C), above 15 always."""
    with pytest.raises(ConfigurationError, match="cost"):
        PasswordManager(peppers=None, allow_unpeppered=True, cost=cost)  # type: ignore[arg-type]


def test_testing_permits_low_costs() -> None:
    """From 4, so that a suite stays fast."""
    assert quick_passwords(cost=4).hash("word").split("$")[4] == "04"
    with pytest.raises(ConfigurationError):
        quick_passwords(cost=3)


def test_the_default_cost_and_the_limits() -> None:
    """Twelve unless told otherwise; ten and fifteen are still taken (ASVS appendix C)."""

    def made(**options: int) -> str:
        return repr(PasswordManager(peppers=None, allow_unpeppered=True, **options))  # type: ignore[arg-type]

    assert "cost=12," in made()
    assert "cost=10," in made(cost=10)
    assert "cost=15," in made(cost=15)
