"""Connections that are kept, shared, left to a parent, and given up: never one answer for another's request (W3, W13)."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from common.dynamo.requests import GetItem, PutItem
from common.dynamo.testing.scripted_server import (
    ScriptedServer,
    SeenRequest,
    Step,
    answer,
    closing,
    cut,
    refusal,
    resetting,
    silent,
)
from common.dynamo.testing.values import S, key
from common.dynamo.wire import Answer, AnswerLost, NotSent, WireFailure
from common.dynamo.wire.direct import DirectWire

pytestmark = pytest.mark.thorough

GET = GetItem(table="t", key=key("p", "s"))
PUT = PutItem(table="t", item=key("p", "s"))
LARGE = PutItem(table="t", item={**key("p", "s"), "s": S("x" * 16_000_000)})
EMPTY = answer({})
Connect = Callable[..., DirectWire]
BOTH = pytest.mark.parametrize("scheme", ["http", "https"])


def echo(request: SeenRequest) -> Step:
    """Answer with the key that was asked for."""
    return answer({"Item": request.parameters["Key"]})


def ask(wire: DirectWire, name: str, timeout: float = 10.0) -> bool:
    """Ask for the item *name*; tell whether its own answer came."""
    wanted = key(name, "s")
    return bool(wanted == wire.send(GetItem(table="t", key=wanted), timeout).body["Item"])


class Clock:
    """A clock that somebody sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


# Keeping ----------------------------------------------------------------------------------------------------------


@BOTH
def test_a_connection_serves_one_request_after_the_other(server: ScriptedServer, wire: DirectWire) -> None:
    """Refusals of the engine do not end it."""
    server.then(EMPTY, refusal("ThrottlingException"), refusal("InternalServerError", 500), EMPTY)

    assert [200, 400, 500, 200] == [wire.send(PUT, 5.0).status for _ in range(4)]
    assert 1 == server.connections


@BOTH
def test_a_large_request_goes_out_whole(server: ScriptedServer, wire: DirectWire) -> None:
    """Sixteen megabytes do not fit into the buffers on the way, neither on a new connection nor on a kept one."""
    server.then(lambda request: answer({"length": len(request.body)}))

    lengths = {wire.send(LARGE, 20.0).body["length"] for _ in range(2)}

    assert {len(server.requests[0].body)} == lengths
    assert 1 == server.connections


ENDS: dict[str, Step] = {
    "closed": closing(EMPTY),
    "closed later": closing(EMPTY, delay=0.1),
    "reset": resetting(EMPTY),
}


@BOTH
@pytest.mark.parametrize("step", ENDS.values(), ids=ENDS)
def test_a_connection_that_ended_while_it_waited_costs_nothing(
    server: ScriptedServer, wire: DirectWire, step: Step
) -> None:
    """Another one is opened at once, and the server sees the request exactly once."""
    server.then(step, EMPTY)
    wire.send(GET, 5.0)
    server.wait_until(lambda server: server.open_connections == 0)

    assert 200 == wire.send(PUT, 5.0).status
    assert [("GetItem", 1), ("PutItem", 2)] == [(each.operation, each.connection) for each in server.requests]


def test_nothing_was_sent_where_the_server_is_gone(connect: Connect) -> None:
    """The kept connection is dead and no other is to be had: certainly not applied."""
    with ScriptedServer() as server:
        wire = connect(server.url)
        wire.send(GET, 5.0)

    with pytest.raises(NotSent) as failure:
        wire.send(PUT, 5.0)

    assert isinstance(failure.value.__cause__, ConnectionRefusedError)
    assert 1 == len(server.requests)


def test_all_connections_of_a_server_that_started_anew_are_dropped(server: ScriptedServer, connect: Connect) -> None:
    """None of the others is tried first, and no request is lost."""
    server.then(replace(EMPTY, pause=0.0, delay=0.0))
    wire = connect()
    _hold(server, wire, 4)
    server.drop_connections()
    server.then(EMPTY)

    assert [200] * 4 == [wire.send(PUT, 5.0).status for _ in range(4)]
    assert 5 == server.connections


