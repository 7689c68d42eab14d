"""PynamoDB, as in its documentation: "Usage", "Batch Operations", "Transaction Operations", "Custom Attributes".

Its NumberAttribute reads floats; the exact one here is a custom attribute as the documentation shows them. Its objects are
typed by their attributes and not validated. ``update`` takes the changed attributes from the answer by itself.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pynamodb.attributes import (
    Attribute,
    BooleanAttribute,
    ListAttribute,
    MapAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UTCDateTimeAttribute,
)
from pynamodb.connection import Connection
from pynamodb.constants import NUMBER
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

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


class DecimalAttribute(Attribute[Decimal]):
    """An exact number."""

    attr_type = NUMBER

    def serialize(self, value: Decimal) -> str:
        """Write it out."""
        return str(value)

    def deserialize(self, value: str) -> Decimal:
        """Read it."""
        return Decimal(value)


class Address(MapAttribute):
    """Where it goes."""

    street = UnicodeAttribute()
    city = UnicodeAttribute()


class Order(Model):
    """The order."""

    class Meta:
        """Its table."""

        table_name = TABLE
        region = REGION
        host = ""
        max_pool_connections = 10

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    customer = UnicodeAttribute()
    number = NumberAttribute()
    status = UnicodeAttribute()
    symbol = UnicodeAttribute()
    note = UnicodeAttribute()
    fills = NumberAttribute()
    price = DecimalAttribute()
    total = DecimalAttribute()
    paid = BooleanAttribute()
    placed_at = UTCDateTimeAttribute()
    tags = ListAttribute(of=UnicodeAttribute)
    address = Address()


def _order(customer: str, number: int, **changed: Any) -> Order:
    fields = order_fields(customer, number) | changed
    return Order(partition(customer), sort(number), **fields)


class PynamoDB(Peer):
    """Its models."""

    def __init__(self, place: Place) -> None:
        Order.Meta.host = place.endpoint_url
        Order.Meta.max_pool_connections = place.connections
        self._customer, self._writer = place.customer, place.writer
        self._connection = Connection(region=REGION, host=place.endpoint_url)
        self._put = _order(self._writer, PUT, note="put")
        self._updated = _order(self._writer, UPDATED)
        self._conditional = _order(self._writer, CONDITIONAL)
        self._in_transaction = [_order(self._writer, number, note="put") for number in IN_TRANSACTION]
        self._changed = _order(self._writer, CHANGED_IN_TRANSACTION)

    def seed(self) -> None:
        """Store the orders."""
        with Order.batch_write() as batch:
            for number in NUMBERS:
                batch.save(_order(self._customer, number))
            for number in WRITTEN:
                batch.save(_order(self._writer, number))

    def fields(self, answer: Any) -> Mapping[str, Any]:
        """Return the attributes of an object."""
        return {**answer.attribute_values, "address": answer.address.attribute_values}

    def get(self) -> Any:
        """Return the object."""
        return Order.get(partition(self._customer), sort(READ), consistent_read=True)

    def put(self) -> Any:
        """Replace the item by the object."""
        return self._put.save()

    def update(self) -> Any:
        """Change the item; the object takes over what is new."""
        self._updated.update(actions=[Order.note.set("changed"), Order.fills.add(1)])
        return self._updated

    def conditional_update(self) -> Any:
        """Change the item where it is open."""
        self._conditional.update(
            actions=[Order.note.set("changed"), Order.fills.add(1)], condition=Order.status == "open"
        )
        return self._conditional

    def query_100(self) -> Any:
        """Return the objects of a partition."""
        return list(Order.query(partition(self._customer)))

    def batch_get_100(self) -> Any:
        """Return a hundred objects."""
        keys = [(partition(self._customer), sort(number)) for number in NUMBERS]
        return list(Order.batch_get(keys, consistent_read=True))

    def transaction_4(self) -> Any:
        """Put two objects, change an item, check one."""
        with TransactWrite(connection=self._connection) as transaction:
            for one in self._in_transaction:
                transaction.save(one)
            transaction.update(
                self._changed,
                actions=[Order.note.set("changed"), Order.fills.add(1)],
                condition=Order.status == "open",
            )
            transaction.condition_check(Order, partition(self._writer), sort(CHECKED), condition=Order.status == "open")


def connect(place: Place) -> Peer:
    """Return its models."""
    return PynamoDB(place)
