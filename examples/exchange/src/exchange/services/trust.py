"""Who trusts whose signature in the exchange.

The user service signs access tokens and publishes its keys, by which the gateway verifies them. The gateway signs an
identity assertion for the one service that it forwards to; the order service signs one for the inventory service when it
asks on a user's behalf.
"""

from datetime import timedelta

from common.auth.gateway.header_validator import HeaderValidator, TrustMode
from common.auth.security.keys import KeyRing, SigningKey, VerificationKey
from common.auth.security.login_limits import LoginLimits
from common.auth.security.remote_jwks import RemoteJWKS
from common.auth.security.secrets import SecretBytes
from common.core import Settings

ALGORITHM = "EdDSA"
ISSUER = "exchange-users"
"""Of access tokens."""
AUDIENCE = "exchange"
"""Of access tokens: the exchange as a whole."""
GATEWAY = "gateway"
PEOPLE = ("trader", "operator")
ROLES = frozenset(PEOPLE)
"""Every person has one; a machine has none, and only the scopes of its API key."""
ANONYMOUS = (("POST", "/users"), ("POST", "/sessions"), ("POST", "/sessions/renewal"), ("POST", "/sessions/end"))
"""Where nobody needs to be known: signing up and logging in, and what a refresh token does by itself."""
LIMITS = LoginLimits(free=5, first_delay=timedelta(seconds=30))
"""Five failed log-ins in a row cost nothing; then strangers wait for half a minute, a minute, two …"""
KEY_SET = "/.well-known/jwks.json"
"""Where the user service publishes the keys of access tokens."""
KEY_SET_AGE = timedelta(seconds=2)
"""How long others may cache it, and so how long before its first use a new key is published; hours, in earnest."""
PRICES = "prices:write"
"""The scope of an API key that quotes prices."""
KEY_ENVIRONMENT = "dev"
"""Of API keys: one of another environment is refused unread."""
CALLERS = {"inventory": ("orders",)}
"""Which services a service takes calls from, beside the gateway's."""


def signing_keys(settings: Settings, name: str, issuer: str) -> KeyRing:
    """Return the ring with which *name* signs; only its own process has the key."""
    pem = settings.section("EXCHANGE_").secret(f"{name.upper()}_PRIVATE_KEY").reveal()
    return KeyRing([SigningKey.from_pem(pem, alg=ALGORITHM)], issuer=issuer)


def verification_keys(settings: Settings, name: str, issuer: str) -> KeyRing:
    """Return the ring that verifies what *name* signs; every process may have it."""
    pem = settings.section("EXCHANGE_").text(f"{name.upper()}_PUBLIC_KEY")
    return KeyRing([VerificationKey.from_pem(pem, alg=ALGORITHM)], issuer=issuer)


def published_keys(settings: Settings) -> RemoteJWKS:
    """Return the keys that the user service publishes; a token whose key is new waits up to a second for them."""
    url = settings.section("EXCHANGE_").text("USERS_URL")
    second = timedelta(seconds=1)
    return RemoteJWKS(url + KEY_SET, issuer=ISSUER, cooldown=second, miss_wait=second)


def secret_octets(settings: Settings, name: str) -> SecretBytes:
    """Return a secret of this process: the variable ``EXCHANGE_<name>``, in hexadecimal digits."""
    return SecretBytes(bytes.fromhex(settings.section("EXCHANGE_").secret(name).reveal()))


def identity_validator(settings: Settings) -> HeaderValidator:
    """Return what decides who is asking this service: the gateway's word, and that of the services that may call it."""
    service = settings.service_name
    peers = [verification_keys(settings, peer, peer) for peer in CALLERS.get(service, ())]
    return HeaderValidator(
        mode=TrustMode.ASSERTION,
        service=service,
        keys=verification_keys(settings, GATEWAY, GATEWAY),
        roles=ROLES,
        sources={GATEWAY},
        peers=peers,
        environment=settings.environment,
    )
