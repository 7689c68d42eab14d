"""The gateway's door as pure ASGI middleware, for any ASGI application and server."""

from collections.abc import Callable, Collection
from typing import Any

from common.auth.exceptions import (
    AuthError,
    AuthorizationError,
    AuthUnavailable,
    ConfigurationError,
    GatewayTrustError,
)
from common.auth.gateway.admission import Admission, Arrival, report_denial, trusted_headers
from common.auth.gateway.asgi import (
    ASGIApp,
    Message,
    Receive,
    Scope,
    Send,
    begins_answer,
    problem_messages,
    raw_path_of,
    raw_target,
    stamped,
)
from common.auth.gateway.header_validator import HeaderValidator
from common.auth.gateway.identity import Identity
from common.auth.gateway.peers import PeerRule, peer_of
from common.auth.gateway.raw_headers import RawHeaders
from common.auth.security.audit_logger import AuditEmitter

__all__ = [
    "IDENTITY_MEMBER",
    "REQUEST_ID_MEMBER",
    "Endpoint",
    "GatewayAuthMiddleware",
    "arrival_of",
    "identity_of",
    "proven",
    "request_id_of",
]

Endpoint = str | tuple[str, str]
"""A path, for every method; or a method and a path."""

IDENTITY_MEMBER = "common.auth.identity"
REQUEST_ID_MEMBER = "common.auth.request_id"
_FOUND_BY_ROUTERS = ("route", "path_template")
_ANY_METHOD = ""
_POLICY_VIOLATION = 1008  # RFC 6455, section 7.4.1


def identity_of(scope: Scope) -> Identity | None:
    """Return who is asking, as the middleware has proven it; ``None`` on an exempt path, or for an anonymous request."""
    identity = scope.get(IDENTITY_MEMBER)
    return identity if isinstance(identity, Identity) else None


def request_id_of(scope: Scope) -> str | None:
    """Return the request's id; ``None`` where no middleware of ours is in front."""
    request_id = scope.get(REQUEST_ID_MEMBER)
    return request_id if isinstance(request_id, str) else None


def proven(headers: RawHeaders, identity: Identity | None, request_id: str) -> dict[str, Any]:
    """Return the members of a scope that tell an application what was proven, and nothing else."""
    return {
        "headers": trusted_headers(headers, identity, request_id),
        IDENTITY_MEMBER: identity,
        REQUEST_ID_MEMBER: request_id,
    }


