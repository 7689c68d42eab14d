"""The assets that can be traded, and their prices."""

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from common.core.validation import require_asset_id
from common.dynamo.dao.access_patterns import named
from common.dynamo.dao.arguments import require_given
from common.dynamo.dao.input_hash import HashedValue
from common.dynamo.dao.instruction import Instruction, stale_request_id
from common.dynamo.dao.ledger import Ledger
from common.dynamo.dao.ledger_types import ASSET, PRICE
from common.dynamo.dao.order_terms import price_from
from common.dynamo.dao.outcomes import Applied
from common.dynamo.dao.reading import read_item
from common.dynamo.dao.recent_requests import input_of, is_new_request, remember
from common.dynamo.dao.submission import claim
from common.dynamo.dao.timing import DeadlineLike
from common.dynamo.dao.views import price_at
from common.dynamo.exceptions import AlreadyExists, ConditionFailed, RequestIdReused
from common.dynamo.execution import Operation
from common.dynamo.paging import Page
from common.dynamo.requests import Constant, Item, Path, Update, UpdateItem
from common.entities import USD, Asset, AssetPrice, QuoteAsset

if TYPE_CHECKING:
    from common.dynamo.database import Database

__all__ = ["AssetDAO"]

_CREATE: Final = named("AssetDAO.create")
_GET: Final = named("AssetDAO.get")
_LIST: Final = named("AssetDAO.list")
_BY_CATEGORY: Final = named("AssetDAO.by_category")
_SET_PRICE: Final = named("AssetDAO.set_price")
_PRICE: Final = named("AssetDAO.price")


