"""Faults on demand: seeded or scripted, without a network, and with nothing left over when they end."""

from collections.abc import Iterator
from typing import Any

import pytest

from common.dynamo.requests import (
    BatchGetItem,
    BatchWriteItem,
    CreateTable,
    GetItem,
    KeyCondition,
    ListTables,
    PutItem,
    Query,
    Request,
    Scan,
    TransactGetItems,
    TransactWriteItems,
    Update,
    UpdateItem,
)
from common.dynamo.testing import CHECKER_RATES, Crash, Dynoxide, Fault, FaultPlan, FaultRates, FaultyWire, network_wire
from common.dynamo.testing.values import N, S, const, definition, key, path
from common.dynamo.wire import Answer, AnswerLost, NotSent, Wire
from common.dynamo.wire.embedded import EmbeddedWire
from common.dynamo.wire.retry import Pace, Verdict, classify

TABLE = "accounts-of-the-day"
ADD = UpdateItem(table=TABLE, key=key("a", "1"), update=Update(add=((path("n"), const(N(1))),)))
READ = GetItem(table=TABLE, key=key("a", "1"))


@pytest.fixture
def plan() -> FaultPlan:
    """A plan without faults yet."""
    return FaultPlan(seed=7)


@pytest.fixture
def wire(plan: FaultPlan) -> Iterator[Wire]:
    """An embedded wire that follows the plan."""
    wire = EmbeddedWire(faults=plan)
    assert wire.send(CreateTable(definition=definition(TABLE)), 5.0).status == 200
    yield wire
    wire.close()


def stored(wire: Wire) -> int:
    body = wire.send(GetItem(table=TABLE, key=key("a", "1"), consistent=True), 5.0).body
    return int(body["Item"]["n"]["N"]) if "Item" in body else 0


def outcome(wire: Wire, request: Request) -> Answer | AnswerLost | NotSent:
    try:
        return wire.send(request, 0.05)
    except (AnswerLost, NotSent) as failure:
        return failure


EFFECTS: list[tuple[Fault, Verdict, Pace | None, int]] = [
    (Fault.REFUSE, Verdict.NOT_APPLIED, Pace.FAULT, 0),
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
    (Fault.UNPROCESSED, Verdict.OK, None, 1),
]


@pytest.mark.parametrize("request_value", [ADD, TransactWriteItems(parts=(ADD,))], ids=["single", "transaction"])
@pytest.mark.parametrize(("fault", "verdict", "pace", "applied"), EFFECTS, ids=[row[0].value for row in EFFECTS])
def test_a_fault_is_what_it_says(
    wire: Wire, plan: FaultPlan, fault: Fault, verdict: Verdict, pace: Pace | None, applied: int, request_value: Request
) -> None:
    """The caller learns what it could learn, and the engine has applied it as often as the fault says."""
    plan.script(fault)

    found = classify(outcome(wire, request_value))
    plan.settle()

    assert (verdict, pace) == (found.verdict, found.pace)
    assert applied == stored(wire)
    assert {fault.value: 1} == dict(plan.injected)


@pytest.mark.parametrize(("fault", "applied"), [(Fault.CRASH_BEFORE, 0), (Fault.CRASH_AFTER, 1)])
def test_a_crash_passes_every_layer(wire: Wire, plan: FaultPlan, fault: Fault, applied: int) -> None:
    """It is no Exception, so nothing between the wire and the test goes on as if nothing had happened."""
    plan.script(fault)

    with pytest.raises(Crash):
        wire.send(ADD, 5.0)

    assert not issubclass(Crash, Exception)
    assert applied == stored(wire)


def test_a_script_goes_call_by_call(wire: Wire, plan: FaultPlan) -> None:
    """None lets a call pass; after the script the rates rule again."""
    plan.script(None, Fault.REFUSE, None)

    found = [type(outcome(wire, ADD)) for _ in range(4)]

    assert [Answer, NotSent, Answer, Answer] == found
    assert (4, 3) == (plan.seen, stored(wire))


