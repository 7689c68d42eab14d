"""Who is at the other end of the connection: a check in addition to the gateway's proof, never instead of it.

A network or a certificate tells which machine speaks. It does not tell for whom: whoever gets onto that machine, or
into that network, would else be everybody.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from cryptography import x509

from common.auth.exceptions import ConfigurationError, GatewayTrustError
from common.auth.gateway.asgi import Scope

__all__ = ["Peer", "PeerRule", "peer_of"]

_CERTIFICATES_KEPT: Final = 64
_KINDS: Final = ("dns", "uri")


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection, as the server saw it."""

    address: str | None
    """Of the TCP connection itself. A server that reads ``X-Forwarded-For`` puts something else here: turn that off."""
    certificate: str | None = field(default=None, repr=False)
    """The client's own certificate in PEM, which the server's TLS has verified; ``None`` without one."""


class PeerRule:
    """Lets connections in by network, by certificate, or by both.

    Args:
        networks: Where the gateway may connect from, such as ``10.1.0.0/24``; empty: from anywhere.
        names: Which subject alternative names its certificate may have, such as ``dns:gateway.internal`` or
            ``uri:spiffe://mesh/gateway``, one of which is enough; to the letter, without wildcards; empty: no
            certificate is asked for. The server's TLS must demand and verify certificates.

    Raises:
        ConfigurationError: Neither is given, or one is malformed.

    >>> rule = PeerRule(networks=["10.1.0.0/24"])
    >>> rule.require(Peer("10.1.0.7"))
    >>> rule.require(Peer("10.2.0.7"))
    Traceback (most recent call last):
    common.auth.exceptions.GatewayTrustError: peer_network
    """

    def __init__(self, *, networks: Collection[str] = (), names: Collection[str] = ()) -> None:
        if isinstance(networks, str) or isinstance(names, str) or not (networks or names):
            raise ConfigurationError("A PeerRule needs a list of networks, of names, or both.", reason="bad_peers")
        self._networks = tuple(map(_network, networks))
        self._names = frozenset(map(_name, names))

    def require(self, peer: Peer) -> None:
        """Go on if *peer* may connect.

        Raises:
            GatewayTrustError: It may not: ``reason`` is ``peer_network``, ``peer_certificate_missing`` or
                ``peer_certificate``.
        """
        if self._networks and not self._is_near(peer.address):
            raise GatewayTrustError(reason="peer_network")
        if self._names and not isinstance(peer.certificate, str):
            raise GatewayTrustError(reason="peer_certificate_missing")
        if self._names and self._names.isdisjoint(_names_of(peer.certificate or "")):
            raise GatewayTrustError(reason="peer_certificate")

    def _is_near(self, address: str | None) -> bool:
        try:
            found = ip_address(address.partition("%")[0] if isinstance(address, str) else "")
        except ValueError:
            return False
        if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return any(found in network for network in self._networks)

    def __repr__(self) -> str:
        return f"PeerRule(networks={list(map(str, self._networks))}, names={sorted(self._names)})"


def peer_of(scope: Scope) -> Peer:
    """Return the peer of an ASGI connection; its certificate as the TLS extension has it (ASGI specification, "TLS").

    A certificate that the server could not verify counts as none.
    """
    client = scope.get("client")
    tls = (scope.get("extensions") or {}).get("tls") or {}
    chain: Iterable[str] = () if tls.get("client_cert_error") else tls.get("client_cert_chain") or ()
    return Peer(str(client[0]) if client else None, next(iter(chain), None))


@lru_cache(_CERTIFICATES_KEPT)
def _names_of(certificate: str) -> frozenset[str]:
    """Return the subject alternative names of a certificate, with their kinds; none of what is no certificate."""
    try:
        parsed = x509.load_pem_x509_certificate(certificate.encode("ascii"))
        names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return frozenset()
    hosts = (f"dns:{name.lower()}" for name in names.get_values_for_type(x509.DNSName))
    addresses = (f"uri:{name}" for name in names.get_values_for_type(x509.UniformResourceIdentifier))
    return frozenset((*hosts, *addresses))


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text if isinstance(text, str) else "")
    except ValueError:
        raise ConfigurationError(
            "PeerRule: a network is written like 10.1.0.0/24, with no bit set behind the prefix.", reason="bad_peers"
        ) from None


def _name(text: str) -> str:
    kind, _, name = text.partition(":") if isinstance(text, str) else ("", "", "")
    if kind not in _KINDS or not name or "*" in name or not name.isascii():
        raise ConfigurationError(
            "PeerRule: a name is written like dns:gateway.internal or uri:spiffe://mesh/gateway, without wildcards.",
            reason="bad_peers",
        )
    return text.lower() if kind == "dns" else text
