"""Traces under way take bounded memory."""

from common.observability.monitoring.collector import SpanCollector
from common.observability.monitoring.spans import SpanRecord


def span(name: str, parent: str | None = None, *, end: int | None = None) -> SpanRecord:
    """Return a span whose id is its name."""
    return SpanRecord(name=name, trace_id="t", span_id=name, parent_id=parent, start_ns=0, end_ns=end)


def names(spans: tuple[SpanRecord, ...]) -> list[str]:
    """Return the names of *spans*."""
    return [span.name for span in spans]


def test_a_tree_comes_at_the_end_of_its_root() -> None:
    """With all its spans, those that are still open included."""
    collector = SpanCollector()
    collector.started(span("root"))
    for name in ("a", "b"):
        collector.started(span(name, "root"))

    assert None is collector.ended(span("a", "root", end=1))
    tree = collector.ended(span("root", end=2))
    assert tree is not None
    assert ["a", "root", "b"] == names(tree.spans)
    assert [1, 2, None] == [span.end_ns for span in tree.spans]
    assert (0, 0) == (tree.dropped, tree.roots_dropped)
    assert None is collector.ended(span("b", "root", end=3))


def test_two_roots_in_parallel_do_not_mix() -> None:
    """Each gets its own spans, in whichever order they end."""
    collector = SpanCollector()
    for root in ("r1", "r2"):
        collector.started(span(root))
        collector.started(span(f"{root}.child", root))
    for root in ("r2", "r1"):
        collector.ended(span(f"{root}.child", root, end=1))

    second, first = collector.ended(span("r2", end=2)), collector.ended(span("r1", end=2))
    assert first is not None
    assert second is not None
    assert (["r1.child", "r1"], ["r2.child", "r2"]) == (names(first.spans), names(second.spans))


def test_a_span_that_starts_after_its_root_has_ended_is_a_root() -> None:
    """It is drawn on its own."""
    collector = SpanCollector()
    collector.started(span("root"))
    collector.ended(span("root", end=1))
    collector.started(span("late", "root"))

    tree = collector.ended(span("late", "root", end=2))
    assert tree is not None
    assert ["late"] == names(tree.spans)


def test_10_000_spans_in_one_root_leave_1_000() -> None:
    """The latest are kept, the root among them, and the number of those dropped is told."""
    collector = SpanCollector()
    collector.started(span("root"))
    for number in range(10_000):
        collector.started(span(str(number), "root"))
        collector.ended(span(str(number), "root", end=1))

    tree = collector.ended(span("root", end=2))
    assert tree is not None
    assert (1_000, 9_001) == (len(tree.spans), tree.dropped)
    assert ["9001", "root"] == [tree.spans[0].name, tree.spans[-1].name]


def test_10_000_open_spans_in_one_root_leave_1_000() -> None:
    """Spans that never end are dropped like others, the root never."""
    collector = SpanCollector()
    collector.started(span("root"))
    for number in range(10_000):
        collector.started(span(str(number), "root"))

    tree = collector.ended(span("root", end=2))
    assert tree is not None
    assert (1_000, 9_001) == (len(tree.spans), tree.dropped)


def test_more_than_100_open_roots_drop_the_oldest() -> None:
    """The next tree that is drawn tells how many were given up."""
    collector = SpanCollector()
    for number in range(150):
        collector.started(span(f"r{number}"))

    assert None is collector.ended(span("r0", end=1))
    tree = collector.ended(span("r149", end=1))
    assert tree is not None
    assert 50 == tree.roots_dropped
    again = collector.ended(span("r148", end=1))
    assert again is not None
    assert 0 == again.roots_dropped
