"""The sinks that come with the family, by one conformance suite, and what each is for (auth A17)."""

import importlib
import json
import logging
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from common.auth.exceptions import ConfigurationError
from common.auth.security.audit_line import encode_event, seal
from common.auth.security.audit_logger import AuditLogger
from common.auth.security.audit_sinks import JsonLinesSink, LoggingSink, MemorySink
from common.auth.security.sink_rules import check_sinks
from common.core.audit import AuditEvent, AuditOutcome, AuditRecord, AuditSink, Severity

Stored = Callable[[], list[bytes]]


def record(seq: int, *, size: int = 0, severity: Severity = Severity.INFO) -> AuditRecord:
    """Make the record of an event, with a text of *size* characters in it."""
    fields: dict[str, Any] = {
        "id": f"0190163d-8694-739b-aea5-{seq:012x}", "time": datetime(2026, 11, 24, tzinfo=UTC), "stream": "orders-ab",
        "boot_id": "ab", "type": "order_placed", "outcome": AuditOutcome.SUCCESS, "severity": severity,
        "service": "orders", "details": {"note": "x" * size},
    }  # fmt: skip
    return AuditRecord(AuditEvent(seq=seq, **fields), seal("orders-ab", seq, encode_event(fields)))


def memory(tmp_path: Path) -> tuple[AuditSink, Stored]:
    """Make the sink in memory."""
    sink = MemorySink()
    return sink, lambda: [kept.line for kept in sink.records]


def file(tmp_path: Path) -> tuple[AuditSink, Stored]:
    """Make the sink that writes a file."""
    path = tmp_path / "audit.jsonl"
    return JsonLinesSink(path), lambda: path.read_bytes().splitlines()


def through_logging(tmp_path: Path) -> tuple[AuditSink, Stored]:
    """Make the sink that writes to a logger, which writes to a file."""
    path = tmp_path / "log.txt"
    logger = logging.getLogger(f"tests.audit.{tmp_path.name}")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    handler = logging.FileHandler(path)
    logger.addHandler(handler)

    def stored() -> list[bytes]:
        handler.close()
        return path.read_bytes().splitlines()

    return LoggingSink(logger.name), stored


def acme(tmp_path: Path) -> tuple[AuditSink, Stored]:
    """Make the stranger's sink of the example plugin, where that is installed."""
    try:
        module = importlib.import_module("acme_plugin.audit")
    except ModuleNotFoundError:
        pytest.skip("the example plugin is not installed here")
    path = tmp_path / "acme.jsonl"
    return module.FileSink(path), lambda: path.read_bytes().splitlines()


@pytest.fixture(params=[memory, file, through_logging, acme])
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[AuditSink, Stored]:
    """Return each sink, and how to read what it has stored."""
    made: tuple[AuditSink, Stored] = request.param(tmp_path)
    return made


def test_a_sink_stores_lines_byte_for_byte_and_in_order(sink: tuple[AuditSink, Stored]) -> None:
    """What comes back is what was handed in."""
    under_test, stored = sink
    records = [record(seq) for seq in range(1, 21)]
    for each in records:
        under_test.write(each)
    under_test.flush()
    under_test.close()

    assert [each.line for each in records] == stored()


def test_a_sink_is_one_by_the_rules(sink: tuple[AuditSink, Stored]) -> None:
    """Name, durability and methods are as the logger wants them."""
    check_sinks([sink[0]])
    sink[0].close()


def test_a_sink_serves_a_logger(sink: tuple[AuditSink, Stored]) -> None:
    """Under the logger it gets everything before the logger has ended."""
    under_test, stored = sink
    audit = AuditLogger([under_test], service="orders")
    for _ in range(50):
        audit.emit("authn_login_success", outcome=AuditOutcome.SUCCESS)

    assert audit.close(10).complete
    assert [*range(1, 51)] == [json.loads(line)["seq"] for line in stored()][:50]


