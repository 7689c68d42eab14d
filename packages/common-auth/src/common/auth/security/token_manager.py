"""Issues and validates access tokens (RFC 9068), for one issuer and one audience, and keeps the sessions they belong to."""

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from common.auth.doctor import Finding
from common.auth.exceptions import ConfigurationError, TokenExpired, TokenInvalid, TokenRevoked, TokenWrongType
from common.auth.security.access_claims import Actor
from common.auth.security.access_tokens import AccessTokens, IssuedToken, TokenProfile
from common.auth.security.audit_values import AuditEmitter
from common.auth.security.claim_sources import ClaimSource, NamedClaims, TokenSubject, claim_sources
from common.auth.security.clock import SYSTEM, Clock, epoch_seconds
from common.auth.security.context import RequestContext
from common.auth.security.refresh_tokens import RefreshTokens
from common.auth.security.revocation_check import RevocationCheck, RevocationPolicy, token_name
from common.auth.security.session_events import SessionEvents
from common.auth.security.session_values import Freshness, SessionInfo, SessionProfile, TokenPair
from common.auth.security.sessions import SessionParts, Sessions
from common.auth.security.signing_keys import SigningKeySource
from common.auth.security.stores import CredentialStore, RefreshFamilyStore, RevocationStore
from common.auth.security.token_claims import ClaimRules, Claims
from common.auth.security.token_format import TokenKind, TokenReader

__all__ = [
    "Actor",
    "ClaimSource",
    "Claims",
    "Freshness",
    "IssuedToken",
    "NamedClaims",
    "RevocationPolicy",
    "SessionInfo",
    "SessionProfile",
    "TokenKind",
    "TokenManager",
    "TokenPair",
    "TokenProfile",
    "TokenSubject",
    "claim_sources",
]

_USUAL: Final = TokenProfile()
_USUAL_SESSIONS: Final = SessionProfile()
_USUAL_REVOCATIONS: Final = RevocationPolicy()


