"""The fault proxy before a real engine, over real sockets."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from common.dynamo.requests import (
    BatchGetItem,
    BatchWriteItem,
    CreateTable,
    GetItem,
    PutItem,
    Request,
    TransactWriteItems,
    Update,
    UpdateItem,
)
from common.dynamo.testing import Dynoxide, Fault, FaultProxy, FaultRates, network_wire
from common.dynamo.testing.engines import WireKind
from common.dynamo.testing.values import N, const, definition, key, path
from common.dynamo.wire import AnswerLost, Wire, WireFailure
from common.dynamo.wire.retry import Pace, Verdict, classify

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module", params=["boto", "direct"])
def pair(dynoxide: Dynoxide, request: pytest.FixtureRequest) -> Iterator[tuple[FaultProxy, Wire]]:
    """A proxy and a wire of either kind through it, for all tests of this file."""
    with FaultProxy(dynoxide.endpoint_url) as proxy:
        wire = network_wire(proxy.endpoint_url, request.param)
        yield proxy, wire
        wire.close()


@pytest.fixture
def proxy(pair: tuple[FaultProxy, Wire]) -> Iterator[FaultProxy]:
    """The proxy, without faults yet."""
    proxy, _ = pair
    proxy.plan.injected.clear()
    yield proxy
    proxy.plan.heal()
    proxy.settle()


@pytest.fixture
def wire(proxy: FaultProxy, pair: tuple[FaultProxy, Wire], table_name: str) -> Wire:
    """The wire, with the usual table behind it."""
    _, wire = pair
    assert wire.send(CreateTable(definition=definition(table_name)), 5.0).status == 200
    return wire


def add(table: str) -> UpdateItem:
    return UpdateItem(table=table, key=key("a", "1"), update=Update(add=((path("n"), const(N(1))),)))


def stored(wire: Wire, table: str) -> int:
    body = wire.send(GetItem(table=table, key=key("a", "1"), consistent=True), 5.0).body
    return int(body["Item"]["n"]["N"]) if "Item" in body else 0


EFFECTS: list[tuple[Fault, Verdict, Pace | None, int]] = [
    (Fault.THROTTLE, Verdict.NOT_APPLIED, Pace.THROTTLE, 0),
    (Fault.CONFLICT, Verdict.NOT_APPLIED, Pace.CONFLICT, 0),
    (Fault.ERROR_BEFORE, Verdict.UNKNOWN, Pace.FAULT, 0),
    (Fault.ERROR_AFTER, Verdict.UNKNOWN, Pace.FAULT, 1),
    (Fault.DROP_BEFORE, Verdict.UNKNOWN, Pace.FAULT, 0),
    (Fault.DROP_AFTER, Verdict.UNKNOWN, Pace.FAULT, 1),
    (Fault.TRUNCATE, Verdict.UNKNOWN, Pace.FAULT, 1),
    (Fault.HANG, Verdict.UNKNOWN, Pace.FAULT, 0),
    (Fault.LATE, Verdict.UNKNOWN, Pace.FAULT, 1),
    (Fault.DUPLICATE, Verdict.OK, None, 2),
]


@pytest.mark.parametrize("kind", ["single", "transaction"])
@pytest.mark.parametrize(("fault", "verdict", "pace", "applied"), EFFECTS, ids=[row[0].value for row in EFFECTS])
def test_a_fault_on_the_wire_is_what_it_says(
    proxy: FaultProxy,
    wire: Wire,
    table_name: str,
    kind: str,
    fault: Fault,
    verdict: Verdict,
    pace: Pace | None,
    applied: int,
) -> None:
    """The client sees what such a network shows, and the engine has applied it as often as the fault says."""
    request: Request = add(table_name) if kind == "single" else TransactWriteItems(parts=(add(table_name),))
    proxy.plan.script(fault)

    try:
        found = classify(wire.send(request, 0.5))
    except WireFailure as failure:
        found = classify(failure)
    proxy.settle()

    if (kind, fault, wire.name) == ("transaction", Fault.DUPLICATE, "boto"):
        applied = 1  # botocore has given the request a token
    assert (verdict, pace) == (found.verdict, found.pace)
    assert applied == stored(wire, table_name)


def test_every_place_an_answer_can_break_off_is_noticed(proxy: FaultProxy, wire: Wire, table_name: str) -> None:
    """Wherever the answer is cut, in its head or in its body, it is lost and never taken for an empty one."""
    wire.send(add(table_name), 5.0)
    proxy.plan.rates = FaultRates(truncate=1.0)

    for _ in range(40):
        with pytest.raises(AnswerLost):
            wire.send(GetItem(table=table_name, key=key("a", "1")), 5.0)


def test_a_stale_answer_is_an_earlier_one(proxy: FaultProxy, wire: Wire, table_name: str) -> None:
    """Equal reads that are not consistent may see what they saw before; consistent ones never do."""
    read = GetItem(table=table_name, key=key("a", "1"))
    proxy.plan.rates = FaultRates(stale=0.5)
    wire.send(add(table_name), 5.0)
    first = {wire.send(read, 5.0).body["Item"]["n"]["N"] for _ in range(10)}
    wire.send(add(table_name), 5.0)

    second = {wire.send(read, 5.0).body["Item"]["n"]["N"] for _ in range(30)}

    assert ({"1"}, {"1", "2"}) == (first, second)
    assert {2} == {stored(wire, table_name) for _ in range(20)}


def test_a_batch_is_done_in_part(proxy: FaultProxy, wire: Wire, table_name: str) -> None:
    """What is left comes back in the engine's own form, and can be sent again."""
    proxy.plan.rates = FaultRates(unprocessed=1.0)
    left: Any = [{"PutRequest": {"Item": key("a", str(number))}} for number in range(10)]
    while left:
        writes = tuple(PutItem(table=table_name, item=each["PutRequest"]["Item"]) for each in left)
        body = wire.send(BatchWriteItem(writes={table_name: writes}), 5.0).body
        left = body["UnprocessedItems"].get(table_name, [])
    wanted: tuple[Any, ...] = tuple(key("a", str(number)) for number in range(10))
    found = []
    while wanted:
        body = wire.send(BatchGetItem(keys={table_name: wanted}, consistent=True), 5.0).body
        found += body["Responses"][table_name]
        wanted = tuple(body["UnprocessedKeys"].get(table_name, {"Keys": ()})["Keys"])

    assert 10 == len(found)


