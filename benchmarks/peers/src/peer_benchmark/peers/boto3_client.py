"""boto3's client alone: what it takes and gives is the DynamoDB API's own JSON, and nothing is validated.

As in the boto3 guide, "Low-level clients" and "DynamoDB".
"""

from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config

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
    partition,
    raw_item,
    raw_key,
)
from peer_benchmark.peer import TABLE, Peer, Place

__all__ = ["Boto3Client", "connect", "make_client"]

CHANGE = {
    "UpdateExpression": "SET note = :note ADD fills :one",
    "ExpressionAttributeValues": {":note": {"S": "changed"}, ":one": {"N": "1"}},
}
OPEN = {"ConditionExpression": "#status = :open", "ExpressionAttributeNames": {"#status": "status"}}
CHANGE_OPEN = {
    **OPEN,
    "UpdateExpression": CHANGE["UpdateExpression"],
    "ExpressionAttributeValues": {":note": {"S": "changed"}, ":one": {"N": "1"}, ":open": {"S": "open"}},
}


def make_client(place: Place) -> Any:
    """Return a client as boto3 makes it; only a pool of another size is configured."""
    config = None if place.connections == 10 else Config(max_pool_connections=place.connections)
    return boto3.client("dynamodb", endpoint_url=place.endpoint_url, config=config)


class Boto3Client(Peer):
    """Calls with ready-made keys and items."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._client = make_client(place)
        self._key = raw_key(place.customer, READ)
        self._item = raw_item(place.writer, PUT, note="put")

    def seed(self) -> None:
        """Store the orders, 25 at a time."""
        items = [raw_item(self._place.customer, number) for number in NUMBERS]
        items += [raw_item(self._place.writer, number) for number in WRITTEN]
        for first in range(0, len(items), 25):
            puts = [{"PutRequest": {"Item": item}} for item in items[first : first + 25]]
            self._client.batch_write_item(RequestItems={TABLE: puts})

    def fields(self, answer: Any) -> Mapping[str, Any]:
        """Decode what the client leaves as it came."""
        from boto3.dynamodb.types import TypeDeserializer

        return {name: TypeDeserializer().deserialize(value) for name, value in answer.items()}

    def get(self) -> Any:
        """Return the item."""
        return self._client.get_item(TableName=TABLE, Key=self._key, ConsistentRead=True)["Item"]

    def put(self) -> Any:
        """Replace the item."""
        return self._client.put_item(TableName=TABLE, Item=self._item)

    def update(self) -> Any:
        """Change the item and return it."""
        key = raw_key(self._place.writer, UPDATED)
        return self._client.update_item(TableName=TABLE, Key=key, ReturnValues="ALL_NEW", **CHANGE)["Attributes"]

    def conditional_update(self) -> Any:
        """Change the item where it is open, and return it."""
        key = raw_key(self._place.writer, CONDITIONAL)
        return self._client.update_item(TableName=TABLE, Key=key, ReturnValues="ALL_NEW", **CHANGE_OPEN)["Attributes"]

    def query_100(self) -> Any:
        """Return the items of a partition."""
        return self._client.query(
            TableName=TABLE,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": partition(self._place.customer)}},
        )["Items"]

    def batch_get_100(self) -> Any:
        """Return a hundred items."""
        keys = [raw_key(self._place.customer, number) for number in NUMBERS]
        request = {TABLE: {"Keys": keys, "ConsistentRead": True}}
        return self._client.batch_get_item(RequestItems=request)["Responses"][TABLE]

    def transaction_4(self) -> Any:
        """Put two items, change one, check one."""
        puts = [raw_item(self._place.writer, number, note="put") for number in IN_TRANSACTION]
        return self._client.transact_write_items(TransactItems=self._parts(puts))

    def _parts(self, puts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        changed, checked = (raw_key(self._place.writer, number) for number in (CHANGED_IN_TRANSACTION, CHECKED))
        still_open = {**OPEN, "ExpressionAttributeValues": {":open": {"S": "open"}}}
        return [
            *({"Put": {"TableName": TABLE, "Item": item}} for item in puts),
            {"Update": {"TableName": TABLE, "Key": changed, **CHANGE_OPEN}},
            {"ConditionCheck": {"TableName": TABLE, "Key": checked, **still_open}},
        ]

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def connect(place: Place) -> Peer:
    """Return the client."""
    return Boto3Client(place)