class TokenManager:
    """Issues and validates the access tokens of one issuer for one audience. Safe to use from any thread.

    With a store of revocations it also refuses what was revoked, and with a store of sessions it begins, renews and ends
    them. What touches a store blocks: on an event loop, run it in a thread. :meth:`validate` never does.

    Args:
        issuer: The claim ``iss``: the same that *keys* belong to.
        audience: The claim ``aud``: the service or API that the tokens are for.
        keys: Sign and verify; a :class:`~common.auth.security.remote_jwks.RemoteJWKS` only verifies.
        profile: Times and limits.
        families: Where sessions are; ``None`` for a service that only takes tokens.
        revocations: What was revoked; ``None`` where tokens count until they expire.
        accounts: Asked at each renewal whether the user is still enabled, and for the roles of today; ``None`` where
            disabling a user calls :meth:`revoke_user`.
        audit: Where events of tokens and sessions go.
        sessions: How long sessions last.
        freshness: How old an answer about revocation may be.
        claims: Claims that plugins add; see :func:`claim_sources`.
        clock: The time.
        entropy: Returns that many random bytes.

    Raises:
        ConfigurationError: *keys* belong to another issuer, a limit is out of its range, or there are sessions without
            revocations.

    >>> from common.auth.security.keys import KeyRing, SigningKey
    >>> keys = KeyRing([SigningKey.generate("EdDSA")], issuer="https://id.example")
    >>> tokens = TokenManager(issuer="https://id.example", audience="orders", keys=keys)
    >>> issued = tokens.create_access("u-1", session="s-1", epoch=0, roles=["trader"])
    >>> tokens.validate(issued.token).roles
    frozenset({'trader'})
    """

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        keys: SigningKeySource,
        profile: TokenProfile = _USUAL,
        families: RefreshFamilyStore | None = None,
        revocations: RevocationStore | None = None,
        accounts: CredentialStore | None = None,
        audit: AuditEmitter | None = None,
        sessions: SessionProfile = _USUAL_SESSIONS,
        freshness: RevocationPolicy = _USUAL_REVOCATIONS,
        claims: Sequence[ClaimSource] = (),
        clock: Clock = SYSTEM,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        _require_own_keys(keys, issuer)
        self._issuer = issuer
        self._audience = audience
        self._keys = keys
        self._profile = profile
        self._clock = clock
        self._access = AccessTokens(
            issuer=issuer, audience=audience, keys=keys, profile=profile, claims=claims, clock=clock, entropy=entropy
        )
        self._reader = TokenReader(keys=keys, typ=TokenKind.ACCESS.value)
        self._rules = _rules_of(issuer, audience, profile)
        self._refresh = RefreshTokens(keys=keys, rules=self._rules, clock=clock)
        self._events = SessionEvents(audit)
        self._session_profile = sessions
        self._check = None if revocations is None else self._checking(revocations, freshness)
        self._sessions = None if families is None else self._keeping(families, accounts, sessions, entropy)

    def _checking(self, store: RevocationStore, policy: RevocationPolicy) -> RevocationCheck:
        return RevocationCheck(store, policy=policy, clock=self._clock, on_stale=self._events.judged_by_old_answers)

    def _keeping(
        self,
        families: RefreshFamilyStore,
        accounts: CredentialStore | None,
        profile: SessionProfile,
        entropy: Callable[[int], bytes],
    ) -> Sessions:
        parts = SessionParts(
            families=families,
            accounts=accounts,
            revocations=self._revocations(),
            access=self._access,
            refresh=self._refresh,
            keys=self._keys,
            tokens=self._profile,
            profile=profile,
            events=self._events,
            clock=self._clock,
            entropy=entropy,
        )
        return Sessions(parts)

    def create_access(
        self,
        subject: str,
        *,
        session: str,
        epoch: int,
        roles: Sequence[str] = (),
        scope: Sequence[str] = (),
        ttl: timedelta | None = None,
        actor: Actor | None = None,
        source: str | None = None,
        client_id: str | None = None,
        authenticated_at: datetime | None = None,
        methods: Sequence[str] = (),
    ) -> IssuedToken:
        """Issue an access token (RFC 9068, section 2.2) for a session that is kept elsewhere, or for none.

        :meth:`start_session` issues one together with a session that can be renewed and ended.

        Args:
            subject: An opaque user id: 1 to 255 printable ASCII characters without spaces.
            session: The id of the session, of the same form.
            epoch: The user's session counter, not negative.
            roles: Role names, each of the same form.
            scope: Scopes (RFC 6749, section 3.3).
            ttl: Its life; by default the profile's ``access_ttl``, never over ``max_ttl``.
            actor: Who acts for the subject; at most 4 deep.
            source: The service that obtains the token; one of the profile's ``sources``.
            client_id: The client; by default the profile's.
            authenticated_at: When the user last proved who they are; aware.
            methods: How (RFC 8176), such as ``("pwd", "otp")``.

        Raises:
            InvalidClaim: An argument is malformed, or the claims are too many. Nothing was issued.
            ClaimsUnavailable: A plugin raised. Nothing was issued.
            ConfigurationError: A plugin set a claim that is not its own, or no key may sign now.
            KeySourceUnavailable: The signer failed.
        """
        client = self._profile.client_id if client_id is None else client_id
        issued = self._access.issue(
            subject,
            session=session,
            epoch=epoch,
            roles=roles,
            scope=scope,
            ttl=ttl,
            actor=actor,
            source=source,
            client_id=client,
            authenticated_at=authenticated_at,
            methods=methods,
        )
        self._events.token_created(subject, session, issued, client, roles, scope)
        return issued

    def validate(self, token: str | bytes, *, kind: TokenKind = TokenKind.ACCESS) -> Claims:
        """Return the claims of *token*. Pure computation: no I/O, nothing is looked up but the key in memory.

        Args:
            token: The compact form, as it stood in the ``Authorization`` header behind ``Bearer``.
            kind: What the token must be. Access tokens are the only kind that is validated here.

        Raises:
            TokenExpired: Its time is over.
            TokenNotYetValid: Its time has not begun.
            TokenWrongType: It is a token of another kind.
            TokenInvalid: Anything else; outward all four look alike, and ``reason`` is for the audit trail.
            ConfigurationError: *kind* is not an access token.
        """
        if kind is not TokenKind.ACCESS:
            raise ConfigurationError(f"Tokens of kind {kind!s} are not validated here.", reason="unsupported_kind")
        claims = self._reader.read(token)
        self._rules.check(claims, epoch_seconds(self._clock))
        return Claims(claims)

    def validate_live(
        self,
        token: str | bytes,
        *,
        freshness: Freshness = Freshness.CACHED,
        ctx: RequestContext | None = None,
    ) -> Claims:
        """Same as :meth:`validate` but refuse what was revoked: the token, its session, or all sessions of its user.

        Args:
            token: The compact form.
            freshness: How much is asked. ``CACHED`` asks the store once in 30 s for a token, ``STRICT`` each time.
            ctx: The request, for the audit trail.

        Raises:
            TokenRevoked: It was revoked; written as ``session_use_after_expire``.
            RevocationUnavailable: The store does not answer. Under ``CACHED``, what was known up to five minutes ago
                stands in, and ``authn_revocation_stale`` is written; ``STRICT`` never takes old answers.
            TokenError: See :meth:`validate`.
            ConfigurationError: There is no store of revocations.
        """
        claims = self.validate(token)
        try:
            self._revocations().require_live(claims, freshness)
        except TokenRevoked as error:
            self._events.used_after_end(claims, error.reason, ctx)
            raise
        return claims

    def start_session(
        self,
        subject: str,
        ctx: RequestContext,
        *,
        roles: Sequence[str] = (),
        scope: Sequence[str] = (),
        authenticated_at: datetime | None = None,
        methods: Sequence[str] = (),
    ) -> TokenPair:
        """Begin a session for a user who has just proven who they are. One read and one write.

        Args:
            subject: An opaque user id, as for :meth:`create_access`.
            ctx: The request; its ``client_id`` is the only one that can renew the session.
            roles: Role names. Where the manager knows accounts that tell roles, a renewal takes those.
            scope: The most that the session's tokens ever grant.
            authenticated_at: When the user proved it; aware.
            methods: How (RFC 8176).

        Raises:
            InvalidClaim: An argument is malformed.
            RevocationUnavailable: The store of revocations does not answer.
            StoreUnavailable: The store of sessions does not answer. Nobody holds the tokens of a session that was
                stored all the same.
            ClaimsUnavailable: A plugin raised.
            KeySourceUnavailable: The signer failed.
            ConfigurationError: There is no store of sessions. In each case nobody got a token.
        """
        return self._kept().start(
            subject, ctx, roles=roles, scope=scope, authenticated_at=authenticated_at, methods=methods
        )

    def refresh(
        self, refresh_token: str | bytes, ctx: RequestContext, *, scope: Sequence[str] | None = None
    ) -> TokenPair:
        """Exchange *refresh_token* for its successor and a new access token (RFC 6749, section 6).

        The token is used up. For the profile's ``grace`` it returns the same successor again, so a client whose answer was
        lost repeats the call. Any other use of it later ends the session (RFC 9700, section 4.14.2). One read of the
        user's epoch, and one conditional write.

        Args:
            refresh_token: As it was returned.
            ctx: The request; its ``client_id`` must be that of the login.
            scope: Less than the login granted, for the new access token alone; ``None`` for all of it.

        Raises:
            TokenReuseDetected: It has a successor, so one of the two was stolen. The session is ended.
            TokenExpired: The session is over by time.
            TokenRevoked: The session was ended, or its user is disabled.
            TokenError: It is no refresh token of ours, or another client's. Nothing changed. Outward all of these look
                alike: the user has to log in.
            ScopeRequired: *scope* is more than the login granted. Nothing changed.
            AuthUnavailable: A store, a plugin or the signer does not answer. Repeat it with the same token.
        """
        return self._kept().refresh(refresh_token, ctx, scope=scope)

    def revoke_token(self, token: str | bytes, *, ctx: RequestContext | None = None) -> None:
        """Revoke an access token, or the session of a refresh token (RFC 7009). One that has expired needs nothing.

        Raises:
            TokenError: It is no token of ours: nothing changed. RFC 7009, section 2.2, answers 200 all the same.
            RevocationUnavailable: The store does not answer. Repeat it.
            StoreUnavailable: Same, of the store of sessions.
        """
        try:
            self._revoke(token, ctx)
        except TokenExpired:
            return

    def _revoke(self, token: str | bytes, ctx: RequestContext | None) -> None:
        try:
            claims = self.validate(token)
        except TokenWrongType:
            shown = self._refresh.read(token)
            self._refresh.check(shown)
            self._kept().revoke(shown, ctx)
            return
        if claims.token_id is None:
            raise TokenInvalid(reason="missing_jti")
        until = claims.expires_at + self._profile.leeway
        self._revocations().deny(token_name(claims.token_id), until=until.timestamp())
        self._events.token_revoked(claims, "access", ctx)

    def revoke_session(self, sid: str, *, ctx: RequestContext | None = None, cause: str = "logout") -> None:
        """End one session: no renewal, and no access token of it, counts any more. Two writes.

        Args:
            sid: The session id. An unknown one is denied all the same.
            ctx: The request.
            cause: A word for the audit trail.

        Raises:
            RevocationUnavailable: The store of revocations does not answer. Repeat it.
            StoreUnavailable: Same, of the store of sessions.
        """
        self._kept().end(sid, ctx, cause)

    def revoke_user(self, user_id: str, *, ctx: RequestContext | None = None, cause: str = "logout_everywhere") -> int:
        """End all sessions and tokens of a user at once, in one write, and return the new epoch.

        It is a counter and no time, so a login in the same second counts. Call it when a user is disabled.

        Raises:
            RevocationUnavailable: The store does not answer. Repeat it; the epoch may then rise by two.
        """
        epoch = self._revocations().raise_epoch(user_id)
        self._events.all_ended(user_id, cause, ctx=ctx)
        return epoch

    def revoke_other_sessions(
        self, user_id: str, *, keep: str, ctx: RequestContext | None = None, cause: str = "logout_elsewhere"
    ) -> int:
        """End all sessions of a user but *keep*, and return how many that were. Two writes each; for *keep*, none.

        They are found by the index, so one that began a second ago may be missed; :meth:`revoke_user` misses none.

        Raises:
            RevocationUnavailable: The store of revocations does not answer. Repeat it.
            StoreUnavailable: Same, of the store of sessions.
        """
        return self._kept().end_others(user_id, keep, ctx, cause)

    def sessions(self, user_id: str) -> list[SessionInfo]:
        """Return the living sessions of a user, the last used first; one that began a moment ago may be missing.

        Raises:
            RevocationUnavailable: The store of revocations does not answer.
            StoreUnavailable: The store of sessions does not answer.
        """
        return self._kept().of_user(user_id)

    def _revocations(self) -> RevocationCheck:
        if self._check is None:
            raise ConfigurationError(
                "Nothing knows what was revoked. Give TokenManager a store as revocations=.", reason="no_revocations"
            )
        return self._check

    def _kept(self) -> Sessions:
        if self._sessions is None:
            raise ConfigurationError(
                "There are no sessions. Give TokenManager stores as families= and revocations=.", reason="no_sessions"
            )
        return self._sessions

    def weaknesses(self) -> tuple[Finding, ...]:
        """Return what :func:`common.auth.doctor.doctor` tells about the profile."""
        usual, found = TokenProfile(), []
        if self._profile.max_ttl > usual.max_ttl:
            found.append(
                Finding("tokens", "long_lived", "A stolen token works until it expires. Keep max_ttl at 15 min.")
            )
        if self._profile.leeway > usual.leeway:
            found.append(Finding("tokens", "wide_leeway", "Expired tokens work longer. Set the clocks right instead."))
        if self._profile.accept_audience_lists:
            found.append(Finding("tokens", "shared_audience", "Other receivers of a token can show it here."))
        if (
            self._session_profile.absolute > _USUAL_SESSIONS.absolute
            or self._session_profile.idle > _USUAL_SESSIONS.idle
        ):
            found.append(Finding("sessions", "long_lived", "A stolen session lasts. Keep to 30 days, and 7 idle ones."))
        if self._session_profile.grace > _USUAL_SESSIONS.grace:
            found.append(Finding("sessions", "wide_grace", "A stolen refresh token works twice for longer. Keep 10 s."))
        if not self._profile.required >= usual.required:
            found.append(Finding("tokens", "fewer_claims", "Tokens without jti, sid or ver cannot be revoked."))
        return tuple(found)

    def __repr__(self) -> str:
        return f"TokenManager(issuer={self._issuer!r}, audience={self._audience!r})"


def _require_own_keys(keys: SigningKeySource, issuer: str) -> None:
    if keys.issuer != issuer:
        raise ConfigurationError(
            f"The keys belong to issuer {keys.issuer!r}, not to {issuer!r}. Give each issuer its own ring.",
            reason="foreign_keys",
        )


def _rules_of(issuer: str, audience: str, profile: TokenProfile) -> ClaimRules:
    return ClaimRules(
        issuer=issuer,
        audience=audience,
        required=profile.required,
        max_ttl=profile.max_ttl,
        leeway=profile.leeway,
        sources=profile.sources,
        accept_audience_lists=profile.accept_audience_lists,
    )
