"""Sessions in a table: a rotation is one conditional update, and its loser learns from the answer why."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from common.auth.dynamo.access_patterns import named
from common.auth.dynamo.entity_types import SESSION, USER_SESSION
from common.auth.dynamo.records import SessionItem, UserSessionItem, exact_seconds, second_of
from common.auth.dynamo.table_calls import ABSENT, PRESENT, TableCalls, compare, raise_unknown, setting
from common.auth.security.stores import FamilyChange, RefreshFamily, Successor
from common.dynamo import Database, Pattern
from common.dynamo.batches import read_batch
from common.dynamo.exceptions import TransactionCanceled
from common.dynamo.layout import WRITE_ID
from common.dynamo.requests import And, NotExists, PutItem, TransactWriteItems, Update, UpdateItem

__all__ = ["DynamoRefreshFamilyStore"]

_CREATE: Final = named("RefreshFamilyStore.create")
_ROTATE: Final = named("RefreshFamilyStore.rotate")
_REVOKE: Final = named("RefreshFamilyStore.revoke")
_FIND: Final = named("RefreshFamilyStore.find")
_OF_USER: Final = named("RefreshFamilyStore.of_user")

_TAKEN: Final = "ConditionalCheckFailed"
_LIVING: Final = NotExists(SESSION.path("revoked_at"))


class DynamoRefreshFamilyStore:
    """A :class:`~common.auth.security.stores.RefreshFamilyStore` in a table. Safe to share between threads.

    A session is an item of its own, and an entry in its user's list. The list never changes while the session lives, so
    a rotation writes one item: 1 write unit, 0 read units, 1 round trip, whether it wins or loses.

    Args:
        db: The service's database.
        deadline: Seconds for all attempts of a call together; ``None`` for the database's own.
    """

    def __init__(self, db: Database, *, deadline: float | None = None) -> None:
        self._calls = TableCalls(db, deadline=deadline)

    def create(self, family: RefreshFamily) -> bool:
        """Same as the protocol's; one transaction of two items: 4 write units, 1 round trip."""
        write_id = self._calls.db.new_write_id()
        mark = {WRITE_ID: {"S": write_id}}
        listed = UserSessionItem(user_id=family.user_id, session=family.session, expires_at=family.expires_at)
        session = PutItem(table=self._table, item={**SESSION.encode(_item_of(family)), **mark}, condition=ABSENT)
        entry = PutItem(table=self._table, item={**USER_SESSION.encode(listed), **mark}, condition=None)
        with self._calls.operation(_CREATE, SESSION) as op:
            try:
                op.execute(TransactWriteItems(parts=(session, entry), token=write_id))
            except TransactionCanceled as canceled:
                return _is_created(canceled, write_id)
        return True

    def rotate(self, session: str, *, expected: int, successor: Successor) -> FamilyChange:
        """Same as the protocol's; one update: 1 write unit, 0 read units, 1 round trip."""
        condition = And(
            (
                compare(SESSION, "=", "generation", expected),
                _LIVING,
                # Both are whole seconds: one of them lies after a moment where it lies after the moment's second.
                compare(SESSION, ">", "expires_at", second_of(successor.rotated_at)),
                compare(SESSION, ">", "idle_expires_at", second_of(successor.rotated_at)),
            )
        )
        fields = {
            "generation": expected + 1,
            "token_id": successor.token_id,
            "issued_at": successor.issued_at,
            "key_id": successor.key_id,
            "rotated_at": exact_seconds(successor.rotated_at),
            "idle_expires_at": successor.idle_expires_at,
        }
        return self._change(_ROTATE, session, fields, condition)

    def revoke(self, session: str, *, at: float) -> FamilyChange:
        """Same as the protocol's; one update: 1 write unit, 0 read units, 1 round trip."""
        return self._change(_REVOKE, session, {"revoked_at": exact_seconds(at)}, And((PRESENT, _LIVING)))

    def find(self, session: str) -> RefreshFamily | None:
        """Same as the protocol's: 1 read unit, 1 round trip."""
        return _family_of(self._calls.find(_FIND, SESSION, session))

    def of_user(self, user_id: str) -> Sequence[RefreshFamily]:
        """Same as the protocol's, but consistent: a query of the list and a batch of the sessions, 2 round trips."""
        query = self._calls.db.dao(USER_SESSION).query(user_id=user_id, consistent=True)
        with self._calls.operation(_OF_USER, SESSION) as op:
            listed = [USER_SESSION.decode(item).session for item in self._calls.items(op, query)]
            keys = [SESSION.item_key(session) for session in listed]
            found = read_batch(op, self._table, keys, consistent=True)
            return [_family(SESSION.decode(item)) for item in found if item is not None]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._table!r})"

    @property
    def _table(self) -> str:
        return self._calls.table_of(SESSION)

    def _change(self, pattern: Pattern, session: str, fields: Mapping[str, Any], condition: And) -> FamilyChange:
        write_id = self._calls.db.new_write_id()
        request = UpdateItem(
            table=self._table,
            key=SESSION.item_key(session),
            update=Update(set=setting(SESSION, write_id, fields)),
            condition=condition,
            returns="ALL_NEW",
        )
        with self._calls.operation(pattern, SESSION) as op:
            written = self._calls.write(op, request, write_id)
            stored = None if written.item is None else SESSION.decode(written.item)
            return FamilyChange(written.applied, _family_of(stored))


def _is_created(canceled: TransactionCanceled, write_id: str) -> bool:
    """Tell whether a refused creation had been applied by an attempt before it; raise where nobody knows."""
    session = canceled.reasons[0]
    if session.item is not None and session.item.get(WRITE_ID) == {"S": write_id}:
        return True
    if session.code != _TAKEN:
        raise canceled
    if canceled.unknown_attempts:
        raise_unknown(canceled)
    return False


def _item_of(family: RefreshFamily) -> SessionItem:
    return SessionItem(
        session=family.session,
        generation=family.generation,
        token_id=family.token_id,
        issued_at=family.issued_at,
        key_id=family.key_id,
        rotated_at=exact_seconds(family.rotated_at),
        user_id=family.user_id,
        client_id=family.client_id,
        epoch=family.epoch,
        created_at=exact_seconds(family.created_at),
        expires_at=family.expires_at,
        idle_expires_at=family.idle_expires_at,
        revoked_at=None if family.revoked_at is None else exact_seconds(family.revoked_at),
        scope=family.scope,
        roles=family.roles,
        authenticated_at=family.authenticated_at,
        methods=family.methods,
    )


def _family_of(item: SessionItem | None) -> RefreshFamily | None:
    return None if item is None else _family(item)


def _family(item: SessionItem) -> RefreshFamily:
    return RefreshFamily(
        session=item.session,
        generation=item.generation,
        token_id=item.token_id,
        issued_at=item.issued_at,
        key_id=item.key_id,
        rotated_at=float(item.rotated_at),
        user_id=item.user_id,
        client_id=item.client_id,
        epoch=item.epoch,
        created_at=float(item.created_at),
        expires_at=item.expires_at,
        idle_expires_at=item.idle_expires_at,
        revoked_at=None if item.revoked_at is None else float(item.revoked_at),
        scope=item.scope,
        roles=item.roles,
        authenticated_at=item.authenticated_at,
        methods=item.methods,
    )
