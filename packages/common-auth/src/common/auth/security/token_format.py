"""Compact JSON Web Signatures (RFC 7515), written in one form and read strictly.

Reading goes from cheap to dear, and each step only sees what the one before has let through: length, alphabet and
segments, header, key, signature, and only then the JSON of the claims. Base64url and JSON are read more narrowly than
RFC 7515 and RFC 8259 ask for: no padding, no unused bits, UTF-8 alone, no member twice, no number beyond JSON.
"""

import binascii
import json
import math
import re
from collections.abc import Container, Mapping
from contextlib import suppress
from enum import StrEnum
from typing import Final, NoReturn

from common.auth.exceptions import ConfigurationError, InvalidClaim, TokenInvalid, TokenWrongType
from common.auth.security.algorithms import ALGORITHMS
from common.auth.security.jwk import base64url
from common.auth.security.signing_keys import KEY_ID, KeySource, SigningKey
from common.core.json_types import JSONValue

__all__ = ["MAX_CLAIMS", "MAX_TOKEN", "TokenKind", "TokenReader", "write_token"]

MAX_TOKEN: Final = 8192
"""Bytes of a token's compact form."""
MAX_CLAIMS: Final = 6144
"""Bytes of the claims' JSON."""
_MAX_HEADER: Final = 512
_MAX_HEADERS_KEPT: Final = 64

_COMPACT: Final = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_TO_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_PADDING: Final = (b"", None, b"==", b"=")
_CANONICAL_ENDS: Final[tuple[Container[int], ...]] = (range(256), (), b"AQgw", b"AEIMQUYcgkosw048")
"""By length modulo 4: the last characters whose unused bits are zero, so that a token has one spelling only."""
_HEADER_MEMBERS: Final = frozenset({"alg", "kid", "typ"})


class TokenKind(StrEnum):
    """The kinds of token, by their header member ``typ``. One kind is never taken for another."""

    ACCESS = "at+jwt"
    """RFC 9068, section 2.1."""
    REFRESH = "rt+jwt"
    IDENTITY_ASSERTION = "ca-id+jwt"
    """What the gateway tells a service about who is asking."""
    ID = "JWT"
    """OpenID Connect; issued by others, and refused here."""
    LOGOUT = "logout+jwt"
    """OpenID Connect Back-Channel Logout 1.0, section 2.4; issued by others, and refused here."""


_KINDS: Final = frozenset(kind.value for kind in TokenKind)


def write_token(claims: Mapping[str, JSONValue], *, typ: str, key: SigningKey) -> str:
    """Return the compact form of *claims*, signed by *key*. The header's members are exactly alg, kid and typ.

    Raises:
        InvalidClaim: A claim is not JSON, or they are too many: over :data:`MAX_CLAIMS` bytes, or the token over
            :data:`MAX_TOKEN`.
        KeySourceUnavailable: The signer failed.
    """
    header = json.dumps({"alg": key.alg, "kid": key.kid, "typ": typ}, separators=(",", ":"))
    signing_input = f"{base64url(header.encode())}.{base64url(_claims_json(claims))}"
    token = f"{signing_input}.{base64url(key.sign(signing_input.encode()))}"
    if len(token) > MAX_TOKEN:
        raise InvalidClaim(f"The token has {len(token)} bytes; {MAX_TOKEN} are read.", reason="claims_too_large")
    return token


def _claims_json(claims: Mapping[str, JSONValue]) -> bytes:
    written = None
    with suppress(TypeError, ValueError, RecursionError):  # they quote the value, so ours is raised without them
        written = json.dumps(claims, separators=(",", ":"), allow_nan=False, ensure_ascii=True).encode()
    if written is None:
        raise InvalidClaim(
            "A claim is not JSON. Use text, finite numbers, lists and mappings.", reason="claim_not_json"
        )
    if len(written) > MAX_CLAIMS:
        raise InvalidClaim(f"The claims take {len(written)} bytes; {MAX_CLAIMS} fit.", reason="claims_too_large")
    return written


