"""Traces on the terminal while a service is being written. Needs the extra ``[dev]``.

Nothing here is imported unless the view is switched on, by ``configure(dev=True)`` or ``COMMON_OBS_DEV=1``. For more,
send OTLP to otel-desktop-viewer, otel-tui, the Aspire dashboard or Jaeger.
"""

import sys
import threading
from collections.abc import Iterable, Sequence
from typing import TextIO

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from common.exceptions import MissingPart
from common.observability.monitoring.collector import SpanCollector, SpanTree
from common.observability.monitoring.operations import OperationRow, OperationTotals, operation_rows
from common.observability.monitoring.spans import SpanRecord
from common.observability.monitoring.trace_tree import BAR_CELLS, TreeLine, tree_lines

try:
    from rich.box import SIMPLE_HEAD
    from rich.cells import cell_len, set_cell_size
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text
except ImportError as error:
    if (error.name or "").partition(".")[0] != "rich":
        raise
    raise MissingPart("The development view draws with rich", dist="common-observability", extra="dev") from None

__all__ = ["DevView", "operation_table", "render_trace"]

_MS_CELLS = 11
_BAR_ENDS = 3
# Milliseconds, the bars' ends, and room for the capacity units.
_FIXED_CELLS = _MS_CELLS + _BAR_ENDS + 10
_SHORTEST_LEFT = 24


def render_trace(spans: Iterable[SpanRecord], *, width: int = 100) -> Text:
    """Draw *spans*, usually of one trace, as a tree with a waterfall; ``.plain`` of the result is the text.

    Each line has the DAO method, API and table, milliseconds, a bar from the trace's first start to its last end,
    capacity units (CU), pages, retries and the code of a failure. Where the spans come from several services, the
    first span in each names it.

    Args:
        spans: In any order; open ones are drawn to the end.
        width: Columns at most; on the right, retries, pages and errors may go beyond. Where names would be cut, bars
            are half as long, or left out if that keeps the names whole.
    """
    spans = tuple(spans)
    bar_cells = _bar_cells(spans, width)
    lines, lefts = _columns(spans, bar_cells)
    cells = max(_SHORTEST_LEFT, min(max(map(cell_len, lefts), default=0), _room(width, bar_cells)))
    text = Text(no_wrap=True, overflow="ignore")
    for line, left in zip(lines, lefts, strict=True):
        _draw(text, line, _fitted(left, cells))
    return text


def operation_table(spans: Iterable[SpanRecord], *, with_api: bool = True) -> Table:
    """Draw one row per operation of the data layer among *spans*: calls, errors, p50 and max in ms, capacity units.

    Args:
        spans: In any order; others are left out.
        with_api: Whether a column names the API operation; without it, long names are whole in fewer columns.
    """
    return _table(operation_rows(spans), with_api=with_api)


class DevView(SpanProcessor):
    """Prints the tree of each local root when it ends, and the table of operations at shutdown.

    Bounded: 1,000 spans per tree and 100 open roots; what was dropped is told below the tree.
    """

    def __init__(self, stream: TextIO | None = None, *, width: int | None = None) -> None:
        """Prepare the view.

        Args:
            stream: A terminal; standard error by default, since logs have standard output.
            width: Columns; the terminal's own by default.
        """
        self._console = Console(file=stream or sys.stderr, width=width, soft_wrap=True, highlight=False)
        self._collector = SpanCollector()
        self._totals = OperationTotals()
        self._lock = threading.Lock()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        record = _within_process(span)
        with self._lock:
            self._collector.started(record)

    def on_end(self, span: ReadableSpan) -> None:
        record = _within_process(span)
        with self._lock:
            self._totals.add(record)
            tree = self._collector.ended(record)
        if tree is not None:
            self._print(tree)

    def shutdown(self) -> None:
        """Print the table of operations, if there were any."""
        if rows := self.rows():
            self._console.print(_table(rows))

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True

    def rows(self) -> list[OperationRow]:
        """Return what :meth:`shutdown` will print, so far."""
        with self._lock:
            return self._totals.rows()

    def _print(self, tree: SpanTree) -> None:
        text = render_trace(tree.spans, width=self._console.width)
        if tree.dropped:
            text.append(f"… {tree.dropped:,} of the oldest spans dropped\n", style="dim")
        if tree.roots_dropped:
            text.append(f"… {tree.roots_dropped:,} other traces dropped while they were open\n", style="dim")
        self._console.print(text, end="")


