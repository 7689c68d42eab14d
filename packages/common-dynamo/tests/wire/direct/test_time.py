"""How long the direct wire waits: for a connection a second, for an answer until the deadline, however it drips (W2)."""

import inspect
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest

from common.dynamo.requests import GetItem, PutItem
from common.dynamo.testing.scripted_server import (
    ScriptedServer,
    Step,
    answer,
    chunked,
    cut,
    dripping,
    head,
    message,
    silent,
    split,
    whole,
)
from common.dynamo.testing.values import S, key
from common.dynamo.wire import AnswerLost, NotSent, WireFailure
from common.dynamo.wire.direct import DirectWire

pytestmark = pytest.mark.thorough

GET = GetItem(table="t", key=key("p", "s"))
PUT = PutItem(table="t", item=key("p", "s"))
LARGE = PutItem(table="t", item={**key("p", "s"), "s": S("x" * 16_000_000)})
FOUND = {"Item": {"s": S("x" * 500)}}
SCHEDULING = 3.0
"""Seconds that a busy machine may add to any wait."""
Connect = Callable[..., DirectWire]
BOTH = pytest.mark.parametrize("scheme", ["http", "https"])


@contextmanager
def takes(seconds: float) -> Iterator[None]:
    """Assert that the block takes *seconds*, and some more on a busy machine."""
    started = time.monotonic()
    yield
    took = time.monotonic() - started
    assert seconds - 0.01 <= took < seconds + SCHEDULING


@pytest.fixture
def unreachable() -> Iterator[str]:
    """The address of a host that answers no attempt to connect."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):  # the queue is full, so what follows is dropped
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize(
    ("connect_timeout", "timeout", "seconds"), [(0.3, 30.0, 0.3), (30.0, 0.3, 0.3)], ids=["own limit", "deadline"]
)
def test_a_host_that_does_not_answer_is_given_up(
    connect: Connect, unreachable: str, connect_timeout: float, timeout: float, seconds: float
) -> None:
    """After the time for connecting or at the deadline, whichever comes first; nothing was sent."""
    wire = connect(unreachable, connect_timeout=connect_timeout)

    with takes(seconds), pytest.raises(NotSent) as failure:
        wire.send(PUT, timeout)

    assert isinstance(failure.value.__cause__, TimeoutError)


def test_a_connection_has_a_second(connect: Connect, unreachable: str) -> None:
    """So long by default, however far the deadline is."""
    with takes(1.0), pytest.raises(NotSent):
        connect(unreachable).send(PUT, 30.0)


@pytest.fixture
def babbler() -> Iterator[str]:
    """The address of a server that begins a TLS handshake and goes on byte by byte, for ever."""
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def babble() -> None:
        client, _ = listener.accept()
        with client:
            try:
                client.sendall(b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb")  # a ServerHello of 16 KB
                while not done.wait(0.02):
                    client.sendall(b"\x03")
            except OSError:
                pass

    thread = threading.Thread(target=babble)
    thread.start()
    yield f"https://127.0.0.1:{listener.getsockname()[1]}"
    done.set()
    thread.join()
    listener.close()


def test_a_handshake_that_drips_is_given_up(connect: Connect, babbler: str) -> None:
    """TLS is within the time for connecting, all of it together."""
    with takes(0.5), pytest.raises(NotSent):
        connect(babbler, connect_timeout=0.5).send(PUT, 30.0)


@pytest.mark.parametrize("timeout", [0.0, -1.0])
def test_without_time_nothing_is_sent(server: ScriptedServer, connect: Connect, timeout: float) -> None:
    """There would be none for any answer."""
    with pytest.raises(NotSent):
        connect().send(PUT, timeout)

    assert 0 == server.connections


SLOW: dict[str, Step] = {
    "silence": silent(),
    "half a head": silent(cut(answer(FOUND), 40)),
    "half a body": silent(cut(answer(FOUND), len(message(FOUND)) - 10)),
    "a head that drips": dripping(answer(FOUND), 0.02),
    "a body that drips": Step((head(200, "Content-Length: 500"), *[b"x"] * 500), pause=0.02),
    "chunks that drip": dripping(chunked(FOUND), 0.02),
    "headers that never end": Step((head(200)[:-2], *[b"x-more: more\r\n"] * 500), pause=0.02),
    "100 Continue again and again": Step((head(100),) * 500, pause=0.02),
    "a length that is too long": answer(FOUND, length=5000),
    "no length and no end": whole(head(200) + b"{}"),
}


@BOTH
@pytest.mark.parametrize("step", SLOW.values(), ids=SLOW)
def test_an_answer_has_until_the_deadline(server: ScriptedServer, connect: Connect, step: Step) -> None:
    """Each wait counts against the same deadline, so that a server that goes on by bytes does not outlast it."""
    wire = connect()
    wire.send(GET, 5.0)
    server.then(step, answer(FOUND))

    with takes(0.5), pytest.raises(AnswerLost) as lost:
        wire.send(PUT, 0.5)

    assert isinstance(lost.value.__cause__, TimeoutError)
    assert FOUND == wire.send(GET, 5.0).body
    assert [1, 1, 2] == [request.connection for request in server.requests]


def test_a_slow_answer_is_waited_for(server: ScriptedServer, connect: Connect) -> None:
    """Pauses that add up to less than the deadline hurt nobody."""
    server.then(replace(split(answer(FOUND), *range(50, 500, 50)), pause=0.05))

    assert FOUND == connect().send(GET, 30.0).body


@BOTH
def test_a_server_that_does_not_read_is_left_at_the_deadline(server: ScriptedServer, connect: Connect) -> None:
    """A part of the request has left, so its outcome is unknown."""
    server.then(Step(reads=1, afterwards="hang"), answer({}))
    wire = connect()

    with takes(0.5), pytest.raises(AnswerLost) as lost:
        wire.send(LARGE, 0.5)

    assert isinstance(lost.value.__cause__, TimeoutError)
    assert 200 == wire.send(PUT, 5.0).status


def test_a_deadline_holds_for_each_thread_by_itself(server: ScriptedServer, connect: Connect) -> None:
    """One with little time does not wait for one with much."""
    server.then(silent())
    wire = connect()
    ends: dict[float, float] = {}

    def work(timeout: float) -> None:
        started = time.monotonic()
        with pytest.raises(WireFailure):
            wire.send(GET, timeout)
        ends[timeout] = time.monotonic() - started

    threads = [threading.Thread(target=work, args=(timeout,)) for timeout in (0.2, 0.4, 0.6, 0.8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == [limit for limit, took in ends.items() if not limit - 0.01 <= took < limit + SCHEDULING]


def test_the_default_bounds_are_those_of_the_guide() -> None:
    """A second for a connection, 20 of idleness, 64 MiB of an answer."""
    defaults = {name: each.default for name, each in inspect.signature(DirectWire).parameters.items()}

    assert {"connect_timeout": 1.0, "idle": 20.0, "largest_answer": 64 * 1024 * 1024}.items() <= defaults.items()
