"""Where the time of the direct wire goes, for whoever wants to shorten it."""

import cProfile
import pstats
import signal
import time
from collections import Counter
from types import FrameType
from typing import Any, Final

from peer_benchmark.environment import connect, create_table
from peer_benchmark.peer import Peer
from peer_benchmark.results import Results
from peer_benchmark.works import OURS, ROWS

__all__ = ["PROFILED", "measure_shares", "profile"]

PROFILED: Final = ("get", "put", "query_100", "transaction_4")
_CALLS: Final = 500
_SECONDS: Final = 3.0
_STEP: Final = 0.001
_LIBRARIES: Final = ("common.", "opentelemetry.", "pydantic", "botocore.")


def measure_shares(peer: Peer, results: Results, *, seconds: float = _SECONDS) -> None:
    """Take down which module is at work, every millisecond of processor time, for each work that is profiled."""
    shares = results.extra.setdefault("shares", {})
    for work in PROFILED:
        counts = sample_modules(peer, work, seconds)
        total = max(1, sum(counts.values()))
        shares.update({f"{work} {module}": count / total for module, count in counts.items()})


def sample_modules(peer: Peer, work: str, seconds: float) -> Counter[str]:
    """Return how often each module was at work; what it calls in C and in the standard library is its own."""
    counts: Counter[str] = Counter()

    def look(_: int, frame: FrameType | None) -> None:
        while frame is not None and not _name(frame).startswith(_LIBRARIES):
            frame = frame.f_back
        counts["the harness" if frame is None else _name(frame)] += 1

    before: Any = signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, _STEP, _STEP)
    try:
        until = time.process_time() + seconds
        while time.process_time() < until:
            peer.drive(work, 20)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    return counts


def _name(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def profile(work: str, endpoint_url: str) -> int:
    """Print modules and functions in which *work* spends its processor time, by their own share; return the exit code."""
    create_table(endpoint_url)
    row = next(row for row in ROWS if row.name == OURS)
    peer = connect(row, endpoint_url)
    try:
        peer.seed()
        counts = sample_modules(peer, work, _SECONDS)
        profiler = cProfile.Profile(time.process_time)
        profiler.enable()
        peer.drive(work, _CALLS)
        profiler.disable()
    finally:
        peer.close()
    for module, count in counts.most_common(20):
        print(f"{count / counts.total():6.1%}  {module}")
    pstats.Stats(profiler).strip_dirs().sort_stats("tottime").print_stats(30)
    return 0
