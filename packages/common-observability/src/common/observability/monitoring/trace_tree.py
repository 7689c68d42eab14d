"""The layout of a trace on a terminal: which span stands below which, and what each line says. Pure text, no I/O."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from common.observability.monitoring.capacity import consumed_capacity
from common.observability.monitoring.spans import SpanRecord

__all__ = ["BAR_CELLS", "Branch", "TreeLine", "branches", "capacity_units", "tree_lines"]

BAR_CELLS = 24
"""Width of the waterfall, where there is room for it."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A span and the guides that lead to it, such as ``│  └─ ``."""

    guide: str
    span: SpanRecord
    enters: bool
    """Whether the span is the first of its service on the way from the root."""


@dataclass(frozen=True, slots=True)
class TreeLine:
    """One line of the tree, in the columns it is drawn in."""

    guide: str
    label: str
    """The DAO method, or the span's name."""
    detail: str
    """API and table of a DAO call, the service called by any other; in brackets, the service that the trace enters."""
    ms: str
    bar: str
    """As many characters as the waterfall is wide."""
    facts: str
    """Capacity units, pages, retries."""
    error: str
    """Code of the failure; empty where there is none."""


def branches(spans: Iterable[SpanRecord]) -> list[Branch]:
    """Return *spans* in the order of drawing: each below its parent, siblings by start.

    A span whose parent is not among *spans* is a root. Spans that name each other as parents are drawn as roots too.
    """
    known = {span.span_id: span for span in spans}
    children: dict[str | None, list[SpanRecord]] = defaultdict(list)
    for span in sorted(known.values(), key=lambda span: (span.start_ns, span.span_id)):
        children[span.parent_id if span.parent_id in known else None].append(span)
    drawn: list[Branch] = []
    _draw(children[None], children, known, drawn)
    reached = {branch.span.span_id for branch in drawn}
    for span in known.values():
        if span.span_id not in reached:
            drawn.append(Branch("", span, enters=True))
    return drawn


def _draw(
    roots: Sequence[SpanRecord],
    children: dict[str | None, list[SpanRecord]],
    known: dict[str, SpanRecord],
    drawn: list[Branch],
) -> None:
    # A stack in place of recursion: a trace may be deeper than Python's call stack.
    stack = [(root, "", "") for root in reversed(roots)]
    while stack:
        span, guide, below = stack.pop()
        parent = known.get(span.parent_id or "")
        drawn.append(Branch(guide, span, enters=parent is None or parent.service != span.service))
        under = children.get(span.span_id, [])
        for place, child in reversed(list(enumerate(under, start=1))):
            last = place == len(under)
            stack.append((child, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  ")))


def tree_lines(spans: Iterable[SpanRecord], *, bar_cells: int = BAR_CELLS) -> list[TreeLine]:
    """Return the lines of the tree of *spans*; the waterfall reaches from the earliest start to the latest end."""
    drawn = branches(spans)
    if not drawn:
        return []
    start = min(branch.span.start_ns for branch in drawn)
    end = max(max(branch.span.start_ns, branch.span.end_ns or 0) for branch in drawn)
    several = len({branch.span.service for branch in drawn}) > 1
    scale = _Scale(start, end, bar_cells)
    return [_line(branch, scale, several) for branch in drawn]


def capacity_units(span: SpanRecord) -> float:
    """Return the capacity units that the calls of *span* consumed, reads and writes together."""
    consumed = consumed_capacity(span)
    return consumed.read + consumed.write


@dataclass(frozen=True, slots=True)
class _Scale:
    """What the cells of the waterfall stand for, in nanoseconds since the epoch."""

    start: int
    end: int
    cells: int

    def bar(self, begin: int, until: int) -> str:
        total = self.end - self.start
        if total <= 0:
            return "━" * self.cells
        length = min(self.cells, max(1, round((until - begin) / total * self.cells)))
        first = min(int((begin - self.start) / total * self.cells), self.cells - length)
        return f"{' ' * first}{'━' * length}".ljust(self.cells)


def _line(branch: Branch, scale: _Scale, several: bool) -> TreeLine:
    span = branch.span
    until = scale.end if span.end_ns is None else span.end_ns
    detail = _call(span) or (f"[{span.service}]" if several and branch.enters else "")
    return TreeLine(
        guide=branch.guide,
        label=span.text("db.query.summary") or span.name,
        detail=detail,
        ms="open" if span.end_ns is None else f"{(until - span.start_ns) / 1e6:.1f} ms",
        bar=scale.bar(span.start_ns, until),
        facts=_facts(span),
        error=_error(span),
    )


def _call(span: SpanRecord) -> str:
    if span.kind == "CLIENT" and (server := span.text("server.address")) and "db.operation.name" not in span.attributes:
        return f"→ {server}"
    tables = span.text("db.collection.name") or ",".join(span.texts("aws.dynamodb.table_names"))
    return f"{span.text('db.operation.name')} {tables}".strip()


def _facts(span: SpanRecord) -> str:
    facts = []
    if units := capacity_units(span):
        facts.append(f"{units:g} CU")
    if (pages := span.number("common.dynamo.page.count")) > 1:
        facts.append(f"{pages} pages")
    if retries := span.number("common.dynamo.retry.count"):
        facts.append(f"{retries} {'retry' if retries == 1 else 'retries'}")
    return "  ".join(facts)


def _error(span: SpanRecord) -> str:
    if not span.failed:
        return ""
    if codes := span.texts("common.dynamo.transaction.cancellation_codes"):
        return ", ".join(codes)
    code = span.text("db.response.status_code") or span.text("error.type")
    return code.removesuffix("Exception") or "error"
