"""The user service: sign-up, log-in, cash, operators. It alone sees passwords, and it alone signs access tokens."""

from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, status

from common.auth.gateway.fastapi import require_role
from common.auth.gateway.identity import Identity
from common.auth.security.password_manager import PasswordManager
from common.core.audit import AuditOutcome
from common.dynamo import Database, Page
from common.dynamo.dao import Applied, BalanceDAO, UserDAO
from common.entities.user import Balance, BalanceTransaction, User, UserCreate
from exchange.services import operations, sessions
from exchange.services.bodies import Amount
from exchange.services.chassis import Chassis, Context, RequestId
from exchange.services.passwords import known_of, passwords_of
from exchange.services.signing import SessionKeys
from exchange.services.trust import ANONYMOUS, KEY_SET, PEOPLE

Caller = Annotated[Identity, Depends(require_role(*PEOPLE))]


class UserService:
    """The routes of users and their cash, bound to their parts."""

    def __init__(self, chassis: Chassis, database: Database, passwords: PasswordManager) -> None:
        self.audit = chassis.audit
        self.passwords = passwords
        self.users = UserDAO(database, passwords)
        self.balances = BalanceDAO(database)

    def register(self, body: UserCreate, request_id: RequestId, context: Context) -> Applied[User]:
        """Create a user with a unique name and e-mail, a password that is hard to guess, and an empty account."""
        if body.password is not None:
            known = known_of(body.username, body.email)
            self.passwords.validate_strength(body.password.get_secret_value(), context=known).require()
        applied = self.users.create(body, request_id=request_id)
        self.audit.emit("user_created", outcome=AuditOutcome.SUCCESS, subject=applied.entry.username, ctx=context)
        return applied

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
    database, keys, passwords = chassis.database(), SessionKeys(chassis.settings), passwords_of(chassis)
    service = UserService(chassis, database, passwords)
    routes = APIRouter()
    routes.add_api_route("/users", service.register, methods=["POST"], status_code=status.HTTP_201_CREATED)
    routes.add_api_route("/me", service.me, methods=["GET"])
    routes.add_api_route("/balance", service.balance, methods=["GET"])
    routes.add_api_route("/deposits", service.deposit, methods=["POST"])
    routes.add_api_route("/withdrawals", service.withdraw, methods=["POST"])
    routes.add_api_route("/transactions", service.history, methods=["GET"])
    sessions.add_routes(routes, sessions.SessionService(chassis, database, keys, passwords))
    operations.add_routes(routes, operations.OperationService(chassis, database, keys))
    return chassis.behind_gateway(routes, anonymous=ANONYMOUS, public=(KEY_SET,))
