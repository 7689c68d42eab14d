"""Counters of attempts to log in, in a table: a partition for each bucket, so that shards of a bucket lie apart."""

from decimal import Decimal
from typing import Final

from common.auth.dynamo.access_patterns import named
from common.auth.dynamo.entity_types import LOGIN_COUNTER
from common.auth.dynamo.records import LoginCounterItem, exact_seconds, sweep_second
from common.auth.dynamo.table_calls import ABSENT, PRESENT, TableCalls, compare, setting
from common.auth.exceptions import StoreUnavailable
from common.auth.security.stores import LoginCounter, LoginCounterChange
from common.dynamo import Database
from common.dynamo.exceptions import ConditionFailed
from common.dynamo.execution import Operation
from common.dynamo.layout import WRITE_ID
from common.dynamo.requests import (
    And,
    Condition,
    Constant,
    DeleteItem,
    IfNotExists,
    Item,
    Or,
    Path,
    PutItem,
    Update,
    UpdateItem,
)

__all__ = ["DynamoLoginCounterStore"]

_READ: Final = named("LoginCounterStore.read")
_EXCHANGE: Final = named("LoginCounterStore.exchange")
_ADD: Final = named("LoginCounterStore.add")
_CLEAR: Final = named("LoginCounterStore.clear")

_BLOCKED: Final = LOGIN_COUNTER.path("blocked_until")
_NEVER: Final = LOGIN_COUNTER.constant("blocked_until", Decimal(0))
_TRIES: Final = 3
"""How often an addition begins anew where its bucket came and went in between."""


class DynamoLoginCounterStore:
    """A :class:`~common.auth.security.stores.LoginCounterStore` in a table. Safe to share between threads.

    Args:
        db: The service's database.
        deadline: Seconds for all attempts of a call together; ``None`` for the database's own.
    """

    def __init__(self, db: Database, *, deadline: float | None = None) -> None:
        self._calls = TableCalls(db, deadline=deadline)

    def read(self, bucket: str) -> LoginCounter | None:
        """Same as the protocol's: 1 read unit, 1 round trip."""
        found = self._calls.find(_READ, LOGIN_COUNTER, bucket)
        return None if found is None else _counter(found)

    def exchange(self, bucket: str, *, expected: LoginCounter | None, new: LoginCounter | None) -> LoginCounterChange:
        """Same as the protocol's; one conditional put or delete: 1 write unit, 1 round trip, applied or not."""
        write_id, condition = self._calls.db.new_write_id(), _is_stored(expected)
        request: PutItem | DeleteItem
        if new is None:
            key = LOGIN_COUNTER.item_key(bucket)
            request = DeleteItem(table=self._table, key=key, condition=condition)
        else:
            item = {**LOGIN_COUNTER.encode(_item_of(bucket, new)), WRITE_ID: {"S": write_id}}
            request = PutItem(table=self._table, item=item, condition=condition)
        with self._calls.operation(_EXCHANGE, LOGIN_COUNTER) as op:
            written = self._calls.write(op, request, write_id)
            if written.applied:
                return LoginCounterChange(True, new)
            return LoginCounterChange(False, None if written.item is None else _counter_in(written.item))

    def add(self, bucket: str, amount: int, *, expires_at: float) -> int:
        """Same as the protocol's; one update that adds: 1 write unit, 1 round trip.

        Where a later expiry is stored, it takes a second update, which leaves that alone. An answer that is lost is not
        made up for by another attempt: that could count twice.
        """
        with self._calls.operation(_ADD, LOGIN_COUNTER) as op:
            for _ in range(_TRIES):
                for request in (self._prolonging(bucket, amount, expires_at), self._counting(bucket, amount)):
                    added = _add(op, request)
                    if added is not None:
                        return LOGIN_COUNTER.decode(added).attempts
        raise StoreUnavailable("The bucket came and went while it was counted. Repeat the call.", reason="contention")

    def clear(self, bucket: str) -> None:
        """Same as the protocol's; one delete: 1 write unit, 1 round trip."""
        request = DeleteItem(table=self._table, key=LOGIN_COUNTER.item_key(bucket))
        with self._calls.operation(_CLEAR, LOGIN_COUNTER) as op:
            op.execute(request)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._table!r})"

    @property
    def _table(self) -> str:
        return self._calls.table_of(LOGIN_COUNTER)

    def _prolonging(self, bucket: str, amount: int, expires_at: float) -> UpdateItem:
        """Return the update that adds, and makes *expires_at* the expiry unless a later one is stored."""
        until = exact_seconds(expires_at)
        fields = {"bucket": bucket, "expires_at": until, "sweep_at": sweep_second(expires_at)}
        stored = setting(LOGIN_COUNTER, self._calls.db.new_write_id(), fields, is_new=True)
        return UpdateItem(
            table=self._table,
            key=LOGIN_COUNTER.item_key(bucket),
            update=Update(set=(*stored, (_BLOCKED, IfNotExists(_BLOCKED, _NEVER))), add=_attempts(amount)),
            condition=Or((ABSENT, compare(LOGIN_COUNTER, "<=", "expires_at", until))),
            returns="ALL_NEW",
        )

    def _counting(self, bucket: str, amount: int) -> UpdateItem:
        """Return the update that adds to a counter which is there, and changes nothing else."""
        return UpdateItem(
            table=self._table,
            key=LOGIN_COUNTER.item_key(bucket),
            update=Update(set=setting(LOGIN_COUNTER, self._calls.db.new_write_id(), {}), add=_attempts(amount)),
            condition=PRESENT,
            returns="ALL_NEW",
        )


def _add(op: Operation, request: UpdateItem) -> Item | None:
    """Return the counter after *request*; ``None`` where its condition did not hold."""
    try:
        added: Item = op.execute(request, resend=False).body["Attributes"]
    except ConditionFailed:
        return None
    return added


def _attempts(amount: int) -> tuple[tuple[Path, Constant], ...]:
    return ((LOGIN_COUNTER.path("attempts"), LOGIN_COUNTER.constant("attempts", amount)),)


def _is_stored(expected: LoginCounter | None) -> Condition:
    if expected is None:
        return ABSENT
    return And(
        (
            compare(LOGIN_COUNTER, "=", "attempts", expected.attempts),
            compare(LOGIN_COUNTER, "=", "blocked_until", exact_seconds(expected.blocked_until)),
            compare(LOGIN_COUNTER, "=", "expires_at", exact_seconds(expected.expires_at)),
        )
    )


def _item_of(bucket: str, counter: LoginCounter) -> LoginCounterItem:
    return LoginCounterItem(
        bucket=bucket,
        attempts=counter.attempts,
        blocked_until=exact_seconds(counter.blocked_until),
        expires_at=exact_seconds(counter.expires_at),
        sweep_at=sweep_second(counter.expires_at),
    )


def _counter_in(item: Item) -> LoginCounter:
    return _counter(LOGIN_COUNTER.decode(item))


def _counter(item: LoginCounterItem) -> LoginCounter:
    return LoginCounter(
        attempts=item.attempts, blocked_until=float(item.blocked_until), expires_at=float(item.expires_at)
    )
