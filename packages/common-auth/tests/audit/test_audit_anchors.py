"""Anchors: signed, in time, and never in anybody's way (auth A14, A21)."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from common.auth.exceptions import ConfigurationError, WeakKey
from common.auth.health import AuditCheck
from common.auth.security.audit_anchor import Anchor, PublicKeys, anchor_hash, read_anchor, sign_anchor
from common.auth.security.audit_anchorer import Anchorer, Anchoring, Head
from common.auth.security.audit_sinks import AnchorFile, MemorySink
from common.auth.security.keys import KeyRing, SigningKey
from common.auth.security.secrets import SecretBytes
from common.core.audit import AuditOutcome
from common.core.health import CheckContext, Status
from common.core.utils.clock import FrozenClock

OK = AuditOutcome.SUCCESS
Making = Callable[..., Any]
Until = Callable[[Callable[[], object]], None]

KEY = SigningKey.generate("EdDSA", kid="k1")
START = datetime(2026, 11, 24, 12, tzinfo=UTC)


class KeptAnchors:
    """Keeps anchors in memory, and fails as often as it is told."""

    name = "kept"

    def __init__(self, failures: int = 0) -> None:
        self.lines: list[bytes] = []
        self.failures = failures
        self.is_closed = False

    def last(self) -> bytes | None:
        """Return the last line."""
        return self.lines[-1] if self.lines else None

    def write(self, line: bytes, /) -> None:
        """Keep a line, or fail."""
        if self.failures:
            self.failures -= 1
            raise OSError("the witness is away")
        self.lines.append(line)

    def close(self) -> None:
        """Note that it was called."""
        self.is_closed = True

    @property
    def seqs(self) -> list[int]:
        """The places that the anchors speak of."""
        return [json.loads(line)["seq"] for line in self.lines]


@pytest.fixture
def clock() -> FrozenClock:
    """Return a clock that stands still."""
    return FrozenClock(START)


def quiet(sink: KeptAnchors, clock: FrozenClock, **options: Any) -> Anchorer:
    """Make an anchorer whose thread does not run, so that only the test's calls write anchors."""
    anchorer = Anchorer(Anchoring(sink=sink, keys=KEY, **options), stream="orders-ab", clock=clock)
    anchorer._start = lambda: None  # type: ignore[method-assign]
    return anchorer


def head(seq: int) -> Head:
    """Make a head."""
    return Head(seq, seq.to_bytes(32, "big"))


def test_the_cadence_on_a_clock_that_is_moved(clock: FrozenClock) -> None:
    """At once, at each thousandth record, and a minute after the last, also when nothing has happened (auth A14)."""
    sink = KeptAnchors()
    anchorer = quiet(sink, clock)
    anchorer.flushed("file", head(3), [])
    anchorer.tick()
    anchorer.flushed("file", head(2400), [head(1000), head(2000)])
    anchorer.tick()
    clock.advance(timedelta(seconds=59))
    anchorer.tick()
    assert [3, 1000, 2000] == sink.seqs
    for _ in range(3):
        clock.advance(timedelta(seconds=60))
        anchorer.tick()

    assert [3, 1000, 2000, 2400, 2400, 2400] == sink.seqs
    times = [read_anchor(line)[0].time for line in sink.lines]  # type: ignore[index]
    assert [0, 0, 0, 119, 179, 239] == [(time - START).seconds for time in times]


def test_a_logger_anchors_every_so_many_records_exactly(logging_to: Making) -> None:
    """However many records one flush holds, the places are multiples (auth A14)."""
    sink = KeptAnchors()
    audit = logging_to(MemorySink(durable=True), anchoring=Anchoring(sink=sink, keys=KEY, records=100))
    for _ in range(999):
        audit.emit("order_placed", outcome=OK)
    assert audit.close(10).complete

    assert {*range(100, 1001, 100)} <= set(sink.seqs)
    assert sorted(sink.seqs) == sink.seqs
    assert sink.is_closed


def test_each_anchor_is_signed_and_names_the_one_before(clock: FrozenClock) -> None:
    """Also across a restart, and whichever stream it speaks of (auth A14)."""
    sink = KeptAnchors()
    for _ in range(2):
        anchorer = quiet(sink, clock)
        anchorer.flushed("file", head(2), [])
        anchorer.flushed("table", head(1), [])
        anchorer.tick()
    found = [read_anchor(line) for line in sink.lines]
    keys = PublicKeys([KEY.verification])

    assert 4 == len(found)
    assert [None] * 4 == [keys.refusal(*each) for each in found if each]
    assert [None, *map(anchor_hash, sink.lines)][:-1] == [each[0].previous for each in found if each]
    assert {"file", "table"} == {each[0].sink for each in found if each}


def test_an_anchor_that_fails_is_tried_again_and_harms_nobody(clock: FrozenClock, caplog: Any) -> None:
    """The trail goes on; none of the places is left out (auth A14)."""
    sink = KeptAnchors(failures=2)
    anchorer = quiet(sink, clock)
    anchorer.flushed("file", head(150), [head(100)])
    assert not anchorer.tick()
    anchorer.tick()
    clock.advance(timedelta(seconds=1))
    assert not anchorer.tick()
    anchorer.flushed("file", head(250), [head(200)])
    clock.advance(timedelta(seconds=2))
    assert anchorer.tick()

    assert [100, 200] == sink.seqs
    assert "OSError" in caplog.text
    assert "away" not in caplog.text


