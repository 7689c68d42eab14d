"""The end of the day: every audit trail is verified, and one is changed to see that it would be noticed."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

from exchange.story import Story
from exchange.trails import Trail, Verdict


def verify_trails(folder: Path, services: Sequence[str], story: Story, random: Random) -> None:
    """Verify what the services have written, and a copy of one of it in which one byte was changed.

    Args:
        folder: Of the run.
        services: Their names.
        story: Is told what was found.
        random: Chooses the byte.
    """
    trails = [Trail.of(folder, service) for service in services]
    verdicts = [trail.verify() for trail in trails]
    story.add(
        f"{len(trails)} audit trails, verified by signed anchors",
        f"{sum(verdict.records for verdict in verdicts)} records, intact",
        as_expected=all(verdict.code == 0 and verdict.anchors for verdict in verdicts),
    )
    changed_trail = max(trails, key=lambda trail: trail.records.stat().st_size)
    copy = folder / f"{changed_trail.service}.tampered.jsonl"
    line = copy_with_one_bit_flipped(changed_trail.records, copy, random)
    verdict = changed_trail.verify(copy)
    story.add(
        f"A copy with one bit flipped in {changed_trail.service} #{line}",
        f"{verdict.word}, found at {found_at(verdict)}",
        as_expected=verdict.code == 1 and verdict.first_bad <= line <= max(verdict.first_bad, verdict.until),
    )


def found_at(verdict: Verdict) -> str:
    """Return where the first fault is; two lines where they do not fit each other, and either may be the wrong one."""
    last = max(verdict.first_bad, verdict.until)
    return f"#{verdict.first_bad}" if last == verdict.first_bad else f"#{verdict.first_bad} to #{last}"


def copy_with_one_bit_flipped(original: Path, copy: Path, random: Random) -> int:
    """Write *copy*, and return the number of the line in which it differs from *original*, starting at 1."""
    octets = bytearray(original.read_bytes())
    place = random.randrange(len(octets) - 1)
    while octets[place] == ord("\n"):
        place = random.randrange(len(octets) - 1)
    octets[place] ^= 1
    copy.write_bytes(octets)
    return octets[:place].count(b"\n") + 1
