"""``common auth probe``: a fake gateway of each kind, with the echo of this package behind it on a real server (G18)."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from common.auth.exceptions import AuthUnavailable, ConfigurationError
from common.auth.gateway.header_echo import header_echo
from common.auth.gateway.probe import GatewayProbe, Verdict, spoofs
from common.core.cli import main

pytestmark = pytest.mark.thorough

ALONE = {"COMMON_PLUGINS_BLOCK": "common-dynamo,common-observability,acme-plugin", "COMMON_PLUGINS_ONLY": ""}
Headers = list[tuple[str, str]]
OWN = [("X-User-ID", "u-gateway"), ("X-Identity-Assertion", "its.own.assertion")]
NAMES = {
    "x-user-id",
    "x-user-role",
    "x-request-id",
    "x-source-service",
    "x-identity-assertion",
    "x-identity-signature",
}


def is_identity(name: str) -> bool:
    """Tell whether a gateway that knows its trade removes the header, in whatever spelling."""
    return name.lower().replace("_", "-").replace(".", "-") in NAMES


def overwriting(headers: Headers) -> Headers:
    """Remove what a client says about identity, then say it."""
    return [pair for pair in headers if not is_identity(pair[0])] + OWN


def appending(headers: Headers) -> Headers:
    """Add to what a client said."""
    return headers + OWN


def joining(headers: Headers) -> Headers:
    """Add to what a client said, into one header."""
    own = dict(OWN)
    known = {name.lower(): value for name, value in headers}
    rest = [pair for pair in headers if pair[0] not in own]
    return rest + [(name, f"{known.get(name.lower(), '')},{value}".lstrip(",")) for name, value in own.items()]


def passing(headers: Headers) -> Headers:
    """Do nothing at all."""
    return headers


def exact(headers: Headers) -> Headers:
    """Know one spelling of each name alone."""
    return [pair for pair in headers if pair[0].lower() not in NAMES] + OWN


def stripping(headers: Headers) -> Headers:
    """Set the own headers, and only then remove what ``Connection`` names, as a second proxy would."""
    kept = overwriting(headers)
    named = {one.strip().lower() for name, value in headers if name.lower() == "connection" for one in value.split(",")}
    return [pair for pair in kept if pair[0].lower() not in named]


class Gateway(ThreadingHTTPServer):
    """Changes the headers of each request, and sends it on."""

    daemon_threads = True

    def __init__(self, target: int, change: Callable[[Headers], Headers | int | bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Passage)
        self.target = target
        self.change = change
        self.seen: list[Headers] = []


class _Passage(BaseHTTPRequestHandler):
    server: Gateway

    def do_GET(self) -> None:
        headers = list(self.headers.items())
        self.server.seen.append(headers)
        changed = self.server.change(headers)
        if isinstance(changed, int):
            self._answer(changed, b"")
        elif isinstance(changed, bytes):
            self._answer(200, changed)
        else:
            self._answer(200, self._behind(changed))

    def _behind(self, headers: Headers) -> bytes:
        connection = HTTPConnection("127.0.0.1", self.server.target, timeout=5)
        connection.putrequest("GET", self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            if name.lower() != "connection":
                connection.putheader(name, value)
        connection.endheaders()
        try:
            return connection.getresponse().read()
        finally:
            connection.close()

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def running(target: int, change: Any) -> Iterator[tuple[str, Gateway]]:
    """Run a gateway before *target*; give its address."""
    server = Gateway(target, change)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/echo", server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@pytest.fixture(scope="module")
def echo(serve: Callable[..., int]) -> int:
    """Return the port of the echo, on a real server."""
    return serve(header_echo)


def verdicts(echo: int, change: Any, **options: Any) -> dict[str, Verdict]:
    """Probe a gateway; return what became of each spoof."""
    with running(echo, change) as (url, _):
        return {result.spoof.name: result.verdict for result in GatewayProbe(url, **options).run()}


def test_a_gateway_that_overwrites_lets_nothing_through(echo: int) -> None:
    """What it sets arrives with its own value, what it does not set is gone, and look-alikes are gone too."""
    found = verdicts(echo, overwriting)

    assert not [verdict for verdict in found.values() if verdict.is_harmful]
    assert (Verdict.OVERWRITTEN, Verdict.DROPPED) == (found["X-User-ID"], found["X-User-Role"])


@pytest.mark.parametrize("change", [appending, joining])
def test_a_gateway_that_appends_is_found_out(echo: int, change: Any) -> None:
    """Both values arrive, and most frameworks take the first: that is the client's (auth G18)."""
    found = verdicts(echo, change)

    assert Verdict.APPENDED is found["X-User-ID"]
    assert Verdict.APPENDED is found["X-Identity-Assertion"]
    assert Verdict.APPENDED is found["X-User-ID joined"]
    assert Verdict.PASSED is found["X-User-Role"]