def control(proxy: FaultProxy, method: str, target: str, body: object = None) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"{proxy.endpoint_url}{target}", method=method, data=None if body is None else json.dumps(body).encode()
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_the_proxy_is_controlled_over_http(proxy: FaultProxy, wire: Wire, table_name: str) -> None:
    """Rates and scripts change while it runs, from any process; the seed is told."""
    assert (200, 0) == (control(proxy, "GET", "/-/faults")[0], proxy.plan.seed)
    control(proxy, "PUT", "/-/faults", {"script": ["throttle", None]})
    assert [400, 200] == [wire.send(add(table_name), 5.0).status for _ in range(2)]

    control(proxy, "PUT", "/-/faults", {"rates": {"throttle": 1.0}})
    assert 400 == wire.send(add(table_name), 5.0).status
    _, state = control(proxy, "POST", "/-/heal")
    assert 200 == wire.send(add(table_name), 5.0).status
    assert ({"throttle": 2}, 0.0) == (state["injected"], state["rates"]["throttle"])
    assert 200 == control(proxy, "POST", "/-/settle")[0]


@pytest.mark.parametrize(
    ("method", "target", "body", "status"),
    [
        ("PUT", "/-/faults", {"rates": {"throttle": 2}}, 400),
        ("PUT", "/-/faults", {"rates": {"gremlins": 1}}, 400),
        ("PUT", "/-/faults", {"script": ["gremlin"]}, 400),
        ("GET", "/-/nothing", None, 404),
    ],
)
def test_a_wrong_command_changes_nothing(
    proxy: FaultProxy, method: str, target: str, body: object, status: int
) -> None:
    """It is answered with what is wrong."""
    found, answer = control(proxy, method, target, body)

    assert status == found
    assert answer["error"]
    assert FaultRates() == proxy.plan.rates


@pytest.mark.parametrize("kind", ["boto", "direct"])
def test_a_dead_engine_is_a_lost_answer(dynoxide: Dynoxide, table_name: str, kind: WireKind) -> None:
    """The proxy hides nothing: where nobody answers, nobody answers."""
    server = Dynoxide(dynoxide.binary).start()
    with FaultProxy(server.endpoint_url) as proxy:
        wire = network_wire(proxy.endpoint_url, kind)
        server.kill()

        with pytest.raises(AnswerLost):
            wire.send(add(table_name), 5.0)
        wire.close()
