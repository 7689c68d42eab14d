"""Where the time of the direct wire goes, for whoever wants to shorten it."""

import cProfile
import pstats
import time
from typing import Final

from peer_benchmark.environment import connect, create_table
from peer_benchmark.works import OURS, ROWS

__all__ = ["profile"]

_CALLS: Final = 500


def profile(work: str, endpoint_url: str) -> int:
    """Print the functions in which *work* spends its processor time, by their own share; return the exit code."""
    create_table(endpoint_url)
    row = next(row for row in ROWS if row.name == OURS)
    peer = connect(row, endpoint_url)
    try:
        peer.seed()
        peer.drive(work, 20)
        profiler = cProfile.Profile(time.process_time)
        profiler.enable()
        peer.drive(work, _CALLS)
        profiler.disable()
    finally:
        peer.close()
    pstats.Stats(profiler).strip_dirs().sort_stats("tottime").print_stats(30)
    return 0