def strokes(seed: int) -> list[str]:
    plan = FaultPlan(seed, CHECKER_RATES)
    return [repr(plan.draw(operation, consistent=False)) for _ in range(300) for operation in ("PutItem", "GetItem")]


def test_a_seed_repeats_a_run() -> None:
    """The same seed and calls meet the same faults, another seed others; the plan shows its seed."""
    assert strokes(1) == strokes(1)
    assert strokes(1) != strokes(2)
    assert "seed=1" in repr(FaultPlan(1))


def test_rates_hold_on_the_average() -> None:
    """Over many calls each fault strikes about as often as its rate says."""
    plan = FaultPlan(3, CHECKER_RATES)
    for _ in range(20_000):
        plan.draw("UpdateItem", consistent=False)

    for fault in ("throttle", "conflict", "drop_after", "late", "duplicate"):
        assert getattr(CHECKER_RATES, fault) == pytest.approx(plan.injected[fault] / 20_000, rel=0.2)
    assert "stale" not in plan.injected


def test_rates_change_at_run_time(wire: Wire, plan: FaultPlan) -> None:
    """A storm begins and ends by assignment."""
    plan.rates = FaultRates(throttle=1.0)
    assert 400 == wire.send(ADD, 5.0).status

    plan.heal()
    assert 200 == wire.send(ADD, 5.0).status


@pytest.mark.parametrize("rates", [{"throttle": 1.1}, {"stale": -0.1}, {"throttle": 0.6, "drop_after": 0.6}])
def test_rates_are_probabilities(rates: dict[str, float]) -> None:
    """Anything else is refused at once."""
    with pytest.raises(ValueError, match="probabilities"):
        FaultRates(**rates)


def test_only_named_operations_are_struck(wire: Wire, plan: FaultPlan) -> None:
    """A plan may leave all else alone, and requests on tables always."""
    plan.rates = FaultRates(refuse=1.0)
    plan.operations = frozenset({"TransactWriteItems"})

    assert 200 == wire.send(ADD, 5.0).status
    assert 200 == wire.send(ListTables(), 5.0).status
    with pytest.raises(NotSent):
        wire.send(TransactWriteItems(parts=(ADD,)), 5.0)


def test_reads_are_not_struck_by_what_only_writes_can_meet(wire: Wire, plan: FaultPlan) -> None:
    """Late and duplicate delivery of a read would mean nothing."""
    plan.rates = FaultRates(late=0.5, duplicate=0.5)

    assert [200] * 20 == [wire.send(READ, 5.0).status for _ in range(20)]


# Stale reads ----------------------------------------------------------------------------------------------------------

QUERY = Query(table=TABLE, key=KeyCondition("pk", S("a")))
BY_INDEX = Query(table=TABLE, index="GSI1", key=KeyCondition("g1pk", S("g")))


def versions(wire: Wire, request: Request) -> set[int]:
    """Return the versions that 60 reads see, 0 for none."""
    seen = set()
    for _ in range(60):
        body = wire.send(request, 5.0).body
        items = body.get("Items", [body["Item"]] if "Item" in body else [])
        items = next(iter(body["Responses"].values())) if "Responses" in body else items
        seen.add(int(items[0]["n"]["N"]) if items else 0)
    return seen


def write_versions(wire: Wire, count: int) -> None:
    for version in range(1, count + 1):
        wire.send(PutItem(table=TABLE, item={**key("a", "1"), "n": N(version), "g1pk": S("g"), "g1sk": S("1")}), 5.0)


@pytest.mark.parametrize(
    "request_value",
    [READ, QUERY, BY_INDEX, Scan(table=TABLE), BatchGetItem(keys={TABLE: (key("a", "1"),)})],
    ids=lambda r: r.operation,
)
def test_a_stale_read_sees_an_earlier_moment(wire: Wire, plan: FaultPlan, request_value: Request) -> None:
    """Before the latest write, or several writes ago, or before the item was there; never a moment that was not."""
    write_versions(wire, 3)
    plan.rates = FaultRates(stale=1.0)

    assert {0, 1, 2} == versions(wire, request_value)
    plan.heal()
    assert {3} == versions(wire, request_value)


