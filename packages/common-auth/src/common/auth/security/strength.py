"""How many guesses a new password would take, by an estimator of the service's choice; none is a dependency."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, Protocol

from common.auth.exceptions import ConfigurationError, HashingOverloaded
from common.auth.security.hashing_pool import HashingPool
from common.exceptions import MissingPart

__all__ = ["StrengthCheck", "StrengthEstimator", "ZxcvbnEstimator"]

_log = logging.getLogger("common.auth.strength")

_LONGEST_FOR_ZXCVBN: Final = 72


class StrengthEstimator(Protocol):
    """Estimates how many guesses a password takes."""

    def guesses_log10(self, password: str, context: Sequence[str], /) -> float:
        """Return the decimal logarithm of the guesses that an informed attacker needs.

        Args:
            password: Perhaps only the beginning of it; see :attr:`StrengthCheck.characters`.
            context: What attackers know of the user and the service.
        """
        ...


class ZxcvbnEstimator:
    """The estimator zxcvbn (Wheeler, "zxcvbn: Low-Budget Password Strength Estimation", USENIX Security 2016).

    It takes 72 characters at the most, and some 50 ms for them.

    Raises:
        MissingPart: The package zxcvbn is not installed.
    """

    def __init__(self) -> None:
        try:
            self._zxcvbn: Any = import_module("zxcvbn").zxcvbn
        except ModuleNotFoundError as error:
            if error.name != "zxcvbn":
                raise
            raise MissingPart("ZxcvbnEstimator needs zxcvbn", dist="zxcvbn") from None

    def guesses_log10(self, password: str, context: Sequence[str], /) -> float:
        """See :class:`StrengthEstimator`; of a longer password the first 72 characters are estimated."""
        estimate = self._zxcvbn(password[:_LONGEST_FOR_ZXCVBN], user_inputs=list(context))
        return float(estimate["guesses_log10"])


@dataclass(frozen=True, slots=True, kw_only=True)
class StrengthCheck:
    """When a password counts as too easy to guess. For ``PasswordManager.judging(strength=…)``.

    An estimator that raises, or takes longer than it may, refuses nothing: length and blocklist have been checked before.
    It is logged.

    Raises:
        ConfigurationError: A limit is not above zero.
    """

    estimator: StrengthEstimator
    at_least: float = 8.0
    """The decimal logarithm of the guesses that a password must take: 10^8 is zxcvbn's score 3, 10^10 its score 4."""
    seconds: float = 0.5
    """How long an estimate may take. What takes longer goes on in its slot of the pool, unheard."""
    characters: int = _LONGEST_FOR_ZXCVBN
    """How much of a password is estimated, from its beginning; the time of an estimate grows with it."""

    def __post_init__(self) -> None:
        if min(self.at_least, self.seconds, self.characters) <= 0 or not math.isfinite(self.at_least):
            raise ConfigurationError("StrengthCheck: every limit must be above zero.", reason="bad_option")

    def is_guessable(self, password: str, context: Sequence[str], pool: HashingPool) -> bool:
        """Return whether *password* takes too few guesses. The estimate runs in a slot and a thread of *pool*.

        Raises:
            HashingOverloaded: Too much waits for *pool* already.
        """
        beginning, known = password[: self.characters], tuple(context)
        try:
            guesses = pool.run_within(self.seconds, lambda: self.estimator.guesses_log10(beginning, known))
            return float(guesses) < self.at_least
        except HashingOverloaded as error:
            if error.reason != "over_budget":
                raise
            _log.warning("The strength of a password was not estimated: it took over %s s.", self.seconds)
        except Exception as error:  # noqa: BLE001 - an estimator of somebody else's may raise anything
            _log.warning("The strength of a password was not estimated: %s.", type(error).__name__)
        return False
