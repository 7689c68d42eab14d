"""pydynox, as in its README, by the synchronous methods; numbers by its exact DecimalAttribute.

Its models are typed by their attributes and not validated; its pydantic integration has no query, no batch and reads floats,
so it is not used. ``update`` changes the object in memory and gives nothing back.
"""

from collections.abc import Mapping
from typing import Any

from pydynox import DynamoDBClient, Model, ModelConfig, SyncTransaction
from pydynox.attributes import (
    BooleanAttribute,
    DatetimeAttribute,
    DecimalAttribute,
    ListAttribute,
    MapAttribute,
    NumberAttribute,
    StringAttribute,
)

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


def _model(client: Any) -> Any:
    class Order(Model):
        model_config = ModelConfig(table=TABLE, client=client)

        pk = StringAttribute(partition_key=True)
        sk = StringAttribute(sort_key=True)
        customer = StringAttribute()
        number = NumberAttribute()
        status = StringAttribute()
        symbol = StringAttribute()
        note = StringAttribute()
        fills = NumberAttribute()
        price = DecimalAttribute()
        total = DecimalAttribute()
        paid = BooleanAttribute()
        placed_at = DatetimeAttribute()
        tags = ListAttribute()
        address = MapAttribute()

    return Order


class Pydynox(Peer):
    """Its models."""

    def __init__(self, place: Place) -> None:
        self._client = DynamoDBClient(region=REGION, endpoint_url=place.endpoint_url)
        self._model = _model(self._client)
        self._customer, self._writer = place.customer, place.writer
        self._put = self._make(self._writer, PUT, note="put")
        self._updated = self._make(self._writer, UPDATED)
        self._conditional = self._make(self._writer, CONDITIONAL)
        self._in_transaction = [self._make(self._writer, number, note="put") for number in IN_TRANSACTION]

    def _make(self, customer: str, number: int, **changed: Any) -> Any:
        return self._model(pk=partition(customer), sk=sort(number), **(order_fields(customer, number) | changed))

    def seed(self) -> None:
        """Store the orders."""
        for number in NUMBERS:
            self._make(self._customer, number).sync_save()
        for number in WRITTEN:
            self._make(self._writer, number).sync_save()

    def fields(self, answer: Any) -> Mapping[str, Any]:
        """Return the attributes of an object."""
        return {name: getattr(answer, name) for name in order_fields("", 0)}

    def get(self) -> Any:
        """Return the object."""
        return self._model.sync_get(pk=partition(self._customer), sk=sort(READ), consistent_read=True)

    def put(self) -> Any:
        """Replace the item by the object."""
        return self._put.sync_save(full_replace=True)

    def update(self) -> Any:
        """Change the item."""
        model = self._model
        return self._updated.sync_update(atomic=[model.note.set("changed"), model.fills.add(1)])

    def conditional_update(self) -> Any:
        """Change the item where it is open."""
        model = self._model
        return self._conditional.sync_update(
            atomic=[model.note.set("changed"), model.fills.add(1)], condition=model.status == "open"
        )

    def query_100(self) -> Any:
        """Return the objects of a partition."""
        return list(self._model.sync_query(partition_key=partition(self._customer)))

    def batch_get_100(self) -> Any:
        """Return a hundred objects."""
        keys = [{"pk": partition(self._customer), "sk": sort(number)} for number in NUMBERS]
        return self._model.sync_batch_get(keys, consistent_read=True)

    def transaction_4(self) -> Any:
        """Put two objects, change an item, check one."""
        still_open: dict[str, Any] = {
            "condition_expression": "#status = :open",
            "expression_attribute_names": {"#status": "status"},
        }
        with SyncTransaction(self._client) as transaction:
            for one in self._in_transaction:
                transaction.save_model(one)
            transaction.update(
                TABLE,
                {"pk": partition(self._writer), "sk": sort(CHANGED_IN_TRANSACTION)},
                "SET note = :note ADD fills :one",
                expression_attribute_values={":note": "changed", ":one": 1, ":open": "open"},
                **still_open,
            )
            transaction.condition_check(
                TABLE,
                {"pk": partition(self._writer), "sk": sort(CHECKED)},
                expression_attribute_values={":open": "open"},
                **still_open,
            )


def connect(place: Place) -> Peer:
    """Return its models."""
    return Pydynox(place)