@pytest.mark.parametrize(("seconds", "connections"), [(19.5, 1), (20.5, 2)])
def test_a_connection_that_waited_long_is_not_trusted(
    server: ScriptedServer, connect: Connect, seconds: float, connections: int
) -> None:
    """After 20 s something in between may have forgotten it without a word."""
    timer = Clock()
    wire = connect(timer=timer)
    wire.send(GET, 5.0)

    timer.now += seconds
    wire.send(GET, 5.0)

    assert connections == server.connections
    server.wait_until(lambda server: server.open_connections == 1)


def test_connections_that_nobody_needs_any_more_are_closed(server: ScriptedServer, connect: Connect) -> None:
    """The one used last is used next, so that the others grow old, and go."""
    timer = Clock()
    wire = connect(timer=timer)
    _hold(server, wire, 4)
    server.then(EMPTY)
    assert 4 == server.open_connections

    for _ in range(30):
        timer.now += 1.0
        wire.send(GET, 5.0)

    server.wait_until(lambda server: server.open_connections == 1)
    assert 4 == server.connections


def _hold(server: ScriptedServer, wire: DirectWire, count: int) -> None:
    """Have *count* connections open, by as many requests at once."""
    everybody = threading.Barrier(count)

    def together(_: SeenRequest) -> Step:
        everybody.wait(10)
        return EMPTY

    server.then(together)
    threads = [threading.Thread(target=wire.send, args=(GET, 10.0)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# What has left ----------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("kept", [True, False], ids=["kept", "new"])
@pytest.mark.parametrize(
    ("request_value", "reads"),
    [(PUT, 1), (PUT, 100), (PUT, None), (LARGE, 1), (LARGE, 1_000_000)],
    ids=["one byte", "some bytes", "all", "one byte of many", "many of many"],
)
def test_whatever_has_left_is_never_sent_again(
    server: ScriptedServer, wire: DirectWire, kept: bool, request_value: PutItem, reads: int | None
) -> None:
    """With any byte of a request sent its outcome is unknown, on a new connection as on a kept one."""
    if kept:
        wire.send(GET, 5.0)
    server.then(resetting(reads=reads), EMPTY)

    with pytest.raises(AnswerLost) as lost:
        wire.send(request_value, 10.0)

    assert isinstance(lost.value.__cause__, OSError)
    assert (1, 1 + kept) == (server.connections, len(server.requests))
    assert 200 == wire.send(GET, 5.0).status
    assert 2 == server.connections


# Threads ----------------------------------------------------------------------------------------------------------


@BOTH
def test_threads_share_a_bounded_pool(server: ScriptedServer, connect: Connect) -> None:
    """Sixteen threads over four connections: each gets its own answers, and there is no fifth connection."""
    server.then(echo)
    wire = connect(connections=4)
    answers: list[bool] = []

    def work(name: str) -> None:
        answers.extend([ask(wire, f"{name}-{number}") for number in range(50)])

    threads = [threading.Thread(target=work, args=(f"thread-{number}",)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [True] * 800 == answers
    assert 4 >= server.connections


def test_threads_share_a_pool_that_breaks(server: ScriptedServer, connect: Connect) -> None:
    """Where a third of the connections break, in every way, nobody gets another's answer and none of them is lost."""
    turns = iter(range(10**9))
    lock = threading.Lock()

    def broken(request: SeenRequest) -> Step:
        with lock:
            turn = next(turns)
        sound = echo(request)
        ways = [closing(), resetting(), cut(sound, 30), closing(sound), resetting(sound), answer(b"{")]
        return ways[turn // 3 % 6] if turn % 3 == 0 else sound

    server.then(broken)
    wire = connect(connections=4)
    outcomes: list[bool | WireFailure] = []

    def work(name: str) -> None:
        for number in range(40):
            try:
                outcomes.append(ask(wire, f"{name}-{number}"))
            except WireFailure as failure:
                outcomes.append(failure)

    threads = [threading.Thread(target=work, args=(f"thread-{number}",)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 640 == len(outcomes)
    assert [] == [each for each in outcomes if each is False or isinstance(each, NotSent)]
    server.wait_until(lambda server: server.open_connections <= 4)
    server.then(echo)
    assert all(ask(wire, str(number)) for number in range(8))


def test_a_full_pool_is_waited_for(server: ScriptedServer, connect: Connect) -> None:
    """A thread that finds all connections in use gets the next one that is free."""
    server.then(replace(EMPTY, pieces=(b"", *EMPTY.pieces), pause=0.3), EMPTY)
    wire = connect(connections=1)
    first = threading.Thread(target=wire.send, args=(GET, 5.0))
    first.start()
    server.wait_until(lambda server: len(server.requests) == 1)

    assert 200 == wire.send(PUT, 5.0).status
    first.join()
    assert 1 == server.connections


def test_a_full_pool_is_waited_for_until_the_deadline(server: ScriptedServer, connect: Connect) -> None:
    """Nothing was sent; and once a connection is free again the pool works on."""
    server.then(silent(), EMPTY)
    wire = connect(connections=1)
    outcomes: list[Answer | WireFailure] = []

    def hang() -> None:
        try:
            outcomes.append(wire.send(GET, 1.0))
        except WireFailure as failure:
            outcomes.append(failure)

    first = threading.Thread(target=hang)
    first.start()
    server.wait_until(lambda server: len(server.requests) == 1)

    with pytest.raises(NotSent, match="in use"):
        wire.send(PUT, 0.2)
    first.join()

    assert 1 == len(server.requests)
    assert [AnswerLost] == [type(outcome) for outcome in outcomes]
    assert 200 == wire.send(PUT, 5.0).status


@pytest.mark.parametrize("step", [closing(), resetting(), cut(EMPTY, 20), answer(b"{"), resetting(reads=1)])
def test_no_failure_takes_a_place_of_the_pool(server: ScriptedServer, connect: Connect, step: Step) -> None:
    """Ten times as many failures as there are places leave all of them."""
    server.then(step)
    wire = connect(connections=2)
    for _ in range(20):
        with pytest.raises(AnswerLost):
            wire.send(GET, 5.0)

    _hold(server, wire, 2)

    server.wait_until(lambda server: server.open_connections == 2)


def test_no_refused_connection_takes_a_place_of_the_pool(connect: Connect) -> None:
    """A server that is away for a while is found again."""
    with ScriptedServer() as server:
        url = server.url
    wire = connect(url, connections=1)

    for _ in range(5):
        with pytest.raises(NotSent) as failure:
            wire.send(GET, 0.5)
        assert isinstance(failure.value.__cause__, ConnectionRefusedError)


def test_a_closed_wire_holds_no_connection(server: ScriptedServer, connect: Connect) -> None:
    """The sockets are released."""
    wire = connect()
    _hold(server, wire, 3)

    wire.close()

    server.wait_until(lambda server: server.open_connections == 0)


def test_a_connection_that_comes_back_to_a_closed_wire_is_closed(server: ScriptedServer, connect: Connect) -> None:
    """A thread that is still busy ends its call, and leaves nothing behind."""
    server.then(replace(EMPTY, pieces=(b"", *EMPTY.pieces), pause=0.3))
    wire = connect()
    outcomes: list[int] = []
    busy = threading.Thread(target=lambda: outcomes.append(wire.send(GET, 5.0).status))
    busy.start()
    server.wait_until(lambda server: len(server.requests) == 1)

    wire.close()
    busy.join()

    assert [200] == outcomes
    server.wait_until(lambda server: server.open_connections == 0)


# Forks ------------------------------------------------------------------------------------------------------------


def _in_child(check: Callable[[], bool]) -> bool:
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if check() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@BOTH
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_shares_no_connection(server: ScriptedServer, connect: Connect) -> None:
    """Parent and child go on, each on connections of its own; the parent's is not even touched."""
    server.then(echo)
    wire = connect()
    assert ask(wire, "before")

    assert _in_child(lambda: all(ask(wire, f"child-{number}") for number in range(20)))
    assert all(ask(wire, f"parent-{number}") for number in range(20))

    by_connection: dict[int, set[str]] = {}
    for request in server.requests:
        by_connection.setdefault(request.connection, set()).add(request.parameters["Key"]["pk"]["S"].partition("-")[0])
    assert {1: {"before", "parent"}, 2: {"child"}} == by_connection


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_parent_and_child_send_at_once(server: ScriptedServer, connect: Connect) -> None:
    """Nobody gets an answer that belongs to the other."""
    server.then(echo)
    wire = connect()
    assert ask(wire, "before")
    child = os.fork()
    if child == 0:
        os._exit(0 if all(ask(wire, f"child-{number}") for number in range(200)) else 1)

    assert all(ask(wire, f"parent-{number}") for number in range(200))
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_has_a_whole_pool(server: ScriptedServer, connect: Connect) -> None:
    """Connections that the parent was using while it forked are not missing in the child."""
    server.then(silent(), echo)
    wire = connect(connections=1)

    def hang() -> None:
        with pytest.raises(AnswerLost):
            wire.send(GET, 2.0)

    busy = threading.Thread(target=hang)
    busy.start()
    server.wait_until(lambda server: len(server.requests) == 1)

    assert _in_child(lambda: ask(wire, "child", 1.0))
    busy.join()
    assert ask(wire, "parent")


# Cancelled calls --------------------------------------------------------------------------------------------------

CANCELLED = '''
import random, signal, sys
from common.dynamo.requests import GetItem
from common.dynamo.testing.values import key
from common.dynamo.wire.direct import DirectWire
from common.dynamo.wire.direct.credentials import StaticCredentials
from common.dynamo.wire.direct.endpoint import Endpoint

class Cancelled(BaseException):
    """Raised by a signal, wherever the call is; as KeyboardInterrupt, and what task queues raise after a time limit."""

def cancel(number, frame):
    raise Cancelled

seed, url = int(sys.argv[1]), sys.argv[2]
chance = random.Random(seed)
wire = DirectWire(Endpoint.parse(url), "eu-central-1", StaticCredentials("a", "b"), connections=1)
cancelled = whole = 0
limit = 2e-3
signal.signal(signal.SIGALRM, cancel)
while cancelled < 1000 or whole < 100:
    wanted = key(f"item-{cancelled}-{whole}", "s")
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-5, limit))
            found = wire.send(GetItem(table="t", key=wanted), 5.0).body["Item"]
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        assert wanted == found, (wanted, found)
        whole += 1
        limit *= 0.99
    except Cancelled:
        cancelled += 1
        limit *= 1.01  # so that about as many are cancelled as are not, however busy the machine is
for number in range(3):
    wanted = key(f"after-{number}", "s")
    assert wanted == wire.send(GetItem(table="t", key=wanted), 5.0).body["Item"]
wire.close()
'''


def test_a_cancelled_call_leaves_nothing_of_its_answer(server: ScriptedServer) -> None:
    """A thousand calls that are broken off at any moment: each later call gets its own answer, and no place is lost."""

    def slow(request: SeenRequest) -> Step:
        (content,) = echo(request).pieces
        return Step((content[:50], content[50:]), pause=0.0005)

    server.then(slow)
    command = [sys.executable, "-W", "ignore::ResourceWarning", "-c", CANCELLED, "4711", server.url]
    # Without measuring coverage, whose own code would be broken off too.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)

    assert ("", 0) == (done.stderr, done.returncode)
