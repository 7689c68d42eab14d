"""Client CPU of the direct wire (P1, P2), as ratios to boto3 over real sockets to one engine, in turns.

These are wide gates, twice the budget; what was measured beside all peers is in docs/benchmarks.md.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal

import boto3
import pytest
from boto3.dynamodb.types import TypeDeserializer
from pydantic import BaseModel

from common.dynamo import Database, EntityType, Key
from common.dynamo.testing.server import Dynoxide
from common.dynamo.wire.direct import DirectWire
from common.dynamo.wire.direct.credentials import StaticCredentials
from common.dynamo.wire.direct.endpoint import Endpoint

pytestmark = pytest.mark.thorough

TABLE = "speed-of-the-direct-wire"
REGION = "eu-central-1"
Rivals = dict[str, Callable[[], object]]


class Record(BaseModel):
    """Twelve attributes of every common kind."""

    owner: str
    number: int
    name: str = "a name of some length"
    city: str = "Bonn"
    count: int = 7
    total: Decimal = Decimal("12.50")
    rate: Decimal = Decimal("0.00000001")
    active: bool = True
    at: datetime = datetime(2026, 11, 24, 8, tzinfo=UTC)
    tags: list[str] = ["a", "b"]
    labels: dict[str, str] = {"key": "value"}
    note: str | None = "a note"


RECORD = EntityType(Record, "record", key=Key("R#{owner}", "N#{number:6}"), scales={"total": 2, "rate": 8})


@pytest.fixture(scope="module")
def rivals(dynoxide: Dynoxide) -> Iterator[Rivals]:
    """The same work: of validated models on the direct wire, of dictionaries by boto3, validated where they are many."""
    wire = DirectWire(Endpoint.parse(dynoxide.endpoint_url), REGION, StaticCredentials("test", "test"))
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)
    client, deserialize = session.client("dynamodb", endpoint_url=dynoxide.endpoint_url), TypeDeserializer().deserialize
    record = Record(owner="one", number=7)
    with Database.connect(wire=wire, table=TABLE, entity_types=[RECORD]) as db:
        db.create_tables()
        records = db.dao(RECORD)
        for number in range(100):
            records.put(Record(owner="one", number=number))
        key, item = RECORD.item_key("one", 7), dict(RECORD.encode(record))

        def query_by_hand() -> list[Record]:
            condition = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": key["pk"]}}
            found = client.query(TableName=TABLE, **condition)["Items"]
            return [Record.model_validate({name: deserialize(value) for name, value in each.items()}) for each in found]

        assert query_by_hand() == records.query(owner="one").all()
        yield {
            "get": lambda: records.get(("one", 7)),
            "boto3 get": lambda: client.get_item(TableName=TABLE, Key=key, ConsistentRead=True),
            "put": lambda: records.put(record),
            "boto3 put": lambda: client.put_item(TableName=TABLE, Item=item),
            "query": lambda: records.query(owner="one").all(),
            "boto3 query": query_by_hand,
        }
    client.close()


def cpu(call: Callable[[], object], calls: int) -> float:
    started = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - started) / calls


@pytest.mark.parametrize(("work", "calls", "bound"), [("get", 40, 0.2), ("put", 40, 0.2), ("query", 5, 0.26)])
def test_a_call_costs_a_fraction_of_boto3(rivals: Rivals, work: str, calls: int, bound: float) -> None:
    """A validated model costs less than a fifth of the bare client's call, a page of a hundred about a quarter."""

    def ratio() -> float:
        return statistics.median(cpu(rivals[work], calls) / cpu(rivals[f"boto3 {work}"], calls) for _ in range(9))

    rivals[work](), rivals[f"boto3 {work}"]()

    # A neighbour on the machine only ever makes a median worse.
    assert min(ratio() for _ in range(3)) < bound
