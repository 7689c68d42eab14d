"""Options that several commands share, and the database that they name."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.exceptions import ConfigurationError

if TYPE_CHECKING:
    from common.core.lifecycle import App
    from common.core.plugins import Plugins
    from common.dynamo.database import Database
    from common.dynamo.entity_type import EntityType

__all__ = ["add_connection", "add_place", "add_tables", "entity_type", "open_database", "tables_of_groups"]


def add_tables(parser: ArgumentParser) -> None:
    """Add the options that name tables."""
    parser.add_argument(
        "--table", default="app", metavar="NAME", help="the table of every group without one of its own (default: app)"
    )
    parser.add_argument(
        "--group",
        action="append",
        default=[],
        type=_group,
        metavar="GROUP=NAME",
        help="the table of one group of entity types, such as ledger=accounts; may be repeated",
    )


def add_place(parser: ArgumentParser) -> None:
    """Add the options that say where the tables are."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--endpoint", "--endpoint-url", metavar="URL", help="a compatible endpoint, such as http://127.0.0.1:8000"
    )
    where.add_argument("--embedded", type=Path, metavar="FILE", help="the file of an embedded database, instead of AWS")
    parser.add_argument("--region", help="the AWS region; that of the environment by default")


def add_connection(parser: ArgumentParser) -> None:
    """Add the options that say where the tables are, and how long it may take."""
    add_place(parser)
    parser.add_argument(
        "--timeout", type=float, default=120.0, metavar="SECONDS", help="for everything together (default: 120)"
    )


def tables_of_groups(arguments: Namespace) -> dict[str, str]:
    """Return the tables that ``--group`` binds."""
    return dict(arguments.group)


def entity_type(plugins: "Plugins", name: str) -> "EntityType[Any]":
    """Return the installed entity type called *name*.

    Raises:
        ConfigurationError: There is none; the message lists those that there are.
    """
    types: dict[str, EntityType[Any]] = {entity.name: entity for entity in plugins.entity_types()}
    if name not in types:
        raise ConfigurationError(f"There is no entity type {name!r}; there are {', '.join(sorted(types))}.")
    return types[name]


def open_database(app: "App", arguments: Namespace, *, create: bool) -> "Database":
    """Open the database that the options name, with the entity types of all plugins. Nothing is sent yet.

    Args:
        app: The plugins.
        arguments: As parsed.
        create: Whether a missing embedded file is made.

    Raises:
        ConfigurationError: The file is missing or no database, or no region is known.
    """
    from common.dynamo.database import Database

    if arguments.embedded is None:
        return Database.connect(
            endpoint_url=arguments.endpoint,
            region=arguments.region,
            table=arguments.table,
            tables=tables_of_groups(arguments),
            plugins=app.plugins,
        )
    from common.dynamo.wire.embedded import EmbeddedWire

    if not create and not arguments.embedded.exists():
        raise ConfigurationError(
            f"There is no file {arguments.embedded}. Make it with `common dynamo tables create --embedded FILE`."
        )
    # Not Database.embedded, which would make the tables by itself when they are looked at.
    wire = EmbeddedWire(arguments.embedded)
    return Database.connect(wire=wire, table=arguments.table, tables=tables_of_groups(arguments), plugins=app.plugins)


def _group(text: str) -> tuple[str, str]:
    group, equals, table = text.partition("=")
    if not group or not equals or not table:
        raise ArgumentTypeError(f"{text!r} is not GROUP=NAME, such as ledger=accounts")
    return group, table
