"""Lets a request in or not, and leaves a trace of it: what the middleware and the FastAPI dependency have in common."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from common.auth.exceptions import (
    AssertionReplayed,
    AuthError,
    AuthorizationError,
    AuthUnavailable,
    GatewayTrustError,
    HeaderMalformed,
    HeaderSpoofed,
)
from common.auth.gateway.claiming import ClaimingPool
from common.auth.gateway.header_validator import HeaderValidator
from common.auth.gateway.identity import REQUEST_ID_FORM, Identity
from common.auth.gateway.peers import Peer, PeerRule
from common.auth.gateway.plain_headers import headers_of
from common.auth.gateway.raw_headers import REQUEST_ID, RawHeaders, without_identity
from common.auth.security.audit_logger import AuditEmitter
from common.auth.security.context import RequestContext
from common.core.audit import AuditOutcome
from common.core.utils import Uuid7Generator

__all__ = ["Admission", "Arrival", "report_denial", "trusted_headers"]

_log = logging.getLogger("common.auth.gateway")


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request as it came, of any framework."""

    method: str
    raw_path: bytes
    """Without the query."""
    target: bytes
    """Path and query."""
    headers: RawHeaders
    client: str | None
    """The address of the peer."""
    certificate: str | None = None
    """The peer's certificate in PEM, verified by the server; see :class:`~common.auth.gateway.peers.Peer`."""


class Admission:
    """Validates arrivals for one service; each refusal is logged and audited, once.

    Args:
        validator: Decides.
        audit: Writes the trail; ``None`` writes none.
        new_request_id: Makes the id of a request that came without a usable one.
        peers: Who may connect at all; checked first, and never instead of the validator.
    """

    def __init__(
        self,
        validator: HeaderValidator,
        *,
        audit: AuditEmitter | None,
        new_request_id: Callable[[], str] | None = None,
        peers: PeerRule | None = None,
    ) -> None:
        self._validator = validator
        self._peers = peers
        self._audit = audit
        self._new_request_id = new_request_id or Uuid7Generator()
        self._claims = ClaimingPool()

    def request_id(self, headers: RawHeaders) -> str:
        """Return the id that the request came with, if it came with one of good form, else a new one."""
        values = [value for name, value in headers if name.lower() == REQUEST_ID]
        if len(values) == 1:
            text = values[0].decode("latin-1")
            if REQUEST_ID_FORM.fullmatch(text):
                return text
        return self._new_request_id()

    def admit(self, arrival: Arrival, request_id: str, *, anonymous: bool = False) -> Identity | None:
        """Return who is asking; ``None`` for nobody, where *anonymous* requests are welcome.

        Args:
            arrival: The request.
            request_id: What :meth:`request_id` returned for it.
            anonymous: Whether a request that claims no identity may pass.

        Raises:
            GatewayTrustError: The request cannot be believed; this has been logged and audited.
        """
        try:
            if self._peers is not None:
                self._peers.require(Peer(arrival.client, arrival.certificate))
            if anonymous and self._validator.is_unclaimed(arrival.headers):
                return None
            return self._validator.validate(arrival.method, arrival.target, arrival.headers)
        except GatewayTrustError as error:
            self._report(error, arrival, request_id)
            raise

    async def let_in(self, arrival: Arrival, request_id: str, *, anonymous: bool = False) -> Identity | None:
        """Same as :meth:`admit`, and where the validator is strict, the proof is used up in all processes too.

        Raises:
            GatewayTrustError: Same as :meth:`admit`; the proof was used before.
            StoreUnavailable: Whether it was, cannot be found out; this has been logged and audited.
        """
        identity = self.admit(arrival, request_id, anonymous=anonymous)
        if identity is not None and self._validator.is_strict:
            try:
                await self._claims.run(partial(self._validator.claim, identity))
            except (GatewayTrustError, AuthUnavailable) as error:
                self._report(error, arrival, request_id)
                raise
        return identity

    def _report(self, error: AuthError, arrival: Arrival, request_id: str) -> None:
        _log.warning("Request refused: %s.", error.reason, extra={"request_id": request_id})
        if self._audit is not None:
            self._audit.emit(
                _event_type(error),
                outcome=AuditOutcome.FAILURE,
                reason=error.reason,
                ctx=_context(arrival, request_id, None),
                mode=self._validator.mode.value,
                method=arrival.method,
                path=_shown(arrival.raw_path),
                header=error.details.get("header"),
            )


def report_denial(
    audit: AuditEmitter | None, error: AuthorizationError, arrival: Arrival, request_id: str, identity: Identity | None
) -> None:
    """Log and audit that the application refused a known user."""
    _log.info("Request denied: %s.", error.reason, extra={"request_id": request_id})
    if audit is not None:
        audit.emit(
            "authz_fail",
            outcome=AuditOutcome.FAILURE,
            actor=None if identity is None else identity.user_id,
            reason=error.reason or error.code,
            ctx=_context(arrival, request_id, identity),
            method=arrival.method,
            path=_shown(arrival.raw_path),
        )


def trusted_headers(headers: RawHeaders, identity: Identity | None, request_id: str) -> list[tuple[bytes, bytes]]:
    """Return *headers* as an application may see them: those of an identity say what was proven, or are gone."""
    proven = [(REQUEST_ID, request_id.encode("ascii"))] if identity is None else headers_of(identity)
    return without_identity(headers) + proven


def _event_type(error: AuthError) -> str:
    if error.reason == "header_mismatch":
        return "gateway_mismatch"
    for kind, name in _EVENT_TYPES:
        if isinstance(error, kind):
            return name
    return "gateway_rejected"


_EVENT_TYPES: Final = (
    (HeaderSpoofed, "gateway_spoof"),
    (HeaderMalformed, "input_validation_fail"),
    (AssertionReplayed, "authn_token_reuse"),
)


def _context(arrival: Arrival, request_id: str, identity: Identity | None) -> RequestContext:
    source = None if identity is None else identity.source
    return RequestContext(request_id=request_id, source_service=source, source_ip=arrival.client)


def _shown(raw_path: bytes) -> str:
    return raw_path[:256].decode("latin-1")
