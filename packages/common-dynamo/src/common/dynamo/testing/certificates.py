"""A certificate authority made on the spot, and the certificates of a server, sound and unsound. Needs ``cryptography``."""

import ssl
import warnings
from datetime import UTC, datetime, timedelta
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

__all__ = ["Authority", "outdated"]

_DAY: Final = timedelta(days=1)


class Authority:
    """A private authority whose files lie in one folder.

    Args:
        folder: Where certificates and keys are written; nobody else reads it.
        name: Of the authority, and of its files.
    """

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self.name = name

    @cached_property
    def bundle(self) -> Path:
        """The file to trust."""
        return self._write(f"{self.name}.pem", _pem(self._certificate))

    def server(self, *hosts: str, expired: bool = False, own_signature: bool = False) -> ssl.SSLContext:
        """Return what a server needs that shows a certificate for *hosts*, names or addresses.

        Args:
            hosts: Its subject alternative names.
            expired: Whether it ended yesterday.
            own_signature: Whether it is signed by its own key, and by no authority.
        """
        key = _new_key()
        builder = _builder(hosts[0], key, starts=-3 * _DAY, ends=-_DAY if expired else _DAY)
        builder = builder.add_extension(_alternative_names(hosts), critical=False)
        if own_signature:
            signed = _signed(builder, hosts[0], key)
        else:
            signed = _signed(builder, self.name, self._key)
        file = self._write(f"server-{signed.serial_number}.pem", _private_pem(key) + _pem(signed))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    @cached_property
    def _key(self) -> "EllipticCurvePrivateKey":
        return _new_key()

    @cached_property
    def _certificate(self) -> "x509.Certificate":
        from cryptography import x509

        builder = _builder(self.name, self._key, starts=-_DAY, ends=_DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        return _signed(builder, self.name, self._key)

    def _write(self, name: str, content: bytes) -> Path:
        file = self._folder / name
        file.touch(mode=0o600)
        file.write_bytes(content)
        return file


def outdated(context: ssl.SSLContext) -> ssl.SSLContext:
    """Make *context*, of a server, one that knows TLS 1.1 at most."""
    context.set_ciphers("ALL:@SECLEVEL=0")  # what OpenSSL lets nobody use without being asked
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def _new_key() -> "EllipticCurvePrivateKey":
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _name(text: str) -> "x509.Name":
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _alternative_names(hosts: tuple[str, ...]) -> "x509.SubjectAlternativeName":
    from cryptography import x509

    names: list[Any] = []
    for host in hosts:
        try:
            names.append(x509.IPAddress(ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return x509.SubjectAlternativeName(names)


def _builder(
    subject: str, key: "EllipticCurvePrivateKey", *, starts: timedelta, ends: timedelta
) -> "x509.CertificateBuilder":
    from cryptography import x509

    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + starts)
        .not_valid_after(now + ends)
    )


def _signed(builder: "x509.CertificateBuilder", issuer: str, key: "EllipticCurvePrivateKey") -> "x509.Certificate":
    from cryptography.hazmat.primitives import hashes

    return builder.issuer_name(_name(issuer)).sign(key, hashes.SHA256())


def _pem(certificate: "x509.Certificate") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _private_pem(key: "EllipticCurvePrivateKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
