"""What verification finds: every change, every deletion, every move, and how far anybody vouches for the rest (auth A15)."""

import copy
import itertools
import json
import random
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.auth.exceptions import ConfigurationError
from common.auth.security.audit_anchor import Anchor, PublicKeys, anchor_hash, read_anchor, sign_anchor
from common.auth.security.audit_anchorer import Anchoring
from common.auth.security.audit_chain import NOTHING, head_of, link, read_envelope
from common.auth.security.audit_line import seal
from common.auth.security.audit_reading import read_event
from common.auth.security.audit_report import Problems
from common.auth.security.audit_sinks import AnchorFile, MemorySink
from common.auth.security.audit_verification import Verdict, _Trail, verify_chain
from common.auth.security.audit_witnesses import Witnesses
from common.auth.security.keys import SigningKey
from common.auth.security.secrets import SecretBytes

pytestmark = pytest.mark.thorough

Writing = Callable[..., Any]

KEY = SigningKey.generate("EdDSA", kid="k1")
MAC_KEY = SecretBytes(b"a master key of the audit trail!")


def chained(bodies: list[bytes], *, stream: str = "orders-ab", after: bytes | None = None) -> list[bytes]:
    """Write a stream by hand, by the rule in the documentation, without the code that it is to be compared with."""
    named = "null" if after is None else f'"{after.hex()}"'
    prev, before, lines = f'{{"after":{named},"torn":null}}', bytes(32), []
    for seq, body in enumerate(bodies, 1):
        line = b'{"v":1,"stream":"%b","seq":%d,"prev":%b,"event":%b}' % (stream.encode(), seq, prev.encode(), body)
        lines.append(line + b"\n")
        before = link(before, stream, seq, line)
        prev = f'"{before.hex()}"'
    return lines


def forged(trail: Any, lines: list[bytes]) -> list[bytes]:
    """Rewrite the trail from *lines*' events on with a chain that holds, as an attacker would who has no signing key."""
    envelopes = [read_envelope(line.strip()) for line in lines]
    bodies = [envelope.body for envelope in envelopes if envelope is not None]
    assert len(bodies) == len(lines)
    return chained(bodies, stream=read_envelope(trail.records[0].strip()).stream)


# The chain


def test_the_golden_chain() -> None:
    """Three lines whose hashes were computed once by the rule: length, hash before, stream, place, bytes (auth A13)."""
    lines = [line.strip() for line in chained([b'{"type":"a"}', b'{"type":"b"}', b'{"type":"c"}'])]

    assert b'{"v":1,"stream":"orders-ab","seq":1,"prev":{"after":null,"torn":null},"event":{"type":"a"}}' == lines[0]
    assert GOLDEN == [head.hex() for line in lines if (head := head_of(line))]
    assert link(NOTHING, "orders-ab", 1, lines[0]).hex() in lines[1].decode()


GOLDEN = [
    "810495fdc5b7452efa6904f21f8f9023f43ac3a92dd8ea4ccddcfcbc9dcb464c",
    "86a47a6539e773f3a963eb9677da6a3743e1bd58d324419de06ef93d341f34c5",
    "f0da7a028386c868c15f8c8843e60fe93f3b253c0b61a9249019479a692ee095",
]


def test_a_logger_writes_the_documented_chain(written_trail: Writing) -> None:
    """Lines that a logger has stored are those that the rule gives, written by hand (auth A13)."""
    trail = written_trail(20)
    stream = read_envelope(trail.records[0].strip()).stream

    assert trail.records == forged(trail, trail.records)
    assert {stream} == {json.loads(line)["stream"] for line in trail.records}


def test_a_trail_as_it_was_written_is_intact(written_trail: Writing) -> None:
    """Nothing is wrong, all of it is anchored, and the stream has an end (auth A15, A19)."""
    report = written_trail(200, every=50).verified()

    assert (Verdict.INTACT, 200, ()) == (report.verdict, report.records, report.problems)
    (stream,) = report.streams
    assert (1, 200, 200, True, None) == (stream.first, stream.last, stream.anchored, stream.ended, stream.unanchored)


