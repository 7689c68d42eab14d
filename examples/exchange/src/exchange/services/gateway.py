"""The gateway: finds out who is asking, and hands the request on with a signed identity."""

from collections.abc import Mapping

import httpx
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool

from common.auth.exceptions import ApiKeyInvalid, AuthError, AuthUnavailable, HeaderSpoofed, TokenRevoked
from common.auth.gateway.identity import Identity
from common.auth.gateway.raw_headers import REQUEST_ID, without_identity
from common.auth.gateway.signer import GatewaySigner
from common.auth.security.context import RequestContext
from common.core.audit import AuditOutcome
from common.core.utils import Uuid7Generator
from common.exceptions import CommonError
from common.observability.logging import bind
from common.observability.monitoring.propagation import client_span
from exchange.services.callers import Callers
from exchange.services.chassis import Chassis
from exchange.services.trust import ANONYMOUS, GATEWAY, signing_keys

SERVICES: Mapping[str, str] = {
    "users": "users",
    "sessions": "users",
    "password": "users",
    "api-keys": "users",
    "keys": "users",
    "me": "users",
    "balance": "users",
    "deposits": "users",
    "withdrawals": "users",
    "transactions": "users",
    "orders": "orders",
    "matching": "orders",
    "invoices": "orders",
    "assets": "inventory",
    "prices": "inventory",
    "portfolio": "inventory",
}
"""Which service answers a path, by the path's first part."""
PASSED_ON = frozenset({b"content-type", b"accept", b"idempotency-key", b"cookie"})
PASSED_BACK = ("content-type", "retry-after", "set-cookie")
TIMEOUT_SECONDS = 15.0
MAX_BODY_BYTES = 64 * 1024


class BodyTooLarge(CommonError):
    """The request's body is larger than any of ours."""

    code = "content_too_large"
    status = 413
    public_message = "The body of the request is too large."


class ServiceUnavailable(CommonError):
    """A service behind the gateway does not answer."""

    code = "service_unavailable"
    status = 503
    retryable = True
    public_message = "The service does not answer. Repeat the request with the same Idempotency-Key."

    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": "1"}


class Gateway:
    """The gateway's one route, bound to its parts."""

    def __init__(self, chassis: Chassis) -> None:
        self.audit = chassis.audit
        self.callers = Callers(chassis)
        self.signer = GatewaySigner(signing_keys(chassis.settings, GATEWAY, GATEWAY))
        section = chassis.settings.section("EXCHANGE_")
        self.urls = {service: section.text(f"{service.upper()}_URL") for service in set(SERVICES.values())}
        self.http = httpx.AsyncClient(timeout=TIMEOUT_SECONDS, limits=httpx.Limits(max_connections=64))
        self.new_request_id = Uuid7Generator()

    async def forward(self, request: Request) -> Response:
        """Authenticate the request, sign who is asking, and pass it on."""
        request_id = self.new_request_id()
        with bind(request_id=request_id):
            service = SERVICES[request.url.path.split("/")[1]]
            try:
                refuse_identity_headers(request)
                identity = await self.authenticate(request, request_id)
            except AuthError as error:
                self.report(request, request_id, error)
                raise
            return await self.pass_on(request, service, identity, request_id)

    async def authenticate(self, request: Request, request_id: str) -> Identity | None:
        """Return who is asking; ``None`` where nobody needs to be known.

        Raises:
            AuthError: See :meth:`Callers.identify`.
        """
        if (request.method, request.url.path) in ANONYMOUS:
            return None
        return await run_in_threadpool(
            self.callers.identify,
            request.headers.get("authorization", ""),
            context_of(request, request_id),
            changes_something=request.method != "GET",
        )

    async def pass_on(self, request: Request, service: str, identity: Identity | None, request_id: str) -> Response:
        """Send the request to *service* and return its answer.

        Raises:
            BodyTooLarge: Nothing was sent.
            ServiceUnavailable: The service does not answer.
        """
        target = raw_target(request)
        with client_span(request.method, server=service) as trace:
            headers = [*passed_on(request), *((k.encode(), v.encode()) for k, v in trace.items())]
            headers += forwarded_for(request)
            if identity is None:
                headers.append((REQUEST_ID, request_id.encode()))
            else:
                headers += self.signer.sign(identity, audience=service, method=request.method, raw_path=target)
            url = self.urls[service] + target.decode("ascii")
            try:
                answer = await self.http.request(
                    request.method, url, headers=headers, content=await small_body(request)
                )
            except httpx.TransportError as error:
                raise ServiceUnavailable(f"The {service} service does not answer ({type(error).__name__}).") from error
        kept = {name: answer.headers[name] for name in PASSED_BACK if name in answer.headers}
        return Response(answer.content, answer.status_code, {**kept, "X-Request-ID": request_id})

    def report(self, request: Request, request_id: str, error: AuthError) -> None:
        """Write a refusal to the audit trail, unless whoever refused has done so, or there was nobody to decide."""
        if isinstance(error, (ApiKeyInvalid, TokenRevoked, AuthUnavailable)):
            return
        spoofed = isinstance(error, HeaderSpoofed)
        self.audit.emit(
            "gateway_spoof" if spoofed else "gateway_rejected",
            outcome=AuditOutcome.FAILURE,
            reason=error.reason,
            ctx=context_of(request, request_id),
            method=request.method,
            mode="bearer",
        )


def context_of(request: Request, request_id: str) -> RequestContext:
    """Return what the audit trail records of a request."""
    return RequestContext(request_id=request_id, source_ip=request.client.host if request.client else None)


def refuse_identity_headers(request: Request) -> None:
    """Refuse a client that says itself who it is.

    Raises:
        HeaderSpoofed: A header names an identity.
    """
    raw = request.headers.raw
    own = [(name, value) for name, value in raw if name.lower() != REQUEST_ID]
    if without_identity(own) != own:
        raise HeaderSpoofed(reason="client_sent_identity", details={})


def passed_on(request: Request) -> list[tuple[bytes, bytes]]:
    """Return the client's headers that a service may see."""
    return [(name, value) for name, value in request.headers.raw if name.lower() in PASSED_ON]


def forwarded_for(request: Request) -> list[tuple[bytes, bytes]]:
    """Return the header that tells a service the client's address; whatever the client says about it stays here."""
    return [] if request.client is None else [(b"x-forwarded-for", request.client.host.encode("ascii"))]


def raw_target(request: Request) -> bytes:
    """Return path and query as they are sent on, and signed."""
    path: bytes = request.scope.get("raw_path") or request.scope["path"].encode("ascii", "replace")
    query: bytes = request.scope.get("query_string", b"")
    return path.partition(b"?")[0] + (b"?" + query if query else b"")


async def small_body(request: Request) -> bytes:
    """Return the request's body.

    Raises:
        BodyTooLarge: It has more than 64 KiB.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge
    return bytes(body)


def build(chassis: Chassis) -> FastAPI:
    """Return the gateway's application."""
    gateway = Gateway(chassis)
    routes = APIRouter()
    for first in SERVICES:
        for path in (f"/{first}", f"/{first}/{{rest:path}}"):
            routes.add_api_route(path, gateway.forward, methods=["GET", "POST", "PUT", "DELETE"])
    return chassis.application(routes)
