"""What the direct wire takes for an answer, what it takes for a refusal, and what is lost (W4, W10, W11)."""

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from common.dynamo.requests import GetItem, PutItem, Request, TransactWriteItems
from common.dynamo.testing.scripted_server import (
    ScriptedServer,
    Step,
    answer,
    chunked,
    closing,
    cut,
    dripping,
    head,
    message,
    refusal,
    resetting,
    split,
    whole,
)
from common.dynamo.testing.values import B, N, S, key
from common.dynamo.wire import AnswerLost
from common.dynamo.wire.direct import DirectWire
from common.dynamo.wire.retry import Pace, Verdict, classify

pytestmark = pytest.mark.thorough

GET = GetItem(table="t", key=key("p", "s"))
PUT = PutItem(table="t", item={**key("p", "s"), "secret": S("hunter2"), "b": B(b"\x00\xff")})
FOUND = {"Item": {"n": N("12345678901234567890123456789012345678"), "s": S("é")}}
BOTH = pytest.mark.parametrize("scheme", ["http", "https"])
HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
SECOND = message({"Item": {"n": N(666)}})

# What is asked ----------------------------------------------------------------------------------------------------


@BOTH
def test_a_request_is_what_the_api_asks_for(server: ScriptedServer, wire: DirectWire) -> None:
    """One POST with the operation, the body's length, no compression, and binary values as base64."""
    wire.send(PUT, 2.0)

    (request,) = server.requests
    assert ("POST / HTTP/1.1", "PutItem") == (request.start, request.operation)
    assert {
        "host": f"127.0.0.1:{server.port}",
        "x-amz-target": "DynamoDB_20120810.PutItem",
        "content-type": "application/x-amz-json-1.0",
        "accept-encoding": "identity",
        "content-length": str(len(request.body)),
    }.items() <= request.headers.items()
    assert {
        "TableName": "t",
        "Item": {**key("p", "s"), "secret": S("hunter2"), "b": {"B": "AP8="}},
    }.items() <= request.parameters.items()


# Whole answers ----------------------------------------------------------------------------------------------------

WHOLE = answer(FOUND)
SOUND: dict[str, Step] = {
    "in one piece": WHOLE,
    "without a checksum": answer(FOUND, crc32=False),
    "in two segments": split(WHOLE, 60),
    "head and body apart": split(WHOLE, len(message(FOUND)) - len(json.dumps(FOUND))),
    "byte by byte": dripping(WHOLE, 0.0),
    "in chunks": chunked(FOUND),
    "in chunks without a checksum": chunked(FOUND, crc32=False),
    "after a 100 Continue": whole(head(100) + message(FOUND)),
    "after a 100 Continue of its own": split(whole(head(100) + message(FOUND)), len(head(100))),
    "closed afterwards": closing(WHOLE),
    "with Connection: close": closing(answer(FOUND, 200, "Connection: close")),
    "reset afterwards": resetting(WHOLE),
}


@BOTH
@pytest.mark.parametrize("step", SOUND.values(), ids=SOUND)
def test_a_whole_answer_is_taken_however_it_comes(server: ScriptedServer, wire: DirectWire, step: Step) -> None:
    """Segments, chunks and what happens to the connection later do not matter, and the next request works too."""
    server.then(step, answer({}))

    first = wire.send(GET, 5.0)
    if step.afterwards != "keep":
        server.wait_until(lambda server: server.open_connections == 0)
    second = wire.send(GET, 5.0)

    assert [(200, FOUND), (200, {})] == [(each.status, each.body) for each in (first, second)]
    assert 2 == len(server.requests)


@BOTH
def test_an_answer_keeps_its_shape(server: ScriptedServer, wire: DirectWire) -> None:
    """Binary values are bytes wherever they stand, an attribute of the name B stays one, numbers keep their digits."""
    server.then(
        answer(
            {
                "Item": {
                    "B": {"S": "no base64"},
                    "bytes": {"B": "AP8="},
                    "more": {"BS": ["AA==", "AQ=="]},
                    "list": {"L": [{"B": ""}, {"M": {"B": {"B": "AP8="}, "BS": {"S": "x"}}}]},
                    "n": {"N": "1.50"},
                },
                "ConsumedCapacity": {"CapacityUnits": 0.5},
            }
        )
    )

    found = wire.send(GET, 2.0)

    assert {
        "B": S("no base64"),
        "bytes": B(b"\x00\xff"),
        "more": {"BS": [b"\x00", b"\x01"]},
        "list": {"L": [B(b""), {"M": {"B": B(b"\x00\xff"), "BS": S("x")}}]},
        "n": N("1.50"),
    } == found.body["Item"]
    assert ("r-1", 0, 0.5) == (found.request_id, found.retry_attempts, found.body["ConsumedCapacity"]["CapacityUnits"])