def test_a_gateway_that_does_nothing_is_found_out(echo: int) -> None:
    """Every spoof arrives."""
    assert {Verdict.PASSED} == set(verdicts(echo, passing).values())


def test_a_gateway_that_knows_one_spelling_is_found_out(echo: int) -> None:
    """A look-alike passes it; a server that turns names into variables takes it for the real one."""
    found = verdicts(echo, exact)

    assert Verdict.OVERWRITTEN is found["X-User-ID twice"]
    assert Verdict.APPENDED is found["X_User_ID"]


def test_a_gateway_whose_own_header_can_be_stripped_is_found_out(echo: int) -> None:
    """A client that names the header in ``Connection`` makes it vanish behind a second proxy (auth G8)."""
    found = verdicts(echo, stripping)

    assert Verdict.STRIPPED is found["Connection: X-User-ID"]
    assert not any(verdict.is_harmful for name, verdict in found.items() if not name.startswith("Connection"))


def test_a_gateway_that_refuses_spoofs_is_well(echo: int) -> None:
    """A 4xx is an answer; 429 and 5xx tell nothing."""

    def refuse(status: int) -> Callable[[Headers], Headers | int]:
        return lambda headers: status if any(is_identity(name) for name, _ in headers) else overwriting(headers)

    assert Verdict.REFUSED is verdicts(echo, refuse(400))["X-User-ID"]
    for status in (429, 502):
        assert Verdict.UNKNOWN is verdicts(echo, refuse(status))["X-User-ID"]


@pytest.mark.parametrize(
    "answer", [401, 502, b"<html>", b"[]", b'{"headers": 7}', b'{"headers": [["a"]]}', b"[" * 99999]
)
def test_without_an_echo_nothing_is_claimed(echo: int, answer: Any) -> None:
    """A harmless request that gets no echo ends the probe, with what to do."""
    with pytest.raises(AuthUnavailable, match="header_echo"):
        verdicts(echo, lambda headers: answer)


@pytest.mark.parametrize(
    "form",
    [
        lambda pairs: {"headers": {name: ",".join(v for n, v in pairs if n == name) for name, _ in pairs}},
        lambda pairs: {"headers": {name: [v for n, v in pairs if n == name] for name, _ in pairs}},
        lambda pairs: {"headers": {}, "multiValueHeaders": {n: [v for m, v in pairs if m == n] for n, _ in pairs}},
    ],
)
def test_other_echos_are_understood(echo: int, form: Any) -> None:
    """Mappings to a text or to a list of texts, as common echo services and Lambda proxies have them."""
    found = verdicts(echo, lambda headers: json.dumps(form(appending(headers))).encode())

    assert (Verdict.APPENDED, Verdict.PASSED) == (found["X-User-ID"], found["X-Source-Service"])


def test_credentials_go_with_every_request(echo: int) -> None:
    """A gateway that wants a token gets it, the harmless request included."""
    with running(echo, overwriting) as (url, gateway):
        GatewayProbe(url, headers=[("Authorization", "Bearer abc")]).run()

        assert len(gateway.seen) > 20
        assert all(("Authorization", "Bearer abc") in headers for headers in gateway.seen)


def test_the_echo_shows_nothing_but_the_probes_own_values(echo: int) -> None:
    """An assertion or a token that reaches the echo does not go back to the client."""
    connection = HTTPConnection("127.0.0.1", echo, timeout=5)
    marker = "m" * 16
    sent = {"X-Probe-Marker": marker, "X-User-ID": f"u-{marker}", "Authorization": "Bearer canary", "X-Short": "canary"}
    connection.request("GET", "/", headers=sent)
    shown = dict(json.loads(connection.getresponse().read())["headers"])
    connection.request("GET", "/", headers={**sent, "X-Probe-Marker": "canary"})
    unmarked = dict(json.loads(connection.getresponse().read())["headers"])
    connection.close()

    assert (f"u-{marker}", "***", "***") == (shown["x-user-id"], shown["authorization"], shown["x-short"])
    assert "canary" not in str(unmarked)


