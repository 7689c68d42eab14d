"""What goes to whom, and what is told to nobody: no redirects, no other host, no secret and no value anywhere (W12)."""

import logging
from collections.abc import Callable, Iterator

import pytest

from common.dynamo import Database, Pattern
from common.dynamo.exceptions import DynamoError
from common.dynamo.requests import GetItem, PutItem
from common.dynamo.testing.canaries import CANARY, find_canaries, told_by
from common.dynamo.testing.certificates import Authority
from common.dynamo.testing.scripted_server import (
    ScriptedServer,
    Step,
    answer,
    closing,
    cut,
    message,
    refusal,
    resetting,
    silent,
    split,
    whole,
)
from common.dynamo.testing.values import S, key
from common.dynamo.wire import AnswerLost, WireFailure
from common.dynamo.wire.direct import DirectWire
from common.dynamo.wire.direct.credentials import Credentials, StaticCredentials
from common.dynamo.wire.direct.endpoint import Endpoint

pytestmark = pytest.mark.thorough

SECRET_KEY, TOKEN = f"{CANARY}-secret-key", f"{CANARY}-token"
PUT = PutItem(table="app", item={**key(CANARY, CANARY), CANARY: S(CANARY), "b": {"B": CANARY.encode()}})
GET = GetItem(table="app", key=key(CANARY, CANARY))
ITEM = {"Item": {**key(CANARY, CANARY), "text": S(CANARY)}}
Connect = Callable[..., DirectWire]


@pytest.fixture
def wire(connect: Connect) -> DirectWire:
    """A wire whose credentials are canaries."""
    return connect(credentials=StaticCredentials("AKIDEXAMPLE", SECRET_KEY, TOKEN), connect_timeout=0.3)


# To the configured host only ----------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere() -> Iterator[ScriptedServer]:
    """Another server, which nobody has named."""
    with ScriptedServer() as server:
        yield server


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_no_redirect_is_followed(
    server: ScriptedServer, elsewhere: ScriptedServer, wire: DirectWire, status: int
) -> None:
    """Whoever sends one gets no second request, and where it points to gets none at all."""
    server.then(answer(b"", status, f"Location: {elsewhere.url}/"))

    for request in (GET, PUT):
        with pytest.raises(AnswerLost, match=str(status)):
            wire.send(request, 5.0)

    assert (2, 0) == (len(server.requests), elsewhere.connections)


@pytest.mark.parametrize("header", ["Refresh: 0; url={}", "Content-Location: {}", "Link: <{}>", 'Alt-Svc: h2="{}"'])
def test_no_header_leads_elsewhere(
    server: ScriptedServer, elsewhere: ScriptedServer, wire: DirectWire, header: str
) -> None:
    """The endpoint stays the one that was configured."""
    server.then(answer({}, 200, header.format(elsewhere.url)))

    assert [200] * 3 == [wire.send(GET, 5.0).status for _ in range(3)]
    assert 0 == elsewhere.connections


