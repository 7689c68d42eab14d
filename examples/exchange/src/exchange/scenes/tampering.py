"""The end of the day: every audit trail is verified, and one is changed to see that it would be noticed."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

from exchange.story import Story
from exchange.trails import Trail


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
        f"{verdict.word}, found at #{verdict.first_bad}",
        as_expected=verdict.code == 1 and verdict.first_bad == line,
    )


def copy_with_one_bit_flipped(original: Path, copy: Path, random: Random) -> int:
    """Write *copy*, which tells one event otherwise than *original*; return the number of its line, starting at 1.

    Any but the last: no later line names that one, so that the anchors alone tell of it, and of a wider range.
    """
    lines = original.read_bytes().splitlines(keepends=True)
    number = random.randrange(len(lines) - 1)
    line = bytearray(lines[number])
    line[random.randrange(line.index(b'"event":'), len(line) - 1)] ^= 1
    copy.write_bytes(b"".join([*lines[:number], line, *lines[number + 1 :]]))
    return number + 1
