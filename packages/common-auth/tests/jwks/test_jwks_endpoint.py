"""One fetch of a published key set, from a real server on the loopback address: bounded, and never redirected (K6)."""

import ssl
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from common.auth.exceptions import ConfigurationError, KeySourceUnavailable
from common.auth.security.jwks_endpoint import JwksEndpoint
from common.auth.security.keys import SigningKey
from common.auth.testing.jwks_server import JwksServer, answering, jwks_document, publishing

K1 = SigningKey.generate("EdDSA", kid="k1")


@pytest.fixture(autouse=True)
def issuer(server: JwksServer) -> JwksServer:
    """Return an issuer that publishes k1."""
    server.answer = publishing(K1)
    return server


def drip(handler: BaseHTTPRequestHandler) -> None:
    """Send a body that never ends, a byte at a time."""
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.01)


def drip_headers(handler: BaseHTTPRequestHandler) -> None:
    """Send headers that never end."""
    handler.wfile.write(b"HTTP/1.0 200 OK\r\nX: ")
    while True:
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.01)


def flood(handler: BaseHTTPRequestHandler) -> None:
    """Send a body without length that is larger than any key set."""
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b" " * 65536)


def break_off(handler: BaseHTTPRequestHandler) -> None:
    """Promise more than is sent."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"keys": []}')


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (answering(b"", 302, Location="http://169.254.169.254/latest/meta-data/"), "redirected"),
        (answering(jwks_document(K1), 404), "wrong_status"),
        (answering(jwks_document(K1), 201), "wrong_status"),
        (answering(b" " * (512 * 1024 + 1)), "too_large"),
        (flood, "too_large"),
        (drip, "too_slow"),
        (drip_headers, "too_slow"),
        (break_off, "unreachable"),
        (lambda handler: handler.wfile.write(b"SSH-2.0-OpenSSH\r\n"), "unreachable"),
        (lambda handler: None, "unreachable"),
        (answering(b"<html></html>"), "not_json"),
        (answering(b'["keys"]'), "not_json"),
        (answering(b'{"keys": [], "keys": []}'), "not_json"),
        (answering(b'{"keys": NaN}'), "not_json"),
        (answering(b"[" * 200_000), "not_json"),
        (answering(b"\xff\xfe"), "not_json"),
        (answering(jwks_document(K1), Content_Encoding="gzip"), "compressed"),
    ],
)
def test_an_answer_that_is_no_key_set_is_given_up(issuer: JwksServer, answer: Any, reason: str) -> None:
    """Redirects, floods, drips and nonsense end the fetch, within its time, and say why."""
    issuer.answer = answer

    with pytest.raises(KeySourceUnavailable) as caught:
        JwksEndpoint(issuer.url, seconds=0.3 if reason == "too_slow" else 5).fetch()
    assert reason == caught.value.reason


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 that vouches for itself; return the files of certificate and key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(made.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


def test_the_certificate_of_the_issuer_is_verified(issuer: JwksServer, tmp_path: Path) -> None:
    """Over TLS the set comes from a server whose certificate is trusted, and from no other."""
    chain, key = certificate(tmp_path)
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(chain, key)
    issuer.socket = served.wrap_socket(issuer.socket, server_side=True)
    url = issuer.url.replace("http", "https")

    trusting = JwksEndpoint(url, tls=ssl.create_default_context(cafile=str(chain)))
    assert ["k1"] == [member["kid"] for member in trusting.fetch().document["keys"]]  # type: ignore[attr-defined]
    with pytest.raises(KeySourceUnavailable) as caught:
        JwksEndpoint(url).fetch()
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
    assert 1 == issuer.asked


def test_a_context_that_verifies_nothing_is_refused() -> None:
    """There is no way to leave the certificate out."""
    lax = ssl.create_default_context()
    lax.check_hostname = False

    with pytest.raises(ConfigurationError, match="must verify"):
        JwksEndpoint("https://id.example/jwks.json", tls=lax)


@pytest.mark.parametrize(
    "url",
    [
        "http://id.example/jwks.json",
        "http://localhost/jwks.json",
        "http://10.0.0.1/jwks.json",
        "http://127.0.0.1.example/jwks.json",
        "ftp://id.example/jwks.json",
        "file:///etc/passwd",
        "https://user:password@id.example/",
        "https://id.example/#keys",
        "https://id.example/ ",
        "https://id.example\n.evil.example/",
        "https://",
        "https://[::1",
        "https://id.example:99999/",
        "//id.example/",
        "",
        None,
    ],
)
def test_an_address_that_is_not_https_is_refused(url: Any) -> None:
    """Plain http is for numeric loopback addresses; nothing in the error repeats the address."""
    with pytest.raises(ConfigurationError) as caught:
        JwksEndpoint(url)
    assert "password" not in str(caught.value)
