"""No exception from outside the family crosses a public call, whatever it is given (auth X2)."""

import asyncio
import contextlib
import secrets
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.auth.exceptions import AuthError
from common.auth.gateway.peers import Peer, PeerRule
from common.auth.security.api_keys import ApiKeyManager
from common.auth.security.breach_range import BreachRange
from common.auth.security.breaches import BreachChecks
from common.auth.security.context import RequestContext
from common.auth.security.keys import KeyRing, SigningKey, VerificationKey
from common.auth.security.login_guard import LoginGuard, LoginLimits
from common.auth.security.memory_stores import (
    MemoryApiKeyStore,
    MemoryLoginCounterStore,
    MemoryRefreshFamilyStore,
    MemoryRevocationStore,
)
from common.auth.security.password_format import StoredHash
from common.auth.security.peppers import PepperRing
from common.auth.security.secrets import SecretBytes
from common.auth.security.token_format import TokenReader, write_token
from common.auth.security.token_manager import Actor
from common.auth.settings import PasswordSettings
from common.auth.testing import ISSUER, MOMENT, quick_passwords, token_manager
from common.auth.testing.breaches import KnownBreaches
from common.core.settings import Settings
from common.core.utils.clock import FrozenClock
from common.exceptions import CommonError

pytestmark = pytest.mark.thorough

KEY = SigningKey.generate("EdDSA", kid="k1")
TOKENS = token_manager(KEY, clock=FrozenClock(MOMENT))
SESSIONS = token_manager(
    KEY, clock=FrozenClock(MOMENT), families=MemoryRefreshFamilyStore(), revocations=MemoryRevocationStore()
)
PAIR = SESSIONS.start_session("u-1", RequestContext())
PASSWORDS = quick_passwords()
STORED = PASSWORDS.hash("a good password for once")
RING = KeyRing([KEY], issuer=ISSUER)

TEXT = st.text(st.characters(), max_size=300)
OCTETS = st.binary(max_size=300)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
ANYTHING = JSON | OCTETS
NEAR_HASH = st.from_regex(
    r"\$(ca1\$p=[-\w]{1,3},n=n(fk?c|one))?\$?2[abxy]?\$0[3-6]\$[./A-Za-z0-9]{50,54}", fullmatch=True
)
JWK_MEMBERS = st.sampled_from(["kty", "crv", "x", "y", "n", "e", "d", "k", "kid", "alg", "use", "key_ops", "p", "q"])
JWK_VALUES = JSON | st.sampled_from(
    ["OKP", "EC", "RSA", "oct", "Ed25519", "P-256", "EdDSA", "ES256", "RS256", "HS256", "sig", "AQAB"]
)
JWKS = st.dictionaries(JWK_MEMBERS, JWK_VALUES, max_size=8)

quietly = contextlib.suppress(AuthError)


@settings(max_examples=150, deadline=None)
@given(TEXT | OCTETS, st.none() | TEXT | NEAR_HASH)
def test_verify(password: str | bytes, stored: str | None) -> None:
    """Any password against any stored text."""
    with quietly:
        PASSWORDS.verify(password, stored)
    with quietly:
        PASSWORDS.needs_rehash(stored or "")
    with quietly:
        StoredHash.parse(stored or "")


@settings(max_examples=60, deadline=None)
@given(ANYTHING, st.lists(TEXT, max_size=2))
def test_hash_and_policy(password: Any, context: list[str]) -> None:
    """Any object as a password."""
    with quietly:
        PASSWORDS.hash(password)
    with quietly:
        PASSWORDS.validate_strength(password, context=context).require()


@settings(max_examples=20, deadline=None)
@given(TEXT | OCTETS)
def test_asynchronous_twins(password: str | bytes) -> None:
    """The same from a coroutine."""

    async def both() -> None:
        with quietly:
            await PASSWORDS.averify(password, STORED)
        with quietly:
            await PASSWORDS.ahash(password)

    asyncio.run(both())


@settings(max_examples=200, deadline=None)
@given(ANYTHING)
def test_validate(token: Any) -> None:
    """Any object as a token."""
    with quietly:
        TOKENS.validate(token)
    with quietly:
        TokenReader(keys=RING, typ="at+jwt").read(token)


@settings(max_examples=200, deadline=None)
@given(ANYTHING, st.none() | st.lists(JSON, max_size=2) | TEXT, st.none() | TEXT)
def test_what_sessions_are_shown(shown: Any, scope: Any, client_id: str | None) -> None:
    """Any object as a token to renew, to revoke or to take, or as the id of a user or a session."""
    ctx = RequestContext(client_id=client_id)
    for call in (SESSIONS.validate_live, SESSIONS.revoke_token):
        with quietly:
            call(shown)
    with quietly:
        SESSIONS.refresh(shown, ctx, scope=scope)
    with quietly:
        SESSIONS.refresh(PAIR.refresh_token, ctx, scope=scope)
    with quietly:
        SESSIONS.start_session(shown, ctx, scope=scope or (), roles=scope or (), methods=scope or ())


