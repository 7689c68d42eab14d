"""The live page of a developer: what it shows, whom it answers, and what it costs."""

import re
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from common.core.audit import AuditEvent, AuditOutcome, AuditRecord, Severity
from common.core.health import CheckSpec, Outcome, Status
from common.observability.dev import LiveAudit, LiveView, ShownEvent, ShownHealth
from common.observability.dev.feed import encode_feed
from common.observability.dev.page import render_page
from common.observability.dev.view import MAX_WAITING, Cursor
from common.observability.health import HealthRunner, Level, ServiceDescription
from common.observability.monitoring.spans import SpanRecord

START = 1_800_000_000
SECOND = 1_000_000_000
EVIL = "<script>alert(1)</script>\"'&"


class Clock:
    """Seconds since the epoch, moved by hand."""

    now: float = START

    def __call__(self) -> float:
        return self.now


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


def call(
    number: int = 1, *, ms: int = 1, at: int = 0, units: str = '{"CapacityUnits": 1.0}', **given: Any
) -> SpanRecord:
    """Return the span of a DAO's call that ended *at* seconds after the start."""
    end = (START + at) * SECOND
    attributes = {
        "db.system.name": "aws.dynamodb",
        "db.operation.name": given.pop("api", "GetItem"),
        "db.collection.name": "app",
        "db.query.summary": given.pop("operation", "UserDAO.get"),
        "aws.dynamodb.consumed_capacity": (units,),
    }
    return span(number, start_ns=end - ms * 1_000_000, end_ns=end, attributes=attributes, **given)


def event(number: int = 1, **given: Any) -> AuditEvent:
    """Return an audit event with something in every field."""
    defaults: dict[str, Any] = {
        "id": f"event-{number}",
        "time": datetime.fromtimestamp(START + number, UTC),
        "stream": "orders-1",
        "boot_id": "boot",
        "seq": number,
        "type": "authn_login_fail",
        "outcome": AuditOutcome.FAILURE,
        "severity": Severity.MEDIUM,
        "service": "orders",
        "reason": "wrong_password",
        "actor": "u-1",
        "subject": "h:0123456789abcdef",
        "session": "h:canary-session",
        "request_id": "canary-request",
        "source_ip": "192.0.2.7",
        "details": {"method": "canary-detail"},
    }
    return AuditEvent(**{**defaults, **given})


def shown(view: LiveView) -> str:
    """Return the page, without its style and script."""
    page = render_page(view.shown(), "orders").decode()
    return re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)


def row_of(view: LiveView, operation: str) -> list[str]:
    """Return the figures of an operation as the page shows them."""
    row = next(row for row in re.findall(r"<tr.*?</tr>", shown(view)) if f">{operation}</th>" in row)
    return re.findall(r'data-label="[^"]*" role="cell">([^<]*)<', row)


def view_at(clock: Clock) -> LiveView:
    """Return a view that goes by *clock*."""
    return LiveView(clock=clock)


# What it shows --------------------------------------------------------------------------------------------------------