class GatewayAuthMiddleware:
    """Lets only requests through that prove their way through the gateway, and tells the application who is asking.

    The application finds the identity by :func:`identity_of`; the identity headers that it sees are those that were
    proven, whatever was sent. HTTP requests are refused by problem details (RFC 9457), WebSockets before they are
    accepted, which servers answer by 403. An :class:`~common.auth.exceptions.AuthError` that the application raises
    before it answers becomes problem details too. Every answer carries the request id.

    Args:
        app: The application behind.
        validator: Decides.
        audit: Writes refusals to the trail.
        exempt: Endpoints that are open to everybody and never learn an identity: a path such as ``/livez``, or method
            and path.
        anonymous: Endpoints where a request that claims no identity passes, such as ``("POST", "/users")``; one that
            claims one must prove it.
        new_request_id: Makes the id of a request that came without a usable one; by default a UUIDv7.
        peers: Who may connect, by network or certificate; in addition to *validator*. Exempt endpoints are open to
            others too, such as the probes of an orchestrator.

    Raises:
        ConfigurationError: A path does not start with a slash or holds more than plain characters, or an endpoint is both
            exempt and anonymous.

    Paths are compared to the request line byte by byte, before any decoding: ``/livez/../orders``, ``//livez`` and
    ``/livez%2f`` are other paths than ``/livez``.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        validator: HeaderValidator,
        audit: AuditEmitter | None = None,
        exempt: Collection[Endpoint] = (),
        anonymous: Collection[Endpoint] = (),
        new_request_id: Callable[[], str] | None = None,
        peers: PeerRule | None = None,
    ) -> None:
        self._app = app
        self._audit = audit
        self._admission = Admission(validator, audit=audit, new_request_id=new_request_id, peers=peers)
        self._exempt = _endpoints(exempt)
        self._anonymous = _endpoints(anonymous)
        if self._exempt & self._anonymous:
            raise ConfigurationError("An endpoint is both exempt and anonymous. Choose one.", reason="bad_paths")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection.

        Raises:
            ConfigurationError: A connection of a kind that did not exist when this was written.
        """
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] in ("http", "websocket"):
            await self._serve(scope, receive, send)
        else:
            raise ConfigurationError(
                f"Connections of type {scope['type']!r} cannot be authenticated.", reason="scope_type"
            )

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        arrival = arrival_of(scope)
        request_id = self._admission.request_id(arrival.headers)
        try:
            identity = await self._identity(arrival, request_id)
        except (GatewayTrustError, AuthUnavailable) as error:
            if scope["type"] == "websocket":
                await receive()  # the connection is answered when it has been announced
            await _refuse(error, request_id, scope, send)
            return
        if identity is not None:
            request_id = identity.request_id
        inner = {**scope, **proven(arrival.headers, identity, request_id)}
        try:
            await self._run(inner, receive, send, arrival, request_id, identity)
        finally:
            # What the router found is for the layers around too: spans and access lines are named after the route.
            scope.update((name, inner[name]) for name in _FOUND_BY_ROUTERS if name in inner)

    async def _identity(self, arrival: Arrival, request_id: str) -> Identity | None:
        if _names(self._exempt, arrival):
            return None
        return await self._admission.let_in(arrival, request_id, anonymous=_names(self._anonymous, arrival))

    async def _run(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        arrival: Arrival,
        request_id: str,
        identity: Identity | None,
    ) -> None:
        answered = False

        async def stamp(message: Message) -> None:
            nonlocal answered
            if begins_answer(message):
                answered = True
                message = stamped(message, request_id)
            await send(message)

        try:
            await self._app(scope, receive, stamp)
        except AuthError as error:
            if answered or isinstance(error, ConfigurationError):
                raise
            if isinstance(error, AuthorizationError):
                report_denial(self._audit, error, arrival, request_id, identity)
            await _refuse(error, request_id, scope, send)


def arrival_of(scope: Scope) -> Arrival:
    """Return the request that *scope* describes."""
    peer = peer_of(scope)
    return Arrival(
        method=scope.get("method", "GET"),
        raw_path=raw_path_of(scope),
        target=raw_target(scope),
        headers=tuple(scope["headers"]),
        client=peer.address,
        certificate=peer.certificate,
    )


async def _refuse(error: AuthError, request_id: str, scope: Scope, send: Send) -> None:
    if scope["type"] == "http":
        for message in problem_messages(error, request_id):
            await send(message)
    else:
        # Before it is accepted, closing a WebSocket makes the server answer 403 (ASGI specification, WebSocket close).
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": error.code})


def _endpoints(endpoints: Collection[Endpoint]) -> frozenset[tuple[str, bytes]]:
    if isinstance(endpoints, str):
        raise ConfigurationError("exempt and anonymous are collections of endpoints, not one text.", reason="bad_paths")
    pairs = [(_ANY_METHOD, each) if isinstance(each, str) else each for each in endpoints]
    for method, path in pairs:
        if not path.startswith("/") or not path.isascii() or set("%?#") & set(path) or method != method.upper():
            raise ConfigurationError(
                "An endpoint is a path as in the request line, or a pair of a method in upper case and such a path. It "
                "begins with a slash and holds no percent sign and no query.",
                reason="bad_paths",
            )
    return frozenset((method, path.encode("ascii")) for method, path in pairs)


def _names(endpoints: frozenset[tuple[str, bytes]], arrival: Arrival) -> bool:
    path = arrival.raw_path
    return (_ANY_METHOD, path) in endpoints or (arrival.method, path) in endpoints
