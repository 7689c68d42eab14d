"""Queries and pages (D30, D32-D35): no foreign item, exactly n items or the end, cursors for one query alone."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from common.dynamo import DAO, Database, EntityQuery, EntityType, Index, Key, Page
from common.dynamo.exceptions import InvalidCursor, InvalidItem
from common.dynamo.paging import Cursors, Position
from common.dynamo.testing import spend
from common.dynamo.testing.engines import Engine
from common.dynamo.testing.examples import BY_STATE, INVOICE, Invoice, State, make_invoice
from common.exceptions import ConfigurationError, InvalidInput


class Event(BaseModel):
    room: str
    at: int
    kind: str = "plain"
    topic: str | None = None
    expires: int | None = None


BY_TOPIC = Index("GSI1", Key("TOPIC#{topic}", "T"))
EVENT = EntityType(Event, "event", key=Key("ROOM#{room}", "E#{at:6}"), indexes=[BY_TOPIC], ttl="expires")


class Guest(BaseModel):
    room: str
    name: str


GUEST = EntityType(Guest, "guest", key=Key("ROOM#{room}", "G#{name}"))
GUESTBOOK = EntityType(Guest, "guestbook", key=Key("ROOM#{room}", "G#{name}#BOOK"))
EARLY = EntityType(Guest, "early", key=Key("ROOM#{room}", "D#{name}"))
CLOSED = EntityType(Guest, "closed", key=Key("ROOM#{room}", "E#{name}#CLOSED"))


@pytest.fixture
def entity_types() -> tuple[EntityType[Any], ...]:
    return (EVENT, GUEST, GUESTBOOK, EARLY, CLOSED, INVOICE)


@pytest.fixture
def db(engine: Engine, table_name: str, entity_types: tuple[EntityType[Any], ...]) -> Any:
    """A database with a cursor key; on the embedded engine one would be made up."""
    with engine.open(table=table_name, entity_types=entity_types, cursor_keys=["k" * 32]) as db:
        yield db


@pytest.fixture
def events(db: Database) -> DAO[Event]:
    return db.dao(EVENT)


def fill(events: DAO[Event], count: int, make: Callable[[int], Event] | None = None) -> None:
    make = make or (lambda number: Event(room="r", at=number))
    events.batch_write([events.plan.put(make(number), replace=True) for number in range(count)], deadline=30)


def times(found: Any) -> list[int]:
    return [event.at for event in found]


def walk(query: EntityQuery[Event], size: int) -> list[Page[Event]]:
    """Read page after page to the end."""
    pages = [query.page(size)]
    while pages[-1].next is not None:
        pages.append(query.page(size, after=pages[-1].next))
    return pages


# Foreign items (D30)


def test_five_types_in_one_partition_never_meet(db: Database, events: DAO[Event]) -> None:
    """Neither by prefix (G# begins G#...#BOOK) nor by neighbourhood is a foreign item returned or decoded."""
    fill(events, 5)
    for entity in (GUEST, GUESTBOOK, EARLY, CLOSED):
        db.dao(entity).create(Guest(room="r", name="ada"))

    assert list(range(5)) == times(events.query(room="r").all())
    assert list(range(5)) == times(events.query(room="r"))
    for entity in (GUEST, GUESTBOOK, EARLY, CLOSED):
        assert [Guest(room="r", name="ada")] == db.dao(entity).query(room="r").all()
        assert [Guest(room="r", name="ada")] == list(db.dao(entity).query(room="r").page(9).items)


def test_locks_are_never_returned(db: Database) -> None:
    """They are items of the layer's own type."""
    invoices = db.dao(INVOICE)
    invoices.create(make_invoice())

    assert [make_invoice().number] == [one.number for one in invoices.query(tenant="t1").all()]


def test_a_foreign_item_at_an_entitys_own_key_is_an_error(db: Database) -> None:
    """It is not hidden: something else writes there."""
    other = EntityType(Guest, "intruder", key=Key("ROOM#{room}", "X#{name}"))
    intruder = db.dao(other).plan.create(Guest(room="r", name="x"))
    item = {**intruder.main.item, **EVENT.item_key("r", 7)}  # type: ignore[union-attr]
    raw = db.transaction()
    with raw as tx:
        tx.part(type(intruder.main)(table=intruder.main.table, item=item))  # type: ignore[call-arg]

    with pytest.raises(InvalidItem, match="stands an item of type 'intruder'"):
        db.dao(EVENT).get(("r", 7))


# Exactly n (D32)


def test_a_page_has_exactly_n_items_or_is_the_last(events: DAO[Event]) -> None:
    """10 items in pages of 4 are 4, 4, 2."""
    fill(events, 10)
    pages = walk(events.query(room="r"), 4)

    assert [4, 4, 2] == [len(page.items) for page in pages]
    assert list(range(10)) == [at for page in pages for at in times(page.items)]
    assert pages[-1].next is None


def test_a_filter_of_one_in_fifty_still_fills_the_page(events: DAO[Event]) -> None:
    """However many calls that takes; scanned and cost are sums over all of them, each item comes once."""
    fill(events, 300, lambda number: Event(room="r", at=number, kind="rare" if number % 50 == 7 else "plain"))
    query = events.query(room="r").where(lambda it: it.kind == "rare")
    with spend() as meter:
        page = query.page(3)

    assert [7, 57, 107] == times(page.items)
    assert page.cost == meter.cost
    assert page.cost.trips > 1
    assert page.scanned >= 108
    assert [157, 207, 257] == times(query.page(3, after=page.next).items)


def test_expired_and_foreign_items_do_not_shorten_a_page(db: Database, events: DAO[Event]) -> None:
    """They are examined and do not count."""
    past = int((datetime.now(UTC) - timedelta(days=1)).timestamp())
    fill(events, 20, lambda number: Event(room="r", at=number, expires=past if number % 2 else None))
    pages = walk(events.query(room="r"), 3)

    assert [3, 3, 3, 1] == [len(page.items) for page in pages if page.items]
    assert list(range(0, 20, 2)) == [at for page in pages for at in times(page.items)]


def test_equal_index_sort_keys_do_not_lose_or_repeat_items(events: DAO[Event]) -> None:
    """The cursor names the item, not only its index key."""
    fill(events, 25, lambda number: Event(room="r", at=number, topic="t"))
    pages = walk(events.query(BY_TOPIC, topic="t"), 4)

    assert list(range(25)) == sorted(at for page in pages for at in times(page.items))


def test_inserts_between_pages_neither_lose_nor_repeat_items(events: DAO[Event]) -> None:
    """Newest first, while newer ones arrive."""
    fill(events, 10)
    query = events.query(room="r").newest_first()
    first = query.page(4)
    events.create(Event(room="r", at=99))
    second = query.page(4, after=first.next)
    third = query.page(4, after=second.next)

    assert [9, 8, 7, 6, 5, 4, 3, 2, 1, 0] == times([*first.items, *second.items, *third.items])


def test_a_page_may_end_with_a_cursor_to_nothing(events: DAO[Event]) -> None:
    """DynamoDB does not tell whether anything follows; the empty page is the end."""
    fill(events, 4)
    pages = walk(events.query(room="r"), 4)

    assert [4, 0] == [len(page.items) for page in pages]


def test_a_page_of_nothing_is_refused(events: DAO[Event]) -> None:
    """At least one item."""
    with pytest.raises(InvalidInput, match="at least 1"):
        events.query(room="r").page(0)


def test_walking_back_gives_exactly_the_earlier_pages(events: DAO[Event]) -> None:
    """Five pages forward, five back: equal; before the first there is nothing."""
    fill(events, 23)
    for query in (events.query(room="r"), events.query(room="r").newest_first()):
        forward = walk(query, 5)
        back = [forward[-1]]
        while back[-1].previous is not None:
            back.append(query.page(5, after=back[-1].previous))

        assert [list(page.items) for page in forward] == [list(page.items) for page in reversed(back) if page.items]


def test_a_page_can_be_mapped(events: DAO[Event]) -> None:
    """Cursors and cost stay."""
    fill(events, 3)
    page = events.query(room="r").page(2)
    mapped = page.map(lambda event: event.at)

    assert [0, 1] == list(mapped.items)
    assert (page.next, page.cost, page.scanned) == (mapped.next, mapped.cost, mapped.scanned)


def test_all_and_limit(events: DAO[Event]) -> None:
    """Eager reads go through every page, or stop after limit items."""
    fill(events, 12)

    assert list(range(12)) == times(events.query(room="r").all())
    assert [11, 10, 9] == times(events.query(room="r").newest_first().all(limit=3))


# Ranges


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [(3, 5, [3, 4, 5]), (None, 2, [0, 1, 2]), (7, None, [7, 8, 9]), (5, 5, [5])],
)
def test_a_range_of_the_sort_key_has_both_ends(
    db: Database, events: DAO[Event], low: int | None, high: int | None, found: list[int]
) -> None:
    """An open end stays within the type's own prefix; what lies outside is not even examined."""
    fill(events, 10)
    db.dao(GUEST).create(Guest(room="r", name="after"))
    db.dao(EARLY).create(Guest(room="r", name="before"))
    page = events.query(room="r").between(low, high).page(20)

    assert found == times(page.items)
    assert len(found) == page.scanned