def test_streams_follow_each_other_in_one_file(written_trail: Writing) -> None:
    """A process that begins names the line that was last before it; two of them are one trail (auth A13)."""
    for _ in range(3):
        trail = written_trail(20, every=10)
    report = trail.verified()

    assert (Verdict.INTACT, 60, 3) == (report.verdict, report.records, len(report.streams))
    before, first = trail.records[19].strip(), json.loads(trail.records[20])
    assert head_of(before).hex() == first["prev"]["after"]


def test_a_drop_does_not_break_the_chain(logging_to: Writing, picky: Any) -> None:
    """What a sink has lost before it was sealed is a gap in the places, not in the chain (auth A13)."""
    sink = picky("picky", refused=3, durable=True)
    audit = logging_to(sink)
    for _ in range(6):
        audit.emit("order_placed", outcome="success")
    assert audit.close(10).complete
    report = verify_chain([record.line for record in sink.records], [], None)

    assert {"unanchored"} == {problem.code for problem in report.problems}
    assert (1, True) == (report.streams[0].dropped, report.streams[0].ended)


# Every change


def first_bad_after(trail: Any, reader: Any, changed: bytes, number: int) -> Any:
    """Read on from line *number*, which was *changed*, until tampering shows, and return the first sign of it."""
    rest = itertools.chain(changed.splitlines(keepends=True), trail.records[number + 1 :])
    for line in rest:
        reader.take(line)
        if reader._problems.verdict is Verdict.TAMPERED:
            break
    else:
        reader.finish(None)
    return next(iter(reader._problems.listed()), None)


def test_every_flip_of_a_byte_is_found(written_trail: Writing) -> None:
    """In an anchored trail of 200 records there is no byte whose change goes unnoticed (auth A15)."""
    trail = written_trail(200, every=100)
    assert Verdict.INTACT is trail.verified().verdict
    problems = Problems()
    witnesses = Witnesses(trail.keys, problems, sink=None, retained=False)
    witnesses.read(trail.anchors)
    reader = _Trail(witnesses, problems, sink=None, retained=False, mac_key=None)
    chance, count = random.Random(1), 0
    for number, line in enumerate(trail.records):
        for at in range(len(line)):
            # The lines before it are as they were, so that a copy of what has read them can go on from here.
            changed = line[:at] + bytes([line[at] ^ chance.randrange(1, 256)]) + line[at + 1 :]
            bad = first_bad_after(trail, copy.deepcopy(reader), changed, number)
            assert bad is not None, (number, at)
            assert Verdict.TAMPERED is bad.verdict
            assert number + 1 <= bad.line <= number + 3, (number, at, bad)
            count += 1
        reader.take(line)

    assert sum(map(len, trail.records)) == count


def test_every_flip_of_a_byte_of_the_anchors_is_found(written_trail: Writing) -> None:
    """An anchor that was changed speaks for nothing, and its change is seen (auth A15)."""
    trail = written_trail(30, every=10)
    for number, line in enumerate(trail.anchors):
        for at in range(len(line)):
            changed = line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :]
            anchors = b"".join([*trail.anchors[:number], changed, *trail.anchors[number + 1 :]]).splitlines(
                keepends=True
            )
            assert trail.verified(anchors=anchors).verdict is not Verdict.INTACT


def test_every_deletion_and_every_swap_is_found(written_trail: Writing) -> None:
    """Each line taken out, and each two neighbours changed over: found, at its place (auth A15)."""
    trail = written_trail(200, every=100)
    for number in range(200):
        shorter = [*trail.records[:number], *trail.records[number + 1 :]]
        report = trail.verified(records=shorter)
        assert (Verdict.TAMPERED, number + 1) == (report.verdict, report.first_bad.seq)
    for number in range(199):
        swapped = list(trail.records)
        swapped[number], swapped[number + 1] = swapped[number + 1], swapped[number]
        report = trail.verified(records=swapped)
        assert (Verdict.TAMPERED, number + 1) == (report.verdict, report.first_bad.seq)


