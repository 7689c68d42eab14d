"""common-dynamo's own plugin: entity types, health checks and commands, by the hooks that strangers use."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from common.core.commands import CliCommand
from common.core.health import HealthCheck
from common.core.lifecycle import App
from common.core.markers import hookimpl
from common.core.settings import Settings
from common.dynamo.entity_type import EntityType

if TYPE_CHECKING:
    from common.dynamo.access import AccessPattern

# What only some services need is imported where it is used, so that loading plugins stays quick.


@hookimpl
def common_entity_types() -> Iterable[EntityType[Any]]:
    """Contribute the entity types of users, accounts, orders and assets."""
    from common.dynamo.dao.ledger_types import LEDGER_ENTITY_TYPES

    return LEDGER_ENTITY_TYPES


@hookimpl
def common_access_patterns() -> "Iterable[AccessPattern]":
    """Contribute what the DAOs of users, accounts, orders and assets send and cost."""
    from common.dynamo.dao.access_patterns import LEDGER_PATTERNS

    return LEDGER_PATTERNS


@hookimpl
def common_health_checks(settings: Settings) -> Iterable[HealthCheck]:
    """Contribute ``dynamo.tables`` and ``dynamo.traffic``; ``dynamo.canary`` where ``COMMON_DYNAMO_HEALTH_CANARY`` is set."""
    from random import random

    from common.dynamo.health import CanaryCheck, TablesCheck, TrafficCheck

    wants_canary = settings.section("COMMON_DYNAMO_HEALTH_").flag("CANARY", default=False)
    return (TablesCheck(random), TrafficCheck(), *([CanaryCheck()] if wants_canary else []))


@hookimpl
def common_startup(app: App) -> None:
    """Tell the health checks of every database that the service provides."""
    from common.dynamo.database import Database
    from common.dynamo.health import DatabaseCheck

    for check in app.plugins.health_checks():
        if isinstance(check, DatabaseCheck):
            for database in app.provided(Database):
                check.attach(database)


@hookimpl
def common_cli_commands() -> Iterable[CliCommand]:
    """Contribute the commands of ``common dynamo``."""
    from common.dynamo.commands import COMMANDS

    return COMMANDS
