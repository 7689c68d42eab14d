"""An issuer that publishes keys, and key sets that fetch them."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from common.auth.security.remote_jwks import RemoteJWKS
from common.auth.testing import ISSUER
from common.auth.testing.jwks_server import JwksServer, serving
from common.core.utils.clock import FrozenClock


@pytest.fixture
def server() -> Iterator[JwksServer]:
    """Return an issuer that publishes an empty set."""
    with serving(JwksServer()) as issuer:
        yield issuer


@pytest.fixture
def remote(server: JwksServer, clock: FrozenClock) -> Iterator[Callable[..., RemoteJWKS]]:
    """Return a maker of key sets that are closed afterwards."""
    made: list[RemoteJWKS] = []

    def make(source: Any = None, **options: Any) -> RemoteJWKS:
        made.append(RemoteJWKS(source or server.url, issuer=ISSUER, clock=clock, **options))
        return made[-1]

    yield make
    for keys in made:
        keys.close()


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Return a function that waits until something holds."""

    def wait(holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 5
        while not holds():
            assert time.monotonic() < deadline, "it did not come about"
            time.sleep(0.002)

    return wait