@pytest.mark.parametrize(
    "url",
    ["", "api.example", "ftp://api.example/", "https://", "https://a b/", "http://[::1", "http://a:b/", "http://é/"],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigurationError):
        GatewayProbe(url)


def test_a_gateway_that_is_not_there_is_told() -> None:
    """No answer is no result."""
    with pytest.raises(AuthUnavailable, match="does not answer"):
        GatewayProbe("http://127.0.0.1:1/echo", timeout=1).run()


def test_a_header_that_is_none_is_refused(echo: int) -> None:
    """A line break in what the operator passes is a mistake, not a second header."""
    with running(echo, overwriting) as (url, _), pytest.raises(ConfigurationError, match="no header"):
        GatewayProbe(url, headers=[("X-Other", "a\r\nX-User-ID: b")]).run()


# The command


def probed(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run the command; return its exit code, output and errors."""
    code = main(["auth", "probe", *words], environ=ALONE)
    out, err = capsys.readouterr()
    return code, out, err


def test_the_command_is_content_with_a_good_gateway(echo: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 0, and each spoof is listed."""
    with running(echo, overwriting) as (url, _):
        code, out, _ = probed(capsys, url)

    assert (0, "No spoofed identity arrives.") == (code, out.splitlines()[-1])
    assert len(list(spoofs())) < len(out.splitlines())


def test_the_command_tells_what_to_change(echo: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1, with the advice that belongs to each finding; no value of any header is shown."""
    with running(echo, appending) as (url, _):
        code, out, _ = probed(capsys, url)

    assert 1 == code
    assert "overwrite the header, never append" in out
    assert "own.assertion" not in out


def test_a_request_id_of_the_client_is_no_finding(echo: int, capsys: pytest.CaptureFixture[str]) -> None:
    """It is told, and does not fail the command."""
    with running(
        echo, lambda headers: [p for p in headers if p[0].lower() == "x-request-id" or not is_identity(p[0])]
    ) as (
        url,
        _,
    ):
        code, out, _ = probed(capsys, url)

    assert 0 == code
    assert "fine, if the gateway means that" in out


def test_a_token_comes_from_the_environment(
    echo: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is on no command line and in no output; where the variable is not set, that is told."""
    with running(echo, overwriting) as (url, gateway):
        assert (3, "") == probed(capsys, url, "--token-env", "PROBE_TOKEN_OF_A_TEST")[:2]
        monkeypatch.setenv("PROBE_TOKEN_OF_A_TEST", "canary")
        code, out, err = probed(capsys, url, "--token-env", "PROBE_TOKEN_OF_A_TEST", "--header", "X-Tenant: t-1")

    assert 0 == code
    assert "canary" not in out + err
    assert {("Authorization", "Bearer canary"), ("X-Tenant", "t-1")} <= set(gateway.seen[0])


@pytest.mark.parametrize(
    "words",
    [
        ["http://127.0.0.1:1/"],
        ["nonsense"],
        ["http://127.0.0.1:1/", "--header", "no colon"],
        ["http://127.0.0.1:1/", "--ca-file", "/no/such/file"],
        ["http://127.0.0.1:1/", "--timeout", "0"],
    ],
)
def test_what_cannot_be_tried_is_neither_good_nor_bad(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 3, and one line that says why."""
    code, out, err = probed(capsys, *words)

    assert (3, "", 1) == (code, out, len(err.splitlines()))


def test_the_help_tells_what_is_needed_and_what_comes_out(capsys: pytest.CaptureFixture[str]) -> None:
    """The echo, the exit codes and examples are in ``--help``; wrong usage exits 2."""
    assert 0 == probed(capsys, "--help")[0]
    assert 0 == main(["auth", "probe", "--help"], environ=ALONE)
    told = capsys.readouterr().out

    assert all(words in told for words in ("header_echo", "exit codes:", "--token-env", "examples:"))
    assert 2 == probed(capsys)[0]