@settings(max_examples=200, deadline=None)
@given(
    subject=ANYTHING,
    session=ANYTHING,
    epoch=ANYTHING,
    roles=st.lists(JSON, max_size=3) | TEXT,
    scope=st.lists(JSON, max_size=3) | TEXT,
    ttl=st.none() | st.timedeltas(),
    source=st.none() | TEXT,
    client_id=st.none() | ANYTHING,
    methods=st.lists(JSON, max_size=2) | TEXT,
    actor=st.none() | st.builds(Actor, JSON),
    authenticated_at=st.none() | st.datetimes(),
)
def test_create_access(**arguments: Any) -> None:
    """Any arguments."""
    with quietly:
        TOKENS.create_access(arguments.pop("subject"), **arguments)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(TEXT, ANYTHING, max_size=4), TEXT)
def test_write_token(claims: dict[str, Any], typ: str) -> None:
    """Any claims."""
    with quietly:
        write_token(claims, typ=typ, key=KEY)


@settings(max_examples=200, deadline=None)
@given(JWKS, st.none() | TEXT)
def test_keys_from_jwk(jwk: dict[str, Any], alg: str | None) -> None:
    """Any members of a key."""
    for read in (VerificationKey.from_jwk, SigningKey.from_jwk):
        with quietly:
            read(jwk, alg=alg)
    with quietly:
        KeyRing.from_jwks({"keys": [jwk]}, issuer=ISSUER)


@settings(max_examples=60, deadline=None)
@given(TEXT | OCTETS, st.sampled_from(["EdDSA", "ES256", "HS256"]) | TEXT)
def test_keys_from_pem_and_secrets(material: str | bytes, alg: str) -> None:
    """Any file, any secret, any algorithm."""
    for read in (VerificationKey.from_pem, SigningKey.from_pem):
        with quietly:
            read(material, alg=alg)
    with quietly:
        SigningKey.from_secret(material if isinstance(material, bytes) else b"x", kid="k", alg=alg)
    with quietly:
        SigningKey.generate(alg)


@settings(max_examples=60, deadline=None)
@given(ANYTHING, ANYTHING)
def test_rings(kid: Any, alg: Any) -> None:
    """Any key id and algorithm."""
    for call in (RING.find, TOKENS._keys.find):
        with quietly:
            call(kid, alg)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(TEXT, OCTETS, max_size=2), TEXT)
def test_peppers(peppers: dict[str, bytes], active: str) -> None:
    """Any peppers."""
    with quietly:
        PepperRing(peppers, active=active)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["PEPPERS", "PEPPER_ACTIVE", "BCRYPT_COST", "NORMALISATION", "PASSWORDS"]), TEXT)
)
def test_settings(variables: dict[str, str]) -> None:
    """Any environment."""
    with contextlib.suppress(CommonError):
        PasswordSettings.of(Settings(environ={f"COMMON_AUTH_{name}": value for name, value in variables.items()}))


GUARD = LoginGuard(MemoryLoginCounterStore(), key=SecretBytes(secrets.token_bytes(32)), limits=LoginLimits(free=2))
API_KEYS = ApiKeyManager(MemoryApiKeyStore(), environment="test")


@settings(max_examples=200, deadline=None)
@given(ANYTHING, ANYTHING, ANYTHING)
def test_guarded_logins(identifier: Any, address: Any, cookie: Any) -> None:
    """Any identifier, from anywhere, with any cookie."""
    with quietly, GUARD.reserve(identifier, RequestContext(source_ip=address, device=cookie)) as attempt:
        raise attempt.failure("wrong_password")
    with quietly:
        GUARD.unlock(identifier)


@settings(max_examples=200, deadline=None)
@given(ANYTHING, st.lists(JSON, max_size=3) | TEXT, st.datetimes() | st.datetimes(timezones=st.timezones()) | ANYTHING)
def test_api_keys(text: Any, scopes: Any, expires: Any) -> None:
    """Any owner, scopes and end; anything shown as a key."""
    with quietly:
        API_KEYS.verify(text, scope="s")
    with quietly:
        API_KEYS.issue(text, scopes, expires=expires)


@settings(max_examples=100, deadline=None)
@given(TEXT | OCTETS, TEXT)
def test_breach_checks(password: Any, url: str) -> None:
    """Any password, any address."""
    with quietly:
        PASSWORDS.judging(breaches=BreachChecks([KnownBreaches()])).validate_strength(password)
    with quietly:
        BreachRange(url)


@settings(max_examples=100, deadline=None)
@given(ANYTHING, ANYTHING)
def test_peer_rules(network: Any, name: Any) -> None:
    """Any network, name and peer."""
    with quietly:
        PeerRule(networks=[network], names=[name])
    with quietly:
        PeerRule(networks=["10.0.0.0/8"], names=["dns:x"]).require(Peer(network, name))


def test_the_largest_lifetime_is_refused_like_any_other() -> None:
    """Numbers beyond every calendar are arguments too."""
    with pytest.raises(AuthError):
        TOKENS.create_access("u", session="s", epoch=0, ttl=timedelta.max)
