"""The page ``docs/benchmarks.md`` and its plot."""

from pathlib import Path

from peer_benchmark.plot import draw
from peer_benchmark.profiling import PROFILED
from peer_benchmark.results import Results
from peer_benchmark.table import figure_table, markdown, ratio_table, reasons, shown_rows, verdict_lines
from peer_benchmark.works import BARE, COLD, WORKS

__all__ = ["PLOT", "page", "write"]

PLOT = "images/benchmarks.svg"
HEAD = """\
# Benchmarks

What a call of common-dynamo costs beside other Python ways to DynamoDB.
Written by `uv run bench`, which measures all of them in one run against the same server; do not edit it by hand.

![Ratios to boto3, a panel for each work](images/benchmarks.svg)
"""
METHOD = """\
## How it is measured

- The work is an order of twelve attributes (text, whole numbers, exact decimals, a flag, a time, a list and a map) under two key attributes, in one table.
  Everybody stores the same twelve values; a mapper's own marker comes on top.
- Before anything is timed, each answer is compared with what it should be, value by value, and each write is looked up with a client beside it.
- `get` and `batch get` read with strong consistency, `put` replaces a whole item from an object, `update` sets a text and adds to a number, the conditional one where the order is open, and both give back the changed item where the peer can.
  The transaction puts two orders, changes a third where it is open, and checks a fourth.
- Figures are the processor time of the client's process, all threads, per call; the server is a process of its own.
  In every round all rows take turns in a shuffled order; a ratio is taken within its round, the median of the rounds is shown, and in brackets between which values the middle half lies.
- Garbage is collected before each sample and as usual within it; what the process had before the first sample is left out of that.
- Cold start is the processor time of a fresh process from its first import to its first item, from compiled modules and without the interpreter's own start.
- Eight threads get one order each, over and over; what counts is gets per second of wall time.
  The server shares the machine's cores with the client.
- Memory per connection is what a process grows by when it opens 50 connections at once, divided by those that it keeps; the threads were there before, and small objects come from the system's allocator, which gives memory back.
- The rows with an OpenTelemetry SDK, the embedded engine and the floor are shown for single calls only.
  Telemetry is compared on the same wire: without an SDK, with metrics and every span sampled out, with metrics and every span sampled and handed to an exporter that drops it.
- Durability is the server's, and the same for all: tables in memory.
- Each peer is used as its own documentation says, with its defaults: dyntastic reads an item again after an update, pydynox gives nothing back from one, aiodynamo runs in one event loop on aiohttp and its dictionaries are validated by pydantic.
  PynamoDB and pydynox give objects of their own, which are not validated; where a peer has a choice of numbers, it is the exact one.
- Credentials come from the environment.

Ratios differ between machines, the order hardly; `uv run bench` writes this page anew, `uv run bench --quick` takes a look.
"""


SHARES = """\
## Where the time goes

Of the processor time of the direct wire, by the module that was at work, looked at every millisecond.
What a module calls in C is its own: system calls and httptools are those of `connection`, pydantic's validation that of its caller, and the harness frees what was read.
Modules with less than 5 % of every work are left out.
"""
PARTS = """\
## What a cold start is made of

Imports alone, in processes of their own: whoever gives back a validated model cannot begin faster than pydantic does.
"""
RATIOS = """\
## Ratios

To boto3's client; query and batch get to boto3 with TypeDeserializer and pydantic.
Less is better, but for eight threads.
"""


def _circumstances(results: Results) -> str:
    said = results.setting
    return (
        f"{said['date']}, CPython {said['python']}, {said['machine']}; {said['rounds']} rounds, seed {said['seed']}; "
        f"server: {said['server']}."
    )


def page(results: Results) -> str:
    """Return the page."""
    parts = [
        HEAD,
        _circumstances(results),
        RATIOS,
        markdown(ratio_table(results)),
    ]
    verdicts = verdict_lines(results)
    if len(verdicts) > 1:
        parts += [
            "## Budgets\n\nThose of the boto wire are against boto3 with TypeDeserializer and pydantic.",
            markdown(verdicts),
        ]
    parts += ["## Figures\n\nMedians.", markdown(figure_table(results)), "## Who", markdown(_who(results))]
    if told := reasons(results):
        parts.append("\n".join(f"- {line}" for line in told))
    if "shares" in results.extra:
        parts += [SHARES, markdown(_shares(results))]
    if "cold_start_parts_ms" in results.extra:
        parts += [PARTS, markdown(_parts(results))]
    return "\n\n".join(part.strip() for part in [*parts, METHOD]) + "\n"


def _shares(results: Results) -> list[list[str]]:
    """Return the modules that have 5 % of some work, the heaviest first."""
    shares = results.extra["shares"]
    modules = {name.partition(" ")[2] for name in shares}
    rows = {module: [shares.get(f"{work} {module}", 0.0) for work in PROFILED] for module in modules}
    heavy = sorted((row for row in rows.items() if max(row[1]) >= 0.05), key=lambda row: -sum(row[1]))
    titles = [work.title for work in WORKS if work.name in PROFILED]
    return [["", *titles], *([f"`{module}`", *(f"{share:.0%}" for share in row)] for module, row in heavy)]


def _parts(results: Results) -> list[list[str]]:
    base = results.middle(COLD.name, BARE)
    lines = [["", COLD.unit, "of boto3's cold start"]]
    for name, value in results.extra["cold_start_parts_ms"].items():
        lines.append([name, f"{value:.0f}", f"{value / base:.2f}" if base else "–"])
    return lines


def _who(results: Results) -> list[list[str]]:
    lines = [["", "version", "a read gives", "fractions"]]
    for row in shown_rows(results):
        lines.append([row.title, row.version or "–", row.gives, results.exactness.get(row.name, "–")])
    return lines


def write(results: Results, folder: Path) -> tuple[Path, Path]:
    """Write page and plot below *folder*; return where they are."""
    text, plot = folder / "benchmarks.md", folder / PLOT
    plot.parent.mkdir(parents=True, exist_ok=True)
    text.write_text(page(results), encoding="utf-8")
    plot.write_text(draw(results), encoding="utf-8")
    return text, plot
