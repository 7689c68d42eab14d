"""To whom the direct wire speaks at all: only to a server that proves who it is, over TLS 1.2 or later (W1)."""

import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from common.dynamo.requests import PutItem
from common.dynamo.testing.certificates import Authority, outdated
from common.dynamo.testing.scripted_server import ScriptedServer, Step, answer, silent, whole
from common.dynamo.testing.values import S, key
from common.dynamo.wire import NotSent
from common.dynamo.wire.direct import DirectWire
from common.dynamo.wire.direct.endpoint import Endpoint
from common.exceptions import ConfigurationError

PUT = PutItem(table="t", item={**key("p", "s"), "secret": S("hunter2")})
Connect = Callable[..., DirectWire]
ServeTls = Callable[..., ScriptedServer]


@pytest.fixture(scope="session")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority of the same name, which nobody trusts."""
    return Authority(tmp_path_factory.mktemp("strangers"))


def limited(context: ssl.SSLContext, version: ssl.TLSVersion) -> ssl.SSLContext:
    context.minimum_version = context.maximum_version = version
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_server_that_proves_who_it_is_gets_the_request(
    authority: Authority, serve_tls: ServeTls, connect: Connect, host: str, version: ssl.TLSVersion
) -> None:
    """The chain ends in what is trusted, and the certificate is for the host of the endpoint, name or address."""
    server = serve_tls(limited(authority.server(host), version), answer({"Attributes": {}}))
    wire = connect(server.url.replace("127.0.0.1", host))

    assert [200] * 2 == [wire.send(PUT, 5.0).status for _ in range(2)]
    assert (1, 0) == (server.connections, server.refused_handshakes)


UNSOUND: dict[str, Callable[[Authority, Authority], ssl.SSLContext]] = {
    "another name": lambda ours, _: ours.server("dynamodb.eu-central-1.amazonaws.com"),
    "another address": lambda ours, _: ours.server("127.0.0.2", "localhost"),
    "expired": lambda ours, _: ours.server("127.0.0.1", expired=True),
    "signed by itself": lambda ours, _: ours.server("127.0.0.1", own_signature=True),
    "of another authority": lambda _, others: others.server("127.0.0.1"),
    "TLS 1.1 at most": lambda ours, _: outdated(ours.server("127.0.0.1")),
}


@pytest.mark.parametrize("context", UNSOUND.values(), ids=UNSOUND)
def test_a_server_that_proves_nothing_gets_nothing(
    authority: Authority,
    strangers: Authority,
    serve_tls: ServeTls,
    connect: Connect,
    context: Callable[[Authority, Authority], ssl.SSLContext],
) -> None:
    """It is as good as not reachable: certainly not applied, and not one byte of a request has left."""
    server = serve_tls(context(authority, strangers))
    wire = connect(server.url)

    for _ in range(2):
        with pytest.raises(NotSent) as refused:
            wire.send(PUT, 5.0)
        assert isinstance(refused.value.__cause__, ssl.SSLError)
    server.wait_until(lambda server: server.open_connections == 0)
    assert [] == server.requests


def test_without_a_bundle_only_the_usual_authorities_are_trusted(
    authority: Authority, serve_tls: ServeTls, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A private authority has to be named."""
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    server = serve_tls(authority.server("127.0.0.1"))

    with pytest.raises(NotSent):
        connect(server.url, tls=None).send(PUT, 5.0)
    assert [] == server.requests


def test_the_bundle_of_the_environment_is_used(
    authority: Authority, serve_tls: ServeTls, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first connection reads it, where no context was given."""
    server = serve_tls(authority.server("127.0.0.1"))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))

    assert 200 == connect(server.url, tls=None).send(PUT, 5.0).status


def test_a_bundle_that_is_not_there_is_no_outage(
    serve_tls: ServeTls, authority: Authority, connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is the operator's error, named as such, and nothing is trusted instead."""
    server = serve_tls(authority.server("127.0.0.1"))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "missing.pem"))

    with pytest.raises(ConfigurationError, match="CA bundle"):
        connect(server.url, tls=None).send(PUT, 5.0)
    assert [] == server.requests


@pytest.mark.parametrize(
    "step",
    [
        whole(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}"),
        silent(),
        whole(b"\x15\x03\x03\x00\x02\x02\x28"),
    ],
    ids=["plain HTTP", "silence", "an alert"],
)
def test_https_never_becomes_http(connect: Connect, step: Step) -> None:
    """What does not speak TLS where TLS is expected gets no request."""
    with ScriptedServer(replace(step, reads=1)) as server:
        wire = connect(server.url.replace("http:", "https:"), connect_timeout=0.3)

        with pytest.raises(NotSent):
            wire.send(PUT, 5.0)
        assert not any(b"POST" in request.raw or b"hunter2" in request.raw for request in server.requests)


def test_http_is_spoken_where_it_is_asked_for_by_name() -> None:
    """An endpoint without its scheme is refused, and never guessed to be plain."""
    assert "http" == Endpoint.parse("http://127.0.0.1:8000").scheme
    for url in ("127.0.0.1:8000", "//127.0.0.1:8000", "localhost", "HTTPS//localhost", "ftp://localhost"):
        with pytest.raises(ConfigurationError):
            Endpoint.parse(url)
