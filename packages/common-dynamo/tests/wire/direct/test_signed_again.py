"""Credentials are those of one moment, renewed once when they have expired; the engine's clock is learned (W5, W6)."""

import logging
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from common.dynamo.requests import GetItem, PutItem
from common.dynamo.testing.scripted_server import ScriptedServer, SeenRequest, Step, answer, refusal
from common.dynamo.testing.values import S, key
from common.dynamo.wire import AnswerLost, NotSent
from common.dynamo.wire.direct import DirectWire
from common.dynamo.wire.direct.credentials import Credentials

PUT = PutItem(table="t", item={**key("p", "s"), "text": S("once")})
GET = GetItem(table="t", key=key("p", "s"))
EXPIRED = refusal("ExpiredTokenException")
EMPTY = answer({})
NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC).timestamp()
Connect = Callable[..., DirectWire]


class Rotating:
    """Credentials of a session whose number counts up: with each renewal, or, where it is *restless*, with each request."""

    def __init__(self, *, restless: bool = False, renewable: bool = True) -> None:
        self._restless = restless
        self._renewable = renewable
        self._lock = threading.Lock()
        self.number = 1
        self.asked = 0
        self.refused: list[str] = []

    def _made(self) -> Credentials:
        return Credentials(f"AKID{self.number}", f"secret-{self.number}", f"token-{self.number}")

    def current(self) -> Credentials:
        with self._lock:
            self.asked += 1
            self.number += self._restless
            return self._made()

    def renew(self, refused: Credentials) -> Credentials | None:
        with self._lock:
            self.refused.append(refused.access_key)
            if not self._renewable:
                return None
            self.number += 1
            return self._made()


def signed_by(request: SeenRequest) -> tuple[str, str]:
    """Return the number of the access key and that of the token."""
    (access_key,) = re.findall("Credential=AKID([0-9]+)/", request.headers["authorization"])
    return access_key, request.headers["x-amz-security-token"].removeprefix("token-")


# Credentials -------------------------------------------------------------------------------------------------------


