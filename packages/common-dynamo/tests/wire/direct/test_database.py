"""Above the direct wire the rules are those of every wire: one retry layer, one quota, back-off (W4, W7, W8)."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from common.dynamo import Database, Pattern
from common.dynamo.exceptions import ConditionFailed, OutcomeUnknown, TransactionCanceled, Unavailable
from common.dynamo.requests import (
    Exists,
    GetItem,
    PutItem,
    Request,
    TransactGetItems,
    TransactWriteItems,
    Update,
    UpdateItem,
)
from common.dynamo.testing.examples import NOTE, Note
from common.dynamo.testing.scripted_server import (
    ScriptedServer,
    SeenRequest,
    Step,
    answer,
    chunked,
    closing,
    cut,
    refusal,
    resetting,
    silent,
)
from common.dynamo.testing.values import N, S, const, key, path
from common.dynamo.wire.direct import DirectWire

pytestmark = pytest.mark.thorough

READ = Pattern("Test.read", "GetItem")
WRITE = Pattern("Test.write", "PutItem")
GET = GetItem(table="app", key=key("p", "s"))
PUT = PutItem(table="app", item=key("p", "s"))
CONDITIONAL = PutItem(table="app", item=key("p", "s"), condition=Exists(path("pk")))
ADD = UpdateItem(table="app", key=key("p", "s"), update=Update(add=((path("n"), const(N(1))),)))
TRANSACTION = TransactWriteItems(parts=(PUT, CONDITIONAL))
EMPTY = answer({})
FOUND = answer({"Item": {**key("p", "s"), "n": N(1)}})


@dataclass
class Sleep:
    """Waits no longer than it has to, and keeps what it was asked for."""

    asked: list[float] = field(default_factory=list)

    def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)


@pytest.fixture
def sleep() -> Sleep:
    return Sleep()


@pytest.fixture
def wire(connect: Callable[..., DirectWire]) -> DirectWire:
    """A wire with one place, so that whoever goes on does so over one connection."""
    return connect(connections=1)


@pytest.fixture
def db(wire: DirectWire, sleep: Sleep) -> Iterator[Database]:
    """A database over the direct wire, which never waits and whose random numbers are all one half."""
    with Database.connect(
        table="app", wire=wire, entity_types=[NOTE], sleep=sleep, random=lambda: 0.5, deadline=10.0
    ) as db:
        yield db


# One layer, one quota (W7) ------------------------------------------------------------------------------------------


def test_each_attempt_is_one_request(server: ScriptedServer, db: Database, sleep: Sleep) -> None:
    """The wire repeats nothing by itself: what the layer above decides is what the server sees, with full jitter."""
    throttled = refusal("ThrottlingException")
    server.then(throttled, throttled, throttled, FOUND)

    assert 4 == db.execute(GET, READ).attempts

    assert 4 == len(server.requests)
    assert [0.0125, 0.025, 0.05] == sleep.asked
    assert 1 == len({request.body for request in server.requests})


@pytest.mark.parametrize(
    ("step", "cost"),
    [
        (refusal("InternalServerError", 500), 10),
        (refusal("ThrottlingException"), 5),
        (closing(), 10),
        (answer(b"<html>", 502), 10),
    ],
    ids=["errors", "throttles", "broken connections", "a gateway"],
)
def test_a_storm_ends_by_the_one_quota(server: ScriptedServer, db: Database, step: Step, cost: int) -> None:
    """A hundred calls against an engine that answers nobody: 500 tokens' worth of retries, and no one more."""
    server.then(step)
    for _ in range(100):
        with pytest.raises(Unavailable):
            db.execute(GET, READ)

    assert 100 + 500 // cost == len(server.requests)


def test_the_callers_own_condition_is_asked_once(server: ScriptedServer, db: Database) -> None:
    """It is an answer like any other, with the stored item."""
    server.then(refusal("ConditionalCheckFailedException", Item={**key("p", "s"), "n": N(7)}))

    with pytest.raises(ConditionFailed) as failed:
        db.execute(CONDITIONAL, WRITE)

    assert {**key("p", "s"), "n": N(7)} == failed.value.stored
    assert 1 == len(server.requests)


