"""``common dynamo iam``: least-privilege policies made of access patterns."""

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import TYPE_CHECKING, Any, Final

from common.core.commands import CliCommand
from common.dynamo.commands.options import add_tables, entity_type, tables_of_groups
from common.exceptions import ConfigurationError

if TYPE_CHECKING:
    from common.core.lifecycle import App
    from common.core.plugins import Plugins
    from common.dynamo.access import AccessPattern

__all__ = ["IAM_COMMANDS"]


def _arguments(parser: ArgumentParser) -> None:
    add_tables(parser)
    parser.add_argument("--account", required=True, help="the AWS account of the tables, 12 digits")
    parser.add_argument("--region", help="the AWS region of the tables; that of the environment by default")
    parser.add_argument("--partition", default="", help="aws, aws-cn, ...; follows from the region by default")
    parser.add_argument(
        "--pattern",
        action="append",
        default=[],
        metavar="PATTERN",
        help="an access pattern that the service uses, such as OrderDAO.buy or 'OrderDAO.*'; may be repeated",
    )
    parser.add_argument(
        "--use",
        action="append",
        default=[],
        type=_use,
        metavar="TYPE=METHOD,METHOD",
        help="methods of the DAO of an entity type, such as invoice=get,create; scan and backfill are allowed only where "
        "they are named; may be repeated",
    )
    parser.epilog = (
        "Without --pattern and --use the policy allows everything that a service with all installed entity types does. "
        "Name Health.tables beside your own patterns where the service runs that check."
    )


def _use(text: str) -> tuple[str, tuple[str, ...]]:
    name, equals, methods = text.partition("=")
    if not name or not equals or not methods:
        raise ArgumentTypeError(f"{text!r} is not TYPE=METHOD,METHOD, such as invoice=get,create")
    return name, tuple(methods.split(","))


def _export(app: "App", arguments: Namespace) -> int:
    from common.dynamo.iam import Arns, iam_policy
    from common.dynamo.tables import table_definitions

    types, tables = app.plugins.entity_types(), tables_of_groups(arguments)
    policy = iam_policy(
        _chosen(app.plugins, arguments),
        Arns(region=_region(app, arguments), account=arguments.account, partition=arguments.partition),
        table_of=lambda entity: tables.get(entity.group, arguments.table),
        tables=[definition.name for definition in table_definitions(types, tables, arguments.table)],
    )
    print(json.dumps(policy, indent=2))
    _warn_of_open_statements(policy)
    return 0


def _region(app: "App", arguments: Namespace) -> str:
    environ = app.settings.environ
    region = arguments.region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    if not region:
        raise ConfigurationError("No AWS region is known. Give --region, or set AWS_REGION.")
    return str(region)


def _chosen(plugins: "Plugins", arguments: Namespace) -> "tuple[AccessPattern, ...]":
    from common.dynamo.access import select
    from common.dynamo.commands.access import known_patterns
    from common.dynamo.entity_access import uses

    known = known_patterns(plugins)
    if not arguments.pattern and not arguments.use:
        return _of_a_service(known)
    chosen: list[AccessPattern] = []
    for wanted in arguments.pattern:
        found = select(known, wanted)
        if not found:
            raise ConfigurationError(f"There is no access pattern {wanted}. `common dynamo explain` lists all of them.")
        chosen += found
    for name, methods in arguments.use:
        chosen += uses(entity_type(plugins, name), *methods)
    return tuple(chosen)


def _of_a_service(known: "tuple[AccessPattern, ...]") -> "tuple[AccessPattern, ...]":
    """Leave out what makes and compares tables: that is done by who deploys."""
    from common.dynamo.access import TABLE_PATTERNS

    return tuple(pattern for pattern in known if pattern not in TABLE_PATTERNS or pattern.name.startswith("Health."))


def _warn_of_open_statements(policy: dict[str, Any]) -> None:
    """Say which statements reach every item: a scan does, and a key template that begins with a component."""
    for statement in policy["Statement"]:
        if "Condition" in statement:
            continue
        if statement["Action"] == ["dynamodb:Scan"]:
            print(f"common: {statement['Sid']} reads every item of the table, whatever its type.", file=sys.stderr)
        elif statement["Action"] != ["dynamodb:DescribeTable"]:
            print(
                f"common: {statement['Sid']} is not limited to partitions, since a key template begins with a component. "
                "Begin it with a literal.",
                file=sys.stderr,
            )


IAM_COMMANDS: Final = (
    CliCommand("dynamo iam", "Permissions that services need."),
    CliCommand(
        "dynamo iam export",
        "Write the IAM policy that allows what a service does, and nothing else: actions, tables, indexes, partitions.",
        _export,
        _arguments,
    ),
)