def test_a_request_is_signed_with_the_credentials_of_one_moment(server: ScriptedServer, connect: Connect) -> None:
    """Key and token belong together, even while they change with every request of eight threads."""
    source = Rotating(restless=True)
    wire = connect(credentials=source)
    threads = [threading.Thread(target=lambda: [wire.send(PUT, 5.0) for _ in range(25)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found = [signed_by(request) for request in server.requests]

    assert (200, 200) == (source.asked, len(set(found)))
    assert [] == [pair for pair in found if pair[0] != pair[1]]


@pytest.mark.parametrize("code", ["ExpiredTokenException", "ExpiredToken"])
def test_expired_credentials_are_renewed_once(server: ScriptedServer, connect: Connect, code: str) -> None:
    """The refusal is certain, so the same request goes out again with the new ones, over the same connection."""
    server.then(refusal(code), EMPTY)
    source = Rotating()

    assert 200 == connect(credentials=source).send(PUT, 5.0).status

    first, second = server.requests
    assert [("1", "1"), ("2", "2")] == [signed_by(request) for request in (first, second)]
    assert first.body == second.body
    assert (["AKID1"], 1) == (source.refused, server.connections)


def test_credentials_that_expire_again_are_refused(server: ScriptedServer, connect: Connect) -> None:
    """There is no third attempt; the answer is what the engine said."""
    server.then(EXPIRED)
    source = Rotating()

    found = connect(credentials=source).send(PUT, 5.0)

    assert (400, "ExpiredTokenException") == (found.status, found.body["__type"])
    assert (2, ["AKID1"]) == (len(server.requests), source.refused)


def test_where_there_are_no_newer_ones_nothing_is_sent_again(server: ScriptedServer, connect: Connect) -> None:
    """The refusal is passed on."""
    server.then(EXPIRED)

    found = connect(credentials=Rotating(renewable=False)).send(PUT, 5.0)

    assert "ExpiredTokenException" == found.body["__type"]
    assert 1 == len(server.requests)


@pytest.mark.parametrize(
    "code", ["UnrecognizedClientException", "AccessDeniedException", "MissingAuthenticationTokenException", "x"]
)
def test_other_refusals_renew_nothing(server: ScriptedServer, connect: Connect, code: str) -> None:
    """They would be the same with any credentials of that source."""
    server.then(refusal(code))
    source = Rotating()

    assert code == connect(credentials=source).send(PUT, 5.0).body["__type"]
    assert (1, []) == (len(server.requests), source.refused)


def test_a_second_attempt_that_is_lost_is_lost(server: ScriptedServer, connect: Connect) -> None:
    """The first was certainly refused; the second may have been applied."""
    server.then(EXPIRED, answer(b"{"))

    with pytest.raises(AnswerLost):
        connect(credentials=Rotating()).send(PUT, 5.0)


class Unfetched(Rotating):
    """Credentials that cannot be fetched for the moment: at first, or when they are to be renewed."""

    def __init__(self, fails: str) -> None:
        super().__init__()
        self._fails = fails

    def current(self) -> Credentials:
        if self._fails == "current":
            raise NotSent("the role could not be assumed")
        return super().current()

    def renew(self, refused: Credentials) -> Credentials | None:
        raise NotSent("the role could not be assumed")


@pytest.mark.parametrize(("fails", "requests"), [("current", 0), ("renew", 1)])
def test_credentials_that_cannot_be_fetched_are_not_sent(
    server: ScriptedServer, connect: Connect, fails: str, requests: int
) -> None:
    """Nothing was applied, and no place of the pool is lost."""
    server.then(EXPIRED)
    wire = connect(credentials=Unfetched(fails), connections=1)

    for attempt in range(1, 4):
        with pytest.raises(NotSent, match="assumed"):
            wire.send(PUT, 5.0)
        assert requests * attempt == len(server.requests)


# Clocks ------------------------------------------------------------------------------------------------------------


def at(moment: float) -> str:
    """Return *moment* as the header ``Date`` has it."""
    return f"Date: {format_datetime(datetime.fromtimestamp(moment, UTC), usegmt=True)}"


def signed_at(request: SeenRequest) -> float:
    return datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%S%z").timestamp()


class Guard:
    """Accepts signatures that are at most five minutes off its own clock, as AWS does."""

    def __init__(self, now: float, code: str = "InvalidSignatureException") -> None:
        self.now = now
        self.code = code

    def __call__(self, request: SeenRequest) -> Step:
        if abs(signed_at(request) - self.now) > 300:
            return refusal(self.code, 400, at(self.now))
        return answer({}, 200, at(self.now))


@pytest.mark.parametrize("skew", [-86_400.0 * 400, -3600.0, -301.0, 301.0, 3600.0, 86_400.0 * 400])
@pytest.mark.parametrize(
    "code", ["InvalidSignatureException", "SignatureDoesNotMatch", "RequestTimeTooSkewed", "RequestExpired"]
)
def test_the_engines_clock_is_learned_from_a_refusal(
    server: ScriptedServer, connect: Connect, code: str, skew: float
) -> None:
    """The request is signed again by the engine's time, and every later one is from the start."""
    server.then(Guard(NOW + skew, code))
    wire = connect(clock=lambda: NOW)

    assert [200] * 3 == [wire.send(PUT, 5.0).status for _ in range(3)]
    assert [0.0, skew, skew, skew] == [signed_at(request) - NOW for request in server.requests]
    assert 1 == len({request.body for request in server.requests})


def test_a_clock_that_is_set_right_later_is_learned_too(server: ScriptedServer, connect: Connect) -> None:
    """What was learned is no more than a guess."""
    here = [NOW - 3600.0]
    server.then(Guard(NOW))
    wire = connect(clock=lambda: here[0])
    wire.send(PUT, 5.0)

    here[0] = NOW

    assert 200 == wire.send(PUT, 5.0).status
    assert [-3600.0, 0.0, 3600.0, 0.0] == [signed_at(request) - NOW for request in server.requests]


@pytest.mark.parametrize(
    "headers",
    [(), (at(NOW + 5),), (at(NOW - 5),), ("Date: yesterday",), ("Date: Tue, 99 Nov 2026 99:00:00 GMT",), ("Date:",)],
    ids=["none", "ahead", "behind", "words", "no date", "empty"],
)
def test_a_signature_that_is_wrong_otherwise_is_not_repeated(
    server: ScriptedServer, connect: Connect, headers: tuple[str, ...]
) -> None:
    """Where the clocks agree, or no time is told, the secret key is wrong, and stays so."""
    server.then(refusal("InvalidSignatureException", 400, *headers))

    found = connect(clock=lambda: NOW).send(PUT, 5.0)

    assert (400, "InvalidSignatureException") == (found.status, found.body["__type"])
    assert 1 == len(server.requests)


def test_a_request_is_signed_again_once(server: ScriptedServer, connect: Connect) -> None:
    """An engine that refuses every time is believed."""
    server.then(lambda request: refusal("InvalidSignatureException", 400, at(signed_at(request) + 3600)))

    found = connect(clock=lambda: NOW).send(PUT, 5.0)

    assert "InvalidSignatureException" == found.body["__type"]
    assert 2 == len(server.requests)


@pytest.mark.parametrize("code", ["ValidationException", "AccessDeniedException", "ThrottlingException"])
def test_other_refusals_set_no_clock(server: ScriptedServer, connect: Connect, code: str) -> None:
    """A date alone, as any cache on the way may send it, changes nothing."""
    server.then(refusal(code, 400, at(NOW + 3600)), answer({}, 200, at(NOW + 7200)))
    wire = connect(clock=lambda: NOW)
    for _ in range(3):
        wire.send(GET, 5.0)

    assert [0.0] * 3 == [signed_at(request) - NOW for request in server.requests]


def test_a_learned_clock_is_told_to_the_operator(
    server: ScriptedServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, with the seconds."""
    server.then(Guard(NOW + 3600))
    wire = connect(clock=lambda: NOW)

    with caplog.at_level(logging.DEBUG):
        for _ in range(5):
            wire.send(GET, 5.0)

    (record,) = caplog.records
    assert (logging.WARNING, "common.dynamo") == (record.levelno, record.name)
    assert "+3600 s" in record.getMessage()
