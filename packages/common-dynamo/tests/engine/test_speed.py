"""Client CPU (P4, EN9), as ratios measured in one process: the layer must not cost more than what it replaces."""

import json
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import boto3
import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.awsrequest import AWSResponse
from pydantic import BaseModel

from common.dynamo import DAO, Database, EntityType, Key
from common.dynamo.wire.boto_client import build_client

pytestmark = pytest.mark.thorough

ROUNDS, CALLS = 7, 15
TABLE = "speed"


class Record(BaseModel):
    """Twelve attributes of every common kind."""

    id: str
    name: str = "a name of some length"
    city: str = "Bonn"
    count: int = 7
    size: int = 123_456
    total: Decimal = Decimal("12.50")
    rate: Decimal = Decimal("0.00000001")
    active: bool = True
    at: datetime = datetime(2026, 11, 24, 8, tzinfo=UTC)
    tags: list[str] = ["a", "b"]
    labels: dict[str, str] = {"key": "value"}
    note: str | None = "a note"


RECORD = EntityType(Record, "record", key=Key("R#{id}", "R"), scales={"total": 2, "rate": 8})


class Stub:
    """A whole boto3 client up to the socket, and the answers that would have come through it."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.answer: dict[str, Any] = {}
        client.meta.events.register("before-send.dynamodb", self._answer)

    def _answer(self, request: Any, **_: Any) -> AWSResponse:
        body = json.dumps(self.answer).encode()
        headers = {"x-amzn-requestid": "1", "content-type": "application/x-amz-json-1.0"}
        return AWSResponse(request.url, 200, headers, _Raw(body))


class _Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._body


def plain_item() -> dict[str, Any]:
    return dict(RECORD.encode(Record(id="1")))


class ByHand:
    """What a careful service writes without a mapper: client, TypeSerializer, TypeDeserializer, pydantic."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._serialize = TypeSerializer().serialize
        self._deserialize = TypeDeserializer().deserialize

    def _record(self, item: dict[str, Any]) -> Record:
        return Record.model_validate({name: self._deserialize(value) for name, value in item.items()})

    def get(self) -> Record:
        answer = self._client.get_item(TableName=TABLE, Key=RECORD.item_key("1"), ConsistentRead=True)
        return self._record(answer["Item"])

    def put(self, record: Record) -> None:
        values = {**record.model_dump(), "at": record.at.isoformat()}
        item = {name: self._serialize(value) for name, value in values.items()}
        self._client.put_item(TableName=TABLE, Item={**RECORD.item_key("1"), **item})

    def query(self) -> list[Record]:
        values = {":p": {"S": "R#1"}}
        answer = self._client.query(TableName=TABLE, KeyConditionExpression="pk = :p", ExpressionAttributeValues=values)
        return [self._record(item) for item in answer["Items"]]


def ratio(ours: Callable[[], object], theirs: Callable[[], object], calls: int = CALLS) -> float:
    """Return the CPU of *ours* divided by that of *theirs*: the best of three medians over rounds that alternate.

    A neighbour on the machine only ever makes a median worse.
    """

    def cpu(call: Callable[[], object]) -> float:
        start = time.thread_time()
        for _ in range(calls):
            call()
        return time.thread_time() - start

    ours(), theirs()
    return min(statistics.median(cpu(ours) / cpu(theirs) for _ in range(ROUNDS)) for _ in range(3))


SESSION = boto3.Session(aws_access_key_id="t", aws_secret_access_key="t", region_name="eu-central-1")


@pytest.fixture(scope="module")
def bare() -> Stub:
    """The client that boto3 makes where nobody says otherwise."""
    return Stub(SESSION.client("dynamodb"))


@pytest.fixture
def embedded() -> Iterator[DAO[Record]]:
    with Database.embedded(entity_types=[RECORD]) as db:
        records = db.dao(RECORD)
        records.create(Record(id="1"))
        yield records


@pytest.fixture
def built() -> Stub:
    """The client that the boto wire builds of a session."""
    return Stub(build_client(SESSION, endpoint_url=None, region=None, timeout=2.0))


@pytest.fixture
def on_boto(built: Stub) -> Iterator[DAO[Record]]:
    with Database.connect(client=built.client, table=TABLE, entity_types=[RECORD]) as db:
        yield db.dao(RECORD)


def test_a_whole_embedded_call_costs_less_than_a_bare_boto3_call(bare: Stub, embedded: DAO[Record]) -> None:
    """Get and put through a DAO, engine included, against the client alone without a socket."""
    record, item = Record(id="1"), plain_item()
    bare.answer = {"Item": item}

    def bare_get() -> object:
        return bare.client.get_item(TableName=TABLE, Key=RECORD.item_key("1"))

    def bare_put() -> object:
        return bare.client.put_item(TableName=TABLE, Item=item)

    assert ratio(lambda: embedded.get("1"), bare_get) < 0.5
    assert ratio(lambda: embedded.put(record), bare_put) < 1.0


def test_on_the_boto_wire_a_call_costs_no_more_than_by_hand(bare: Stub, built: Stub, on_boto: DAO[Record]) -> None:
    """Get, put and query with validated models."""
    by_hand, record = ByHand(bare.client), Record(id="1")
    bare.answer = built.answer = {"Item": plain_item()}
    assert record == on_boto.get("1") == by_hand.get()
    reading = ratio(lambda: on_boto.get("1"), by_hand.get)
    replacing = ratio(lambda: on_boto.put(record, replace=True), lambda: by_hand.put(record))
    putting = ratio(lambda: on_boto.put(record), lambda: by_hand.put(record))
    bare.answer = built.answer = {"Items": [plain_item()] * 100, "Count": 100, "ScannedCount": 100}
    querying = ratio(lambda: on_boto.query(id="1").all(), by_hand.query, calls=2)

    assert (reading < 1.0, replacing < 1.0, querying < 1.0, putting < 1.1) == (True, True, True, True)
