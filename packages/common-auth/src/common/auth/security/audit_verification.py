"""Verifies a trail: every line against the one before, and their hashes against signed anchors.

Reads line after line and keeps nothing of them: memory grows by some 40 bytes for each anchor, and a little for each
stream.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from common.auth.security.audit_anchor import PublicKeys
from common.auth.security.audit_chain import NOTHING, Envelope, link, read_envelope, torn_hash
from common.auth.security.audit_mac import EvolvingKey
from common.auth.security.audit_report import ChainReport, Problem, Problems, StreamReport, Verdict
from common.auth.security.audit_types import STREAM_END
from common.auth.security.audit_witnesses import Witness, Witnesses
from common.auth.security.secrets import SecretBytes

__all__ = ["ChainReport", "Problem", "PublicKeys", "StreamReport", "Verdict", "verify_chain"]

_MOST_EVOLUTIONS: Final = 1_000_000
_FRAGMENT: Final = 1024 * 1024
_END_MARK: Final = f'"type":"{STREAM_END}"'.encode()


def verify_chain(
    records: Iterable[bytes],
    anchors: Iterable[bytes],
    keys: PublicKeys | None,
    *,
    sink: str | None = None,
    retained: bool = False,
    now: datetime | None = None,
    mac_key: SecretBytes | None = None,
) -> ChainReport:
    r"""Tell whether a trail is as it was written.

    Args:
        records: The stored lines in their order, over all files of the trail; with their line ends, so that a torn last
            line can be told from a changed one. Several streams may alternate.
        anchors: The anchors in their order.
        keys: The keys that may have signed them; ``None`` vouches for none.
        sink: Of which sink the trail is, such as ``file``, where several sinks are anchored.
        retained: Accept that the trail begins in the middle, because older files were removed.
        now: Accept that streams go on whose last anchor is recent at this time; ``None``: all have ended.
        mac_key: Verify the MAC of each line as well.

    Raises:
        ConfigurationError: The anchors speak of several sinks, and *sink* does not say which.

    >>> report = verify_chain([], [], None)
    >>> report.verdict, report.problems[0].code
    (<Verdict.INCOMPLETE: 2>, 'no_records')
    """
    problems = Problems()
    witnesses = Witnesses(keys, problems, sink=sink, retained=retained)
    witnesses.read(anchors)
    trail = _Trail(witnesses, problems, sink=sink, retained=retained, mac_key=mac_key)
    for line in records:
        trail.take(line)
    streams = trail.finish(now)
    return ChainReport(
        verdict=problems.verdict,
        records=trail.records,
        anchors=witnesses.count,
        streams=streams,
        problems=problems.listed(),
        problem_count=problems.count,
    )


@dataclass(slots=True)
class _Break:
    """A link that does not hold: one of the two lines at its ends was changed."""

    earlier: int
    line: int


@dataclass(slots=True)
class _Stream:
    """How far one stream has been read."""

    name: str
    witness: Witness | None
    first: int
    key: EvolvingKey | None
    seq: int = 0
    head: bytes = NOTHING
    line: int = 0
    records: int = 0
    dropped: int = 0
    anchored: int = 0
    ended: bool = False
    broken: _Break | None = None
    first_unanchored: bytes = b""


class _Trail:
    """Takes lines, one after the other."""

    def __init__(
        self,
        witnesses: Witnesses,
        problems: Problems,
        *,
        sink: str | None,
        retained: bool,
        mac_key: SecretBytes | None,
    ) -> None:
        self._witnesses = witnesses
        self._problems = problems
        self._sink = sink
        self._retained = retained
        self._mac_key = mac_key
        self._streams: dict[str, _Stream] = {}
        self._number = 0
        self._head: bytes | None = None
        self._latest = ""
        self._fragments: list[bytes] = []
        self._fragment_line = 0
        self._is_whole = True
        self.records = 0

    def take(self, line: bytes) -> None:
        """Verify the next line."""
        self._number += 1
        self._is_whole = line.endswith(b"\n")
        octets = line[:-1] if self._is_whole else line
        envelope = read_envelope(octets)
        if envelope is None or not envelope.is_chained:
            self._keep_fragment(octets)
            return
        if self._fragments or (envelope.genesis and envelope.genesis.torn):
            self._judge_fragments(envelope)
        stream = self._streams.get(envelope.stream)
        if stream is None:
            stream = self._streams[envelope.stream] = self._begin(envelope)
        else:
            self._check_link(stream, envelope)
        self._advance(stream, envelope, octets)
        if stream.key is not None:
            self._check_mac(stream, envelope)
        if stream.witness is not None:
            self._hear(stream, stream.witness)

    # Lines that are none

    def _keep_fragment(self, octets: bytes) -> None:
        if not self._fragments:
            self._fragment_line = self._number
        if sum(map(len, self._fragments)) < _FRAGMENT:
            self._fragments.append(octets)

    def _judge_fragments(self, envelope: Envelope) -> None:
        found, self._fragments = self._fragments, []
        vouched = envelope.genesis.torn if envelope.genesis else None
        if vouched == (torn_hash(b"\n".join(found)) if found else None):
            return
        if found:
            self._tampered(
                "no_line",
                "This is no line of a trail.",
                self._missed(envelope, len(found)),
                self._fragment_line,
                envelope,
            )
        else:
            self._tampered(
                "torn_missing", "What a crash had left before it is gone.", envelope.seq, self._number, envelope
            )

    def _missed(self, envelope: Envelope, count: int) -> int:
        stream = self._streams.get(envelope.stream)
        return max(1, envelope.seq - count) if stream is None else stream.seq + 1

    # Links

    def _begin(self, envelope: Envelope) -> _Stream:
        is_first = not self._streams and self._retained
        if envelope.genesis is None:
            if not is_first:
                self._problems.tampered(
                    "beginning_missing", "The beginning of the stream is missing.",
                    stream=envelope.stream, seq=1, until=envelope.seq - 1, line=self._number,
                )  # fmt: skip
        elif envelope.genesis.after not in (None, self._head) and not is_first:
            message = "The line before it is not the one that was last when the stream began."
            self._tampered("not_after", message, envelope.seq, self._number, envelope)
        witness = self._witnesses.by_stream.get(envelope.stream)
        sink = self._sink or (witness.sink if witness else "file")
        key = EvolvingKey(self._mac_key, envelope.stream, sink) if self._mac_key is not None else None
        stream = _Stream(envelope.stream, witness, envelope.seq, key, seq=envelope.seq - 1)
        if envelope.genesis is not None:
            stream.dropped, stream.seq = envelope.seq - 1, envelope.seq - 1
        return stream

    def _check_link(self, stream: _Stream, envelope: Envelope) -> None:
        holds = envelope.prev == stream.head
        if stream.broken is not None:
            broken, stream.broken = stream.broken, None
            # Where the links on both sides of a line do not hold, it is that line which was changed.
            seq, line = (broken.earlier, broken.line) if holds else (stream.seq, stream.line)
            self._tampered("changed", "The line was changed.", seq, line, envelope)
        elif envelope.genesis is not None or envelope.seq <= stream.seq:
            self._tampered(
                "out_of_order", "The line stands where it does not belong.", envelope.seq, self._number, envelope
            )
        elif not holds and envelope.seq > stream.seq + 1:
            self._tampered("missing", "Lines are missing, or were changed.", stream.seq + 1, self._number, envelope)
        elif not holds:
            stream.broken = _Break(stream.seq, stream.line)

    def _advance(self, stream: _Stream, envelope: Envelope, octets: bytes) -> None:
        self.records += 1
        self._latest = stream.name
        stream.records += 1
        stream.dropped += max(0, envelope.seq - stream.seq - 1) if stream.records > 1 else 0
        # Going on from what the line says keeps one change from looking like many.
        self._head = stream.head = link(envelope.prev or NOTHING, envelope.stream, envelope.seq, octets)
        stream.seq, stream.line = envelope.seq, self._number
        if not stream.first_unanchored:
            stream.first_unanchored = envelope.body
        if _END_MARK in envelope.body and _member(envelope.body, "type") == STREAM_END:
            stream.ended = True

    def _check_mac(self, stream: _Stream, envelope: Envelope) -> None:
        key, epoch = stream.key, envelope.epoch
        assert key is not None  # noqa: S101 - for the type checker: the caller has looked
        if epoch is None or not key.epoch <= epoch <= key.epoch + _MOST_EVOLUTIONS:
            self._tampered("no_mac", "The line has no MAC of its time.", envelope.seq, self._number, envelope)
            return
        key.evolve_to(epoch)
        if not key.verifies(envelope.signed, envelope.tag):
            self._tampered("bad_mac", "The line's MAC is wrong.", envelope.seq, self._number, envelope)

    def _hear(self, stream: _Stream, witness: Witness) -> None:
        while (seq := witness.next_seq) is not None and seq <= stream.seq:
            head = witness.next_head()
            if seq < stream.seq:
                if seq >= stream.first or not self._retained:
                    self._problems.tampered(
                        "missing",
                        "An anchor speaks of a line that is missing.",
                        stream=stream.name,
                        seq=seq,
                        line=self._number,
                    )
            elif head != stream.head:
                self._problems.tampered(
                    "not_as_anchored", "The lines are not those that were anchored.",
                    stream=stream.name, seq=stream.anchored + 1, until=seq, line=self._number,
                )  # fmt: skip
            stream.anchored, stream.first_unanchored = seq, b""

    # The end

    def finish(self, now: datetime | None) -> tuple[StreamReport, ...]:
        """Judge what only the end can show, and return how each stream is doing."""
        if self._fragments:
            self._judge_last_fragment()
        reports = tuple(self._finish(stream, now) for stream in self._streams.values())
        self._miss_streams()
        if not self.records:
            self._problems.incomplete("no_records", "There are no records.")
        return reports

    def _judge_last_fragment(self) -> None:
        if self._is_whole or len(self._fragments) > 1:
            last = self._streams.get(self._latest)
            self._problems.tampered(
                "no_line", "This is no line of a trail.",
                stream=self._latest, seq=last.seq + 1 if last else 0, line=self._fragment_line,
            )  # fmt: skip
        else:
            self._problems.incomplete("torn", "The last line was cut short, as by a crash.", line=self._fragment_line)

    def _finish(self, stream: _Stream, now: datetime | None) -> StreamReport:
        witness = stream.witness
        if stream.broken is not None:
            is_later = stream.anchored < stream.seq
            seq, line = (stream.seq, stream.line) if is_later else (stream.broken.earlier, stream.broken.line)
            self._problems.tampered("changed", "The line was changed.", stream=stream.name, seq=seq, line=line)
        if witness is not None and witness.next_seq is not None:
            self._problems.tampered(
                "truncated", "The end is missing: an anchor speaks of it.",
                stream=stream.name, seq=stream.seq + 1, until=witness.seqs[-1], line=self._number,
            )  # fmt: skip
        running = not stream.ended and now is not None and _goes_on(stream, now)
        report = StreamReport(
            stream=stream.name, records=stream.records, first=stream.first, last=stream.seq, dropped=stream.dropped,
            anchored=stream.anchored, ended=stream.ended, running=running,
        )  # fmt: skip
        if not running:
            self._judge_end(stream, report)
        return report

    def _judge_end(self, stream: _Stream, report: StreamReport) -> None:
        place: dict[str, str | int] = {"stream": stream.name, "line": stream.line}
        if report.unanchored is not None:
            first, last = report.unanchored
            message = "No anchor speaks for these lines."
            self._problems.incomplete("unanchored", message, seq=first, until=last, **place)
        if not stream.ended:
            message = "The stream has no end: its process was killed, or the end was cut off."
            self._problems.incomplete("no_end", message, seq=stream.seq, **place)

    def _miss_streams(self) -> None:
        present = [w.first_at for name, w in self._witnesses.by_stream.items() if name in self._streams]
        for name, witness in self._witnesses.by_stream.items():
            is_older = self._retained and present and witness.last_at < min(present)
            if name not in self._streams and not is_older:
                self._problems.tampered(
                    "stream_missing", "Anchors speak of a stream that is not there.",
                    stream=name, seq=1, until=witness.seqs[-1],
                )  # fmt: skip

    def _tampered(self, code: str, message: str, seq: int, line: int, envelope: Envelope) -> None:
        self._problems.tampered(code, message, stream=envelope.stream, seq=seq, line=line)


def _goes_on(stream: _Stream, now: datetime) -> bool:
    """Tell whether nothing is overdue: neither the next anchor nor one for the records that have none."""
    witness = stream.witness
    if witness is None or not witness.is_fresh(now):
        return False
    if not stream.first_unanchored:
        return True
    try:
        written = datetime.fromisoformat(_member(stream.first_unanchored, "time"))
        return now - written <= witness.patience
    except (ValueError, TypeError):
        return False  # whoever writes no time into a line gets no patience


def _member(body: bytes, name: str) -> str:
    try:
        return str(json.loads(body)[name])
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
