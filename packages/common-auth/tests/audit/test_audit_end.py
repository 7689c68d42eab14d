"""The end of the trail: what closing and flushing promise, also to a process that exits or forks (auth A19)."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from common.auth.exceptions import AuditUnavailable
from common.auth.security.audit_logger import AuditLogger
from common.auth.security.audit_sinks import MemorySink
from common.core.audit import AuditOutcome

OK = AuditOutcome.SUCCESS
Making = Callable[..., AuditLogger]
Sinks = Callable[..., Any]
Until = Callable[[Callable[[], object]], None]


def test_closing_flushes_and_closes_every_sink(logging_to: Making) -> None:
    """What was emitted is stored, and each sink is closed once, by its own thread (auth A19)."""
    sinks = [MemorySink("one"), MemorySink("two")]
    audit = logging_to(*sinks)
    for _ in range(500):
        audit.emit("order_placed", outcome=OK)

    assert audit.close(10).complete
    assert [500, 500] == [len(sink.records) for sink in sinks]
    assert [True, True] == [sink.is_closed for sink in sinks]


def test_flushing_tells_who_is_late(logging_to: Making, gated: Sinks) -> None:
    """Within its deadline, flush() waits no longer and names the sink and how much it still has (auth A19)."""
    audit = logging_to(MemorySink("quick"), gated("late"))
    for _ in range(3):
        audit.emit("order_placed", outcome=OK)
    report = audit.flush(0.02)

    assert not report.complete
    assert ["late"] == list(report.pending)
    assert report.pending["late"] >= 3


def test_a_stuck_sink_does_not_keep_the_service_from_ending(logging_to: Making, gated: Sinks) -> None:
    """close() returns at its deadline and says what is left behind (auth A19)."""
    audit = logging_to(gated("late"))
    audit.emit("order_placed", outcome=OK)
    report = audit.close(0.05)

    assert not report.complete
    assert ["late"] == list(report.pending)


def test_what_comes_after_the_end_is_told_to_be_lost(logging_to: Making, caplog: pytest.LogCaptureFixture) -> None:
    """A late event fails no request, has no place in the stream, and is logged once; a required one is refused."""
    sink = MemorySink(durable=True)
    audit = logging_to(sink)
    audit.emit("order_placed", outcome=OK)
    audit.close()

    assert [0, 0] == [audit.emit("order_placed", outcome=OK).seq for _ in range(2)]
    assert 1 == caplog.text.count("came after the logger was closed")
    with pytest.raises(AuditUnavailable):
        audit.emit_required("role_granted", outcome=OK)
    assert ["order_placed", "stream_end"] == [event.type for event in sink.events]


SCRIPT = """
import sys
from common.auth.security.audit_logger import AuditLogger, AuditStats
from common.auth.security.audit_sinks import JsonLinesSink
from common.core.audit import AuditOutcome
audit = AuditLogger([JsonLinesSink(sys.argv[1])], service="orders")
for _ in range(200):
    audit.emit("authn_login_success", outcome=AuditOutcome.SUCCESS)
"""


def test_what_nobody_closed_is_flushed_when_the_interpreter_exits(tmp_path: Any) -> None:
    """A script that ends without close() loses nothing."""
    path = tmp_path / "audit.jsonl"
    subprocess.run([sys.executable, "-c", SCRIPT, str(path)], check=True)

    assert 200 == path.read_text().count("authn_login_success")


FORKING = """
import os, sys
from common.auth.security.audit_logger import AuditLogger, AuditStats
from common.auth.security.audit_sinks import JsonLinesSink
from common.core.audit import AuditOutcome
audit = AuditLogger([JsonLinesSink(sys.argv[1] + "/audit-{pid}.jsonl")], service="orders")
audit.emit("sys_startup", outcome=AuditOutcome.SUCCESS)
audit.flush(5)
child = os.fork()
for _ in range(50):
    audit.emit("authn_login_success", outcome=AuditOutcome.SUCCESS)
report = audit.close(5)
if child:
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
os._exit(0 if report.complete else 1)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")
def test_a_forked_child_begins_a_stream_of_its_own(tmp_path: Any) -> None:
    """Parent and child both write all of theirs, each under its own boot id, counted from one (auth A12)."""
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORKING, str(tmp_path)], check=True)

    streams = [[json.loads(line) for line in path.read_text().splitlines()] for path in tmp_path.iterdir()]
    assert [51, 52] == sorted(map(len, streams))
    assert 2 == len({line["stream"] for lines in streams for line in lines})
    assert all([*range(1, len(lines) + 1)] == [line["seq"] for line in lines] for lines in streams)
