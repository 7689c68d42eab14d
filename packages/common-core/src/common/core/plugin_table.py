"""The command ``common plugins``: what is installed, what became of it, and why."""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from shutil import get_terminal_size
from textwrap import wrap
from typing import Final

from common.core.commands import CliCommand
from common.core.lifecycle import App
from common.core.plugins import PluginListing, PluginState

_HEADINGS: Final = ("NAME", "DIST", "VERSION", "STATE", "HOOKS (common_…)", "CAUSE")
_NARROW: Final = 4
"""Columns that are side by side in any case; what is in the others grows with the plugins."""
_LEAST_WIDTH: Final = 40
_UNKNOWN_TERMINAL: Final = (80, 24)


def list_plugins(app: App, arguments: Namespace) -> int:
    """Print every plugin; return 1 when one failed, else 0."""
    listings = app.plugins.listing()
    if arguments.json:
        print(json.dumps([asdict(listing) for listing in listings], indent=2))
    else:
        print("\n".join(as_table(listings, width=get_terminal_size(_UNKNOWN_TERMINAL).columns)))
    return int(any(listing.state is PluginState.FAILED for listing in listings))


def as_table(listings: Iterable[PluginListing], *, width: int | None = None) -> Iterable[str]:
    """Yield the lines of an aligned table, headings first.

    Args:
        listings: What to tell.
        width: Characters that a line may have. Where some line would have more, hooks and causes stand below their
            plugin instead of beside it, wrapped. ``None`` for any number.
    """
    rows = [_HEADINGS, *map(_cells, listings)]
    lines = list(_aligned(rows))
    if width is None or max(map(len, lines)) <= width:
        yield from lines
        return
    heading, *below = zip(_aligned([row[:_NARROW] for row in rows]), rows, strict=True)
    yield heading[0]
    for line, row in below:
        yield line
        yield from _wrapped(row, max(width, _LEAST_WIDTH))


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _wrapped(row: tuple[str, ...], width: int) -> Iterable[str]:
    """Yield the wide cells of *row* as indented text: each name or word is whole, unless it is longer than a line."""
    for heading, cell in zip(_HEADINGS[_NARROW:], row[_NARROW:], strict=True):
        if cell not in ("", "-"):
            yield from wrap(f"{heading.lower()}: {cell}", width, initial_indent="  ", subsequent_indent="    ")


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