@pytest.mark.parametrize("cut", [1, 2, 50, 99, 100, 150, 199, 200])
def test_a_cut_off_end_is_found(cut: int, written_trail: Writing) -> None:
    """Anchors speak of what is not there any more (auth A15)."""
    trail = written_trail(200, every=100)
    report = trail.verified(records=trail.records[:-cut])

    assert (Verdict.TAMPERED, 201 - cut, 200) == (report.verdict, report.first_bad.seq, report.first_bad.until)


@pytest.mark.parametrize("at", [0, 1, 57, 199, 200])
def test_an_inserted_line_is_found(at: int, written_trail: Writing) -> None:
    """Whether it names the right hash or not (auth A15)."""
    trail = written_trail(200, every=100)
    before = head_of(trail.records[at - 1].strip()).hex() if at else None
    stream = json.loads(trail.records[0])["stream"]
    for prev in (before, "ab" * 32):
        line = seal(stream, at + 1, b'{"type":"authz_change"}', prev=prev) + b"\n"
        report = trail.verified(records=[*trail.records[:at], line, *trail.records[at:]])
        assert Verdict.INTACT is not report.verdict
        assert at == 200 or Verdict.TAMPERED is report.verdict


def test_a_repeated_line_is_found(written_trail: Writing) -> None:
    """A line twice is one line too many (auth A15)."""
    trail = written_trail(50, every=10)
    report = trail.verified(records=[*trail.records[:20], *trail.records[10:]])

    assert (Verdict.TAMPERED, 11, "out_of_order") == (report.verdict, report.first_bad.seq, report.first_bad.code)


def test_swapped_streams_are_found(written_trail: Writing) -> None:
    """Two processes' parts of a file in the wrong order, and a line that moved from one to the other (auth A15)."""
    for _ in range(2):
        trail = written_trail(20, every=10)
    first, second = trail.records[:20], trail.records[20:]

    assert Verdict.TAMPERED is trail.verified(records=[*second, *first]).verdict
    assert Verdict.TAMPERED is trail.verified(records=second).verdict
    assert Verdict.TAMPERED is trail.verified(records=first).verdict
    moved = [*first[:10], second[10], *first[11:], *second[:10], first[10], *second[11:]]
    assert Verdict.TAMPERED is trail.verified(records=moved).verdict
    renamed = [line.replace(json.loads(second[0])["stream"].encode(), b"orders-ff") for line in second]
    assert Verdict.TAMPERED is trail.verified(records=[*first, *renamed]).verdict


def test_a_trail_written_anew_is_found(written_trail: Writing) -> None:
    """A chain that holds proves nothing: the anchors of the pinned key do not speak for it (auth A15)."""
    trail = written_trail(200, every=50)
    changed = [line.replace(b'"actor":"u-120"', b'"actor":"u-999"') for line in trail.records]
    report = trail.verified(records=forged(trail, changed))

    assert (Verdict.TAMPERED, "not_as_anchored") == (report.verdict, report.first_bad.code)
    assert (101, 150) == (report.first_bad.seq, report.first_bad.until)


def test_a_trail_written_anew_with_anchors_of_another_key_is_found(written_trail: Writing) -> None:
    """Who makes a key of their own and signs everything anew has no key that is pinned (auth A15)."""
    trail = written_trail(100, every=50)
    for kid in ("another", trail.key.kid):
        own = SigningKey.generate("EdDSA", kid=kid)
        records = forged(trail, [line.replace(b"u-7", b"u-8") for line in trail.records])
        anchor = replace(read_anchor(trail.anchors[0].strip())[0], seq=100, head=head_of(records[-1].strip()), kid=kid)
        report = trail.verified(records=records, anchors=[sign_anchor(anchor, own)])
        assert Verdict.TAMPERED is report.verdict
        assert {"unknown_key", "bad_signature"} & {problem.code for problem in report.problems}


