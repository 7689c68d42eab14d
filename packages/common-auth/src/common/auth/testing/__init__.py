"""What tests of services need that hash passwords or take tokens; switched on by ``pytest_plugins``.

Nothing else of common-auth imports this module: it needs pytest, which no distribution depends on.
"""

import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.auth.security.clock import Clock
from common.auth.security.jwk import base64url
from common.auth.security.keys import KeyRing, SigningKey
from common.auth.security.password_manager import PasswordManager
from common.auth.security.peppers import PepperRing
from common.auth.security.token_manager import TokenManager
from common.core.utils.clock import FrozenClock

__all__ = ["AUDIENCE", "ISSUER", "MOMENT", "access_claims", "clock", "forge", "quick_passwords", "token_manager"]

ISSUER = "https://id.example"
AUDIENCE = "orders"
MOMENT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
"""Where the fixture :func:`clock` stands at first."""


@pytest.fixture
def clock() -> FrozenClock:
    """Return a clock that stands at :data:`MOMENT` until it is moved."""
    return FrozenClock(MOMENT)


def quick_passwords(*, cost: int = 4, **options: Any) -> PasswordManager:
    """Make a password manager whose hashes take a millisecond, with a random pepper ``k1`` unless one is given.

    >>> quick_passwords()
    PasswordManager(cost=4, pepper='k1', normalisation='nfc')
    """
    options.setdefault("peppers", PepperRing({"k1": secrets.token_bytes(32)}, active="k1"))
    return PasswordManager(cost=cost, testing=True, **options)


def token_manager(key: SigningKey | None = None, *, clock: Clock, **options: Any) -> TokenManager:
    """Make a token manager of :data:`ISSUER` for :data:`AUDIENCE` on *clock*, with a new Ed25519 key by default."""
    ring = KeyRing([key or SigningKey.generate("EdDSA", kid="k1")], issuer=ISSUER, allow_symmetric=True, clock=clock)
    return TokenManager(issuer=ISSUER, audience=AUDIENCE, keys=ring, clock=clock, **options)


def access_claims(*, now: datetime = MOMENT, **changes: Any) -> dict[str, Any]:
    """Return the claims of a good access token at *now*, changed by *changes*; ``...`` leaves a claim out.

    >>> sorted(set(access_claims()) - set(access_claims(exp=...)))
    ['exp']
    """
    issued = int(now.timestamp())
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "sub": "u-1",
        "aud": AUDIENCE,
        "client_id": "web",
        "iat": issued,
        "nbf": issued,
        "exp": issued + int(timedelta(minutes=5).total_seconds()),
        "jti": "token-1",
        "sid": "session-1",
        "ver": 0,
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not ...}


def forge(
    key: SigningKey,
    claims: Mapping[str, Any] | bytes | None = None,
    *,
    header: Mapping[str, Any] | bytes | None = None,
    **members: Any,
) -> str:
    """Sign anything at all, as an attacker would who has the key of an issuer, or none that counts.

    Args:
        key: Signs, whatever the header says.
        claims: A mapping, or the exact octets; by default good ones.
        header: The whole header, as a mapping or the exact octets; by default a good one.
        members: Change or add members of the good header; ``...`` leaves one out.
    """
    good = {"alg": key.alg, "kid": key.kid, "typ": "at+jwt", **members}
    written = header if header is not None else {name: value for name, value in good.items() if value is not ...}
    segments = (base64url(_octets(part)) for part in (written, access_claims() if claims is None else claims))
    signing_input = ".".join(segments)
    return f"{signing_input}.{base64url(key.sign(signing_input.encode()))}"


def _octets(part: Mapping[str, Any] | bytes) -> bytes:
    return part if isinstance(part, bytes) else json.dumps(part, separators=(",", ":")).encode()
