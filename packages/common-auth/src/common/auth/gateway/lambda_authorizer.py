"""A Lambda authorizer for Amazon API Gateway: verifies the access token, and signs for the service behind.

Plain functions of the events that API Gateway sends ("Use API Gateway Lambda authorizers", "Control access to HTTP APIs
with Lambda authorizers", Amazon API Gateway Developer Guide); nothing of AWS is imported. The signed headers travel in
the authorizer's context, and the API's parameter mapping sets them (:meth:`LambdaAuthorizer.request_parameters`).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from common.auth.exceptions import (
    AuthenticationError,
    AuthError,
    AuthUnavailable,
    ConfigurationError,
    InvalidClaim,
    TokenInvalid,
    TokenRevoked,
)
from common.auth.gateway.identity import REQUEST_ID_FORM, Identity
from common.auth.gateway.raw_headers import IDENTITY_HEADERS
from common.auth.gateway.signer import GatewaySigner
from common.auth.security.audit_values import AuditEmitter
from common.auth.security.context import RequestContext
from common.auth.security.session_values import Freshness
from common.auth.security.token_claims import Claims
from common.core.audit import AuditOutcome
from common.core.utils import Uuid7Generator

__all__ = ["LambdaAuthorizer", "TokenValidator"]

Event = Mapping[str, Any]
Answer = dict[str, Any]

_BEARER: Final = re.compile(r"Bearer ([A-Za-z0-9._~+/=-]+)", re.IGNORECASE)  # RFC 6750, section 2.1
_SHOWN: Final = 256


class TokenValidator(Protocol):
    """What verifies access tokens; :class:`~common.auth.security.token_manager.TokenManager` is one."""

    def validate(self, token: str | bytes) -> Claims: ...
    def validate_live(
        self, token: str | bytes, *, freshness: Freshness = ..., ctx: RequestContext | None = None
    ) -> Claims: ...


@dataclass(frozen=True, slots=True)
class _Call:
    """What an event says about the request; nothing of it is proven."""

    method: str
    path: str
    query: str
    authorization: str | None
    ctx: RequestContext


class LambdaAuthorizer:
    """Answers the authorizer events of one API. Make one when the function loads, and call it for each event.

    Switch the authorizer's cache off (``authorizerResultTtlInSeconds`` 0): an assertion is for one request and lives for
    seconds, and the service refuses it the second time. API Gateway shows an authorizer neither path nor query as it
    will send them, so the signer must not bind to them, unless *target* knows better.

    Args:
        tokens: Verifies the bearer token.
        signer: Signs; with ``bound=False`` where there is no *target*.
        audience: Name of the service behind, as its ``HeaderValidator`` knows itself.
        source: Name of this gateway: one of the service's *sources*.
        freshness: How much is asked about revocation; by default nothing, and a token counts until it expires.
        audit: Gets ``authz_fail`` for each refusal.
        target: Returns path and query as the service will see them, from the event, for a signer that binds.
        new_request_id: Makes the id of a request where API Gateway's own does not have the form of one.

    Raises:
        ConfigurationError: The signer binds and there is no *target*.
    """

    def __init__(
        self,
        tokens: TokenValidator,
        signer: GatewaySigner,
        *,
        audience: str,
        source: str = "gateway",
        freshness: Freshness = Freshness.NONE,
        audit: AuditEmitter | None = None,
        target: Callable[[Event], bytes] | None = None,
        new_request_id: Callable[[], str] | None = None,
    ) -> None:
        if signer.bound and target is None:
            raise ConfigurationError(
                "API Gateway does not show an authorizer the path that it will send. Use GatewaySigner(bound=False), or "
                "give a target.",
                reason="bound_signer",
            )
        self._tokens = tokens
        self._signer = signer
        self._audience = audience
        self._source = source
        self._freshness = Freshness(freshness)
        self._audit = audit
        self._target = target
        self._new_request_id = new_request_id or Uuid7Generator()

    def http_api(self, event: Event) -> Answer:
        """Answer an event of an HTTP API (payload 2.0) by a simple response.

        Returns:
            ``isAuthorized``, and the signed headers in ``context``. API Gateway makes 403 of a refusal; it answers 401 by
            itself where the identity source ``$request.header.Authorization`` is absent.

        Raises:
            AuthUnavailable: Something does not answer; API Gateway makes 500 of it, and nobody gets in.
            ConfigurationError: This is no such event.
        """
        call = self._http_call(event)
        try:
            _, context = self._admit(event, call)
        except AuthenticationError:
            return {"isAuthorized": False, "context": {}}
        return {"isAuthorized": True, "context": context}

    def rest_api(self, event: Event) -> Answer:
        """Answer an event of a REST API, of type REQUEST or TOKEN, or of an HTTP API with payload 1.0, by a policy.

        Returns:
            A policy that allows this one request, and the signed headers in ``context``.

        Raises:
            AuthenticationError: No; API Gateway makes 401 of the message ``Unauthorized``.
            AuthUnavailable: Something does not answer; API Gateway makes 500 of it, and nobody gets in.
            ConfigurationError: This is no such event.
        """
        call, resource = self._rest_call(event), _text(event, "methodArn", "routeArn")
        try:
            principal, context = self._admit(event, call)
        except AuthenticationError:
            # API Gateway answers 401 for this text, to the letter, and 500 for any other.
            raise AuthenticationError("Unauthorized", reason="refused") from None
        statement = {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": resource}
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        return {"principalId": principal, "policyDocument": policy, "context": context}

    def request_parameters(self, *headers: bytes) -> dict[str, str]:
        """Return the parameter mapping of an HTTP API's integration that sets the signed headers and drops the rest.

        ``overwrite`` replaces what a client sent; ``append`` would put the client's value first.

        Args:
            headers: Those that the signer makes; by default those of an assertion.
        """
        signed = headers or (b"x-identity-assertion", b"x-request-id")
        return {
            f"{'overwrite' if name in signed else 'remove'}:header.{name.decode()}": (
                f"$context.authorizer.{_key(name)}" if name in signed else "''"
            )
            for name in IDENTITY_HEADERS
        }

    def __repr__(self) -> str:
        return f"LambdaAuthorizer(audience={self._audience!r}, source={self._source!r})"

    def _admit(self, event: Event, call: _Call) -> tuple[str, dict[str, str]]:
        """Return who is asking, and the signed headers, or raise ``AuthenticationError``, which is written."""
        try:
            claims = self._claims(call)
            identity = self._identity(claims, call)
        except (AuthUnavailable, ConfigurationError):
            raise
        except AuthError as error:
            if not isinstance(error, TokenRevoked):  # the manager has written that
                self._report(error, call)
            raise AuthenticationError(reason=error.reason) from error
        headers = self._signer.sign(
            identity, audience=self._audience, method=call.method, raw_path=self._raw_path(event, call)
        )
        return identity.user_id, {_key(name): value.decode("ascii") for name, value in headers}

    def _claims(self, call: _Call) -> Claims:
        form = None if call.authorization is None else _BEARER.fullmatch(call.authorization)
        if form is None:
            raise TokenInvalid(reason="no_bearer_token")
        if self._freshness is Freshness.NONE:
            return self._tokens.validate(form.group(1))
        return self._tokens.validate_live(form.group(1), freshness=self._freshness, ctx=call.ctx)

    def _identity(self, claims: Claims, call: _Call) -> Identity:
        if claims.actors:
            raise InvalidClaim("A gateway takes no token of somebody who acts for the user.", reason="delegated_token")
        return Identity(
            user_id=claims.subject,
            roles=claims.roles,
            scope=claims.scope,
            request_id=call.ctx.request_id or self._new_request_id(),
            source=self._source,
        )

    def _raw_path(self, event: Event, call: _Call) -> bytes:
        if self._target is not None:
            return self._target(event)
        shown = f"{call.path}?{call.query}" if call.query else call.path
        return shown.encode("utf-8", "surrogatepass")

    def _report(self, error: AuthError, call: _Call) -> None:
        if self._audit is not None:
            self._audit.emit(
                "authz_fail",
                outcome=AuditOutcome.FAILURE,
                reason=error.reason,
                ctx=call.ctx,
                method=call.method,
                path=call.path[:_SHOWN],
            )

    # Events

    def _http_call(self, event: Event) -> _Call:
        if _text(event, "version") != "2.0":
            raise _no_event("of an HTTP API with payload 2.0: use rest_api() for others")
        about = _part(event, "requestContext")
        request = _part(about, "http")
        return _Call(
            method=_text(request, "method"),
            path=_text(event, "rawPath"),
            query=str(event.get("rawQueryString") or ""),
            authorization=_authorization(event),
            ctx=_context(about.get("requestId"), request.get("sourceIp")),
        )

    def _rest_call(self, event: Event) -> _Call:
        kind = _text(event, "type")
        if kind == "TOKEN":
            token = event.get("authorizationToken")
            return _Call("", "", "", token if isinstance(token, str) else None, RequestContext())
        if kind != "REQUEST" or event.get("version") == "2.0":
            raise _no_event("of type REQUEST or TOKEN: use http_api() for payload 2.0")
        about = _part(event, "requestContext")
        return _Call(
            method=_text(event, "httpMethod"),
            path=_text(event, "path"),
            query="",
            authorization=_authorization(event),
            ctx=_context(about.get("requestId"), _part(about, "identity").get("sourceIp")),
        )


def _authorization(event: Event) -> str | None:
    """Return the one ``Authorization`` header; ``None`` where there is none, or more than one."""
    several = event.get("multiValueHeaders")
    if isinstance(several, Mapping):
        values = [one for name, given in several.items() if _is_authorization(name) for one in _listed(given)]
    else:
        values = [value for name, value in _part(event, "headers").items() if _is_authorization(name)]
    return values[0] if len(values) == 1 and isinstance(values[0], str) else None


def _is_authorization(name: object) -> bool:
    return isinstance(name, str) and name.lower() == "authorization"


def _listed(values: object) -> list[Any]:
    return values if isinstance(values, list) else [values]


def _context(request_id: object, source_ip: object) -> RequestContext:
    known = isinstance(request_id, str) and REQUEST_ID_FORM.fullmatch(request_id)
    return RequestContext(
        request_id=str(request_id) if known else None, source_ip=source_ip if isinstance(source_ip, str) else None
    )


def _key(name: bytes) -> str:
    return name.decode("ascii").replace("-", "_")


def _part(event: Event, name: str) -> Event:
    part = event.get(name) if isinstance(event, Mapping) else None
    return part if isinstance(part, Mapping) else {}


def _text(event: Event, *names: str) -> str:
    for name in names if isinstance(event, Mapping) else ():
        value = event.get(name)
        if isinstance(value, str):
            return value
    raise _no_event(f"with {' or '.join(names)}")


def _no_event(what: str) -> ConfigurationError:
    return ConfigurationError(f"This is no authorizer event {what}.", reason="foreign_event")
