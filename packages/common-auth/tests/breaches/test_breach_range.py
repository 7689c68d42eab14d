"""A range service learns five digits of a hash, over a real socket (auth P19)."""

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from common.auth.exceptions import AuthUnavailable, ConfigurationError
from common.auth.security.breach_range import BreachRange
from common.auth.security.breaches import BreachChecks, BreachHash, OnBreachFailure, PasswordHashes
from common.auth.testing import quick_passwords
from common.auth.testing.breaches import KnownBreaches

KNOWN = "saffron giraffe unwinds quartz"
FRESH = "violet-tractor-mumbles-sonnet"


class Ranges(ThreadingHTTPServer):
    """A range service on the loopback address; it keeps every byte that it is sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.known: dict[str, int] = {}
        self.answer: Callable[[BaseHTTPRequestHandler], None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/range"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gave up is no news."""


class Handler(BaseHTTPRequestHandler):
    """Answers ``GET /range/<prefix>`` as Pwned Passwords does."""

    server: Ranges

    def do_GET(self) -> None:
        self.server.seen.append((self.path, dict(self.headers)))
        if self.server.answer is not None:
            self.server.answer(self)
            return
        prefix = self.path.partition("?")[0].rpartition("/")[2]
        length = 27 if "mode=ntlm" in self.path else 35
        lines = [f"{h[5:]}:{count}" for h, count in self.server.known.items() if h.startswith(prefix)]
        lines = [line for line in lines if len(line.partition(":")[0]) == length]
        padding = [f"{number:0{length}X}:0" for number in range(800)]
        body = "\r\n".join((*lines, *padding)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


@pytest.fixture
def ranges() -> Iterator[Ranges]:
    """Serve ranges on a free port."""
    server = Ranges()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join(5)
    server.server_close()


def told(body: bytes, status: int = 200, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    """Return an answer of exactly that."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


@pytest.mark.parametrize("kind", BreachHash)
def test_the_service_sees_five_digits_and_asks_for_padding(ranges: Ranges, kind: BreachHash) -> None:
    """Nothing else of the password, its hash or its user leaves the process."""
    hashes = PasswordHashes.of(KNOWN)
    ranges.known = {hashes.by(kind): 42}
    query = "?mode=ntlm" if kind is BreachHash.NTLM else ""
    checker = BreachRange(ranges.url + query, kind=kind)

    assert 42 == checker.occurrences(hashes)
    ((path, headers),) = ranges.seen
    assert f"/range/{hashes.by(kind)[:5]}{query}" == path
    assert "true" == headers["Add-Padding"]
    sent = path + repr(headers)
    assert hashes.by(kind)[:6] not in sent
    assert not any(word in sent for word in KNOWN.split())


def test_what_is_not_in_the_range_is_fresh(ranges: Ranges) -> None:
    """A range is never empty, and another's suffix does not count."""
    ranges.known = {PasswordHashes.of(KNOWN).sha1: 1}

    assert 0 == BreachRange(ranges.url).occurrences(PasswordHashes.of(FRESH))


def test_padding_does_not_count(ranges: Ranges) -> None:
    """A line with a count of 0 is there to hide how long the range is."""
    hashes = PasswordHashes.of(FRESH)
    ranges.known = {hashes.sha1: 0}

    assert 0 == BreachRange(ranges.url).occurrences(hashes)
    assert not BreachChecks([BreachRange(ranges.url)]).is_breached(FRESH)


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_slash_behind_the_address_changes_nothing(ranges: Ranges, slash: str) -> None:
    """Operators write both."""
    BreachRange(ranges.url + slash).occurrences(PasswordHashes.of(KNOWN))

    assert f"/range/{PasswordHashes.of(KNOWN).sha1[:5]}" == ranges.seen[0][0]


def hang(handler: BaseHTTPRequestHandler) -> None:
    """Answer too late."""
    time.sleep(0.5)


SUFFIX = PasswordHashes.of(KNOWN).sha1[5:]
BAD_ANSWERS: dict[str, tuple[Callable[[BaseHTTPRequestHandler], None], str]] = {
    "error": (told(b"", 503), "wrong_status"),
    "limit": (told(b"", 429), "wrong_status"),
    "redirect": (told(b"", 302, Location="http://169.254.169.254/"), "redirected"),
    "page": (told(b"<html>login</html>"), "no_range"),
    "empty": (told(b""), "no_range"),
    "whole hashes": (told(f"{PasswordHashes.of(KNOWN).sha1}:1".encode()), "no_range"),
    "other kind": (told(f"{'0' * 27}:1".encode()), "no_range"),
    "huge": (told(b"0" * 1_200_000), "too_large"),
    "compressed": (told(b"\x1f\x8b", Content_Encoding="gzip"), "compressed"),
    "broken off": (told(f"{SUFFIX}:1".encode(), Content_Length="5000"), "unreachable"),
    "late": (hang, "too_slow"),
}


@pytest.mark.parametrize(("answer", "reason"), BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_an_unusable_answer_is_an_outage_in_both_modes(
    ranges: Ranges, answer: Callable[[BaseHTTPRequestHandler], None], reason: str
) -> None:
    """Whatever the service does; open takes the password, closed refuses it now, and another checker still finds."""
    ranges.answer = answer
    checker = BreachRange(ranges.url, seconds=0.2 if reason == "too_slow" else 5.0)
    with pytest.raises(AuthUnavailable) as refused:
        checker.occurrences(PasswordHashes.of(KNOWN))

    assert reason == refused.value.reason
    assert not BreachChecks([checker]).is_breached(KNOWN)
    with pytest.raises(AuthUnavailable):
        BreachChecks([checker], on_failure=OnBreachFailure.CLOSED).is_breached(KNOWN)
    both = BreachChecks([checker, KnownBreaches(KNOWN)], on_failure=OnBreachFailure.CLOSED)
    assert ("breached",) == quick_passwords().judging(breaches=both).validate_strength(KNOWN).codes


def test_nobody_at_the_address_is_an_outage() -> None:
    """The port is closed."""
    server = Ranges()
    url = server.url
    server.server_close()
    with pytest.raises(AuthUnavailable):
        BreachRange(url).occurrences(PasswordHashes.of(KNOWN))


@pytest.mark.parametrize(
    "url", ["", "ranges.example", "http://ranges.example/range", "https://u:p@ranges.example/", "ftp://x/"]
)
def test_an_address_that_would_give_ranges_away_is_refused(url: str) -> None:
    """Plain HTTP is for the loopback address; no credentials in an address."""
    with pytest.raises(ConfigurationError):
        BreachRange(url)


@pytest.mark.parametrize("seconds", [0, -1, 10.5])
def test_a_question_has_a_time(seconds: float) -> None:
    """At most ten seconds of a user's patience."""
    with pytest.raises(ConfigurationError):
        BreachRange("https://ranges.example/range", seconds=seconds)
