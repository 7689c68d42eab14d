"""What only the embedded engine has: its clock, and its speed."""

import statistics
import time
from collections.abc import Callable, Iterator
from decimal import Decimal

import boto3
import pytest
from pydantic import BaseModel

from common.dynamo import Database, EntityType, Key
from common.dynamo.requests import CreateTable, GetItem, PutItem, TransactWriteItems, Update, UpdateItem
from common.dynamo.testing import Dynoxide
from common.dynamo.testing.values import N, S, const, definition, key, path
from common.dynamo.wire.embedded import EmbeddedWire

TABLE = "things-in-memory"


def test_a_token_is_remembered_for_ten_minutes() -> None:
    """Within them a repeat is answered, after them it is a new request."""
    now = [1_000_000.0]
    wire = EmbeddedWire(clock=lambda: now[0])
    wire.send(CreateTable(definition=definition(TABLE)), 5.0)
    add = UpdateItem(table=TABLE, key=key("a", "1"), update=Update(add=((path("n"), const(N(1))),)))
    request = TransactWriteItems(parts=(add,), token="once")

    counts = []
    for seconds in (0.0, 599.0, 2.0):
        now[0] += seconds
        assert 200 == wire.send(request, 5.0).status
        counts.append(wire.send(GetItem(table=TABLE, key=key("a", "1")), 5.0).body["Item"]["n"]["N"])

    assert ["1", "1", "2"] == counts
    wire.close()


def test_an_answer_is_the_callers_own() -> None:
    """Changing what a read returned, or what was written, changes nothing that is stored."""
    wire = EmbeddedWire()
    wire.send(CreateTable(definition=definition(TABLE)), 5.0)
    item = {**key("a", "1"), "l": {"L": [N(1)]}}
    wire.send(PutItem(table=TABLE, item=item), 5.0)
    item["l"]["L"].append(N(2))
    read = GetItem(table=TABLE, key=key("a", "1"))
    wire.send(read, 5.0).body["Item"]["l"]["L"].clear()

    assert {"L": [N(1)]} == wire.send(read, 5.0).body["Item"]["l"]
    wire.close()


class Thing(BaseModel):
    id: str
    name: str = "a thing"
    colour: str = "blue"
    maker: str = "somebody"
    place: str = "somewhere"
    price: Decimal = Decimal("12.50")
    weight: int = 1200
    stock: int = 7
    rating: int = 4
    sold: int = 100
    returned: int = 3
    is_new: bool = True


THING = EntityType(Thing, "thing", key=Key("T#{id}", "T"), scales={"price": 2})


@pytest.fixture(scope="module")
def rivals(dynoxide: Dynoxide) -> Iterator[dict[str, Callable[[], object]]]:
    """The same get and put: of a model through a DAO on the embedded engine, of a dictionary by the bare boto3 client."""
    database = Database.embedded(table=TABLE, entity_types=(THING,))
    things, thing = database.dao(THING), Thing(id="t-1")
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-central-1")
    client = session.client("dynamodb", endpoint_url=dynoxide.endpoint_url)
    item = {**key("a", "1"), **{f"s{n}": S(f"text {n}") for n in range(6)}, **{f"n{n}": N(n * 1000) for n in range(6)}}
    client.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        BillingMode="PAY_PER_REQUEST",
    )
    yield {
        "DAO put": lambda: things.put(thing),
        "boto3 put": lambda: client.put_item(TableName=TABLE, Item=item),
        "DAO get": lambda: things.get("t-1"),
        "boto3 get": lambda: client.get_item(TableName=TABLE, Key=key("a", "1")),
    }
    database.close()
    client.close()


@pytest.mark.parametrize("operation", ["put", "get"])
def test_a_dao_call_costs_less_cpu_than_the_bare_client(
    rivals: dict[str, Callable[[], object]], operation: str
) -> None:
    """Measured in turns by the CPU time of this thread: model, request, engine and answer together, against boto3 alone."""
    times: dict[str, list[float]] = {"DAO": [], "boto3": []}
    for _ in range(15):
        for name, found in times.items():
            call = rivals[f"{name} {operation}"]
            call()
            started = time.thread_time()
            for _ in range(5):
                call()
            found.append(time.thread_time() - started)

    assert statistics.median(times["DAO"]) < statistics.median(times["boto3"])