def test_a_key_counts_within_its_epoch_alone(written_trail: Writing) -> None:
    """Anchors of a key that was retired before, begins later, or is revoked, are refused (auth A15)."""
    trail = written_trail(20)
    now, day = datetime.now(UTC), timedelta(days=1)
    public = trail.key.verification

    def verdict(**epoch: Any) -> Verdict:
        return trail.verified(keys=PublicKeys([replace(public, **epoch)])).verdict

    assert Verdict.INTACT is verdict(not_before=now - day, retire_at=now + day)
    assert Verdict.TAMPERED is verdict(not_before=now - 2 * day, retire_at=now - day)
    assert Verdict.TAMPERED is verdict(not_before=now + day)
    assert Verdict.TAMPERED is verdict(revoked=True)


def test_an_anchor_that_was_taken_out_is_found(written_trail: Writing) -> None:
    """Each anchor names the one before, also across streams (auth A14, A15)."""
    for _ in range(2):
        trail = written_trail(40, every=10)
    for number in range(len(trail.anchors) - 1):
        report = trail.verified(anchors=[*trail.anchors[:number], *trail.anchors[number + 1 :]])
        assert (Verdict.TAMPERED, "anchors_missing") == (report.verdict, report.first_bad.code)


# What nobody vouches for


def test_without_anchors_nothing_is_vouched_for(written_trail: Writing) -> None:
    """A chain alone is incomplete evidence, since it can be written anew (auth A15)."""
    report = written_trail(20).verified(anchors=[], keys=None)

    assert (Verdict.INCOMPLETE, (1, 20)) == (report.verdict, report.streams[0].unanchored)
    assert "seq 1 to 20 (line 20): No anchor speaks for these lines." in str(report.problems[0])


def test_without_keys_nobody_is_accused(written_trail: Writing) -> None:
    """Anchors that nobody can verify make a trail incomplete, not tampered (auth A15)."""
    report = written_trail(20).verified(keys=None)

    assert (Verdict.INCOMPLETE, {"no_keys", "unanchored"}) == (report.verdict, {each.code for each in report.problems})


def test_the_tail_without_an_anchor_is_named(written_trail: Writing) -> None:
    """When the last anchors are gone as well, what they spoke for is told, and the verdict is incomplete (auth A15)."""
    trail = written_trail(200, every=50)
    told = [json.loads(line)["seq"] for line in trail.anchors]
    report = trail.verified(anchors=[line for line, seq in zip(trail.anchors, told, strict=True) if seq <= 150])

    assert (Verdict.INCOMPLETE, (151, 200)) == (report.verdict, report.streams[0].unanchored)


def test_a_missing_end_is_told(written_trail: Writing) -> None:
    """Trail and anchors cut off at the same place look like a killed process, and that is told (auth A15, A19)."""
    trail = written_trail(200, every=50)
    told = [json.loads(line)["seq"] for line in trail.anchors]
    anchors = [line for line, seq in zip(trail.anchors, told, strict=True) if seq <= 150]
    report = trail.verified(records=trail.records[:150], anchors=anchors)

    assert (Verdict.INCOMPLETE, ["no_end"]) == (report.verdict, [problem.code for problem in report.problems])


def test_a_stream_that_goes_on_is_no_problem_while_its_heart_beats(written_trail: Writing) -> None:
    """Without an end, a stream is running as long as its next anchor is not overdue (auth A14, A15)."""
    trail = written_trail(50, every=10)
    anchors = [line for line in trail.anchors if json.loads(line)["seq"] <= 40]
    now = datetime.now(UTC)

    def report(later: timedelta, records: int = 45) -> Any:
        return trail.verified(records=trail.records[:records], anchors=anchors, now=now + later)

    assert Verdict.INTACT is report(timedelta(seconds=20)).verdict
    assert report(timedelta(seconds=20)).streams[0].running
    assert (41, 45) == report(timedelta(seconds=20)).streams[0].unanchored
    late = report(timedelta(minutes=5))
    assert (Verdict.INCOMPLETE, {"no_end", "unanchored"}) == (late.verdict, {each.code for each in late.problems})
    assert Verdict.INCOMPLETE is trail.verified(records=trail.records[:45], anchors=anchors).verdict


