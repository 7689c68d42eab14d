"""The audit events of sessions: one for each thing that happens, by the OWASP Logging Vocabulary."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from common.auth.security.access_tokens import IssuedToken
from common.auth.security.audit_values import AuditEmitter
from common.auth.security.context import RequestContext
from common.auth.security.stores import RefreshFamily
from common.auth.security.token_claims import Claims
from common.core.audit import AuditOutcome

__all__ = ["SessionEvents"]

_NOWHERE: Final = RequestContext()


class SessionEvents:
    """Writes them, or nothing where there is no trail.

    Args:
        audit: Where they go.
    """

    def __init__(self, audit: AuditEmitter | None) -> None:
        self._audit = audit

    def _emit(
        self,
        type: str,
        outcome: AuditOutcome,
        user_id: str | None,
        *,
        actor: str | None = None,
        session: str | None = None,
        reason: str | None = None,
        ctx: RequestContext | None = None,
        **details: object,
    ) -> None:
        if self._audit is None:
            return
        request = ctx or _NOWHERE
        if session is not None:
            request = replace(request, session=session)
        self._audit.emit(type, outcome=outcome, actor=actor, subject=user_id, reason=reason, ctx=request, **details)

    def token_created(
        self,
        subject: str,
        session: str,
        issued: IssuedToken,
        client_id: str,
        roles: Sequence[str],
        scope: Sequence[str],
    ) -> None:
        """An access token was made without a session of ours."""
        self._emit(
            "authn_token_created",
            AuditOutcome.SUCCESS,
            subject,
            session=session,
            kind="access",
            client_id=client_id,
            expires=issued.expires_at.isoformat(),
            roles=list(roles),
            scope=list(scope),
            jti=issued.token_id,
        )

    def created(self, family: RefreshFamily, ctx: RequestContext) -> None:
        """A session began."""
        self._emit(
            "session_created",
            AuditOutcome.SUCCESS,
            family.user_id,
            actor=family.user_id,
            session=family.session,
            ctx=ctx,
            client_id=family.client_id,
        )

    def renewed(self, claims: Claims, ctx: RequestContext, *, generation: int, is_repeat: bool) -> None:
        """A session got new tokens, or the same ones once more."""
        self._emit(
            "session_renewed",
            AuditOutcome.SUCCESS,
            claims.subject,
            actor=claims.subject,
            session=claims.session,
            reason="repeated" if is_repeat else None,
            ctx=ctx,
            client_id=claims.client_id,
            generation=generation,
        )

    def malformed(self, reason: str, ctx: RequestContext) -> None:
        """Something that is no refresh token of ours was shown as one."""
        self._emit("input_validation_fail", AuditOutcome.FAILURE, None, reason=reason, ctx=ctx, field="refresh")

    def overreached(self, claims: Claims, reason: str, ctx: RequestContext, scope: Sequence[str] = ()) -> None:
        """Another client showed the token, or it was to grant more than the login did."""
        self._emit(
            "authz_fail",
            AuditOutcome.FAILURE,
            claims.subject,
            session=claims.session,
            reason=reason,
            ctx=ctx,
            scope=list(scope),
            resource="session",
        )

    def expired(self, claims: Claims, cause: str, ctx: RequestContext) -> None:
        """A session was found to be over by time."""
        self._emit(
            "session_expired",
            AuditOutcome.SUCCESS,
            claims.subject,
            session=claims.session,
            reason="time_over",
            ctx=ctx,
            cause=cause,
        )

    def used_after_end(self, claims: Claims, reason: str, ctx: RequestContext | None) -> None:
        """A token of a session that was ended was shown."""
        self._emit(
            "session_use_after_expire",
            AuditOutcome.FAILURE,
            claims.subject,
            session=claims.session,
            reason=reason,
            ctx=ctx,
            client_id=claims.client_id,
        )

    def reused(self, claims: Claims, ctx: RequestContext) -> None:
        """A refresh token that has a successor was shown: it, or the successor, was stolen."""
        self._emit(
            "authn_token_reuse",
            AuditOutcome.FAILURE,
            claims.subject,
            session=claims.session,
            reason="superseded",
            ctx=ctx,
            kind="refresh",
            client_id=claims.client_id,
            jti=claims.token_id,
        )

    def token_revoked(self, claims: Claims, kind: str, ctx: RequestContext | None) -> None:
        """A token was given back."""
        self._emit(
            "authn_token_revoked",
            AuditOutcome.SUCCESS,
            claims.subject,
            session=claims.session,
            ctx=ctx,
            kind=kind,
            client_id=claims.client_id,
            jti=claims.token_id,
        )

    def ended(
        self,
        user_id: str | None,
        cause: str,
        *,
        count: int,
        session: str | None = None,
        ctx: RequestContext | None = None,
    ) -> None:
        """Sessions were ended one by one before their time; *count* is 0 where nothing was left to end."""
        self._emit("session_ended", AuditOutcome.SUCCESS, user_id, session=session, ctx=ctx, cause=cause, count=count)

    def all_ended(self, user_id: str, cause: str, *, ctx: RequestContext | None) -> None:
        """All sessions of a user were ended in one write, so nobody has counted them."""
        self._emit("session_ended", AuditOutcome.SUCCESS, user_id, ctx=ctx, reason="all", cause=cause)

    def judged_by_old_answers(self, age: float) -> None:
        """The store of revocations does not answer, and tokens are judged by what was known *age* seconds ago."""
        self._emit(
            "authn_revocation_stale", AuditOutcome.UNKNOWN, None, reason="revocations_unavailable", age=round(age, 1)
        )
