"""Who is asking at the gateway: a person by an access token, a machine by an API key."""

from datetime import timedelta

from common.auth.dynamo import DynamoApiKeyStore, DynamoRevocationStore
from common.auth.exceptions import TokenInvalid
from common.auth.gateway.identity import Identity
from common.auth.health import JwksCheck
from common.auth.security.api_keys import ApiKeyManager
from common.auth.security.context import RequestContext
from common.auth.security.token_manager import Freshness, RevocationPolicy, TokenManager
from exchange.services.chassis import Chassis
from exchange.services.trust import AUDIENCE, GATEWAY, ISSUER, KEY_ENVIRONMENT, published_keys, secret_octets

FRESHNESS = RevocationPolicy(cache_for=timedelta(seconds=1))
"""A read may be answered for a second after its session was ended; whatever changes something never is."""


class Callers:
    """Tells who is asking. Its methods ask the database; call them in a worker thread."""

    def __init__(self, chassis: Chassis) -> None:
        database = chassis.database()
        keys = chassis.provide(published_keys(chassis.settings))
        chassis.health.add(JwksCheck(keys))
        self.people = TokenManager(
            issuer=ISSUER,
            audience=AUDIENCE,
            keys=keys,
            revocations=DynamoRevocationStore(database),
            freshness=FRESHNESS,
            audit=chassis.audit,
        )
        self.machines = ApiKeyManager(
            DynamoApiKeyStore(database),
            environment=KEY_ENVIRONMENT,
            key=secret_octets(chassis.settings, "API_KEY_KEY"),
            audit=chassis.audit,
        )

    def identify(self, authorization: str, context: RequestContext, *, changes_something: bool) -> Identity:
        """Return who is asking.

        Args:
            authorization: The header; ``Bearer`` and an access token, or ``ApiKey`` and a key.
            context: The request, with its id.
            changes_something: Whether a token that was revoked in this second must be refused too.

        Raises:
            TokenError: There is no token, or it is not valid, or no longer.
            ApiKeyInvalid: The key is not valid, or no longer.
            AuthUnavailable: Keys or revocations do not answer.
        """
        scheme, _, shown = authorization.partition(" ")
        if scheme.lower() == "apikey":
            return self.machine(shown, context)
        if scheme.lower() != "bearer" or not shown:
            raise TokenInvalid("There is no bearer token.", reason="token_missing")
        freshness = Freshness.STRICT if changes_something else Freshness.CACHED
        claims = self.people.validate_live(shown, freshness=freshness, ctx=context)
        return Identity(
            user_id=claims.subject, roles=frozenset(claims.roles), request_id=context.request_id or "", source=GATEWAY
        )

    def machine(self, key: str, context: RequestContext) -> Identity:
        """Return whose API key this is: a name without any role, and the scopes of the key."""
        found = self.machines.verify(key, ctx=context)
        return Identity(user_id=found.owner, scope=found.scopes, request_id=context.request_id or "", source=GATEWAY)
