"""Whether the table of authentication answers. The runner is part of common-observability."""

from collections.abc import Iterable, Iterator
from typing import Final

from common.auth.dynamo.access_patterns import named
from common.auth.dynamo.entity_types import EPOCH
from common.core.health import CheckContext, CheckSpec, Outcome, Status
from common.dynamo import Database
from common.dynamo.exceptions import DynamoError, RequestRefused
from common.dynamo.health import DatabaseCheck
from common.dynamo.requests import GetItem
from common.dynamo.telemetry import suppressed

__all__ = ["StoresCheck"]

_PATTERN: Final = named("Health.auth")
_NOBODY: Final = EPOCH.item_key("health check")
"""No subject of a token holds a space, so there is never such an item: an answer is all that is asked for."""


class StoresCheck(DatabaseCheck):
    """``auth.stores``: the table of sessions and revocations answers a read. Half a read unit each time.

    ``COMMON_AUTH_STORES=table`` switches it on. It is not critical: tokens are validated without the table where that is
    fresh enough, and what needs it refuses itself.
    """

    def __init__(self) -> None:
        super().__init__(CheckSpec("auth.stores", critical=False, component_type="datastore"))

    def outcomes(self, databases: Iterable[Database], ctx: CheckContext) -> Iterator[Outcome]:
        """Walk over the outcome of each database."""
        with suppressed():
            for database in databases:
                yield _outcome(database, ctx.remaining())


def _outcome(database: Database, seconds: float) -> Outcome:
    request = GetItem(table=database.table_of(EPOCH), key=_NOBODY)
    try:
        database.execute(request, _PATTERN, deadline=seconds)
    except RequestRefused as refused:
        return Outcome(Status.FAIL, "refused", detail={"code": refused.engine_code})
    except DynamoError as error:
        return Outcome(Status.FAIL, error.code.replace("_", "-"))
    return Outcome()