@pytest.mark.parametrize("make", [memory, file])
def test_a_record_that_comes_again_is_stored_once(make: Callable[..., Any], tmp_path: Path) -> None:
    """After a failure in between, the logger may hand a record in twice (auth A12)."""
    sink, stored = make(tmp_path)
    for seq in (1, 1, 2, 2, 2, 3):
        sink.write(record(seq))
    sink.close()

    assert [1, 2, 3] == [json.loads(line)["seq"] for line in stored()]


# Memory


def test_memory_keeps_the_newest() -> None:
    """A test that writes for ever does not eat the machine."""
    sink = MemorySink(keep=3)
    for seq in range(1, 6):
        sink.write(record(seq))

    assert [3, 4, 5] == [event.seq for event in sink.events]
    assert "MemorySink('memory', records=3)" == repr(sink)


# Logging


def test_severity_becomes_a_level(caplog: pytest.LogCaptureFixture) -> None:
    """Operators can filter the trail like any log; handlers get the event as an attribute."""
    sink = LoggingSink()
    with caplog.at_level(logging.INFO, "common.audit"):
        for seq, severity in enumerate(Severity, 1):
            sink.write(record(seq, severity=severity))
    sink.flush()

    assert ["INFO", "INFO", "WARNING", "ERROR", "CRITICAL"] == [each.levelname for each in caplog.records]
    assert [*Severity] == [each.__dict__["audit"].severity for each in caplog.records]


# A file


def mode(path: Path) -> int:
    """Return the permissions of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Whatever the umask says, and whatever the file was before (auth A17)."""
    path = tmp_path / "audit.jsonl"
    path.touch()
    path.chmod(0o666)
    before = os.umask(0)
    try:
        for target in (path, tmp_path / "new.jsonl"):
            sink = JsonLinesSink(target)
            sink.write(record(1))
            sink.close()
            assert 0o600 == mode(target)
    finally:
        os.umask(before)


def test_nothing_is_opened_before_the_first_record(tmp_path: Path) -> None:
    """Making a sink has no side effect."""
    JsonLinesSink(tmp_path / "audit.jsonl").close()

    assert [] == [*tmp_path.iterdir()]


def test_a_full_file_is_renamed_and_begun_anew(tmp_path: Path) -> None:
    """No record is split or lost, no file is too large or overwritten, all are for the owner alone (auth A17)."""
    path = tmp_path / "audit.jsonl"
    sink = JsonLinesSink(path, max_bytes=64 * 1024)
    for seq in range(1, 101):
        sink.write(record(seq, size=4000))
    sink.close()

    files = sorted(tmp_path.iterdir(), key=lambda each: each.suffix if each != path else "~")
    assert [f"audit.jsonl.{number:06d}" for number in range(1, len(files))] + ["audit.jsonl"] == [f.name for f in files]
    assert len(files) > 5
    assert all(each.stat().st_size <= 64 * 1024 and mode(each) == 0o600 for each in files)
    lines = [line for each in files for line in each.read_bytes().splitlines()]
    assert [*range(1, 101)] == [json.loads(line)["seq"] for line in lines]


def test_only_so_many_old_files_are_kept(tmp_path: Path) -> None:
    """The oldest goes first, and numbers go on across restarts (auth A17)."""
    path = tmp_path / "audit.jsonl"
    (tmp_path / "audit.jsonl.000041").touch()
    (tmp_path / "audit.jsonl.backup").touch()
    for first in (1, 51):
        sink = JsonLinesSink(path, max_bytes=64 * 1024, keep=2)
        for seq in range(first, first + 50):
            sink.write(record(seq, size=4000))
        sink.close()

    names = sorted(each.name for each in tmp_path.iterdir())
    numbers = [int(name[-6:]) for name in names if name[-6:].isdigit()]
    assert 2 == len(numbers)
    assert numbers[0] + 1 == numbers[1] > 45
    assert "audit.jsonl.backup" in names


