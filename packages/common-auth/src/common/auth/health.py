"""Health checks of authentication; none of them does I/O."""

from common.auth.exceptions import ConfigurationError
from common.auth.security.hashing_pool import HashingPool
from common.auth.security.keys import KeyRing
from common.core.health import CheckContext, CheckSpec, Outcome, Status

__all__ = ["HashingPoolCheck", "PepperCheck", "SignerCheck"]


class SignerCheck:
    """FAIL where no key may sign, so that no token can be issued. The service adds it for its ring."""

    spec = CheckSpec("auth.signer")

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def check(self, ctx: CheckContext, /) -> Outcome:
        """Look for the key that signs now."""
        try:
            kid = self._keys.active().kid
        except ConfigurationError as error:
            return Outcome(Status.FAIL, error.reason)
        return Outcome(detail={"kid": kid})


class HashingPoolCheck:
    """WARN while passwords wait to be hashed in more than half of the queue. The service adds it for its pool."""

    spec = CheckSpec("auth.hashing", critical=False)

    def __init__(self, pool: HashingPool) -> None:
        self._pool = pool

    def check(self, ctx: CheckContext, /) -> Outcome:
        """Compare the pool's counters."""
        stats = self._pool.stats()
        status, reason = (Status.WARN, "queue_filling") if stats.waiting * 2 > stats.queue else (Status.PASS, "")
        return Outcome(status, reason, observed=(float(stats.waiting), "1"), detail={"refused": stats.refused})


class PepperCheck:
    """WARN where passwords cannot be hashed for want of a pepper; added by the plugin of common-auth."""

    spec = CheckSpec("auth.pepper", critical=False)

    def __init__(self, *, may_hash: bool) -> None:
        self._may_hash = may_hash

    def check(self, ctx: CheckContext, /) -> Outcome:
        """Tell what the settings said."""
        return Outcome() if self._may_hash else Outcome(Status.WARN, "no_pepper")
