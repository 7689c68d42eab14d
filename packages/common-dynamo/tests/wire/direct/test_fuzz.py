"""Whatever comes back, the outcome is one of three, it comes before the deadline, and it is never another item (W11)."""

import itertools
import json
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.dynamo.requests import GetItem
from common.dynamo.testing.scripted_server import (
    ScriptedServer,
    SeenRequest,
    Step,
    answer,
    chunked,
    closing,
    message,
    refusal,
    split,
    whole,
)
from common.dynamo.testing.values import N, S, key
from common.dynamo.wire import Answer, AnswerLost, NotSent, WireFailure
from common.dynamo.wire.direct import DirectWire
from common.dynamo.wire.direct.credentials import StaticCredentials
from common.dynamo.wire.direct.endpoint import Endpoint
from common.dynamo.wire.retry import classify

pytestmark = pytest.mark.thorough

GET = GetItem(table="t", key=key("p", "s"))
ITEM = {"n": N("12345678901234567890"), "s": S("é"), "b": {"B": "AP8="}, "l": {"L": [{"M": {"x": N(1)}}]}}
DECODED = {**ITEM, "b": {"B": b"\x00\xff"}}
BODY = {"Item": ITEM, "ConsumedCapacity": {"TableName": "t", "CapacityUnits": 0.5}}
SOUND = message(BODY, 200, "Date: Tue, 24 Nov 2026 15:00:00 GMT", "Server: Server", "Connection: keep-alive")
REFUSED = b"".join(refusal("ConditionalCheckFailedException", Item=ITEM).pieces)
CHUNKED = b"".join(chunked(BODY).pieces)
TIMEOUT = 0.1
SCHEDULING = 3.0

Wires = Callable[[], tuple[ScriptedServer, DirectWire]]


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[ScriptedServer, DirectWire]]:
    """One server and one wire for all examples, so that what one leaves behind would hurt the next."""
    with ScriptedServer() as server:
        wire = DirectWire(
            Endpoint.parse(server.url), "eu-central-1", StaticCredentials("a", "b"), largest_answer=1_000_000
        )
        yield server, wire
        wire.close()


PIECES = st.one_of(
    st.binary(min_size=1, max_size=12),
    st.sampled_from(
        [
            b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b":", b"0", b"\x00", b"\xff", b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n", b"Content-Length: 3\r\n", b"Content-Length: 99999999999999999999\r\n",
            b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
            b"0\r\n\r\n", b"ffffffffffffffff\r\n", b'{"Item": {}}', b"{", b"}", b'"', b"null", b"\xc3",
        ]
    ),
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, original: bytes) -> bytes:
    """Return *original* with some stretches replaced, doubled, left out, or more put between."""
    content = original
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = draw(st.sampled_from([start, start + 1, start + draw(st.integers(0, 40))]))
        middle = draw(st.one_of(st.just(b""), PIECES, st.just(content[start:end] * 2)))
        content = content[:start] + middle + content[end:]
    return content


def segments(content: bytes) -> st.SearchStrategy[Step]:
    """Return the ways to send *content* in segments, and what comes afterwards."""
    places = st.lists(st.integers(0, max(0, len(content))), max_size=5)
    ends = st.sampled_from([whole, *[lambda content: closing(whole(content))] * 4])
    return st.builds(lambda end, at: split(end(content), *at), ends, places)


def outcome(wire: DirectWire) -> Answer | WireFailure:
    """Return what one attempt brings; anything but the three fails the test, and so does a late end."""
    started = time.monotonic()
    try:
        return wire.send(GET, TIMEOUT)
    except (NotSent, AnswerLost) as failure:
        return failure
    finally:
        assert time.monotonic() - started < TIMEOUT + SCHEDULING


numbers = itertools.count()


def still_right(server: ScriptedServer, wire: DirectWire, *, closes: bool = False) -> bool:
    """Tell whether the next request gets its own answer, and no leftover of the one before."""

    def own(request: SeenRequest) -> Step:
        return answer({"Item": request.parameters["Key"]})

    if closes:
        server.wait_until(lambda server: server.open_connections == 0)
    wanted = key(f"item-{next(numbers)}", "s")
    server.then(own)
    return bool({"Item": wanted} == wire.send(GetItem(table="t", key=wanted), 10.0).body)


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_any_answer_has_one_of_three_outcomes(pair: tuple[ScriptedServer, DirectWire], data: st.DataObject) -> None:
    """Mutated anywhere and split anywhere: an answer, or a failure of the wire, in time; and it can be classed."""
    server, wire = pair
    content = data.draw(st.sampled_from([SOUND, REFUSED, CHUNKED]).flatmap(mutated))
    server.then(data.draw(segments(content)))

    found = outcome(wire)

    assert not isinstance(found, NotSent)
    classify(found)


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_an_altered_body_is_never_another_item(pair: tuple[ScriptedServer, DirectWire], data: st.DataObject) -> None:
    """With the checksum in its head, a body with any alterations is the original, or lost."""
    server, wire = pair
    end = SOUND.index(b"\r\n\r\n") + 4
    content = SOUND[:end] + data.draw(mutated(SOUND[end:]))
    step = data.draw(segments(content))
    server.then(step)

    found = outcome(wire)

    assert isinstance(found, AnswerLost) or (found.status, found.body["Item"]) == (200, DECODED)
    assert still_right(server, wire, closes=step.afterwards == "close")


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_an_altered_head_is_never_another_item(pair: tuple[ScriptedServer, DirectWire], data: st.DataObject) -> None:
    """Whatever the head says, the item is the original, or there is none; a refusal needs a body that is one."""
    server, wire = pair
    end = SOUND.index(b"\r\n\r\n") + 4
    content = data.draw(mutated(SOUND[:end])) + SOUND[end:]
    server.then(data.draw(segments(content)))

    found = outcome(wire)

    if isinstance(found, Answer):
        assert (200, {}) == (found.status, found.body) or DECODED == found.body["Item"]
    else:
        assert isinstance(found, AnswerLost)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_sound_answer_is_sound_in_any_segments(pair: tuple[ScriptedServer, DirectWire], data: st.DataObject) -> None:
    """However it is cut into segments, nothing is missing and nothing is left."""
    server, wire = pair
    content = data.draw(st.sampled_from([SOUND, CHUNKED]))
    places = data.draw(st.lists(st.integers(1, len(content)), max_size=30))
    server.then(split(whole(content), *places))

    assert DECODED == wire.send(GET, 10.0).body["Item"]
    assert still_right(server, wire)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["__type", "message", "Item", "CancellationReasons", "B", "BS", "S", "x"]), inner
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(status=st.sampled_from([200, 400, 413, 429, 500, 503]), body=JSON_VALUES, crc32=st.booleans())
def test_any_json_has_one_of_three_outcomes(
    pair: tuple[ScriptedServer, DirectWire], status: int, body: object, crc32: bool
) -> None:
    """Objects of another shape, names that are lists, reasons that are numbers: typed, and classed."""
    server, wire = pair
    server.then(answer(json.dumps(body).encode(), status, crc32=crc32))

    found = outcome(wire)

    classify(found)
    assert still_right(server, wire)
