"""The subcommands of ``common dynamo``."""

from argparse import ArgumentParser, Namespace
from typing import Final

from common.core.commands import CliCommand
from common.core.lifecycle import App
from common.dynamo.database import Database

__all__ = ["COMMANDS"]


def _tables_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--table", default="app", help="the table of every group without one of its own (default: app)")
    parser.add_argument(
        "--group", action="append", default=[], metavar="GROUP=TABLE", help="the table of one group; may be repeated"
    )
    parser.add_argument("--endpoint-url", help="a compatible endpoint instead of AWS")
    parser.add_argument("--region", help="instead of the environment's")
    parser.add_argument("--stream", action="store_true", help="new tables keep a stream of changes")


def _create_tables(app: App, arguments: Namespace) -> int:
    tables = dict(pair.split("=", 1) for pair in arguments.group)
    with Database.connect(
        table=arguments.table,
        tables=tables,
        plugins=app.plugins,
        endpoint_url=arguments.endpoint_url,
        region=arguments.region,
    ) as database:
        database.create_tables(stream=arguments.stream)
        for definition in database.table_definitions():
            indexes = ", ".join(index.name for index in definition.indexes) or "no indexes"
            print(f"{definition.name}: ready ({indexes})")
    return 0


COMMANDS: Final = (
    CliCommand("dynamo", "The data layer."),
    CliCommand("dynamo tables", "Tables made of the installed entity types."),
    CliCommand(
        "dynamo tables create",
        "Create the tables that are missing, and wait until they can be used.",
        _create_tables,
        _tables_arguments,
    ),
)
