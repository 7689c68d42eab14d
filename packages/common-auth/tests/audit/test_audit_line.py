"""One event is one line, whatever is in it (auth A1, A6)."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import FrozenInstanceError, fields
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.auth.exceptions import ConfigurationError
from common.auth.security.audit_line import MAX_LINE, seal, to_json
from common.auth.security.audit_logger import AuditLogger
from common.auth.security.audit_sinks import JsonLinesSink, MemorySink
from common.auth.security.audit_types import FAMILY_TYPES
from common.auth.security.context import RequestContext
from common.core.audit import AuditEvent, AuditOutcome, AuditType
from common.core.utils import identifier_time

INJECTIONS = [
    "\r\n{\"v\":1,\"stream\":\"x\",\"seq\":1,\"prev\":null,\"event\":{}}",
    "\n", "\r", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029",
    "\x1b[2J\x1b[31mred", "\x9b31m", "\x00", "\x07", "\x08\x08\x08", "\x7f",
    "\u202eevil\u202c", "\u2066isolate\u2069", "\u200f", "\ufeff", "\u200b",
    "\",\"outcome\":\"success", "\\", "\\u000a", "</script>", "${jndi:ldap://x}", "%0a", "😀", "\U000e0041", "\ud800",
]  # fmt: skip

PRINTABLE_ASCII = re.compile(rb"[\x20-\x7e]+")


def written(**options: Any) -> tuple[MemorySink, AuditLogger]:
    """Return a logger and where it writes to."""
    trail = MemorySink()
    types = [AuditType("order_placed", frozenset({"order", "note"}))]
    return trail, AuditLogger([trail], **{"service": "orders", "types": types, **options})


@pytest.mark.parametrize("text", INJECTIONS, ids=ascii)
def test_no_text_breaks_a_line_or_reaches_a_terminal(text: str) -> None:
    """Line ends, escape sequences and marks of direction are escaped wherever they come in (auth A6)."""
    trail, audit = written()
    ctx = RequestContext(request_id=text, source_service=text, source_ip=text)
    audit.emit(
        "order_placed",
        outcome=AuditOutcome.SUCCESS,
        actor=text,
        subject=text,
        reason=text,
        ctx=ctx,
        note={text: [text]},
    )
    audit.close()

    line = trail.records[0].line
    assert PRINTABLE_ASCII.fullmatch(line)
    event = json.loads(line)["event"]
    shown = text.replace("\ud800", "\ufffd")
    assert [shown] * 3 == [event["actor"], event["request_id"], event["reason"]]
    assert {shown: [shown]} == event["details"]["note"]


def test_a_file_has_as_many_lines_as_there_were_events(tmp_path: Any) -> None:
    """The whole corpus of injections, in a file: every line is one event, and reads back (auth A6)."""
    path = tmp_path / "audit.jsonl"
    audit = AuditLogger([JsonLinesSink(path)], service="orders", types=[AuditType("order_placed", frozenset({"note"}))])
    for text in INJECTIONS:
        audit.emit("order_placed", outcome=AuditOutcome.SUCCESS, actor=text, note=text)
    assert audit.close().complete

    lines = path.read_bytes().split(b"\n")
    assert b"" == lines.pop()
    assert [*range(1, len(INJECTIONS) + 2)] == [json.loads(line)["seq"] for line in lines]
    assert "stream_end" == json.loads(lines[-1])["event"]["type"]
    assert len(INJECTIONS) + 1 == len(path.read_text("utf-8").splitlines())


@pytest.mark.thorough
@settings(max_examples=60, deadline=None)
@given(
    st.text(max_size=80),
    st.recursive(
        st.one_of(st.text(max_size=50), st.integers(), st.floats()),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    ),
    st.sampled_from((1, 40, 400, 4000)),
)
def test_a_line_has_16_kib_at_the_most_and_says_when_it_was_cut(text: str, note: object, times: int) -> None:
    """However much comes in, the line fits, is JSON, and marks what is missing (auth A6)."""
    trail, audit = written()
    ctx = RequestContext(request_id=text * times, source_service=text * times, source_ip=text * times)
    audit.emit(
        "order_placed", outcome=AuditOutcome.SUCCESS, actor=text * times, subject=text * times, reason=text * times,
        ctx=ctx, note=[note] * times, order=text * times,
    )  # fmt: skip
    audit.close()

    line = trail.records[0].line
    assert len(line) <= MAX_LINE
    event = json.loads(line)["event"]
    assert event.get("truncated", False) == trail.events[0].truncated
    assert trail.events[0].truncated or times < 4000 or not text


def test_the_line_has_its_five_members_and_the_event_its_fields() -> None:
    """The stored form is the documented one, and says what the event says (auth A1, A6)."""
    trail, audit = written()
    ctx = RequestContext(request_id="r-12345678", source_service="gateway", source_ip="192.0.2.1", session="s-1")
    ref = audit.emit(
        "order_placed",
        outcome=AuditOutcome.FAILURE,
        actor="u-1",
        subject="u-2",
        reason="no_funds",
        ctx=ctx,
        order="o-1",
    )
    audit.close()

    record = trail.records[0]
    stored, event = json.loads(record.line), record.event
    assert ["v", "stream", "seq", "prev", "event"] == list(stored)
    assert (1, audit.stream, 1) == (stored["v"], stored["stream"], stored["seq"])
    assert {"after": None, "torn": None} == stored["prev"]
    assert (ref.id, ref.stream, ref.seq) == (event.id, event.stream, event.seq)
    assert {
        "id": event.id, "time": event.time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "boot_id": event.boot_id, "type": "order_placed", "outcome": "failure", "severity": 1, "service": "orders",
        "reason": "no_funds", "actor": "u-1", "subject": "u-2", "session": audit.pseudonym("s-1"),
        "request_id": "r-12345678", "source_service": "gateway", "source_ip": "192.0.2.1", "details": {"order": "o-1"},
    } == stored["event"]  # fmt: skip


def test_an_event_has_a_sortable_id_and_a_time_in_utc() -> None:
    """The id is a UUIDv7 of the event's time (auth A1)."""
    trail, audit = written()
    audit.emit("order_placed", outcome=AuditOutcome.SUCCESS)
    audit.close()
    event = trail.events[0]

    assert UTC == event.time.tzinfo
    assert abs((identifier_time(event.id) - event.time).total_seconds()) < 1
    assert audit.stream == f"orders-{event.boot_id}"


