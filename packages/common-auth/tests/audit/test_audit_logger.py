"""The logger and its sinks: order, isolation, losses, and what must not be lost (auth A7-A10, A12, A20-A22)."""

import threading
import time
from collections.abc import Callable
from typing import Any, cast

import pytest

from common.auth.exceptions import AuditUnavailable, ConfigurationError
from common.auth.health import AuditCheck
from common.auth.security.audit_lane import SinkPolicy, SinkState
from common.auth.security.audit_logger import AuditLogger, AuditStats
from common.auth.security.audit_sinks import MemorySink
from common.core.audit import AuditOutcome, Severity
from common.core.health import CheckContext, Status

OK = AuditOutcome.SUCCESS
Making = Callable[..., AuditLogger]
Sinks = Callable[..., Any]
Until = Callable[[Callable[[], object]], None]


def seqs(sink: MemorySink) -> list[int]:
    """Return the places in the stream that *sink* got, in the order it got them."""
    return [event.seq for event in sink.events]


def types(sink: MemorySink) -> list[str]:
    """Return the types of the events that *sink* got."""
    return [event.type for event in sink.events]


def lost(sink: MemorySink, name: str) -> set[int]:
    """Return the places that the gaps in *sink* say *name* has lost; every gap counts right."""
    missing: set[int] = set()
    for event in sink.events:
        if event.type == "audit_gap" and event.details["sink"] == name:
            runs = cast("list[tuple[int, int]]", event.details["ranges"])
            told = {seq for first, last in runs for seq in range(first, last + 1)}
            assert len(told) == event.details["lost"]
            assert not told & missing
            missing |= told
    return missing


# Order


def test_eight_threads_write_one_order(logging_to: Making) -> None:
    """Every sink gets every event once, in the order of the stream, whichever thread it came from (auth A12)."""
    first, second = MemorySink("first"), MemorySink("second")
    audit = logging_to(first, second, policy=SinkPolicy(timeout=60))
    refs: list[list[int]] = [[] for _ in range(8)]

    def work(number: int) -> None:
        for at in range(500):
            refs[number].append(audit.emit("order_placed", outcome=OK, actor=f"u-{number}", number=at).seq)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert audit.flush(10).complete

    assert [*range(1, 4001)] == seqs(first) == seqs(second)
    assert all(sorted(own) == own for own in refs)
    by_seq = {event.seq: event for event in first.events}
    assert all(by_seq[seq].actor == f"u-{number}" for number, own in enumerate(refs) for seq in own)
    assert 4000 == len({event.id for event in first.events})


def test_a_failed_write_is_repeated_in_order(logging_to: Making, failing: Sinks) -> None:
    """A sink that works again gets everything, from the first event on, and nothing twice (auth A12)."""
    sink = failing("failing", times=4)
    audit = logging_to(sink)
    for _ in range(20):
        audit.emit("order_placed", outcome=OK)

    assert audit.flush(10).complete
    placed = [event.seq for event in sink.events if event.type == "order_placed"]
    assert [*range(1, 21)] == placed
    assert sorted(seqs(sink)) == seqs(sink)


# Isolation


@pytest.mark.parametrize(
    "error", [OSError("disk"), SystemExit(1), KeyboardInterrupt(), RecursionError(), GeneratorExit()], ids=repr
)
def test_a_bad_sink_between_good_ones_harms_neither(
    error: BaseException, logging_to: Making, failing: Sinks, until: Until
) -> None:
    """Whatever the second sink raises, the first and the third get every event (auth A7)."""
    first, third = MemorySink("first"), MemorySink("third")
    audit = logging_to(first, failing("second", error=error), third)
    for _ in range(10):
        audit.emit("order_placed", outcome=OK)

    for sink in (first, third):
        until(lambda sink=sink: types(sink).count("order_placed") == 10)  # type: ignore[misc]


