"""The live page over HTTP: when there is one, whom it answers, and how it shows several processes."""

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from common.core import Plugins, Settings
from common.core.audit import AuditEvent, AuditOutcome, AuditRecord, Severity
from common.exceptions import ConfigurationError
from common.observability import hookspecs, plugin
from common.observability.dev import DevApp, FeedReader, LiveAudit, LiveSpans, LiveView, ShownEvent, ShownHealth
from common.observability.dev.feed import MalformedFeed, decode_feed, encode_feed, query_of, read_query
from common.observability.dev.view import Cursor
from common.observability.health import HealthRunner, ServiceDescription
from common.observability.hookspecs import SPAN_PROCESSORS
from common.observability.monitoring.spans import SpanRecord

ON = {"COMMON_ENVIRONMENT": "development", "COMMON_OBS_DEV_PAGE": "1", "COMMON_SERVICE_NAME": "orders"}
START = 1_800_000_000
SECOND = 1_000_000_000


def settings(**more: str) -> Settings:
    """Return settings that switch the page on."""
    return Settings.from_environment({**ON, **more})


def span(number: int = 1, **given: Any) -> SpanRecord:
    """Return a span of one millisecond."""
    defaults: dict[str, Any] = {
        "name": "GET /orders",
        "trace_id": f"{number:032x}",
        "span_id": f"{number:016x}",
        "start_ns": START * SECOND,
        "end_ns": START * SECOND + 1_000_000,
        "service": "orders",
    }
    return SpanRecord(**{**defaults, **given})


def event() -> AuditEvent:
    """Return an audit event."""
    return AuditEvent(
        id="event-1",
        time=datetime.fromtimestamp(START, UTC),
        stream="orders-1",
        boot_id="boot",
        seq=1,
        type="authn_login_fail",
        outcome=AuditOutcome.FAILURE,
        severity=Severity.MEDIUM,
        service="orders",
        reason="wrong_password",
        actor="u-1",
    )


# Switching on ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({}, "page is off"),
        ({"COMMON_ENVIRONMENT": "development"}, "page is off"),
        ({"COMMON_ENVIRONMENT": "development", "COMMON_OBS_DEV_PAGE": "0"}, "page is off"),
        ({"COMMON_OBS_DEV_PAGE": "1"}, "in production"),
        ({"COMMON_OBS_DEV_PAGE": "1", "COMMON_ENVIRONMENT": "production"}, "in production"),
    ],
)
def test_the_page_is_refused_where_it_is_not_switched_on(environ: Mapping[str, str], told: str) -> None:
    """Nobody gets it by accident: it wants its variable, and an environment that is not production."""
    with pytest.raises(ConfigurationError, match=told) as caught:
        DevApp(LiveView(), settings=Settings.from_environment(environ))

    assert "COMMON_OBS_DEV_PAGE" in str(caught.value)


def loaded(chosen: Settings) -> Plugins:
    """Return plugins: this distribution's."""
    plugins = Plugins(hookspecs=[hookspecs])
    plugins.register(plugin, name="common-observability")
    plugins.load(chosen, entry_points=False)
    return plugins


def test_its_parts_come_by_the_hooks_that_are_open_to_everybody() -> None:
    """Where it is on, a span processor and an audit sink; where it is off, neither."""
    on, off = loaded(settings()), loaded(Settings())

    assert [LiveSpans] == [type(found.value) for found in on.contributions(SPAN_PROCESSORS)]
    assert [LiveAudit] == [type(sink) for sink in on.audit_sinks()]
    assert ((), ()) == (tuple(off.contributions(SPAN_PROCESSORS)), tuple(off.audit_sinks()))


def test_off_it_is_not_imported(python: Callable[..., Any]) -> None:
    """A service that does not ask for it pays nothing."""
    program = """
import sys
from common.core import Plugins, Settings
from common.observability import configure, hookspecs, plugin
plugins = Plugins(hookspecs=[hookspecs])
plugins.register(plugin, name="common-observability")
plugins.load(Settings(), entry_points=False)
configure(service_name="orders", plugins=plugins)
print([name for name in sys.modules if name.startswith("common.observability.dev.") or name == "common.observability.dev"])
"""
    assert "[]\n" == python(program).stdout