def test_a_range_works_where_the_sort_key_has_no_literal(db: Database) -> None:
    """Then an open end has no bound at all."""
    plain = EntityType(Event, "plain", key=Key("PLAIN#{room}", "{at:4}"))
    events = db.dao(plain)
    for number in range(5):
        events.create(Event(room="r", at=number))
    query = events.query(room="r")

    assert [0, 1, 2] == times(query.between(None, 2).all())
    assert [3, 4] == times(query.between(3, None).all())
    assert [2] == times(events.query(room="r", at=2).all())
    assert list(range(5)) == times(query.all())


def test_fields_of_a_query_are_the_beginning_of_the_key(events: DAO[Event]) -> None:
    """Anything else would be a scan or another query than it seems."""
    for fields in ({}, {"at": 1}, {"room": "r", "kind": "x"}):
        with pytest.raises(ConfigurationError, match="takes room, then optionally at"):
            events.query(**fields)
    with pytest.raises(ConfigurationError, match="not in the index that index= names; it is in: GSI1"):
        events.query("GSI7", topic="t")
    with pytest.raises(InvalidInput, match="lower end lies above"):
        events.query(room="r").between(8, 3)
    with pytest.raises(InvalidInput, match="no component left"):
        events.query(room="r", at=1).between(1, 2)


