"""Sharded keys (D12): writes spread evenly, reads merged into one order, behind one cursor, each item once."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from common.dynamo import DAO, Database, EntityQuery, EntityType, Index, Key, Page, Unique
from common.dynamo import requests as rq
from common.dynamo.access import select
from common.dynamo.entity_access import patterns_of, uses
from common.dynamo.exceptions import InvalidCursor
from common.dynamo.iam import Arns, iam_policy
from common.dynamo.key_order import just_above, just_below, narrowed
from common.dynamo.keys import Template, templates_overlap
from common.dynamo.registry import Registered, check_entity_types
from common.dynamo.shards import shard_of
from common.dynamo.testing import check_entity_type, spend
from common.dynamo.testing.engines import Engine
from common.dynamo.testing.policy import PolicyGuard
from common.exceptions import ConfigurationError, InvalidInput

SHARDS = 8


class Offer(BaseModel):
    """An open order of a market; index keys may be equal, in one shard and in several."""

    id: str
    asset: str | None = "BTC"
    price: int = 0
    kind: str = "plain"
    expires: int | None = None


BOOK = Index("GSI1", Key("LO#{asset}", "P#{price:6}#{id}", shards=SHARDS))
BY_PRICE = Index("GSI2", Key("PRICE#{asset}", "{price:6}", shards=SHARDS))
OFFER = EntityType(Offer, "offer", key=Key("OFFER#{id}", "OFFER"), indexes=[BOOK, BY_PRICE], ttl="expires")


class Line(BaseModel):
    """An entry of a busy journal, whose table key is spread."""

    book: str
    at: int
    text: str = ""


LINE = EntityType(Line, "line", key=Key("JOURNAL#{book}", "L#{at:6}", shards=SHARDS))
NEIGHBOUR = EntityType(
    Line, "neighbour", key=Key("N#{book}", "{at:6}"), indexes=[Index("GSI1", Key("LO#{book}", "P#{at:6}#", shards=8))]
)

FLAT = EntityType(Offer, "flat", key=Key("F#{id}", "F"), indexes=[Index("GSI1", Key("FLAT", "T", shards=4))])


@pytest.fixture
def db(engine: Engine, table_name: str) -> Iterator[Database]:
    """A database with sharded types."""
    types = (OFFER, LINE, NEIGHBOUR, FLAT)
    with engine.open(table=table_name, entity_types=types, cursor_keys=["k" * 32], deadline=10.0) as db:
        yield db


@pytest.fixture
def offers(db: Database) -> DAO[Offer]:
    return db.dao(OFFER)


def fill(offers: DAO[Offer], count: int, make: Callable[[int], Offer] | None = None) -> list[str]:
    """Store *count* offers and return their ids in order of price and id."""
    make = make or (lambda number: Offer(id=f"o{number * 7919 % 1000:03}", price=number * 31 % 50))
    made = [make(number) for number in range(count)]
    offers.batch_write([offers.plan.put(offer, replace=True) for offer in made], deadline=30)
    return [offer.id for offer in sorted(made, key=lambda offer: (offer.price, offer.id))]


def ids(found: Any) -> list[str]:
    return [offer.id for offer in found]


def walk(query: EntityQuery[Any], size: int) -> list[Page[Any]]:
    pages = [query.page(size)]
    while pages[-1].next is not None:
        pages.append(query.page(size, after=pages[-1].next))
    return pages


# Where items go


def test_the_shard_is_a_component_of_its_own_and_follows_from_the_primary_key() -> None:
    """The same text in every version of everything: these are written down, not computed."""
    keys = OFFER.index_keys(Offer(id="o1", price=5))

    assert {"S": "LO#BTC#05"} == keys["g1pk"]
    assert {"S": "PRICE#BTC#05"} == keys["g2pk"]
    assert {"S": "JOURNAL#b#01"} == LINE.item_key("b", 1)["pk"]
    assert LINE.item_key(book="b", at=1) == LINE.item_key("b", 1)


def test_every_process_finds_the_same_shard() -> None:
    """Unlike hash(), which differs from process to process."""
    code = "from common.dynamo.shards import shard_of; print([shard_of(f'P#{n}', 'S', 97) for n in range(20)])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert [shard_of(f"P#{number}", "S", 97) for number in range(20)] == json.loads(told)


@pytest.mark.parametrize("shards", [2, 8, 16])
def test_writes_spread_evenly(shards: int) -> None:
    """Each shard gets its share within 25 percent, for ids that differ in a single character."""
    spread = EntityType(
        Offer, "spread", key=Key("O#{id}", "O"), indexes=[Index("GSI1", Key("X", "{id}", shards=shards))]
    )
    used = Counter(spread.index_keys(Offer(id=f"order-{number}"))["g1pk"]["S"] for number in range(4000))
    share = 4000 / shards

    assert shards == len(used)
    assert all(0.75 * share <= count <= 1.25 * share for count in used.values())


@given(st.tuples(st.text(min_size=1), st.text(min_size=1)), st.tuples(st.text(min_size=1), st.text(min_size=1)))
def test_sharded_keys_are_injective(one: tuple[str, str], other: tuple[str, str]) -> None:
    """No two tuples of values share a key, not even by values that look like a shard."""
    spread = EntityType(Line, "x", key=Key("J#{book}", "{text}", shards=SHARDS))
    made = [spread.item_key(book, text) for book, text in (one, other)]

    assert (one == other) == (made[0] == made[1])


def test_an_update_keeps_the_shard_and_moves_within_it(db: Database, offers: DAO[Offer]) -> None:
    """The number follows from the primary key; a change of an index field recomputes the rest, by key or by model."""
    offers.create(Offer(id="o1", price=5))
    offers.update("o1", lambda change, it: change.set(it.price, 9), known={"asset": "BTC"})
    moved = offers.update(offers.require("o1"), lambda change, it: change.set(it.asset, "ETH"))

    assert [] == offers.query(BOOK, asset="BTC").all()
    assert [moved] == offers.query(BOOK, asset="ETH").all()
    assert {"S": "LO#ETH#05"} == OFFER.index_keys(moved)["g1pk"]
    offers.update(moved, lambda change, it: change.set(it.asset, None))
    assert [] == offers.query(BOOK, asset="ETH").all()


def test_items_of_a_sharded_table_key_are_written_read_and_deleted_as_any_other(db: Database) -> None:
    """On every route; and a query that names the whole key asks the one shard that can have it."""
    lines = db.dao(LINE)
    for at in range(5):
        lines.create(Line(book="b", at=at, text="new"))
    lines.update(("b", 2), lambda change, it: change.set(it.text, "changed"))
    lines.delete(("b", 4))

    assert [None, "changed"] == [line and line.text for line in lines.batch_get([("b", 4), ("b", 2)])]
    assert [0, 1, 2, 3] == [line.at for line in lines.query(book="b").all()]
    with spend(trips=1):
        assert ["changed"] == [line.text for line in lines.query(book="b", at=2).all()]


# One order, one cursor


@pytest.mark.parametrize("index", [BOOK, BY_PRICE], ids=["unique sort keys", "equal sort keys"])
@pytest.mark.parametrize("newest_first", [False, True])
def test_pages_of_seven_over_eight_shards_give_every_item_once_and_sorted(
    offers: DAO[Offer], index: Index, newest_first: bool
) -> None:
    """Exactly seven, or the end; also where sort keys are equal within a shard and across shards."""
    expected = fill(offers, 100)
    query = offers.query(index, asset="BTC")
    pages = walk(query.newest_first() if newest_first else query, 7)
    found = [offer for page in pages for offer in page.items]

    assert [7] * 14 + [2] == [len(page.items) for page in pages if page.items]
    assert sorted(expected) == sorted(ids(found))
    prices = [offer.price for offer in found]
    assert sorted(prices, reverse=newest_first) == prices
    if index is BOOK:
        assert (expected[::-1] if newest_first else expected) == ids(found)


def test_items_inserted_between_pages_neither_lose_nor_repeat_others(offers: DAO[Offer]) -> None:
    """What lies ahead is met in its place, what lies behind is not; in every shard."""
    expected = fill(offers, 60, lambda number: Offer(id=f"o{number:03}", price=10 * number))
    query, cursor, found = offers.query(BOOK, asset="BTC"), None, []
    inserted: list[Offer] = []
    while True:
        page = query.page(7, after=cursor)
        found += page.items
        if page.next is None:
            break
        cursor, last = page.next, page.items[-1].price if page.items else found[-1].price
        for step in (-5, -3, 5, 15) if len(inserted) < 40 else ():
            inserted.append(Offer(id=f"new{len(inserted):03}", price=max(0, last + step)))
            offers.create(inserted[-1])

    assert len(set(ids(found))) == len(found)
    assert set(expected) <= set(ids(found))
    assert sorted(offer.price for offer in found) == [offer.price for offer in found]


@pytest.mark.parametrize("index", [BOOK, BY_PRICE], ids=["unique sort keys", "equal sort keys"])
@pytest.mark.parametrize("newest_first", [False, True])
def test_walking_back_gives_exactly_the_earlier_pages(offers: DAO[Offer], index: Index, newest_first: bool) -> None:
    """From the last page to the first, over all shards."""
    fill(offers, 40, lambda number: Offer(id=f"o{number:03}", price=number // 6))
    query = offers.query(index, asset="BTC")
    query = query.newest_first() if newest_first else query
    forward = [page for page in walk(query, 7) if page.items]
    back = [forward[-1]]
    while back[-1].previous is not None:
        back.append(query.page(7, after=back[-1].previous))

    assert [ids(page.items) for page in forward] == [ids(page.items) for page in reversed(back) if page.items]


def test_walking_back_where_all_sort_keys_are_equal(db: Database) -> None:
    """The shards follow each other, and no page reads the others' items again."""
    flats = db.dao(FLAT)
    fill(flats, 40, lambda number: Offer(id=f"o{number:02}"))
    query = flats.query("GSI1")
    forward = [page for page in walk(query, 9) if page.items]
    back = [forward[-1]]
    while back[-1].previous is not None:
        back.append(query.page(9, after=back[-1].previous))

    assert [ids(page.items) for page in forward] == [ids(page.items) for page in reversed(back) if page.items]
    assert all(page.scanned <= 4 * 9 for page in [*forward, *back])