@BOTH
def test_ten_megabytes_come_whole(server: ScriptedServer, wire: DirectWire) -> None:
    """A batch of reads may bring 16 MB; every byte of it is checked."""
    items = [{"s": S("x" * 100_000), "n": N(number)} for number in range(100)]
    server.then(answer({"Responses": {"t": items}}))

    assert {"t": items} == wire.send(GET, 10.0).body["Responses"]


# Refusals ---------------------------------------------------------------------------------------------------------

REASONS = [{"Code": "None"}, {"Code": "ConditionalCheckFailed", "Message": "m", "Item": {"b": {"B": "AP8="}}}]
REFUSALS: list[tuple[Step, int, dict[str, Any]]] = [
    (
        answer({"__type": "com.amazonaws.dynamodb.v20120810#ValidationException", "message": "no"}, 400),
        400,
        {"__type": "ValidationException", "message": "no"},
    ),
    (
        answer({"__type": "com.amazon.coral.service#AccessDeniedException", "Message": "lower and upper case"}, 400),
        400,
        {"__type": "AccessDeniedException", "message": "lower and upper case"},
    ),
    (
        answer({"message": "no"}, 400, "x-amzn-ErrorType: ThrottlingException:http://internal.amazon.com/coral/"),
        400,
        {"__type": "ThrottlingException", "message": "no"},
    ),
    (
        refusal("ConditionalCheckFailedException", Item={"b": {"B": "AP8="}}),
        400,
        {
            "__type": "ConditionalCheckFailedException",
            "message": "refused: ConditionalCheckFailedException",
            "Item": {"b": B(b"\x00\xff")},
        },
    ),
    (
        refusal("TransactionCanceledException", CancellationReasons=REASONS),
        400,
        {
            "__type": "TransactionCanceledException",
            "message": "refused: TransactionCanceledException",
            "CancellationReasons": [REASONS[0], {**REASONS[1], "Item": {"b": B(b"\x00\xff")}}],
        },
    ),
    (
        refusal("InternalServerError", 500),
        500,
        {"__type": "InternalServerError", "message": "refused: InternalServerError"},
    ),
    (answer({"__type": "Overloaded"}, 503), 503, {"__type": "Overloaded", "message": ""}),
]


@pytest.mark.parametrize(("step", "status", "body"), REFUSALS, ids=[row[2]["__type"] for row in REFUSALS])
def test_a_refusal_is_an_answer_with_a_bare_code(
    server: ScriptedServer, wire: DirectWire, step: Step, status: int, body: dict[str, Any]
) -> None:
    """The namespace is gone, the stored item and the reasons of a cancellation are there, and the connection is kept."""
    server.then(step)

    found = [wire.send(TransactWriteItems(parts=(PUT,)), 2.0) for _ in range(2)]

    assert [(status, body)] * 2 == [(each.status, each.body) for each in found]
    assert 1 == server.connections


# Lost answers -----------------------------------------------------------------------------------------------------

