"""The user service: sign-up, log-in, cash. It alone sees passwords, and it alone signs access tokens."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, status

from common.auth.exceptions import InvalidCredentials
from common.auth.gateway.fastapi import current_identity
from common.auth.gateway.identity import Identity
from common.auth.security.claim_sources import claim_sources
from common.auth.security.context import Claimed
from common.auth.security.token_manager import TokenManager
from common.core.audit import AuditOutcome
from common.core.utils.identifiers import UlidGenerator
from common.dynamo import Page
from common.dynamo.dao import Applied, BalanceDAO, UserDAO
from common.entities.user import Balance, BalanceTransaction, User, UserCreate
from exchange.services.bodies import Amount, Credentials, Session
from exchange.services.chassis import Chassis, Context, RequestId
from exchange.services.trust import ANONYMOUS, AUDIENCE, ISSUER, signing_keys

TOKEN_SECONDS = 300
OPERATORS = frozenset({"operator"})
"""Users who set prices and run the matching; a real service keeps its roles in its own table."""

Caller = Annotated[Identity, Depends(current_identity())]


class UserService:
    """The routes of the user service, bound to its parts."""

    def __init__(self, chassis: Chassis) -> None:
        database = chassis.database()
        self.audit = chassis.audit
        self.users = UserDAO(database, chassis.plugins.password_hasher())
        self.balances = BalanceDAO(database)
        self.tokens = TokenManager(
            issuer=ISSUER,
            audience=AUDIENCE,
            keys=signing_keys(chassis.settings, "users", ISSUER),
            claims=claim_sources(chassis.plugins),
        )
        self.new_id = UlidGenerator()

    def register(self, body: UserCreate, request_id: RequestId, context: Context) -> Applied[User]:
        """Create a user with a unique name and e-mail, and an empty account."""
        applied = self.users.create(body, request_id=request_id)
        self.audit.emit("user_created", outcome=AuditOutcome.SUCCESS, subject=applied.entry.username, ctx=context)
        return applied

    def log_in(self, body: Credentials, context: Context) -> Session:
        """Exchange a name and a password for an access token."""
        answer = self.users.authenticate(body.username, body.password.get_secret_value())
        if answer.user is None or not answer.ok:
            self.audit.emit(
                "authn_login_fail",
                outcome=AuditOutcome.FAILURE,
                subject=Claimed(body.username) if answer.user is None else answer.user.username,
                reason=answer.reason,
                ctx=context,
                method="password",
            )
            raise InvalidCredentials(reason=answer.reason)
        username = answer.user.username
        roles = ("operator",) if username in OPERATORS else ("trader",)
        issued = self.tokens.create_access(
            username,
            session=self.new_id(),
            epoch=0,
            roles=roles,
            ttl=timedelta(seconds=TOKEN_SECONDS),
            methods=("pwd",),
        )
        self.audit.emit(
            "authn_login_success", outcome=AuditOutcome.SUCCESS, actor=username, ctx=context, method="password"
        )
        return Session(access_token=issued.token, expires_in=TOKEN_SECONDS)

    def me(self, caller: Caller) -> User:
        """Return the caller's own profile."""
        return self.users.require(caller.user_id)

    def balance(self, caller: Caller) -> Balance:
        """Return the caller's cash: available, held and posted."""
        return self.balances.get(caller.user_id)

    def deposit(self, body: Amount, caller: Caller, request_id: RequestId) -> Applied[BalanceTransaction]:
        """Add cash, once per request id."""
        return self.balances.deposit(caller.user_id, body.amount, request_id=request_id)

    def withdraw(self, body: Amount, caller: Caller, request_id: RequestId) -> Applied[BalanceTransaction]:
        """Take cash out, once per request id, and never more than is available."""
        return self.balances.withdraw(caller.user_id, body.amount, request_id=request_id)

    def history(self, caller: Caller, limit: int = 20, after: str | None = None) -> dict[str, object]:
        """Return a page of the caller's cash entries, newest first."""
        page: Page[BalanceTransaction] = self.balances.history(caller.user_id, limit=limit, after=after)
        return {"items": page.items, "next": page.next}


def build(chassis: Chassis) -> FastAPI:
    """Return the user service's application."""
    service = UserService(chassis)
    routes = APIRouter()
    routes.add_api_route("/users", service.register, methods=["POST"], status_code=status.HTTP_201_CREATED)
    routes.add_api_route("/sessions", service.log_in, methods=["POST"])
    routes.add_api_route("/me", service.me, methods=["GET"])
    routes.add_api_route("/balance", service.balance, methods=["GET"])
    routes.add_api_route("/deposits", service.deposit, methods=["POST"])
    routes.add_api_route("/withdrawals", service.withdraw, methods=["POST"])
    routes.add_api_route("/transactions", service.history, methods=["GET"])
    return chassis.behind_gateway(routes, anonymous=ANONYMOUS)
