"""The network and the certificate of the peer are checked too, and never instead of the gateway's proof (auth G10)."""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from uvicorn.protocols.http.h11_impl import H11Protocol

from common.auth.exceptions import ConfigurationError, GatewayTrustError
from common.auth.gateway.asgi import ASGIApp, Receive, Scope, Send
from common.auth.gateway.header_validator import HeaderValidator
from common.auth.gateway.identity import Identity
from common.auth.gateway.middleware import GatewayAuthMiddleware
from common.auth.gateway.peers import Peer, PeerRule, peer_of
from common.auth.gateway.signer import GatewaySigner
from common.auth.security.audit_logger import AuditLogger
from common.auth.security.audit_sinks import MemorySink
from common.auth.security.clock import SYSTEM

HERE, ELSEWHERE = PeerRule(networks=["127.0.0.0/8"]), PeerRule(networks=["192.0.2.0/24"])


def request(headers: list[tuple[bytes, bytes]], target: str = "/orders") -> bytes:
    """Return a whole request with such headers."""
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    return f"GET {target} HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n".encode() + lines + b"\r\n"


def signed(gateway: GatewaySigner, ada: Identity) -> list[tuple[bytes, bytes]]:
    """Return the headers that prove a request."""
    return gateway.sign(ada, audience="orders", method="GET", raw_path=b"/orders")


def test_the_right_peer_with_a_bad_assertion_is_refused(
    serve: Callable[..., int], showing: ASGIApp, orders_validator: Callable[..., HeaderValidator],
    asking: Callable[[int, bytes], Any], gateway: GatewaySigner, ada: Identity,
) -> None:  # fmt: skip
    """The peer's network proves nothing about the user: without, with a broken and with a good assertion."""
    port = serve(GatewayAuthMiddleware(showing, validator=orders_validator(), peers=HERE))
    good = signed(gateway, ada)
    broken = [
        (name, value[:-4] + b"AAAA" if name.lower() == b"x-identity-assertion" else value) for name, value in good
    ]
    plain = [(b"X-User-ID", b"u-ada"), (b"X-User-Role", b"trader")]

    assert [401, 401, 401, 200] == [asking(port, request(headers)).status for headers in ([], plain, broken, good)]


def test_the_wrong_peer_with_a_good_assertion_is_refused(
    serve: Callable[..., int], showing: ASGIApp, orders_validator: Callable[..., HeaderValidator],
    asking: Callable[[int, bytes], Any], gateway: GatewaySigner, ada: Identity,
) -> None:  # fmt: skip
    """Both must hold; the answer is that of any untrusted request, and the trail has the reason."""
    sink = MemorySink()
    audit = AuditLogger([sink], service="orders")
    app = GatewayAuthMiddleware(
        showing, validator=orders_validator(), audit=audit, peers=ELSEWHERE, exempt=["/livez"], anonymous=["/news"]
    )
    port = serve(app)
    refused = asking(port, request(signed(gateway, ada)))

    assert (401, "untrusted_request") == (refused.status, refused.json()["code"])
    assert 401 == asking(port, request([], "/news")).status, "anonymous does not mean from anywhere"
    assert 200 == asking(port, request([], "/livez")).status, "a probe comes from elsewhere"
    audit.close()
    assert [("gateway_rejected", "peer_network")] * 2 == [(event.type, event.reason) for event in sink.events]


def test_a_refused_peer_uses_up_no_assertion(
    orders_validator: Callable[..., HeaderValidator], showing: ASGIApp, gateway: GatewaySigner, ada: Identity,
    serve: Callable[..., int], asking: Callable[[int, bytes], Any],
) -> None:  # fmt: skip
    """What somebody replays from elsewhere is still good from the gateway."""
    validator, headers = orders_validator(), signed(gateway, ada)
    outside = serve(GatewayAuthMiddleware(showing, validator=validator, peers=ELSEWHERE))
    inside = serve(GatewayAuthMiddleware(showing, validator=validator, peers=HERE))

    assert [401, 200] == [asking(port, request(headers)).status for port in (outside, inside)]


@dataclass(frozen=True)
class Authority:
    """A certificate authority of this test, and where its certificates lie."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def issue(self, name: str, *names: x509.GeneralName) -> tuple[str, str]:
        """Return the paths of a certificate with such alternative names, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = signed_certificate(name, key, self.certificate.subject, self.key, names, is_authority=False)
        return write(self.folder, name, key, certificate)

    @property
    def path(self) -> str:
        return str(self.folder / "authority.pem")


def signed_certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name | None,
    signer: ec.EllipticCurvePrivateKey,
    names: tuple[x509.GeneralName, ...],
    *,
    is_authority: bool,
) -> x509.Certificate:
    """Return a certificate that is good for an hour."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = SYSTEM.now()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(usage(is_authority=is_authority), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signer, hashes.SHA256())


def usage(*, is_authority: bool) -> x509.KeyUsage:
    """Return what a key is for."""
    others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only")
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        decipher_only=False,
        **dict.fromkeys(others, False),
    )


def write(folder: Path, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> tuple[str, str]:
    """Write both as PEM."""
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, pkcs8, plain))
    return str(paths[0]), str(paths[1])


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return an authority that signs the certificates of both ends."""
    folder, key = tmp_path_factory.mktemp("mesh"), ec.generate_private_key(ec.SECP256R1())
    certificate = signed_certificate("authority", key, None, key, (), is_authority=True)
    write(folder, "authority", key, certificate)
    return Authority(folder, key, certificate)


