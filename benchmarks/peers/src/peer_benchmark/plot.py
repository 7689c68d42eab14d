"""The plot: a panel for each work, a bar for each row, drawn by hand as SVG, for light and dark pages."""

from collections.abc import Iterator
from html import escape

from peer_benchmark.results import Results
from peer_benchmark.table import shown_works
from peer_benchmark.works import OURS, ROWS, Row, Work

__all__ = ["draw"]

COLUMNS, WIDTH, MARGIN, GAP = 3, 330, 20, 24
LABEL, BAR, STEP, HEAD, FOOT = 104, 11, 17, 40, 8
SHORT = {
    "boto3": "boto3",
    "boto3-pydantic": "boto3 + pydantic",
    "aiodynamo": "aiodynamo",
    OURS: "ours, direct",
    "common-boto": "ours, boto",
}
HIDDEN = ("common-direct-unsampled", "common-direct-sampled", "common-embedded", "floor")
STYLE = """
  text { font: 11px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #24292f; }
  .title { font-size: 13px; font-weight: 600; } .note { fill: #57606a; }
  .value { font-size: 10px; } .ours text, .ours .value { font-weight: 600; }
  .bar { fill: #8c959f; } .ours .bar { fill: #0969da; } .one { stroke: #57606a; stroke-dasharray: 2 2; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .note { fill: #9198a1; } .bar { fill: #6e7681; } .ours .bar { fill: #4493f8; }
    .one { stroke: #9198a1; }
  }
"""


def draw(results: Results) -> str:
    """Return the plot of *results* as an SVG document."""
    works = shown_works(results)
    rows = [row for row in ROWS if row.name not in HIDDEN and _is_measured(results, row, works)]
    height = HEAD + STEP * len(rows) + FOOT
    lines = -(-len(works) // COLUMNS)
    full_width = 2 * MARGIN + COLUMNS * WIDTH + (COLUMNS - 1) * GAP
    full_height = 2 * MARGIN + 28 + lines * (height + GAP)
    size = f'viewBox="0 0 {full_width} {full_height}" width="{full_width}" height="{full_height}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="t d">',
            '<title id="t">common-dynamo beside its peers</title>',
            f'<desc id="d">{escape(_description(results, works))}</desc>',
            f"<style>{STYLE}</style>",
            f'<text class="title" x="{MARGIN}" y="{MARGIN + 10}">What a call costs beside boto3 (1.0); shorter is better</text>',
            *(
                panel
                for index, work in enumerate(works)
                for panel in _panel(
                    results,
                    work,
                    rows,
                    MARGIN + index % COLUMNS * (WIDTH + GAP),
                    MARGIN + 28 + index // COLUMNS * (height + GAP),
                )
            ),
            "</svg>\n",
        ]
    )


def _is_measured(results: Results, row: Row, works: list[Work]) -> bool:
    return any(row.name in results.samples[work.name] for work in works)


def _description(results: Results, works: list[Work]) -> str:
    ours = [(work, results.ratio(work, OURS)) for work in works]
    return "Ratios of common-dynamo's direct wire: " + ", ".join(
        f"{work.title} {ratio.middle:.2f}" for work, ratio in ours if ratio is not None
    )


def _panel(results: Results, work: Work, rows: list[Row], left: int, top: int) -> Iterator[str]:
    """Yield one panel: bars from zero on a linear scale, the baseline as a dotted line."""
    ratios = {row.name: results.ratio(work, row.name) for row in rows}
    most = max([1.0, *(ratio.middle for ratio in ratios.values() if ratio is not None)])
    room = WIDTH - LABEL - 40
    note = "times as many, longer is better" if work.more_is_better else f"of {work.baseline.replace('-', ' + ')}"
    yield f'<g transform="translate({left} {top})">'
    yield f'<text class="title" x="0" y="14">{escape(work.title)}</text>'
    yield f'<text class="note" x="0" y="29">{escape(note)}</text>'
    for index, row in enumerate(rows):
        yield from _bar(row, ratios[row.name], HEAD + index * STEP, room / most)
    one = LABEL + room / most
    yield f'<line class="one" x1="{one:.1f}" x2="{one:.1f}" y1="{HEAD - 4}" y2="{HEAD + STEP * len(rows)}"/>'
    yield "</g>"


def _bar(row: Row, ratio: object, top: int, scale: float) -> Iterator[str]:
    from peer_benchmark.results import Ratio

    kind = ' class="ours"' if row.name.startswith("common-") else ""
    label = escape(SHORT.get(row.name, row.title))
    yield f'<g{kind}><text x="{LABEL - 6}" y="{top + BAR - 1}" text-anchor="end">{label}</text>'
    if isinstance(ratio, Ratio):
        width = ratio.middle * scale
        yield f'<rect class="bar" x="{LABEL}" y="{top}" width="{width:.1f}" height="{BAR}" rx="2"/>'
        yield f'<text class="value" x="{LABEL + width + 4:.1f}" y="{top + BAR - 2}">{ratio.middle:.2f}</text></g>'
    else:
        yield f'<text class="value note" x="{LABEL}" y="{top + BAR - 2}">–</text></g>'