def test_a_witness_that_hangs_delays_neither_events_nor_the_end(logging_to: Making, until: Until) -> None:
    """Anchors have a thread of their own, and closing waits no longer than it may (auth A14, A22)."""
    gate = threading.Event()

    class Hanging(KeptAnchors):
        def write(self, line: bytes, /) -> None:
            gate.wait(20)

    trail = MemorySink(durable=True)
    audit = logging_to(trail, anchoring=Anchoring(sink=Hanging(), keys=KEY, records=1))
    for _ in range(100):
        audit.emit("order_placed", outcome=OK)
    until(lambda: len(trail.records) == 100)
    report = audit.close(0.2)
    gate.set()

    assert not report.complete


def test_a_sink_that_hangs_costs_the_others_neither_their_end_nor_its_anchor(logging_to: Making, gated: Any) -> None:
    """The durable sink beside it has its ``stream_end``, and the anchor speaks of that (auth A14, A19)."""
    sink, good = KeptAnchors(), MemorySink("good", durable=True)
    audit = logging_to(gated("late", durable=True), good, anchoring=Anchoring(sink=sink, keys=KEY))
    audit.emit("order_placed", outcome=OK)
    report = audit.close(1.0)

    assert ["late"] == list(report.pending)
    assert "stream_end" in [event.type for event in good.events]
    assert ("good", good.events[-1].seq) == (json.loads(sink.lines[-1])["sink"], sink.seqs[-1])


def test_health_and_counters_tell_the_age_of_the_last_anchor(
    logging_to: Making, clock: FrozenClock, until: Until
) -> None:
    """A missing heartbeat is a warning before anybody verifies (auth A14, A21)."""
    sink = KeptAnchors()
    audit = logging_to(MemorySink(durable=True), anchoring=Anchoring(sink=sink, keys=KEY), clock=clock)
    assert audit.stats().anchor_age is None
    audit.emit("order_placed", outcome=OK)
    until(lambda: clock.advance(timedelta(seconds=0.1)) or sink.lines)
    assert audit.stats().anchor_age < 60  # type: ignore[operator]
    assert Status.PASS is AuditCheck(audit).check(CheckContext(deadline=1.0)).status
    sink.failures = 10**6
    clock.advance(timedelta(seconds=100))
    outcome = AuditCheck(audit).check(CheckContext(deadline=1.0))

    assert (Status.WARN, "anchors_late") == (outcome.status, outcome.reason)
    sink.failures = 0


def test_an_anchor_reads_back_as_it_was_written() -> None:
    """The documented form, byte for byte but for the signature (auth A14)."""
    anchor = Anchor(
        stream="orders-ab", sink="file", seq=7, head=bytes(range(32)), time=START, within=60, previous=None, kid="k1"
    )
    line = sign_anchor(anchor, KEY)

    assert line.startswith(
        b'{"v":1,"stream":"orders-ab","sink":"file","seq":7,"head":"000102030405060708090a0b0c0d0e0f1011121314151617'
        b'18191a1b1c1d1e1f","time":"2026-11-24T12:00:00.000Z","within":60,"prev_anchor":null,"kid":"k1","sig":"'
    )
    found = read_anchor(line)
    assert found is not None
    assert anchor == found[0]
    assert read_anchor(line + b" ") is None
    assert read_anchor(line.replace(b"2026-11-24", b"2026-13-24")) is None
    assert b"common-audit-anchor/1\n" + line[: line.index(b',"sig"')] == found[1]


def test_rotating_the_key_goes_on_with_the_next_one(clock: FrozenClock) -> None:
    """A ring signs by the key whose time has come, and each anchor says which (auth A14)."""
    later = SigningKey.generate(kid="k2").starting(START + timedelta(hours=1))
    ring = KeyRing([KEY, later], issuer="audit", clock=clock)
    sink = KeptAnchors()
    anchorer = Anchorer(Anchoring(sink=sink, keys=ring), stream="orders-ab", clock=clock)
    anchorer._start = lambda: None  # type: ignore[method-assign]
    anchorer.flushed("file", head(1), [])
    anchorer.tick()
    clock.advance(timedelta(hours=2))
    anchorer.tick()

    assert ["k1", "k2"] == [json.loads(line)["kid"] for line in sink.lines]


def test_a_torn_anchor_is_cut_off_and_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    """Nobody had been told that it was stored, so the next takes its place (auth A14)."""
    path = tmp_path / "audit.anchors"
    anchor = Anchor(stream="s", sink="file", seq=1, head=bytes(32), time=START, within=60, previous=None, kid="k1")
    lines = [sign_anchor(each, KEY) for each in (anchor, replace(anchor, seq=2))]
    path.write_bytes(lines[0] + b"\n" + lines[1][:50])
    file = AnchorFile(path)
    assert lines[0] == file.last()
    file.write(lines[1])
    file.close()

    assert lines == path.read_bytes().splitlines()
    assert 0o600 == path.stat().st_mode & 0o777
    second, third = AnchorFile(path), AnchorFile(path)
    second.last()
    with pytest.raises(ConfigurationError, match="another process"):
        third.last()
    second.close()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"records": 0}, ConfigurationError),
        ({"seconds": 0}, ConfigurationError),
        ({"keys": SigningKey.generate("ES256", kid="k1")}, ConfigurationError),
        ({"mac_key": SecretBytes(b"short")}, WeakKey),
    ],
    ids=["records", "seconds", "algorithm", "MAC key"],
)
def test_an_anchoring_that_cannot_work_is_refused_at_once(options: dict[str, Any], error: type[Exception]) -> None:
    """Before the first event (auth X3)."""
    with pytest.raises(error):
        Anchoring(**{"sink": KeptAnchors(), "keys": KEY, **options})


@pytest.mark.parametrize(
    "keys", [[], [KEY.verification] * 2, [SigningKey.generate("ES256", kid="k").verification]], ids="abc"
)
def test_keys_that_cannot_pin_anything_are_refused(keys: Any) -> None:
    """None, two of one id, or another algorithm (auth X3)."""
    with pytest.raises(ConfigurationError):
        PublicKeys(keys)
