"""What the cross-distribution tests share: the tree, its members, wheels built once per run, and real servers."""

import http.client
import logging
import subprocess
import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

if TYPE_CHECKING:
    from common.dynamo.testing import Engine

pytest_plugins = ["common.core.testing", "common.dynamo.testing", "common.observability.testing"]

ROOT = Path(__file__).resolve().parent.parent
DISTS = ("common-core", "common-dynamo", "common-auth", "common-observability")


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def dists() -> tuple[str, ...]:
    """The names of the family's distributions."""
    return DISTS


@pytest.fixture(scope="session")
def pyprojects() -> Mapping[str, Mapping[str, Any]]:
    """The parsed pyproject of every workspace member, by distribution name."""
    files = [*ROOT.glob("packages/*/pyproject.toml"), *ROOT.glob("examples/*/pyproject.toml")]
    parsed = [tomllib.loads(file.read_text(encoding="utf-8")) for file in files]
    return {project["project"]["name"]: project for project in parsed}


@pytest.fixture(scope="session")
def tracked() -> tuple[Path, ...]:
    """Every file that git tracks, or would track, and that is text."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    files = (ROOT / name for name in names)
    return tuple(file for file in files if file.is_file() and b"\0" not in file.read_bytes()[:8192])


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A wheel of each distribution and of acme-plugin, built from the tree."""
    folder = tmp_path_factory.mktemp("wheels")
    sources = {name: ROOT / "packages" / name for name in DISTS} | {"acme-plugin": ROOT / "examples" / "acme-plugin"}
    for source in sources.values():
        subprocess.run(["uv", "build", "--quiet", "--wheel", "--out-dir", folder, source], check=True, cwd=ROOT)
    return {name: next(folder.glob(f"{name.replace('-', '_')}-*.whl")) for name in sources}


@dataclass(frozen=True)
class Answer:
    """One HTTP answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


Headers = Mapping[str, str] | list[tuple[bytes, bytes]]


def ask(port: int, path: str, *, method: str = "GET", headers: Headers | None = None, body: bytes = b"") -> Answer:
    """Send one request to a server on the loopback interface."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.putrequest(method, path)
        pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
        for name, value in (*pairs, ("Content-Length", str(len(body)))):
            connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        return Answer(response.status, tuple(response.getheaders()), response.read())
    finally:
        connection.close()


@pytest.fixture(scope="session")
def fetch() -> Callable[..., Answer]:
    """Ask a server on the loopback interface: port, path, method, headers, body."""
    return ask


@pytest.fixture(scope="session")
def eventually() -> Callable[[Callable[[], object]], None]:
    """Ask again until the answer is true: some things end a moment after their answer was sent."""

    def wait(question: Callable[[], object]) -> None:
        until = time.monotonic() + 30
        while not question():
            assert time.monotonic() < until, "It did not come true."
            time.sleep(0.01)

    return wait


@pytest.fixture
def serve() -> Iterator[Callable[[Any], int]]:
    """Serve ASGI applications by uvicorn, each in a thread of its own on a free port, until the test ends."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(app: Any) -> int:
        server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        running.append((server, thread))
        while not server.started:
            assert thread.is_alive(), "The server did not start."
            time.sleep(0.005)
        port: int = server.servers[0].sockets[0].getsockname()[1]
        return port

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join()


@pytest.fixture(params=["embedded", "boto"])
def each_engine(request: pytest.FixtureRequest) -> "Engine":
    """One engine for each wire: the embedded one, and for boto's a server, where its binary is."""
    # Imported before it is a plugin, its assertions could not be rewritten.
    from common.dynamo.testing import Choice, Dynoxide, EmbeddedEngine, NetworkEngine

    if request.param == "embedded":
        return EmbeddedEngine(Choice("embedded", "embedded"))
    server: Dynoxide = request.getfixturevalue("dynoxide")
    return NetworkEngine(Choice("dynoxide", request.param), server.endpoint_url)


@pytest.fixture
def quiet_libraries() -> Iterator[None]:
    """Keep from the logs what botocore writes at DEBUG: whole requests, which is what it is for."""
    loggers = [logging.getLogger(name) for name in ("botocore", "boto3", "urllib3")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.INFO)
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
