"""Starting, watching and stopping the exchange's service processes."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from common.exceptions import CommonError, ConfigurationError

STOP_SECONDS = 15.0
"""How long a service may finish what it has begun, and close its trail, before it is killed."""


class ServiceFailed(CommonError):
    """A service process ended, or did not become ready in time."""

    code = "service_failed"


@dataclass(slots=True)
class ServiceProcess:
    """One running service."""

    name: str
    url: str
    log: Path
    process: "subprocess.Popen[bytes]"

    def require_alive(self) -> None:
        """Check that the process still runs.

        Raises:
            ServiceFailed: It has ended.
        """
        if (code := self.process.poll()) is not None:
            raise self.failure(f"ended with exit code {code}")

    def failure(self, what: str) -> ServiceFailed:
        """Return the error that says *what* became of the service, with the end of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
        return ServiceFailed("\n".join([f"The {self.name} service {what}. Its log, {self.log}, ends:", *lines]))


def bound_socket(port: int = 0) -> socket.socket:
    """Return a socket that is bound to loopback; the service inherits it, so no other process can take its port.

    Raises:
        ConfigurationError: The port is taken, or not for us.
    """
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(("127.0.0.1", port))
    except OSError as error:
        bound.close()
        raise ConfigurationError(
            f"Port {port} cannot be used ({error.strerror}). Name another one, or 0 for a free one."
        ) from None
    bound.set_inheritable(True)
    return bound


@dataclass(slots=True)
class Fleet:
    """The service processes of one run; a context manager that leaves none of them behind."""

    folder: Path
    environments: Mapping[str, Mapping[str, str]]
    """The variables of each service, by name."""
    services: dict[str, ServiceProcess] = field(default_factory=dict)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, names: Sequence[str], ports: Mapping[str, int] | None = None) -> None:
        """Start one process per name; every service knows the URLs of all."""
        sockets = {name: bound_socket((ports or {}).get(name, 0)) for name in names}
        urls = {name: f"http://127.0.0.1:{bound.getsockname()[1]}" for name, bound in sockets.items()}
        known = {f"EXCHANGE_{name.upper()}_URL": url for name, url in urls.items()}
        for name, bound in sockets.items():
            self.services[name] = self._start_one(name, urls[name], bound, known)
            bound.close()

    def _start_one(self, name: str, url: str, bound: socket.socket, known: Mapping[str, str]) -> ServiceProcess:
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-P", "-m", "exchange.services", name, "--fd", str(bound.fileno())],
                pass_fds=[bound.fileno()],
                env={**os.environ, **self.environments[name], **known},
                stdin=subprocess.PIPE,  # closed when we are gone, which the service watches: no orphan outlives us
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us alone; we stop the services in order
            )
        return ServiceProcess(name, url, log, process)

    def wait_until_ready(self, seconds: float, on_ready: Callable[[str], None] = lambda name: None) -> None:
        """Return when every service says that it is ready.

        Raises:
            ServiceFailed: A service ended, or was not ready within *seconds*; the message has the end of its log.
        """
        deadline = time.monotonic() + seconds
        waiting = dict(self.services)
        with httpx.Client(timeout=1.0) as client:
            while waiting:
                for name, service in list(waiting.items()):
                    if self._is_ready(client, service, deadline):
                        del waiting[name]
                        on_ready(name)
                time.sleep(0.02)

    def _is_ready(self, client: httpx.Client, service: ServiceProcess, deadline: float) -> bool:
        service.require_alive()
        if time.monotonic() > deadline:
            raise service.failure("is not ready in time")
        with suppress(httpx.TransportError):
            return client.get(f"{service.url}/readyz").status_code == httpx.codes.OK
        return False

    def require_alive(self) -> None:
        """Check that every service still runs.

        Raises:
            ServiceFailed: One has ended.
        """
        for service in self.services.values():
            service.require_alive()

    def stop(self) -> None:
        """Ask every service to end, the last one started first, and kill what has not ended after some seconds."""
        for service in reversed(self.services.values()):
            service.process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for service in self.services.values():
            try:
                service.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                service.process.kill()
                service.process.wait()
            if service.process.stdin is not None:
                service.process.stdin.close()
        self.services.clear()
