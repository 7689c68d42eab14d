"""Sinks that fail in the ways of strangers, and loggers that are closed in the end."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from common.auth.security.audit_anchorer import Anchoring
from common.auth.security.audit_lane import SinkPolicy
from common.auth.security.audit_logger import AuditLogger
from common.auth.security.audit_sinks import AnchorFile, JsonLinesSink, MemorySink
from common.auth.security.audit_verification import ChainReport, PublicKeys, verify_chain
from common.auth.security.keys import SigningKey
from common.core.audit import AuditOutcome, AuditRecord, AuditType, Severity

SECONDS = 10.0

QUICK = SinkPolicy(timeout=0.5, failures=3, first_delay=0.005, longest_delay=0.02, flush_interval=0.005)
"""A policy whose times pass while a test runs."""

TYPES = (
    AuditType("order_placed", frozenset({"order", "note", "number"})),
    AuditType("order_flagged", frozenset({"order"}), severity=Severity.HIGH),
    AuditType("role_granted", frozenset({"role"}), severity=Severity.MEDIUM, required=True),
)


class GatedSink(MemorySink):
    """Keeps records, but only while its gate is open; a write waits at the gate like a disk that has gone away."""

    def __init__(self, name: str = "gated", **options: Any) -> None:
        super().__init__(name, **options)
        self.gate = threading.Event()
        self.is_waiting = threading.Event()

    def write(self, record: AuditRecord, /) -> None:
        if not self.gate.is_set():
            self.is_waiting.set()
            assert self.gate.wait(SECONDS)
        super().write(record)


class FailingSink(MemorySink):
    """Raises *error* as often as *times* says, then works."""

    def __init__(
        self, name: str = "failing", *, error: BaseException | None = None, times: int = 10**9, **options: Any
    ) -> None:
        super().__init__(name, **options)
        self.error = error or OSError("the disk is full of s3cr3ts")
        self.times = times

    def write(self, record: AuditRecord, /) -> None:
        if self.times > 0:
            self.times -= 1
            raise self.error
        super().write(record)


class PickySink(MemorySink):
    """Refuses one event for good, that with a certain place in the stream."""

    def __init__(self, name: str = "picky", *, refused: int, **options: Any) -> None:
        super().__init__(name, **options)
        self.refused = refused

    def write(self, record: AuditRecord, /) -> None:
        if record.event.seq == self.refused:
            raise ValueError("not this one")
        super().write(record)


@pytest.fixture
def gated() -> Callable[..., Any]:
    """Return the class of sinks that wait at a gate."""
    return GatedSink


@pytest.fixture
def failing() -> Callable[..., Any]:
    """Return the class of sinks that raise."""
    return FailingSink


@pytest.fixture
def picky() -> Callable[..., Any]:
    """Return the class of sinks that refuse one event."""
    return PickySink


@pytest.fixture
def logging_to() -> Iterator[Callable[..., AuditLogger]]:
    """Return a function that makes a logger over sinks, with quick times; gates are opened and loggers closed at the end."""
    made: list[tuple[AuditLogger, tuple[Any, ...]]] = []

    def make(*sinks: Any, **options: Any) -> AuditLogger:
        logger = AuditLogger(sinks, **{"service": "orders", "types": TYPES, "policy": QUICK, **options})
        made.append((logger, sinks))
        return logger

    yield make
    for logger, sinks in made:
        for sink in sinks:
            getattr(sink, "gate", threading.Event()).set()
        logger.close(0.3)


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Return a function that waits until a condition holds, and fails when it never does."""

    def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < deadline, "it never happened"
            time.sleep(0.002)

    return wait


@dataclass(frozen=True)
class Trail:
    """What a logger has written: the lines of the trail and of its anchors, and the key that signed them."""

    records: list[bytes]
    anchors: list[bytes]
    key: SigningKey

    @property
    def keys(self) -> PublicKeys:
        """The pinned key."""
        return PublicKeys([self.key.verification])

    def verified(self, **changes: Any) -> ChainReport:
        """Verify the trail; *changes* replace its parts and add options."""
        parts: dict[str, Any] = {"records": self.records, "anchors": self.anchors, "keys": self.keys, **changes}
        return verify_chain(parts.pop("records"), parts.pop("anchors"), parts.pop("keys"), **parts)


KEY = SigningKey.generate("EdDSA", kid="audit-2026")


def lines_of(path: Path) -> list[bytes]:
    """Return the lines of a file with their ends; none where it is not there."""
    return path.read_bytes().splitlines(keepends=True) if path.exists() else []


def told(anchor_file: Path) -> int:
    """Return the place that the newest anchor speaks of."""
    return int(json.loads(lines_of(anchor_file)[-1])["seq"])


@pytest.fixture
def written_trail(tmp_path: Path, until: Callable[..., None]) -> Callable[..., Trail]:
    """Return a function that lets a logger write *events* into files: each call a stream, one behind the other.

    The last event is the end of the stream. A paced logger waits for each anchor before it goes on.
    """
    file, anchor_file = tmp_path / "audit.jsonl", tmp_path / "audit.anchors"

    def write(events: int, *, every: int = 1000, key: SigningKey = KEY, paced: bool = False, **options: Any) -> Trail:
        anchoring = Anchoring(
            sink=AnchorFile(anchor_file), keys=key, records=every, mac_key=options.pop("mac_key", None)
        )
        audit = AuditLogger(
            [JsonLinesSink(file)], service="orders", types=TYPES, **{"policy": QUICK, "anchoring": anchoring, **options}
        )
        for number in range(1, events):
            audit.emit("order_placed", outcome=AuditOutcome.SUCCESS, actor=f"u-{number}", number=number)
            if paced and number % every == 0:
                until(lambda number=number: lines_of(anchor_file)[-1:] and told(anchor_file) >= number)  # type: ignore[misc]
        assert audit.close(30).complete
        return Trail(lines_of(file), lines_of(anchor_file), key)

    return write