class TokenReader:
    """Verifies tokens of one kind up to, and not including, what their claims say. Safe to use from any thread.

    Args:
        keys: Finds the key by id and algorithm.
        typ: The exact value of the header member ``typ``.
        max_length: In bytes of the compact form.
        max_claims: In bytes of the claims' JSON.
    """

    def __init__(self, *, keys: KeySource, typ: str, max_length: int = MAX_TOKEN, max_claims: int = MAX_CLAIMS) -> None:
        if not typ or not 0 < max_claims <= max_length <= 1 << 16:
            raise ConfigurationError(
                "A token reader needs a typ, and a max_length of at most 65536.", reason="bad_limits"
            )
        self._keys = keys
        self._typ = typ
        self._max_length = max_length
        self._max_claims = max_claims
        self._known_headers: dict[bytes, tuple[str, str]] = {}

    def read(self, token: str | bytes) -> dict[str, JSONValue]:
        """Return the claims of *token*, whose signature is good; nothing else about them is checked.

        Raises:
            TokenWrongType: A token of another kind.
            UnknownKey: No usable key has its id and algorithm.
            TokenInvalid: Anything else that is wrong; ``reason`` tells what.
        """
        compact = self._bounded(token)
        form = _COMPACT.fullmatch(compact)
        if form is None:
            raise TokenInvalid(reason="not_compact")
        header, claims, signature = form.groups()
        kid, alg = self._known_headers.get(header) or self._header(header)
        key = self._keys.find(kid, alg)
        if not key.verify(compact[: form.end(2)], _decoded(signature)):
            raise TokenInvalid(reason="bad_signature")
        self._keep(header, kid, alg)
        return self._claims(claims)

    def _bounded(self, token: str | bytes) -> bytes:
        if not isinstance(token, str | bytes):
            raise TokenInvalid(reason="not_text")
        if len(token) > self._max_length:
            raise TokenInvalid(reason="too_long")
        if not token.isascii():
            raise TokenInvalid(reason="not_ascii")
        return token.encode("ascii") if isinstance(token, str) else token

    def _header(self, segment: bytes) -> tuple[str, str]:
        """Return key id and algorithm of a header that has nothing but what it must have."""
        if len(segment) * 3 // 4 > _MAX_HEADER:
            raise TokenInvalid(reason="header_too_long")
        members = _json_object(_decoded(segment), "header_not_json")
        alg, kid, typ = members.get("alg"), members.get("kid"), members.get("typ")
        if not isinstance(alg, str) or alg not in ALGORITHMS:
            raise TokenInvalid(reason="algorithm_not_permitted")
        if typ != self._typ:
            raise (TokenWrongType if isinstance(typ, str) and typ in _KINDS else TokenInvalid)(reason="wrong_type")
        if members.keys() != _HEADER_MEMBERS:
            raise TokenInvalid(reason="header_member_not_permitted")
        if not isinstance(kid, str) or not KEY_ID.fullmatch(kid):
            raise TokenInvalid(reason="malformed_kid")
        return kid, alg

    def _keep(self, header: bytes, kid: str, alg: str) -> None:
        # Only headers under a good signature are kept, so nobody without a key can fill the table.
        if len(self._known_headers) < _MAX_HEADERS_KEPT:
            self._known_headers[header] = (kid, alg)

    def _claims(self, segment: bytes) -> dict[str, JSONValue]:
        if len(segment) * 3 // 4 > self._max_claims:
            raise TokenInvalid(reason="claims_too_long")
        return _json_object(_decoded(segment), "claims_not_json")


def _decoded(segment: bytes) -> bytes:
    """Return the octets of a base64url *segment* whose alphabet has been checked."""
    rest = len(segment) % 4
    padding = _PADDING[rest]
    if padding is None or segment[-1] not in _CANONICAL_ENDS[rest]:
        raise TokenInvalid(reason="not_base64url")
    return binascii.a2b_base64(segment.translate(_TO_STANDARD) + padding)


class _NotStrict(ValueError):
    """JSON that a lenient reader would take."""


def _once(pairs: list[tuple[str, JSONValue]]) -> dict[str, JSONValue]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _NotStrict
    return members


def _no_constant(name: str) -> NoReturn:
    raise _NotStrict


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _NotStrict
    return number


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant, parse_float=_finite)


def _json_object(octets: bytes, reason: str) -> dict[str, JSONValue]:
    members = None
    try:
        text = octets.decode("utf-8")
        members = _DECODER.decode(text)
        if "\\u" in text:
            json.dumps(members, ensure_ascii=False).encode("utf-8")  # finds lone surrogates among the escapes
    except (ValueError, RecursionError):
        members = None  # reported below, where the library's error, which holds the token, no longer hangs on ours
    if not isinstance(members, dict):
        raise TokenInvalid(reason=reason)
    return members
