"""Sessions: refresh tokens that follow one another, and what ends them (RFC 9700, section 4.14; OWASP ASVS 5.0, V7).

A login begins a *family*: one stored item, which says which refresh token is the current one. Showing the current token
replaces it, in one conditional update; showing an older one is evidence of theft and ends the session. One exception keeps
honest clients alive whose answer was lost: for some seconds, the token just before the current one gets the same successor.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from common.auth.exceptions import (
    AuthError,
    ScopeRequired,
    StoreUnavailable,
    TokenError,
    TokenExpired,
    TokenInvalid,
    TokenReuseDetected,
    TokenRevoked,
)
from common.auth.security.access_claims import authentication_claims, client_name, grant_claims, identity_claims
from common.auth.security.access_tokens import AccessTokens, TokenProfile, new_token_id
from common.auth.security.clock import Clock, epoch_seconds, moment
from common.auth.security.context import RequestContext
from common.auth.security.jwk import base64url
from common.auth.security.refresh_tokens import RefreshClaims, RefreshTokens
from common.auth.security.revocation_check import RevocationCheck, session_name
from common.auth.security.session_events import SessionEvents
from common.auth.security.session_values import SessionInfo, SessionProfile, TokenPair
from common.auth.security.signing_keys import SigningKeySource
from common.auth.security.store_calls import asking_store
from common.auth.security.stores import CredentialStore, RefreshFamily, RefreshFamilyStore, Successor

__all__ = ["SessionParts", "Sessions", "Standing", "standing"]

_STORE = "sessions"


class Standing(Enum):
    """How a refresh token that was not rotated stands to the session that is stored."""

    UNKNOWN = "unknown_session"
    ENDED = "session_ended"
    ABSOLUTE_END = "absolute"
    IDLE_END = "idle"
    REPEATED = "repeated"
    REUSED = "superseded"
    AHEAD = "generation_unknown"
    CURRENT = "current"


def standing(family: RefreshFamily | None, generation: int, *, now: float, grace: timedelta) -> Standing:
    """Return how a token of *generation* stands to *family* at *now*.

    Only the generation just before the current one is ever a repetition, and only within *grace* of the rotation.
    """
    if family is None:
        return Standing.UNKNOWN
    if family.revoked_at is not None:
        return Standing.ENDED
    if now >= family.expires_at:
        return Standing.ABSOLUTE_END
    if now >= family.idle_expires_at:
        return Standing.IDLE_END
    if generation >= family.generation:
        return Standing.CURRENT if generation == family.generation else Standing.AHEAD
    within = timedelta(0) < grace and now - family.rotated_at <= grace.total_seconds()
    return Standing.REPEATED if within and generation == family.generation - 1 else Standing.REUSED


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionParts:
    """What sessions are put together from."""

    families: RefreshFamilyStore
    accounts: CredentialStore | None
    revocations: RevocationCheck
    access: AccessTokens
    refresh: RefreshTokens
    keys: SigningKeySource
    tokens: TokenProfile
    profile: SessionProfile
    events: SessionEvents
    clock: Clock
    entropy: Callable[[int], bytes]


class Sessions:
    """Begins, renews, lists and ends sessions; :class:`~common.auth.security.token_manager.TokenManager` is its door."""

    def __init__(self, parts: SessionParts) -> None:
        self._parts = parts
        self._families = parts.families
        self._events = parts.events
        self._profile = parts.profile

    def start(
        self,
        subject: str,
        ctx: RequestContext,
        *,
        roles: Sequence[str],
        scope: Sequence[str],
        authenticated_at: datetime | None,
        methods: Sequence[str],
    ) -> TokenPair:
        """See ``TokenManager.start_session``."""
        parts, now = self._parts, epoch_seconds(self._parts.clock)
        _require_claims(subject, roles, scope, authenticated_at, methods)
        expires_at = int(now) + int(self._profile.absolute.total_seconds())
        family = RefreshFamily(
            session=new_token_id(parts.entropy),
            generation=1,
            token_id=new_token_id(parts.entropy),
            issued_at=int(now),
            key_id=parts.keys.active().kid,
            rotated_at=now,
            user_id=subject,
            client_id=client_name(self._client(ctx)),
            epoch=parts.revocations.epoch_of(subject),
            created_at=now,
            expires_at=expires_at,
            idle_expires_at=self._idle_end(now, expires_at),
            scope=tuple(scope),
            roles=tuple(roles),
            authenticated_at=None if authenticated_at is None else int(authenticated_at.timestamp()),
            methods=tuple(methods),
        )
        pair = self._pair(family, None, family.scope)  # before anything is stored: a plugin may refuse it
        with asking_store(_STORE):
            is_new = self._families.create(family)
        if not is_new:
            raise StoreUnavailable("A session id of 128 random bits is taken already.", reason="session_id_taken")
        self._events.created(family, ctx)
        return pair

    def refresh(self, token: str | bytes, ctx: RequestContext, *, scope: Sequence[str] | None) -> TokenPair:
        """See ``TokenManager.refresh``."""
        claims = self._read(token, ctx)
        granted = self._granted(claims, scope, ctx)
        roles = self._require_account(claims, ctx)
        successor = self._successor(claims)
        # Made before the rotation: where no token can be signed now, the client still holds the current one.
        pair = self._pair(claims.succeeded_by(successor), roles, granted)
        with asking_store(_STORE):
            change = self._families.rotate(str(claims.session), expected=claims.generation, successor=successor)
        if not change.applied:
            return self._repeat(change.family, claims, roles, granted, ctx)
        self._events.renewed(claims, ctx, generation=claims.generation + 1, is_repeat=False)
        return pair

    def revoke(self, claims: RefreshClaims, ctx: RequestContext | None) -> None:
        """End the session that *claims* belong to, because its client gave the refresh token back."""
        self._end(str(claims.session))
        self._events.token_revoked(claims, "refresh", ctx)

    def end(self, session: str, ctx: RequestContext | None, cause: str) -> None:
        """See ``TokenManager.revoke_session``."""
        family, applied = self._end(session)
        user_id = None if family is None else family.user_id
        self._events.ended(user_id, cause, count=int(applied), session=session, ctx=ctx)

    def end_others(self, user_id: str, keep: str, ctx: RequestContext | None, cause: str) -> int:
        """See ``TokenManager.revoke_other_sessions``."""
        ended = [self._end(info.session)[1] for info in self.of_user(user_id) if info.session != keep]
        self._events.ended(user_id, cause, count=sum(ended), ctx=ctx)
        return sum(ended)

    def of_user(self, user_id: str) -> list[SessionInfo]:
        """See ``TokenManager.sessions``."""
        now, epoch = epoch_seconds(self._parts.clock), self._parts.revocations.epoch_of(user_id)
        with asking_store(_STORE):
            families = list(self._families.of_user(user_id))
        living = [
            family
            for family in families
            if family.epoch == epoch
            and standing(family, family.generation, now=now, grace=self._profile.grace) is Standing.CURRENT
        ]
        return [SessionInfo.of(family) for family in sorted(living, key=lambda each: each.rotated_at, reverse=True)]

    # A renewal, step by step

    def _read(self, token: str | bytes, ctx: RequestContext) -> RefreshClaims:
        """Return the claims of a genuine refresh token, or write why not. No state changes for any other."""
        claims = None
        try:
            claims = self._parts.refresh.read(token)
            self._parts.refresh.check(claims)
        except TokenExpired:
            if claims is not None:
                self._events.expired(claims, Standing.ABSOLUTE_END.value, ctx)
            raise
        except TokenError as error:
            self._events.malformed(error.reason, ctx)
            raise
        return claims

    def _granted(self, claims: RefreshClaims, scope: Sequence[str] | None, ctx: RequestContext) -> frozenset[str]:
        """Return the scope of the new access token; the client must be the same, and want no more than it has."""
        if claims.client_id != self._client(ctx):
            self._events.overreached(claims, "client_differs", ctx)
            raise TokenInvalid(reason="client_differs")
        if scope is None:
            return claims.scope
        grant_claims((), scope)
        if not claims.scope.issuperset(scope):
            self._events.overreached(claims, "scope_widened", ctx, scope)
            raise ScopeRequired("A renewed token grants no more than the login did.", reason="scope_widened")
        return frozenset(scope)

    def _require_account(self, claims: RefreshClaims, ctx: RequestContext) -> tuple[str, ...] | None:
        """Refuse users who are disabled or gone, and those whose sessions were all ended; return their roles today."""
        roles = None
        if self._parts.accounts is not None:
            with asking_store("credentials"):
                account = self._parts.accounts.of_user(claims.subject)
            if account is None or not account.enabled:
                raise self._refused(claims, "user_disabled", ctx)
            roles = account.roles
        epoch = self._parts.revocations.epoch_of(claims.subject)
        if epoch != claims.epoch:
            raise self._refused(claims, "epoch_raised" if epoch > claims.epoch else "epoch_unknown", ctx)
        return roles

    def _successor(self, claims: RefreshClaims) -> Successor:
        now = epoch_seconds(self._parts.clock)
        return Successor(
            token_id=new_token_id(self._parts.entropy),
            issued_at=int(now),
            key_id=self._parts.keys.active().kid,
            rotated_at=now,
            idle_expires_at=self._idle_end(now, int(claims.expires_at.timestamp())),
        )

    def _repeat(
        self,
        family: RefreshFamily | None,
        claims: RefreshClaims,
        roles: tuple[str, ...] | None,
        granted: frozenset[str],
        ctx: RequestContext,
    ) -> TokenPair:
        """Return the pair that the rotation of a moment ago returned, or refuse the token."""
        now = epoch_seconds(self._parts.clock)
        found = standing(family, claims.generation, now=now, grace=self._profile.grace)
        if family is None or found is not Standing.REPEATED:
            raise self._refusal(found, family, claims, ctx)
        self._events.renewed(claims, ctx, generation=family.generation, is_repeat=True)
        return self._pair(family, roles, granted)

    def _refusal(
        self, found: Standing, family: RefreshFamily | None, claims: RefreshClaims, ctx: RequestContext
    ) -> AuthError:
        """Do and write what follows from how the token stands, and return the error to raise."""
        if found is Standing.REUSED:
            self._events.reused(claims, ctx)
            self._end(str(claims.session))
            return TokenReuseDetected(reason=found.value)
        if found in (Standing.ABSOLUTE_END, Standing.IDLE_END):
            self._events.expired(claims, found.value, ctx)
            return TokenExpired(reason=found.value)
        if found is Standing.CURRENT:
            return StoreUnavailable("The store refused a rotation that nothing forbids.", reason="store_contradicts")
        if found is Standing.ENDED and family is not None:
            self._deny_again(family)
        return self._refused(claims, found.value, ctx)

    def _refused(self, claims: RefreshClaims, reason: str, ctx: RequestContext) -> TokenRevoked:
        self._events.used_after_end(claims, reason, ctx)
        return TokenRevoked(reason=reason)

    def _pair(self, family: RefreshFamily, roles: Sequence[str] | None, granted: Collection[str]) -> TokenPair:
        """Make both tokens from what is stored alone, so that a repetition makes the same ones.

        Args:
            family: Whose current tokens.
            roles: Those of today; ``None`` for those of the login.
            granted: The part of the family's scope that the access token gets.
        """
        parts, scope = self._parts, tuple(one for one in family.scope if one in granted)
        held = tuple(family.roles if roles is None else roles)
        refresh_token = parts.refresh.write(family)
        rest = timedelta(seconds=family.expires_at - family.issued_at)
        access = parts.access.issue(
            family.user_id,
            session=family.session,
            epoch=family.epoch,
            roles=held,
            scope=scope,
            ttl=min(parts.tokens.access_ttl, rest),
            client_id=family.client_id,
            authenticated_at=None if family.authenticated_at is None else moment(family.authenticated_at),
            methods=family.methods,
            token_id=_access_token_id(family, held, scope),
            issued_at=family.issued_at,
            key=parts.refresh.key_of(family),
        )
        return TokenPair(
            access_token=access.token,
            refresh_token=refresh_token,
            session=family.session,
            expires_at=access.expires_at,
            session_expires_at=moment(family.expires_at),
            scope=scope,
        )

    # Ends

    def _end(self, session: str) -> tuple[RefreshFamily | None, bool]:
        """End the family first, so that no tokens come after the entry that denies those before."""
        with asking_store(_STORE):
            change = self._families.revoke(session, at=epoch_seconds(self._parts.clock))
        self._deny(session)
        return change.family, change.applied

    def _deny(self, session: str) -> None:
        until = epoch_seconds(self._parts.clock) + self._longest_access()
        self._parts.revocations.deny(session_name(session), until=until)

    def _deny_again(self, family: RefreshFamily) -> None:
        """Finish an end that may have stopped half-way, while there may be access tokens from before it."""
        if epoch_seconds(self._parts.clock) < (family.revoked_at or 0.0) + self._longest_access():
            self._deny(family.session)

    def _longest_access(self) -> float:
        """Return for how many seconds from now an access token can be shown."""
        tokens = self._parts.tokens
        # The last one may come from a clock that is ahead by the leeway, and is accepted a leeway longer.
        return (tokens.max_ttl + 2 * tokens.leeway).total_seconds()

    # Small things

    def _client(self, ctx: RequestContext) -> str:
        return self._parts.tokens.client_id if ctx.client_id is None else ctx.client_id

    def _idle_end(self, now: float, expires_at: int) -> int:
        return min(int(now) + int(self._profile.idle.total_seconds()), expires_at)


def _access_token_id(family: RefreshFamily, roles: Sequence[str], scope: Sequence[str]) -> str:
    """Return the id of an access token beside the family's current refresh token: 128 bits that follow from that one's
    id, another for each grant (RFC 7519, section 4.1.7)."""
    seed = json.dumps([family.session, family.token_id, list(roles), list(scope)])
    return base64url(hashlib.sha256(b"access token id " + seed.encode()).digest()[:16])


def _require_claims(
    subject: str,
    roles: Sequence[str],
    scope: Sequence[str],
    authenticated_at: datetime | None,
    methods: Sequence[str],
) -> None:
    """Raise ``InvalidClaim`` before any store is asked."""
    identity_claims(subject, "new", 0)
    grant_claims(roles, scope)
    authentication_claims(authenticated_at, methods)
