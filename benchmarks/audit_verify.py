"""What it costs to write a chained, anchored trail and to verify it: records a second, and how memory grows.

    python benchmarks/audit_verify.py                     a million records, the budget of requirement A15
    python benchmarks/audit_verify.py --records 100000    a quick look

The trail is made line by line as a logger makes it, with an anchor for each thousand records, and read from a file.
"""

import argparse
import gc
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from common.auth.security.audit_anchor import Anchor, PublicKeys, anchor_hash, sign_anchor
from common.auth.security.audit_chain import NOTHING, Genesis, link
from common.auth.security.audit_files import read_lines
from common.auth.security.audit_line import encode_event, seal
from common.auth.security.audit_verification import Verdict, verify_chain
from common.auth.security.keys import SigningKey
from common.core.audit import AuditOutcome, Severity

RATE_BUDGET = 17_000
"""Records a second, at the least."""
TIME_BUDGET = 60.0
"""Seconds for a million records, at the most."""
MEMORY_BUDGET = 1024
"""KiB by which verifying may grow the process: 40 bytes for each anchor, and what the interpreter keeps for itself."""
STREAM = "orders-0011223344556677"
START = datetime(2026, 11, 24, tzinfo=UTC)
EVERY = 1_000


@dataclass(frozen=True, slots=True)
class Result:
    """One run."""

    records: int
    size: int
    seconds: float
    grown: int
    """KiB by which the peak of the process's memory rose."""

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / self.seconds


def lines(records: int) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield place, line and hash of each record of a stream, the last being its end."""
    head, prev = NOTHING, Genesis(None)
    for seq in range(1, records + 1):
        fields = {
            "id": f"01a20dab-117b-7000-8000-{seq:012x}", "time": START + timedelta(milliseconds=seq), "stream": STREAM,
            "boot_id": STREAM[-16:], "type": "stream_end" if seq == records else "authn_login_success",
            "outcome": AuditOutcome.SUCCESS, "severity": Severity.INFO, "service": "orders", "actor": f"u-{seq % 977}",
            "request_id": f"0190163d-8694-739b-{seq:08x}", "source_ip": "192.0.2.7",
            "details": {"method": "password", "client_id": "web"},
        }  # fmt: skip
        line = seal(STREAM, seq, encode_event(fields), prev=prev)
        head = link(head, STREAM, seq, line)
        prev = head.hex()  # type: ignore[assignment]
        yield seq, line, head


def write(folder: Path, records: int, key: SigningKey) -> float:
    """Write trail and anchors, and return the seconds that took."""
    begin, previous = time.perf_counter(), None
    with (folder / "trail").open("wb") as trail, (folder / "anchors").open("wb") as anchors:
        for seq, line, head in lines(records):
            trail.write(line + b"\n")
            if seq % EVERY == 0 or seq == records:
                anchor = Anchor(
                    stream=STREAM, sink="file", seq=seq, head=head, time=START + timedelta(milliseconds=seq), within=60,
                    previous=previous, kid=key.kid,
                )  # fmt: skip
                signed = sign_anchor(anchor, key)
                previous = anchor_hash(signed)
                anchors.write(signed + b"\n")
    return time.perf_counter() - begin


def verify(folder: Path, key: SigningKey) -> Result:
    """Verify trail and anchors, and measure it."""
    keys = PublicKeys([key.verification])
    # What is needed once, such as the expressions that lines are read by, does not count as growth.
    verify_chain([], [], keys)
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.perf_counter()
    report = verify_chain(read_lines([folder / "trail"]), read_lines([folder / "anchors"]), keys)
    seconds = time.perf_counter() - begin
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert report.verdict is Verdict.INTACT, report.problems
    unit = 1024 if sys.platform == "darwin" else 1  # macOS counts in bytes
    return Result(report.records, (folder / "trail").stat().st_size, seconds, grown // unit)


def main() -> int:
    """Measure, print, and return 1 where a budget is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--records", type=int, default=1_000_000, help="how many (default: 1,000,000)")
    arguments = parser.parse_args()
    key = SigningKey.generate(kid="bench")
    with tempfile.TemporaryDirectory() as name:
        seconds = write(Path(name), arguments.records, key)
        result = verify(Path(name), key)
    within = {
        f"verify: {result.rate:,.0f} records/s": result.rate >= RATE_BUDGET,
        f"verify: {result.seconds:.1f} s for {result.records:,}": result.seconds / result.records * 1e6 <= TIME_BUDGET,
        f"verify: memory grew by {result.grown} KiB": result.grown <= MEMORY_BUDGET,
    }
    print(f"{result.records:,} records of {result.size // result.records} bytes; made in {seconds:.1f} s")
    for told, is_within in within.items():
        print(f"{told:48}{'ok' if is_within else 'OVER'}")
    return 0 if all(within.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
