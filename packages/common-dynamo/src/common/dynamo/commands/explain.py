"""``common dynamo explain``: what access patterns send and cost."""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from common.core.commands import CliCommand
from common.dynamo.commands.text_table import as_table
from common.exceptions import ConfigurationError

if TYPE_CHECKING:
    from common.core.lifecycle import App
    from common.dynamo.access import AccessPattern

__all__ = ["EXPLAIN", "cost_table"]

_LEGEND: Final = "READ and WRITE are capacity units for items of up to 1 KB; 6+2 is 6 on tables and 2 on indexes. TRIPS are round trips."


def cost_table(patterns: "Iterable[AccessPattern]") -> Iterator[str]:
    """Yield the lines of a table: what each pattern costs and sends; for the terminal and for guides."""
    headings = ("PATTERN", "READ", "WRITE", "TRIPS", "SENDS")
    return as_table(headings, map(_row, patterns), right=frozenset({"READ", "WRITE", "TRIPS"}))


def _row(pattern: "AccessPattern") -> tuple[str, ...]:
    written = f"{pattern.wcu:g}+{pattern.indexes:g}" if pattern.indexes else f"{pattern.wcu:g}"
    bound = "" if pattern.is_exact else "<="
    return (pattern.title, f"{bound}{pattern.rcu:g}", written, str(len(pattern.trips)), _sends(pattern))


def _sends(pattern: "AccessPattern") -> str:
    return f"{pattern.sends}: {pattern.note}" if pattern.note else pattern.sends


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "pattern", nargs="*", metavar="PATTERN", help="such as OrderDAO.buy or 'OrderDAO.*'; all where none is given"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list instead of a table")
    parser.epilog = "The names are those of spans and metrics."


def _explain(app: "App", arguments: Namespace) -> int:
    from common.dynamo.access import select
    from common.dynamo.commands.access import known_patterns, known_walks

    known = (*known_patterns(app.plugins), *known_walks(app.plugins))
    chosen = select(known, *arguments.pattern)
    if not chosen:
        raise ConfigurationError(
            f"There is no access pattern {', '.join(arguments.pattern)}. `common dynamo explain` lists all of them; quote "
            "one with a '*'."
        )
    if arguments.json:
        print(json.dumps([_as_json(pattern) for pattern in chosen], indent=2))
    else:
        print("\n".join((*cost_table(chosen), *_also(chosen), "", _LEGEND)))
    return 0


def _also(patterns: "Iterable[AccessPattern]") -> Iterator[str]:
    """Yield what is sent only now and then."""
    rare = {pattern.name: pattern.also for pattern in patterns if pattern.also}
    if rare:
        yield ""
        yield "Now and then, such as for an asset not seen before or a request id of yesterday, also:"
        yield from as_table(
            ("PATTERN", "SENDS"), ((name, " or ".join(dict.fromkeys(map(str, also)))) for name, also in rare.items())
        )


def _as_json(pattern: "AccessPattern") -> dict[str, Any]:
    return {
        "name": pattern.name,
        "case": pattern.case,
        "sends": [str(trip) for trip in pattern.trips],
        "also": [str(trip) for trip in pattern.also],
        "read_units": pattern.rcu,
        "write_units": pattern.wcu,
        "index_write_units": pattern.indexes,
        "round_trips": len(pattern.trips),
        "is_exact": pattern.is_exact,
        "note": pattern.note,
    }


EXPLAIN: Final = CliCommand(
    "dynamo explain",
    "Tell what access patterns send and cost: requests, capacity units, round trips.",
    _explain,
    _arguments,
)
