"""What verification does not find is stated in the guide, and is as the guide says (auth A16)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.auth.security.audit_chain import NOTHING, head_of, link, read_envelope
from common.auth.security.audit_line import seal
from common.auth.security.audit_verification import Verdict

GUIDE = Path(__file__).parents[4] / "docs" / "guides" / "audit-evidence.md"

Writing = Callable[..., Any]


@pytest.mark.parametrize(
    "limit",
    ["Lies told at write time.", "Deletions after the last anchor.", "The end of both.", "What was never written"],
)
def test_the_guide_states_what_is_not_found(limit: str) -> None:
    """Nobody has to find out by an incident (auth A16)."""
    section = GUIDE.read_text("utf-8").split("## What verification does not find")[1].split("\n## ")[0]

    assert f"**{limit}" in section


def test_a_lie_told_at_write_time_is_not_found(written_trail: Writing) -> None:
    """A process that says what is not true has it chained and anchored like everything else (auth A16)."""
    assert Verdict.INTACT is written_trail(20).verified().verdict


def test_what_no_anchor_speaks_for_can_be_rewritten(written_trail: Writing) -> None:
    """Behind the last anchor a chain that holds can be written anew: incomplete, and not more (auth A16)."""
    trail = written_trail(40, every=10, paced=True)
    anchors = [line for line in trail.anchors if json.loads(line)["seq"] <= 30]
    lines, prev = trail.records[:30], head_of(trail.records[29].strip()) or NOTHING
    for line in trail.records[30:]:
        envelope = read_envelope(line.strip())
        assert envelope is not None
        body = envelope.body.replace(b'"actor":"u-35"', b'"actor":"u-99"')
        forged = seal(envelope.stream, envelope.seq, body, prev=prev.hex())
        prev = link(prev, envelope.stream, envelope.seq, forged)
        lines.append(forged + b"\n")

    assert lines != trail.records
    report = trail.verified(records=lines, anchors=anchors)
    assert (Verdict.INCOMPLETE, (31, 40)) == (report.verdict, report.streams[0].unanchored)


def test_both_cut_off_at_one_place_look_like_a_kill(written_trail: Writing) -> None:
    """Which is told as a missing end: exit code 2, never 1 (auth A16)."""
    trail = written_trail(40, every=10, paced=True)
    anchors = [line for line in trail.anchors if json.loads(line)["seq"] <= 30]
    report = trail.verified(records=trail.records[:30], anchors=anchors)

    assert (Verdict.INCOMPLETE, ["no_end"]) == (report.verdict, [problem.code for problem in report.problems])
