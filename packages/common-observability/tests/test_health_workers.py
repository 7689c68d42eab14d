"""Several workers of one server answer each for itself."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """
import os, sys
import uvicorn
from common.core.health import CheckSpec, Outcome, Status
from common.observability.health import HealthApp, HealthRunner, Level

runner = HealthRunner(detail_level=lambda request: Level.FULL)
first = os.path.join(os.path.dirname(os.path.abspath(__file__)), "first-worker")

def check(context):
    # One of the workers is ill: whichever came first.
    try:
        os.close(os.open(first, os.O_CREAT | os.O_EXCL))
        check.is_ill = True
    except FileExistsError:
        pass
    return Outcome(Status.FAIL if check.is_ill else Status.PASS, "ill" if check.is_ill else "", None, {"pid": os.getpid()})

check.is_ill = False
runner.add(CheckSpec("worker", ttl=0.0, ttl_fail=0.0), check)
app = HealthApp(runner)

if __name__ == "__main__":
    uvicorn.run("workers:app", fd=int(sys.argv[1]), workers=2, log_config=None, lifespan="on")
"""


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[int]:
    """A server with two workers on one socket; its port."""
    (tmp_path / "workers.py").write_text(PROGRAM)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        process = subprocess.Popen(
            [sys.executable, "workers.py", str(listening.fileno())],
            cwd=tmp_path,
            env={"PATH": "", "PYTHONPATH": str(tmp_path)},
            pass_fds=[listening.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield listening.getsockname()[1]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


@pytest.mark.thorough
def test_two_workers_answer_each_for_itself(workers: int, fetch: Callable[..., Any]) -> None:
    """One of them is ill and says so every time; the other passes every time. They share no file, port or memory."""
    answers: dict[int, set[int]] = {}
    until = time.monotonic() + 60
    asked = 0
    while len(answers) < 2 or asked < 40:
        assert time.monotonic() < until, answers
        answer = fetch(workers, "/health/readiness")
        (found,) = json.loads(answer.body)["checks"]["worker"]
        answers.setdefault(found["detail"]["pid"], set()).add(answer.status)
        asked += 1

    assert [{200}, {503}] == sorted(answers.values(), key=min)
