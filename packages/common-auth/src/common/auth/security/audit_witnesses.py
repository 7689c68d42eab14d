"""Reads anchors: verifies each, and remembers what they say of each stream, 40 bytes for each place they speak of."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from common.auth.exceptions import ConfigurationError
from common.auth.security.audit_anchor import Anchor, PublicKeys, anchor_hash, read_anchor
from common.auth.security.audit_report import Problems

__all__ = ["Witness", "Witnesses"]

_HASH: Final = 32
_GRACE: Final = timedelta(seconds=5)


@dataclass(slots=True)
class Witness:
    """What the anchors say of one stream, in order."""

    sink: str
    seqs: "array[int]" = field(default_factory=lambda: array("Q"))
    heads: bytearray = field(default_factory=bytearray)
    time: datetime | None = None
    """When the last anchor was made."""
    within: int = 0
    """Seconds from there to the next one at the latest."""
    first_at: int = 0
    """Number of the first anchor, over all streams."""
    last_at: int = 0
    at: int = 0
    """Which of :attr:`seqs` comes next in the trail."""

    @property
    def next_seq(self) -> int | None:
        """The next place that an anchor speaks of; ``None`` behind the last."""
        return self.seqs[self.at] if self.at < len(self.seqs) else None

    def next_head(self) -> bytes:
        """Return the hash of that place's line, and go on behind it."""
        self.at += 1
        return bytes(self.heads[(self.at - 1) * _HASH : self.at * _HASH])

    @property
    def patience(self) -> timedelta:
        """How long after an anchor its successor may take, with half of the time added."""
        return timedelta(seconds=self.within * 1.5) + _GRACE

    def is_fresh(self, now: datetime) -> bool:
        """Tell whether the next anchor is not overdue at *now*."""
        return self.time is not None and now - self.time <= self.patience

    def add(self, anchor: Anchor) -> bool:
        """Note what *anchor* says, and tell whether it agrees with those before."""
        self.time, self.within = anchor.time, anchor.within
        last = self.seqs[-1] if self.seqs else 0
        if anchor.seq == last:
            return anchor.head == self.heads[-_HASH:]
        if anchor.seq < last:
            return False
        self.seqs.append(anchor.seq)
        self.heads += anchor.head
        return True


class Witnesses:
    """The anchors of a trail, by stream. Read all of them before the first record.

    Args:
        keys: The pinned keys.
        problems: Takes what is wrong.
        sink: Of which sink the trail is; ``None``: of the only one that anchors name for a stream.
        retained: Whether older anchors may be missing.
    """

    def __init__(self, keys: PublicKeys | None, problems: Problems, *, sink: str | None, retained: bool) -> None:
        self._keys = keys
        self._problems = problems
        self._sink = sink
        self._retained = retained
        self._expected: bytes | None = None
        self._time: datetime | None = None
        self.by_stream: dict[str, Witness] = {}
        self.count = 0

    def read(self, anchors: Iterable[bytes]) -> None:
        """Take in all *anchors*, in the order in which they were written."""
        if self._keys is None:
            # Nobody is accused for want of a key to look with.
            if any(True for _ in anchors):
                self._problems.incomplete("no_keys", "There are anchors, and no pinned keys to verify them by.")
            return
        torn, is_whole, number = False, False, 0
        for number, line in enumerate(anchors, 1):
            octets = line.removesuffix(b"\n")
            found = read_anchor(octets)
            if torn:
                self._problems.tampered("malformed_anchor", f"Anchor {number - 1} is none.")
            torn = found is None
            if found is not None:
                self._take(number, self._keys, *found)
            self._expected = anchor_hash(octets)
            is_whole = line.endswith(b"\n")
        # An anchor whose writing was cut short has no line end, and nobody was told that it was stored.
        if torn and is_whole:
            self._problems.tampered("malformed_anchor", f"Anchor {number} is none.")

    def _take(self, number: int, keys: PublicKeys, anchor: Anchor, signed: bytes, signature: bytes) -> None:
        place: dict[str, str | int] = {"stream": anchor.stream, "seq": anchor.seq}
        self.count += 1
        if anchor.previous != self._expected and not (number == 1 and self._retained):
            self._problems.tampered(
                "anchors_missing", f"The anchors before anchor {number} are not those it names.", **place
            )
        refusal = keys.refusal(anchor, signed, signature)
        if refusal is not None:
            self._problems.tampered(refusal, f"Anchor {number} is not vouched for ({refusal}).", **place)
            return
        if self._time is not None and self._time - anchor.time > _GRACE:
            self._problems.incomplete("clock", f"The clock went back before anchor {number}.", **place)
        self._time = anchor.time
        self._witness(number, anchor)

    def _witness(self, number: int, anchor: Anchor) -> None:
        if self._sink not in (None, anchor.sink):
            return
        witness = self.by_stream.setdefault(anchor.stream, Witness(anchor.sink, first_at=number))
        if witness.sink != anchor.sink:
            raise ConfigurationError(
                f"The anchors speak of sinks {witness.sink!r} and {anchor.sink!r}. Say of which one the trail is.",
                reason="several_sinks",
            )
        place: dict[str, str | int] = {"stream": anchor.stream, "seq": anchor.seq}
        if witness.time is not None and anchor.time - witness.time > witness.patience:
            silence = int((anchor.time - witness.time).total_seconds())
            self._problems.incomplete("no_heartbeat", f"No anchor for {silence} s before anchor {number}.", **place)
        witness.last_at = number
        if not witness.add(anchor):
            self._problems.tampered("anchors_disagree", f"Anchor {number} contradicts those before it.", **place)
