"""What a run shows at its end: tables for a person to look at."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from common.core.plugins import PluginListing
from common.observability.monitoring.dev import operation_table, render_trace
from common.observability.monitoring.spans import SpanRecord
from exchange.checks import Account, Check

STATUS_STYLES = {
    "COMPLETED": "green",
    "QUEUED": "yellow",
    "CANCELLED": "dim",
    "FAILED": "red",
    "pass": "green",
    "warn": "yellow",
    "fail": "red",
    "loaded": "green",
    "blocked": "yellow",
    "success": "green",
    "failure": "red",
}
TABLE = frozenset({"db.collection.name", "aws.dynamodb.table_names"})
NEWEST_ORDERS = 10
NEWEST_EVENTS = 12
HASH_LETTERS = 8


def styled(text: str) -> Text:
    """Return a status word in its colour."""
    return Text(text, style=STATUS_STYLES.get(text, ""))


def mark(holds: bool) -> Text:
    """Return a tick or a cross."""
    return Text("✓", style="bold green") if holds else Text("✗", style="bold red")


class Fitting:
    """Several drawings of one thing: shown is the first that fits into the width there is, else the last."""

    def __init__(self, *drawings: Table) -> None:
        self.drawings = drawings

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        unbounded = options.update(max_width=10_000)
        fitting = (
            drawing
            for drawing in self.drawings
            if Measurement.get(console, unbounded, drawing).maximum <= options.max_width
        )
        yield next(fitting, self.drawings[-1])


def table(*columns: str, right: Iterable[str] = (), wrapped: Iterable[str] = (), gap: int = 3) -> Table:
    """Return an empty table of the house's look.

    Args:
        columns: Their headings.
        right: The columns of numbers.
        wrapped: The columns of text, which take as many lines as they need.
        gap: Blanks between two columns, at least 1.
    """
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, gap - 1, 0, 0), header_style="bold")
    for column in columns:
        is_text = column in wrapped
        made.add_column(
            column,
            justify="right" if column in right else "left",
            overflow="fold" if is_text else "ellipsis",
            no_wrap=not is_text,
        )
    return made


def section(title: str, content: RenderableType, *, margin: int = 1) -> RenderableType:
    """Return a titled part of the report; *margin* are the blanks beside it."""
    return Panel(
        content,
        title=f"[bold]{title}",
        title_align="left",
        border_style="cyan",
        box=box.ROUNDED,
        padding=(0, margin),
    )


def amount(value: Decimal) -> str:
    """Return an exact number as a person reads it; nothing for zero."""
    return f"{value:,f}" if value else "·"


def portfolios(accounts: Sequence[Account], assets: Sequence[str]) -> RenderableType:
    """Show what everybody owns: a column for each asset, or a list of holdings where there is no room for that."""
    wide, close = (table("user", "cash", "held", *assets, right=("cash", "held", *assets), gap=gap) for gap in (3, 1))
    narrow = table("user", "cash", "held", "holdings", right=("cash", "held"), wrapped=("holdings",))
    for account in accounts:
        holdings = {holding.asset: holding.posted for holding in account.portfolio.assets}
        balance = account.portfolio.balance
        money = account.portfolio.user, amount(balance.available), amount(balance.held)
        owned = {asset: amount(holdings.get(asset, Decimal(0))) for asset in assets}
        for drawing in (wide, close):
            drawing.add_row(*money, *owned.values())
        listed = (f"{asset}\N{NO-BREAK SPACE}{held}" for asset, held in owned.items() if holdings.get(asset))
        narrow.add_row(*money, " ".join(listed))
    return section("Portfolios", Fitting(wide, close, narrow))


def orders(accounts: Sequence[Account]) -> RenderableType:
    """Show the newest orders of everybody, and how many there are by status."""
    placed = sorted(
        (order for account in accounts for order in account.orders), key=lambda o: o.updated_at, reverse=True
    )
    shown = table("user", "type", "asset", "quantity", "price", "total", "status", right=("quantity", "price", "total"))
    for order in placed[:NEWEST_ORDERS]:
        price = order.price or order.limit_price
        shown.add_row(
            order.user,
            order.type.value,
            order.asset,
            amount(order.quantity),
            "·" if price is None else amount(price),
            "·" if order.total is None else amount(order.total),
            styled(order.status.value),
        )
    counts: dict[str, int] = {}
    for order in placed:
        counts[order.status.value] = counts.get(order.status.value, 0) + 1
    summary = Text("  ".join(f"{count} {status}" for status, count in sorted(counts.items())), style="dim")
    return section(f"Orders: the newest {min(NEWEST_ORDERS, len(placed))} of {len(placed)}", Group(shown, summary))


def trace(spans: Sequence[SpanRecord], width: int) -> RenderableType:
    """Show one request's way through the services, down to the calls of the data layer."""
    drawn = render_trace([without_table(span) for span in spans], width=width)
    return section("One market order, traced across services", drawn)


