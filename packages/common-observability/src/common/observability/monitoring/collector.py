"""Gathers the spans of each local root until it ends, in bounded memory."""

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from common.observability.monitoring.spans import SpanRecord

__all__ = ["MAX_ROOTS", "MAX_SPANS", "SpanCollector", "SpanTree"]

MAX_SPANS = 1_000
"""Spans kept per tree; the oldest are dropped."""
MAX_ROOTS = 100
"""Local roots that may be open at a time; the oldest are dropped with their trees."""


@dataclass(frozen=True, slots=True)
class SpanTree:
    """The spans of one local root that has ended."""

    spans: tuple[SpanRecord, ...]
    """Those that are still open have no end."""
    dropped: int
    """Spans of this tree that were too many."""
    roots_dropped: int
    """Other roots given up since the last tree."""


@dataclass(slots=True)
class _Growing:
    finished: deque[SpanRecord] = field(default_factory=deque)
    open: OrderedDict[str, SpanRecord] = field(default_factory=OrderedDict)
    dropped: int = 0


class SpanCollector:
    """Told of every start and end, returns a tree at the end of each local root. Not thread-safe: its owner locks.

    A local root is a span without a parent in this process. A span that starts after its root has ended is a root of
    its own.
    """

    def __init__(self, *, max_spans: int = MAX_SPANS, max_roots: int = MAX_ROOTS) -> None:
        self._max_spans = max_spans
        self._max_roots = max_roots
        self._trees: OrderedDict[str, _Growing] = OrderedDict()
        self._root_of: dict[str, str] = {}
        self._roots_dropped = 0

    def started(self, span: SpanRecord) -> None:
        """Take note of *span*, which has just started."""
        root = self._root_of.get(span.parent_id or "", span.span_id)
        if root == span.span_id:
            self._make_room()
            self._trees[root] = _Growing()
        tree = self._trees[root]
        self._root_of[span.span_id] = root
        tree.open[span.span_id] = span
        if len(tree.open) > self._max_spans:
            # The root comes first and stays; the oldest beside it goes.
            oldest = next(key for key in tree.open if key != root)
            self._forget(tree, oldest)

    def ended(self, span: SpanRecord) -> SpanTree | None:
        """Take note that *span* has ended; return the whole tree where it was a local root."""
        root = self._root_of.get(span.span_id)
        if root is None:
            return None
        tree = self._trees[root]
        tree.open.pop(span.span_id, None)
        tree.finished.append(span)
        if span.span_id == root:
            return self._complete(root)
        if len(tree.finished) + len(tree.open) > self._max_spans:
            self._root_of.pop(tree.finished.popleft().span_id, None)
            tree.dropped += 1
        return None

    def _complete(self, root: str) -> SpanTree:
        tree = self._trees.pop(root)
        spans = (*tree.finished, *tree.open.values())
        for span in spans:
            self._root_of.pop(span.span_id, None)
        given_up, self._roots_dropped = self._roots_dropped, 0
        return SpanTree(spans, tree.dropped, given_up)

    def _forget(self, tree: _Growing, span_id: str) -> None:
        del tree.open[span_id]
        self._root_of.pop(span_id, None)
        tree.dropped += 1

    def _make_room(self) -> None:
        if len(self._trees) < self._max_roots:
            return
        _, tree = self._trees.popitem(last=False)
        for span in (*tree.finished, *tree.open.values()):
            self._root_of.pop(span.span_id, None)
        self._roots_dropped += 1
