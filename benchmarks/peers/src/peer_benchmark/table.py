"""The results as tables: rows are ways to DynamoDB, columns are works."""

from collections.abc import Sequence

from peer_benchmark.results import Ratio, Results, holds
from peer_benchmark.works import ROWS, WORKS, Row, Work

__all__ = ["figure_table", "markdown", "ratio_table", "text", "verdict_lines"]

DASH = "–"
Lines = list[list[str]]


def shown_works(results: Results) -> list[Work]:
    """Return the works that were measured."""
    return [work for work in WORKS if results.samples.get(work.name)]


def shown_rows(results: Results) -> list[Row]:
    """Return the rows that were measured or that say why not."""
    measured = {row for rows in results.samples.values() for row in rows}
    return [row for row in ROWS if row.name in measured or row.name in results.absent]


def ratio_table(results: Results) -> Lines:
    """Return the table of ratios with spread: the median, and between which values the middle half of the rounds lies."""
    works = shown_works(results)
    head = ["", *(work.title for work in works)]
    return [head, *([row.title, *(_cell(results, work, row) for work in works)] for row in shown_rows(results))]


def figure_table(results: Results) -> Lines:
    """Return the medians themselves, in the units of the works."""
    works = shown_works(results)
    head = ["", *(f"{work.title}, {work.unit}" for work in works)]
    return [head, *([row.title, *(_figure(results, work, row) for work in works)] for row in shown_rows(results))]


def _cell(results: Results, work: Work, row: Row) -> str:
    ratio = results.ratio(work, row.name)
    if ratio is None:
        return DASH
    if row.name == work.baseline:
        return "1"
    return f"{_number(ratio.middle)} ({_range(ratio)})"


def _range(ratio: Ratio) -> str:
    return f"{_number(ratio.low)}–{_number(ratio.high)}"


def _number(value: float) -> str:
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _figure(results: Results, work: Work, row: Row) -> str:
    value = results.middle(work.name, row.name)
    if value is None:
        return DASH
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def text(lines: Lines) -> str:
    """Return a table for a terminal."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    rows = [
        "  ".join(
            [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        )
        for line in lines
    ]
    return "\n".join(row.rstrip() for row in rows)


def markdown(lines: Lines) -> str:
    """Return a table for a page."""
    head, *rows = lines
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *rows))


def verdict_lines(results: Results) -> Lines:
    """Return the budgets and what was measured of them."""
    titles = {row.name: row.title for row in ROWS}
    lines = [["", "work", "budget", "measured", "verdict"]]
    for bound, work, measured in results.verdicts():
        if measured is not None:
            limit = f"≥ {bound.limit:g}" if work.more_is_better else f"≤ {bound.limit:.2f}"
            verdict = "holds" if holds(bound, work, measured) else "does not hold"
            lines.append([titles[bound.row], work.title, limit, _number(measured), verdict])
    return lines


def reasons(results: Results) -> list[str]:
    """Return a line for every dash."""
    titles = {row.name: row.title for row in ROWS}
    works = {work.name: work.title for work in WORKS}
    lines = [f"{titles[row]}: {why}." for row, why in results.absent.items()]
    for row, lacking in results.lacking.items():
        lines += [f"{titles[row]}, {works[work]}: {why}." for work, why in lacking.items()]
    return lines


def all_text(results: Results, sections: Sequence[str] = ("ratios", "figures", "budgets")) -> str:
    """Return what the command prints."""
    parts = []
    if "ratios" in sections:
        note = "Ratios to boto3's client (query and batch get: to boto3 + TypeDeserializer + pydantic); in brackets the middle half."
        parts += [note, text(ratio_table(results))]
    if "figures" in sections:
        parts += ["Medians:", text(figure_table(results))]
    verdicts = verdict_lines(results)
    if "budgets" in sections and len(verdicts) > 1:
        parts += ["Budgets:", text(verdicts)]
    parts += reasons(results)
    return "\n\n".join(parts)
