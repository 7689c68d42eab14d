"""Direct wires to a server that does what its script says."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from common.dynamo.testing.certificates import Authority
from common.dynamo.testing.scripted_server import ScriptedServer
from common.dynamo.wire.direct import DirectWire
from common.dynamo.wire.direct.credentials import CredentialSource, StaticCredentials
from common.dynamo.wire.direct.endpoint import Endpoint
from common.dynamo.wire.direct.tls import tls_context


@pytest.fixture
def scheme() -> str:
    """What the scripted server speaks; a test is parametrized to run over both."""
    return "http"


@pytest.fixture
def server(scheme: str, authority: Authority) -> Iterator[ScriptedServer]:
    """A server that answers ``{}`` until its script says otherwise."""
    with ScriptedServer(tls=authority.server("127.0.0.1") if scheme == "https" else None) as server:
        yield server


@pytest.fixture
def connect(server: ScriptedServer, authority: Authority) -> Iterator[Callable[..., DirectWire]]:
    """Opens direct wires with whatever options a test needs."""
    with ExitStack() as stack:

        def open_wire(
            url: str | None = None, credentials: CredentialSource | None = None, **options: Any
        ) -> DirectWire:
            if (url or server.url).startswith("https:"):
                options.setdefault("tls", tls_context(str(authority.bundle)))
            given = credentials or StaticCredentials("AKIDEXAMPLE", "secret")
            wire = DirectWire(Endpoint.parse(url or server.url), "eu-central-1", given, **options)
            stack.callback(wire.close)
            return wire

        yield open_wire


@pytest.fixture
def wire(connect: Callable[..., DirectWire]) -> DirectWire:
    """A direct wire to the scripted server."""
    return connect()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that only who has its bundle trusts."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def serve_tls() -> Iterator[Callable[..., ScriptedServer]]:
    """Starts scripted servers behind TLS, which are stopped in the end."""
    with ExitStack() as stack:

        def start(context: ssl.SSLContext, *script: Any) -> ScriptedServer:
            return stack.enter_context(ScriptedServer(*script, tls=context))

        yield start
