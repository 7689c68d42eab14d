"""A ledger to test with: the six DAOs on one database, and short ways to a user with money.

>>> from common.dynamo import Database
>>> with Database.embedded() as db:
...     ledger = LedgerKit(db)
...     alice = ledger.open_account("alice", cash="100.00")
...     ledger.balances.get(alice).available
Decimal('100.00')
"""

import hashlib
import itertools
import secrets
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from common.core.passwords import PasswordHasher, VerifyResult
from common.core.utils import UlidGenerator
from common.dynamo.dao import AssetBalanceDAO, AssetDAO, AssetTransactionDAO, BalanceDAO, OrderDAO, UserDAO
from common.dynamo.dao.checking import Discrepancy, check_account
from common.dynamo.dao.timing import DatabaseClock
from common.entities import Asset, Order, OrderCreate, OrderType, UserCreate

if TYPE_CHECKING:
    from common.dynamo.database import Database

__all__ = ["CountingHasher", "LedgerKit"]


class CountingHasher:
    """A password hasher that is quick, and counts its work: for tests alone, its hashes protect nothing."""

    def __init__(self) -> None:
        self.hashed = 0
        self.verified = 0
        """Verifications; each of them costs the same, whether there was a hash to compare with or not."""

    def hash(self, password: str, /) -> str:
        """Return a salted digest of *password*."""
        self.hashed += 1
        return _digest(password, secrets.token_hex(8))

    def verify(self, password: str, stored: str | None, /) -> VerifyResult:
        """Compare *password* with *stored*."""
        self.verified += 1
        salt = "0" * 16 if stored is None else stored.split("$")[1]
        matches = secrets.compare_digest(_digest(password, salt), stored or "")
        return VerifyResult(matches, reason="" if matches else "wrong_password" if stored else "unknown_user")


def _digest(password: str, salt: str) -> str:
    return f"sha256${salt}${hashlib.sha256(f'{salt}{password}'.encode()).hexdigest()}"


class LedgerKit:
    """The DAOs of one database, with ids by the database's clock."""

    def __init__(self, db: "Database", hasher: PasswordHasher | None = None) -> None:
        """Work on *db*; passwords are hashed by *hasher*, a :class:`CountingHasher` by default."""
        self.db = db
        self.users = UserDAO(db, hasher or CountingHasher())
        self.balances = BalanceDAO(db)
        self.orders = OrderDAO(db)
        self.assets = AssetDAO(db)
        self.holdings = AssetBalanceDAO(db)
        self.trades = AssetTransactionDAO(db)
        self.new_id = UlidGenerator(clock=DatabaseClock(db))
        self._numbers = itertools.count(1)

    def open_account(
        self, name: str = "", *, cash: Decimal | str = "0", holding: Mapping[str, Decimal | str] | None = None
    ) -> str:
        """Register a user who has *cash*, and of each asset in *holding* that quantity; return the user's name."""
        name = name or f"user-{next(self._numbers)}"
        self.users.create(UserCreate(username=name, email=f"{name}@example.org"), request_id=self.new_id())
        for asset, quantity in (holding or {}).items():
            self.give(name, asset, quantity)
        if Decimal(cash):
            self.balances.deposit(name, cash, request_id=self.new_id())
        return name

    def list_asset(self, asset_id: str = "BTC", *, scale: int = 8, minimum: Decimal | str = "10.00") -> Asset:
        """Create an asset, unless it is there; return it."""
        known = self.assets.get(asset_id)
        if known is not None:
            return known
        asset = Asset(
            id=asset_id,
            name=asset_id.title(),
            category="crypto",
            scale=scale,
            minimum_order_value=Decimal(minimum),
            created_at=DatabaseClock(self.db).now(),
        )
        return self.assets.create(asset, request_id=self.new_id()).entry

    def give(self, user: str, asset: str, quantity: Decimal | str, *, price: Decimal | str = "100000") -> None:
        """Have *user* buy *quantity* of *asset* with money that is paid in for it."""
        self.list_asset(asset)
        cost = (Decimal(quantity) * Decimal(price)).quantize(Decimal("0.01"), rounding="ROUND_CEILING")
        self.balances.deposit(user, cost, request_id=self.new_id())
        self.orders.buy(user, asset, quantity, price=price, request_id=self.new_id())

    def place(
        self,
        user: str,
        *,
        type: OrderType = OrderType.LIMIT_BUY,
        asset: str = "BTC",
        quantity: Decimal | str = "0.5",
        limit: Decimal | str = "100.00",
        expires_at: datetime | None = None,
        request_id: str | None = None,
    ) -> Order:
        """Place a limit order; return it."""
        wanted = OrderCreate(
            asset=asset, type=type, quantity=Decimal(quantity), limit_price=Decimal(limit), expires_at=expires_at
        )
        return self.orders.place(user, wanted, request_id=request_id or self.new_id()).entry

    def check(self, user: str) -> tuple[Discrepancy, ...]:
        """Return what does not agree between the account of *user*, the journal and the orders."""
        return check_account(self.db, user)
