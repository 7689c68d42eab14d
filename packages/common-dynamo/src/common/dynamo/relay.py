"""The relay: publishes what waits in the outbox, at least once, in order per aggregate, and takes it away afterwards.

What is guaranteed, whatever crashes, whatever the clocks say and however many relays run:

- *At least once.* An event leaves the outbox by one write alone, the acknowledgement, which follows the return of
  ``publish`` for it and for every event before it.
- *In order.* A relay publishes an aggregate's pending events one after the other, from the first one that waits; it
  begins an event after ``publish`` has returned for the one before. An event before the first one that waits was
  acknowledged, so published. Hence the first publication of an event comes after the first publication of every earlier
  event of its aggregate: a consumer that ignores ids it has seen sees the order of the commits.
- *Only what was committed*, since the events are part of the transaction.

What is not guaranteed is that an event comes once: a relay that dies, loses its acknowledgement or is overtaken while it
publishes leaves repeats, which may come late. Claims keep relays out of each other's way. A claim ends by a time that its
owner has stored, so it may end too early or too late where clocks differ; then there are more repeats, or a pause, and
nothing worse: an acknowledgement does not ask for the claim but for the very events that it takes away, by their ids.
"""

import logging
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from common.dynamo.arguments import require_callback, require_seconds, require_whole_number
from common.dynamo.exceptions import ConditionFailed, DynamoError, InvalidItem
from common.dynamo.execution import Deadline, Pattern
from common.dynamo.layout import PARTITION, PARTITION_PATH, SORT
from common.dynamo.outbox import (
    BYTES,
    EVENTS,
    OUTBOX_SHARDS,
    EmittedEvent,
    pending_events,
    shard_key,
    stored_size,
)
from common.dynamo.requests import (
    And,
    Compare,
    Condition,
    Constant,
    DeleteItem,
    Exists,
    Item,
    ItemKey,
    KeyCondition,
    NotExists,
    Or,
    Path,
    Query,
    Request,
    Size,
    Update,
    UpdateItem,
)
from common.dynamo.telemetry import continued
from common.dynamo.value_classes import dataclass
from common.dynamo.wire.retry import Backoff, Pace
from common.exceptions import ConfigurationError, InvalidInput

if TYPE_CHECKING:
    from common.dynamo.database import Database

__all__ = ["OutboxRelay", "RelayPass"]

BATCH_LIMIT: Final = 100
"""Events of one acknowledgement, at most: their removal has to fit into an expression of 4 KB."""

_LIST: Final = Pattern("OutboxRelay.list", "Query")
_CLAIM: Final = Pattern("OutboxRelay.claim", "UpdateItem")
_ACKNOWLEDGE: Final = Pattern("OutboxRelay.acknowledge", "DeleteItem")

_OWNER, _UNTIL = Path(("_c",)), Path(("_u",))
_LISTED: Final = (PARTITION_PATH, Path((SORT,)), _OWNER, _UNTIL)

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 60.0

_log: Final = logging.getLogger("common.dynamo.outbox")


@dataclass(frozen=True, slots=True)
class RelayPass:
    """What one pass over the outbox has done. Passes add: ``a + b``."""

    published: int = 0
    """Events."""
    failed: int = 0
    """Aggregates whose next event could not be published or read; they are tried again after a pause."""
    held: int = 0
    """Aggregates that were left alone: claimed by another relay, or paused after a failure."""

    def __add__(self, other: "RelayPass") -> "RelayPass":
        return RelayPass(self.published + other.published, self.failed + other.failed, self.held + other.held)


