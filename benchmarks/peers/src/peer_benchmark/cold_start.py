"""Cold start: fresh processes, one after the other, from their first line to their first item."""

import json
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Final

from peer_benchmark.results import Results
from peer_benchmark.works import COLD, Row

__all__ = ["PARTS", "measure_cold_starts"]

PARTS: Final = {
    "pydantic alone": "from pydantic import BaseModel",
    "the order's model": "import peer_benchmark.model",
    "OpenTelemetry's API alone": "import opentelemetry.trace, opentelemetry.metrics",
    "boto3 alone": "import boto3",
}
"""What a cold start is made of, to be imported by itself."""


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
    parts: dict[str, list[float]] = {name: [] for name in PARTS}
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
        for name, code in PARTS.items():
            parts[name].append(_import(code))
        tell(f"cold start, round {number} of {rounds}")
    results.extra["cold_start_parts_ms"] = {name: sorted(values)[len(values) // 2] for name, values in parts.items()}
    results.extra["cold_start_wall_ms"] = {row: sorted(values)[len(values) // 2] for row, values in walls.items()}


def _start(row: Row, endpoint_url: str) -> dict[str, float]:
    pairs = [f"{name}={value}" for name, value in row.options.items()]
    command = [sys.executable, "-m", "peer_benchmark.first_item", row.module, row.name, endpoint_url, *pairs]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    told: dict[str, float] = json.loads(done.stdout)
    return told


def _import(code: str) -> float:
    """Return the milliseconds of processor time that an import takes in a fresh process."""
    clock = f"import time; begin = time.process_time()\n{code}\nprint((time.process_time() - begin) * 1e3)"
    done = subprocess.run([sys.executable, "-c", clock], check=True, capture_output=True, text=True)
    return float(done.stdout)
