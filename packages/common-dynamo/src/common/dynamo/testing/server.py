"""A DynamoDB-compatible server as a process of its own, on a free loopback port."""

import contextlib
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

__all__ = ["Dynoxide", "EngineFailed", "find_dynoxide"]

BINARY_VARIABLE = "COMMON_TEST_DYNOXIDE"
_INSTALLED = Path("tools/engine/node_modules/@dynoxide/linux-x64/dynoxide")
_START_SECONDS = 10.0
_STOP_SECONDS = 5.0
_PORTS_TRIED = 5


class EngineFailed(RuntimeError):
    """The engine did not start, or did not stay up."""


def find_dynoxide(folders: Iterable[Path]) -> Path | None:
    """Return the engine's binary: the one that ``COMMON_TEST_DYNOXIDE`` names, or that installed under *folders*.

    Args:
        folders: Where to look for ``tools/engine``, each with its parents.
    """
    named = os.environ.get(BINARY_VARIABLE)
    if named:
        return Path(named) if os.access(named, os.X_OK) else None
    for folder in folders:
        for candidate in (folder, *folder.parents):
            if os.access(candidate / _INSTALLED, os.X_OK):
                return candidate / _INSTALLED
    return None


def free_port() -> int:
    """Return a loopback port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Dynoxide:
    """One server process; a context manager that starts and stops it.

    Args:
        binary: The executable.
        file: Where it keeps its tables; ``None`` for memory, gone with the process.
    """

    def __init__(self, binary: Path, *, file: Path | None = None) -> None:
        self.binary = binary
        self._file = file
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self.port = 0

    @property
    def endpoint_url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The server's process id.

        Raises:
            EngineFailed: It is not running.
        """
        if self._process is None:
            raise EngineFailed("The engine is not running; call start() first.")
        return self._process.pid

    def start(self) -> Self:
        """Start the server and wait until it answers.

        Raises:
            EngineFailed: It did not come up on any of several free ports.
        """
        for _ in range(_PORTS_TRIED):
            self.port = free_port()
            self._launch()
            if self._is_up():
                return self
            report = self._read_log()
            self.stop()
        raise EngineFailed(f"{self.binary.name} did not start: {report}")

    def _launch(self) -> None:
        command: list[Any] = [self.binary, "--port", str(self.port)]
        if self._file is not None:
            command += ["--db-path", self._file]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)  # noqa: S603

    def _is_up(self) -> bool:
        deadline = time.monotonic() + _START_SECONDS
        while self._process is not None and self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                # A stranger may have taken the port in between; then our process has ended by itself.
                time.sleep(0.01)
                return self._process.poll() is None
            time.sleep(0.01)
        return False

    def _read_log(self) -> str:
        if self._log is None:
            return ""
        self._log.seek(0)
        return self._log.read().decode(errors="replace").strip()[-500:]

    def kill(self) -> None:
        """End the process at once, as a crash of the machine's process would (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
        self.stop()

    def stop(self) -> None:
        """End the process, gently first; nothing happens when it is not running."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._log is not None:
            self._log.close()
            self._log = None

    def __enter__(self) -> Self:
        """Start the server."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server."""
        self.stop()
