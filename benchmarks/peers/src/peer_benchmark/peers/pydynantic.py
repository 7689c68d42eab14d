"""pydynantic, as in its README: entities that are pydantic models, on a boto3 client that is handed in."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydynantic import Entity, F, Table, key, transaction

from peer_benchmark.model import Status
from peer_benchmark.orders import (
    CHANGED_IN_TRANSACTION,
    CHECKED,
    CONDITIONAL,
    IN_TRANSACTION,
    NUMBERS,
    PUT,
    READ,
    UPDATED,
    WRITTEN,
    order_fields,
)
from peer_benchmark.peer import TABLE, Peer, Place
from peer_benchmark.peers.boto3_client import make_client

__all__ = ["connect"]


def _entity(table: Any) -> Any:
    class Order(Entity, table=table, name="order"):  # type: ignore[call-arg]
        customer: str
        number: int
        status: Status
        symbol: str
        note: str
        fills: int
        price: Decimal
        total: Decimal
        paid: bool
        placed_at: datetime
        tags: list[str]
        address: dict[str, str]

        class Meta:
            primary = key(pk="CUSTOMER#{customer}", sk="ORDER#{number}")

    return Order


class Pydynantic(Peer):
    """Its entities."""

    def __init__(self, place: Place) -> None:
        self._table = Table(name=TABLE, pk="pk", sk="sk", client=make_client(place))
        self._entity = _entity(self._table)
        self._customer, self._writer = place.customer, place.writer
        self._order = self._make(self._writer, PUT, note="put")
        self._in_transaction = [self._make(self._writer, number, note="put") for number in IN_TRANSACTION]

    def _make(self, customer: str, number: int, **changed: Any) -> Any:
        return self._entity(**(order_fields(customer, number) | changed))

    def seed(self) -> None:
        """Store the orders."""
        orders = [self._make(self._customer, number) for number in NUMBERS]
        orders += [self._make(self._writer, number) for number in WRITTEN]
        self._entity.batch_write(puts=orders)

    def fields(self, answer: Any) -> Mapping[str, Any]:
        """Return the fields of a model."""
        return dict(answer)

    def get(self) -> Any:
        """Return the model."""
        return self._entity.get(customer=self._customer, number=READ, consistent=True)

    def put(self) -> Any:
        """Replace the item by the model."""
        return self._entity.put(self._order)

    def update(self) -> Any:
        """Change the item and return it as a model."""
        changes: dict[str, Any] = {"set": {"note": "changed"}, "add": {"fills": 1}}
        return self._entity.update(customer=self._writer, number=UPDATED, **changes)

    def conditional_update(self) -> Any:
        """Change the item where it is open, and return it as a model."""
        changes: dict[str, Any] = {"set": {"note": "changed"}, "add": {"fills": 1}}
        return self._entity.update(
            customer=self._writer, number=CONDITIONAL, condition=F("status") == "open", **changes
        )

    def query_100(self) -> Any:
        """Return the models of a partition."""
        return self._entity.query.primary(customer=self._customer).all()

    def batch_get_100(self) -> Any:
        """Return a hundred models."""
        return self._entity.batch_get([(self._customer, number) for number in NUMBERS], consistent=True)

    def transaction_4(self) -> Any:
        """Put two models, change an item, check one."""
        with transaction(self._table) as tx:
            for one in self._in_transaction:
                tx.put(one)
            tx.update(
                self._entity,
                key=(self._writer, CHANGED_IN_TRANSACTION),
                set={"note": "changed"},
                add={"fills": 1},
                condition=F("status") == "open",
            )
            tx.condition_check(self._entity, key=(self._writer, CHECKED), condition=F("status") == "open")


def connect(place: Place) -> Peer:
    """Return its entities."""
    return Pydynantic(place)