LOST: dict[str, Step] = {
    "closed without a byte": closing(),
    "reset without a byte": resetting(),
    "half a status line": closing(whole(b"HTTP/1.1 2")),
    "half a head": cut(WHOLE, 50),
    "half a body": cut(WHOLE, len(message(FOUND)) - 5),
    "reset within the body": resetting(cut(WHOLE, len(message(FOUND)) - 5)),
    "a length that is too long": closing(answer(FOUND, length=5000)),
    "a length that is too long, where it could end": closing(answer({}, crc32=False, length=5000)),
    "a length that is too short": answer(FOUND, length=4),
    "a length that is too short, without a checksum": answer(FOUND, crc32=False, length=4),
    "two lengths": answer(FOUND, 200, "Content-Length: 2"),
    "a length that is no number": whole(head(200, "Content-Length: many") + b"{}"),
    "a negative length": whole(head(200, "Content-Length: -2") + b"{}"),
    "length and chunks": whole(head(200, "Content-Length: 2", "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n"),
    "a last chunk that is missing": closing(chunked(FOUND, closed=False)),
    "a chunk whose length is none": whole(head(200, "Transfer-Encoding: chunked") + b"zz\r\n{}\r\n"),
    "a checksum that does not fit": answer(FOUND, crc32=1),
    "a checksum that is none": answer(FOUND, 200, "x-amz-crc32: hello", crc32=False),
    "a checksum that does not fit chunks": chunked(FOUND, crc32=1),
    "compressed although it was not asked for": answer(gzip.compress(b"{}"), 200, "Content-Encoding: gzip"),
    "compressed, with the checksum of what is in it": answer(
        gzip.compress(b"{}"), 200, "Content-Encoding: gzip", crc32=zlib.crc32(b"{}")
    ),
    "empty": answer(b""),
    "no JSON": answer(b"hello"),
    "JSON that is cut off but framed": answer(b'{"Item": {'),
    "JSON that is no object": answer(b"[]"),
    "a text that is no UTF-8": answer(b'{"Item": {"s": {"S": "\xff"}}}'),
    "a binary value that is no base64": answer({"Item": {"b": {"B": "%"}}}),
    "HTML with 200": answer(HTML, 200, crc32=False),
    "HTML of a gateway": answer(HTML, 502, crc32=False),
    "HTML of a portal": answer(HTML, 403, crc32=False),
    "an empty gateway": answer(b"", 503, crc32=False),
    "a refusal that is cut off": closing(answer(b'{"__type": "x#Valid', 400, length=500, crc32=False)),
    "a refusal with a wrong checksum": answer({"__type": "x#ValidationException"}, 400, crc32=1),
    "a refusal that names no error": answer({"message": "no"}, 400),
    "a refusal whose name is none": answer({"__type": 4711, "message": "no"}, 400),
    "a refusal that is a list": answer(b"[]", 400),
    "reasons that are none": answer({"__type": "TransactionCanceledException", "CancellationReasons": [None]}, 400),
    "reasons that are no list": answer({"__type": "TransactionCanceledException", "CancellationReasons": "x"}, 400),
    "a stored item that is none": answer({"__type": "ConditionalCheckFailedException", "Item": "x"}, 400),
    "a redirect": answer(b"", 307, "Location: http://127.0.0.1:1/"),
    "another success": answer({}, 202),
    "no content": whole(head(204)),
    "an upgrade": whole(head(101, "Upgrade: h2c", "Connection: Upgrade")),
    "no HTTP": closing(whole(b"\x00\x01\x02 not http at all\r\n\r\n")),
    "another protocol": closing(whole(b"SSH-2.0-OpenSSH_9.6\r\n")),
    "HTTP/2": closing(whole(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00")),
    "a head without end": closing(whole(head(200)[:-2] + b"x-long: " + b"a" * 200_000)),
    "headers without end": closing(whole(head(200)[:-2] + b"x-more: and more\r\n" * 20_000)),
    "only 100 Continue": closing(whole(head(100))),
}


@BOTH
@pytest.mark.parametrize("request_value", [GET, PUT], ids=["read", "write"])
@pytest.mark.parametrize("step", LOST.values(), ids=LOST)
def test_an_answer_that_is_none_is_lost(
    server: ScriptedServer, wire: DirectWire, step: Step, request_value: Request
) -> None:
    """The outcome is unknown, the request was sent exactly once, and its connection is used by no other."""
    server.then(step, answer(FOUND))

    with pytest.raises(AnswerLost) as lost:
        wire.send(request_value, 2.0)

    assert (Verdict.UNKNOWN, Pace.FAULT) == ((found := classify(lost.value)).verdict, found.pace)
    assert 1 == len(server.requests)
    assert "hunter2" not in str(lost.value)
    assert FOUND == wire.send(GET, 2.0).body
    assert [1, 2] == [request.connection for request in server.requests]


def test_a_caller_that_handles_an_exception_gets_another_one(server: ScriptedServer, wire: DirectWire) -> None:
    """What is wrong with the answer is told, and not what the caller was busy with."""
    server.then(LOST["no HTTP"], LOST["a negative length"], answer({}, length=10**15))

    for _ in range(3):
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            with pytest.raises(AnswerLost):
                wire.send(GET, 5.0)


def test_an_answer_may_be_cut_off_anywhere(server: ScriptedServer, wire: DirectWire) -> None:
    """After every byte of head and body but the last the answer is lost, and never an empty one."""
    for length in range(len(message(FOUND))):
        server.then(cut(WHOLE, length))
        with pytest.raises(AnswerLost):
            wire.send(GET, 5.0)

    server.then(WHOLE)
    assert FOUND == wire.send(GET, 5.0).body


def test_every_bit_of_a_body_is_checked(server: ScriptedServer, wire: DirectWire) -> None:
    """Whichever bit is turned over on the way, the answer is lost."""
    body = json.dumps(FOUND).encode()
    for place in range(len(body)):
        altered = bytearray(body)
        altered[place] ^= 1 << (place % 8)
        server.then(answer(bytes(altered), crc32=zlib.crc32(body)))
        with pytest.raises(AnswerLost, match="checksum"):
            wire.send(GET, 5.0)


# More than was asked for ------------------------------------------------------------------------------------------

SURPLUS: dict[str, Step] = {
    "a second answer": whole(message(FOUND) + SECOND),
    "a second answer, later": split(whole(message(FOUND) + SECOND), len(message(FOUND))),
    "half a second answer": whole(message(FOUND) + SECOND[:20]),
    "one byte of a second answer": whole(message(FOUND) + b"H"),
    "rubbish": whole(message(FOUND) + b"\x00\x01\x02"),
    "a body that is longer than its length": whole(message(FOUND) + b'{"Item"'),
    "a second answer after chunks": whole(chunked(FOUND).pieces[0] + SECOND),
    "a second answer after the last one": whole(message(FOUND, 200, "Connection: close") + SECOND),
}


@BOTH
@pytest.mark.parametrize("step", SURPLUS.values(), ids=SURPLUS)
def test_what_follows_an_answer_answers_nothing(server: ScriptedServer, wire: DirectWire, step: Step) -> None:
    """The answer is taken, and the connection with its rubbish is not used again."""
    server.then(step, answer({"Item": {"n": N(1)}}))

    assert FOUND == wire.send(GET, 5.0).body
    server.wait_until(lambda server: server.answered == 1)
    assert {"n": N(1)} == wire.send(GET, 5.0).body["Item"]
    assert [1, 2] == [request.connection for request in server.requests]


# Too large --------------------------------------------------------------------------------------------------------

LARGE = {"Item": {"s": S("x" * 200_000)}}


@BOTH
@pytest.mark.parametrize(
    "step",
    [answer(LARGE), chunked(LARGE, size=30_000), answer({}, length=10**15), answer(LARGE, 400)],
    ids=["whole", "chunks", "announced", "refusal"],
)
def test_a_body_over_the_cap_is_lost(server: ScriptedServer, connect: Callable[..., DirectWire], step: Step) -> None:
    """Beyond the largest answer the connection is closed; whether a write was done is unknown."""
    wire = connect(largest_answer=100_000)
    server.then(step, answer(FOUND))

    with pytest.raises(AnswerLost):
        wire.send(PUT, 5.0)

    server.wait_until(lambda server: server.open_connections == 0)
    assert FOUND == wire.send(GET, 5.0).body


@BOTH
def test_a_body_of_just_the_cap_is_taken(server: ScriptedServer, connect: Callable[..., DirectWire]) -> None:
    """The cap is the largest body that is taken."""
    body = json.dumps(LARGE).encode()
    server.then(answer(body))

    assert LARGE == connect(largest_answer=len(body)).send(GET, 5.0).body
    with pytest.raises(AnswerLost):
        connect(largest_answer=len(body) - 1).send(GET, 5.0)


@BOTH
def test_a_body_without_end_is_left_at_the_cap(server: ScriptedServer, connect: Callable[..., DirectWire]) -> None:
    """Chunks that never end are not gathered until the deadline."""
    wire = connect(largest_answer=1_000_000)
    block = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    server.then(Step((head(200, "Transfer-Encoding: chunked"), *[block] * 1000), afterwards="hang"))

    with pytest.raises(AnswerLost) as lost:
        wire.send(GET, 60.0)

    assert not isinstance(lost.value.__cause__, TimeoutError)
