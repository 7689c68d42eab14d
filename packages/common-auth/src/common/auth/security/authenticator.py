"""Logging in and changing a password, with everything that belongs to it in the one right order.

reserve an attempt → find the user → verify → begin the session → look whether the password is still the one that was
verified → renew an outdated hash → count the success and write the event. Whatever fails, a client sees one of three
things: the one error of every failed login, "too many", or "not now"; the trail has the reason, in exactly one event.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from common.auth.doctor import Finding
from common.auth.exceptions import (
    AuthError,
    AuthUnavailable,
    HashUnsupported,
    InvalidCredentials,
    PolicyViolation,
    RevocationUnavailable,
    StoreUnavailable,
)
from common.auth.security.audit_values import AuditEmitter
from common.auth.security.clock import SYSTEM, Clock
from common.auth.security.context import Claimed, RequestContext
from common.auth.security.login_guard import LoginGuard
from common.auth.security.password_manager import PasswordManager
from common.auth.security.secrets import SecretStr
from common.auth.security.session_values import TokenPair
from common.auth.security.store_calls import asking_store
from common.auth.security.stores import Credential, CredentialStore
from common.auth.security.unguarded_attempt import LoginAttempt, UnguardedAttempt
from common.core.audit import AuditOutcome

__all__ = ["Authenticator", "LoginResult", "Rehash", "SessionTokens"]

_log = logging.getLogger("common.auth")

_STORE: Final = "credentials"
_METHOD: Final = "pwd"  # RFC 8176, section 2
_CHANGED: Final = "password_changed"
_TRIES: Final = 3


class SessionTokens(Protocol):
    """What an authenticator needs of a :class:`~common.auth.security.token_manager.TokenManager` with sessions."""

    def start_session(
        self,
        subject: str,
        ctx: RequestContext,
        *,
        roles: Sequence[str] = (),
        scope: Sequence[str] = (),
        authenticated_at: datetime | None = None,
        methods: Sequence[str] = (),
    ) -> TokenPair: ...
    def revoke_session(self, sid: str, *, ctx: RequestContext | None = None, cause: str = ...) -> None: ...
    def revoke_user(self, user_id: str, *, ctx: RequestContext | None = None, cause: str = ...) -> int: ...


class Rehash(StrEnum):
    """What became of a stored hash that was to be made anew."""

    STORED = "stored"
    SUPERSEDED = "superseded"
    """Another login or a change of the password came first; its hash stays."""
    FAILED = "failed"
    """It could not be made or stored; the next login tries again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginResult:
    """Who has logged in."""

    user_id: str
    roles: tuple[str, ...] | None = None
    """As the credential store knows them; ``None`` where it does not."""
    tokens: TokenPair | None = None
    """The new session's; ``None`` where the authenticator has no sessions."""
    rehash: Rehash | None = None
    """``None`` where the stored hash was up to date."""