def test_an_operation_has_rate_calls_errors_latencies_and_units_of_both_kinds() -> None:
    """Calls per second over the time since the start, the nearest-rank p99, reads and writes apart."""
    clock = Clock()
    view = view_at(clock)
    for number in range(100):
        view.add_span(call(number, ms=number + 1, at=number // 10, failed=number == 0))
    view.add_span(call(200, api="TransactWriteItems", operation="OrderDAO.place", units='{"CapacityUnits": 8.0}'))
    clock.now += 20

    assert ["5.0", "100", "1", "50.5", "99.0", "100", "0"] == row_of(view, "UserDAO.get")
    assert ["0.1", "1", "0", "1.0", "1.0", "0", "8"] == row_of(view, "OrderDAO.place")


@pytest.mark.parametrize(
    ("api", "told", "read", "write"),
    [
        ("GetItem", '{"CapacityUnits": 1.5}', "1.5", "0"),
        ("BATCH PutItem", '{"CapacityUnits": 3}', "0", "3"),
        ("TransactWriteItems", '{"CapacityUnits": 4, "ReadCapacityUnits": 4}', "4", "0"),
        ("PutItem", '{"CapacityUnits": 9, "WriteCapacityUnits": 8}', "1", "8"),
        ("GetItem", "nonsense", "0", "0"),
        ("GetItem", "[]", "0", "0"),
    ],
)
def test_units_are_of_the_kind_of_the_operation_unless_told_otherwise(
    api: str, told: str, read: str, write: str
) -> None:
    """An idempotent replay of a transaction reports read units; what cannot be read is nothing."""
    view = view_at(Clock())
    view.add_span(call(api=api, units=told))

    assert [read, write] == row_of(view, "UserDAO.get")[-2:]


def test_what_is_older_than_a_minute_is_in_no_rate_and_in_the_totals() -> None:
    """The window slides; the number of calls stays."""
    clock = Clock()
    view = view_at(clock)
    view.add_span(call(at=1))
    clock.now += 30
    assert "1" == row_of(view, "UserDAO.get")[1]
    assert 0 < view.shown().operations.calls.per_second
    clock.now += 60

    assert 0 == view.shown().operations.calls.per_second
    assert ["0.0", "1"] == row_of(view, "UserDAO.get")[:2]


def test_a_clock_that_is_ahead_elsewhere_stops_no_counting() -> None:
    """A span of another process that ended in the future counts as of now."""
    clock = Clock()
    view = view_at(clock)
    view.add_span(call(1, at=3_600))
    clock.now += 10
    view.add_span(call(2, at=10))
    clock.now += 1

    assert 2 == round(view.shown().operations.calls.per_second * 11)


def test_a_trace_is_a_waterfall_over_its_services() -> None:
    """Whichever span comes first; each bar begins and ends where its span does, in thousandths of the whole."""
    view = view_at(Clock())
    begin = START * SECOND
    inner = span(2, trace_id="t", parent_id=f"{1:016x}", start_ns=begin + 25, end_ns=begin + 75, service="inventory")
    view.add_span(inner)
    assert '<details class="trace"' not in shown(view)
    view.add_span(span(1, trace_id="t", start_ns=begin, end_ns=begin + 100))

    page = shown(view)
    assert '<rect class="s1" x="0" y="0" width="1000" height="10"/>' in page
    assert '<rect class="s0" x="250" y="0" width="500" height="10"/>' in page
    assert "2 spans · orders → inventory" in page


def test_a_trace_whose_root_is_elsewhere_is_shown_when_it_has_become_quiet() -> None:
    """A service that was called has the lower part of a trace only."""
    clock = Clock()
    view = view_at(clock)
    view.add_span(span(parent_id="f" * 16))
    assert () == view.shown().traces
    clock.now += 2

    assert 1 == len(view.shown().traces)


def test_a_trace_of_several_processes_is_shown_when_no_more_of_it_comes() -> None:
    """What one process has told of already waits for what another tells a moment later."""
    clock = Clock()
    view = LiveView(settle=1.5, clock=clock)
    view.add_span(span(1, trace_id="t"))
    clock.now += 1
    view.add_span(span(2, trace_id="t", parent_id=f"{1:016x}"))
    clock.now += 1
    assert () == view.shown().traces
    clock.now += 0.5

    assert 2 == len(view.shown().traces[0].spans)


def test_traces_and_events_come_the_newest_first() -> None:
    """Whatever order they were told in."""
    view = view_at(Clock())
    for number in (2, 1, 3):
        view.add_span(span(number, start_ns=START * SECOND + number))
        view.add_event(ShownEvent.of(event(number)))

    assert [3, 2, 1] == [int(trace.trace_id, 16) for trace in view.shown().traces]
    assert ["event-3", "event-2", "event-1"] == [each.id for each in view.shown().events]


def test_health_is_shown_by_group_and_what_fails_is_open() -> None:
    """A check stands in each of its groups, with status, reason, observed value and age."""
    runner = HealthRunner(service=ServiceDescription("orders", version="1.4.0"))
    runner.add(CheckSpec("ledger"), lambda context: Outcome(Status.FAIL, "down", observed=(0.25, "1")))
    runner.lifecycle.ready()
    view = LiveView()
    view.note_health(ShownHealth.of(runner.evaluate_sync(None, Level.FULL), view.now()))

    page = shown(view)
    assert 'id="group-orders-readiness" open data-open>' in page
    assert 'id="group-orders-liveness">' in page
    assert re.search(r'class="dot fail">ledger</span></th><td class="soft">fail 25.0% down</td>', page)
    assert "1.4.0" in page


def test_an_audit_event_shows_an_opaque_actor_and_nothing_beyond() -> None:
    """No detail, session, request or address; of a hashed subject no more than tells it from others."""
    view = view_at(Clock())
    sink = LiveAudit(view)
    sink.write(AuditRecord(event(), b"{}"))
    sink.flush()
    sink.close()

    page = shown(view)
    assert all(text in page for text in ("08:00:01", "wrong_password", "u-1 → h:012345…", "failure"))
    assert "canary" not in page + encode_feed(view.told_since(Cursor())).decode()
    assert "192.0.2.7" not in page + encode_feed(view.told_since(Cursor())).decode()
    assert not sink.durable


def test_attributes_that_the_page_does_not_need_are_not_kept() -> None:
    """A service may put anything into its own spans; it comes neither to the page nor to the feed."""
    view = view_at(Clock())
    view.add_span(span(attributes={"user.email": "canary@example.com", "error.type": "Refused"}))

    assert "canary" not in shown(view) + encode_feed(view.told_since(Cursor())).decode()
    assert {"error.type": "Refused"} == view.shown().traces[0].spans[0].attributes


def test_markup_in_any_name_is_text() -> None:
    """Names of services, groups, checks, spans, operations, tables, errors, events and people."""
    view = view_at(Clock())
    view.add_span(span(name=EVIL, service=EVIL, trace_id=EVIL, failed=True, attributes={"error.type": EVIL}))
    view.add_span(call(operation=EVIL, api=EVIL))
    view.add_event(ShownEvent(EVIL, START, EVIL, EVIL, EVIL, 1, EVIL, EVIL, EVIL))
    view.note_health(ShownHealth(EVIL, EVIL, "fail", (), EVIL))

    page = render_page(view.shown(), EVIL).decode()
    assert "<script>alert" not in page
    assert 1 == page.count("<script>")
    assert page.count("&lt;script&gt;") >= 10


def test_lone_surrogates_break_nothing() -> None:
    """What is no text in UTF-8 is replaced."""
    view = view_at(Clock())
    view.add_span(span(name="\ud800"))

    assert b"?" in render_page(view.shown(), "orders")


def test_an_empty_page_says_what_will_come() -> None:
    """Before the first span, event and report."""
    page = shown(view_at(Clock()))

    for text in ("No service has told", "No operation", "No trace yet", "No audit event yet"):
        assert text in page


# Its bounds -----------------------------------------------------------------------------------------------------------


def test_100_000_spans_and_events_leave_a_bounded_view_and_say_what_is_gone() -> None:
    """Traces, spans per trace, operations, events and what waits for readers each have an end."""
    clock = Clock()
    view = view_at(clock)
    for number in range(50_000):
        view.add_span(call(number, operation=f"Dao.method_{number % 5_000}"))
        view.add_event(ShownEvent.of(event(number % 60)))
    for number in range(300):
        view.add_span(span(number, trace_id="wide", parent_id=None if number == 299 else "x"))
    seen = view.shown()

    assert 20 == len(seen.traces)
    assert 40 == len(seen.events)
    assert 501 >= len(seen.operations.operations)
    assert 50_000 == sum(operation.row.calls for operation in seen.operations.operations)
    wide = next(trace for trace in seen.traces if trace.trace_id == "wide")
    assert (200, 100) == (len(wide.spans), wide.dropped)
    assert "100 of the oldest spans dropped" in shown(view)
    assert 100_300 - MAX_WAITING == view.told_since(Cursor()).missed


def test_threads_may_write_while_others_read() -> None:
    """Nothing is lost, and nobody sees half of it."""
    view = LiveView()
    failures: list[BaseException] = []

    def write(begin: int) -> None:
        for number in range(begin, begin + 500):
            view.add_span(call(number))

    def read() -> None:
        try:
            for _ in range(20):
                render_page(view.shown(), "orders")
                encode_feed(view.told_since(Cursor()))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(begin,)) for begin in range(0, 4_000, 500)]
    threads += [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == failures
    assert 4_000 == view.shown().operations.operations[0].row.calls
