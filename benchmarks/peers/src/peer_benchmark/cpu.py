"""Client processor time of a call, all threads of the process, in rounds in which the rows take turns."""

import gc
import random
import time
from collections.abc import Callable, Mapping
from typing import Final

from peer_benchmark.peer import Peer
from peer_benchmark.results import Results
from peer_benchmark.works import THREADS, Work

__all__ = ["measure_calls", "measure_threads"]

SAMPLE: Final = 0.030
"""Seconds of processor time that one sample takes, about."""
FEWEST, MOST = 3, 400
THREAD_COUNT: Final = 8


def measure_calls(
    peers: Mapping[str, Peer],
    works: tuple[Work, ...],
    results: Results,
    *,
    rounds: int,
    sample: float,
    chance: random.Random,
    tell: Callable[[str], None],
) -> None:
    """Add a sample per row, work and round, in microseconds of processor time per call.

    In every round each row does each work in a shuffled order, so that whatever disturbs the machine meets all of them.
    Garbage is collected before a sample and as usual within it; what was there before the first one is left out of that
    (``gc.freeze``), so that nobody walks over the modules of the others.
    """
    pairs = [(row, work.name) for work in works for row in peers if work.name not in results.lacking.get(row, {})]
    gc.collect()
    gc.freeze()
    counts = {pair: _count(peers[pair[0]], pair[1], sample) for pair in pairs}
    for number in range(1, rounds + 1):
        for work in works:
            turn = [pair for pair in pairs if pair[1] == work.name]
            chance.shuffle(turn)
            for row, name in turn:
                results.add(name, row, _sample(peers[row], name, counts[row, name]) * 1e6)
        tell(f"processor time, round {number} of {rounds}")
    gc.unfreeze()


def _count(peer: Peer, work: str, sample: float) -> int:
    peer.drive(work, 2)
    cost = _sample(peer, work, FEWEST)
    return max(FEWEST, min(MOST, int(sample / max(cost, 1e-6))))


def _sample(peer: Peer, work: str, count: int) -> float:
    gc.collect()
    begin = time.process_time()
    peer.drive(work, count)
    return (time.process_time() - begin) / count


def measure_threads(
    peers: Mapping[str, Peer],
    results: Results,
    *,
    rounds: int,
    seconds: float,
    chance: random.Random,
    tell: Callable[[str], None],
) -> None:
    """Add a sample per row and round: gets per second of wall time by eight threads, and their processor time."""
    rows = list(peers)
    costs: dict[str, list[float]] = {row: [] for row in rows}
    for row in rows:
        peers[row].drive_together("get", THREAD_COUNT, min(seconds, 0.2))
    for number in range(1, rounds + 1):
        chance.shuffle(rows)
        for row in rows:
            gc.collect()
            begin, cpu = time.perf_counter(), time.process_time()
            done = peers[row].drive_together("get", THREAD_COUNT, seconds)
            results.add(THREADS.name, row, done / (time.perf_counter() - begin))
            costs[row].append((time.process_time() - cpu) / done * 1e6)
        tell(f"8 threads, round {number} of {rounds}")
    results.extra["threads_8_us"] = {row: sorted(values)[len(values) // 2] for row, values in costs.items()}