def test_ranges_and_prefixes_hold_over_all_shards(offers: DAO[Offer], db: Database) -> None:
    """Both ends, open ends, a full prefix; and page by page inside of a range."""
    fill(offers, 60, lambda number: Offer(id=f"o{number:03}", price=number))
    query = offers.query(BOOK, asset="BTC")

    assert list(range(10, 31)) == [offer.price for offer in query.between(10, 30).all()]
    assert [0, 1, 2] == [offer.price for offer in query.between(None, 2).all()]
    assert [58, 59] == [offer.price for offer in query.between(58, None).all()]
    assert ["o007"] == ids(offers.query(BOOK, asset="BTC", price=7).all())
    inside = query.between(10, 30).newest_first()
    assert list(range(30, 9, -1)) == [offer.price for page in walk(inside, 4) for offer in page.items]
    assert [10, 11, 12] == [offer.price for offer in query.between(10, 30).all(limit=3)]


def test_filters_expired_and_foreign_items_do_not_shorten_a_page(db: Database, offers: DAO[Offer]) -> None:
    """They are examined and do not count, whichever shard they are in."""
    past = int((datetime.now(UTC) - timedelta(days=1)).timestamp())

    def make(number: int) -> Offer:
        kind, expires = ("rare" if number % 5 == 0 else "plain"), (past if number % 2 else None)
        return Offer(id=f"o{number:03}", price=number, kind=kind, expires=expires)

    fill(offers, 100, make)
    neighbours = db.dao(NEIGHBOUR)
    neighbours.batch_write(
        [neighbours.plan.put(Line(book="BTC", at=at), replace=True) for at in range(30)], deadline=30
    )
    query = offers.query(BOOK, asset="BTC").where(lambda it: it.kind == "rare")
    pages = walk(query, 3)

    assert [3, 3, 3, 1] == [len(page.items) for page in pages if page.items]
    assert list(range(0, 100, 10)) == [offer.price for page in pages for offer in page.items]
    assert list(range(0, 100, 5)) == [offer.price for offer in query.include_expired().all()]
    assert 30 == len(neighbours.query("GSI1", book="BTC").all())


