"""The processes of a run: started, watched, killed at random and started again."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

from common.exceptions import ConfigurationError
from exchange.torture.setting import Setting

__all__ = ["Crew", "Progress"]

_KILL_EVERY: Final = (1.0, 4.0)
"""Seconds between two kills, at least and at most."""
_STOP_SECONDS: Final = 30.0


class Progress:
    """What the processes have done so far; of one that was killed, what it last reported."""

    def __init__(self) -> None:
        self.lives: dict[tuple[int, int], dict[str, Any]] = {}
        self.kills = 0

    def total(self, name: str) -> Counter[str]:
        """Return ``served``, ``told`` or ``faults``, over all lives of all processes."""
        total: Counter[str] = Counter()
        for state in list(self.lives.values()):
            total.update(state[name])
        return total

    @property
    def violations(self) -> int:
        """How many have been noticed so far."""
        return sum(state["violations"] for state in list(self.lives.values()))


class Crew:
    """Worker processes; a context manager that ends every one it has started.

    Args:
        setting: Of the run.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.progress = Progress()
        self._processes: dict[int, subprocess.Popen[str]] = {}
        self._lives: Counter[int] = Counter()
        self._chance = random.Random(f"{setting.seed}-kills")  # noqa: S311 - chance for a run, no secret

    def work(self, watch: Callable[[float, Progress], None]) -> None:
        """Let everybody work for the setting's seconds, kill one now and then, end; tell *watch* how it goes.

        Raises:
            ConfigurationError: A process ended by itself.
        """
        for process in range(self.setting.processes):
            self._start(process)
        while len(self.progress.lives) < self.setting.processes:  # the time of a bad day begins when all are at work
            self._require_alive()
            time.sleep(0.05)
        started = time.monotonic()
        next_kill = self._chance.uniform(*_KILL_EVERY)
        while (elapsed := time.monotonic() - started) < self.setting.seconds:
            if elapsed >= next_kill:
                self._kill_one()
                next_kill = elapsed + self._chance.uniform(*_KILL_EVERY)
            self._require_alive()
            watch(elapsed, self.progress)
            time.sleep(0.1)
        self._end()
        watch(time.monotonic() - started, self.progress)

    def _start(self, process: int) -> None:
        life = self._lives[process]
        self._lives[process] += 1
        command = [sys.executable, "-m", "exchange.torture.worker", str(self.setting.folder), str(process), str(life)]
        log = self.setting.folder / f"worker-{process}-{life}.log"
        with log.open("w", encoding="utf-8") as errors:
            started = subprocess.Popen(  # noqa: S603 - our own module
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=os.environ.copy()
            )
        self._processes[process] = started
        threading.Thread(target=self._listen, args=(started, process, life), daemon=True).start()

    def _listen(self, started: subprocess.Popen[str], process: int, life: int) -> None:
        assert started.stdout is not None  # noqa: S101 - it is a pipe
        for line in started.stdout:
            if line.endswith("\n"):
                self.progress.lives[process, life] = json.loads(line)

    def _kill_one(self) -> None:
        process = self._chance.randrange(self.setting.processes)
        os.kill(self._processes[process].pid, signal.SIGKILL)
        self._processes[process].wait()
        self.progress.kills += 1
        self._start(process)

    def _require_alive(self) -> None:
        for process, started in self._processes.items():
            if started.poll() is not None:
                life = self._lives[process] - 1
                log = (self.setting.folder / f"worker-{process}-{life}.log").read_text(encoding="utf-8")
                raise ConfigurationError(f"A worker ended by itself with code {started.returncode}: {log[-2000:]}")

    def _end(self) -> None:
        """Close standard input of every process and wait."""
        for started in self._processes.values():
            if started.stdin is not None:
                started.stdin.close()
        for started in self._processes.values():
            started.wait(_STOP_SECONDS)

    def __enter__(self) -> Self:
        """Start nothing yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill whoever is still there."""
        for started in self._processes.values():
            if started.poll() is None:
                started.kill()
            started.wait()
            for stream in (started.stdin, started.stdout):
                if stream is not None:
                    stream.close()