class Authenticator:
    """Logs users in by name and password. Safe to use from any thread; both methods hash, so not for an event loop.

    Args:
        credentials: Where the users are.
        passwords: Verifies and hashes, and judges new passwords.
        audit: Gets one event for each call; give the guard the same one, which then writes those of logins.
        guard: Bounds how often somebody may guess; without it, only the hashing pool does.
        sessions: Begins and ends sessions.
        clock: The time.

    >>> from common.auth.security.memory_stores import MemoryCredentialStore
    >>> from common.auth.testing import quick_passwords
    >>> passwords = quick_passwords()
    >>> ada = Credential(user_id="u-1", password_hash=passwords.hash("violet-tractor-mumbles-sonnet"))
    >>> logins = Authenticator(MemoryCredentialStore([("ada", ada)]), passwords)
    >>> logins.login("ada", "violet-tractor-mumbles-sonnet", RequestContext()).user_id
    'u-1'
    >>> logins.login("bob", "violet-tractor-mumbles-sonnet", RequestContext())
    Traceback (most recent call last):
    common.auth.exceptions.InvalidCredentials: unknown_user
    """

    def __init__(
        self,
        credentials: CredentialStore,
        passwords: PasswordManager,
        *,
        audit: AuditEmitter | None = None,
        guard: LoginGuard | None = None,
        sessions: SessionTokens | None = None,
        clock: Clock = SYSTEM,
    ) -> None:
        self._credentials = credentials
        self._passwords = passwords
        self._audit = audit
        self._guard = guard
        self._sessions = sessions
        self._clock = clock

    def login(
        self, identifier: str, password: str | bytes, ctx: RequestContext, *, scope: Sequence[str] = ()
    ) -> LoginResult:
        """Return who *identifier* is, if *password* is theirs, and begin a session.

        Unknown, disabled and locked users, users without a password, unusable stored hashes and wrong passwords cost the
        same work and look the same. A login that meets a change of the password leaves no session behind.

        Args:
            identifier: What somebody typed as their name; any text.
            password: What they typed as their password; anything.
            ctx: The request.
            scope: What the session grants (RFC 6749, section 3.3).

        Raises:
            InvalidCredentials: No; ``reason`` is for the audit trail.
            RateLimited: Too many have failed; nothing was hashed.
            AuthUnavailable: A store, the hashing pool or the signer does not answer. The attempt does not count.
            InvalidClaim: *scope* is malformed.
        """
        secret = SecretStr(password)  # type: ignore[arg-type]  # bytes, and whatever else a client sends
        del password
        try:
            with self._attempt(identifier, ctx) as attempt:
                return self._login(identifier, secret, ctx, attempt, scope)
        except AuthUnavailable as error:
            self._emit("authn_login_fail", ctx, Claimed(_text(identifier)), reason=error.reason or error.code)
            raise

    def change_password(
        self,
        user_id: str,
        current: str | bytes,
        new: str,
        ctx: RequestContext,
        *,
        end_sessions: bool = True,
        context: Sequence[str] = (),
        mfa: bool = False,
    ) -> None:
        """Replace a password, if *current* is it (OWASP ASVS 5.0, 6.2.3).

        Args:
            user_id: The opaque id of the user who is logged in.
            current: The password of today.
            new: The next one; the policy judges it.
            ctx: The request.
            end_sessions: End all sessions of the user, this one included (7.4.3); whoever asked begins a new one.
            context: What attackers know of this user, such as name and address; see ``PasswordPolicy.report``.
            mfa: Whether a second factor stands beside the password.

        Raises:
            InvalidCredentials: *current* is not the password. Nothing was changed.
            PolicyViolation: *new* breaks the policy. Nothing was changed.
            RateLimited: Too many have failed. Nothing was changed.
            RevocationUnavailable: The password *was* changed, and the sessions were not ended. Repeat ``revoke_user``.
            AuthUnavailable: Something does not answer. Nothing was changed, or the answer of the store was lost.
        """
        held, wanted = SecretStr(current), SecretStr(new)  # type: ignore[arg-type]
        del current, new
        try:
            known = self._prove(user_id, held, ctx)
            self._passwords.validate_strength(wanted.reveal(), context=context, mfa=mfa).require()
            self._replace(known, held, wanted)
        except AuthError as error:
            codes = list(error.codes) if isinstance(error, PolicyViolation) else None
            self._emit(
                "authn_password_change_fail", ctx, _text(user_id), reason=error.reason or error.code, codes=codes
            )
            raise
        self._end_sessions(user_id, ctx, wanted=end_sessions)

    def weaknesses(self) -> tuple[Finding, ...]:
        """Return what :func:`common.auth.doctor.doctor` tells about what is left out."""
        told = (
            (self._audit is None, "no_audit", "Logins leave no trail. Give the authenticator an audit logger."),
            (self._guard is None, "no_guard", "Nobody counts failed logins. Give the authenticator a LoginGuard."),
        )
        return tuple(Finding("logins", code, message) for applies, code, message in told if applies)

    def __repr__(self) -> str:
        return f"Authenticator(guard={self._guard!r}, sessions={self._sessions!r})"

    # A login, step by step

    def _attempt(self, identifier: str, ctx: RequestContext, *, silent: bool = False) -> LoginAttempt:
        if self._guard is not None:
            return self._guard.reserve(identifier, ctx, silent=silent)
        return UnguardedAttempt(None if silent else self._audit, Claimed(_text(identifier)), ctx)

    def _login(
        self, identifier: str, secret: SecretStr, ctx: RequestContext, attempt: LoginAttempt, scope: Sequence[str]
    ) -> LoginResult:
        with asking_store(_STORE):
            known = self._credentials.find(_text(identifier))
        refusal, outdated = self._verify(known, secret, attempt)
        user_id = None if known is None else known.user_id
        about = _told(method=_METHOD, client_id=ctx.client_id)
        if known is None or refusal:
            raise attempt.failure(refusal, user_id=user_id, **about)
        tokens = self._begin_session(known, ctx, scope)
        if tokens is not None and not self._is_unchanged(known, secret):
            self._give_up(tokens, ctx)
            raise attempt.failure(_CHANGED, user_id=user_id, **about)
        rehash = self._rehash(known, secret) if outdated else None
        attempt.success(known.user_id, **about, **_told(rehash=rehash))
        return LoginResult(user_id=known.user_id, roles=known.roles, tokens=tokens, rehash=rehash)

    def _verify(self, known: Credential | None, secret: SecretStr, attempt: LoginAttempt) -> tuple[str, bool]:
        """Return why *secret* is refused, empty where it is not, and whether the stored hash is outdated."""
        unusable = _unusable(known)
        stored = None if known is None or unusable else known.password_hash
        try:
            result = self._passwords.verify(secret.reveal(), attempt.verifiable(stored))
        except HashUnsupported as error:
            _log.error("The stored hash of a user cannot be verified: %s.", error.reason)
            return error.reason or error.code, False
        return ("", result.needs_rehash) if result.ok else (unusable or result.reason, False)

    def _begin_session(self, known: Credential, ctx: RequestContext, scope: Sequence[str]) -> TokenPair | None:
        if self._sessions is None:
            return None
        return self._sessions.start_session(
            known.user_id,
            ctx,
            roles=known.roles or (),
            scope=scope,
            authenticated_at=self._clock.now(),
            methods=(_METHOD,),
        )

    def _is_unchanged(self, known: Credential, secret: SecretStr) -> bool:
        """Tell whether the password still is *secret*, now that the session has its epoch.

        A change of the password replaces the hash first and raises the epoch then. So either this sees the new hash, or
        the epoch is raised after the session took its own, which ends it.
        """
        with asking_store(_STORE):
            today = self._credentials.of_user(known.user_id)
        if today == known:
            return True
        if today is None or _unusable(today):
            return False
        return self._matches(today, secret)

    def _matches(self, known: Credential, secret: SecretStr) -> bool:
        try:
            return self._passwords.verify(secret.reveal(), known.password_hash).ok
        except HashUnsupported:
            return False

    def _give_up(self, tokens: TokenPair, ctx: RequestContext) -> None:
        if self._sessions is not None:
            self._sessions.revoke_session(tokens.session, ctx=ctx, cause=_CHANGED)

    def _rehash(self, known: Credential, secret: SecretStr) -> Rehash:
        """Store a new hash where the old one still stands; whatever fails, the login does not."""
        try:
            is_stored = self._exchange(known, self._passwords.hash(secret.reveal()))
        except AuthError as error:
            _log.warning("A password hash was not renewed: %s.", error.reason)
            return Rehash.FAILED
        return Rehash.STORED if is_stored else Rehash.SUPERSEDED

    def _exchange(self, known: Credential, new: str) -> bool:
        with asking_store(_STORE):
            return self._credentials.replace_hash(known.user_id, expected=known.password_hash or "", new=new)

    # A change, step by step

    def _prove(self, user_id: str, secret: SecretStr, ctx: RequestContext) -> Credential:
        """Return the credential of *user_id*, whose password is *secret*."""
        with self._attempt(f"change of {_text(user_id)}", ctx, silent=True) as attempt:
            with asking_store(_STORE):
                known = self._credentials.of_user(_text(user_id))
            refusal, _ = self._verify(known, secret, attempt)
            if known is None or refusal:
                raise attempt.failure(refusal)
            attempt.success(known.user_id)
            return known

    def _replace(self, known: Credential, secret: SecretStr, wanted: SecretStr) -> None:
        """Store the hash of *wanted*; a login that renews the old hash meanwhile does not get in the way."""
        new = self._passwords.hash(wanted.reveal())
        for _ in range(_TRIES):
            if self._exchange(known, new):
                return
            with asking_store(_STORE):
                today = self._credentials.of_user(known.user_id)
            if today is None or _unusable(today) or not self._matches(today, secret):
                raise InvalidCredentials(reason=_CHANGED)
            known = today
        raise StoreUnavailable("The stored hash changes all the time.", reason="contended")

    def _end_sessions(self, user_id: str, ctx: RequestContext, *, wanted: bool) -> None:
        failure: AuthError | None = None
        if wanted and self._sessions is not None:
            try:
                self._sessions.revoke_user(user_id, ctx=ctx, cause=_CHANGED)
            except AuthError as error:
                failure = error
        ended = wanted and self._sessions is not None and failure is None
        reason = None if failure is None else "sessions_not_ended"
        self._emit("authn_password_change", ctx, user_id, actor=user_id, reason=reason, sessions_ended=ended)
        if failure is not None:
            raise RevocationUnavailable(
                "The password was changed, and the sessions were not ended. Call revoke_user again.",
                reason=reason or "",
            ) from failure

    def _emit(
        self,
        kind: str,
        ctx: RequestContext,
        subject: str | Claimed,
        *,
        actor: str | None = None,
        reason: str | None = None,
        **details: object,
    ) -> None:
        if self._audit is not None:
            outcome = AuditOutcome.SUCCESS if actor is not None else AuditOutcome.FAILURE
            self._audit.emit(
                kind, outcome=outcome, actor=actor, subject=subject, reason=reason, ctx=ctx, **_told(**details)
            )


def _unusable(known: Credential | None) -> str:
    """Return why nobody can log in as *known*; empty where somebody can, and for nobody."""
    if known is None:
        return ""
    if not known.enabled:
        return "user_disabled"
    return "no_password" if known.password_hash is None else ""


def _told(**details: object) -> dict[str, object]:
    return {name: value for name, value in details.items() if value is not None}


def _text(identifier: object) -> str:
    return identifier if isinstance(identifier, str) else ""
