"""Logging in, renewing, and the ends of sessions: the part of the user service that hands out tokens."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Response, status

from common.auth.dynamo import DynamoLoginCounterStore, DynamoRefreshFamilyStore, DynamoRevocationStore
from common.auth.exceptions import TokenError
from common.auth.gateway.fastapi import current_identity
from common.auth.gateway.identity import Identity
from common.auth.security.authenticator import Authenticator
from common.auth.security.claim_sources import claim_sources
from common.auth.security.login_guard import LoginGuard
from common.auth.security.password_manager import PasswordManager
from common.auth.security.token_manager import TokenManager, TokenProfile
from common.dynamo import Database
from common.dynamo.dao import UserDAO
from exchange.services.accounts import Accounts
from exchange.services.bodies import Credentials, PasswordChange, Renewal, Session
from exchange.services.chassis import DEVICE_COOKIE, Chassis, Context
from exchange.services.passwords import known_of
from exchange.services.signing import SessionKeys
from exchange.services.trust import AUDIENCE, ISSUER, LIMITS, secret_octets

PROFILE = TokenProfile(access_ttl=timedelta(minutes=5))

Caller = Annotated[Identity, Depends(current_identity())]


class SessionService:
    """The routes of sessions, bound to their parts."""

    def __init__(self, chassis: Chassis, database: Database, keys: SessionKeys, passwords: PasswordManager) -> None:
        accounts = Accounts(UserDAO(database))
        self.tokens = TokenManager(
            issuer=ISSUER,
            audience=AUDIENCE,
            keys=keys,
            profile=PROFILE,
            families=DynamoRefreshFamilyStore(database),
            revocations=DynamoRevocationStore(database),
            accounts=accounts,
            audit=chassis.audit,
            claims=claim_sources(chassis.plugins),
        )
        self.guard = LoginGuard(
            DynamoLoginCounterStore(database),
            key=secret_octets(chassis.settings, "LOGIN_KEY"),
            limits=LIMITS,
            audit=chassis.audit,
        )
        self.logins = Authenticator(accounts, passwords, audit=chassis.audit, guard=self.guard, sessions=self.tokens)

    def log_in(self, body: Credentials, context: Context, response: Response) -> Session:
        """Exchange a name and a password for the tokens of a new session; the device becomes a known one."""
        tokens = self.logins.login(body.username, body.password.get_secret_value(), context).tokens
        assert tokens is not None  # noqa: S101 - for the type checker: this authenticator has sessions
        response.set_cookie(
            DEVICE_COOKIE,
            self.guard.device_cookie(body.username).reveal(),
            max_age=int(LIMITS.device_for.total_seconds()),
            path="/sessions",
            secure=True,
            httponly=True,
            samesite="strict",
        )
        return Session.of(tokens)

    def renew(self, body: Renewal, context: Context) -> Session:
        """Exchange a refresh token for its successor and a new access token."""
        return Session.of(self.tokens.refresh(body.refresh_token.get_secret_value(), context))

    def end(self, body: Renewal, context: Context) -> None:
        """Log out: end the session of a refresh token. What is no token of ours needs no end (RFC 7009, section 2.2)."""
        try:
            self.tokens.revoke_token(body.refresh_token.get_secret_value(), ctx=context)
        except TokenError:
            return

    def change_password(self, body: PasswordChange, caller: Caller, context: Context) -> None:
        """Take another password from whoever knows the one of today; all sessions end, this one too."""
        current, new = body.current.get_secret_value(), body.new.get_secret_value()
        self.logins.change_password(caller.user_id, current, new, context, context=known_of(caller.user_id))

    def list_sessions(self, caller: Caller) -> dict[str, object]:
        """Return where the caller is logged in."""
        return {"items": self.tokens.sessions(caller.user_id)}

    def end_all(self, caller: Caller, context: Context) -> None:
        """Log out everywhere: no token that the caller has until now counts any more, on any device."""
        self.tokens.revoke_user(caller.user_id, ctx=context)


def add_routes(routes: APIRouter, service: SessionService) -> None:
    """Serve sessions."""
    nothing = status.HTTP_204_NO_CONTENT
    routes.add_api_route("/sessions", service.log_in, methods=["POST"])
    routes.add_api_route("/sessions", service.list_sessions, methods=["GET"])
    routes.add_api_route("/sessions", service.end_all, methods=["DELETE"], status_code=nothing)
    routes.add_api_route("/password", service.change_password, methods=["PUT"], status_code=nothing)
    routes.add_api_route("/sessions/renewal", service.renew, methods=["POST"])
    routes.add_api_route("/sessions/end", service.end, methods=["POST"], status_code=nothing)
