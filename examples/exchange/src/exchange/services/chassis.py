"""What every service of the exchange has in common, whatever it does."""

import logging
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, TypeVar

from fastapi import APIRouter, Depends, FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from common.auth.gateway.fastapi import add_problem_answers
from common.auth.gateway.middleware import GatewayAuthMiddleware, request_id_of
from common.auth.security.audit_logger import AuditLogger
from common.auth.security.context import RequestContext
from common.core import Plugins, Settings
from common.exceptions import PROBLEM_CONTENT_TYPE, CommonError, FieldError, InvalidInput, to_problem
from common.observability.health import HealthRunner
from exchange.services.trust import identity_validator

if TYPE_CHECKING:
    from common.dynamo import Database

_log = logging.getLogger(__name__)

T = TypeVar("T")

PROBES = ("/livez", "/readyz", "/startupz", "/docs", "/openapi.json")
DEVICE_COOKIE = "device"
"""Tells the login guard that somebody has logged in from this device before."""
RequestId = Annotated[str, Header(alias="Idempotency-Key")]
"""The caller's idempotency key: a ULID or UUIDv7 that it made before it asked, and keeps through its retries."""


def request_context(request: Request) -> RequestContext:
    """Return what the audit trail records of a request."""
    client = request.client
    return RequestContext(
        request_id=request_id_of(request.scope),
        source_ip=None if client is None else client.host,
        device=request.cookies.get(DEVICE_COOKIE),
    )


Context = Annotated[RequestContext, Depends(request_context)]


@dataclass(frozen=True, slots=True)
class Chassis:
    """The parts that a service is built on."""

    settings: Settings
    plugins: Plugins
    audit: AuditLogger
    health: HealthRunner
    provided: list[object] = field(default_factory=list)
    """What the service makes for itself and the plugins start and stop: its database, its remote keys."""

    def provide(self, thing: T) -> T:
        """Leave *thing* to the plugins' start-up and shutdown, and return it."""
        self.provided.append(thing)
        return thing

    def database(self) -> "Database":
        """Open the exchange's database; a service that never asks does not import the data layer."""
        from exchange.storage import open_database

        return self.provide(open_database(self.settings, self.plugins))

    def application(self, routes: APIRouter) -> FastAPI:
        """Return an application that answers every error of the family as problem details (RFC 9457)."""
        app = FastAPI(title=f"Exchange: {self.settings.service_name}", version=self.settings.service_version)
        app.include_router(routes)
        app.add_exception_handler(CommonError, problem)
        app.add_exception_handler(RequestValidationError, invalid_request)
        app.add_exception_handler(HTTPException, refused_by_router)
        return app

    def behind_gateway(
        self, routes: APIRouter, *, anonymous: tuple[tuple[str, str], ...] = (), public: tuple[str, ...] = ()
    ) -> FastAPI:
        """Return an application that believes who is asking only with the gateway's proof.

        Args:
            routes: What it serves.
            anonymous: Methods and paths where nobody needs to be known.
            public: Paths that are open to whoever reaches the service, beside the probes.
        """
        app = self.application(routes)
        add_problem_answers(app, audit=self.audit)
        app.add_middleware(
            GatewayAuthMiddleware,
            validator=identity_validator(self.settings),
            audit=self.audit,
            exempt=(*PROBES, *public),
            anonymous=anonymous,
        )
        return app


def problem(request: Request, error: Exception) -> JSONResponse:
    """Answer an error of the family with what a client may know of it."""
    if isinstance(error, CommonError) and error.status >= 500:
        _log.error("%s on %s", error.code, request.method, exc_info=error)
    answer = to_problem(error, instance=request.url.path, request_id=request_id_of(request.scope))
    return JSONResponse(answer.body, answer.status, dict(answer.headers))


def invalid_request(request: Request, error: Exception) -> JSONResponse:
    """Answer a body, header or parameter that does not fit, without repeating its value."""
    faults = error.errors() if isinstance(error, RequestValidationError) else ()
    errors = [FieldError("/" + "/".join(map(str, fault["loc"][1:])), fault["type"], fault["msg"]) for fault in faults]
    return problem(request, InvalidInput(errors=errors))


def refused_by_router(request: Request, error: Exception) -> JSONResponse:
    """Answer a path or method that is not there as problem details too."""
    status = HTTPStatus(error.status_code if isinstance(error, HTTPException) else 500)
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    body = {"title": status.phrase, "status": status.value, "code": status.name.lower(), "instance": request.url.path}
    return JSONResponse(body, status, {**headers, "Content-Type": PROBLEM_CONTENT_TYPE})
