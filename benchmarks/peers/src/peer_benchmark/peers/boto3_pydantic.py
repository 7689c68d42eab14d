"""What a careful service writes without a mapper: boto3's client, its TypeSerializer and TypeDeserializer, and pydantic."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from peer_benchmark.model import Order, order
from peer_benchmark.orders import IN_TRANSACTION, PUT, raw_key
from peer_benchmark.peer import TABLE, Peer, Place
from peer_benchmark.peers.boto3_client import Boto3Client

__all__ = ["connect"]


class Boto3Pydantic(Boto3Client):
    """The calls of the bare client, with models in and out."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._serialize = TypeSerializer().serialize
        self._deserialize = TypeDeserializer().deserialize
        self._order = order(place.writer, PUT, note="put")
        self._put_together = [order(place.writer, number, note="put") for number in IN_TRANSACTION]

    def _model(self, item: dict[str, Any]) -> Order:
        return Order.model_validate({name: self._deserialize(value) for name, value in item.items()})

    def _as_item(self, model: Order) -> dict[str, Any]:
        values = model.model_dump()
        placed_at: datetime = values["placed_at"]
        values["placed_at"] = placed_at.isoformat()
        item = {name: self._serialize(value) for name, value in values.items()}
        return raw_key(model.customer, model.number) | item

    def fields(self, answer: Any) -> Mapping[str, Any]:
        """Return the fields of a model."""
        return dict(answer)

    def get(self) -> Any:
        """Return the model."""
        return self._model(super().get())

    def put(self) -> Any:
        """Replace the item by the model."""
        return self._client.put_item(TableName=TABLE, Item=self._as_item(self._order))

    def update(self) -> Any:
        """Change the item and return it as a model."""
        return self._model(super().update())

    def conditional_update(self) -> Any:
        """Change the item where it is open, and return it as a model."""
        return self._model(super().conditional_update())

    def query_100(self) -> Any:
        """Return the models of a partition."""
        return [self._model(item) for item in super().query_100()]

    def batch_get_100(self) -> Any:
        """Return a hundred models."""
        return [self._model(item) for item in super().batch_get_100()]

    def transaction_4(self) -> Any:
        """Put two models, change an item, check one."""
        puts = [self._as_item(model) for model in self._put_together]
        return self._client.transact_write_items(TransactItems=self._parts(puts))


def connect(place: Place) -> Peer:
    """Return client, serializers and model."""
    return Boto3Pydantic(place)
