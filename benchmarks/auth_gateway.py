"""What it costs to believe a request and to write an audit event, in one process, on one core.

    python benchmarks/auth_gateway.py [--seconds 0.5]

Each figure is the best of five rounds, so that a busy machine disturbs it least. Events go to sinks that are stuck, so
that the figure is the request's share alone; the last line is the whole way into a file.
"""

import argparse
import gc
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from common.auth.gateway.header_validator import HeaderValidator, TrustMode
from common.auth.gateway.hmac_ring import HmacRing
from common.auth.gateway.identity import Identity
from common.auth.gateway.signer import GatewaySigner
from common.auth.security.audit_lane import SinkPolicy
from common.auth.security.audit_logger import AuditLogger
from common.auth.security.audit_sinks import JsonLinesSink, MemorySink
from common.auth.security.context import Claimed, RequestContext
from common.auth.security.keys import KeyRing, SigningKey
from common.auth.security.secrets import SecretBytes
from common.core.audit import AuditOutcome, AuditRecord

ROUNDS = 5
USER = Identity(
    user_id="01JDEXAMPLE0USER0000000000", roles=frozenset({"trader"}), request_id="0190163d-8694-739b", source="gateway"
)
OTHERS = [(b"host", b"orders"), (b"user-agent", b"bench/1.0"), (b"accept", b"*/*"), (b"accept-encoding", b"gzip")] + [
    (b"x-forwarded-%d" % number, b"10.0.0.%d" % number) for number in range(8)
]


@dataclass(frozen=True, slots=True)
class Row:
    """One thing measured."""

    name: str
    cost: float
    """Microseconds per call."""
    budget: float | None


def validating(signer: GatewaySigner, validator: HeaderValidator, seconds: float) -> float:
    """Return the microseconds of one validation; every request is signed beforehand, since none passes twice."""
    return min(_validations(signer, validator, max(50, int(seconds * 1000 / ROUNDS))) for _ in range(ROUNDS))


def _validations(signer: GatewaySigner, validator: HeaderValidator, count: int) -> float:
    requests = [
        OTHERS + signer.sign(USER, audience="orders", method="GET", raw_path=b"/orders?page=2") for _ in range(count)
    ]
    gc.collect()
    begin = time.perf_counter()
    for headers in requests:
        validator.validate("GET", b"/orders?page=2", headers)
    return (time.perf_counter() - begin) / count * 1e6


def repeating(call: Callable[[], object], seconds: float) -> float:
    """Return the microseconds of one *call*: the best of the medians of five rounds."""
    return min(_median(call, max(100, int(seconds * 4000 / ROUNDS))) for _ in range(ROUNDS))


def _median(call: Callable[[], object], count: int) -> float:
    costs = []
    gc.collect()
    for _ in range(count):
        begin = time.perf_counter_ns()
        call()
        costs.append(time.perf_counter_ns() - begin)
    return statistics.median(costs) / 1e3


def gateway_rows(seconds: float) -> Iterator[Row]:
    """Measure the gateway."""
    options = {"service": "orders", "roles": {"trader"}, "sources": {"gateway"}}
    masters = HmacRing({"k1": SecretBytes(b"a master for benchmarks, 32 byte")}, active="k1")
    hmac_signer = GatewaySigner(masters)
    by_mac = HeaderValidator(mode=TrustMode.HMAC, keys=masters, **options)  # type: ignore[arg-type]
    yield Row("validate, HMAC", validating(hmac_signer, by_mac, seconds), 30)
    yield Row("sign, HMAC", repeating(lambda: _sign(hmac_signer), seconds), None)
    for algorithm in ("EdDSA", "ES256", "RS256"):
        keys = KeyRing([SigningKey.generate(algorithm)], issuer="gateway")
        signer = GatewaySigner(keys)
        validator = HeaderValidator(mode=TrustMode.ASSERTION, keys=keys, **options)  # type: ignore[arg-type]
        yield Row(f"validate, {algorithm} assertion", validating(signer, validator, seconds), 250)
        yield Row(f"sign, {algorithm} assertion", repeating(lambda signer=signer: _sign(signer), seconds), None)


def _sign(signer: GatewaySigner) -> object:
    return signer.sign(USER, audience="orders", method="GET", raw_path=b"/orders?page=2")


class StuckSink(MemorySink):
    """Takes nothing until it is let go."""

    def __init__(self, name: str, gate: threading.Event) -> None:
        super().__init__(name)
        self._gate = gate

    def write(self, record: AuditRecord, /) -> None:
        """Wait."""
        self._gate.wait()


def audit_rows(seconds: float) -> Iterator[Row]:
    """Measure the audit logger."""
    for count in (1, 2, 4):
        gate = threading.Event()
        sinks = [StuckSink(f"stuck-{number}", gate) for number in range(count)]
        audit = AuditLogger(sinks, service="orders", queue=1_000_000, policy=SinkPolicy(timeout=600))
        yield Row(f"emit, {count} stuck sink(s)", repeating(lambda audit=audit: _emit(audit), seconds), 50)
        gate.set()
        audit.close(60)
    with tempfile.TemporaryDirectory() as folder:
        audit = AuditLogger([JsonLinesSink(Path(folder) / "audit.jsonl")], service="orders", queue=1_000_000)
        begin = time.perf_counter()
        for _ in range(10_000):
            _emit(audit)
        audit.close(60)
        yield Row("event, all the way into a file", (time.perf_counter() - begin) / 10_000 * 1e6, None)


CONTEXT = RequestContext(request_id="0190163d-8694-739b", source_service="gateway", source_ip="10.0.0.1", session="s-1")


def _emit(audit: AuditLogger) -> object:
    return audit.emit(
        "authn_login_fail",
        outcome=AuditOutcome.FAILURE,
        actor=Claimed("ada"),
        reason="wrong_password",
        ctx=CONTEXT,
        method="password",
        client_id="web",
    )


def main() -> int:
    """Measure, print, and return 1 where a budget is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=0.5, help="time for each figure (default: 0.5)")
    seconds = parser.parse_args().seconds
    print(f"{'':34}{'µs':>9}{'budget':>9}")
    within = True
    for row in (*gateway_rows(seconds), *audit_rows(seconds)):
        is_ok = row.budget is None or row.cost <= row.budget
        budget = "" if row.budget is None else f"{row.budget:9.0f}"
        print(f"{row.name:34}{row.cost:9.1f}{budget}{'' if is_ok else '  OVER'}")
        within = within and is_ok
    return 0 if within else 1


if __name__ == "__main__":
    raise SystemExit(main())
