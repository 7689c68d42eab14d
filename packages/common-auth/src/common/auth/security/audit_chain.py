"""The chain of a stored trail: each line names the hash of the line before, so that no line can change unnoticed.

The hash of line *n* is ``SHA-256(length ‖ h(n-1) ‖ stream ‖ seq ‖ the exact bytes of the line)``: *length* of the line as
4 bytes and *seq* as 8 bytes, big-endian, *stream* as ASCII, and ``h(n-1)`` the 32 bytes that the line's own ``prev``
names. Nothing is parsed or brought into a canonical form, and a line's hash follows from that line alone.

The first line of a stream has a *genesis* in the place of ``prev``: ``{"after":…,"torn":…}``, with the hash of the line
that was last in the store before this process began, and of what a crash has left behind it. The hash before a genesis
is 32 zero bytes.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from common.auth.security.audit_entry import Entry
from common.auth.security.audit_mac import EvolvingKey
from common.core.audit import AuditRecord

__all__ = [
    "NOTHING",
    "Chain",
    "ChainTail",
    "Envelope",
    "Genesis",
    "ResumableSink",
    "head_of",
    "link",
    "read_envelope",
    "torn_hash",
]

NOTHING: Final = bytes(32)
"""The hash before the first line of a stream."""

_HEX = "[0-9a-f]{64}"
_ENVELOPE = re.compile(
    rf'\{{"v":1,"stream":"(?P<stream>[A-Za-z0-9][A-Za-z0-9._-]{{0,127}})","seq":(?P<seq>[1-9][0-9]{{0,18}}),"prev":'
    rf'(?:null|"(?P<prev>{_HEX})"|(?P<genesis>\{{"after":(?:null|"(?P<after>{_HEX})"),"torn":(?:null|"(?P<torn>{_HEX})")\}}))'
    r',"event":(?P<body>\{.*\})\}'.encode()
)
_MAC = re.compile(rb'"mac":"(?P<epoch>0|[1-9][0-9]{0,8})\.(?P<tag>[0-9a-f]{32})"\}$')
_LONGEST_MAC: Final = 64


def link(before: bytes, stream: str, seq: int, line: bytes) -> bytes:
    """Return the 32 bytes that chain *line* to the line whose hash is *before*.

    >>> link(NOTHING, "orders-ab", 1, b"{}").hex()[:16]
    '86f62fcaddf2735d'
    """
    octets = hashlib.sha256(len(line).to_bytes(4, "big") + before + stream.encode("ascii") + seq.to_bytes(8, "big"))
    octets.update(line)
    return octets.digest()


@dataclass(frozen=True, slots=True)
class Genesis:
    """What a stream begins with in one store."""

    after: bytes | None
    """Hash of the line that was the last one before; ``None`` where there was none, or the store cannot tell."""
    torn: bytes | None = None
    """SHA-256 of what stands behind that line and is no line; ``None`` where there is nothing."""

    def __str__(self) -> str:
        after, torn = (f'"{each.hex()}"' if each else "null" for each in (self.after, self.torn))
        return f'{{"after":{after},"torn":{torn}}}'


@dataclass(frozen=True, slots=True)
class Envelope:
    """What stands around an event in its stored line."""

    stream: str
    seq: int
    prev: bytes | None
    """Hash of the line before; ``None`` in the first line of a stream, and in lines without a chain."""
    genesis: Genesis | None
    body: bytes
    """The event, as JSON."""
    epoch: int | None = None
    """Which of the evolving keys has made the line's MAC; ``None`` where it has none."""
    tag: str = ""
    signed: bytes = b""
    """What the MAC is over: the line without it."""

    @property
    def is_chained(self) -> bool:
        """Whether the line belongs to a chain."""
        return self.prev is not None or self.genesis is not None


