"""Keeping records for a time, and erasing a person without breaking the chain (auth A23)."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from common.auth.exceptions import StoreUnavailable
from common.auth.security.audit_concealment import Concealment
from common.auth.security.audit_line import MAX_LINE, encode_event, seal
from common.auth.security.audit_query import event_in
from common.auth.security.audit_settings import audit_logger
from common.auth.security.audit_sinks import JsonLinesSink, MemorySink
from common.auth.security.audit_verification import Verdict
from common.auth.security.context import Claimed, RequestContext
from common.auth.security.subject_keys import FileSubjectKeys, MemorySubjectKeys, SubjectKey, SubjectKeys
from common.core import Plugins, Settings
from common.core.audit import AuditEvent, AuditOutcome, AuditRecord, Severity
from common.core.cli import main
from common.core.utils.clock import FrozenClock

OK = AuditOutcome.SUCCESS
Writing = Callable[..., Any]


@pytest.fixture(params=["memory", "files"])
def keys(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SubjectKeys]:
    """Return each keeper of keys."""
    folder = tmp_path / "keys"
    folder.mkdir()
    yield MemorySubjectKeys() if request.param == "memory" else FileSubjectKeys(folder)
    assert all(each.stat().st_mode & 0o777 == 0o600 for each in folder.iterdir())


# Keys


def test_a_person_has_one_key_until_it_is_erased(keys: SubjectKeys) -> None:
    """It is found by person and by id; erased, it is gone, and the next event gets another."""
    made = keys.obtain("u-ada")

    assert made == keys.obtain("u-ada") == keys.find("u-ada") == keys.by_id(made.id)
    assert made.id != keys.obtain("u-bob").id
    assert (True, False) == (keys.erase("u-ada"), keys.erase("u-ada"))
    assert (None, None) == (keys.find("u-ada"), keys.by_id(made.id))
    assert keys.obtain("u-ada").id != made.id
    assert keys.find("u-bob") is not None


def test_an_erased_key_is_in_no_file(tmp_path: Path) -> None:
    """Neither the key nor the way from the person to its id is left; the folder holds no name of a person."""
    keys = FileSubjectKeys(tmp_path)
    made = keys.obtain("u-ada")
    stored = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert made.key.reveal().hex().encode() in stored
    assert b"u-ada" not in stored
    keys.erase("u-ada")

    assert [] == list(tmp_path.iterdir())


def test_two_processes_agree_on_a_key(tmp_path: Path) -> None:
    """Whoever comes second takes the key of the first, also when both have looked before (auth A23)."""
    first, second = FileSubjectKeys(tmp_path), FileSubjectKeys(tmp_path)
    second.find = lambda subject, real=second.find: second.__dict__.pop("find") and None  # type: ignore[method-assign, misc]
    made = first.obtain("u-ada")

    assert made == second.obtain("u-ada")
    assert 2 == len(list(tmp_path.iterdir()))


def test_a_folder_that_is_gone_is_an_outage(tmp_path: Path) -> None:
    """No error of the file system crosses the interface (auth X2)."""
    keys = FileSubjectKeys(tmp_path / "nowhere")
    with pytest.raises(StoreUnavailable):
        keys.obtain("u-ada")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable):
        FileSubjectKeys(tmp_path / "file").find("u-ada")


# Erasing


def test_erasing_a_person_leaves_the_chain_intact(written_trail: Writing, keys: SubjectKeys) -> None:
    """Before, the trail tells of the person to who may read it; afterwards to nobody, and not a byte has changed (auth A23)."""
    trail = written_trail(50, every=10, subject_keys=keys)
    assert Verdict.INTACT is trail.verified().verdict
    assert not any(b"u-7" in line for line in trail.records)
    before = Concealment(keys).reveal(event_in(trail.records[6]))
    assert ("u-7", {"number": 7}) == (before.actor, before.details)
    id = keys.find("u-7").id
    keys.erase("u-7")

    assert Verdict.INTACT is trail.verified().verdict
    after = Concealment(keys).reveal(event_in(trail.records[6]))
    assert (id, ["sealed"]) == (after.actor, list(after.details))
    assert "u-8" == Concealment(keys).reveal(event_in(trail.records[7])).actor


def test_what_tells_of_two_persons_is_sealed_for_each(logging_to: Writing, keys: SubjectKeys) -> None:
    """The address goes with who acted, the details with whom it was done to; the rest stays readable (auth A23)."""
    sink = MemorySink()
    audit = logging_to(sink, subject_keys=keys)
    ctx = RequestContext(source_ip="192.0.2.7", request_id="r-12345678")
    audit.emit("order_placed", outcome=OK, actor="u-root", subject="u-ada", ctx=ctx, reason="asked", order="o-1")
    audit.emit("order_placed", outcome=OK, actor="u-ada", subject="u-ada", ctx=ctx, order="o-2")
    audit.emit("order_placed", outcome=OK, subject="u-ada", ctx=ctx)
    audit.emit("order_placed", outcome=OK, actor=Claimed("somebody"), ctx=ctx, order="o-3")
    audit.emit("order_placed", outcome=OK, order="o-4")
    assert audit.flush(5).complete
    reveal = Concealment(keys).reveal

    first, both, other, claimed, nobody = sink.events
    assert ("asked", "r-12345678", None) == (first.reason, first.request_id, first.source_ip)
    opened = [reveal(event) for event in (first, both, other)]
    assert ["192.0.2.7"] * 3 == [event.source_ip for event in opened]
    assert [{"order": "o-1"}, {"order": "o-2"}, {}] == [dict(event.details) for event in opened]
    assert 1 == len(both.details["sealed"])  # type: ignore[arg-type]
    assert (audit.pseudonym("somebody"), {"order": "o-3"}) == (claimed.actor, dict(claimed.details))
    assert {"order": "o-4"} == dict(nobody.details)
    keys.erase("u-ada")
    assert ("u-root", "192.0.2.7") == (reveal(first).actor, reveal(first).source_ip)
    assert keys.find("u-ada") is None
    assert "u-ada" not in str([reveal(event) for event in sink.events])


def test_sealed_details_keep_to_the_size_of_a_line(logging_to: Writing) -> None:
    """Sealing makes texts longer, and a line still has 16 KiB at the most, cut and marked (auth A6)."""
    sink, keys = MemorySink(), MemorySubjectKeys()
    audit = logging_to(sink, subject_keys=keys)
    audit.emit("order_placed", outcome=OK, actor="u-ada", note="x" * 30_000)
    assert audit.flush(5).complete

    assert len(sink.records[0].line) <= MAX_LINE
    opened = Concealment(keys).reveal(sink.events[0])
    assert opened.truncated
    assert len(str(opened.details["note"])) > 8000


def test_a_box_belongs_to_its_event(logging_to: Writing) -> None:
    """What was moved to another event cannot be opened there."""
    sink, keys = MemorySink(), MemorySubjectKeys()
    audit = logging_to(sink, subject_keys=keys)
    for order in ("o-1", "o-2"):
        audit.emit("order_placed", outcome=OK, actor="u-ada", order=order)
    assert audit.flush(5).complete
    first, second = sink.events
    moved = replace(second, details=first.details)
    assert {"order": "o-1"} == dict(Concealment(keys).reveal(first).details)
    assert ["sealed"] == list(Concealment(keys).reveal(moved).details)


class KeysThatFail(MemorySubjectKeys):
    """Cannot be had for a while."""

    outages = 4

    def obtain(self, subject: str, /) -> SubjectKey:
        """Fail as often as is left."""
        if self.outages:
            self.outages -= 1
            raise StoreUnavailable(reason="down")
        return super().obtain(subject)


def test_nothing_is_stored_in_the_open_while_keys_cannot_be_had(logging_to: Writing) -> None:
    """Events wait, in their order, and the request does not (auth A22, A23)."""
    sink = MemorySink()
    audit = logging_to(sink, subject_keys=KeysThatFail())
    for _ in range(3):
        audit.emit("order_placed", outcome=OK, actor="u-ada")

    assert audit.flush(5).complete
    assert not any(b"u-ada" in record.line for record in sink.records)
    assert 3 == [event.type for event in sink.events].count("order_placed")


def test_the_command_erases_and_reveals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A person is found, revealed and erased from the command line; the trail stays intact (auth A23)."""
    (tmp_path / "keys").mkdir()
    environ = {
        "COMMON_SERVICE_NAME": "orders", "COMMON_AUTH_PASSWORDS": "off", "COMMON_PLUGINS_ONLY": "",
        "COMMON_AUTH_AUDIT_FILE": str(tmp_path / "audit.jsonl"), "COMMON_AUTH_AUDIT_SUBJECT_KEYS": str(tmp_path / "keys"),
    }  # fmt: skip
    settings, plugins = Settings.from_environment(environ), Plugins()
    plugins.load(settings)
    audit = audit_logger(settings, plugins)
    audit.emit("authn_login_success", outcome=OK, actor="u-ada", method="password")
    assert audit.close(10).complete
    words = ["audit", "query", "--subject", "u-ada"]

    assert 0 == main([*words, "--reveal"], environ=environ)
    assert "actor=u-ada method=password" in capsys.readouterr().out
    assert 0 == main(words, environ=environ)
    assert "u-ada" not in capsys.readouterr().out
    assert 0 == main(["audit", "erase", "u-ada"], environ=environ)
    assert 1 == main(["audit", "erase", "u-ada"], environ=environ)
    capsys.readouterr()
    assert 0 == main([*words, "--reveal"], environ=environ)
    assert "" == capsys.readouterr().out
    assert 2 == main(["audit", "verify"], environ=environ)
    assert "tampered" not in capsys.readouterr().out


