"""Denied tokens and sessions, and the epochs of users, in a table."""

from collections.abc import Collection
from typing import Final

from common.auth.dynamo.access_patterns import named
from common.auth.dynamo.entity_types import DENIED, EPOCH
from common.auth.dynamo.records import DeniedItem, exact_seconds, sweep_second
from common.auth.dynamo.table_calls import ABSENT, TableCalls, compare, setting
from common.auth.security.stores import Revocations
from common.dynamo import Database
from common.dynamo.batches import read_batch
from common.dynamo.exceptions import ConditionFailed
from common.dynamo.requests import Constant, Or, PutItem, Update, UpdateItem

__all__ = ["DynamoRevocationStore"]

_DENY: Final = named("RevocationStore.deny")
_RAISE_EPOCH: Final = named("RevocationStore.raise_epoch")
_LOOK_UP: Final = named("RevocationStore.look_up")


class DynamoRevocationStore:
    """A :class:`~common.auth.security.stores.RevocationStore` in a table. Safe to share between threads.

    Args:
        db: The service's database.
        deadline: Seconds for all attempts of a call together; ``None`` for the database's own.
    """

    def __init__(self, db: Database, *, deadline: float | None = None) -> None:
        self._calls = TableCalls(db, deadline=deadline)

    def deny(self, identifier: str, *, expires_at: float) -> None:
        """Same as the protocol's; one conditional put: 1 write unit, 1 round trip."""
        until = exact_seconds(expires_at)
        item = DeniedItem(identifier=identifier, expires_at=until, sweep_at=sweep_second(expires_at))
        request = PutItem(
            table=self._calls.table_of(DENIED),
            item=DENIED.encode(item),
            condition=Or((ABSENT, compare(DENIED, "<", "expires_at", until))),
        )
        with self._calls.operation(_DENY, DENIED) as op:
            try:
                op.execute(request)
            except ConditionFailed:
                return  # it is denied until then, or longer; by whom does not matter

    def raise_epoch(self, user_id: str) -> int:
        """Same as the protocol's; one update that adds: 1 write unit, 1 round trip."""
        write_id = self._calls.db.new_write_id()
        request = UpdateItem(
            table=self._calls.table_of(EPOCH),
            key=EPOCH.item_key(user_id),
            update=Update(
                set=setting(EPOCH, write_id, {"user_id": user_id}, is_new=True),
                add=((EPOCH.path("epoch"), Constant({"N": "1"})),),
            ),
            returns="ALL_NEW",
        )
        with self._calls.operation(_RAISE_EPOCH, EPOCH) as op:
            # Sent again after a lost answer, it may add two; that ends the same sessions, and the answer is what is stored.
            return EPOCH.decode(op.execute(request).body["Attributes"]).epoch

    def look_up(self, user_id: str, identifiers: Collection[str] = (), *, consistent: bool = False) -> Revocations:
        """Same as the protocol's; one batch of reads, half a unit each, or a whole one where it is consistent."""
        wanted = tuple(dict.fromkeys(identifiers))
        keys = [EPOCH.item_key(user_id), *(DENIED.item_key(identifier) for identifier in wanted)]
        with self._calls.operation(_LOOK_UP, EPOCH) as op:
            epoch, *denied = read_batch(op, self._calls.table_of(EPOCH), keys, consistent=consistent)
            return Revocations(
                0 if epoch is None else EPOCH.decode(epoch).epoch,
                {
                    identifier: float(DENIED.decode(item).expires_at)
                    for identifier, item in zip(wanted, denied, strict=True)
                    if item is not None
                },
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._calls.table_of(EPOCH)!r})"