def test_iteration_merges_as_pages_do(offers: DAO[Offer]) -> None:
    """One item after the other; nothing is read before the first one is asked for."""
    expected = fill(offers, 30)
    with spend(trips=0):
        walking = iter(offers.query(BOOK, asset="BTC"))
    with spend(trips=SHARDS):
        assert expected == ids(walking)
    assert expected[::-1] == ids(offers.query(BOOK, asset="BTC").newest_first())
    assert [] == list(offers.query(BOOK, asset="none"))


def test_large_shards_are_read_in_several_calls(engine: Engine, table_name: str) -> None:
    """1 MB of each at a time: what runs dry is read on, the others wait."""
    heavy = EntityType(Line, "heavy", key=Key("H#{book}", "{at:4}", shards=2))
    with engine.open(table=table_name, entity_types=[heavy], deadline=20.0) as db:
        lines = db.dao(heavy)
        for start in range(0, 12, 4):
            made = [Line(book="b", at=at, text="x" * 300_000) for at in range(start, start + 4)]
            lines.batch_write([lines.plan.put(line, replace=True) for line in made])

        assert list(range(12)) == [line.at for line in lines.query(book="b")]
        assert list(range(12)) == [line.at for line in lines.query(book="b").all()]


def test_a_cursor_of_a_sharded_query_is_signed_for_it_alone(offers: DAO[Offer]) -> None:
    """As any other: another partition, direction or tenant is refused."""
    fill(offers, 20)
    query = offers.query(BOOK, asset="BTC")
    cursor = query.page(7).next

    for other in (query.newest_first(), offers.query(BOOK, asset="ETH"), offers.query(BY_PRICE, asset="BTC")):
        with pytest.raises(InvalidCursor):
            other.page(7, after=cursor)
    with pytest.raises(InvalidCursor):
        query.page(7, after=cursor, tenant="t")


