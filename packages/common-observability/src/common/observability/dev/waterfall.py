"""Traces as waterfalls: bars of SVG, whose places are attributes, since the page's policy allows no style in them."""

from collections.abc import Mapping

from common.observability.dev.markup import Markup, element, join
from common.observability.dev.traces import Trace
from common.observability.monitoring.spans import SpanRecord
from common.observability.monitoring.trace_tree import Branch, TreeLine, branches, capacity_units, tree_lines

__all__ = ["draw_trace"]

_WIDTH = 1000
_THINNEST = 6
_DEEPEST = 8
_MINI_ROWS = 8
_GUIDE_CELLS = 3


def draw_trace(trace: Trace, colours: Mapping[str, str], now: float) -> Markup:
    """Return *trace* as one line that opens to its waterfall.

    Args:
        trace: With at least one span.
        colours: The class of each service's colour.
        now: Seconds since the epoch.
    """
    drawn = branches(trace.spans)
    lines = tree_lines(trace.spans, bar_cells=0)
    rows = [_row(branch, line, trace, colours) for branch, line in zip(drawn, lines, strict=True)]
    if trace.dropped:
        rows.append(element("li", f"… {trace.dropped:,} of the oldest spans dropped", class_="soft"))
    identity = f"trace-{trace.trace_id}"
    return element(
        "details",
        _summary(trace, drawn, colours, now),
        element("ul", *rows, class_="spans", aria_label=f"Spans of {trace.root.name}"),
        class_="trace",
        id=identity,
    )


def _summary(trace: Trace, drawn: list[Branch], colours: Mapping[str, str], now: float) -> Markup:
    failed = sum(span.failed for span in trace.spans)
    units = sum(map(capacity_units, trace.spans))
    age = max(0.0, now - trace.end_ns / 1e9)
    about = [f"{age:.0f} s ago", f"{len(trace.spans)} span{'s' * (len(trace.spans) != 1)}", " → ".join(trace.services)]
    what = element(
        "span",
        element("span", trace.root.name, class_="mono"),
        *((" ", element("span", f"{failed} failed", class_="badge fail")) if failed else ()),
        element("br"),
        element("span", " · ".join(part for part in about if part), class_="soft tag"),
        class_="what",
    )
    duration = f"{(trace.end_ns - trace.start_ns) / 1e6:.1f} ms"
    return element(
        "summary",
        element("span", class_="turn", aria_hidden="true"),
        what,
        _mini(drawn, trace, colours),
        element("span", duration, class_="number"),
        element("span", f"{units:g} CU" if units else "", class_="number soft units"),
    )


def _mini(drawn: list[Branch], trace: Trace, colours: Mapping[str, str]) -> Markup:
    shown = drawn[:_MINI_ROWS]
    bars = [_bar(branch.span, trace, colours, top=place * 10 + 1, height=8) for place, branch in enumerate(shown)]
    box = f"0 0 {_WIDTH} {max(4, len(shown)) * 10}"
    return element("svg", *bars, class_="mini", viewBox=box, preserveAspectRatio="none", aria_hidden="true")


def _row(branch: Branch, line: TreeLine, trace: Trace, colours: Mapping[str, str]) -> Markup:
    service = (
        (" ", element("span", branch.span.service, class_=f"tag {colours.get(branch.span.service, 's7')}"))
        if branch.enters and branch.span.service
        else ()
    )
    call = "" if line.detail.startswith("[") else line.detail
    told = (fact.replace(" ", "\N{NO-BREAK SPACE}") for fact in line.facts.split("  "))
    facts = "  ".join(part for part in (call, *told) if part)
    label = element(
        "span",
        element("span", line.label, class_="mono"),
        *service,
        *((" ", element("span", facts, class_="soft tag")) if facts else ()),
        *((" ", element("span", line.error, class_="badge fail")) if line.error else ()),
        class_="label",
    )
    ground = element("rect", class_="ground", x=0, y=0, width=_WIDTH, height=10)
    bar = _bar(branch.span, trace, colours, top=0, height=10)
    svg = element(
        "svg", ground, bar, class_="bar", viewBox=f"0 0 {_WIDTH} 10", preserveAspectRatio="none", aria_hidden="true"
    )
    depth = min(_DEEPEST, len(branch.guide) // _GUIDE_CELLS)
    return element("li", join([label, svg, element("span", line.ms, class_="number")]), class_=f"span d{depth}")


def _bar(span: SpanRecord, trace: Trace, colours: Mapping[str, str], *, top: int, height: int) -> Markup:
    whole = max(1, trace.end_ns - trace.start_ns)
    begin = (span.start_ns - trace.start_ns) * _WIDTH // whole
    length = max(_THINNEST, ((span.end_ns or span.start_ns) - span.start_ns) * _WIDTH // whole)
    colour = "bad" if span.failed else colours.get(span.service, "s7")
    return element("rect", class_=colour, x=min(begin, _WIDTH - _THINNEST), y=top, width=length, height=height)