def test_a_stale_read_sees_a_transaction_whole(wire: Wire, plan: FaultPlan) -> None:
    """What was committed together is missing together."""
    for version in range(1, 5):
        parts = tuple(PutItem(table=TABLE, item={**key("a", sort), "n": N(version)}) for sort in ("1", "2"))
        wire.send(TransactWriteItems(parts=parts), 5.0)
    plan.rates = FaultRates(stale=1.0)

    for _ in range(40):
        assert len({item["n"]["N"] for item in wire.send(QUERY, 5.0).body["Items"]}) <= 1


@pytest.mark.parametrize(
    "request_value",
    [
        GetItem(table=TABLE, key=key("a", "1"), consistent=True),
        Query(table=TABLE, key=KeyCondition("pk", S("a")), consistent=True),
    ],
    ids=["get", "query"],
)
def test_a_consistent_read_is_never_stale(wire: Wire, plan: FaultPlan, request_value: Request) -> None:
    """Nor is a transactional one."""
    write_versions(wire, 3)
    plan.rates = FaultRates(stale=1.0)

    assert {3} == versions(wire, request_value)
    (response,) = wire.send(TransactGetItems(parts=(READ,)), 5.0).body["Responses"]
    assert N(3) == response["Item"]["n"]


def test_a_stale_read_changes_nothing(wire: Wire, plan: FaultPlan) -> None:
    """Looking back undoes no write."""
    write_versions(wire, 3)
    plan.rates = FaultRates(stale=1.0)
    versions(wire, BY_INDEX)
    plan.heal()

    assert 3 == stored(wire)
    assert {3} == versions(wire, BY_INDEX)


# Batches --------------------------------------------------------------------------------------------------------------


def test_a_batch_is_done_in_part(wire: Wire, plan: FaultPlan) -> None:
    """What is left comes back in the shape of the API, so that the rest can be sent again; at least one is done."""
    plan.rates = FaultRates(unprocessed=1.0)
    left: Any = [{"PutRequest": {"Item": key("a", str(number))}} for number in range(20)]
    rounds = 0
    while left:
        writes = tuple(PutItem(table=TABLE, item=each["PutRequest"]["Item"]) for each in left)
        body = wire.send(BatchWriteItem(writes={TABLE: writes}), 5.0).body
        again = body["UnprocessedItems"].get(TABLE, [])
        assert len(again) < len(left)
        left, rounds = again, rounds + 1
    assert rounds > 1

    wanted: tuple[Any, ...] = tuple(key("a", str(number)) for number in range(20))
    found = []
    while wanted:
        body = wire.send(BatchGetItem(keys={TABLE: wanted}), 5.0).body
        found += body["Responses"][TABLE]
        wanted = tuple(body["UnprocessedKeys"].get(TABLE, {"Keys": ()})["Keys"])
    assert 20 == len(found)


# Around a network wire ------------------------------------------------------------------------------------------------


def test_a_network_wire_takes_the_same_plan(dynoxide: Dynoxide, table_name: str, plan: FaultPlan) -> None:
    """Faults, late requests and stale answers work around any wire."""
    plain = network_wire(dynoxide.endpoint_url)
    wire = FaultyWire(plain, plan)
    wire.send(CreateTable(definition=definition(table_name)), 5.0)
    put = PutItem(table=table_name, item={**key("a", "1"), "n": N(1)})
    read = GetItem(table=table_name, key=key("a", "1"))
    plan.script(Fault.DROP_AFTER)
    with pytest.raises(AnswerLost):
        wire.send(put, 5.0)
    plan.rates = FaultRates(stale=0.5)

    assert {"1"} == {wire.send(read, 5.0).body["Item"]["n"]["N"] for _ in range(20)}
    wire.send(PutItem(table=table_name, item={**key("a", "1"), "n": N(2)}), 5.0)
    assert {"1", "2"} == {wire.send(read, 5.0).body["Item"]["n"]["N"] for _ in range(40)}
    assert (plain.name, ("127.0.0.1", dynoxide.port)) == (wire.name, wire.endpoint)
    assert "seed 7" in wire.reason
    wire.close()