def test_an_index_of_keys_alone_cannot_be_read_as_models(db: Database) -> None:
    """Half a model would be no model."""
    keys = EntityType(
        Guest, "keys", key=Key("KEYS#{room}", "K#{name}"), indexes=[Index("GSI2", Key("K#{name}", "K"), "KEYS_ONLY")]
    )
    with Database.embedded(entity_types=[keys]) as other, pytest.raises(ConfigurationError, match="holds keys alone"):
        other.dao(keys).query("GSI2", name="x")


def test_a_consistent_read_of_an_index_is_refused(events: DAO[Event]) -> None:
    """DynamoDB has none; on the table it is in the request."""
    with pytest.raises(ConfigurationError, match="cannot be read consistently"):
        events.query(BY_TOPIC, consistent=True, topic="t")

    assert events.query(room="r", consistent=True).request().consistent
    assert not events.query(room="r").request().consistent
    assert events.plan.get(("r", 1)).consistent
    assert not events.plan.get(("r", 1), consistent=False).consistent


# Cursors (D33)


def other_queries(db: Database) -> list[Callable[[str], Any]]:
    events, invoices = db.dao(EVENT), db.dao(INVOICE)
    here = events.query(room="r")
    return [
        lambda cursor: events.query(room="other").page(2, after=cursor),
        lambda cursor: here.newest_first().page(2, after=cursor),
        lambda cursor: here.where(lambda it: it.kind == "plain").page(2, after=cursor),
        lambda cursor: here.between(1, None).page(2, after=cursor),
        lambda cursor: here.include_expired().page(2, after=cursor),
        lambda cursor: here.page(2, after=cursor, tenant="t2"),
        lambda cursor: events.query(BY_TOPIC, topic="t").page(2, after=cursor),
        lambda cursor: invoices.query(tenant="r").page(2, after=cursor),
    ]