def test_a_failure_carries_the_plugins_name_in_log_and_counter(
    logging_to: Making, failing: Sinks, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    """Operators learn whose sink it is, and not what it had to write (auth A7, family F23)."""
    audit = logging_to(failing("acme-file", times=3), MemorySink(), owners={"acme-file": "acme-plugin"})
    audit.emit("order_placed", outcome=OK)
    until(lambda: audit.stats().sinks[0].failures == 3)
    audit.flush(5)

    stats = audit.stats().sinks[0]
    assert ("acme-plugin", 3) == (stats.plugin, stats.failures)
    failures = [record for record in caplog.records if "failed" in record.message]
    assert [("acme-file", "acme-plugin")] * 3 == [(r.__dict__["sink"], r.__dict__["plugin"]) for r in failures]
    assert "OSError" in caplog.text
    assert "s3cr3ts" not in caplog.text


def test_a_hanging_sink_delays_nobody(logging_to: Making, gated: Sinks, until: Until) -> None:
    """The caller and the other sinks go on while a write does not come back (auth A7, A22)."""
    hanging, good = gated("hanging"), MemorySink("good")
    audit = logging_to(hanging, good)
    audit.emit("order_placed", outcome=OK)
    assert hanging.is_waiting.wait(5)
    for _ in range(1000):
        audit.emit("order_placed", outcome=OK)

    until(lambda: types(good).count("order_placed") == 1001)
    assert [] == seqs(hanging)
    until(lambda: audit.stats().sinks[0].state is SinkState.HANGING)
    hanging.gate.set()
    assert audit.flush(10).complete
    assert sorted(seqs(hanging)) == seqs(hanging)
    assert 1001 == types(hanging).count("order_placed")


def test_one_event_that_a_sink_refuses_for_good_blocks_it_no_longer(logging_to: Making, picky: Sinks) -> None:
    """The sink gets all the others, and a gap that names the one (auth A7, A10)."""
    sink = picky("picky", refused=3)
    audit = logging_to(sink)
    for _ in range(6):
        audit.emit("order_placed", outcome=OK)

    assert audit.flush(10).complete
    assert {3} == lost(sink, "picky")
    assert [1, 2, 4, 5, 6] == [event.seq for event in sink.events if event.type == "order_placed"]
    assert 1 == audit.stats().dropped


def test_a_sink_that_is_down_for_long_loses_nothing(logging_to: Making, failing: Sinks) -> None:
    """Trying the next event tells a sink that is down from an event that is refused (auth A12)."""
    sink = failing("down", times=30)
    audit = logging_to(sink)
    for _ in range(5):
        audit.emit("order_placed", outcome=OK)

    assert audit.flush(10).complete
    assert 5 == types(sink).count("order_placed")
    assert 0 == audit.stats().dropped


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # it is killed on purpose
def test_a_queue_whose_thread_was_killed_is_served_again(logging_to: Making) -> None:
    """The next event starts a thread anew, and nothing that waited is lost (auth A7)."""
    sink = MemorySink()
    audit = logging_to(sink)
    lane = audit._lanes[0]
    lane._next_step = die  # type: ignore[method-assign]
    audit.emit("order_placed", outcome=OK)
    assert lane.join(5)
    del lane._next_step
    audit.emit("order_placed", outcome=OK)

    assert audit.flush(5).complete
    assert [1, 2] == seqs(sink)


def die() -> None:
    """End the thread that runs this, as nothing in the program would."""
    raise SystemExit


# Required events


def test_a_required_event_is_stored_before_the_call_returns(logging_to: Making) -> None:
    """One durable sink is enough (auth A9)."""
    audit = logging_to(MemorySink("volatile"), sink := MemorySink("durable", durable=True))

    ref = audit.emit_required("role_granted", outcome=OK, actor="u-1", subject="u-2", role="operator")

    assert [ref.id] == [event.id for event in sink.events]


def test_a_plain_emit_of_a_required_type_is_a_mistake(logging_to: Making) -> None:
    """Nobody forgets to wait (auth A9)."""
    with pytest.raises(ConfigurationError, match="emit_required"):
        logging_to(MemorySink()).emit("role_granted", outcome=OK)


def test_with_all_sinks_down_logins_work_and_role_changes_do_not(
    logging_to: Making, failing: Sinks, until: Until
) -> None:
    """Best effort goes on without a trail; what must leave a record is refused (auth A9)."""
    audit = logging_to(failing("file", durable=True), failing("other", durable=True))
    audit.emit("authn_login_success", outcome=OK, actor="u-1")
    until(lambda: all(sink.state is SinkState.DOWN for sink in audit.stats().sinks))

    assert audit.emit("authn_login_success", outcome=OK, actor="u-1").seq
    with pytest.raises(AuditUnavailable, match="No durable audit sink is working"):
        audit.emit_required("role_granted", outcome=OK, actor="u-1", role="operator")


def test_a_required_event_is_refused_as_soon_as_the_last_sink_goes_down(logging_to: Making, failing: Sinks) -> None:
    """Nobody waits for the timeout when there is nothing to wait for (auth A9)."""
    audit = logging_to(failing("file", durable=True))
    started = time.monotonic()
    with pytest.raises(AuditUnavailable, match="stored 'role_granted' within"):
        audit.emit_required("role_granted", outcome=OK, role="operator", timeout=9)

    assert time.monotonic() - started < 8


def test_a_record_that_comes_too_late_is_followed_by_one_that_takes_it_back(logging_to: Making, gated: Sinks) -> None:
    """The trail never says alone that a refused operation happened (auth A9)."""
    sink = gated("slow", durable=True)
    audit = logging_to(sink, policy=SinkPolicy(timeout=60))
    with pytest.raises(AuditUnavailable):
        audit.emit_required("role_granted", outcome=OK, role="operator", timeout=0.01)
    sink.gate.set()

    assert audit.flush(5).complete
    granted, refused = sink.events
    assert ("role_granted", "audit_unacknowledged") == (granted.type, refused.type)
    assert (granted.id, granted.seq) == (refused.details["event"], refused.details["event_seq"])


def test_a_sink_that_is_not_durable_acknowledges_nothing(logging_to: Making) -> None:
    """Memory and logging may lose what they took (auth A9)."""
    audit = logging_to(MemorySink())
    with pytest.raises(AuditUnavailable, match="No durable audit sink"):
        audit.emit_required("role_granted", outcome=OK, role="operator")
    assert ["no_durable_sink", "no_key"] == [finding.code for finding in audit.weaknesses()]


def test_a_required_event_is_never_dropped_for_others(logging_to: Making, gated: Sinks) -> None:
    """In a full queue it takes the place of what nobody waits for (auth A10)."""
    sink = gated("slow", durable=True)
    audit = logging_to(sink, queue=10, policy=SinkPolicy(timeout=60))
    for _ in range(30):
        audit.emit("order_placed", outcome=OK)
    with pytest.raises(AuditUnavailable):
        audit.emit_required("role_granted", outcome=OK, role="operator", timeout=0.01)
    for _ in range(30):
        audit.emit("order_flagged", outcome=OK)
    sink.gate.set()

    assert audit.flush(5).complete
    assert 1 == types(sink).count("role_granted")


# Overflow


@pytest.mark.thorough
def test_fifty_thousand_events_on_a_stuck_sink(logging_to: Making, gated: Sinks) -> None:
    """The queue keeps its bound, and afterwards every position is either stored or named in a gap (auth A10)."""
    stuck = gated("stuck")
    audit = logging_to(stuck, policy=SinkPolicy(timeout=60))
    audit.emit("order_placed", outcome=OK)
    assert stuck.is_waiting.wait(5)
    for _ in range(50_000 - 1):
        audit.emit("order_placed", outcome=OK)
    stats = audit.stats().sinks[0]
    assert (10_001, 39_999, 39_999) == (stats.depth, stats.lost, stats.unreported)
    stuck.gate.set()

    assert audit.flush(30).complete
    assert sorted(seqs(stuck)) == seqs(stuck)
    assert set(range(10_002, 50_001)) == lost(stuck, "stuck")
    assert set(range(1, audit.stats().emitted + 1)) == set(seqs(stuck)) | lost(stuck, "stuck")
    assert 0 == audit.stats().sinks[0].unreported


def test_mixed_severities_leave_exact_ranges_too(logging_to: Making, gated: Sinks) -> None:
    """The least severe go first, in as many ranges as it takes, and each is told once (auth A10)."""
    stuck = gated("stuck")
    audit = logging_to(stuck, queue=500, policy=SinkPolicy(timeout=60))
    audit.emit("order_flagged", outcome=OK)
    assert stuck.is_waiting.wait(5)
    for number in range(2000):
        audit.emit("order_flagged" if number % 3 == 0 else "order_placed", outcome=OK)
    stuck.gate.set()

    assert audit.flush(30).complete
    stored, missing = seqs(stuck), lost(stuck, "stuck")
    assert sorted(stored) == stored
    assert not set(stored) & missing
    assert set(range(1, audit.stats().emitted + 1)) == set(stored) | missing
    assert ["order_flagged"] * 501 == [kind for kind in types(stuck) if kind != "audit_gap"]
    assert len([event for event in stuck.events if event.type == "audit_gap"]) > 3


def test_the_others_learn_what_a_sink_has_lost(logging_to: Making, gated: Sinks, until: Until) -> None:
    """A gap is an event of the stream, so that a trail elsewhere tells of it too (auth A10)."""
    stuck, other = gated("stuck"), MemorySink("other")
    audit = logging_to(stuck, other, queue=5, policy=SinkPolicy(timeout=60))
    for _ in range(20):
        audit.emit("order_placed", outcome=OK)
        until(lambda: len(other.records) == audit.stats().emitted)
    stuck.gate.set()

    until(lambda: "audit_gap" in types(other))
    assert audit.flush(30).complete
    assert set() != lost(stuck, "stuck") == lost(other, "stuck")
    assert [*range(1, audit.stats().emitted + 1)] == seqs(other)


def test_losses_are_told_while_the_load_lasts(logging_to: Making, until: Until) -> None:
    """A sink that is too slow for good reports its gaps now and then, not at the end alone (auth A10)."""
    slow = MemorySink("slow")
    audit = logging_to(slow, queue=8)
    ended = threading.Event()

    def load() -> None:
        while not ended.is_set():
            audit.emit("order_placed", outcome=OK)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        until(lambda: "audit_gap" in types(slow))
    finally:
        ended.set()
        thread.join()
    assert audit.flush(10).complete
    assert set(range(1, audit.stats().emitted + 1)) == set(seqs(slow)) | lost(slow, "slow")


# Watching the watchers


def test_a_breaker_that_opens_is_told_to_the_others(logging_to: Making, failing: Sinks, until: Until) -> None:
    """They learn that a sink is down, whose it is and why, and that it is back (auth A20)."""
    other = MemorySink("other")
    audit = logging_to(failing("acme", times=6), other, owners={"acme": "acme-plugin"})
    audit.emit("order_placed", outcome=OK)
    until(lambda: "sys_monitor_enabled" in types(other))

    disabled = next(event for event in other.events if event.type == "sys_monitor_disabled")
    assert {"sink": "acme", "plugin": "acme-plugin", "cause": "down: OSError"} == disabled.details
    assert Severity.CRITICAL is disabled.severity


def test_a_sink_that_is_turned_off_is_told_to_the_others(logging_to: Making) -> None:
    """It gets nothing until it is turned on, then what waited (auth A20)."""
    one, other = MemorySink("one"), MemorySink("other")
    audit = logging_to(one, other)
    audit.emit("order_placed", outcome=OK)
    audit.flush(5)
    audit.disable("one", cause="maintenance")
    audit.disable("one")
    audit.emit("order_placed", outcome=OK)
    assert not audit.flush(0.05).complete
    before = types(one)
    audit.enable("one")
    audit.enable("one")

    assert audit.flush(5).complete
    assert ["order_placed"] == before
    expected = ["order_placed", "sys_monitor_disabled", "order_placed", "sys_monitor_enabled"]
    assert expected == types(one) == types(other)
    assert "disabled: maintenance" == other.events[1].details["cause"]
    with pytest.raises(ConfigurationError, match="No audit sink is called 'two'"):
        audit.disable("two")


def test_a_hanging_sink_is_told_to_the_others(logging_to: Making, gated: Sinks, until: Until) -> None:
    """A supervisor notices, even where nobody emits any more (auth A20)."""
    hanging, other = gated("hanging"), MemorySink("other")
    audit = logging_to(hanging, other)
    audit.emit("order_placed", outcome=OK)

    until(lambda: "sys_monitor_disabled" in types(other))
    assert "hanging: timeout" == other.events[1].details["cause"]


def test_the_counters_add_up(logging_to: Making, failing: Sinks, gated: Sinks, until: Until) -> None:
    """Emitted, written, lost, failed and waiting are told per sink (auth A21)."""
    audit = logging_to(MemorySink("good"), failing("bad", times=2), stuck := gated("stuck"), queue=5)
    for _ in range(20):
        audit.emit("order_flagged", outcome=OK)
    until(lambda: audit.stats().sinks[2].state is SinkState.HANGING)
    stuck.gate.set()
    until(lambda: audit.stats().sinks[2].state is SinkState.OK)
    until(lambda: adds_up(audit.stats()))

    stats = audit.stats()
    assert (None, audit.stream) == (stats.anchor_age, stats.stream)
    assert (0, 2, 0) == tuple(sink.failures for sink in stats.sinks)
    assert 2 == stats.failures
    assert stats.sinks[2].lost > 0


def adds_up(stats: AuditStats) -> bool:
    """Tell whether each sink has got, or lost, everything that was emitted, and nothing waits."""
    dropped = sum(sink.lost for sink in stats.sinks)
    balanced = all(stats.emitted == sink.written + sink.lost for sink in stats.sinks)
    return balanced and stats.dropped == dropped and stats.depth == 0


def test_the_health_check_follows_the_sinks(logging_to: Making, failing: Sinks, until: Until) -> None:
    """PASS, then WARN while one sink is out, then FAIL when none works; never critical (auth A21)."""
    audit = logging_to(MemorySink("one"), MemorySink("two"))
    check = AuditCheck(audit)

    def outcome() -> tuple[Status, str]:
        found = check.check(CheckContext(0.0))
        return found.status, found.reason

    states = [outcome()]
    audit.disable("one")
    states.append(outcome())
    audit.disable("two")
    states.append(outcome())

    assert [(Status.PASS, ""), (Status.WARN, "sink_not_working"), (Status.FAIL, "no_sink")] == states
    assert not check.spec.critical
    assert "disabled" == check.check(CheckContext(0.0)).detail["two"]


def test_the_health_check_tells_a_backlog(logging_to: Making, gated: Sinks) -> None:
    """A queue more than half full is a warning (auth A21)."""
    audit = logging_to(gated("slow"), queue=10, policy=SinkPolicy(timeout=60))
    for _ in range(8):
        audit.emit("order_placed", outcome=OK)
    found = AuditCheck(audit).check(CheckContext(0.0))

    assert (Status.WARN, "falling_behind", (8.0, "1")) == (found.status, found.reason, found.observed)


# The request path


def test_emitting_never_waits_for_a_sink(logging_to: Making, gated: Sinks) -> None:
    """With every sink stuck, ten thousand events are emitted before any gate opens (auth A22)."""
    sinks = [gated(f"stuck-{number}") for number in range(3)]
    audit = logging_to(*sinks, policy=SinkPolicy(timeout=60))
    for _ in range(10_000):
        audit.emit("order_placed", outcome=OK)

    assert [0, 0, 0] == [len(sink.records) for sink in sinks]
    assert 10_000 == audit.stats().emitted
