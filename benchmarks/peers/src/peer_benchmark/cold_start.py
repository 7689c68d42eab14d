"""Cold start: fresh processes, one after the other, from their first line to their first item."""

import json
import os
import random
import subprocess
import sys
import tempfile
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

    Every row runs once before, so that its modules are compiled, as installed ones are; the bytecode lies in a folder of the
    run's own, whatever the environment says about writing any. The interpreter's own start is not counted.
    """
    with tempfile.TemporaryDirectory() as folder:
        _measure(_Processes(folder), rows, endpoint_url, results, rounds=rounds, chance=chance, tell=tell)


def _measure(
    processes: "_Processes",
    rows: Sequence[Row],
    endpoint_url: str,
    results: Results,
    *,
    rounds: int,
    chance: random.Random,
    tell: Callable[[str], None],
) -> None:
    parts: dict[str, list[float]] = {name: [] for name in PARTS}
    walls: dict[str, list[float]] = {row.name: [] for row in rows}
    turn = list(rows)
    for row in turn:
        processes.first_item(row, endpoint_url)
    for code in PARTS.values():
        processes.importing(code)
    for number in range(1, rounds + 1):
        chance.shuffle(turn)
        for row in turn:
            took = processes.first_item(row, endpoint_url)
            results.add(COLD.name, row.name, took["cpu"] * 1e3)
            walls[row.name].append(took["wall"] * 1e3)
        for name, code in PARTS.items():
            parts[name].append(processes.importing(code))
        tell(f"cold start, round {number} of {rounds}")
    results.extra["cold_start_parts_ms"] = {name: sorted(values)[len(values) // 2] for name, values in parts.items()}
    results.extra["cold_start_wall_ms"] = {row: sorted(values)[len(values) // 2] for row, values in walls.items()}


class _Processes:
    """Fresh interpreters that find their bytecode in *folder*."""

    def __init__(self, folder: str) -> None:
        self._environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self._environment["PYTHONPYCACHEPREFIX"] = folder

    def first_item(self, row: Row, endpoint_url: str) -> dict[str, float]:
        """Return the seconds that *row* takes to its first item."""
        pairs = [f"{name}={value}" for name, value in row.options.items()]
        arguments = ["-m", "peer_benchmark.first_item", row.module, row.name, endpoint_url, *pairs]
        told: dict[str, float] = json.loads(self._run(arguments))
        return told

    def importing(self, code: str) -> float:
        """Return the milliseconds of processor time that an import takes."""
        clock = f"import time; begin = time.process_time()\n{code}\nprint((time.process_time() - begin) * 1e3)"
        return float(self._run(["-c", clock]))

    def _run(self, arguments: list[str]) -> str:
        command = [sys.executable, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=self._environment).stdout
