"""The results as tables: rows are ways to DynamoDB, columns are works."""

from peer_benchmark.results import Ratio, Results, holds
from peer_benchmark.works import CONNECTIONS, ROWS, WORKS, Row, Work

__all__ = [
    "all_text",
    "figure_table",
    "markdown",
    "ratio_table",
    "reasons",
    "shown_rows",
    "shown_works",
    "verdict_lines",
]

DASH = "–"
NOTE = (
    "Ratios to boto3's client (query, batch get: to boto3 + TypeDeserializer + pydantic); in brackets the middle half."
)
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
    """Return a line for every dash that needs one."""
    titles = {row.name: row.title for row in ROWS}
    works = {work.name: work.title for work in WORKS}
    lines = [f"{titles[row]}: {why}." for row, why in results.absent.items()]
    for row, lacking in results.lacking.items():
        asked = {work: why for work, why in lacking.items() if work in results.samples}
        for why in dict.fromkeys(asked.values()):
            named = ", ".join(works[work] for work, reason in asked.items() if reason == why)
            lines.append(f"{titles[row]}, {named}: {why}.")
    for row, kept in results.extra.get("connections_kept", {}).items():
        if 0 < kept < CONNECTIONS - 1:
            lines.append(f"{titles[row]}, memory: weighed with {kept:.0f} connections, which are all that it keeps.")
    return lines


def all_text(results: Results) -> str:
    """Return what the command prints."""
    parts = [NOTE, text(ratio_table(results)), "Medians:", text(figure_table(results))]
    verdicts = verdict_lines(results)
    if len(verdicts) > 1:
        parts += ["Budgets:", text(verdicts)]
    parts.append("\n".join(reasons(results)))
    return "\n\n".join(part for part in parts if part)
