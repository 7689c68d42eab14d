"""The bounded queue and the account of losses: pure, so every sequence can be tried (auth A10)."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.auth.security.audit_breaker import Breaker
from common.auth.security.audit_queue import SeqRanges, SeverityQueue
from common.core.audit import Severity


@dataclass(frozen=True)
class Entry:
    """What the queue needs to know."""

    seq: int
    severity: Severity = Severity.INFO
    required: bool = False


ENTRIES = st.lists(st.tuples(st.sampled_from(Severity), st.booleans()), max_size=60).map(
    lambda kinds: [Entry(at, severity, required) for at, (severity, required) in enumerate(kinds, 1)]
)


@given(ENTRIES, st.integers(1, 10))
def test_what_comes_out_is_what_went_in_but_for_the_victims(entries: list[Entry], bound: int) -> None:
    """Nothing is lost in silence, nothing twice, the order is that of the stream, the bound holds."""
    queue: SeverityQueue[Entry] = SeverityQueue(bound)
    victims = [victim for entry in entries if (victim := queue.push(entry)) is not None]
    assert len(queue) <= bound
    kept = [queue.pop() for _ in range(len(queue))]

    assert sorted(kept, key=lambda entry: entry.seq) == kept
    assert sorted([*kept, *victims], key=lambda entry: entry.seq) == entries


@given(ENTRIES, st.integers(1, 10))
def test_the_least_severe_goes_first(entries: list[Entry], bound: int) -> None:
    """No victim is more severe than what stays, and a required entry goes only where all that stay are required."""
    queue: SeverityQueue[Entry] = SeverityQueue(bound)
    for entry in entries:
        victim = queue.push(entry)
        if victim is not None:
            kept = queue.clear()
            assert all(rank(victim) <= rank(other) for other in kept)
            for other in kept:
                queue.push(other)


def rank(entry: Entry) -> int:
    """Return how dear an entry is: a required one is dearer than any severity."""
    return 100 if entry.required else int(entry.severity)


def test_among_equals_the_newest_goes() -> None:
    """What came first explains what follows, and losses stay together."""
    queue: SeverityQueue[Entry] = SeverityQueue(3)

    assert [None, None, None, 4, 5] == [
        victim and victim.seq for victim in (queue.push(Entry(seq)) for seq in range(1, 6))
    ]
    assert 3 == (queue.push(Entry(6, Severity.HIGH)) or Entry(0)).seq
    assert [1, 2, 6] == [entry.seq for entry in queue.clear()]


def test_an_empty_queue_has_no_head() -> None:
    """Taking from nothing is an error, looking at it is not."""
    queue: SeverityQueue[Entry] = SeverityQueue(3)

    assert None is queue.head()
    with pytest.raises(IndexError):
        queue.pop()


@given(st.sets(st.integers(1, 60)), st.randoms(use_true_random=False), st.integers(1, 5))
def test_ranges_are_exactly_the_set(positions: set[int], random: object, limit: int) -> None:
    """In whatever order positions are added, the runs cover them and nothing else, and as few as possible."""
    order = sorted(positions)
    random.shuffle(order)  # type: ignore[attr-defined]
    ranges = SeqRanges()
    for seq in order:
        ranges.add(seq)
    runs = ranges.runs()

    assert positions == {seq for first, last in runs for seq in range(first, last + 1)}
    assert all(first <= last for first, last in runs)
    assert all(runs[at][1] + 1 < runs[at + 1][0] for at in range(len(runs) - 1))
    assert len(positions) == len(ranges)
    taken = ranges.take(limit)
    assert runs == taken + ranges.runs()
    assert len(positions) - sum(last - first + 1 for first, last in taken) == len(ranges)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=20))
def test_whole_runs_can_be_put_back(lengths: list[int]) -> None:
    """What could not be told is put back as it was."""
    ranges, at = SeqRanges(), 1
    for length in lengths:
        ranges.add(at, at + length - 1)
        at += length + 1
    before = ranges.runs()
    for first, last in ranges.take(len(lengths) // 2 + 1):
        ranges.add(first, last)

    assert before == ranges.runs()


def test_a_breaker_waits_longer_each_time_and_never_beyond_its_limit() -> None:
    """0.1, 0.2, 0.4, 0.8 s and so on, at the most 30 s."""
    breaker = Breaker(threshold=5, first_delay=0.1, longest_delay=30)
    opened = []
    delays = []
    for _ in range(2000):
        opened.append(breaker.failed(100.0))
        delays.append(round(breaker.retry_at - 100.0, 6))

    assert [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0] == delays[:11]
    assert 30.0 == max(delays)
    assert [4] == [at for at, did in enumerate(opened) if did]
