"""The command ``common plugins``: what is installed, what became of it, and why."""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from dataclasses import asdict

from common.core.commands import CliCommand
from common.core.lifecycle import App
from common.core.plugins import PluginListing, PluginState

_HEADINGS = ("NAME", "DIST", "VERSION", "STATE", "HOOKS (common_…)", "CAUSE")


def list_plugins(app: App, arguments: Namespace) -> int:
    """Print every plugin; return 1 when one failed, else 0."""
    listings = app.plugins.listing()
    if arguments.json:
        print(json.dumps([asdict(listing) for listing in listings], indent=2))
    else:
        print("\n".join(as_table(listings)))
    return int(any(listing.state is PluginState.FAILED for listing in listings))


def as_table(listings: Iterable[PluginListing]) -> Iterable[str]:
    """Yield the lines of an aligned table, headings first."""
    rows = [_HEADINGS, *map(_cells, listings)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _cells(listing: PluginListing) -> tuple[str, ...]:
    return (
        listing.name,
        listing.dist or "(registered in code)",
        listing.version or "-",
        str(listing.state),
        ", ".join(hook.removeprefix("common_") for hook in listing.hooks) or "-",
        listing.cause or "",
    )


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print a JSON list instead of a table")


PLUGINS_COMMAND = CliCommand(
    "plugins",
    "List the plugins with distribution, version, state and hooks; exit 1 when one failed.",
    list_plugins,
    _add_arguments,
    needs_all_plugins=False,
)
