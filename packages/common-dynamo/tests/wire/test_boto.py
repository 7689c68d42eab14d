"""The boto wire: one attempt, bounded by its deadline, through any client; and what each outcome means."""

import functools
import os
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from common.dynamo.requests import GetItem, ListTables, PutItem, Request, TransactWriteItems
from common.dynamo.testing import Dynoxide
from common.dynamo.testing.values import N, S, key
from common.dynamo.wire import Answer, AnswerLost, NotSent
from common.dynamo.wire.boto import BotoWire
from common.exceptions import ConfigurationError

GET = GetItem(table="t", key=key("p", "s"))
PUT = PutItem(table="t", item={**key("p", "s"), "secret": S("hunter2")})
Behaviour = Callable[[socket.socket], None]


def answer(status: int, body: str, *, length: int | None = None, headers: str = "") -> Behaviour:
    """Return a behaviour that answers with *body*, of which it announces *length* bytes."""

    def behave(connection: socket.socket) -> None:
        announced = len(body.encode()) if length is None else length
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {announced}\r\n"
        connection.sendall(f"{head}x-amzn-RequestId: r-1\r\n{headers}\r\n{body}".encode())

    return behave


def hang(connection: socket.socket) -> None:
    connection.recv(1)


def close(connection: socket.socket) -> None:
    pass


class ScriptedServer:
    """A server on a loopback port that treats each request as the script says, the last entry for ever."""

    def __init__(self) -> None:
        self.script: list[Behaviour] = [answer(200, "{}")]
        self.requests: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with connection:
            try:
                self.requests.append(read_request(connection))
                behave = self.script.pop(0) if len(self.script) > 1 else self.script[0]
                behave(connection)
            except OSError:
                return

    def stop(self) -> None:
        self._socket.close()
        for connection in self._connections:
            connection.close()