def anchors_at(times: list[int], key: SigningKey, head: bytes) -> list[bytes]:
    """Sign a heartbeat for each of *times*, in seconds."""
    lines: list[bytes] = []
    for second in times:
        anchor = Anchor(
            stream="orders-ab", sink="file", seq=2, head=head, time=datetime(2026, 11, 24, tzinfo=UTC) + timedelta(seconds=second),
            within=60, previous=anchor_hash(lines[-1]) if lines else None, kid=key.kid,
        )  # fmt: skip
        lines.append(sign_anchor(anchor, key))
    return lines


@pytest.mark.parametrize(
    ("times", "codes"),
    [([0, 60, 120], []), ([0, 60, 150], []), ([0, 60, 300], ["no_heartbeat"]), ([0, 60, 30, 90], ["clock"])],
    ids=str,
)
def test_a_missing_heartbeat_is_told(times: list[int], codes: list[str]) -> None:
    """Between two anchors there are not more seconds than promised, with half of that added (auth A14, A15)."""
    key = SigningKey.generate("EdDSA", kid="k1")
    records = chained([b'{"type":"order_placed"}', b'{"type":"stream_end"}'])
    anchors = anchors_at(times, key, head_of(records[-1].strip()) or b"")
    report = verify_chain(records, anchors, PublicKeys([key.verification]))

    assert codes == [problem.code for problem in report.problems]


def test_older_files_may_be_gone_on_demand(written_trail: Writing) -> None:
    """What retention has removed is no tampering where the caller says so; what is left is still proven (auth A23)."""
    for _ in range(2):
        trail = written_trail(100, every=10)
    kept = trail.records[55:]

    assert Verdict.TAMPERED is trail.verified(records=kept).verdict
    report = trail.verified(records=kept, retained=True)
    assert (Verdict.INTACT, 145) == (report.verdict, report.records)
    assert Verdict.TAMPERED is trail.verified(records=kept[:20] + kept[21:], retained=True).verdict
    assert Verdict.INTACT is trail.verified(records=trail.records[100:], retained=True).verdict


def test_two_sinks_are_told_apart(tmp_path: Any, logging_to: Writing) -> None:
    """Each sink has a chain of its own, so the anchors say whose head they mean, and the verifier whose trail it has."""
    sinks = [MemorySink("one", durable=True), MemorySink("two", durable=True)]
    key = SigningKey.generate("EdDSA", kid="k1")
    audit = logging_to(*sinks, anchoring=Anchoring(sink=AnchorFile(tmp_path / "anchors"), keys=key))
    for _ in range(10):
        audit.emit("order_placed", outcome="success")
    assert audit.close(10).complete
    anchors = (tmp_path / "anchors").read_bytes().splitlines()
    keys = PublicKeys([key.verification])

    for sink in sinks:
        records = [record.line for record in sink.records]
        assert Verdict.INTACT is verify_chain(records, anchors, keys, sink=sink.name).verdict
    with pytest.raises(ConfigurationError, match="Say of which one"):
        verify_chain([record.line for record in sinks[0].records], anchors, keys)


# MACs


def test_each_line_can_have_a_mac_of_its_time(written_trail: Writing) -> None:
    """The key evolves with each anchor, and the verifier follows it (auth A14)."""
    trail = written_trail(200, every=20, mac_key=MAC_KEY, paced=True)
    epochs = [read_envelope(line.strip()).epoch for line in trail.records]

    assert Verdict.INTACT is trail.verified(mac_key=MAC_KEY).verdict
    assert sorted(epochs) == epochs
    assert 0 == epochs[0] < epochs[-1]
    assert Verdict.INTACT is trail.verified().verdict