@pytest.mark.parametrize("entity", [OFFER, LINE], ids=["index", "table"])
def test_the_contract_of_entity_types_is_kept(db: Database, entity: EntityType[Any]) -> None:
    """Every law of the kit, on values that it makes up."""
    assert {} == check_entity_type(db, entity, examples=2).broken


# Cost


def test_a_page_reads_its_share_of_each_shard(offers: DAO[Offer]) -> None:
    """K trips, half a unit each; of 400 items in 8 shards a page of 100 examines far fewer than 8 times 100."""
    fill(offers, 400, lambda number: Offer(id=f"o{number:03}", price=number))
    query = offers.query(BOOK, asset="BTC")
    with spend(rcu=4.0, trips=SHARDS):
        first = query.page(7)
    page = query.page(100)

    assert 7 * 4 < first.scanned <= SHARDS * 4
    assert 100 <= page.scanned <= 200
    assert page.cost.trips <= SHARDS + 3
    assert list(range(100)) == [offer.price for offer in page.items]
    assert page.cost.indexes == {"GSI1": page.cost.rcu}


def test_a_first_page_costs_what_the_access_pattern_says(db: Database, offers: DAO[Offer]) -> None:
    """A trip for each shard, and half a unit."""
    offers.create(Offer(id="o1"))
    [row] = select(patterns_of(OFFER), "Offer.query, by GSI1")

    assert f"{SHARDS} times Query (offer by GSI1)" == row.sends
    assert row.trips == row.also  # a shard that runs dry is asked again
    with spend(rcu=row.rcu, trips=len(row.trips)):
        offers.query(BOOK, asset="BTC").page(7)
    [row] = select(patterns_of(LINE), "Line.query")
    db.dao(LINE).create(Line(book="b", at=1))
    with spend(rcu=row.rcu, trips=SHARDS):
        db.dao(LINE).query(book="b").all()


# What knows about shards