def _within_process(span: ReadableSpan) -> SpanRecord:
    """Return *span* as a value whose parent, if it is in another process, does not count."""
    record = SpanRecord.of(span)
    if span.parent is None or not span.parent.is_remote:
        return record
    return SpanRecord(**{name: getattr(record, name) for name in record.__slots__} | {"parent_id": None})


def _bar_cells(spans: Sequence[SpanRecord], width: int) -> int:
    """Return how long bars are, so that names are whole where they can be."""
    _, lefts = _columns(spans, 0)
    needed = max(map(cell_len, lefts), default=0)
    half = BAR_CELLS // 2
    return next((cells for cells in (BAR_CELLS, half, 0) if needed <= _room(width, cells)), half)


def _room(width: int, bar_cells: int) -> int:
    """Return the columns that are left for names beside bars of that length."""
    return width - _FIXED_CELLS - (bar_cells or -_BAR_ENDS)


def _columns(spans: Iterable[SpanRecord], bar_cells: int) -> tuple[list[TreeLine], list[str]]:
    lines = tree_lines(spans, bar_cells=bar_cells)
    label_cells = max((cell_len(line.guide + line.label) for line in lines if line.detail), default=0) + 2
    return lines, [_left(line, label_cells) for line in lines]


def _left(line: TreeLine, label_cells: int) -> str:
    label = _printable(line.guide + line.label)
    return set_cell_size(label, label_cells) + _printable(line.detail) if line.detail else label


def _printable(text: str) -> str:
    # A name must not be able to steer the terminal.
    return text if text.isprintable() else "".join(char if char.isprintable() else "�" for char in text)


def _fitted(text: str, cells: int) -> str:
    return set_cell_size(text, cells) if cell_len(text) <= cells else set_cell_size(text, cells - 1) + "…"


def _draw(text: Text, line: TreeLine, left: str) -> None:
    guide = min(len(line.guide), len(left))
    text.append(left[:guide], style="dim")
    text.append(left[guide:], style="bold red" if line.error else "bold")
    text.append(f"{line.ms:>{_MS_CELLS}}")
    if line.bar:
        text.append(" |")
        text.append(line.bar, style="red" if line.error else "cyan")
        text.append("|")
    if line.facts:
        text.append(f"  {line.facts}", style="yellow")
    if line.error:
        text.append(f"  ✗ {line.error}", style="red")
    text.append("\n")


def _table(rows: Iterable[OperationRow], *, with_api: bool = True) -> Table:
    """Draw *rows*; a table that all operations are on is told once, above them."""
    rows = list(rows)
    only = rows[0].table if len({row.table for row in rows}) == 1 else ""
    title = f"Operations on {only}" if only else "Operations"
    table = Table(title=Text(title), box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("operation", *(("API",) if with_api else ()), *(() if only else ("table",))):
        table.add_column(heading, overflow="fold")
    for heading in ("calls", "errors", "p50 ms", "max ms", "CU"):
        table.add_column(heading, justify="right")
    for row in rows:
        figures = (f"{row.calls:,}", f"{row.errors:,}", f"{row.p50_ms:.1f}", f"{row.max_ms:.1f}", f"{row.units:g}")
        api = (Text(row.api),) if with_api else ()
        place = () if only else (Text(row.table),)
        table.add_row(Text(row.operation), *api, *place, *figures)
    return table
