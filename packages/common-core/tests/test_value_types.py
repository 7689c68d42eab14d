"""The value types that plugins exchange, and the kit to test with them."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from common.core.audit import AuditEvent, AuditOutcome, AuditRecord, Severity
from common.core.health import CheckContext, CheckSpec, Status
from common.core.testing import RecordingSink
from common.exceptions import ConfigurationError

EVENT = AuditEvent(
    id="01890a5d-ac96-774b-bcce-b302099a8057",
    time=datetime(2026, 1, 1, tzinfo=UTC),
    stream="orders",
    boot_id="b-1",
    seq=1,
    type="authn_login_fail",
    outcome=AuditOutcome.FAILURE,
    severity=Severity.MEDIUM,
    service="orders",
)


@pytest.mark.parametrize("name", ["", "Disk", "disk:free", "-disk", "disk free", "disk\n"])
def test_a_check_name_has_no_place_for_surprises(name: str) -> None:
    """Names stand in paths, metrics and the HTTP format, where a colon separates the measurement."""
    with pytest.raises(ConfigurationError, match="does not match"):
        CheckSpec(name)


@pytest.mark.parametrize("times", [{"timeout": 0.0}, {"timeout": -1.0}, {"ttl": -1.0}, {"ttl_fail": -0.1}])
def test_times_of_a_check_are_not_negative(times: dict[str, Any]) -> None:
    """A check without time to run could never pass."""
    with pytest.raises(ConfigurationError, match="timeout must be above 0"):
        replace(CheckSpec("disk"), **times)


def test_the_worst_status_is_the_maximum() -> None:
    """Several checks are as bad as the worst of them."""
    assert Status.FAIL is max(Status.PASS, Status.FAIL, Status.WARN)


def test_the_time_left_is_never_negative() -> None:
    """A check that starts too late has no time, not less than none."""
    assert 0.0 == CheckContext(deadline=0.0).remaining()


def test_a_recording_sink_is_idempotent() -> None:
    """As every sink must, it stores a record once, however often it is delivered."""
    sink = RecordingSink()
    first, second = AuditRecord(EVENT, b"{}"), AuditRecord(replace(EVENT, id="other", seq=2), b"{}")
    for record in (first, first, second):
        sink.write(record)
    sink.flush()
    sink.close()

    assert [first, second] == sink.records
    assert (1, True) == (sink.flushes, sink.is_closed)


def test_the_fixture_is_a_sink(recording_sink: RecordingSink) -> None:
    """``recording_sink`` comes fresh and durable."""
    assert ("recording", True, []) == (recording_sink.name, recording_sink.durable, recording_sink.records)
