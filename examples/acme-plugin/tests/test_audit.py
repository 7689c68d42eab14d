"""Acme's audit sinks: every record whole, once, in order, and readable by the owner alone."""

import json
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from acme_plugin import FileSink, RecentSink
from acme_plugin.audit import prepare_folder, sink_for
from common.core import Settings
from common.core.audit import AuditEvent, AuditOutcome, AuditRecord, AuditSink, Severity
from common.core.utils import FrozenClock, Uuid7Generator
from common.exceptions import ConfigurationError

MakeRecord = Callable[[], AuditRecord]


@pytest.fixture
def make_record() -> MakeRecord:
    """Return a maker of records, numbered from 1."""
    new_id = Uuid7Generator(clock=FrozenClock())
    numbers = iter(range(1, 10_000))

    def make() -> AuditRecord:
        event = AuditEvent(
            id=new_id(),
            time=datetime(2026, 1, 1, tzinfo=UTC),
            stream="orders-1",
            boot_id="b-1",
            seq=next(numbers),
            type="order_placed",
            outcome=AuditOutcome.SUCCESS,
            severity=Severity.INFO,
            service="orders",
        )
        return AuditRecord(event, json.dumps({"id": event.id, "seq": event.seq}).encode())

    return make


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Name an audit file in a folder that is not there yet."""
    return tmp_path / "audit" / "trail.jsonl"


@pytest.fixture
def sink(file: Path) -> Iterator[FileSink]:
    """Return a sink on that file, closed after the test."""
    sink = FileSink(file)
    yield sink
    sink.close()


def numbers(file: Path) -> list[int]:
    """Return the sequence numbers of the whole lines of *file*."""
    found = []
    for line in file.read_bytes().splitlines():
        try:
            found.append(json.loads(line)["seq"])
        except ValueError:
            continue
    return found


def test_settings_choose_the_sink(file: Path) -> None:
    """With ACME_AUDIT_FILE records go into that file, without it into memory; only the file is durable."""
    to_file: AuditSink = sink_for(Settings.from_environment({"ACME_AUDIT_FILE": str(file)}))
    to_memory: AuditSink = sink_for(Settings())

    assert ("acme-file", True) == (to_file.name, to_file.durable)
    assert ("acme-recent", False) == (to_memory.name, to_memory.durable)
    assert not file.parent.exists()


def test_records_are_lines_in_order(sink: FileSink, file: Path, make_record: MakeRecord) -> None:
    """What was written stands in the file, byte for byte, one record per line."""
    records = [make_record() for _ in range(3)]
    for record in records:
        sink.write(record)
    sink.flush()

    assert b"".join(record.line + b"\n" for record in records) == file.read_bytes()


def test_a_repeated_record_is_stored_once(sink: FileSink, file: Path, make_record: MakeRecord) -> None:
    """Delivery is at least once; the event's id makes it once."""
    first, second = make_record(), make_record()
    for record in (first, second, first, second):
        sink.write(record)

    assert [1, 2] == numbers(file)


def test_the_file_is_for_its_owner(sink: FileSink, file: Path, make_record: MakeRecord) -> None:
    """An audit trail tells who did what; others on the machine cannot read it."""
    sink.write(make_record())

    assert 0o600 == stat.S_IMODE(file.stat().st_mode)


def test_a_second_sink_appends(sink: FileSink, file: Path, make_record: MakeRecord) -> None:
    """A restarted service goes on after the last record."""
    sink.write(make_record())
    sink.close()
    again = FileSink(file)
    again.write(make_record())
    again.close()

    assert [1, 2] == numbers(file)


def test_a_torn_line_spoils_no_other(sink: FileSink, file: Path, make_record: MakeRecord) -> None:
    """After a crash in the middle of a line, the next record begins a line of its own."""
    file.parent.mkdir()
    file.write_bytes(b'{"id": "cut sho')
    sink.write(make_record())
    sink.write(make_record())

    assert [1, 2] == numbers(file)


def test_a_full_disk_loses_no_record(file: Path) -> None:
    """A write that the system cuts short raises; repeated when there is room, the record is stored whole."""
    code = f"""
import resource, signal
from pathlib import Path
from acme_plugin import FileSink
from common.core.audit import AuditRecord
from types import SimpleNamespace
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
sink = FileSink(Path({str(file)!r}))
record = AuditRecord(SimpleNamespace(id="e-1"), b'{{"seq": 1, "padding": "0123456789"}}')
for _ in range(2):
    try:
        sink.write(record)
    except OSError:
        print("refused")
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
sink.write(record)
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert ("refused\nrefused\n", "") == (answer.stdout, answer.stderr)
    assert [1] == numbers(file)


def test_a_record_survives_the_end_of_the_process(file: Path) -> None:
    """Once write has returned, the record is there, even if nothing is flushed and the process is killed."""
    code = f"""
import os, signal
from pathlib import Path
from types import SimpleNamespace
from acme_plugin import FileSink
from common.core.audit import AuditRecord
FileSink(Path({str(file)!r})).write(AuditRecord(SimpleNamespace(id="e-1"), b'{{"seq": 7}}'))
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", code], check=False)

    assert ended.returncode < 0
    assert [7] == numbers(file)


def test_closing_is_final_and_harmless(sink: FileSink, file: Path, make_record: MakeRecord) -> None:
    """Closing twice, or without a single record, does nothing; a flush after it neither."""
    FileSink(file).close()
    sink.write(make_record())
    for _ in range(2):
        sink.close()
    sink.flush()

    assert [1] == numbers(file)


def test_memory_keeps_the_latest(make_record: MakeRecord) -> None:
    """The ring drops the oldest record, and knows repeats of those it has."""
    ring = RecentSink(capacity=2)
    records = [make_record() for _ in range(3)]
    for record in (*records, records[-1]):
        ring.write(record)
    ring.flush()
    ring.close()

    assert tuple(records[1:]) == ring.records


def test_the_folder_is_made_at_start(file: Path) -> None:
    """A service with a file that can be written starts, and the folder is there."""
    prepare_folder(Settings())
    prepare_folder(Settings.from_environment({"ACME_AUDIT_FILE": str(file)}))

    assert file.parent.is_dir()


def test_a_folder_that_cannot_be_made_stops_the_start(tmp_path: Path) -> None:
    """The error names the variable and what to do, not the path, which may be private."""
    (tmp_path / "occupied").write_text("")
    settings = Settings.from_environment({"ACME_AUDIT_FILE": str(tmp_path / "occupied" / "private.jsonl")})
    with pytest.raises(ConfigurationError, match="ACME_AUDIT_FILE cannot be made") as caught:
        prepare_folder(settings)

    assert "private" not in str(caught.value)


def test_the_repr_names_the_file(sink: FileSink, file: Path) -> None:
    """In a listing of sinks an operator sees where records go."""
    assert f"FileSink({str(file)!r})" == repr(sink)
