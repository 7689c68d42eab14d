"""The gateway's word as FastAPI dependencies. Needs the extra ``common-auth[fastapi]``.

Behind :class:`~common.auth.gateway.middleware.GatewayAuthMiddleware` the dependencies read what it has proven. Without
it, :func:`current_identity` takes a validator and applies the same rules itself, endpoint by endpoint. With either,
:func:`add_problem_answers` makes refusals problem details.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated

from common.auth.exceptions import AuthError, AuthorizationError, ConfigurationError, HeaderMissing
from common.auth.gateway.admission import Admission, report_denial
from common.auth.gateway.asgi import problem_messages
from common.auth.gateway.header_validator import HeaderValidator, TrustMode
from common.auth.gateway.identity import Identity
from common.auth.gateway.middleware import REQUEST_ID_MEMBER, arrival_of, identity_of, proven, request_id_of
from common.auth.gateway.peers import PeerRule
from common.auth.gateway.raw_headers import ASSERTION, SIGNATURE, USER_ID
from common.auth.security.audit_logger import AuditEmitter
from common.core.utils import Uuid7Generator
from common.exceptions import MissingPart

try:
    from fastapi import Depends, FastAPI, Response, WebSocket
    from fastapi.openapi.models import APIKey, APIKeyIn
    from fastapi.security.base import SecurityBase
    from starlette.requests import HTTPConnection
except ModuleNotFoundError as error:
    if error.name not in ("fastapi", "starlette"):
        raise
    raise MissingPart("The gateway's dependencies need FastAPI", dist="common-auth", extra="fastapi") from None

__all__ = ["CurrentIdentity", "add_problem_answers", "current_identity", "require_role", "require_scope"]

_SHOWN = {TrustMode.ASSERTION: ASSERTION, TrustMode.HMAC: SIGNATURE, TrustMode.INSECURE_TRUST: USER_ID}
_POLICY_VIOLATION = 1008  # RFC 6455, section 7.4.1


class CurrentIdentity(SecurityBase):
    """A dependency that returns who is asking; in OpenAPI, a security scheme. Made by :func:`current_identity`."""

    def __init__(
        self,
        validator: HeaderValidator | None,
        audit: AuditEmitter | None,
        scheme_name: str,
        peers: PeerRule | None = None,
    ) -> None:
        if peers is not None and validator is None:
            raise ConfigurationError(
                "Peers are checked where requests are proven: give them to the middleware.", reason="bad_peers"
            )
        header = ASSERTION if validator is None else _SHOWN[validator.mode]
        self.scheme_name = scheme_name
        self.model = APIKey(
            **{"in": APIKeyIn.header},
            name=header.decode("ascii").title(),
            description="Set by the gateway; what a client sends under this name is removed.",
        )
        self._admission = None if validator is None else Admission(validator, audit=audit, peers=peers)

    async def __call__(self, connection: HTTPConnection, response: Response) -> Identity:
        """Return the identity, proven by the middleware or, without one, here and now; the answer gets the request id.

        Raises:
            GatewayTrustError: There is none, or the request cannot be believed.
            StoreUnavailable: Whether its proof was used before, cannot be found out.
        """
        identity = identity_of(connection.scope)
        if identity is not None:
            return identity
        if self._admission is None or request_id_of(connection.scope) is not None:
            # The middleware let somebody through whom it does not know: an anonymous or exempt endpoint.
            raise HeaderMissing(reason="anonymous")
        identity = await _admitted(self._admission, connection)
        response.headers["X-Request-ID"] = identity.request_id
        return identity


def current_identity(
    validator: HeaderValidator | None = None,
    *,
    audit: AuditEmitter | None = None,
    scheme_name: str = "gateway",
    peers: PeerRule | None = None,
) -> CurrentIdentity:
    """Return a dependency that gives an endpoint its :class:`~common.auth.gateway.identity.Identity`.

    Args:
        validator: Proves requests where no middleware has done so; ``None`` relies on the middleware, and refuses every
            request that did not pass it.
        audit: Writes refusals to the trail; the middleware has its own.
        scheme_name: Name of the security scheme in OpenAPI.
        peers: Who may connect, in addition to what *validator* demands; the middleware has its own.
    """
    return CurrentIdentity(validator, audit, scheme_name, peers)


def require_role(*roles: str, identity: CurrentIdentity | None = None) -> Callable[..., Awaitable[Identity]]:
    """Return a dependency that gives the identity of a user who has one of *roles*.

    Args:
        roles: At least one.
        identity: What :func:`current_identity` returned; by default one that relies on the middleware.

    Raises:
        ConfigurationError: No role is named.
        RoleRequired: (when called) The user has none of them.
    """
    _require_some(roles, "role")

    async def with_role(found: Annotated[Identity, Depends(identity or current_identity())]) -> Identity:
        found.require_role(*roles)
        return found

    return with_role


def require_scope(*scopes: str, identity: CurrentIdentity | None = None) -> Callable[..., Awaitable[Identity]]:
    """Return a dependency that gives the identity of a user who has granted all of *scopes*.

    Same as :func:`require_role` but for scope, which only assertions carry.

    Raises:
        ConfigurationError: No scope is named.
        ScopeRequired: (when called) One is missing.
    """
    _require_some(scopes, "scope")

    async def with_scope(found: Annotated[Identity, Depends(identity or current_identity())]) -> Identity:
        found.require_scope(*scopes)
        return found

    return with_scope


def add_problem_answers(app: FastAPI, *, audit: AuditEmitter | None = None) -> None:
    """Answer every :class:`~common.auth.exceptions.AuthError` of *app* by problem details (RFC 9457).

    A WebSocket is closed by code 1008 instead. Errors of configuration stay what they are: a bug, status 500.

    Args:
        app: An application that has not started.
        audit: Writes to the trail that a known user was refused (``authz_fail``).
    """
    new_request_id = Uuid7Generator()

    async def answer(connection: HTTPConnection, error: Exception) -> Response | None:
        if not isinstance(error, AuthError) or isinstance(error, ConfigurationError):
            raise error
        scope = connection.scope
        request_id = request_id_of(scope) or new_request_id()
        if isinstance(error, AuthorizationError):
            report_denial(audit, error, arrival_of(scope), request_id, identity_of(scope))
        if isinstance(connection, WebSocket):
            await connection.close(_POLICY_VIOLATION, error.code)
            return None
        start, body = problem_messages(error, request_id)
        response = Response(body["body"], start["status"])
        response.raw_headers = start["headers"]
        return response

    app.add_exception_handler(AuthError, answer)  # type: ignore[arg-type]  # Starlette types it for Request alone


async def _admitted(admission: Admission, connection: HTTPConnection) -> Identity:
    arrival = arrival_of(connection.scope)
    request_id = admission.request_id(arrival.headers)
    connection.scope[REQUEST_ID_MEMBER] = request_id
    identity = await admission.let_in(arrival, request_id)
    if identity is None:
        raise HeaderMissing(reason="anonymous")
    members = proven(arrival.headers, identity, identity.request_id)
    headers = connection.scope["headers"]
    if isinstance(headers, list):
        # Starlette keeps this very list once somebody has looked at the headers, so it is changed, not replaced.
        headers[:] = members["headers"]
        members["headers"] = headers
    connection.scope.update(members)
    return identity


def _require_some(names: tuple[str, ...], what: str) -> None:
    if not names:
        raise ConfigurationError(f"require_{what}() needs at least one {what}.", reason=f"no_{what}")
