"""What the tests of common-observability share: the kit that it ships, and real servers on the loopback interface."""

import http.client
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn

pytest_plugins = ["common.observability.testing"]


@dataclass(frozen=True)
class Answer:
    """One HTTP answer; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def _fetch(port: int, path: str, method: str = "GET", headers: dict[str, str] | None = None) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        names = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, names, response.read())
    finally:
        connection.close()


@pytest.fixture
def fetch() -> Callable[..., Answer]:
    """Ask a server on the loopback interface: port, path, method, headers."""
    return _fetch


@pytest.fixture
def eventually() -> Callable[[Callable[[], Any]], Any]:
    """Ask again until the answer is true, and return it; a span ends a moment after its answer was sent."""

    def ask(question: Callable[[], Any]) -> Any:
        until = time.monotonic() + 30
        while not (answer := question()):
            assert time.monotonic() < until, "It did not come true."
            time.sleep(0.005)
        return answer

    return ask


@pytest.fixture
def serve() -> Iterator[Callable[..., int]]:
    """Serve ASGI applications by uvicorn, each in a thread of its own on a free port, until the test ends."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(app: Any, **options: Any) -> int:
        config = uvicorn.Config(app, host="127.0.0.1", port=0, **{"log_config": None, "lifespan": "on", **options})
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive(), "The server did not start."
            time.sleep(0.005)
        running.append((server, thread))
        port: int = server.servers[0].sockets[0].getsockname()[1]
        return port

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join()


@pytest.fixture
def python(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a program in an interpreter of its own and return what came of it."""

    def run(program: str, **environ: str) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "program.py"
        file.write_text(program)
        return subprocess.run(
            [sys.executable, "-W", "error", str(file)],
            env={"PATH": "", "PYTHONSAFEPATH": "1", **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run
