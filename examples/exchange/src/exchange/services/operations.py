"""What operators do at the user service: API keys for machines, and new keys for tokens.

Both change what others may do, so each is announced to the audit trail first, and refused where no durable sink takes it.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, status
from fastapi.responses import JSONResponse

from common.auth.dynamo import DynamoApiKeyStore
from common.auth.gateway.fastapi import require_role
from common.auth.gateway.identity import Identity
from common.auth.security.api_keys import ApiKeyManager
from common.auth.security.keys import SigningKey
from common.core.audit import AuditOutcome
from common.dynamo import Database
from common.dynamo.exceptions import NotFound
from exchange.services.bodies import NewApiKey
from exchange.services.chassis import Chassis, Context
from exchange.services.signing import SessionKeys
from exchange.services.trust import ALGORITHM, KEY_ENVIRONMENT, KEY_SET, KEY_SET_AGE, secret_octets

Operator = Annotated[Identity, Depends(require_role("operator"))]


class OperationService:
    """The routes of operators, bound to their parts."""

    def __init__(self, chassis: Chassis, database: Database, keys: SessionKeys) -> None:
        self.audit = chassis.audit
        self.keys = keys
        self.api_keys = ApiKeyManager(
            DynamoApiKeyStore(database),
            environment=KEY_ENVIRONMENT,
            key=secret_octets(chassis.settings, "API_KEY_KEY"),
            audit=chassis.audit,
        )

    def issue(self, body: NewApiKey, caller: Operator, context: Context) -> dict[str, object]:
        """Make an API key for a machine; the answer is the only place where it ever stands."""
        self.audit.emit_required(
            "privilege_permissions_changed",
            outcome=AuditOutcome.SUCCESS,
            actor=caller.user_id,
            subject=body.owner,
            ctx=context,
            resource="api_key",
            after=list(body.scopes),
        )
        issued = self.api_keys.issue(body.owner, body.scopes, expires=datetime.now(UTC) + timedelta(days=body.days))
        return {"id": issued.summary.key_id, "key": issued.key.reveal(), "scopes": list(issued.summary.scopes)}

    def revoke(self, key_id: str, caller: Operator, context: Context) -> None:
        """End an API key now."""
        self.audit.emit_required(
            "privilege_permissions_changed",
            outcome=AuditOutcome.SUCCESS,
            actor=caller.user_id,
            ctx=context,
            resource="api_key",
            after=[],
        )
        if not self.api_keys.revoke(key_id):
            raise NotFound("There is no such API key.")

    def rotate(self, caller: Operator, context: Context) -> dict[str, object]:
        """Make a new key for tokens, and publish it before it signs."""
        new, previous = SigningKey.generate(ALGORITHM), self.keys.active()
        self.audit.emit_required(
            "crypto_key_rotated",
            outcome=AuditOutcome.SUCCESS,
            actor=caller.user_id,
            ctx=context,
            key_id=new.kid,
            previous=previous.kid,
            algorithm=ALGORITHM,
            purpose="access tokens",
        )
        self.keys.rotate(new)
        return {"key_id": new.kid, "previous": previous.kid, "signs_in": KEY_SET_AGE.total_seconds()}

    def key_set(self) -> JSONResponse:
        """Return the keys by which others verify tokens (RFC 7517, section 5)."""
        return JSONResponse(self.keys.published(), headers={"Cache-Control": self.keys.cache_control})


def add_routes(routes: APIRouter, service: OperationService) -> None:
    """Serve operators, and whoever verifies tokens."""
    routes.add_api_route(KEY_SET, service.key_set, methods=["GET"])
    routes.add_api_route("/keys", service.rotate, methods=["POST"], status_code=status.HTTP_201_CREATED)
    routes.add_api_route("/api-keys", service.issue, methods=["POST"], status_code=status.HTTP_201_CREATED)
    routes.add_api_route(
        "/api-keys/{key_id}", service.revoke, methods=["DELETE"], status_code=status.HTTP_204_NO_CONTENT
    )