def test_the_callers_own_condition_in_a_transaction_is_asked_once(server: ScriptedServer, db: Database) -> None:
    """The reasons come in the caller's order."""
    reasons = [{"Code": "None"}, {"Code": "ConditionalCheckFailed", "Item": {**key("p", "s"), "n": N(7)}}]
    server.then(refusal("TransactionCanceledException", CancellationReasons=reasons))

    with pytest.raises(TransactionCanceled) as canceled:
        db.execute(TRANSACTION, Pattern("Test.both", "TransactWriteItems"))

    assert [("None", None), ("ConditionalCheckFailed", {**key("p", "s"), "n": N(7)})] == [
        (reason.code, reason.item) for reason in canceled.value.reasons
    ]
    assert 1 == len(server.requests)


# Throttling (W8) ----------------------------------------------------------------------------------------------------


def cancelled(*codes: str) -> Step:
    return refusal("TransactionCanceledException", CancellationReasons=[{"Code": code} for code in codes])


THROTTLES: dict[str, tuple[Request, Step]] = {
    "ThrottlingException": (PUT, refusal("ThrottlingException")),
    "ProvisionedThroughputExceededException": (ADD, refusal("ProvisionedThroughputExceededException")),
    "RequestLimitExceeded": (GET, refusal("RequestLimitExceeded")),
    "status 429": (PUT, answer({"__type": "Slow"}, 429)),
    "in a header": (PUT, answer({}, 400, "x-amzn-ErrorType: ThrottlingException")),
    "a reason": (TRANSACTION, cancelled("None", "ThrottlingError")),
    "a reason of capacity": (TRANSACTION, cancelled("ProvisionedThroughputExceeded", "None")),
    "a reason beside a failed condition": (TRANSACTION, cancelled("ThrottlingError", "ConditionalCheckFailed")),
    "a reason of reads": (TransactGetItems(parts=(GET,)), cancelled("ThrottlingError")),
}


@pytest.mark.parametrize(("request_value", "step"), THROTTLES.values(), ids=THROTTLES)
def test_a_throttle_is_waited_for_on_the_same_connection(
    server: ScriptedServer, db: Database, sleep: Sleep, request_value: Request, step: Step
) -> None:
    """In single calls and in reasons: back-off, the same request again, and no new connection."""
    server.then(step, step, EMPTY)

    db.execute(request_value, Pattern("Test.any", request_value.operation), resend=False)

    assert ([0.0125, 0.025], 3, 1) == (sleep.asked, len(server.requests), server.connections)


def test_a_conflict_waits_shorter(server: ScriptedServer, db: Database, sleep: Sleep) -> None:
    """It is over in milliseconds."""
    server.then(cancelled("None", "TransactionConflict"), EMPTY)

    db.execute(TRANSACTION, Pattern("Test.both", "TransactWriteItems"))

    assert [0.0025] == sleep.asked


def only_one(request: SeenRequest) -> Step:
    """Do the first entry of a batch of writes, and leave the others."""
    (entries,) = request.parameters["RequestItems"].values()
    return answer({"UnprocessedItems": {"app": entries[1:]} if len(entries) > 1 else {}})


def first_key(request: SeenRequest) -> Step:
    """Read the first key of a batch, and leave the others."""
    (asked,) = request.parameters["RequestItems"].values()
    first, *others = asked["Keys"]
    item = {**first, "id": S(first["pk"]["S"].partition("#")[2]), "text": S("x"), "_t": S("note")}
    left = {"app": {**asked, "Keys": others}} if others else {}
    return answer({"Responses": {"app": [item]}, "UnprocessedKeys": left})


