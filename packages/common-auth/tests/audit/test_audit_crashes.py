"""What a crash costs: processes that are killed at random places, and the files they leave (auth A11, A19)."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.auth.security.audit_anchorer import Anchoring
from common.auth.security.audit_logger import AuditLogger
from common.auth.security.audit_sinks import AnchorFile, JsonLinesSink
from common.auth.security.audit_verification import PublicKeys, Verdict, verify_chain
from common.auth.security.keys import SigningKey
from common.core.audit import AuditOutcome

pytestmark = pytest.mark.thorough

OK = AuditOutcome.SUCCESS
Until = Callable[[Callable[[], object]], None]
Writing = Callable[..., Any]

WRITER = """
import os, sys
from common.auth.security.audit_anchorer import Anchoring
from common.auth.security.audit_logger import AuditLogger
from common.auth.security.audit_sinks import AnchorFile, JsonLinesSink
from common.auth.security.keys import SigningKey
from common.core.audit import AuditOutcome
folder, pem, torn = sys.argv[1], sys.argv[2], sys.argv[3] == "torn"
key = SigningKey.from_pem(open(pem).read(), alg="EdDSA", kid="k1")
anchoring = Anchoring(sink=AnchorFile(folder + "/audit.anchors"), keys=key, records=100)
audit = AuditLogger([JsonLinesSink(folder + "/audit.jsonl", max_bytes=256 * 1024)], service="orders", anchoring=anchoring)
if torn:
    # A write that comes back half way, as at the end of a machine, just before the process is killed.
    whole = os.write
    def half(file, octets):
        if octets.endswith(b"}}\\n") and b'"seq":200,' in octets:
            whole(file, octets[: len(octets) // 2])
            os.kill(os.getpid(), 9)
        return whole(file, octets)
    os.write = half
number = 0
while True:
    number += 1
    ref = audit.emit("authn_login_success", outcome=AuditOutcome.SUCCESS, actor=f"u-{number}")
    if number % 50 == 0:
        audit.flush(5)
        print(number, flush=True)
"""


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    """Write a private key to a file."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    path = tmp_path / "private.pem"
    private = Ed25519PrivateKey.generate()
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def killed_after(folder: Path, pem: Path, seconds: float | None) -> int:
    """Run a writer, kill it *seconds* after its first sign of life, and return how many events it knew to be stored.

    ``None`` lets it kill itself in the middle of a write.
    """
    words = [sys.executable, "-c", WRITER, str(folder), str(pem), "torn" if seconds is None else "whole"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE)
    assert process.stdout is not None
    acknowledged = process.stdout.readline()
    if seconds is not None:
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
    rest = process.stdout.read()
    process.stdout.close()
    assert -signal.SIGKILL == process.wait(timeout=20)
    return int([line for line in (acknowledged + rest).split(b"\n") if line][-1])


def lines_in(folder: Path) -> list[bytes]:
    """Return the lines of the trail over all its files, with their ends."""
    files = [*sorted(folder.glob("audit.jsonl.0*")), folder / "audit.jsonl"]
    # Who is killed between the two steps of a rotation leaves no current file.
    return [line for file in files if file.exists() for line in file.read_bytes().splitlines(keepends=True)]


def verdict_on(folder: Path, pem: Path) -> Any:
    """Verify what is in the folder."""
    key = SigningKey.from_pem(pem.read_text(), alg="EdDSA", kid="k1")
    anchors = folder / "audit.anchors"
    lines = anchors.read_bytes().splitlines(keepends=True) if anchors.exists() else []
    return verify_chain(lines_in(folder), lines, PublicKeys([key.verification]))


def test_a_killed_process_leaves_a_prefix_and_a_chain_that_holds(tmp_path: Path, pem: Path) -> None:
    """Twelve processes, one behind the other in one trail, each killed at a random time: nothing flushed is lost (auth A11).

    What was written stands whole and in order; no kill breaks the chain, and each is told as a missing end.
    """
    folder, chance = tmp_path / "trail", random.Random(11)
    folder.mkdir()
    for _ in range(12):
        known = killed_after(folder, pem, chance.uniform(0, 0.25))
        stored = [json.loads(line) for line in lines_in(folder) if line.endswith(b"}}\n")]
        newest = [line for line in stored if line["stream"] == stored[-1]["stream"]]
        numbers = [line["event"]["actor"] for line in newest if line["event"]["type"] == "authn_login_success"]
        assert [f"u-{number}" for number in range(1, len(numbers) + 1)] == numbers
        assert len(numbers) >= known
    report = verdict_on(folder, pem)

    assert Verdict.INCOMPLETE is report.verdict, report.problems
    assert 12 == len(report.streams) == [problem.code for problem in report.problems].count("no_end")
    assert {"no_end", "unanchored"} >= {problem.code for problem in report.problems}


def test_a_torn_last_line_is_sealed(tmp_path: Path, pem: Path) -> None:
    """The next process vouches for what was torn by its first line, and writes that it was there (auth A11, A13)."""
    folder = tmp_path / "trail"
    folder.mkdir()
    for _ in range(2):
        killed_after(folder, pem, None)
        assert not lines_in(folder)[-1].endswith(b"\n")
    torn = lines_in(folder)[-1]
    assert Verdict.INCOMPLETE is verdict_on(folder, pem).verdict
    audit = AuditLogger([JsonLinesSink(folder / "audit.jsonl")], service="orders")
    audit.emit("sys_startup", outcome=OK)
    assert audit.close(10).complete
    lines = lines_in(folder)
    events = [json.loads(line)["event"] for line in lines[-3:]]

    assert [len(torn)] == [event["details"]["torn"] for event in events if event["type"] == "audit_recovered"]
    report = verdict_on(folder, pem)
    assert Verdict.INCOMPLETE is report.verdict, report.problems
    place = lines.index(torn + b"\n")
    for changed in (torn[:-1] + b"\n", torn.replace(b"u-200", b"u-201") + b"x\n", b"\n"):
        broken = [*lines[:place], changed, *lines[place + 1 :]]
        assert Verdict.TAMPERED is verify_chain(broken, [], None).verdict
    assert Verdict.TAMPERED is verify_chain([*lines[:place], *lines[place + 1 :]], [], None).verdict


def test_a_clean_end_and_a_killed_process_are_told_apart(tmp_path: Path, pem: Path, written_trail: Writing) -> None:
    """``stream_end`` stands at a clean end; verification tells where it is missing (auth A19)."""
    ended = written_trail(60, every=10).verified()
    folder = tmp_path / "killed"
    folder.mkdir()
    killed_after(folder, pem, 0)
    killed = verdict_on(folder, pem)

    assert (Verdict.INTACT, True) == (ended.verdict, ended.streams[0].ended)
    assert (Verdict.INCOMPLETE, False) == (killed.verdict, killed.streams[0].ended)
    assert "no_end" in {problem.code for problem in killed.problems}


NEVER_FLUSHED = """
import sys, time
from common.auth.security.audit_logger import AuditLogger
from common.auth.security.audit_sinks import JsonLinesSink
from common.core.audit import AuditOutcome
sink = JsonLinesSink(sys.argv[1])
sink.flush = lambda: time.sleep(60)
audit = AuditLogger([sink], service="orders")
for number in range(1, 301):
    audit.emit("authn_login_success", outcome=AuditOutcome.SUCCESS, actor=f"u-{number}")
time.sleep(60)
"""


def test_what_waits_in_memory_is_all_that_a_killed_process_loses(tmp_path: Path, until: Until) -> None:
    """What the sink has been handed is in the file before anybody flushes: ``write()`` survives the process (auth A11)."""
    file = tmp_path / "audit.jsonl"
    process = subprocess.Popen([sys.executable, "-c", NEVER_FLUSHED, str(file)])
    try:
        until(lambda: file.exists() and file.read_bytes().count(b"\n") >= 1)
    finally:
        process.kill()
        process.wait(timeout=20)

    lines = file.read_bytes().splitlines(keepends=True)
    assert all(line.endswith(b"}}\n") for line in lines)
    assert [*range(1, len(lines) + 1)] == [json.loads(line)["seq"] for line in lines]


def test_many_records_share_one_call_that_brings_them_to_the_disk(
    tmp_path: Path, pem: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``fdatasync`` is called for groups, not for each record, and before an anchor speaks of them (auth A11, A14)."""
    calls: list[int] = []
    path = tmp_path / "audit.jsonl"
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda file: (calls.append(path.read_bytes().count(b"\n")), real(file)))
    key = SigningKey.from_pem(pem.read_text(), alg="EdDSA", kid="k1")
    anchoring = Anchoring(sink=AnchorFile(tmp_path / "audit.anchors"), keys=key, records=100)
    audit = AuditLogger([JsonLinesSink(path)], service="orders", anchoring=anchoring)
    for _ in range(2000):
        audit.emit("authn_login_success", outcome=OK)
    assert audit.close(20).complete

    assert 2001 == max(calls)
    assert len(calls) < 200
    anchored = [json.loads(line)["seq"] for line in (tmp_path / "audit.anchors").read_bytes().splitlines()]
    assert 2001 == anchored[-1]


def test_a_file_may_be_left_to_the_operating_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without synchronising, records survive the process and not the machine, and flushing costs nothing (auth A11)."""
    monkeypatch.setattr(os, "fdatasync", lambda file: pytest.fail("it was called"))
    audit = AuditLogger([JsonLinesSink(tmp_path / "audit.jsonl", synchronise=False)], service="orders")
    audit.emit("authn_login_success", outcome=OK)

    assert audit.close(10).complete
    assert 2 == len((tmp_path / "audit.jsonl").read_bytes().splitlines())
