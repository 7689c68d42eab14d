"""What a run shows at its end: tables for a person to look at."""

import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
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
NEWEST_ORDERS = 10
NEWEST_EVENTS = 12


def styled(text: str) -> Text:
    """Return a status word in its colour."""
    return Text(text, style=STATUS_STYLES.get(text, ""))


def mark(holds: bool) -> Text:
    """Return a tick or a cross."""
    return Text("✓", style="bold green") if holds else Text("✗", style="bold red")


def table(*columns: str, right: Iterable[str] = ()) -> Table:
    """Return an empty table of the house's look; *right* are the columns of numbers."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(
            column,
            justify="right" if column in right else "left",
            overflow="fold",
            no_wrap=column in ("type", "plugin", "dist"),
        )
    return made


def section(title: str, content: RenderableType) -> RenderableType:
    """Return a titled part of the report."""
    return Panel(content, title=f"[bold]{title}", title_align="left", border_style="cyan", box=box.ROUNDED)


def amount(value: Decimal) -> str:
    """Return an exact number as a person reads it; nothing for zero."""
    return f"{value:,f}" if value else "·"


def portfolios(accounts: Sequence[Account], assets: Sequence[str]) -> RenderableType:
    """Show what everybody owns."""
    shown = table("user", "cash", "held", *assets, right=("cash", "held", *assets))
    for account in accounts:
        holdings = {holding.asset: holding.posted for holding in account.portfolio.assets}
        balance = account.portfolio.balance
        owned = [amount(holdings.get(asset, Decimal(0))) for asset in assets]
        shown.add_row(account.portfolio.user, amount(balance.available), amount(balance.held), *owned)
    return section("Portfolios", shown)


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
    return section("One market order, traced across services", render_trace(spans, width=width))


def operations(spans: Sequence[SpanRecord]) -> RenderableType:
    """Show what the data layer did, by operation, with its capacity units."""
    return section("Data layer: calls and capacity units", operation_table(spans))


def read_events(files: Iterable[Path]) -> list[Mapping[str, Any]]:
    """Return the audit events of the JSON-lines files, oldest first."""
    lines = (line for file in files if file.exists() for line in file.read_text(encoding="utf-8").splitlines())
    return sorted((json.loads(line)["event"] for line in lines), key=lambda event: str(event["time"]))


def audit(trail: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Show the newest events of the audit trail; events that follow each other and differ in time alone are one row."""
    shown = table("time", "service", "type", "outcome", "reason", "actor", "subject", "")
    rows: list[tuple[tuple[str, ...], str, int]] = []
    for event in trail:
        said = tuple(str(event.get(n) or "·") for n in ("service", "type", "outcome", "reason", "actor", "subject"))
        times = rows.pop()[2] + 1 if rows and rows[-1][0] == said else 1
        rows.append((said, str(event["time"])[11:23], times))
    for (service, type, outcome, reason, actor, subject), when, times in rows[-NEWEST_EVENTS:]:
        shown.add_row(when, service, type, styled(outcome), reason, actor, subject, f"×{times}" if times > 1 else "")
    return section(f"Audit trail: the newest of {len(trail)} events", shown)


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
    shown = table("service", "check", "status", "observed", "reason")
    for service, report in reports.items():
        shown.add_row(Text(service, style="bold"), "", styled(str(report["status"])), "", "")
        for name, entries in report.get("checks", {}).items():
            for entry in entries:
                reason = str(entry.get("output", ""))
                shown.add_row("", name, styled(str(entry["status"])), observed(entry), reason)
    return section("Health", shown)


def plugins(listing: Sequence[PluginListing]) -> RenderableType:
    """Show the plugins in force."""
    shown = table("plugin", "dist", "version", "state", "hooks")
    for plugin in listing:
        hooks = ", ".join(hook.removeprefix("common_") for hook in plugin.hooks)
        shown.add_row(plugin.name, plugin.dist, plugin.version, styled(str(plugin.state.value)), hooks)
    return section("Plugins in force", shown)


def checks(done: Sequence[Check]) -> RenderableType:
    """Show the checks that nothing was lost."""
    shown = table("", "check", "found")
    for check in done:
        shown.add_row(mark(check.holds), check.title, check.detail)
    return section("Nothing was lost", shown)


def verdict(console: Console, holds: bool, summary: str) -> None:
    """Print the last line."""
    if holds:
        console.print(f"[bold green]✓ Every check holds.[/] {summary}")
    else:
        console.print(f"[bold red]✗ Something is wrong; see the crosses above.[/] {summary}")
