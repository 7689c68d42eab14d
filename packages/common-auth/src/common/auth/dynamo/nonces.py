"""What may be used once, remembered in a table for all processes."""

from typing import Final

from common.auth.dynamo.access_patterns import named
from common.auth.dynamo.entity_types import NONCE
from common.auth.dynamo.records import NonceItem, exact_seconds, sweep_second
from common.auth.dynamo.table_calls import ABSENT, TableCalls, compare
from common.dynamo import Database
from common.dynamo.layout import WRITE_ID
from common.dynamo.requests import Or, PutItem

__all__ = ["DynamoNonceStore"]

_CLAIM: Final = named("NonceStore.claim")


class DynamoNonceStore:
    """A :class:`~common.auth.security.stores.NonceStore` in a table. Safe to share between threads.

    Args:
        db: The service's database.
        deadline: Seconds for all attempts of a call together; ``None`` for the database's own.
    """

    def __init__(self, db: Database, *, deadline: float | None = None) -> None:
        self._calls = TableCalls(db, deadline=deadline)

    def claim(self, nonce: str, *, expires_at: float, now: float) -> bool:
        """Same as the protocol's; one conditional put: 1 write unit, 1 round trip, first use or not."""
        write_id = self._calls.db.new_write_id()
        item = NonceItem(nonce=nonce, expires_at=exact_seconds(expires_at), sweep_at=sweep_second(expires_at))
        request = PutItem(
            table=self._calls.table_of(NONCE),
            item={**NONCE.encode(item), WRITE_ID: {"S": write_id}},
            condition=Or((ABSENT, compare(NONCE, "<=", "expires_at", exact_seconds(now)))),
        )
        with self._calls.operation(_CLAIM, NONCE) as op:
            return self._calls.write(op, request, write_id).applied

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._calls.table_of(NONCE)!r})"
