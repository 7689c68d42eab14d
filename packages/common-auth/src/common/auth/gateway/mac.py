"""The MAC of HMAC mode: what it covers, and how it travels. Pure.

The header ``X-Identity-Signature`` is ``v1.<key id>.<created>.<nonce>.<mac>``. The MAC is HMAC-SHA-256 over the version,
the key id, the time, the nonce, method, path with query, the name of the service, and each identity header. Each field
is preceded by its length in four bytes, big-endian, and an absent header is ``ff ff ff ff``: no byte can move from one
field to its neighbour, and absent is not empty.
"""

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from common.auth.gateway.raw_headers import REQUEST_ID, ROLES, SOURCE, USER_ID
from common.auth.security.secrets import SecretBytes

__all__ = ["MacClaim", "covered_octets", "mac_of", "parse_signature", "request_target"]

VERSION: Final = b"v1"
_FORM = re.compile(rb"v1\.([A-Za-z0-9_-]{1,64})\.([0-9]{1,12})\.([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})")
_COVERED = (USER_ID, ROLES, REQUEST_ID, SOURCE)
_ABSENT = b"\xff\xff\xff\xff"


@dataclass(frozen=True, slots=True)
class MacClaim:
    """What the signature header says; nothing of it is proven."""

    kid: str
    created: int
    """Seconds since the Unix epoch."""
    nonce: str
    mac: bytes = field(repr=False)
    """In base64url, without padding."""


def parse_signature(value: bytes) -> MacClaim | None:
    """Return the parts of a signature header, or ``None`` where it has another form."""
    match = _FORM.fullmatch(value)
    if match is None:
        return None
    kid, created, nonce, mac = match.groups()
    return MacClaim(kid.decode("ascii"), int(created), nonce.decode("ascii"), mac)


def mac_of(
    key: SecretBytes,
    *,
    kid: str,
    created: int,
    nonce: str,
    method: str,
    target: bytes,
    audience: str,
    headers: Mapping[bytes, bytes],
) -> bytes:
    """Return the MAC in base64url, 43 characters.

    Args:
        key: That of the service *audience*.
        kid: Its id.
        created: When, in seconds since the Unix epoch.
        nonce: 22 characters of base64url, random.
        method: The HTTP method, in upper case.
        target: Path and query as they stand in the request line; see :func:`request_target`.
        audience: Name of the service that is called.
        headers: The identity headers by lower-case name; others are not covered.
    """
    octets = covered_octets(kid, created, nonce, method, target, audience, headers)
    return urlsafe_b64encode(hmac.digest(key.reveal(), octets, hashlib.sha256)).rstrip(b"=")


def covered_octets(
    kid: str, created: int, nonce: str, method: str, target: bytes, audience: str, headers: Mapping[bytes, bytes]
) -> bytes:
    """Return what the MAC is computed over; arguments as for :func:`mac_of`."""
    fields: list[bytes | None] = [
        VERSION,
        kid.encode("ascii"),
        b"%d" % created,
        nonce.encode("ascii"),
        method.encode("ascii", "replace"),
        target,
        audience.encode("ascii"),
    ]
    fields += [headers.get(name) for name in _COVERED]
    return b"".join([_ABSENT if octets is None else len(octets).to_bytes(4, "big") + octets for octets in fields])


def request_target(raw_path: bytes) -> bytes:
    """Return *raw_path* as both sides cover it: a question mark with nothing behind it does not reach an application."""
    return raw_path.removesuffix(b"?")
