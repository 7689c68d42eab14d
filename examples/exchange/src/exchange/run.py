"""One run of the exchange: start the services, live through a day, look at what is left."""

import random
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from common.core import Plugins, Settings
from common.exceptions import ConfigurationError
from common.observability.monitoring.span_file import read_spans
from common.observability.monitoring.spans import SpanRecord
from exchange import report
from exchange.checks import Account, Check, read_account, run_checks
from exchange.day import Day
from exchange.environment import service_environments
from exchange.fleet import Fleet
from exchange.market import Market, load_market
from exchange.scenes.tampering import verify_trails
from exchange.storage import open_database
from exchange.story import Event, Story

SERVICES = ("inventory", "users", "orders", "gateway")
START_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says of the services, whatever they are started for."""

    endpoint: str | None = None
    wire: str = "auto"
    """How an endpoint is reached: ``auto``, ``boto`` or ``direct``."""
    keep: Path | None = None
    seed: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions(Options):
    """What the command line says of a day."""

    traders: int = 8
    trades: int = 2


@contextmanager
def run_folder(keep: Path | None) -> Iterator[Path]:
    """Hand out the folder of a run: the one to keep, or a temporary one.

    Raises:
        ConfigurationError: The folder to keep has something in it.
    """
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="exchange-") as folder:
            yield Path(folder)
        return
    keep.mkdir(parents=True, exist_ok=True)
    if any(keep.iterdir()):
        raise ConfigurationError(f"The folder {keep} is not empty. Give --keep a new or empty one.")
    yield keep


def require_engine(endpoint: str | None) -> None:
    """Check that something answers at *endpoint* before four services try.

    Raises:
        ConfigurationError: It is no URL of a server, or nothing answers.
    """
    if endpoint is None:
        return
    try:
        httpx.get(endpoint, timeout=3.0)
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise ConfigurationError(
            f"Nothing answers at {endpoint} ({type(error).__name__}). Start a DynamoDB engine there and name it like "
            "http://127.0.0.1:8000, or leave --endpoint out to use the embedded engine."
        ) from error


def run_day(options: RunOptions, console: Console) -> int:
    """Run the day and print the report; 0 if every check holds."""
    started = time.monotonic()
    require_engine(options.endpoint)
    market = load_market()
    with run_folder(options.keep) as folder:
        environments = service_environments(folder, options.endpoint, wire=options.wire)
        with Fleet(folder, environments) as fleet:
            story, acknowledged = live_through(options, market, fleet, console)
            health = {name: read_health(service.url) for name, service in fleet.services.items()}
        verify_trails(folder, SERVICES, story, chance(options))
        result = Aftermath.read(folder, environments["inventory"], market, story, acknowledged, health)
        result.show(console)
    holds = result.holds
    orders = sum(len(account.orders) for account in result.accounts)
    report.verdict(console, holds, f"{orders} orders, {len(story.events)} scenes, {time.monotonic() - started:.1f} s.")
    return 0 if holds else 1


def live_through(options: RunOptions, market: Market, fleet: Fleet, console: Console) -> tuple[Story, list[str]]:
    """Start the services and live through the day; return what happened and what clients were told is done."""
    with progress(console) as bar:
        task = bar.add_task("Starting the services", total=None)
        fleet.start(SERVICES)
        fleet.wait_until_ready(START_SECONDS, lambda name: bar.update(task, description=f"{name} is ready"))
        story = Story(lambda event: tell(bar, event))
        day = Day(
            fleet.services["gateway"].url,
            market,
            story,
            chance(options),
            traders=options.traders,
            trades_per_day=options.trades,
        )
        try:
            live_parts(day, bar, task)
            day.attack_service(fleet.services["orders"].url)
        finally:
            day.close()
        return story, [key for trader in day.people for key in trader.client.acknowledged]


def chance(options: RunOptions) -> random.Random:
    """Return what people fancy; the same for the same seed."""
    return random.Random(options.seed)  # noqa: S311 - no secret


def live_parts(day: Day, bar: Progress, task: TaskID) -> None:
    """Live through the parts, moving the bar."""
    bar.update(task, total=day.steps(), completed=0)
    for title, part in day.parts():
        bar.update(task, description=title)
        day.advance = lambda text, title=title: bar.update(task, advance=1, description=f"{title}: {text}")  # type: ignore[misc]
        part()
    bar.update(task, description="The day is over", completed=day.steps())


def progress(console: Console) -> Progress:
    """Return the bar of a run; on something that is no terminal it prints nothing but what it is told to."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description:40.40}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )


def tell(bar: Progress, event: Event) -> None:
    """Print an event above the bar."""
    style = "green" if event.as_expected else "bold red"
    bar.console.print(
        f"[{style}]{'✓' if event.as_expected else '✗'}[/] {event.title} [dim]→ {event.detail}[/]", highlight=False
    )


def read_health(url: str) -> Mapping[str, Any]:
    """Return a service's health report."""
    report: Mapping[str, Any] = httpx.get(f"{url}/health", timeout=5.0).json()
    return report


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What is left of a run, read after every service has ended."""

    market: Market
    story: Story
    accounts: tuple[Account, ...]
    checks: tuple[Check, ...]
    spans: tuple[SpanRecord, ...]
    trail: tuple[Mapping[str, Any], ...]
    health: Mapping[str, Mapping[str, Any]]
    plugins: Plugins

    @classmethod
    def read(
        cls,
        folder: Path,
        environment: Mapping[str, str],
        market: Market,
        story: Story,
        acknowledged: Sequence[str],
        health: Mapping[str, Mapping[str, Any]],
    ) -> "Aftermath":
        """Read accounts, spans and audit trail of the run in *folder*."""
        settings = Settings.from_environment(environment)
        plugins = Plugins()
        plugins.load(settings)
        trail = report.read_events(sorted(folder.glob("*.audit.jsonl")))
        users = {str(event["subject"]) for event in trail if event["type"] == "user_created"}
        with open_database(settings, plugins) as database:
            accounts = tuple(read_account(database, user, market.asset_ids) for user in sorted(users))
        return cls(
            market=market,
            story=story,
            accounts=accounts,
            checks=tuple(run_checks(accounts, acknowledged)),
            spans=tuple(read_spans(folder / "spans.jsonl")),
            trail=tuple(trail),
            health=health,
            plugins=plugins,
        )

    @property
    def holds(self) -> bool:
        """Whether nothing surprised and nothing was lost."""
        return self.story.all_as_expected and all(check.holds for check in self.checks)

    def one_order(self) -> list[SpanRecord]:
        """Return the spans of the last market order that went through."""
        bought = [span for span in self.spans if span.name in ("OrderDAO.buy", "OrderDAO.sell") and not span.failed]
        return [span for span in self.spans if bought and span.trace_id == bought[-1].trace_id]

    def show(self, console: Console) -> None:
        """Print the report."""
        for part in (
            report.portfolios(self.accounts, self.market.asset_ids),
            report.orders(self.accounts),
            report.trace(self.one_order(), console.width - 4),
            report.operations(self.spans),
            report.audit(self.trail),
            report.health(self.health),
            report.plugins(self.plugins.listing()),
            report.checks(self.checks),
        ):
            console.print(part)
