"""The inventory service: the assets, their prices, what a user owns, and a stranger's invoices."""

from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI

from common.auth.gateway.fastapi import current_identity, require_role
from common.auth.gateway.identity import Identity
from common.core.audit import AuditOutcome
from common.dynamo.dao import Applied, AssetBalanceDAO, AssetDAO, AssetTransactionDAO
from common.dynamo.exceptions import NotFound
from common.entities.asset import Portfolio
from common.entities.inventory import Asset, AssetListResponse, AssetPrice
from exchange.catalogue import list_market
from exchange.market import load_market
from exchange.services.bodies import NewPrice
from exchange.services.chassis import Chassis, Context, RequestId
from exchange.services.trust import PEOPLE, PRICES

Caller = Annotated[Identity, Depends(current_identity())]
Person = Annotated[Identity, Depends(require_role(*PEOPLE))]


async def who_may_quote(caller: Caller) -> Identity:
    """Return who is asking: a machine whose API key has the scope for prices, or an operator."""
    if PRICES not in caller.scope:
        caller.require_role("operator")
    return caller


Quoter = Annotated[Identity, Depends(who_may_quote)]


class InventoryService:
    """The routes of the inventory service, bound to its parts."""

    def __init__(self, chassis: Chassis) -> None:
        database = chassis.database()
        self.audit = chassis.audit
        self.assets = AssetDAO(database)
        self.holdings = AssetBalanceDAO(database)
        self.trades = AssetTransactionDAO(database)
        list_market(self.assets, load_market())

    def list_assets(self, caller: Caller, category: str | None = None, after: str | None = None) -> AssetListResponse:
        """Return a page of assets, of one category or of all."""
        page = self.assets.list(after=after) if category is None else self.assets.by_category(category, after=after)
        return AssetListResponse(assets=tuple(page.items), next=page.next)

    def asset(self, asset_id: str, caller: Caller) -> Asset:
        """Return one asset."""
        asset = self.assets.get(asset_id)
        if asset is None:
            raise NotFound("No such asset. GET /assets lists them.")
        return asset

    def price(self, asset_id: str, caller: Caller) -> AssetPrice:
        """Return what one unit of an asset costs now."""
        price = self.assets.price(asset_id)
        if price is None:
            raise NotFound("The asset has no price yet.")
        return price

    def set_price(
        self, asset_id: str, body: NewPrice, caller: Quoter, request_id: RequestId, context: Context
    ) -> Applied[AssetPrice]:
        """Quote a new price; for operators, and for machines with the scope."""
        applied = self.assets.set_price(asset_id, body.price, request_id=request_id)
        self.audit.emit(
            "authz_admin",
            outcome=AuditOutcome.SUCCESS,
            actor=caller.user_id,
            ctx=context,
            operation="set_price",
            resource=asset_id,
        )
        return applied

    def portfolio(self, caller: Person) -> Portfolio:
        """Return everything the caller owns: one atomic read."""
        return self.holdings.portfolio(caller.user_id)

    def asset_history(
        self, asset_id: str, caller: Person, limit: int = 20, after: str | None = None
    ) -> dict[str, object]:
        """Return a page of the caller's trades in one asset, newest first."""
        page = self.trades.history(caller.user_id, asset_id, limit=limit, after=after)
        return {"items": page.items, "next": page.next}


def build(chassis: Chassis) -> FastAPI:
    """Return the inventory service's application."""
    service = InventoryService(chassis)
    routes = APIRouter()
    routes.add_api_route("/assets", service.list_assets, methods=["GET"])
    routes.add_api_route("/assets/{asset_id}", service.asset, methods=["GET"])
    routes.add_api_route("/assets/{asset_id}/trades", service.asset_history, methods=["GET"])
    routes.add_api_route("/prices/{asset_id}", service.price, methods=["GET"])
    routes.add_api_route("/prices/{asset_id}", service.set_price, methods=["PUT"])
    routes.add_api_route("/portfolio", service.portfolio, methods=["GET"])
    return chassis.behind_gateway(routes)
