"""dyntastic, as in its README: models that are pydantic's, and ``update`` that reads the item again afterwards."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from dyntastic import A, Dyntastic, transaction

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
    partition,
    sort,
)
from peer_benchmark.peer import REGION, TABLE, Peer, Place

__all__ = ["connect"]


class Order(Dyntastic):
    """The order."""

    __table_name__ = TABLE
    __table_region__ = REGION
    __hash_key__ = "pk"
    __range_key__ = "sk"

    pk: str
    sk: str
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


def _order(customer: str, number: int, **changed: Any) -> Order:
    return Order(pk=partition(customer), sk=sort(number), **(order_fields(customer, number) | changed))


class DyntasticPeer(Peer):
    """Its models."""

    def __init__(self, place: Place) -> None:
        Order.__table_host__ = place.endpoint_url
        self._customer, self._writer = place.customer, place.writer
        self._put = _order(self._writer, PUT, note="put")
        self._updated = _order(self._writer, UPDATED)
        self._conditional = _order(self._writer, CONDITIONAL)
        self._in_transaction = [_order(self._writer, number, note="put") for number in IN_TRANSACTION]
        self._changed, self._checked = (_order(self._writer, each) for each in (CHANGED_IN_TRANSACTION, CHECKED))

    def seed(self) -> None:
        """Store the orders."""
        with Order.batch_writer():
            for number in NUMBERS:
                _order(self._customer, number).save()
            for number in WRITTEN:
                _order(self._writer, number).save()

    def fields(self, answer: Any) -> Mapping[str, Any]:
        """Return the fields of a model."""
        return dict(answer)

    def get(self) -> Any:
        """Return the model."""
        return Order.get(partition(self._customer), sort(READ), consistent_read=True)

    def put(self) -> Any:
        """Replace the item by the model."""
        return self._put.save()

    def update(self) -> Any:
        """Change the item; the model is read again, as is the default."""
        self._updated.update(A.note.set("changed"), A.fills.set(A.fills + 1))
        return self._updated

    def conditional_update(self) -> Any:
        """Change the item where it is open."""
        self._conditional.update(
            A.note.set("changed"),
            A.fills.set(A.fills + 1),
            condition=A.status == "open",
            require_condition=True,
        )
        return self._conditional

    def query_100(self) -> Any:
        """Return the models of a partition."""
        return list(Order.query(partition(self._customer)))

    def batch_get_100(self) -> Any:
        """Return a hundred models."""
        keys = [(partition(self._customer), sort(number)) for number in NUMBERS]
        return Order.batch_get(keys, consistent_read=True)

    def transaction_4(self) -> Any:
        """Put two models, change an item, check one."""
        with transaction():
            for one in self._in_transaction:
                one.save()
            self._changed.update(
                A.note.set("changed"), A.fills.set(A.fills + 1), condition=A.status == "open", refresh=False
            )
            self._checked.transaction_condition(A.status == "open")
        # As its README has it, an object that was not read again refuses to be used until told otherwise.
        self._changed.ignore_unrefreshed()


def connect(place: Place) -> Peer:
    """Return its models."""
    return DyntasticPeer(place)
