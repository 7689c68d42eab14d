"""No peer but the floor: what is left when everything is left out that can be.

One socket, a request put together of ready-made bytes, a signing key that is made once a day, httptools and orjson. Nothing is
checked, nothing is retried, no error is understood, no model is made; numbers stay texts.
"""

import hashlib
import hmac
import os
import socket
import time
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

import httptools
import orjson

from peer_benchmark.orders import NUMBERS, PUT, READ, WRITTEN, partition, raw_item, raw_key
from peer_benchmark.peer import REGION, TABLE, Peer, Place

__all__ = ["connect"]


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


class Connection:
    """One kept-alive connection that signs and sends."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.netloc
        self._socket = socket.create_connection((parts.hostname, parts.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._day, self._key = "", b""
        self._body = b""
        self._is_whole = False

    def _signing_key(self, day: str) -> bytes:
        if day != self._day:
            key = f"AWS4{os.environ['AWS_SECRET_ACCESS_KEY']}".encode()
            for part in (day, REGION, "dynamodb", "aws4_request"):
                key = _mac(key, part)
            self._day, self._key = day, key
        return self._key

    def call(self, operation: str, body: bytes) -> Any:
        """Send one request and return the answer's body, parsed."""
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        target, day = f"DynamoDB_20120810.{operation}", now[:8]
        digest = hashlib.sha256(body).hexdigest()
        canonical = f"POST\n/\n\nhost:{self._host}\nx-amz-date:{now}\nx-amz-target:{target}\n\nhost;x-amz-date;x-amz-target\n{digest}"
        scope = f"{day}/{REGION}/dynamodb/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = _mac(self._signing_key(day), text).hex()
        head = (
            f"POST / HTTP/1.1\r\nHost: {self._host}\r\nX-Amz-Target: {target}\r\nX-Amz-Date: {now}\r\n"
            f"Content-Type: application/x-amz-json-1.0\r\nContent-Length: {len(body)}\r\n"
            f"Authorization: AWS4-HMAC-SHA256 Credential={os.environ['AWS_ACCESS_KEY_ID']}/{scope}, "
            f"SignedHeaders=host;x-amz-date;x-amz-target, Signature={signature}\r\n\r\n"
        )
        self._socket.sendall(head.encode() + body)
        self._body, self._is_whole = b"", False
        parser = httptools.HttpResponseParser(self)
        while not self._is_whole:
            parser.feed_data(self._socket.recv(1 << 18))
        return orjson.loads(self._body)

    def on_body(self, data: bytes) -> None:
        """Take a part of the body (httptools)."""
        self._body += data

    def on_message_complete(self) -> None:
        """Know the end of the answer (httptools)."""
        self._is_whole = True

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class Floor(Peer):
    """The works that can be done by bytes alone."""

    lacks: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("update", "conditional_update", "batch_get_100", "transaction_4"), "the floor is shown for get, put and query"
    )

    def __init__(self, place: Place) -> None:
        self._connection = Connection(place.endpoint_url)
        self._place = place
        read = raw_key(place.customer, READ)
        self._get = orjson.dumps({"TableName": TABLE, "Key": read, "ConsistentRead": True})
        self._item = {"TableName": TABLE, "Item": raw_item(place.writer, PUT, note="put")}
        self._query = {
            "TableName": TABLE,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": partition(place.customer)}},
        }

    def seed(self) -> None:
        """Store the orders."""
        items = [raw_item(self._place.customer, number) for number in NUMBERS]
        for item in [*items, *(raw_item(self._place.writer, number) for number in WRITTEN)]:
            self._connection.call("PutItem", orjson.dumps({"TableName": TABLE, "Item": item}))

    def fields(self, answer: Any) -> Mapping[str, Any]:
        """Decode what was left as it came."""
        from boto3.dynamodb.types import TypeDeserializer

        return {name: TypeDeserializer().deserialize(value) for name, value in answer.items()}

    def get(self) -> Any:
        """Return the item."""
        return self._connection.call("GetItem", self._get)["Item"]

    def put(self) -> Any:
        """Replace the item."""
        return self._connection.call("PutItem", orjson.dumps(self._item))

    def query_100(self) -> Any:
        """Return the items of a partition."""
        return self._connection.call("Query", orjson.dumps(self._query))["Items"]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def connect(place: Place) -> Peer:
    """Return a connection."""
    return Floor(place)