# Keeping for a time


def record(seq: int, time: datetime) -> AuditRecord:
    """Make the record of an event at *time*."""
    fields: dict[str, Any] = {
        "id": f"0190163d-8694-739b-aea5-{seq:012x}", "time": time, "stream": "orders-ab", "boot_id": "ab",
        "type": "order_placed", "outcome": OK, "severity": Severity.INFO, "service": "orders",
    }  # fmt: skip
    return AuditRecord(AuditEvent(seq=seq, **fields), seal("orders-ab", seq, encode_event(fields)))


def test_files_are_renamed_and_removed_by_age(tmp_path: Path) -> None:
    """A file is renamed after a tenth of the retention, and a renamed one goes when it is older than that (auth A23)."""
    path, clock = tmp_path / "audit.jsonl", FrozenClock(datetime(2026, 11, 1, tzinfo=UTC))

    def write(seq: int) -> list[str]:
        sink = JsonLinesSink(path, retention=timedelta(days=30), clock=clock)
        sink.write(record(seq, clock.now()))
        sink.close()
        for each in tmp_path.iterdir():
            if seq == 1 or each.name == "audit.jsonl":
                os.utime(each, (clock.now().timestamp(),) * 2)
        return sorted(each.name for each in tmp_path.iterdir())

    assert ["audit.jsonl"] == write(1)
    clock.advance(timedelta(days=2))
    assert ["audit.jsonl"] == write(2)
    clock.advance(timedelta(days=2))
    assert ["audit.jsonl", "audit.jsonl.000001"] == write(3)
    clock.advance(timedelta(days=27))
    assert ["audit.jsonl", "audit.jsonl.000001", "audit.jsonl.000002"] == write(4)
    clock.advance(timedelta(days=3))
    assert ["audit.jsonl", "audit.jsonl.000002", "audit.jsonl.000003"] == write(5)
    assert [3] == [json.loads(line)["seq"] for line in (tmp_path / "audit.jsonl.000002").read_bytes().splitlines()]
