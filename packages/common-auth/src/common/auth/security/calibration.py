"""Chooses a bcrypt cost by the processor that will pay it."""

import time
import warnings
from collections.abc import Callable
from statistics import median

import bcrypt

from common.auth.exceptions import ConfigurationError
from common.auth.security.password_format import MAX_COST, MIN_COST

__all__ = ["choose_cost"]

_SAMPLES = 3
_TOO_SLOW = 1.0  # second of one core for one login


def choose_cost(
    target_ms: float = 250,
    floor: int = 10,
    ceil: int = 14,
    *,
    timer: Callable[[], float] = time.thread_time,
    digest: Callable[[bytes, bytes], bytes] = bcrypt.hashpw,
) -> int:
    """Return the highest cost from *floor* to *ceil* that stays within *target_ms*, or *floor* where none does.

    Measures the median of three hashes at *floor*; each further step doubles the work.

    Args:
        target_ms: Milliseconds of processor time that one hash may take.
        floor: The least cost; 10 in production (OWASP ASVS 5.0, appendix C).
        ceil: The highest cost.
        timer: Seconds of processor time of this thread.
        digest: bcrypt: password and salt to hash.

    Warns:
        UserWarning: Even *floor* takes over a second.

    Raises:
        ConfigurationError: The limits do not lie within 4 to 15, or the target is not positive.
    """
    if not MIN_COST <= floor <= ceil <= MAX_COST or target_ms <= 0:
        raise ConfigurationError(
            "Calibration needs a positive target and 4 <= floor <= ceil <= 15.", reason="bad_limits"
        )
    salt = b"$2b$%02d$" % floor + b"." * 22
    seconds = median(_measure(timer, digest, salt) for _ in range(_SAMPLES))
    if seconds > _TOO_SLOW:
        warnings.warn(f"One bcrypt hash of cost {floor} takes {seconds:.1f} s of this processor.", stacklevel=2)
    affordable = (cost for cost in range(floor, ceil + 1) if seconds * 2 ** (cost - floor) * 1000 <= target_ms)
    return max(affordable, default=floor)


def _measure(timer: Callable[[], float], digest: Callable[[bytes, bytes], bytes], salt: bytes) -> float:
    begin = timer()
    digest(b"calibration", salt)
    return timer() - begin