def read_request(connection: socket.socket) -> bytes:
    content = b""
    while b"\r\n\r\n" not in content:
        content += connection.recv(65536)
    head, _, body = content.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    while len(body) < int(lengths[0]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A fresh scripted server."""
    server = ScriptedServer()
    yield server
    server.stop()


@functools.cache
def session() -> boto3.Session:
    return boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-central-1")


@pytest.fixture
def wire(server: ScriptedServer) -> Iterator[BotoWire]:
    """A wire that we built, to the scripted server."""
    wire = BotoWire.build(session=session(), endpoint_url=server.url)
    yield wire
    wire.close()


# Answers --------------------------------------------------------------------------------------------------------------


def test_an_answer_keeps_its_shape(server: ScriptedServer, wire: BotoWire) -> None:
    """Attribute values stay as they are, binary as bytes; nothing of botocore's metadata is in the body."""
    server.script = [
        answer(200, '{"Item": {"b": {"B": "AP8="}, "n": {"N": "1.5"}}, "ConsumedCapacity": {"CapacityUnits": 0.5}}')
    ]

    found = wire.send(GET, 2.0)

    assert {"Item": {"b": {"B": b"\x00\xff"}, "n": N("1.5")}, "ConsumedCapacity": {"CapacityUnits": 0.5}} == found.body
    assert (200, "r-1", 0) == (found.status, found.request_id, found.retry_attempts)
    assert "application/x-amz-json-1.0" == found.headers["content-type"]


CANCELLED = """{"__type": "x#TransactionCanceledException", "Message": "no", "CancellationReasons":
    [{"Code": "None"}, {"Code": "ConditionalCheckFailed", "Message": "m", "Item": {"n": {"N": "1"}}}]}"""
REFUSALS: list[tuple[int, str, dict[str, Any]]] = [
    (
        400,
        '{"__type": "com.amazonaws.dynamodb.v20120810#ValidationException", "message": "no"}',
        {"__type": "ValidationException", "message": "no"},
    ),
    (
        400,
        '{"__type": "com.amazon.coral.service#AccessDeniedException", "Message": "no"}',
        {"__type": "AccessDeniedException", "message": "no"},
    ),
    (
        400,
        '{"__type": "x#ConditionalCheckFailedException", "message": "no", "Item": {"n": {"N": "1"}}}',
        {"__type": "ConditionalCheckFailedException", "message": "no", "Item": {"n": N(1)}},
    ),
    (
        400,
        CANCELLED,
        {
            "__type": "TransactionCanceledException",
            "message": "no",
            "CancellationReasons": [
                {"Code": "None"},
                {"Code": "ConditionalCheckFailed", "Message": "m", "Item": {"n": N(1)}},
            ],
        },
    ),
    (500, '{"__type": "x#InternalServerError", "message": "oh"}', {"__type": "InternalServerError", "message": "oh"}),
    (503, "", {"__type": "503", "message": "Service Unavailable"}),
]


@pytest.mark.parametrize(("status", "body", "expected"), REFUSALS, ids=[str(row[2]["__type"]) for row in REFUSALS])
def test_a_refusal_is_an_answer_with_a_bare_code(
    server: ScriptedServer, wire: BotoWire, status: int, body: str, expected: dict[str, Any]
) -> None:
    """The namespace is gone, the stored item and the reasons of a cancellation are there."""
    server.script = [answer(status, body)]

    found = wire.send(TransactWriteItems(parts=(PUT,)), 2.0)

    assert status == found.status
    assert expected["__type"] == found.body["__type"]
    if body:
        assert expected == found.body


# Failures -------------------------------------------------------------------------------------------------------------

LOST: list[tuple[str, Behaviour]] = [
    ("closed without an answer", close),
    ("cut off", answer(200, '{"Item": {', length=5000)),
    ("cut off where it could end", answer(200, "{}", length=5000)),
    ("altered on its way", answer(200, "{}", headers="x-amz-crc32: 1\r\n")),
    ("empty", answer(200, "")),
    ("a refusal that is cut off", answer(400, '{"__type": "x#Valid', length=5000)),
    ("not JSON", answer(200, "<html>hello</html>")),
    ("garbage", lambda connection: connection.sendall(b"\x00\x01\x02 not http at all\r\n\r\n")),
    ("half a status line", lambda connection: connection.sendall(b"HTTP/1.1 2")),
]


@pytest.mark.parametrize("behave", [row[1] for row in LOST], ids=[row[0] for row in LOST])
@pytest.mark.parametrize("request_value", [GET, PUT], ids=["read", "write"])
def test_an_answer_that_does_not_come_whole_is_lost(
    server: ScriptedServer, wire: BotoWire, behave: Behaviour, request_value: Request
) -> None:
    """The request was sent, so it may have been applied; it was sent exactly once."""
    server.script = [behave]

    with pytest.raises(AnswerLost) as lost:
        wire.send(request_value, 2.0)

    assert 1 == len(server.requests)
    assert "hunter2" not in str(lost.value)


def test_an_answer_may_be_cut_off_anywhere(server: ScriptedServer, wire: BotoWire) -> None:
    """After every byte of head and body but the last, the answer is lost, and never an empty one."""
    body = '{"Item": {"n": {"N": "1"}}}'
    whole = f"HTTP/1.1 200 OK\r\nx-amz-crc32: {zlib.crc32(body.encode())}\r\ncontent-length: {len(body)}\r\n\r\n{body}"

    for length in range(len(whole)):
        part = whole[:length].encode()
        server.script = [lambda connection, part=part: connection.sendall(part)]
        with pytest.raises(AnswerLost):
            wire.send(GET, 5.0)
    server.script = [lambda connection: connection.sendall(whole.encode())]
    assert {"n": N(1)} == wire.send(GET, 5.0).body["Item"]


def test_a_refused_connection_is_not_sent() -> None:
    """Nothing listens there, so nothing was applied."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    wire = BotoWire.build(session=session(), endpoint_url=f"http://127.0.0.1:{port}")

    with pytest.raises(NotSent, match="EndpointConnectionError"):
        wire.send(PUT, 2.0)
    wire.close()


def test_a_server_without_our_trust_is_not_sent(server: ScriptedServer) -> None:
    """What answers HTTPS with something else gets no request."""
    server.script = [close]
    wire = BotoWire.build(session=session(), endpoint_url=server.url.replace("http:", "https:"))

    with pytest.raises((NotSent, AnswerLost)):
        wire.send(PUT, 2.0)
    assert not any(b"hunter2" in request for request in server.requests)
    wire.close()


@pytest.mark.parametrize("timeout", [0.2, 0.5])
def test_a_hanging_server_is_left_at_the_deadline(server: ScriptedServer, wire: BotoWire, timeout: float) -> None:
    """The wait of one call is bounded by its own deadline, whatever the client was built with."""
    server.script = [hang]
    started = time.monotonic()

    with pytest.raises(AnswerLost):
        wire.send(PUT, timeout)

    assert timeout <= time.monotonic() - started
    assert 1 == len(server.requests)


def test_a_deadline_that_has_passed_sends_nothing(server: ScriptedServer, wire: BotoWire) -> None:
    """There is no time for any answer."""
    with pytest.raises(NotSent):
        wire.send(PUT, 0.0)

    assert [] == server.requests


def test_one_attempt_is_made(server: ScriptedServer, wire: BotoWire) -> None:
    """A client that we build never repeats by itself, not even a throttled read."""
    server.script = [answer(400, '{"__type": "x#ThrottlingException", "message": "slow"}')]

    assert 400 == wire.send(GET, 2.0).status
    assert 1 == len(server.requests)


# Clients of others ----------------------------------------------------------------------------------------------------


def test_a_client_that_repeats_says_how_often(server: ScriptedServer) -> None:
    """What such a client did before the answer is passed on, since a write may have been done twice."""
    server.script = [close, answer(500, '{"__type": "x#InternalServerError"}'), answer(200, "{}")]
    client = session().client("dynamodb", endpoint_url=server.url, config=Config(retries={"total_max_attempts": 5}))
    wire = BotoWire(client)

    found = wire.send(PUT, 5.0)

    assert (200, 2) == (found.status, found.retry_attempts)
    wire.close()


def test_a_client_that_repeats_is_stopped_at_the_deadline(server: ScriptedServer) -> None:
    """Its own 60 seconds and ten attempts do not count."""
    server.script = [hang]
    client = session().client("dynamodb", endpoint_url=server.url)
    wire = BotoWire(client)
    started = time.monotonic()

    with pytest.raises(AnswerLost):
        wire.send(PUT, 0.3)

    assert 0.3 <= time.monotonic() - started
    assert 1 == len(server.requests)
    wire.close()


def test_a_stubbed_client_works() -> None:
    """A stubber of botocore stands for the engine in a service's own tests."""
    client = session().client("dynamodb")
    wire = BotoWire(client)
    with Stubber(client) as stubber:
        stubber.add_response("get_item", {"Item": {"n": {"N": "1"}}})
        stubber.add_client_error("get_item", "ThrottlingException", "slow", 400)

        assert {"n": N(1)} == wire.send(GET, 2.0).body["Item"]
        assert "ThrottlingException" == wire.send(GET, 2.0).body["__type"]


def test_handlers_of_the_client_are_called(server: ScriptedServer) -> None:
    """Proxies, tracers and signers that hang on the client's events keep working."""
    client = session().client("dynamodb", endpoint_url=server.url)
    seen: list[str] = []
    client.meta.events.register("before-call.dynamodb", lambda **event: seen.append(event["model"].name))
    wire = BotoWire(client)

    wire.send(GET, 2.0)

    assert ["GetItem"] == seen
    wire.close()


def test_an_error_of_a_foreign_handler_is_not_hidden(server: ScriptedServer) -> None:
    """It is its owner's bug, and no outcome of the engine."""
    client = session().client("dynamodb", endpoint_url=server.url)

    def fail(**_: Any) -> None:
        raise ZeroDivisionError

    client.meta.events.register("before-call.dynamodb", fail)
    wire = BotoWire(client)

    with pytest.raises(ZeroDivisionError):
        wire.send(GET, 2.0)
    wire.close()


def test_a_closed_wire_leaves_its_client_as_it_was(server: ScriptedServer) -> None:
    """The client's owner goes on with it, without our handler."""
    client = session().client("dynamodb", endpoint_url=server.url)
    wire = BotoWire(client)
    wire.send(GET, 2.0)
    wire.close()

    assert {} == {
        name: value
        for name, value in client.get_item(TableName="t", Key=key("p", "s")).items()
        if name != "ResponseMetadata"
    }
    client.close()


# Configuration --------------------------------------------------------------------------------------------------------


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials, no region, and nowhere to look for them."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.mark.usefixtures("bare_environment")
def test_a_missing_region_is_named_at_once() -> None:
    """Building the client tells what to set."""
    with pytest.raises(ConfigurationError, match=r"Give region=.*AWS_REGION"):
        BotoWire.build()


@pytest.mark.usefixtures("bare_environment")
def test_missing_credentials_are_no_outage(server: ScriptedServer) -> None:
    """It is the operator's error, not to be retried."""
    wire = BotoWire.build(endpoint_url=server.url, region="eu-central-1")

    with pytest.raises(ConfigurationError, match="credentials"):
        wire.send(GET, 2.0)
    assert [] == server.requests
    wire.close()


def test_parameters_that_a_client_refuses_are_a_validation_error(server: ScriptedServer) -> None:
    """Nothing is sent, and the message does not repeat the value."""
    client = session().client("dynamodb", endpoint_url=server.url)
    wire = BotoWire(client)

    found = wire.send(PutItem(table="t", item={"pk": {"S": 4711}}), 2.0)

    assert (400, "ValidationException") == (found.status, found.body["__type"])
    assert "4711" not in found.body["message"]
    assert [] == server.requests
    wire.close()


def test_a_client_that_we_build_says_who_it_is(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its user agent has the names of boto3, botocore and ours, and the application id that the operator has set."""
    monkeypatch.setenv("AWS_SDK_UA_APP_ID", "billing")
    wire = BotoWire.build(
        session=boto3.Session(aws_access_key_id="t", aws_secret_access_key="t", region_name="eu-central-1"),
        endpoint_url=server.url,
    )

    wire.send(GET, 2.0)

    (line,) = [line for line in server.requests[0].split(b"\r\n") if line.lower().startswith(b"user-agent:")]
    for name in (b"Boto3/", b"lib/common-dynamo", b"app/billing", b"Botocore/"):
        assert 1 == line.count(name)
    wire.close()


def test_an_expression_over_4_kb_never_leaves(server: ScriptedServer, wire: BotoWire) -> None:
    """It is refused as the engine would refuse it."""
    from common.dynamo.requests import Exists, Or
    from common.dynamo.testing.values import path

    condition = Or(tuple(Exists(path(f"a{number}")) for number in range(300)))

    assert (
        "ValidationException"
        == wire.send(PutItem(table="t", item=key("p", "s"), condition=condition), 2.0).body["__type"]
    )
    assert [] == server.requests


def test_the_wire_knows_where_it_speaks(server: ScriptedServer, wire: BotoWire) -> None:
    """Host, port and region, for telemetry."""
    assert (("127.0.0.1", server.port), "eu-central-1") == (wire.endpoint, wire.region)
    assert ("boto", "a client was built from the session") == (wire.name, wire.reason)
    aws = BotoWire.build(session=session())
    assert ("dynamodb.eu-central-1.amazonaws.com", 443) == aws.endpoint
    aws.close()


# Threads and forks ----------------------------------------------------------------------------------------------------


def test_threads_share_a_wire_each_with_its_own_deadline(dynoxide: Dynoxide) -> None:
    """Sixteen threads write through one client; none gets the time of another."""
    wire = BotoWire.build(session=session(), endpoint_url=dynoxide.endpoint_url)
    results: list[Answer | BaseException] = []

    def work() -> None:
        for _ in range(10):
            results.append(wire.send(ListTables(), 5.0))

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [200] * 160 == [result.status for result in results if isinstance(result, Answer)]
    wire.close()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_does_not_share_connections(dynoxide: Dynoxide) -> None:
    """Parent and child go on, each on connections of its own."""
    wire = BotoWire.build(session=session(), endpoint_url=dynoxide.endpoint_url)
    wire.send(ListTables(), 5.0)
    child = os.fork()
    if child == 0:
        os._exit(0 if all(wire.send(ListTables(), 5.0).status == 200 for _ in range(20)) else 1)

    statuses = {wire.send(ListTables(), 5.0).status for _ in range(20)}

    assert {200} == statuses
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    wire.close()