class OutboxRelay:
    """Publishes the events of one database. Used by one thread; run as many relays as you like.

    >>> from pydantic import BaseModel
    >>> from common.dynamo import Database
    >>> from common.dynamo.outbox import EventType
    >>> class InvoicePaid(BaseModel):
    ...     number: int
    >>> INVOICE_PAID = EventType(InvoicePaid, "invoice-paid", aggregate="INV#{number:10}")
    >>> with Database.embedded(event_types=[INVOICE_PAID]) as db:
    ...     with db.transaction() as tx:
    ...         tx.emit(InvoicePaid(number=7))
    ...     OutboxRelay(db, lambda event: print(event.type, event.body)).run_once()
    invoice-paid {"number":7}
    RelayPass(published=1, failed=0, held=0)
    """

    def __init__(
        self,
        db: "Database",
        publish: Callable[[EmittedEvent], None],
        *,
        batch: int = 50,
        lease: float = 30.0,
    ) -> None:
        """Make a relay; nothing is sent yet.

        Args:
            db: Whose outbox it is.
            publish: Hands an event to the world and returns when that is certain; an exception means that it is not. It
                runs in the emitter's trace. An event that shall be given up is one that it returns from.
            batch: Events of an aggregate that are published before they are acknowledged together, 1 to 100: so many come
                again after a crash. A pass publishes one batch of each aggregate.
            lease: Seconds for which an aggregate is claimed; longer than a batch takes. So long it rests after a relay has
                died.

        Raises:
            InvalidInput: *batch* is not between 1 and 100.
            ConfigurationError: *publish* cannot be called, or *lease* is not above zero.
        """
        self._db = db
        self._publish = require_callback("publish", publish, "(event) -> None")
        self._batch = require_whole_number("batch", batch, least=1)
        if batch > BATCH_LIMIT:
            raise InvalidInput(f"batch must be at most {BATCH_LIMIT}.")
        self._lease = require_seconds("lease", lease)
        if self._lease <= 0:
            raise ConfigurationError("lease must be above zero seconds, longer than the publishing of a batch takes.")
        self._executor = db._executor
        self._telemetry = self._executor.telemetry
        self._table = db._own_table
        self._id = db.new_write_id()
        self._backoff = Backoff(
            random=self._executor.backoff.random, throttle_base=_FIRST_PAUSE, throttle_cap=_LONGEST_PAUSE
        )
        self._pauses: dict[str, tuple[int, Deadline]] = {}

    def __repr__(self) -> str:
        return f"<OutboxRelay {self._id} of {self._db!r}>"

    # Passes

    def run(self, stop: threading.Event, *, interval: float = 1.0) -> None:
        """Publish until *stop* is set: pass after pass while there is something, else one every *interval* seconds.

        Failures of the engine are logged and waited out, so only *stop* ends it; it is looked at between aggregates. A
        pass over an empty outbox costs 8 read units.

        Raises:
            ConfigurationError: *interval* is no number of seconds.
        """
        require_seconds("interval", interval)
        failures = 0
        while not stop.is_set():
            try:
                pause = 0.0 if self.run_once(stop=stop).published else interval
                failures = 0
            except DynamoError as error:
                failures += 1
                pause = interval + self._backoff.delay(Pace.THROTTLE, failures)
                _log.warning("The outbox could not be read: %s. Trying again in %.1f s.", error.code, pause)
            stop.wait(pause)

    def run_once(self, *, stop: threading.Event | None = None) -> RelayPass:
        """Publish one batch of every aggregate that waits and is not held; return what was done.

        Costs, while an aggregate's pending events stay within 1 KB: 8 read units for the pass, and 2 write units and 2
        round trips for each aggregate.

        Args:
            stop: Ends the pass early when it is set.

        Raises:
            Unavailable: The engine did not answer in time. What was published may come again.
            OutcomeUnknown: The same.
            RequestRefused: The engine refused, such as for lack of permission.
        """
        self._pauses = {name: pause for name, pause in self._pauses.items() if pause[1].remaining() > -_LONGEST_PAUSE}
        done = RelayPass()
        for shard in range(OUTBOX_SHARDS):
            for listed in self._waiting(shard):
                if stop is not None and stop.is_set():
                    return done
                done += self._serve(listed)
        return done

    def _waiting(self, shard: int) -> Iterator[Item]:
        """Yield the aggregates of *shard* with pending events: their keys and claims."""
        start: ItemKey | None = None
        key = KeyCondition(PARTITION, shard_key(shard))
        while True:
            request = Query(table=self._table, key=key, consistent=True, start=start, projection=_LISTED)
            body = self._executor.execute(request, _LIST).body
            yield from body.get("Items", ())
            start = body.get("LastEvaluatedKey")
            if start is None:
                return

    # One aggregate

    def _serve(self, listed: Item) -> RelayPass:
        aggregate: str = listed[SORT]["S"]
        if self._is_paused(aggregate) or self._is_claimed_by_another(listed):
            return RelayPass(held=1)
        lease = self._db.deadline(self._lease)
        item = self._claim({PARTITION: listed[PARTITION], SORT: listed[SORT]})
        if item is None:
            return RelayPass(held=1)
        try:
            events = pending_events(item)
        except InvalidItem as error:
            pause = self._pause(aggregate)
            _log.error("%s It holds up its aggregate; trying again in %.1f s.", error, pause)
            return RelayPass(failed=1)
        return self._publish_batch(item, events, lease)

    def _publish_batch(self, item: Item, events: Sequence[EmittedEvent], lease: Deadline) -> RelayPass:
        aggregate: str = item[SORT]["S"]
        published = failed = 0
        for event in events[: self._batch]:
            if lease.remaining() <= 0:
                break
            if not self._has_published(event):
                failed = 1
                break
            published += 1
        if published:
            self._acknowledge(item, events, published, release=not failed)
        if not failed:
            self._pauses.pop(aggregate, None)
        return RelayPass(published, failed)

    def _has_published(self, event: EmittedEvent) -> bool:
        try:
            with continued(event.trace):
                self._publish(event)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other aggregates go on
            self._telemetry.unpublished(event.type, error)
            pause = self._pause(event.aggregate)
            # The text of the exception may hold what the event holds.
            _log.warning(
                "Publishing event %s of type %s raised %s. It holds up its aggregate; trying again in %.1f s.",
                event.id,
                event.type,
                type(error).__qualname__,
                pause,
            )
            return False
        self._telemetry.published(event.type, self._db.clock() - event.occurred_at.timestamp())
        return True

    # Pauses and claims

    def _is_paused(self, aggregate: str) -> bool:
        paused = self._pauses.get(aggregate)
        return paused is not None and paused[1].remaining() > 0

    def _pause(self, aggregate: str) -> float:
        """Leave *aggregate* alone for a while, longer after each failure; return the seconds."""
        failures = self._pauses[aggregate][0] + 1 if aggregate in self._pauses else 1
        pause = self._backoff.delay(Pace.THROTTLE, failures)
        self._pauses[aggregate] = (failures, self._db.deadline(pause))
        return pause

    def _is_claimed_by_another(self, listed: Item) -> bool:
        owner, until = listed.get("_c"), listed.get("_u")
        return owner is not None and until is not None and owner["S"] != self._id and int(until["N"]) > self._db.clock()

    def _claim(self, key: ItemKey) -> Item | None:
        """Claim an aggregate; return its item as it is now, ``None`` where it is gone or another relay's."""
        now = self._db.clock()
        is_free = Or(
            (
                NotExists(_OWNER),
                Compare("=", _OWNER, Constant({"S": self._id})),
                Compare("<=", _UNTIL, Constant({"N": str(int(now))})),
            )
        )
        until = Constant({"N": str(math.ceil(now + self._lease))})
        request = UpdateItem(
            table=self._table,
            key=key,
            update=Update(set=((_OWNER, Constant({"S": self._id})), (_UNTIL, until))),
            condition=And((Exists(PARTITION_PATH), is_free)),
            returns="ALL_NEW",
        )
        try:
            item: Item = self._executor.execute(request, _CLAIM).body["Attributes"]
        except ConditionFailed:
            return None
        return item

    # Acknowledgement

    def _acknowledge(self, item: Item, events: Sequence[EmittedEvent], published: int, *, release: bool) -> None:
        """Take the first *published* events away; where others were faster, they are gone already."""
        key = {PARTITION: item[PARTITION], SORT: item[SORT]}
        are_first = _are_first(events[:published])
        if published == len(events):
            is_all = Compare("=", Size(EVENTS), Constant({"N": str(published)}))
            if self._is_done(DeleteItem(table=self._table, key=key, condition=And((are_first, is_all)))):
                return
        self._is_done(self._removal(key, item, published, are_first, release=release))

    def _removal(self, key: ItemKey, item: Item, published: int, are_first: Condition, *, release: bool) -> UpdateItem:
        size = sum(map(stored_size, item["_e"]["L"][:published]))
        # The highest first: some engines count anew after each removal.
        removed = tuple(Path(("_e", position)) for position in reversed(range(published)))
        update = Update(
            remove=(*removed, *((_OWNER, _UNTIL) if release else ())), add=((BYTES, Constant({"N": str(-size)})),)
        )
        return UpdateItem(table=self._table, key=key, update=update, condition=are_first)

    def _is_done(self, request: Request) -> bool:
        try:
            self._executor.execute(request, _ACKNOWLEDGE)
        except ConditionFailed:
            return False
        return True


def _are_first(events: Sequence[EmittedEvent]) -> Condition:
    """Return the condition that *events* are the first ones that wait. Each is asked for: a list that was emptied and
    filled again may begin alike, where a commit was repeated by a late copy.
    """
    ids = (Compare("=", Path(("_e", place, "i")), Constant({"S": event.id})) for place, event in enumerate(events))
    return And(tuple(ids))