def test_unprocessed_writes_are_waited_for_on_the_same_connection(
    server: ScriptedServer, db: Database, sleep: Sleep
) -> None:
    """What is left goes out again after a delay, until nothing is."""
    server.then(only_one)
    notes = db.dao(NOTE)

    notes.batch_write([notes.plan.put(Note(id=str(number), text="x"), replace=True) for number in range(3)])

    assert [3, 2, 1] == [len(request.parameters["RequestItems"]["app"]) for request in server.requests]
    assert (2, 1) == (len(sleep.asked), server.connections)
    assert all(seconds > 0 for seconds in sleep.asked)


def test_unprocessed_reads_are_waited_for_on_the_same_connection(
    server: ScriptedServer, db: Database, sleep: Sleep
) -> None:
    """The result is whole and in the caller's order."""
    server.then(first_key)
    names = ["c", "a", "b"]

    found = db.dao(NOTE).batch_get(names)

    assert [Note(id=name, text="x") for name in names] == found
    assert (2, 1, 3) == (len(sleep.asked), server.connections, len(server.requests))


# Lost answers (W4) --------------------------------------------------------------------------------------------------

LOST: dict[str, Step] = {
    "a wrong checksum": answer({}, crc32=1),
    "a wrong checksum of chunks": chunked({"Item": {}}, crc32=1),
    "half an answer": cut(FOUND, 100),
    "no answer": closing(),
    "a reset": resetting(),
    "HTML": answer(b"<html>", 502, crc32=False),
    "no JSON": answer(b"{", 200),
}


@pytest.mark.parametrize("step", LOST.values(), ids=LOST)
def test_a_read_whose_answer_is_lost_is_repeated(server: ScriptedServer, db: Database, step: Step) -> None:
    """The caller sees one that is sound."""
    server.then(step, FOUND)

    assert N(1) == db.execute(GET, READ).body["Item"]["n"]
    assert 2 == len(server.requests)


@pytest.mark.parametrize("step", LOST.values(), ids=LOST)
def test_a_write_whose_answer_is_lost_is_unknown(server: ScriptedServer, db: Database, step: Step) -> None:
    """What must not be done twice is sent once."""
    server.then(step, EMPTY)

    with pytest.raises(OutcomeUnknown):
        db.execute(ADD, Pattern("Test.add", "UpdateItem"), resend=False)
    assert 1 == len(server.requests)


@pytest.mark.parametrize("step", LOST.values(), ids=LOST)
def test_a_write_that_was_done_before_its_answer_was_lost_is_recognised(
    server: ScriptedServer, db: Database, step: Step
) -> None:
    """The stored item has the write's own id, so the second attempt's failed condition is a success."""
    stored: list[dict[str, Any]] = []

    def first(request: SeenRequest) -> Step:
        stored.append(_item_of(request))
        server.then(lambda _: refusal("ConditionalCheckFailedException", Item=stored[0]))
        return step

    server.then(first)

    assert Note(id="1", text="x") == db.dao(NOTE).create(Note(id="1", text="x"))
    assert 2 == len(server.requests)


def _item_of(request: SeenRequest) -> dict[str, Any]:
    """Return the item that a create leaves behind, whichever verb it was sent with."""
    parameters = request.parameters
    if "Item" in parameters:
        item: dict[str, Any] = parameters["Item"]
        return item
    names, values = parameters["ExpressionAttributeNames"], parameters["ExpressionAttributeValues"]
    sets = parameters["UpdateExpression"].partition("SET ")[2].partition(" REMOVE")[0].split(", ")
    pairs = (each.split(" = ") for each in sets)
    return {**parameters["Key"], **{names[name]: values[value] for name, value in pairs}}


def test_the_deadline_bounds_all_attempts_together(server: ScriptedServer, db: Database) -> None:
    """A server that is silent now and then, and breaks off now and then, is left in time."""
    server.then(closing(), silent())
    started = time.monotonic()

    with pytest.raises(OutcomeUnknown):
        db.execute(PUT, WRITE, deadline=0.5)

    assert 0.49 <= time.monotonic() - started < 3.5