class PeerAwareProtocol(H11Protocol):
    """Uvicorn's, with the TLS extension of ASGI, which uvicorn itself does not fill in."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        der = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        chain = () if der is None else (ssl.DER_cert_to_PEM_cert(der),)
        inner: Any = self.app

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await inner({**scope, "extensions": {"tls": {"client_cert_chain": chain}}}, receive, send)

        self.app = app  # type: ignore[assignment]


@pytest.fixture
def mesh(authority: Authority) -> Iterator[Callable[[ASGIApp], int]]:
    """Return a function that serves an application by TLS with certificates of both ends, and returns its port."""
    running: list[tuple[uvicorn.Server, threading.Thread, socket.socket]] = []
    certificate, key = authority.issue("orders", x509.IPAddress(ipaddress.ip_address("127.0.0.1")))

    def serve(app: ASGIApp) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(
            app, http=PeerAwareProtocol, ws="none", log_config=None, access_log=False, ssl_certfile=certificate,
            ssl_keyfile=key, ssl_ca_certs=authority.path, ssl_cert_reqs=ssl.CERT_OPTIONAL,
        )  # fmt: skip
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        running.append((server, thread, listener))
        deadline = time.monotonic() + 10
        while not server.started:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        port: int = listener.getsockname()[1]
        return port

    yield serve
    for server, thread, listener in running:
        server.should_exit = True
        thread.join(10)
        listener.close()


def asked_over_tls(port: int, authority: Authority, headers: Any, pair: tuple[str, str] | None) -> int:
    """Return the status that a client with the certificate *pair* gets."""
    context = ssl.create_default_context(cafile=authority.path)
    if pair is not None:
        context.load_cert_chain(*pair)
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
    sent = {name.decode(): value.decode() for name, value in headers}
    connection.request("GET", "/orders", headers={**sent, "Connection": "close"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


GATEWAY = (x509.DNSName("gateway.internal"), x509.UniformResourceIdentifier("spiffe://mesh/gateway"))
OTHER = (x509.DNSName("gateway.internal.evil"), x509.UniformResourceIdentifier("spiffe://mesh/gateway/x"))


@pytest.mark.parametrize("name", ["dns:Gateway.internal", "uri:spiffe://mesh/gateway"])
def test_the_certificate_of_the_peer_counts_over_real_tls(
    mesh: Callable[[ASGIApp], int], authority: Authority, showing: ASGIApp, name: str,
    orders_validator: Callable[..., HeaderValidator], gateway: GatewaySigner, ada: Identity,
) -> None:  # fmt: skip
    """The gateway's passes, another service's and none do not; and the gateway's without an assertion does not."""
    port = mesh(GatewayAuthMiddleware(showing, validator=orders_validator(), peers=PeerRule(names=[name])))
    certificates = {
        "gateway": authority.issue("gateway", *GATEWAY),
        "other": authority.issue("other", *OTHER),
        "nameless": authority.issue("gateway.internal"),
        "none": None,
    }
    statuses = {who: asked_over_tls(port, authority, signed(gateway, ada), pair) for who, pair in certificates.items()}

    assert {"gateway": 200, "other": 401, "nameless": 401, "none": 401} == statuses
    assert 401 == asked_over_tls(port, authority, [], certificates["gateway"])


ADDRESSES = {
    "10.1.0.7": True,
    "10.1.1.7": False,
    "::ffff:10.1.0.7": True,
    "2001:db8::1": True,
    "2001:db8:1::1": False,
    "fe80::1%eth0": False,
    "": False,
    "unix:/run/orders.sock": False,
    None: False,
}


@pytest.mark.parametrize(("address", "is_near"), ADDRESSES.items(), ids=str)
def test_networks_of_both_families(address: str | None, is_near: bool) -> None:
    """An address that is none lies in no network."""
    rule = PeerRule(networks=["10.1.0.0/24", "2001:db8::/64"])
    if is_near:
        rule.require(Peer(address))
    else:
        with pytest.raises(GatewayTrustError) as refused:
            rule.require(Peer(address))
        assert "peer_network" == refused.value.reason


def test_network_and_name_must_both_hold() -> None:
    """A rule with both asks for both; what is no certificate has no name."""
    rule = PeerRule(networks=["10.1.0.0/24"], names=["dns:gateway.internal"])
    for peer, reason in (
        (Peer("10.1.0.7"), "peer_certificate_missing"),
        (Peer("10.1.0.7", "no certificate é"), "peer_certificate"),
        (Peer("10.2.0.7", "any"), "peer_network"),
    ):
        with pytest.raises(GatewayTrustError) as refused:
            rule.require(peer)
        assert reason == refused.value.reason


def test_a_certificate_that_the_server_could_not_verify_counts_as_none() -> None:
    """ASGI hands it over with an error."""
    scope: Scope = {"client": ("10.1.0.7", 1), "extensions": {"tls": {"client_cert_chain": ["x"]}}}
    assert Peer("10.1.0.7", "x") == peer_of(scope)
    scope["extensions"]["tls"]["client_cert_error"] = "expired"
    assert Peer("10.1.0.7") == peer_of(scope)
    assert Peer(None) == peer_of({"client": None, "extensions": None})
    assert "x" not in repr(Peer(None, "x"))


BAD_RULES: list[dict[str, Any]] = [
    {},
    {"networks": "10.0.0.0/8"},
    {"networks": ["10.1.0.7/24"]},
    {"networks": ["everywhere"]},
    {"names": "dns:gateway.internal"},
    {"names": ["gateway.internal"]},
    {"names": ["dns:*.internal"]},
    {"names": ["dns:"]},
    {"names": ["cn:gateway"]},
    {"names": ["dns:gätaway"]},
    {"names": [7]},
]


@pytest.mark.parametrize("options", BAD_RULES, ids=str)
def test_a_rule_that_says_nothing_is_refused(options: dict[str, Any]) -> None:
    """When it is made."""
    with pytest.raises(ConfigurationError):
        PeerRule(**options)
