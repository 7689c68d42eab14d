"""Health checks of authentication; none of them does I/O."""

from common.auth.exceptions import ConfigurationError
from common.auth.security.audit_lane import SinkState
from common.auth.security.audit_logger import AuditLogger
from common.auth.security.hashing_pool import HashingPool
from common.auth.security.keys import KeyRing
from common.auth.security.remote_jwks import RemoteJWKS
from common.core.health import CheckContext, CheckSpec, Outcome, Status

__all__ = ["AuditCheck", "HashingPoolCheck", "JwksCheck", "PepperCheck", "SignerCheck"]


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


class JwksCheck:
    """WARN while the last fetch of a key set has failed, FAIL where no key can be used. The service adds it for its set.

    Args:
        keys: The set.
        name: Of the check, where a service has several sets.
    """

    def __init__(self, keys: RemoteJWKS, *, name: str = "auth.jwks") -> None:
        self.spec = CheckSpec(name)
        self._keys = keys

    def check(self, ctx: CheckContext, /) -> Outcome:
        """Compare the counters of the set; its age is what is measured."""
        stats = self._keys.stats()
        detail = {"keys": stats.keys, "skipped": stats.skipped, "failures": stats.failures}
        if stats.age is None:
            return Outcome(Status.FAIL, "no_key_set", detail=detail)
        if not stats.is_usable:
            return Outcome(Status.FAIL, "stale_key_set", observed=(stats.age, "s"), detail=detail)
        status = Status.WARN if stats.last_failure else Status.PASS
        return Outcome(status, stats.last_failure, observed=(stats.age, "s"), detail=detail)


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


class AuditCheck:
    """WARN while a sink is not working, has lost events or falls behind, or an anchor is late; FAIL while no sink works.
    Added by the service.

    It is not critical: logins go on without a trail, and operations that need one refuse themselves.
    """

    spec = CheckSpec("auth.audit", critical=False)

    def __init__(self, audit: AuditLogger) -> None:
        self._audit = audit

    def check(self, ctx: CheckContext, /) -> Outcome:
        """Compare the logger's counters."""
        stats = self._audit.stats()
        working = [sink for sink in stats.sinks if sink.state is SinkState.OK]
        status, reason = Status.PASS, ""
        if not working:
            status, reason = Status.FAIL, "no_sink"
        elif len(working) < len(stats.sinks):
            status, reason = Status.WARN, "sink_not_working"
        elif any(sink.unreported for sink in stats.sinks) or stats.depth * 2 > stats.queue:
            status, reason = Status.WARN, "falling_behind"
        elif stats.is_anchor_late:
            status, reason = Status.WARN, "anchors_late"
        states = {sink.name: sink.state.value for sink in stats.sinks}
        return Outcome(status, reason, observed=(float(stats.depth), "1"), detail={**states, "dropped": stats.dropped})
