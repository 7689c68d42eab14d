"""Health of the databases that the service has opened. The runner is part of common-observability."""

import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from common.core.health import CheckContext, CheckSpec, Outcome, Status
from common.dynamo.exceptions import DynamoError, RequestRefused
from common.dynamo.execution import Pattern
from common.dynamo.layout import PARTITION, SORT
from common.dynamo.requests import DescribeTable, GetItem, TableDefinition
from common.dynamo.tables import table_faults
from common.dynamo.telemetry import suppressed
from common.dynamo.traffic import Traffic

if TYPE_CHECKING:
    from common.dynamo.database import Database

__all__ = ["CanaryCheck", "DatabaseCheck", "TablesCheck", "TrafficCheck"]

TABLES_TTL: Final = 60.0
"""Seconds; the control plane is not polled more often."""
TABLES_TTL_FAIL: Final = 10.0
"""Seconds; nor does a service that waits for its tables ask much more often, since its other processes wait too."""
WARN_FROM: Final = 0.05
"""Ratio of failed calls, or of throttled attempts, that is worth a warning."""
FAIL_FROM: Final = 0.5

_DESCRIBE: Final = Pattern("Health.tables", "DescribeTable")
_CANARY: Final = Pattern("Health.canary", "GetItem")
_CANARY_KEY: Final = {PARTITION: {"S": "_HEALTH#CANARY"}, SORT: {"S": "_HEALTH"}}
"""Of an item that is never written: an answer is all that is asked for. No entity's key begins with ``_``."""
_USABLE: Final = ("ACTIVE", "UPDATING")


class DatabaseCheck(ABC):
    """A check of every database that it has been told of.

    It is made before any database is opened, and finds them when it runs: ``Database.connect(plugins=...)`` attaches
    itself, and so does start-up for every database that the service provides to its plugins.
    """

    def __init__(self, spec: CheckSpec) -> None:
        self.spec: Final = spec
        self._databases: weakref.WeakSet[Database] = weakref.WeakSet()

    def attach(self, database: "Database") -> None:
        """Look at *database* too, until it is closed."""
        self._databases.add(database)

    def check(self, ctx: CheckContext, /) -> Outcome:
        """Return the worst of all databases; WARN ``not-connected`` while there is none."""
        databases = tuple(database for database in self._databases if not database.closed)
        if not databases:
            return Outcome(Status.WARN, "not-connected")
        return max(self.outcomes(databases, ctx), key=lambda outcome: outcome.status)

    @abstractmethod
    def outcomes(self, databases: "Iterable[Database]", ctx: CheckContext) -> Iterator[Outcome]:
        """Walk over the outcome of each database."""


class TablesCheck(DatabaseCheck):
    """``dynamo.tables``: every table is active, its key and indexes as declared. Its calls are no traffic of the service."""

    def __init__(self, random: Callable[[], float]) -> None:
        """Draw a ttl from 60 to 75 seconds, so that the processes of a service do not all ask at once."""
        jitter = 1.0 + random() / 4
        super().__init__(
            CheckSpec(
                "dynamo.tables",
                frozenset({"startup"}),
                timeout=0.7,
                ttl=TABLES_TTL * jitter,
                ttl_fail=TABLES_TTL_FAIL * jitter,
                component_type="datastore",
            )
        )

    def outcomes(self, databases: "Iterable[Database]", ctx: CheckContext) -> Iterator[Outcome]:
        with suppressed():
            for database in databases:
                for definition in database.table_definitions():
                    yield _table_outcome(database, definition, ctx.remaining())


def _table_outcome(database: "Database", definition: TableDefinition, seconds: float) -> Outcome:
    try:
        body = database.execute(DescribeTable(table=definition.name), _DESCRIBE, deadline=seconds).body
    except RequestRefused as refused:
        missing = refused.engine_code == "ResourceNotFoundException"
        return Outcome(Status.FAIL, "table-missing" if missing else "refused", detail={"code": refused.engine_code})
    except DynamoError as error:
        return Outcome(Status.FAIL, error.code.replace("_", "-"))
    table = body.get("Table", {})
    if table.get("TableStatus", "ACTIVE") not in _USABLE:
        return Outcome(Status.FAIL, "table-not-active")
    faults = table_faults(table, definition)
    if faults:
        return Outcome(Status.FAIL, "table-differs", detail={"faults": "; ".join(faults)})
    building = _not_active(table, definition)
    return Outcome(Status.FAIL, "index-not-active", detail={"indexes": ", ".join(building)}) if building else Outcome()


def _not_active(table: Mapping[str, Any], definition: TableDefinition) -> list[str]:
    """Return the declared indexes that cannot be asked yet, such as one that is being filled."""
    declared = {index.name for index in definition.indexes}
    states = {
        index["IndexName"]: index.get("IndexStatus", "ACTIVE") for index in table.get("GlobalSecondaryIndexes") or ()
    }
    return sorted(name for name, state in states.items() if name in declared and state not in _USABLE)


class TrafficCheck(DatabaseCheck):
    """``dynamo.traffic``: how the calls of the last 30 seconds went. Passive: it makes none of its own."""

    def __init__(self) -> None:
        super().__init__(
            CheckSpec("dynamo.traffic", critical=False, component_type="datastore", measurement="errorRatio")
        )

    def outcomes(self, databases: "Iterable[Database]", ctx: CheckContext) -> Iterator[Outcome]:
        for database in databases:
            yield _traffic_outcome(database.traffic())


def _traffic_outcome(traffic: Traffic) -> Outcome:
    if traffic.calls == 0:
        return Outcome(Status.PASS, "idle")
    throttled = traffic.throttle_ratio > traffic.error_ratio
    ratio = max(traffic.error_ratio, traffic.throttle_ratio)
    detail: dict[str, str | int | float | bool] = {"calls": traffic.calls, "errors": traffic.errors}
    detail["throttles"] = traffic.throttles
    if traffic.failed_trace_id:
        detail["trace_id"] = traffic.failed_trace_id
    if ratio < WARN_FROM:
        return Outcome(Status.PASS, observed=(ratio, "1"), detail=detail)
    status = Status.FAIL if traffic.error_ratio >= FAIL_FROM else Status.WARN
    return Outcome(status, "throttled" if throttled else "errors", (ratio, "1"), detail)


class CanaryCheck(DatabaseCheck):
    """``dynamo.canary``: each table answers a read of an item that is never there. Active: half a read unit per table.

    For services that are idle at times and want to know before the next request comes; ``COMMON_DYNAMO_HEALTH_CANARY=1``
    switches it on. Credentials that are limited to the partitions of the entity types may not ask for the item: the check
    then fails as ``refused``.
    """

    def __init__(self) -> None:
        super().__init__(CheckSpec("dynamo.canary", critical=False, component_type="datastore"))

    def outcomes(self, databases: "Iterable[Database]", ctx: CheckContext) -> Iterator[Outcome]:
        with suppressed():
            for database in databases:
                for definition in database.table_definitions():
                    yield _canary_outcome(database, definition.name, ctx.remaining())


def _canary_outcome(database: "Database", table: str, seconds: float) -> Outcome:
    try:
        database.execute(GetItem(table=table, key=_CANARY_KEY), _CANARY, deadline=seconds)
    except RequestRefused as refused:
        return Outcome(Status.FAIL, "refused", detail={"code": refused.engine_code})
    except DynamoError as error:
        return Outcome(Status.FAIL, error.code.replace("_", "-"))
    return Outcome()
