"""What a kept connection weighs, in fresh processes of each row."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from peer_benchmark.results import Results
from peer_benchmark.works import CONNECTIONS, MEMORY, Row

__all__ = ["measure_memory"]


@contextmanager
def gate(endpoint_url: str) -> Iterator[str]:
    """Start the gate before the server, and yield its address."""
    command = [sys.executable, "-m", "peer_benchmark.gate", endpoint_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            port = (process.stdout.readline() if process.stdout else "").strip()
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def measure_memory(
    rows: Sequence[Row],
    endpoint_url: str,
    results: Results,
    *,
    rounds: int,
    chance: random.Random,
    tell: Callable[[str], None],
) -> None:
    """Add a sample per row and round: KiB per kept connection. Linux only; elsewhere all rows are dashes."""
    turn = [row for row in rows if sys.platform == "linux"]
    for row in rows:
        if row not in turn:
            results.lacking.setdefault(row.name, {})[MEMORY.name] = "measured on Linux only"
    kept: dict[str, float] = {}
    for number in range(1, rounds + 1):
        chance.shuffle(turn)
        for row in turn:
            grown, count = _weigh(row, endpoint_url, CONNECTIONS)
            if 0 < count < CONNECTIONS - 1:  # what it opens beyond its pool, and closes again, is no connection of its
                grown, count = _weigh(row, endpoint_url, count + 1)
            kept[row.name] = count
            if count < 1:
                results.lacking.setdefault(row.name, {})[MEMORY.name] = "keeps no further connection"
            else:
                results.add(MEMORY.name, row.name, max(grown, 0) / count / 1024)
        tell(f"memory, round {number} of {rounds}")
    results.extra["connections_kept"] = kept


def _weigh(row: Row, endpoint_url: str, connections: int) -> tuple[int, int]:
    pairs = [f"{name}={value}" for name, value in row.options.items()]
    with gate(endpoint_url) as url:
        module = "peer_benchmark.held_connections"
        command = [sys.executable, "-m", module, row.module, row.name, url, str(connections), *pairs]
        # Python's own allocator takes a megabyte at a time, and each thread begins a heap of its own: both hide a connection.
        environment = {**os.environ, "PYTHONMALLOC": "malloc", "MALLOC_ARENA_MAX": "1"}
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    told = json.loads(done.stdout)
    return told["grown"], told["connections"]
