"""The order service: market orders, limit orders, and the matching that fills what a price has reached."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

import httpx
from fastapi import APIRouter, Depends, FastAPI, status

from acme_plugin.invoice import Invoice, InvoiceState
from acme_plugin.storage import BY_STATE, INVOICE
from common.auth.gateway.fastapi import require_role
from common.auth.gateway.identity import Identity
from common.core.utils.identifiers import UlidGenerator
from common.dynamo.dao import Applied, OrderDAO
from common.dynamo.exceptions import NotFound, OrderConflict
from common.entities.inventory import AssetPrice
from common.entities.order import Order, OrderCreate, OrderSide, OrderType
from exchange.services.bodies import Fee
from exchange.services.chassis import Chassis, RequestId
from exchange.services.peers import Peer
from exchange.services.trust import PEOPLE

Caller = Annotated[Identity, Depends(require_role(*PEOPLE))]
Operator = Annotated[Identity, Depends(require_role("operator"))]

TENANT = "exchange"


class OrderService:
    """The routes of the order service, bound to its parts."""

    def __init__(self, chassis: Chassis) -> None:
        database = chassis.database()
        self.orders = OrderDAO(database)
        self.invoices = database.dao(INVOICE)
        self.inventory = Peer("inventory", chassis)
        self.new_id = UlidGenerator()

    def quote(self, asset: str, caller: Identity) -> Decimal:
        """Ask the inventory service, in the caller's name, what one unit costs; once per order."""
        answer = self.inventory.get(f"/prices/{asset}", caller)
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise NotFound("No such asset, or it has no price yet.")
        answer.raise_for_status()
        return AssetPrice.model_validate_json(answer.content).price

    def submit(self, body: OrderCreate, caller: Caller, request_id: RequestId) -> Applied[Order]:
        """Take an order: a market order is filled at once, a limit order holds what it needs and waits."""
        if body.type.is_limit:
            return self.orders.place(caller.user_id, body, request_id=request_id)
        trade = self.orders.buy if body.type.side is OrderSide.BUY else self.orders.sell
        return trade(
            caller.user_id,
            body.asset,
            body.quantity,
            price=self.quote(body.asset, caller),
            price_bound=body.price_bound,
            request_id=request_id,
        )

    def list_orders(self, caller: Caller, limit: int = 20, after: str | None = None) -> dict[str, object]:
        """Return a page of the caller's orders, newest first."""
        page = self.orders.list(caller.user_id, limit=limit, after=after)
        return {"items": page.items, "next": page.next}

    def order(self, order_id: str, caller: Caller) -> Order:
        """Return one of the caller's orders."""
        order = self.orders.get(caller.user_id, order_id)
        if order is None:
            raise NotFound("No such order of yours.")
        return order

    def cancel(self, order_id: str, caller: Caller, request_id: RequestId) -> Applied[Order]:
        """Cancel a waiting order and release what it holds."""
        return self.orders.cancel(self.order(order_id, caller), request_id=request_id)

    def match(self, asset: str, caller: Operator) -> dict[str, int]:
        """Fill every waiting order that the asset's price has reached; for operators.

        Each step is conditional on the order's state, so two engines that run at once fill an order once.
        """
        price = self.quote(asset, caller)
        filled = lost = 0
        for type in (OrderType.LIMIT_BUY, OrderType.LIMIT_SELL):
            for order in self.orders.due(asset, type, price).items:
                try:
                    self.fill(order, price)
                    filled += 1
                except OrderConflict:
                    lost += 1  # its owner cancelled it, or another engine was faster
        return {"filled": filled, "lost": lost}

    def bill(self, body: Fee, caller: Operator) -> Invoice:
        """Bill a user; an entity type of a stranger's plugin, stored beside our own."""
        return self.invoices.create(
            Invoice(
                tenant=TENANT,
                number=body.number,
                reference=f"{body.username} {body.number}",
                email=body.email,
                total=body.amount,
                issued_at=datetime.now(UTC),
            )
        )

    def open_invoices(self, caller: Operator, after: str | None = None) -> dict[str, object]:
        """Return a page of the invoices that wait to be paid."""
        page = self.invoices.query(BY_STATE, tenant=TENANT, state=InvoiceState.OPEN).page(20, after=after)
        return {"items": page.items, "next": page.next}

    def fill(self, order: Order, price: Decimal) -> None:
        """Trigger, claim and settle one order at *price*."""
        triggered = self.orders.trigger(order, request_id=self.new_id()).entry
        claimed = self.orders.claim(triggered, request_id=self.new_id()).entry
        self.orders.settle(claimed, price=price, request_id=self.new_id())


def build(chassis: Chassis) -> FastAPI:
    """Return the order service's application."""
    service = OrderService(chassis)
    routes = APIRouter()
    routes.add_api_route("/orders", service.submit, methods=["POST"], status_code=status.HTTP_201_CREATED)
    routes.add_api_route("/orders", service.list_orders, methods=["GET"])
    routes.add_api_route("/orders/{order_id}", service.order, methods=["GET"])
    routes.add_api_route("/orders/{order_id}", service.cancel, methods=["DELETE"])
    routes.add_api_route("/invoices", service.bill, methods=["POST"], status_code=status.HTTP_201_CREATED)
    routes.add_api_route("/invoices", service.open_invoices, methods=["GET"])
    routes.add_api_route("/matching/{asset}", service.match, methods=["POST"])
    return chassis.behind_gateway(routes)
