"""API keys in a table, without their secrets."""

from collections.abc import Sequence
from typing import Any, Final

from common.auth.dynamo.access_patterns import named
from common.auth.dynamo.entity_types import API_KEY, API_KEYS_OF_OWNER
from common.auth.dynamo.records import ApiKeyItem, exact_seconds, sweep_second
from common.auth.dynamo.table_calls import ABSENT, PRESENT, TableCalls, Written, compare, setting
from common.auth.security.stores import ApiKeyRecord
from common.dynamo import Database, Pattern
from common.dynamo.layout import WRITE_ID
from common.dynamo.requests import And, Condition, IfNotExists, NotExists, Or, PutItem, Update, UpdateItem

__all__ = ["DynamoApiKeyStore"]

_CREATE: Final = named("ApiKeyStore.create")
_FIND: Final = named("ApiKeyStore.find")
_OF_OWNER: Final = named("ApiKeyStore.of_owner")
_REVOKE: Final = named("ApiKeyStore.revoke")
_TOUCH: Final = named("ApiKeyStore.touch")

_REVOKED_AT: Final = API_KEY.path("revoked_at")
_LAST_USED_AT: Final = API_KEY.path("last_used_at")


class DynamoApiKeyStore:
    """An :class:`~common.auth.security.stores.ApiKeyStore` in a table. Safe to share between threads.

    Args:
        db: The service's database.
        deadline: Seconds for all attempts of a call together; ``None`` for the database's own.
    """

    def __init__(self, db: Database, *, deadline: float | None = None) -> None:
        self._calls = TableCalls(db, deadline=deadline)

    def create(self, record: ApiKeyRecord) -> bool:
        """Same as the protocol's; one conditional put: 1 write unit and 1 on the index, 1 round trip."""
        write_id = self._calls.db.new_write_id()
        item = {**API_KEY.encode(_item_of(record)), WRITE_ID: {"S": write_id}}
        request = PutItem(table=self._table, item=item, condition=ABSENT)
        with self._calls.operation(_CREATE, API_KEY) as op:
            return self._calls.write(op, request, write_id).applied

    def find(self, key_id: str) -> ApiKeyRecord | None:
        """Same as the protocol's: 1 read unit, 1 round trip."""
        found = self._calls.find(_FIND, API_KEY, key_id)
        return None if found is None else _record(found)

    def of_owner(self, owner: str) -> Sequence[ApiKeyRecord]:
        """Same as the protocol's; a query of the index: half a read unit per 4 KB, 1 round trip."""
        query = self._calls.db.dao(API_KEY).query(API_KEYS_OF_OWNER, owner=owner)
        with self._calls.operation(_OF_OWNER, API_KEY) as op:
            return [_record(API_KEY.decode(item)) for item in self._calls.items(op, query)]

    def revoke(self, key_id: str, *, at: float) -> bool:
        """Same as the protocol's; one update: 1 write unit and 1 on the index, 1 round trip."""
        first = IfNotExists(_REVOKED_AT, API_KEY.constant("revoked_at", exact_seconds(at)))
        return self._change(_REVOKE, key_id, Update(set=((_REVOKED_AT, first),)), PRESENT).applied

    def touch(self, key_id: str, *, at: float, at_most_every: float) -> bool:
        """Same as the protocol's; one conditional update: 1 write unit and 1 on the index, 1 round trip."""
        is_due = Or(
            (
                NotExists(_LAST_USED_AT),
                compare(API_KEY, "<=", "last_used_at", exact_seconds(at - at_most_every)),
            )
        )
        update = Update(set=((_LAST_USED_AT, API_KEY.constant("last_used_at", exact_seconds(at))),))
        return self._change(_TOUCH, key_id, update, And((PRESENT, is_due))).applied

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._table!r})"

    @property
    def _table(self) -> str:
        return self._calls.table_of(API_KEY)

    def _change(self, pattern: Pattern, key_id: str, update: Update, condition: Condition) -> Written:
        write_id = self._calls.db.new_write_id()
        request = UpdateItem(
            table=self._table,
            key=API_KEY.item_key(key_id),
            update=Update(set=(*update.set, *setting(API_KEY, write_id, {}))),
            condition=condition,
        )
        with self._calls.operation(pattern, API_KEY) as op:
            return self._calls.write(op, request, write_id)


def _item_of(record: ApiKeyRecord) -> ApiKeyItem:
    moments: dict[str, Any] = {
        name: None if (at := getattr(record, name)) is None else exact_seconds(at)
        for name in ("created_at", "expires_at", "revoked_at", "last_used_at")
    }
    return ApiKeyItem(
        key_id=record.key_id,
        owner=record.owner,
        digest=record.digest,
        scopes=record.scopes,
        sweep_at=sweep_second(record.expires_at),
        **moments,
    )


def _record(item: ApiKeyItem) -> ApiKeyRecord:
    return ApiKeyRecord(
        key_id=item.key_id,
        owner=item.owner,
        digest=item.digest,
        scopes=item.scopes,
        created_at=float(item.created_at),
        expires_at=float(item.expires_at),
        revoked_at=None if item.revoked_at is None else float(item.revoked_at),
        last_used_at=None if item.last_used_at is None else float(item.last_used_at),
    )