def test_a_line_nobody_had_the_key_for_is_found_before_any_anchor(written_trail: Writing) -> None:
    """Without the key of its time, a tail that no anchor covers cannot be written anew (auth A14)."""
    trail = written_trail(30, mac_key=MAC_KEY)
    tail = forged(trail, trail.records)

    assert Verdict.INCOMPLETE is trail.verified(records=tail, anchors=[]).verdict
    report = trail.verified(records=tail, anchors=[], mac_key=MAC_KEY)
    assert (Verdict.TAMPERED, "no_mac", 1) == (report.verdict, report.first_bad.code, report.first_bad.seq)
    other = trail.verified(anchors=[], mac_key=SecretBytes(b"another key of the audit trail!!"))
    assert "bad_mac" == other.first_bad.code
    changed = [line.replace(b'"actor":"u-3"', b'"actor":"u-9"') for line in trail.records]
    assert {"bad_mac"} <= {each.code for each in trail.verified(records=changed, anchors=[], mac_key=MAC_KEY).problems}


# Anything at all

NESTED = b'{"a":' * 3000 + b'"type":"stream_end"' + b"}" * 3000
LINES = st.one_of(
    st.binary(max_size=60),
    st.builds(
        lambda stream, seq, prev, body: (
            b'{"v":1,"stream":"%b","seq":%d,"prev":%b,"event":%b}' % (stream, seq, prev, body)
        ),
        st.sampled_from((b"orders-ab", b"x", b"")),
        st.integers(-1, 10**20),
        st.sampled_from((b"null", b'"' + b"ab" * 32 + b'"', b'{"after":null,"torn":null}', b"7")),
        st.sampled_from(
            (b"{}", b'{"type":"stream_end"}', b'{"time":7,"type":"stream_end","x"}', b"[]", NESTED, b"{\xff}")
        ),
    ),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(LINES, max_size=6), st.lists(LINES, max_size=3), st.booleans())
def test_no_bytes_make_verification_raise(records: list[bytes], anchors: list[bytes], retained: bool) -> None:
    """Whatever somebody has put into the files, there is a verdict, and it is not that all is well (auth A15, X2)."""
    keys = PublicKeys([KEY.verification])
    report = verify_chain(records, anchors, keys, retained=retained, now=datetime.now(UTC), mac_key=MAC_KEY)

    assert Verdict.INTACT is not report.verdict
    assert list(report.lines())
    assert json.dumps(report.as_json())
    for line in records:
        read_event(line)


# Size


def test_verifying_reads_line_after_line(written_trail: Writing) -> None:
    """Nothing is collected: a source that counts never has a second line out before it is asked (auth A15)."""
    trail = written_trail(50)
    taken = itertools.count()

    def source() -> Iterator[bytes]:
        for line in trail.records:
            next(taken)
            yield line

    report = trail.verified(records=source())
    assert (Verdict.INTACT, 50) == (report.verdict, next(taken))
    assert len(trail.verified(records=[b"x\n"] * 1000).problems) <= 100


def endless() -> Iterator[bytes]:
    """Yield chained lines, each made when it is asked for."""
    prev: Any = '{"after":null,"torn":null}'
    body = b'{"id":"01a20dab","time":"2026-11-24T12:00:00.000Z","type":"order_placed","note":"%b"}' % (b"x" * 200)
    for seq in itertools.count(1):
        line = b'{"v":1,"stream":"orders-ab","seq":%d,"prev":%b,"event":%b}' % (seq, prev.encode(), body)
        prev = f'"{link(bytes.fromhex(prev[1:-1]) if seq > 1 else NOTHING, "orders-ab", seq, line).hex()}"'
        yield line + b"\n"


def test_memory_does_not_grow_with_the_trail() -> None:
    """What is held after 50,000 records is what was held after a thousand (auth A15); the benchmark reads a million."""
    seen: list[int] = []

    def watched() -> Iterator[bytes]:
        for number, line in enumerate(itertools.islice(endless(), 50_001)):
            if number in (1000, 50_000):
                seen.append(tracemalloc.get_traced_memory()[0])
            yield line

    tracemalloc.start()
    try:
        report = verify_chain(watched(), [], None)
    finally:
        tracemalloc.stop()

    assert 50_001 == report.records
    assert seen[1] - seen[0] < 10_000