@pytest.mark.parametrize("number", range(8))
def test_a_cursor_is_valid_for_its_own_query_alone(db: Database, events: DAO[Event], number: int) -> None:
    """Another partition, direction, filter, range, tenant, index or entity type is refused."""
    fill(events, 5)
    page = events.query(room="r").page(2, tenant="t1")

    assert [2, 3] == times(events.query(room="r").page(2, after=page.next, tenant="t1").items)
    with pytest.raises(InvalidCursor):
        other_queries(db)[number](page.next or "")


def test_every_flipped_bit_of_a_cursor_is_noticed() -> None:
    """So is another version, a cut, an extension, another alphabet and another key."""
    cursors = Cursors(["a" * 16])
    cursor = cursors.sign(Position(True, ("E#1000001",)), b"scope")
    raw = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    assert Position(True, ("E#1000001",)) == cursors.verify(cursor, b"scope")
    damaged = []
    for bit in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        damaged.append(base64.urlsafe_b64encode(flipped).rstrip(b"=").decode())
    damaged += ["", "x", cursor[:-2], cursor + "AA", cursor + "=", "\u00fc", cursor.swapcase(), json.dumps(["x"])]

    for each in damaged:
        with pytest.raises(InvalidCursor):
            cursors.verify(each, b"scope")
    with pytest.raises(InvalidCursor):
        cursors.verify(cursor, b"another scope")
    with pytest.raises(InvalidCursor):
        Cursors(["b" * 16]).verify(cursor, b"scope")


def test_keys_can_be_rotated() -> None:
    """The first key signs, all verify."""
    old, new = "o" * 16, b"n" * 16
    position = Position(False, ("x",))
    before = Cursors([old]).sign(position, b"s")
    rotated = Cursors([new, old])

    assert position == rotated.verify(before, b"s")
    assert position == Cursors([new]).verify(rotated.sign(position, b"s"), b"s")
    with pytest.raises(ConfigurationError, match="shorter than 16 bytes"):
        Cursors(["short"])
    assert "oooo" not in repr(rotated)


def test_without_a_key_asking_for_the_next_page_names_the_setting(engine: Engine, table_name: str) -> None:
    """The page itself is there; the embedded engine makes a key up."""
    with Database.connect(table=table_name, wire=engine.wire(), entity_types=[EVENT]) as db:
        db.create_tables()
        events = db.dao(EVENT)
        fill(events, 3)
        page = events.query(room="r").page(2)

        assert [0, 1] == times(page.items)
        with pytest.raises(ConfigurationError, match="cursor_keys="):
            _ = page.next
    with Database.embedded(entity_types=[EVENT]) as embedded:
        fill(embedded.dao(EVENT), 3)
        assert embedded.dao(EVENT).query(room="r").page(2).next


def test_index_queries_follow_state(db: Database) -> None:
    """An index lists what the base items say."""
    invoices: DAO[Invoice] = db.dao(INVOICE)
    for number in range(3):
        invoices.create(make_invoice(number))
    invoices.update(("t1", 1), lambda change, it: change.set(it.state, State.PAID), unlocked=True)

    assert [0, 2] == [one.number for one in invoices.query(BY_STATE, tenant="t1", state=State.OPEN).all()]
