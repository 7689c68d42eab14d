"""Who trusts whose signature in the exchange.

The user service signs access tokens, which the gateway verifies. The gateway signs an identity assertion for the one
service that it forwards to; the order service signs one for the inventory service when it asks on a user's behalf.
"""

from common.auth.gateway.header_validator import HeaderValidator, TrustMode
from common.auth.security.keys import KeyRing, SigningKey, VerificationKey
from common.core import Settings

ALGORITHM = "EdDSA"
ISSUER = "exchange-users"
"""Of access tokens."""
AUDIENCE = "exchange"
"""Of access tokens: the exchange as a whole."""
GATEWAY = "gateway"
ROLES = frozenset({"trader", "operator"})
ANONYMOUS = (("POST", "/users"), ("POST", "/sessions"))
"""Where nobody needs to be known: signing up and logging in."""
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