def test_proxies_of_the_environment_get_nothing(
    server: ScriptedServer, elsewhere: ScriptedServer, wire: DirectWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who needs a proxy has the boto wire; this one never speaks to any."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, elsewhere.url)

    assert 200 == wire.send(PUT, 5.0).status
    assert 0 == elsewhere.connections


def test_a_request_waits_for_the_answer_before_it(server: ScriptedServer, connect: Connect) -> None:
    """There is never a second request on a connection whose answer has not come whole: no pipelining."""
    server.then(split(answer(ITEM), *range(0, 300, 10)))
    wire = connect(connections=2)

    for _ in range(20):
        assert ITEM == wire.send(GET, 5.0).body

    heads = [request.raw.count(b"POST / HTTP/1.1\r\n") for request in server.requests]
    assert ([1] * 20, 1) == (heads, server.connections)


def test_the_secret_key_never_leaves(server: ScriptedServer, wire: DirectWire) -> None:
    """The signature does, and the token of a session."""
    wire.send(GET, 5.0)

    (request,) = server.requests
    assert SECRET_KEY.encode() not in request.raw
    assert TOKEN == request.headers["x-amz-security-token"]


# Told to nobody -----------------------------------------------------------------------------------------------------

ENDS: dict[str, Step] = {
    "no answer": closing(),
    "a reset": resetting(),
    "a reset within the request": resetting(reads=10),
    "half an answer": cut(answer(ITEM), 120),
    "silence": silent(),
    "a wrong checksum": answer(ITEM, crc32=1),
    "JSON that is cut off": answer(message(ITEM)[-40:-10]),
    "JSON that is no object": answer(f'["{CANARY}"]'.encode()),
    "no base64": answer({"Item": {"b": {"B": f"%{CANARY}"}}}),
    "no UTF-8": answer(b'{"x": "' + CANARY.encode() + b'\xff"}'),
    "no HTTP": closing(whole(CANARY.encode() + b"\r\n\r\n")),
    "a header that is none": whole(b"HTTP/1.1 200 OK\r\n" + CANARY.encode() + b"\r\n\r\n"),
    "a length that is none": whole(b"HTTP/1.1 200 OK\r\nContent-Length: " + CANARY.encode() + b"\r\n\r\n"),
    "HTML": answer(f"<html>{CANARY}</html>".encode(), 502),
    "a redirect": answer(b"", 302, f"Location: http://127.0.0.1:1/{CANARY}"),
    "another error": answer({"__type": [CANARY], "message": CANARY}, 400),
    "another clock": refusal("InvalidSignatureException", 400, "Date: Tue, 24 Nov 2020 15:00:00 GMT"),
    "another clock that is none": refusal("InvalidSignatureException", 400, f"Date: {CANARY}"),
    "expired": refusal("ExpiredTokenException"),
    "a failed condition": refusal("ConditionalCheckFailedException", Item=ITEM["Item"]),
    "a cancellation": refusal(
        "TransactionCanceledException",
        CancellationReasons=[{"Code": "ConditionalCheckFailed", "Message": CANARY, "Item": ITEM["Item"]}],
    ),
    "an unknown error": refusal("SomethingElse"),
    "a success": answer(ITEM),
}


@pytest.mark.parametrize("step", ENDS.values(), ids=ENDS)
def test_nothing_is_told_of_a_call(
    server: ScriptedServer, wire: DirectWire, step: Step, caplog: pytest.LogCaptureFixture
) -> None:
    """However it ends: neither key nor value is in a log of any level, an error, its causes, or a traceback."""
    server.then(step)
    told: dict[str, str] = {}
    with caplog.at_level(logging.DEBUG), Database.connect(table="app", wire=wire, deadline=0.3) as db:
        for request in (GET, PUT):
            try:
                wire.send(request, 0.3)
            except WireFailure as failure:
                told[f"{request.operation}, wire"] = told_by(failure)
            try:
                db.execute(request, Pattern("Test.any", request.operation), resend=False)
            except DynamoError as error:
                told[f"{request.operation}, database"] = told_by(error)

    logs = [record.getMessage() + repr(record.__dict__) for record in caplog.records]
    assert [] == find_canaries({**told, "logs": "\n".join(logs)})


def test_nothing_is_told_of_a_call_that_was_not_sent(
    authority: Authority, wire: DirectWire, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody listens, or the wrong one does."""
    with ScriptedServer() as gone:
        nobody = gone.url
    told: dict[str, str] = {}
    credentials = StaticCredentials("AKIDEXAMPLE", SECRET_KEY, TOKEN)
    with caplog.at_level(logging.DEBUG), ScriptedServer(tls=authority.server("example.org")) as wrong:
        for url in (nobody, wrong.url):
            with pytest.raises(WireFailure) as failure:
                connect(url, credentials).send(PUT, 5.0)
            told[url] = told_by(failure.value)
        with pytest.raises(WireFailure) as failure:
            wire.send(PUT, 0.0)
        told["late"] = told_by(failure.value)

    assert [] == find_canaries({**told, "logs": caplog.text})


def test_nothing_is_shown_of_a_wire(server: ScriptedServer, wire: DirectWire) -> None:
    """Neither by it nor by what it consists of."""
    wire.send(PUT, 5.0)
    shown: dict[str, str] = {}
    pending: list[object] = [wire]
    while pending:
        each = pending.pop()
        if repr(type(each)) in shown or not type(each).__module__.startswith("common.dynamo"):
            continue
        shown[repr(type(each))] = f"{each!r} {each}"
        slots = [name for kind in type(each).__mro__ for name in getattr(kind, "__slots__", ())]
        names = {*slots, *getattr(each, "__dict__", {})}
        pending += [value for name in names if (value := getattr(each, name, None)) is not None]

    assert len(shown) >= 5
    assert [] == find_canaries(shown)
    assert "Credentials(access_key='AKIDEXAMPLE')" == repr(Credentials("AKIDEXAMPLE", SECRET_KEY, TOKEN))


def test_a_refused_endpoint_is_not_repeated() -> None:
    """It may hold a password."""
    from common.exceptions import ConfigurationError

    for url in (
        f"http://user:{CANARY}@127.0.0.1",
        f"http://127.0.0.1/?key={CANARY}",
        f"gopher://{CANARY}",
        f"{CANARY} ",
    ):
        with pytest.raises(ConfigurationError) as refused:
            Endpoint.parse(url)
        assert [] == find_canaries({"endpoint": told_by(refused.value)})