class AssetDAO:
    """Assets and prices. Safe to use from any thread."""

    def __init__(self, db: "Database", *, cash: QuoteAsset = USD) -> None:
        """Work on *db*, with *cash* as what prices are counted in."""
        self._ledger = Ledger(db, cash)
        self._assets = db.dao(ASSET)
        self._asset_table = db.table_of(ASSET)
        self._price_table = db.table_of(PRICE)

    def create(self, asset: Asset, *, request_id: str, deadline: DeadlineLike | None = None) -> Applied[Asset]:
        """Add *asset*; what money depends on in it never changes afterwards: 1 write unit, 1 round trip.

        Args:
            asset: The whole asset.
            request_id: The caller's idempotency key, ULID or UUIDv7. A repeat writes nothing.
            deadline: Seconds for all attempts together, 2 by default.

        Raises:
            AlreadyExists: Another request has created an asset with this id. Nothing was written.
            RequestIdReused: This request has created it with other values. Nothing was written.
            InvalidInput: *request_id* is malformed, or more than 24 hours off and was never used.
            Unavailable: Nothing was written; repeat it with the same *request_id*.
            OutcomeUnknown: The answer was lost. Repeat it with the same *request_id*.
        """
        require_given(asset, Asset, pointer="/asset")
        instruction = self._instruct(request_id, "asset", asset.model_dump_json())
        marks = {"rid": {"S": instruction.id}, "h": {"S": instruction.input}}
        put = claim(self._asset_table, {**ASSET.encode(asset), **marks})
        with self._ledger.operation(_CREATE, request_id, deadline, table=self._asset_table) as op:
            if not instruction.is_fresh:
                return self._recall(op, asset, instruction)
            try:
                op.execute(put)
            except ConditionFailed as taken:
                return self._repeat(taken.stored, instruction)
        self._ledger.catalogue.add(asset)
        return Applied(asset, replayed=False)

    def get(self, asset_id: str, *, deadline: DeadlineLike | None = None) -> Asset | None:
        """Return the asset, ``None`` where there is none: 1 read unit, 1 round trip, consistent."""
        key = ASSET.item_key(require_asset_id(asset_id, pointer="/asset"))
        with self._ledger.operation(_GET, deadline=deadline, table=self._asset_table) as op:
            item = read_item(op, self._asset_table, key)
        return None if item is None else ASSET.decode(item)

    def list(self, *, limit: int = 100, after: str | None = None, deadline: DeadlineLike | None = None) -> Page[Asset]:
        """Return one page of all assets, by id: 1 round trip, half a read unit per 4 KB; one query, never a scan.

        A new asset may show a moment late.

        Raises:
            InvalidCursor: *after* is not a cursor of this query.
        """
        return replace(self._assets.query(None), pattern=_LIST).page(limit, after=after, deadline=deadline)

    def by_category(
        self, category: str, *, limit: int = 100, after: str | None = None, deadline: DeadlineLike | None = None
    ) -> Page[Asset]:
        """Return one page of the assets in *category*, by id; reads what :meth:`list` reads, and filters it."""
        wanted = require_given(category, str, pointer="/category")
        query = self._assets.query(None).where(lambda asset: asset.category == wanted)
        return replace(query, pattern=_BY_CATEGORY).page(limit, after=after, deadline=deadline)

    def set_price(
        self,
        asset_id: str,
        price: Decimal | int | str,
        *,
        request_id: str,
        deadline: DeadlineLike | None = None,
    ) -> Applied[AssetPrice]:
        """Publish the price of an asset: 1 write unit, 1 round trip.

        The last eight requests are remembered with the price, so a repeat or a late copy of one of them does not bring
        an old price back.

        Args:
            asset_id: Id of the asset.
            price: In cash for one unit, above zero.
            request_id: The caller's idempotency key, ULID or UUIDv7.
            deadline: Seconds for all attempts together, 2 by default.

        Returns:
            The price as it stands: of a repeat, perhaps that of a later request.

        Raises:
            InvalidAmount: *price* is not exact or not positive.
            NotFound: There is no such asset.
            RequestIdReused: The id was used for another price. Nothing was written.
            InvalidInput: *request_id* is malformed, or more than 24 hours off and was never used.
            Unavailable, OutcomeUnknown: Repeat it with the same *request_id*.
        """
        name, exact = require_asset_id(asset_id, pointer="/asset"), price_from(price, pointer="/price")
        instruction = self._instruct(request_id, "price", name, exact)
        current = AssetPrice(asset=name, quote=self._ledger.cash.id, price=exact, as_of=instruction.at)
        with self._ledger.operation(_SET_PRICE, request_id, deadline, table=self._price_table) as op:
            self._ledger.catalogue.asset(op, name)
            if not instruction.is_fresh:
                return self._recall_price(op, name, instruction)
            try:
                op.execute(self._price_update(current, instruction))
            except ConditionFailed as taken:
                return self._repeated_price(taken.stored, instruction)
        return Applied(self._at_scale(current), replayed=False)

    def price(self, asset_id: str, *, deadline: DeadlineLike | None = None) -> AssetPrice | None:
        """Return the price last published, ``None`` where there is none: 1 read unit, 1 round trip, consistent."""
        key = PRICE.item_key(require_asset_id(asset_id, pointer="/asset"))
        with self._ledger.operation(_PRICE, deadline=deadline, table=self._price_table) as op:
            item = read_item(op, self._price_table, key)
        return None if item is None else self._at_scale(PRICE.decode(item))

    # Inside

    def _instruct(self, request_id: str, *asked: HashedValue) -> Instruction:
        return Instruction.of(None, request_id, self._ledger.now(), *asked)

    def _recall(self, op: Operation, asset: Asset, instruction: Instruction) -> Applied[Asset]:
        item = read_item(op, self._asset_table, ASSET.item_key(asset.id))
        if item is None or item.get("rid") != {"S": instruction.id}:
            raise stale_request_id()
        return self._repeat(item, instruction)

    def _repeat(self, item: Item, instruction: Instruction) -> Applied[Asset]:
        if item.get("rid") != {"S": instruction.id}:
            raise AlreadyExists("An asset with this id exists; it cannot be created again.", stored=ASSET.decode(item))
        if item.get("h") != {"S": instruction.input}:
            raise RequestIdReused
        return Applied(ASSET.decode(item), replayed=True)

    def _price_update(self, current: AssetPrice, instruction: Instruction) -> UpdateItem:
        item = PRICE.encode(current)
        attributes = [(Path((name,)), Constant(value)) for name, value in item.items() if name not in ("pk", "sk")]
        return UpdateItem(
            table=self._price_table,
            key={"pk": item["pk"], "sk": item["sk"]},
            update=Update(set=(*attributes, *remember(instruction.id, instruction.input))),
            condition=is_new_request(instruction.id),
        )

    def _recall_price(self, op: Operation, name: str, instruction: Instruction) -> Applied[AssetPrice]:
        item = read_item(op, self._price_table, PRICE.item_key(name))
        if item is None or input_of(instruction.id, item) is None:
            raise stale_request_id()
        return self._repeated_price(item, instruction)

    def _repeated_price(self, item: Item, instruction: Instruction) -> Applied[AssetPrice]:
        if input_of(instruction.id, item) != instruction.input:
            raise RequestIdReused
        return Applied(self._at_scale(PRICE.decode(item)), replayed=True)

    def _at_scale(self, stored: AssetPrice) -> AssetPrice:
        return stored.model_copy(update={"price": price_at(stored.price, self._ledger.cash.scale)})