def test_a_policy_covers_every_shard(engine: Engine, table_name: str) -> None:
    """The leading keys of a sharded partition end in a component more."""
    arns = Arns(region="eu-central-1", account="123456789012")
    policy = iam_policy(uses(LINE), arns, table_of=lambda entity: table_name)
    guard = PolicyGuard(policy, arns)
    with engine.open(table=table_name, entity_types=[LINE], interceptors=[guard], cursor_keys=["k" * 32]) as db:
        lines = db.dao(LINE)
        lines.create(Line(book="b", at=1))
        lines.query(book="b").page(3)
        lines.get(("b", 1))

    leading = policy["Statement"][0]["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
    assert ["JOURNAL#*#*"] == leading
    assert [] == [denied for denied in guard.denied if denied.startswith("Line.")]


def test_clashes_of_keys_are_judged_by_what_is_stored() -> None:
    """A sharded key never meets the plain one of the same text, but that of a type with one component more."""
    plain = EntityType(Line, "plain", key=Key("JOURNAL#{book}", "L#{at:6}"))
    longer = EntityType(Line, "longer", key=Key("JOURNAL#{book}#{text}", "L#{at:6}"))

    check_entity_types([Registered(LINE), Registered(plain)], {}, "app")
    with pytest.raises(ConfigurationError, match=r"its key .* can be that of 'line'"):
        check_entity_types([Registered(LINE), Registered(longer)], {}, "app")
    assert templates_overlap(LINE.key.stored_partition, Template("JOURNAL#{x}#{y}"))
    assert "JOURNAL#{book} in 8 shards / L#{at:6}" == LINE.key.text


@pytest.mark.parametrize("shards", [0, -1, 101, True, 2.0, "8"])
def test_a_number_of_shards_is_from_1_to_100(shards: Any) -> None:
    """Each of them is a round trip of every page."""
    with pytest.raises(ConfigurationError, match="shards is a number from 1 to 100"):
        Key("A#{id}", "A", shards=shards)


def test_locks_have_no_shards() -> None:
    """Each has a partition of its own."""
    wrong = EntityType(Offer, "w", key=Key("W#{id}", "W"), unique=[Unique("kind", key=Key("K#{kind}", "K", shards=2))])

    assert ["the lock key of unique field kind has shards; a lock has a partition of its own without them"] == list(
        wrong.faults()
    )


def test_a_sharded_partition_key_leaves_room_for_the_shard() -> None:
    """2,048 bytes, the suffix included."""
    assert 2048 == len(LINE.item_key("x" * (2048 - len("JOURNAL##00")), 1)["pk"]["S"])
    with pytest.raises(InvalidInput, match="bytes"):
        LINE.item_key("x" * (2049 - len("JOURNAL##00")), 1)


# The order of keys (pure)


@given(st.text(max_size=5), st.text(max_size=5))
def test_neighbours_of_a_text_leave_nothing_in_between(text: str, other: str) -> None:
    """Every text up to the limit lies at or beyond them; DynamoDB's order is that of the bytes."""
    limit = 20
    below, above = just_below(text, limit), just_above(text, limit)

    assert above is not None
    assert text.encode() < above.encode()
    assert (other > text) == (other >= above)
    assert (other < text) == ((below is not None and other <= below) or (other == "" != text))
    assert below is None or len(below.encode()) <= limit


WIDE = "a\x7f\ud7ff\uffff\U0010ffff"
"""The greatest characters of each length, and the last one before the surrogates."""


@given(st.text(WIDE, min_size=1, max_size=4), st.text(WIDE + "b\x80\ue000\U00010000", max_size=4))
def test_the_neighbour_above_a_text_of_full_length_is_no_longer(text: str, other: str) -> None:
    """DynamoDB refuses a bound that is longer than a key can be; above the greatest text there is nothing."""
    limit = len(text.encode())
    above = just_above(text, limit)

    assert above is None or (above > text and len(above.encode()) <= limit)
    if len(other.encode()) <= limit:
        assert (other > text) == (above is not None and other >= above)


@pytest.mark.parametrize(
    ("sort", "low", "high", "left"),
    [
        (None, "a", "c", rq.SortCondition("between", {"S": "a"}, {"S": "c"})),
        (
            rq.SortCondition("begins_with", {"S": "P#"}),
            "P#7",
            None,
            rq.SortCondition("between", {"S": "P#7"}, {"S": "P$"}),
        ),
        (rq.SortCondition("<=", {"S": "m"}), "", "k", rq.SortCondition("<=", {"S": "k"})),
        (rq.SortCondition(">=", {"S": "m"}), "n", None, rq.SortCondition(">=", {"S": "n"})),
        (rq.SortCondition("=", {"S": "m"}), "", "l", None),
        (rq.SortCondition("between", {"S": "a"}, {"S": "c"}), "d", None, None),
    ],
)
def test_ranges_are_narrowed(
    sort: rq.SortCondition | None, low: str, high: str | None, left: rq.SortCondition | None
) -> None:
    """To what both let through; to nothing where that is empty."""
    assert left == narrowed(sort, low, high)
