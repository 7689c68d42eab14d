"""The report on narrow terminals: tables take another form before they break a word."""

import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from rich.console import Console, RenderableType

from common.core import Plugins, Settings
from common.core.utils.identifiers import UlidGenerator
from common.dynamo import Database
from common.dynamo.dao import AssetDAO, BalanceDAO, OrderDAO, UserDAO
from common.entities.inventory import Asset
from common.entities.user import UserCreate
from exchange import report
from exchange.checks import Account, Check, read_account

ASSETS = ["AAPL", "BTC", "ETH", "GOOG", "MSFT"]
WIDTHS = [80, 100, 120, 200]

new_id = UlidGenerator()


@pytest.fixture(scope="module")
def accounts() -> Iterator[list[Account]]:
    """A user who owns something of five assets, in numbers of nine digits."""
    plugins = Plugins()
    plugins.load(Settings(environment="test"), only=())
    with Database.embedded(plugins=plugins) as db:
        UserDAO(db).create(UserCreate(username="barbara", email="barbara@example.com"), request_id=new_id())
        BalanceDAO(db).deposit("barbara", "99999.00", request_id=new_id())
        for name in ASSETS:
            asset = Asset(id=name, name=name, category="stock", scale=6, created_at=datetime.now(UTC))
            AssetDAO(db).create(asset, request_id=new_id())
            OrderDAO(db).buy("barbara", name, Decimal("123.456789"), price="12.00", request_id=new_id())
        yield [read_account(db, "barbara", ASSETS)]


def drawn(part: RenderableType, width: int) -> str:
    """Return what a terminal of *width* columns shows."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(part)
    shown: str = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, shown.splitlines())) <= width
    return shown


def words(shown: str) -> set[str]:
    """Return what stands between blanks and frames."""
    return set(re.split(r"[\s│─╭╮╰╯]+", shown))


@pytest.mark.parametrize("width", WIDTHS)
def test_portfolios_show_every_number_whole(accounts: list[Account], width: int) -> None:
    """In a column for each asset, or as a list of holdings."""
    shown = words(drawn(report.portfolios(accounts, ASSETS), width))

    assert {"barbara", "123.456789", "92,591.55", *ASSETS} <= shown


EVENTS: list[dict[str, Any]] = [
    {"type": "authn_login_success", "outcome": "success", "actor": "barbara", "subject": "barbara"},
    {
        "type": "authn_login_fail",
        "outcome": "failure",
        "reason": "wrong_password",
        "subject": "h:84181a647e78524b31c506",
    },
    {"type": "gateway_rejected", "outcome": "failure", "reason": "assertion_missing", "subject": "operator"},
]


@pytest.mark.parametrize("width", WIDTHS)
def test_the_audit_trail_shows_every_word_whole(width: int) -> None:
    """The reason stands beside the outcome, or below the type; a hash is told by its beginning."""
    trail = [{"time": f"2026-11-24T12:22:4{n}.684Z", "service": "inventory", **event} for n, event in enumerate(EVENTS)]
    shown = words(drawn(report.audit([*trail, trail[-1], trail[-1]]), width))
    told = {str(value) for event in EVENTS for name, value in event.items() if not str(value).startswith("h:")}

    assert told | {"inventory", "h:84181a…", "×3"} <= shown


@pytest.mark.parametrize("width", WIDTHS)
def test_the_plugins_in_force_show_every_hook_whole(width: int) -> None:
    """Hooks take as many lines as they need; a distribution is told where it is called otherwise."""
    plugins = Plugins()
    plugins.load(Settings(environment="test"), only=("acme-plugin",))
    shown = words(drawn(report.plugins(plugins.listing()), width))
    hooks = {hook.removeprefix("common_") for listing in plugins.listing() for hook in listing.hooks}

    assert hooks <= {word.rstrip(",") for word in shown}
    assert {"common-observability", "acme-plugin"} <= shown


@pytest.mark.parametrize("width", WIDTHS)
def test_checks_and_health_wrap_between_words(width: int) -> None:
    """Sentences are text, and text has lines."""
    check = Check("What was acknowledged is there once", True, "261 acknowledged requests, 0 missing, 0 doubled")
    entry = {"status": "warn", "output": "Some calls were throttled in the last thirty seconds."}
    health = {"orders": {"status": "warn", "checks": {"dynamo.traffic": [entry]}}}
    shown = words(drawn(report.checks([check]), width)) | words(drawn(report.health(health), width))

    assert {*check.title.split(), *check.detail.split(), *entry["output"].split(), "dynamo.traffic"} <= shown
