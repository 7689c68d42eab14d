"""``common dynamo tables``: make tables, compare them with the entity types, write them down for other tools."""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Final

from common.core.commands import CliCommand
from common.dynamo.commands.options import add_connection, add_tables, open_database, tables_of_groups
from common.dynamo.commands.text_table import as_table
from common.exceptions import CommonError

if TYPE_CHECKING:
    from common.core.lifecycle import App
    from common.dynamo.table_drift import Drift

__all__ = ["TABLE_COMMANDS"]

_EQUAL, _DRIFT, _NOT_COMPARED = 0, 1, 2
"""Exit codes of ``diff``, as diff(1) has them."""


def _add_stream(parser: ArgumentParser) -> None:
    parser.add_argument("--stream", action="store_true", help="with a stream of changes (new and old images)")


# create ---------------------------------------------------------------------------------------------------------------


def _create_arguments(parser: ArgumentParser) -> None:
    add_tables(parser)
    add_connection(parser)
    _add_stream(parser)


def _create(app: "App", arguments: Namespace) -> int:
    with open_database(app, arguments, create=True) as database:
        database.create_tables(stream=arguments.stream, deadline=arguments.timeout)
        for definition in database.table_definitions():
            indexes = ", ".join(index.name for index in definition.indexes) or "no indexes"
            print(f"{definition.name}: ready ({indexes})")
    return 0


# diff -----------------------------------------------------------------------------------------------------------------


def _diff_arguments(parser: ArgumentParser) -> None:
    _create_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON list instead of a table")
    parser.epilog = "Exit code: 0 where all is equal, 1 where something differs, 2 where it could not be found out."


def _diff(app: "App", arguments: Namespace) -> int:
    try:
        with open_database(app, arguments, create=False) as database:
            drifts = database.diff_tables(stream=arguments.stream, deadline=arguments.timeout)
            names = [definition.name for definition in database.table_definitions()]
    except CommonError as error:
        print(f"common: {error}", file=sys.stderr)
        return _NOT_COMPARED
    if arguments.json:
        print(json.dumps([asdict(drift) for drift in drifts], indent=2))
    else:
        print("\n".join(_told(drifts, names)))
    return _DRIFT if drifts else _EQUAL


def _told(drifts: "Iterable[Drift]", names: Iterable[str]) -> Iterable[str]:
    rows = [(drift.place, str(drift.kind), drift.wanted, drift.found) for drift in drifts]
    return as_table(("WHERE", "WHAT", "WANTED", "FOUND"), rows) if rows else [f"{', '.join(names)}: as declared"]


# export ---------------------------------------------------------------------------------------------------------------


def _export_arguments(parser: ArgumentParser) -> None:
    add_tables(parser)
    _add_stream(parser)
    parser.add_argument(
        "--format",
        choices=("cloudformation", "terraform", "json"),
        default="cloudformation",
        help="a CloudFormation template, a Terraform .tf.json, or the inputs of the API calls (default: cloudformation)",
    )
    parser.add_argument(
        "--unprotected",
        action="store_true",
        help="without deletion protection and point-in-time recovery, for tables that may go with their stack",
    )


def _export(app: "App", arguments: Namespace) -> int:
    from common.dynamo.table_templates import EXPORTS
    from common.dynamo.tables import table_definitions

    definitions = [
        replace(definition, stream=arguments.stream)
        for definition in table_definitions(app.plugins.entity_types(), tables_of_groups(arguments), arguments.table)
    ]
    print(json.dumps(EXPORTS[arguments.format](definitions, protect=not arguments.unprotected), indent=2))
    return 0


TABLE_COMMANDS: Final = (
    CliCommand("dynamo tables", "Tables made of the installed entity types."),
    CliCommand(
        "dynamo tables create",
        "Create the tables that are missing, and wait until they can be used. What exists is left alone.",
        _create,
        _create_arguments,
    ),
    CliCommand(
        "dynamo tables diff",
        "Compare the tables with the entity types: indexes, keys, projections, expiry, stream, billing. Changes nothing.",
        _diff,
        _diff_arguments,
    ),
    CliCommand(
        "dynamo tables export",
        "Write the tables down for CloudFormation, Terraform or the API: protected against deletion, with recovery.",
        _export,
        _export_arguments,
    ),
)