def read_envelope(line: bytes) -> Envelope | None:
    """Take *line* apart; ``None`` where it is not exactly what :class:`Chain` writes. The event is not looked at."""
    epoch, tag, signed = None, "", b""
    if mac := _MAC.search(line, max(0, len(line) - _LONGEST_MAC)):
        epoch, tag = int(mac["epoch"]), mac["tag"].decode()
        line = signed = line[: mac.start() - 1] + b"}"
    found = _ENVELOPE.fullmatch(line)
    if found is None:
        return None
    genesis = Genesis(_octets(found["after"]), _octets(found["torn"])) if found["genesis"] else None
    prev = _octets(found["prev"])
    return Envelope(found["stream"].decode(), int(found["seq"]), prev, genesis, found["body"], epoch, tag, signed)


def _octets(digits: bytes | None) -> bytes | None:
    return None if digits is None else bytes.fromhex(digits.decode())


def head_of(line: bytes) -> bytes | None:
    """Return the hash of a stored line, which the next one names; ``None`` where this is no line of a chain."""
    envelope = read_envelope(line)
    if envelope is None or not envelope.is_chained:
        return None
    return link(envelope.prev or NOTHING, envelope.stream, envelope.seq, line)


def torn_hash(fragment: bytes) -> bytes:
    """Return the hash by which a genesis vouches for what a crash has left."""
    return hashlib.sha256(fragment).digest()


@dataclass(frozen=True, slots=True)
class ChainTail:
    """How a store ends, before this process writes to it."""

    head: bytes | None = None
    """Hash of the last line; ``None`` where there is none."""
    torn: bytes = b""
    """What stands behind it and is no line, without a line end."""

    def genesis(self) -> Genesis:
        """Return what the first line of the next stream says about it."""
        return Genesis(self.head, torn_hash(self.torn) if self.torn else None)


class ResumableSink(Protocol):
    """What a sink may offer beside the methods of every sink, where its store outlives the process."""

    def chain_tail(self) -> ChainTail:
        """Return how the store ends. Called before the first record of a stream, on the thread that serves the sink."""
        ...


class Chain:
    """Seals the entries that one sink gets, behind its queue; whatever was dropped there leaves the chain whole.

    Not shared between threads. An entry keeps its line however often its sink is tried.

    Args:
        key: Makes a MAC for each line; ``None`` for none.
    """

    def __init__(self, key: EvolvingKey | None = None) -> None:
        self._key = key
        self._prev: bytes | Genesis | None = None
        self._sealed: tuple[int, AuditRecord] | None = None
        self.seq = 0
        """Place of the last stored line; 0 before the first."""
        self.head = NOTHING
        """Hash of the last stored line."""

    @property
    def has_begun(self) -> bool:
        """Whether it is known what the first line follows."""
        return self._prev is not None

    def begin(self, sink: object) -> ChainTail:
        """Ask *sink* what its store ends with, so that the first line can say it, and return that.

        A sink that is no :class:`ResumableSink` cannot tell; its streams begin after nothing.
        """
        ask: Callable[[], ChainTail] | None = getattr(sink, "chain_tail", None)
        tail = ask() if callable(ask) else ChainTail()
        self._prev = tail.genesis()
        return tail

    def seal(self, entry: Entry) -> AuditRecord:
        """Return the record of *entry* as the next one of the chain."""
        if self._sealed is None or self._sealed[0] != entry.seq:
            self._sealed = entry.seq, AuditRecord(entry.event(), self._line(entry))
        return self._sealed[1]

    def advance(self) -> None:
        """Note that the record sealed last is stored."""
        assert self._sealed is not None  # noqa: S101 - for the type checker: a record is sealed before it is stored
        seq, record = self._sealed
        before = self._prev if isinstance(self._prev, bytes) else NOTHING
        self.head = self._prev = link(before, record.event.stream, seq, record.line)
        self.seq = seq
        self._sealed = None

    def evolve_to(self, epoch: int) -> None:
        """Make the MACs of lines to come by the key of *epoch*; what was the key before is gone."""
        if self._key is not None:
            self._key.evolve_to(epoch)

    def _line(self, entry: Entry) -> bytes:
        line = entry.line(self._prev.hex() if isinstance(self._prev, bytes) else self._prev)
        if self._key is None:
            return line
        return b'%b,"mac":"%d.%b"}' % (line[:-1], self._key.epoch, self._key.tag(line).encode())
