"""The identity headers of a request, taken from its raw list so that no server's habits count.

Servers differ in what they make of two equal headers, of ``X_User_ID`` beside ``X-User-ID``, of line feeds and white
space; most frameworks return the first of several. Here a name may occur once and in one spelling, else nothing passes.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from common.auth.exceptions import HeaderMalformed, HeaderSpoofed

__all__ = [
    "ASSERTION",
    "IDENTITY_HEADERS",
    "REQUEST_ID",
    "ROLES",
    "SIGNATURE",
    "SOURCE",
    "USER_ID",
    "RawHeaders",
    "about",
    "collect",
    "without_identity",
]

RawHeaders = Sequence[tuple[bytes, bytes]]
"""Names and values as they came, in order, as ASGI has them in ``scope["headers"]``."""

USER_ID: Final = b"x-user-id"
ROLES: Final = b"x-user-role"
"""One role, or several separated by commas alone."""
REQUEST_ID: Final = b"x-request-id"
SOURCE: Final = b"x-source-service"
ASSERTION: Final = b"x-identity-assertion"
SIGNATURE: Final = b"x-identity-signature"

IDENTITY_HEADERS: Final = (USER_ID, ROLES, REQUEST_ID, SOURCE, ASSERTION, SIGNATURE)

_NAMES = frozenset(IDENTITY_HEADERS)
_LISTS = frozenset({ROLES})
_SEPARATORS = bytes(byte for byte in range(256) if not chr(byte).isascii() or not chr(byte).isalnum())
_SQUEEZED = frozenset(name.translate(None, _SEPARATORS) for name in IDENTITY_HEADERS)
_LONGEST_VALUE = 2048


def collect(headers: RawHeaders, *, most: int, longest_assertion: int) -> dict[bytes, bytes]:
    """Return the values of the identity headers that are there, by lower-case name.

    Args:
        headers: Raw names and values.
        most: How many headers a request may have.
        longest_assertion: In bytes.

    Raises:
        HeaderSpoofed: A name occurs twice, in a look-alike spelling, or with joined values.
        HeaderMalformed: There are more than *most* headers, or a value is too long.
    """
    if len(headers) > most:
        raise HeaderMalformed(reason="too_many_headers")
    found: dict[bytes, bytes] = {}
    for raw_name, value in headers:
        name = raw_name.lower()
        if name in _NAMES:
            if name in found:
                raise HeaderSpoofed(reason="header_duplicate", details=about(name))
            _check(name, value, longest_assertion if name == ASSERTION else _LONGEST_VALUE)
            found[name] = value
        elif name.translate(None, _SEPARATORS) in _SQUEEZED:
            raise HeaderSpoofed(reason="header_lookalike", details=about(name))
    return found


def without_identity(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return *headers* without those that name an identity, in whatever spelling."""
    return [(name, value) for name, value in headers if name.lower().translate(None, _SEPARATORS) not in _SQUEEZED]


def about(name: bytes) -> Mapping[str, object]:
    """Return the details of an error that concerns the header *name*; its value is never told."""
    return {"header": name[:64].decode("latin-1")}


def _check(name: bytes, value: bytes, longest: int) -> None:
    if len(value) > longest:
        raise HeaderMalformed(reason="header_too_long", details=about(name))
    # A proxy that meets a header twice may join the values (RFC 9110, section 5.3).
    if b"," in value and name not in _LISTS:
        raise HeaderSpoofed(reason="header_joined", details=about(name))
