"""What users hold of assets, and the trades that made it so."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from common.core.validation import normalise_user_name, require_asset_id
from common.dynamo.dao.access_patterns import LEDGER_PATTERNS, named
from common.dynamo.dao.accounts import read_account
from common.dynamo.dao.arguments import require_given
from common.dynamo.dao.ledger import Ledger, require_database
from common.dynamo.dao.ledger_types import ENTRY, TRADES
from common.dynamo.dao.records import Account, JournalEntry
from common.dynamo.dao.timing import DeadlineLike
from common.dynamo.dao.views import asset_balance, asset_transaction, balance
from common.dynamo.paging import Page
from common.entities import USD, AssetBalance, AssetTransaction, Portfolio, QuoteAsset

if TYPE_CHECKING:
    from common.dynamo.database import Database

__all__ = ["AssetBalanceDAO", "AssetTransactionDAO"]

_PORTFOLIO: Final = named("AssetBalanceDAO.portfolio")
_GET: Final = named("AssetBalanceDAO.get")
_HISTORY: Final = named("AssetTransactionDAO.history")


class AssetBalanceDAO:
    """Holdings: views of the account item, so all of them are of one moment. Safe to use from any thread.

    The first use of an asset by a database object costs one query of the assets more (1 round trip, 1 read unit per
    4 KB); their scales never change.
    """

    def __init__(self, db: "Database", *, cash: QuoteAsset = USD) -> None:
        """Work on *db*, with *cash* as the asset of every account."""
        self._ledger = Ledger(db, cash)

    def portfolio(self, user: str, *, deadline: DeadlineLike | None = None) -> Portfolio:
        """Return everything that *user* owns, at one moment: cash, and every asset ever held, by id.

        One consistent ``GetItem``: 1 round trip, 1 read unit for some 48 assets within 1 KB, and up to 4 KB.

        Args:
            user: Whose account.
            deadline: Seconds for all attempts together, 2 by default.

        Raises:
            AccountNotFound: No account has this name.
            InvalidItem: What is stored does not fit the scale of its asset.
        """
        name = normalise_user_name(user, pointer="/user")
        with self._ledger.operation(_PORTFOLIO, deadline=deadline) as op:
            account = read_account(op, self._ledger, name)
            held = sorted(account.assets.keys() | account.held_assets.keys())
            scales = self._ledger.catalogue.scales(op, held)
        return self._portfolio(account, held, scales)

    def get(self, user: str, asset: str, *, deadline: DeadlineLike | None = None) -> AssetBalance:
        """Return what *user* holds of *asset*, zero where it was never held: 1 read unit, 1 round trip, consistent.

        Raises:
            AccountNotFound: No account has this name.
            NotFound: There is no such asset.
            InvalidItem: What is stored does not fit the scale of the asset.
        """
        name, asset_id = normalise_user_name(user, pointer="/user"), require_asset_id(asset, pointer="/asset")
        with self._ledger.operation(_GET, deadline=deadline) as op:
            account = read_account(op, self._ledger, name)
            scale = self._ledger.catalogue.asset(op, asset_id).scale
        return asset_balance(account, asset_id, scale)

    def _portfolio(self, account: Account, held: list[str], scales: Mapping[str, int]) -> Portfolio:
        return Portfolio.model_construct(
            user=account.user,
            balance=balance(account, self._ledger.cash),
            assets=tuple(asset_balance(account, asset_id, scales[asset_id]) for asset_id in held),
        )


class AssetTransactionDAO:
    """Trades, asset by asset. Safe to use from any thread."""

    def __init__(self, db: "Database", *, cash: QuoteAsset = USD) -> None:
        """Work on *db*, with *cash* as what trades are paid in."""
        require_database(db)
        db.declare(LEDGER_PATTERNS)
        self._cash = require_given(cash, QuoteAsset, pointer="/cash")
        self._entries = db.dao(ENTRY)

    def history(
        self,
        user: str,
        asset: str,
        *,
        limit: int = 20,
        after: str | None = None,
        deadline: DeadlineLike | None = None,
    ) -> Page[AssetTransaction]:
        """Return one page of the user's trades in *asset*, newest first: 1 round trip, half a read unit per 4 KB.

        Read from an index, so a trade may show a moment later than it was done. Every trade is on one page exactly,
        also while new ones arrive.

        Args:
            user: Whose trades.
            asset: Id of the asset.
            limit: Trades on the page, at most.
            after: ``next`` of the page before.
            deadline: Seconds for all attempts together, 2 by default.

        Raises:
            InvalidCursor: *after* is not a cursor of this query.
        """
        name, asset_id = normalise_user_name(user, pointer="/user"), require_asset_id(asset, pointer="/asset")
        query = replace(self._entries.query(TRADES, user=name, asset=asset_id), pattern=_HISTORY)
        return query.newest_first().page(limit, after=after, deadline=deadline).map(self._read)

    def _read(self, entry: JournalEntry) -> AssetTransaction:
        return asset_transaction(entry, self._cash)
