"""What is shown as a refresh token and is none changes nothing, whatever it is (auth F2; the attack table, extended)."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from common.auth.exceptions import AuthError, TokenError, TokenWrongType
from common.auth.security.context import RequestContext
from common.auth.security.jwk import base64url
from common.auth.security.keys import SigningKey
from common.auth.testing import AUDIENCE, ISSUER, MOMENT, access_claims, forge
from common.core.utils.clock import FrozenClock

STRANGER = SigningKey.generate("EdDSA", kid="k1")
NOW = int(MOMENT.timestamp())


def payload(token: str) -> dict[str, Any]:
    """Return the claims of a token, unverified."""
    segment = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    return claims


@pytest.fixture
def signing(house: Any) -> SigningKey:
    """Return the service's own key, for what an attacker could only dream of."""
    key: SigningKey = house.manager._keys.active()
    return key


# Changes of a good refresh token's claims, each under the service's own signature; ``...`` leaves a claim out.
CLAIMS = [
    *({"gen": value} for value in (0, -1, 2, "1", 1.0, True, None, [1], 2**60, ...)),
    *({"sid": value} for value in ("", "of nobody", "of-nobody", None, 7, ["x"], "x" * 256, ...)),
    *({"ver": value} for value in (-1, 1, 7, "0", 0.0, False, ...)),
    *({"sub": value} for value in ("", "u-2", "two words", "\0", "\u202e", 7, ...)),
    *({"iss": value} for value in ("https://other.example", f"{ISSUER}/", [ISSUER], ...)),
    *({"aud": value} for value in (AUDIENCE, [ISSUER, AUDIENCE], "", ...)),
    *({"client_id": value} for value in ("mobile", "", ["web"], ...)),
    *({"exp": value} for value in (NOW, NOW - 3600, "9999999999", 1e20, NOW + 10**9, ...)),
    *({"iat": value} for value in (NOW + 3600, "0", 0, ...)),
    *({"jti": value} for value in ("", None, 7, ...)),
    *({"scope": value} for value in (["a"], 7, "two  spaces")),
    *({"roles": value} for value in ("admin", [7], ["\0"])),
    *({"amr": value} for value in ("pwd", [""])),
    {"auth_time": "0"},
]

HEADERS = [
    *({"typ": value} for value in ("at+jwt", "JWT", "ca-id+jwt", "logout+jwt", "RT+JWT", "", None, ...)),
    *({"alg": value} for value in ("none", "HS256", "RS256", "", None, ...)),
    *({"kid": value} for value in ("../../dev/null", "k2", "", 7, "x" * 65, ...)),
    *({name: "x"} for name in ("jku", "x5u", "jwk", "crit", "b64", "zip", "cty")),
]


def refused(house: Any, token: Any, stored: Callable[[Any], str]) -> AuthError:
    """Show *token*, expect a refusal that changes no item, and return it."""
    before = stored(house)
    house.families.calls.clear()
    with pytest.raises(TokenError) as caught:
        house.manager.refresh(token, RequestContext(client_id="web"))
    assert before == stored(house)
    return caught.value


@pytest.mark.parametrize("changes", CLAIMS, ids=str)
def test_no_other_claims_are_taken(
    house: Any, signing: SigningKey, stored: Callable[[Any], str], changes: dict[str, Any]
) -> None:
    """Even signed by the service's own key: no generation, session, user, epoch, client or time but the stored ones."""
    pair = house.login(scope=["a"], roles=["trader"])
    claims = {name: value for name, value in {**payload(pair.refresh_token), **changes}.items() if value is not ...}

    refused(house, forge(signing, claims, typ="rt+jwt"), stored)
    house.refresh(pair)


@pytest.mark.parametrize("members", HEADERS, ids=str)
def test_no_other_header_is_taken(
    house: Any, signing: SigningKey, stored: Callable[[Any], str], members: dict[str, Any]
) -> None:
    """Nor is the store asked: the header is read before the key, and the key before the claims."""
    pair = house.login()

    refused(house, forge(signing, payload(pair.refresh_token), **{"typ": "rt+jwt", **members}), stored)

    assert {} == house.families.calls


def test_a_made_up_token_of_a_real_session_ends_nothing(house: Any, stored: Callable[[Any], str]) -> None:
    """Who knows a session id alone cannot end it by a token of an old generation with a bad signature (F2)."""
    pair = house.refresh(house.refresh(house.login()))
    old = {**payload(pair.refresh_token), "gen": 1}

    refused(house, forge(STRANGER, old, typ="rt+jwt"), stored)
    header, _, signature = pair.refresh_token.split(".")
    refused(house, f"{header}.{base64url(json.dumps(old).encode())}.{signature}", stored)

    assert {} == house.families.calls
    house.refresh(pair)


def test_no_kind_of_token_is_taken_for_another(house: Any, signing: SigningKey, stored: Callable[[Any], str]) -> None:
    """Access tokens renew nothing, refresh tokens open nothing."""
    pair = house.login()

    assert isinstance(refused(house, pair.access_token, stored), TokenWrongType)
    for kind in ("ca-id+jwt", "JWT", "logout+jwt"):
        assert isinstance(refused(house, forge(signing, access_claims(), typ=kind), stored), TokenWrongType)
    for take in (house.manager.validate, house.manager.validate_live):
        with pytest.raises(TokenWrongType):
            take(pair.refresh_token)


@pytest.mark.parametrize(
    "token",
    ["", b"", ".", "..", "a.b.c", "\ud800", "é", "x" * 8193, "x" * 5_000_000, b"\xff\xfe", None, 7, [], {}, object()],
)
def test_anything_at_all_is_refused(house: Any, stored: Callable[[Any], str], token: Any) -> None:
    """Whatever object it is, as a refresh token and as one to revoke."""
    house.login()

    refused(house, token, stored)
    with pytest.raises(TokenError):
        house.manager.revoke_token(token)


def test_every_changed_character_is_noticed(house: Any, stored: Callable[[Any], str]) -> None:
    """A refresh token with one character replaced is refused, wherever that is."""
    pair = house.login()
    token = pair.refresh_token
    for place in range(0, len(token), 7):
        other = "A" if token[place] != "A" else "B"
        refused(house, token[:place] + other + token[place + 1 :], stored)
    refused(house, token + "=", stored)
    refused(house, token[:-1], stored)


def test_a_session_of_another_issuer_is_another_session(
    house: Any, build_house: Callable[..., Any], clock: FrozenClock
) -> None:
    """Two services with sessions of one name, and keys of one id, do not renew each other's."""
    other = build_house(key=STRANGER)
    pair = other.login()

    with pytest.raises(TokenError):
        house.refresh(pair)
    other.refresh(pair)


@pytest.mark.parametrize("kind", ["access", "refresh"])
def test_nobody_revokes_by_a_made_up_token(house: Any, stored: Callable[[Any], str], kind: str) -> None:
    """Revocation too needs a genuine token: else anybody could log anybody out."""
    pair = house.login()
    before = stored(house)
    real = getattr(pair, f"{kind}_token")
    forged = forge(STRANGER, payload(real), typ={"access": "at+jwt", "refresh": "rt+jwt"}[kind])

    with pytest.raises(TokenError):
        house.manager.revoke_token(forged)

    assert before == stored(house)
    house.manager.validate_live(pair.access_token)
