"""The subcommands of ``common dynamo``, one module per word."""

from typing import Final

from common.core.commands import CliCommand
from common.dynamo.commands.backfill import BACKFILL
from common.dynamo.commands.entities import ENTITIES
from common.dynamo.commands.explain import EXPLAIN
from common.dynamo.commands.iam import IAM_COMMANDS
from common.dynamo.commands.tables import TABLE_COMMANDS

__all__ = ["COMMANDS"]

COMMANDS: Final = (
    CliCommand("dynamo", "The data layer: its tables, entity types, access patterns and permissions."),
    *TABLE_COMMANDS,
    *IAM_COMMANDS,
    ENTITIES,
    EXPLAIN,
    BACKFILL,
)
"""What common-dynamo contributes through ``common_cli_commands``."""