def without_table(span: SpanRecord) -> SpanRecord:
    """Return *span* without the name of the table: the exchange has but one."""
    return replace(span, attributes={name: value for name, value in span.attributes.items() if name not in TABLE})


def operations(spans: Sequence[SpanRecord]) -> RenderableType:
    """Show what the data layer did, by operation, with its capacity units."""
    drawings = (operation_table(spans, with_api=with_api) for with_api in (True, False))
    return section("Data layer: calls and capacity units", Fitting(*drawings), margin=0)


def read_events(files: Iterable[Path]) -> list[Mapping[str, Any]]:
    """Return the audit events of the JSON-lines files, oldest first."""
    lines = (line for file in files if file.exists() for line in file.read_text(encoding="utf-8").splitlines())
    return sorted((json.loads(line)["event"] for line in lines), key=lambda event: str(event["time"]))


def audit(trail: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Show the newest events of the audit trail; events that follow each other and differ in time alone are one row."""
    wide = table("time", "service", "type", "outcome", "reason", "actor", "subject", "")
    narrow = table("time", "service", "type, reason", "outcome", "actor", "subject", gap=2)
    rows: list[tuple[tuple[str, ...], str, int]] = []
    for event in trail:
        said = tuple(str(event.get(n) or "·") for n in ("service", "type", "outcome", "reason", "actor", "subject"))
        times = rows.pop()[2] + 1 if rows and rows[-1][0] == said else 1
        rows.append((said, str(event["time"])[11:23], times))
    for (service, type, outcome, reason, actor, subject), when, times in rows[-NEWEST_EVENTS:]:
        repeated = f"×{times}" if times > 1 else ""
        wide.add_row(when, service, type, styled(outcome), reason, actor, shortened(subject), repeated)
        why = f"\n{reason}" if reason != "·" else ""
        narrow.add_row(
            when[:8], service, f"{type} {repeated}".rstrip() + why, styled(outcome), actor, shortened(subject)
        )
    return section(f"Audit trail: the newest of {len(trail)} events", Fitting(wide, narrow))


def shortened(subject: str) -> str:
    """Return *subject* with no more of a hash than tells it from others."""
    return f"{subject[:HASH_LETTERS]}…" if subject.startswith("h:") else subject


def observed(entry: Mapping[str, Any]) -> str:
    """Return what a check measured, with its unit as a person reads it."""
    value, unit = entry.get("observedValue"), str(entry.get("observedUnit", ""))
    if not isinstance(value, int | float):
        return ""
    if unit == "By":
        return f"{value / 2**30:,.1f} GiB"
    return f"{value:.1%}" if unit == "1" else f"{value:.3g} {unit}"


def health(reports: Mapping[str, Mapping[str, Any]]) -> RenderableType:
    """Show each service's health by check."""
    shown = table("service", "check", "status", "observed", "reason", wrapped=("reason",))
    for service, report in reports.items():
        shown.add_row(Text(service, style="bold"), "", styled(str(report["status"])), "", "")
        for name, entries in report.get("checks", {}).items():
            for entry in entries:
                reason = str(entry.get("output", ""))
                shown.add_row("", name, styled(str(entry["status"])), observed(entry), reason)
    return section("Health", shown)


def plugins(listing: Sequence[PluginListing]) -> RenderableType:
    """Show the plugins in force, with the distribution that each is from where that has another name."""
    shown = table("plugin", "version", "state", "hooks", wrapped=("hooks",))
    for plugin in listing:
        hooks = ", ".join(hook.removeprefix("common_") for hook in plugin.hooks)
        name = plugin.name if plugin.dist in (None, plugin.name) else f"{plugin.name} ({plugin.dist})"
        shown.add_row(name, plugin.version, styled(str(plugin.state.value)), hooks)
    return section("Plugins in force", shown)


def checks(done: Sequence[Check]) -> RenderableType:
    """Show the checks that nothing was lost."""
    shown = table("", "check", "found", wrapped=("check", "found"))
    for check in done:
        shown.add_row(mark(check.holds), check.title, check.detail)
    return section("Nothing was lost", shown)


def verdict(console: Console, holds: bool, summary: str) -> None:
    """Print the last line."""
    if holds:
        console.print(f"[bold green]✓ Every check holds.[/] {summary}")
    else:
        console.print(f"[bold red]✗ Something is wrong; see the crosses above.[/] {summary}")
