"""Cold start: fresh processes, one after the other, from their first line to their first item."""

import json
import random
import subprocess
import sys
from collections.abc import Callable, Sequence

from peer_benchmark.results import Results
from peer_benchmark.works import COLD, Row

__all__ = ["measure_cold_starts"]


def measure_cold_starts(
    rows: Sequence[Row],
    endpoint_url: str,
    results: Results,
    *,
    rounds: int,
    chance: random.Random,
    tell: Callable[[str], None],
) -> None:
    """Add a sample per row and round: milliseconds of processor time from import to the first item.

    Every row runs once before, so that its modules are compiled. The interpreter's own start is not counted.
    """
    walls: dict[str, list[float]] = {row.name: [] for row in rows}
    turn = list(rows)
    for row in turn:
        _start(row, endpoint_url)
    for number in range(1, rounds + 1):
        chance.shuffle(turn)
        for row in turn:
            took = _start(row, endpoint_url)
            results.add(COLD.name, row.name, took["cpu"] * 1e3)
            walls[row.name].append(took["wall"] * 1e3)
        tell(f"cold start, round {number} of {rounds}")
    results.extra["cold_start_wall_ms"] = {row: sorted(values)[len(values) // 2] for row, values in walls.items()}


def _start(row: Row, endpoint_url: str) -> dict[str, float]:
    pairs = [f"{name}={value}" for name, value in row.options.items()]
    command = [sys.executable, "-m", "peer_benchmark.first_item", row.module, row.name, endpoint_url, *pairs]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    told: dict[str, float] = json.loads(done.stdout)
    return told
