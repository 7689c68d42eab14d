"""Item collections (D31): one query, typed buckets, one cursor, in the order of keys and complete across pages."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from common.dynamo import Collection, CollectionQuery, Database, EntityType, Index, Key, Pattern, Unique
from common.dynamo.access import AccessPattern, collection
from common.dynamo.exceptions import InvalidCursor, InvalidItem
from common.dynamo.iam import Arns, iam_policy
from common.dynamo.requests import PutItem
from common.dynamo.testing import spend
from common.dynamo.testing.engines import Engine
from common.dynamo.testing.policy import PolicyGuard
from common.exceptions import ConfigurationError, InvalidInput


class Order(BaseModel):
    customer: str
    order: str
    email: str = ""
    total: Decimal = Decimal(0)
    expires: int | None = None


class Line(BaseModel):
    customer: str
    order: str
    number: int
    day: str | None = None


class Note(BaseModel):
    customer: str
    order: str
    text: str


BY_DAY = Index("GSI1", Key("DAY#{day}", "{order}#L#{number:4}"))
ORDER = EntityType(
    Order,
    "order",
    key=Key("C#{customer}", "O#{order}"),
    unique=[Unique("email", key=Key("C#{customer}", "LOCK#{email}"), scope="customer")],
    scales={"total": 2},
    ttl="expires",
)
LINE = EntityType(Line, "line", key=Key("C#{customer}", "O#{order}#L#{number:4}"), indexes=[BY_DAY])
NOTE = EntityType(
    Note,
    "note",
    key=Key("C#{customer}", "O#{order}#N"),
    indexes=[Index("GSI1", Key("DAY#{text}", "{order}#N"))],
)
PROFILE = EntityType(Note, "profile", key=Key("C#{customer}", "A#PROFILE"))
STRANGER = EntityType(Note, "stranger", key=Key("C#{customer}", "O#{order}#LX"))
VISIT = EntityType(Line, "visit", key=Key("C#{customer}", "V#{order}#{number:4}"))
ELSEWHERE = EntityType(Note, "elsewhere", key=Key("K#{customer}", "E#{order}"))
OTHER_GROUP = EntityType(Note, "other group", key=Key("Z#{customer}", "Z#{order}"), group="apart")
SPREAD_ORDER = EntityType(Order, "spread order", key=Key("SC#{customer}", "O#{order}", shards=4), scales={"total": 2})
SPREAD_LINE = EntityType(Line, "spread line", key=Key("SC#{customer}", "O#{order}#L#{number:4}", shards=4))

ALL = (ORDER, LINE, NOTE, PROFILE, STRANGER)
MINE = [ORDER, LINE, NOTE]
ORDERS = ("1", "10", "2", "a#b")


@pytest.fixture
def db(engine: Engine, table_name: str) -> Iterator[Database]:
    """A database with types that share a partition, and some that do not."""
    types = (*ALL, VISIT, ELSEWHERE, OTHER_GROUP, SPREAD_ORDER, SPREAD_LINE)
    other = f"{table_name}-apart"
    options: dict[str, Any] = {"entity_types": types, "tables": {"apart": other}, "cursor_keys": ["k" * 32]}
    with engine.open(table=table_name, **options) as db:
        yield db


@pytest.fixture
def filled(db: Database) -> Database:
    """Five types in one partition, with locks, an expired order, and a neighbour with the same order ids."""
    past = int((datetime.now(UTC) - timedelta(days=1)).timestamp())
    for customer in ("c1", "c11"):
        for order in ORDERS:
            db.dao(ORDER).create(Order(customer=customer, order=order, email=f"{order}@x", total=Decimal("1.50")))
            for number in range(5):
                db.dao(LINE).create(Line(customer=customer, order=order, number=number, day="monday"))
            db.dao(NOTE).create(Note(customer=customer, order=order, text="monday"))
            db.dao(STRANGER).create(Note(customer=customer, order=order, text="x"))
        db.dao(PROFILE).create(Note(customer=customer, order="", text="x"))
    db.dao(ORDER).create(Order(customer="c1", order="3", email="3@x", expires=past))
    return db


def told(item: BaseModel) -> str:
    """Return which item it is, in a word."""
    kind = {Order: "O", Line: "L", Note: "N"}[type(item)]
    return f"{getattr(item, 'order', '')}{kind}{getattr(item, 'number', '')}"


EXPECTED = [f"{order}{each}" for order in ORDERS for each in ("O", "L0", "L1", "L2", "L3", "L4", "N")]
"""In the order of keys: an order, its lines, its note; "a#b" is one value, and "10" lies behind all of "1"."""


def walk(query: CollectionQuery, size: int) -> list[Collection]:
    pages = [query.page(size)]
    while pages[-1].next is not None:
        pages.append(query.page(size, after=pages[-1].next))
    return pages


# Order and completeness


@pytest.mark.parametrize("size", [1, 4, 7, 100])
def test_pages_are_exact_in_key_order_and_complete(filled: Database, size: int) -> None:
    """Five types are in the partition, with locks and expired items: three are given, each item once."""
    pages = walk(filled.collection({"customer": "c1"}, MINE), size)

    assert EXPECTED == [told(item) for page in pages for item in page.items]
    assert all(size == len(page) for page in pages[:-2])


def test_all_five_types_of_a_partition(filled: Database) -> None:
    """Each in its bucket, in the order of keys; the locks among them are never given."""
    found = filled.collection({"customer": "c1"}, ALL).all()

    assert [1, 4, 20, 4, 4] == [len(found.of(entity)) for entity in (PROFILE, ORDER, LINE, NOTE, STRANGER)]
    assert list(ORDERS) == [order.order for order in found.of(ORDER)]
    assert Decimal("1.50") == found.of(ORDER)[0].total
    assert [(order, number) for order in ORDERS for number in range(5)] == [
        (line.order, line.number) for line in found.of(LINE)
    ]
    assert sum(len(found.of(entity)) for entity in ALL) == len(found) == len(found.items)


def test_newest_first_and_back(filled: Database) -> None:
    """Both directions, by one cursor for all types."""
    query = filled.collection({"customer": "c1"}, MINE).newest_first()
    pages = [page for page in walk(query, 6) if page.items]
    back = [pages[-1]]
    while back[-1].previous is not None:
        back.append(query.page(6, after=back[-1].previous))

    assert EXPECTED[::-1] == [told(item) for page in pages for item in page.items]
    assert [page.items for page in pages] == [page.items for page in reversed(back) if page.items]


def test_iteration_and_a_limit(filled: Database) -> None:
    """As with a query of one type."""
    query = filled.collection({"customer": "c1"}, MINE)

    assert EXPECTED == [told(item) for item in query]
    assert EXPECTED[:9] == [told(item) for item in query.all(limit=9).items]
    assert query.all().next is None


def test_expired_items_are_given_where_asked_for(filled: Database) -> None:
    """By the rule of each type."""
    query = filled.collection({"customer": "c1"}, [ORDER, LINE])

    assert "3" not in [order.order for order in query.all().of(ORDER)]
    assert "3" in [order.order for order in query.include_expired().all().of(ORDER)]


# Narrowing


def test_leading_fields_of_the_sort_key_narrow_all_types(filled: Database) -> None:
    """Where the types share them: one order with its lines and note, and neither order 10 nor a stranger is examined
    beyond what lies between."""
    found = filled.collection({"customer": "c1", "order": "1"}, MINE).all()

    assert ["1O", "1L0", "1L1", "1L2", "1L3", "1L4", "1N"] == [told(item) for item in found.items]
    assert 8 == found.scanned


def test_narrowing_holds_where_the_types_lie_apart(filled: Database) -> None:
    """Between the lines of order 2 and its visits lie other lines and visits: they are examined and left out."""
    for order in ORDERS:
        filled.dao(VISIT).create(Line(customer="c1", order=order, number=7))
    found = filled.collection({"customer": "c1", "order": "2"}, [VISIT, LINE]).all()

    assert [("2", number) for number in (0, 1, 2, 3, 4, 7)] == [(each.order, each.number) for each in found.items]  # type: ignore[attr-defined]
    assert found.scanned > 6


def test_only_the_part_of_the_partition_where_the_types_are_is_examined(filled: Database) -> None:
    """Without a common beginning of sort keys too: from the least to the greatest that any of them makes."""
    found = filled.collection({"customer": "c1"}, [ORDER, PROFILE]).all()
    alone = filled.collection({"customer": "c1"}, [PROFILE]).all()

    assert 5 == len(found)
    assert (1, 1) == (len(alone), alone.scanned)


def test_one_query_costs_what_its_items_do(filled: Database) -> None:
    """One trip, and half a unit for each 4 KB, whatever types they are of."""
    with spend(rcu=0.5, trips=1) as meter:
        found = filled.collection({"customer": "c1", "order": "2"}, MINE).all()
    with spend(rcu=1.0, trips=1):
        filled.collection({"customer": "c1", "order": "2"}, MINE, consistent=True).page(20)

    assert meter.cost == found.cost
    assert 7 == len(found)


# Indexes and shards


def test_an_index_is_read_as_the_table_is(filled: Database) -> None:
    """By its own templates."""
    found = filled.collection({"day": "monday"}, [LINE], index=BY_DAY).all()
    with pytest.raises(ConfigurationError, match="cannot be read consistently"):
        filled.collection({"day": "monday"}, [LINE], index="GSI1", consistent=True)

    assert 40 == len(found.of(LINE))
    assert found.cost.indexes


def test_types_that_share_an_index_partition_are_read_together(engine: Engine, table_name: str) -> None:
    """The attributes are of the same names and the template is the same."""
    line = EntityType(Line, "l", key=Key("L#{order}", "{number:4}"), indexes=[BY_DAY])
    visit = EntityType(
        Line, "v", key=Key("V#{order}", "{number:4}"), indexes=[Index("GSI1", Key("DAY#{day}", "{order}#V#{number:4}"))]
    )
    with engine.open(table=table_name, entity_types=[line, visit], cursor_keys=["k" * 32]) as db:
        for order in ("1", "2"):
            for number in range(3):
                for entity in (line, visit):
                    db.dao(entity).create(Line(customer="c", order=order, number=number, day="monday"))
        pages = walk(db.collection({"day": "monday"}, [visit, line], index="GSI1"), 5)
        met = [(each.name, model.order) for page in pages for each, model in page.page.items]  # type: ignore[attr-defined]

    assert [("l", "1")] * 3 + [("v", "1")] * 3 + [("l", "2")] * 3 + [("v", "2")] * 3 == met


def test_sharded_types_are_merged(db: Database) -> None:
    """In the order of keys, though an order and its lines are in different shards."""
    for order in ("1", "2", "3"):
        db.dao(SPREAD_ORDER).create(Order(customer="c", order=order))
        for number in range(4):
            db.dao(SPREAD_LINE).create(Line(customer="c", order=order, number=number))
    expected = [f"{order}{each}" for order in ("1", "2", "3") for each in ("O", "L0", "L1", "L2", "L3")]
    query = db.collection({"customer": "c"}, [SPREAD_ORDER, SPREAD_LINE])

    assert expected == [told(item) for page in walk(query, 4) for item in page.items]
    one = db.collection({"customer": "c", "order": "2"}, [SPREAD_ORDER, SPREAD_LINE]).all()
    assert ["2O", "2L0", "2L1", "2L2", "2L3"] == [told(item) for item in one.items]


# What is refused


@pytest.mark.parametrize(
    ("fields", "entities", "message"),
    [
        ({"customer": "c"}, [ORDER, ELSEWHERE], r"do not share a partition of the table: 'C#\{customer\}' is not 'K#"),
        ({"customer": "c"}, [ORDER, OTHER_GROUP], "are in different tables"),
        ({"customer": "c", "order": "1"}, [ORDER, PROFILE], "A query of profile on the table takes customer"),
        ({"order": "1"}, [ORDER, LINE], "takes customer"),
        ({"customer": "c"}, [], "at least one EntityType"),
        ({"customer": "c"}, [ORDER, ORDER], "names each entity type once"),
        ({"customer": "c"}, [Order], "belongs to an EntityType"),
        ({"customer": "c"}, ORDER, "a list of EntityType objects"),
        ("c", [ORDER], "fields"),
        ({1: "c"}, [ORDER], "named by texts"),
        ({"customer": "c"}, [SPREAD_ORDER, ORDER], "do not share a partition"),
    ],
)
def test_types_that_are_in_no_common_partition_are_refused_when_it_is_built(
    db: Database, fields: Any, entities: Any, message: str
) -> None:
    """Before anything is sent, with what differs."""
    with spend(trips=0), pytest.raises(ConfigurationError, match=message):
        db.collection(fields, entities)


def test_fields_of_other_types_make_other_partitions(db: Database) -> None:
    """One template text over an int and a text would build different keys of equal values."""
    numbered = EntityType(Line, "numbered", key=Key("X#{number:4}", "A#{order}"))
    wider = EntityType(Line, "wider", key=Key("X#{number:5}", "B#{order}"))
    with pytest.raises(ConfigurationError, match="do not share a partition"):
        db.collection({"number": 7}, [numbered, wider])
    with pytest.raises(InvalidInput):
        db.collection({"customer": 7}, [ORDER, LINE])


def test_a_bucket_that_was_not_asked_for_is_an_error(filled: Database) -> None:
    """An empty list would look like "there are none"."""
    found = filled.collection({"customer": "c1"}, [ORDER, LINE]).page(3)
    with pytest.raises(ConfigurationError, match="was read for order, line, and not for note"):
        found.of(NOTE)


def test_a_cursor_belongs_to_its_collection(filled: Database) -> None:
    """Of the same types, partition, direction and tenant."""
    query = filled.collection({"customer": "c1"}, MINE)
    cursor = query.page(3, tenant="t").next

    assert EXPECTED[3:6] == [told(item) for item in query.page(3, after=cursor, tenant="t").items]
    for other in (
        filled.collection({"customer": "c11"}, MINE),
        filled.collection({"customer": "c1"}, [ORDER, LINE]),
        query.newest_first(),
        query.include_expired(),
    ):
        with pytest.raises(InvalidCursor):
            other.page(3, after=cursor, tenant="t")
    with pytest.raises(InvalidCursor):
        query.page(3, after=cursor)
    with pytest.raises(InvalidCursor):
        filled.dao(ORDER).query(customer="c1").page(3, after=cursor, tenant="t")


def test_stored_data_that_does_not_fit_its_model_raises(filled: Database) -> None:
    """It is not left out of its bucket."""
    broken = EntityType(Note, "line", key=Key("C#{customer}", "O#{order}#L#{text}"))
    write = filled.dao(LINE).plan.table, broken.encode(Note(customer="c1", order="1", text="bad"))
    with filled.transaction() as tx:
        tx.part(PutItem(table=write[0], item=write[1]))

    with pytest.raises(InvalidItem, match="A stored line"):
        filled.collection({"customer": "c1"}, MINE).all()


# Names and permissions


def test_the_access_pattern_has_a_name_and_a_policy(engine: Engine, table_name: str) -> None:
    """The models' names, or one of your own; one Query of both types in a policy and in `explain`."""
    arns = Arns(region="eu-central-1", account="123456789012")
    pattern = AccessPattern.of("Shop.order", collection(ORDER, LINE), rcu=0.5)
    guard = PolicyGuard(iam_policy([pattern], arns, table_of=lambda entity: table_name), arns)
    with engine.open(table=table_name, entity_types=ALL, interceptors=[guard]) as db:
        db.collection({"customer": "c1"}, [ORDER, LINE], pattern=pattern.pattern).all()
        unnamed = db.collection({"customer": "c1"}, [ORDER, LINE])

    assert [] == [each for each in guard.denied if each.startswith("Shop.order")]
    assert "Query (order, line)" == pattern.sends
    assert Pattern("Order+Line.collection", "Query") == unnamed.pattern