def test_a_torn_line_spoils_no_other(tmp_path: Path) -> None:
    """What a crash has left half written is closed, so that the next record has a line of its own (auth A17)."""
    path = tmp_path / "audit.jsonl"
    path.write_bytes(record(1).line + b"\n" + record(2).line[:40])
    sink = JsonLinesSink(path)
    sink.write(record(3))
    sink.close()

    lines = path.read_bytes().splitlines()
    assert [record(1).line, record(2).line[:40], record(3).line] == lines


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    """An outside rotation loses nothing (auth A17)."""
    path = tmp_path / "audit.jsonl"
    sink = JsonLinesSink(path)
    sink.write(record(1))
    path.rename(tmp_path / "moved")
    sink.write(record(2))
    (tmp_path / "audit.jsonl").rename(tmp_path / "moved again")
    (tmp_path / "audit.jsonl").touch()
    sink.write(record(3))
    sink.close()

    stored = [(tmp_path / name).read_bytes() for name in ("moved", "moved again", "audit.jsonl")]
    assert [record(seq).line + b"\n" for seq in (1, 2, 3)] == stored


def test_a_link_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    """Nobody can point the trail at another file (auth A17)."""
    (tmp_path / "victim").touch()
    (tmp_path / "audit.jsonl").symlink_to(tmp_path / "victim")
    sink = JsonLinesSink(tmp_path / "audit.jsonl")

    with pytest.raises(OSError, match=r"audit\.jsonl"):
        sink.write(record(1))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A pipe would block whoever writes, for ever."""
    os.mkfifo(tmp_path / "audit.jsonl")

    with pytest.raises(ConfigurationError, match="no regular file"):
        JsonLinesSink(tmp_path / "audit.jsonl").write(record(1))


def test_two_writers_of_one_file_are_told_apart(tmp_path: Path) -> None:
    """The second is refused, and its error says how each process gets a file of its own (auth A17)."""
    path = tmp_path / "audit.jsonl"
    first, second = JsonLinesSink(path), JsonLinesSink(path, name="second")
    first.write(record(1))

    with pytest.raises(ConfigurationError, match=r"put \{pid\} into the path"):
        second.write(record(2))
    first.close()
    second.write(record(2))
    second.close()
    assert 2 == len(path.read_bytes().splitlines())


def test_each_process_has_a_file_of_its_own(tmp_path: Path) -> None:
    """``{pid}`` in the path is the process id, when the file is opened."""
    sink = JsonLinesSink(tmp_path / "audit-{pid}.jsonl")
    sink.write(record(1))
    sink.close()

    assert [f"audit-{os.getpid()}.jsonl"] == [each.name for each in tmp_path.iterdir()]


FULL_DISK = """
import resource, signal, sys
sys.path[:0] = sys.argv[2:]
from common.auth.security.audit_sinks import JsonLinesSink
from common.core.audit import AuditRecord
import types
def record(seq):
    event = types.SimpleNamespace(id=str(seq))
    return AuditRecord(event, b'{"seq":%d,"note":"%s"}' % (seq, b"x" * 300))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sink = JsonLinesSink(sys.argv[1])
sink.write(record(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (500, resource.RLIM_INFINITY))
try:
    sink.write(record(2))
except OSError as error:
    print(type(error).__name__)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
sink.write(record(2))
sink.close()
"""


def test_a_write_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    """On a disk that fills up, the part that was written is taken back, and the record is written whole later."""
    path = tmp_path / "audit.jsonl"
    answer = subprocess.run([sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True)

    assert "OSError" == answer.stdout.strip()
    assert [1, 2] == [json.loads(line)["seq"] for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize(
    "options",
    [{"max_bytes": 1000}, {"keep": 0}, {"path": "audit-{host}.jsonl"}, {"path": "audit-{pid.jsonl"}],
    ids=str,
)
def test_bad_options_are_refused_at_once(options: dict[str, Any], tmp_path: Path) -> None:
    """A file that could never hold a record, or a path that says something else, is a mistake (auth X3)."""
    with pytest.raises(ConfigurationError):
        JsonLinesSink(**{"path": tmp_path / "audit.jsonl", **options})