def test_around_an_application_it_shows_what_that_does(serve: Callable[..., int], fetch: Callable[..., Any]) -> None:
    """The plugin's processor and sink feed the page; all other paths are the application's."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    plugins = loaded(settings())
    runner = HealthRunner(service=ServiceDescription("orders"))
    port = serve(DevApp.around(app, settings=settings(), plugins=plugins, runner=runner), lifespan="off")
    (processor,) = (found.value for found in plugins.contributions(SPAN_PROCESSORS))
    provider = TracerProvider(resource=Resource({"service.name": "orders"}), shutdown_on_exit=False)
    provider.add_span_processor(processor)
    provider.get_tracer("test").start_span("POST /orders").end()
    plugins.audit_sinks()[0].write(AuditRecord(event(), b"{}"))

    page = fetch(port, "/dev").body.decode()
    assert all(text in page for text in ("POST /orders", "wrong_password", "group-orders-liveness"))
    assert 204 == fetch(port, "/orders").status


# Whom it answers ------------------------------------------------------------------------------------------------------


@pytest.fixture
def page(serve: Callable[..., int]) -> int:
    """The port of a page of its own."""
    return serve(DevApp(LiveView(), settings=settings(), path="/"))


def test_headers_let_nothing_in_and_nothing_stay(page: int, fetch: Callable[..., Any]) -> None:
    """The policy knows the one style and the one script by their hashes; nothing may be kept, framed or loaded."""
    answer = fetch(page, "/")
    policy = answer.headers["content-security-policy"]

    for part in ("style", "script"):
        content = re.findall(rf"<{part}>(.*?)</{part}>".encode(), answer.body, re.DOTALL)
        assert 1 == len(content)
        digest = base64.b64encode(hashlib.sha256(content[0]).digest()).decode()
        assert f"{part}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "no-store" == answer.headers["cache-control"]
    assert "nosniff" == answer.headers["x-content-type-options"]
    assert not re.search(rb'style=|onclick|(src|href)="(?!#|data:)', answer.body)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:8000"}, 200),
        ({"Host": "[::1]:8000"}, 200),
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Host": "192.0.2.1"}, 421),
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, 200),
        ({"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}, 403),
    ],
)
@pytest.mark.parametrize("path", ["/", "/feed"])
def test_another_sites_page_and_another_name_are_refused(
    path: str, headers: dict[str, str], status: int, page: int, fetch: Callable[..., Any]
) -> None:
    """An outside name that leads to this machine (DNS rebinding), and what a website in the same browser asks for."""
    assert status == fetch(page, path, headers=headers).status


async def ask(app: DevApp, **scope: Any) -> int:
    """Return the status of the answer to a request."""
    answers: list[Any] = []

    async def send(message: Any) -> None:
        answers.append(message)

    async def receive() -> Any:
        return {}

    await app(
        {"type": "http", "method": "GET", "path": "/dev", "headers": [(b"host", b"localhost")], **scope}, receive, send
    )
    return int(answers[0]["status"])


@pytest.mark.parametrize(
    ("client", "allow_remote", "status"),
    [
        (("127.0.0.1", 1), False, 200),
        (("::1", 1), False, 200),
        (None, False, 200),
        (("192.0.2.1", 1), False, 403),
        (("unknown", 1), False, 403),
        (("192.0.2.1", 1), True, 200),
    ],
)
def test_other_machines_are_refused_unless_they_are_welcome(
    client: tuple[str, int] | None, allow_remote: bool, status: int
) -> None:
    """``allow_remote=True`` is for a container whose port somebody forwards."""
    app = DevApp(LiveView(), settings=settings(), allow_remote=allow_remote)

    assert status == asyncio.run(ask(app, client=client))


def test_other_methods_and_paths_have_their_codes(page: int, fetch: Callable[..., Any]) -> None:
    """405 tells what is allowed, HEAD has no body."""
    assert 404 == fetch(page, "/orders").status
    assert (405, "GET, HEAD") == (
        (answer := fetch(page, "/", method="POST")).status,
        answer.headers["allow"],
    )
    head = fetch(page, "/", method="HEAD")
    assert (200, b"") == (head.status, head.body)


# Several processes ----------------------------------------------------------------------------------------------------


def test_a_feed_tells_everything_once() -> None:
    """A reader that goes on where it was gets each span and event once, and the health of now every time."""
    view = LiveView()
    view.note_health(ShownHealth("orders", "1", "pass"))
    first = span(1, failed=True, parent_id="a" * 16)
    view.add_span(first)
    view.add_event(ShownEvent.of(event()))
    told = decode_feed(encode_feed(view.told_since(read_query(query_of(Cursor()).encode()))))
    view.add_span(span(2))
    more = decode_feed(encode_feed(view.told_since(read_query(query_of(told.cursor).encode()))))

    assert (first,) == told.spans
    assert (ShownEvent.of(event()),) == told.events
    assert (span(2),) == more.spans
    assert () == more.events
    assert (ShownHealth("orders", "1", "pass"),) == told.health == more.health


@pytest.mark.parametrize(
    "query", [b"", b"seq=x&boot=", b"seq=-1", b"seq=99999999999999999999", b"\xff", b"boot=other&seq=1"]
)
def test_a_cursor_of_another_life_begins_anew(query: bytes) -> None:
    """A service that was started again tells from its beginning; nonsense is no error."""
    view = LiveView()
    view.add_span(span(1))

    assert (span(1),) == view.told_since(read_query(query)).spans


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"boot":"b","seq":1,"missed":0,"events":[],"health":[],"spans":[{"resourceSpans":1}]}'],
)
def test_what_is_no_feed_is_told_so(body: bytes) -> None:
    """One error, whatever is wrong."""
    with pytest.raises(MalformedFeed):
        decode_feed(body)


def test_one_page_shows_several_processes(
    serve: Callable[..., int], fetch: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    """Spans of one trace that two services tell of are one waterfall; each service's health stands beside the other's."""
    views = {name: LiveView() for name in ("gateway", "orders")}
    ports = {
        name: serve(DevApp(view, settings=settings(), runner=HealthRunner(service=ServiceDescription(name))))
        for name, view in views.items()
    }
    views["gateway"].add_span(span(1, trace_id="t", service="gateway"))
    inner = span(2, trace_id="t", parent_id=f"{1:016x}", start_ns=START * SECOND + 1, service="orders")
    views["orders"].add_span(inner)
    views["orders"].add_event(ShownEvent.of(event()))
    together = LiveView()

    with FeedReader(together, {name: f"http://127.0.0.1:{port}/dev/feed" for name, port in ports.items()}, every=0.01):
        eventually(lambda: together.shown().traces and len(together.shown().traces[0].spans) == 2)
        eventually(lambda: len(together.shown().health) == 2)
        eventually(lambda: together.shown().events)

    assert ("gateway", "orders") == together.shown().traces[0].services
    assert 1 == len(together.shown().events)
    assert 0 == together.shown().missed


def test_a_service_that_is_silent_or_talks_nonsense_is_shown_as_failing(
    serve: Callable[..., int], eventually: Callable[..., Any], logs: Any
) -> None:
    """The others are shown all the same, and one log line tells of each that cannot be read."""

    async def nonsense(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})

    view = LiveView()
    runner = HealthRunner(service=ServiceDescription("well"))
    runner.start()
    good = serve(DevApp(LiveView(), settings=settings(), runner=runner))
    bad = serve(nonsense, lifespan="off")
    feeds = {"well": f"http://127.0.0.1:{good}/dev/feed", "gone": "http://127.0.0.1:1/dev/feed"}
    with FeedReader(view, {**feeds, "odd": f"http://127.0.0.1:{bad}/"}, every=0.01):
        eventually(lambda: len(view.shown().health) == 3)
    runner.stop()

    found = {health.service: (health.status, health.reason) for health in view.shown().health}
    assert {"well": ("pass", ""), "gone": ("fail", "unreachable"), "odd": ("fail", "malformed")} == found
    assert ["gone", "odd"] == sorted(line["service"] for line in logs.lines() if line["message"].startswith("A feed"))


def test_a_feed_without_http_is_refused() -> None:
    """The error names the service and the form."""
    with pytest.raises(ConfigurationError, match="orders"):
        FeedReader(LiveView(), {"orders": "file:///etc/passwd"})


def test_the_feed_is_json(page: int, fetch: Callable[..., Any]) -> None:
    """With the headers of the page."""
    answer = fetch(page, "/feed")

    assert ["boot", "seq", "missed", "events", "health", "spans"] == list(json.loads(answer.body))
    assert "no-store" == answer.headers["cache-control"]