def test_an_event_cannot_be_changed() -> None:
    """What one sink gets, another cannot have changed (auth A1)."""
    trail, audit = written()
    audit.emit("order_placed", outcome=AuditOutcome.SUCCESS)
    audit.close()
    for field in fields(AuditEvent):
        with pytest.raises(FrozenInstanceError):
            setattr(trail.events[0], field.name, "changed")


def test_an_undeclared_type_is_refused() -> None:
    """The error names the type and where to declare it (auth A1)."""
    _, audit = written()
    with pytest.raises(ConfigurationError, match="'order_plced' is not declared"):
        audit.emit("order_plced", outcome=AuditOutcome.SUCCESS)
    audit.close()


def test_a_service_cannot_redeclare_a_type_of_the_family() -> None:
    """Else it could let pass what ours does not (auth A2)."""
    with pytest.raises(ConfigurationError, match="declared twice"):
        written(types=[AuditType("authn_login_fail", frozenset({"password"}))])


def test_the_vocabulary_is_that_of_owasp() -> None:
    """The types that OWASP names and the specification lists are all declared, each once (auth A2)."""
    names = [kind.name for kind in FAMILY_TYPES]

    assert len(names) == len(set(names))
    assert set(names) >= {
        "authn_login_success", "authn_login_successafterfail", "authn_login_fail", "authn_login_fail_max",
        "authn_login_lock", "authn_password_change", "authn_password_change_fail", "authn_token_created",
        "authn_token_revoked", "authn_token_reuse", "authn_token_delete", "authz_fail", "authz_change", "authz_admin",
        "session_created", "session_renewed", "session_expired", "session_use_after_expire", "user_created",
        "user_updated", "user_archived", "user_deleted", "privilege_permissions_changed", "excess_rate_limit_exceeded",
        "input_validation_fail", "gateway_mismatch", "sys_monitor_disabled", "sys_monitor_enabled",
        "crypto_key_rotated",
    }  # fmt: skip
    assert {"authn_password_reset_admin", "authz_change", "privilege_permissions_changed", "crypto_key_rotated"} == {
        kind.name for kind in FAMILY_TYPES if kind.required
    }


def utf8_json(value: Mapping[str, object]) -> bytes:
    """Make JSON as orjson does: UTF-8, nothing escaped that need not be."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


@pytest.mark.parametrize("text", INJECTIONS, ids=ascii)
def test_a_faster_serialiser_gives_the_same_line(text: str) -> None:
    """What another serialiser leaves unescaped is escaped behind it (auth A6)."""
    lines = []
    for serialise in (to_json, utf8_json):
        trail, audit = written(serialise=serialise)
        audit.emit("order_placed", outcome=AuditOutcome.SUCCESS, actor=text, note=text)
        audit.close()
        lines.append(trail.records[0].line)
        assert PRINTABLE_ASCII.fullmatch(lines[-1])

    assert json.loads(lines[0])["event"]["actor"] == json.loads(lines[1])["event"]["actor"]


def failing(value: Mapping[str, object]) -> str:
    """Make no JSON."""
    raise TypeError("no")


@pytest.mark.parametrize(
    "serialise",
    [
        failing,
        lambda value: json.dumps(value, indent=1),
        lambda value: "{}",
        lambda value: repr(value),
        lambda value: 7,
    ],
    ids=["raises", "several lines", "loses", "no JSON", "no text"],
)
def test_a_serialiser_that_is_not_faithful_is_refused_at_start_up(serialise: Callable[..., Any]) -> None:
    """It is tried on a hostile sample before the first event (auth X3)."""
    with pytest.raises(ConfigurationError, match="serialiser"):
        written(serialise=serialise)


def test_a_wordy_serialiser_costs_details_and_not_the_event() -> None:
    """Where separators with spaces make the line too long, the details go and the event stays (auth A6)."""
    trail, audit = written(serialise=lambda value: json.dumps(value, separators=("," + " " * 90, ": ")))
    audit.emit("order_placed", outcome=AuditOutcome.SUCCESS, actor="u-1", note=[[1] * 90] * 4)
    audit.close()

    assert ({}, True, "u-1") == (trail.events[0].details, trail.events[0].truncated, trail.events[0].actor)
    assert len(trail.records[0].line) <= MAX_LINE


def test_a_line_has_room_for_the_hash_of_the_one_before() -> None:
    """The member ``prev`` is the hash of the line before, or what the stream begins with (auth A6, A13)."""
    assert b'{"v":1,"stream":"s","seq":7,"prev":null,"event":{}}' == seal("s", 7, b"{}")
    assert b'{"v":1,"stream":"s","seq":7,"prev":"ab","event":{}}' == seal("s", 7, b"{}", prev="ab")
