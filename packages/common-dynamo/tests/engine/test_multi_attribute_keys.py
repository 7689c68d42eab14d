"""Index keys of several attributes (D11): nothing to recompute, typed order, and a refusal where an engine has none."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from pydantic import BaseModel

from common.dynamo import DAO, Change, Database, EntityQuery, EntityType, Index, Key, MultiKey, Page, metered
from common.dynamo.access import select
from common.dynamo.entity_access import patterns_of
from common.dynamo.exceptions import InvalidCursor
from common.dynamo.testing import check_entity_type, spend
from common.dynamo.testing.engines import Engine
from common.dynamo.testing.known_faults import DYNOXIDE_FAULTS
from common.exceptions import ConfigurationError, InvalidInput


class State(StrEnum):
    OPEN = "open"
    DONE = "done"


class Task(BaseModel):
    """A model whose own attributes are keys: a text, a choice, a time, numbers, and bytes."""

    id: str
    tenant: str = "t1"
    state: State = State.OPEN
    due: datetime | None = None
    rank: int | None = None
    price: Decimal = Decimal(0)
    digest: bytes | None = None
    version: int = 0


DUE = Index("GSI3", MultiKey(("tenant", "state"), ("due", "rank", "price")))
BY_DIGEST = Index("GSI4", MultiKey("rank", "digest"))
BY_TENANT = Index("GSI5", MultiKey("tenant"))
TASK = EntityType(
    Task,
    "task",
    key=Key("TASK#{id}", "TASK"),
    indexes=[DUE, BY_DIGEST, BY_TENANT],
    scales={"price": 2},
    version="version",
)
OPEN = {"tenant": "t1", "state": State.OPEN}


@pytest.fixture
def db(engine: Engine, table_name: str) -> Iterator[Database]:
    """A database with tasks; skipped, by the name of its fault, on an engine without such keys."""
    if engine.name.startswith("dynoxide"):
        pytest.skip(f"first-key-attributes: {DYNOXIDE_FAULTS['first-key-attributes']}")
    with engine.open(table=table_name, entity_types=[TASK], cursor_keys=["k" * 32]) as db:
        yield db


@pytest.fixture
def tasks(db: Database) -> DAO[Task]:
    return db.dao(TASK)


def make(**given: Any) -> Task:
    """Return a task that is in every index but that of digests."""
    return Task(**{"due": day(0), "rank": 0, **given})


def day(number: int) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number)


def ids(found: Any) -> list[str]:
    return [task.id for task in found]


def walk(query: EntityQuery[Task], size: int) -> list[Page[Task]]:
    pages = [query.page(size)]
    while pages[-1].next is not None:
        pages.append(query.page(size, after=pages[-1].next))
    return pages


# Order


def test_numbers_sort_by_value_without_a_width(tasks: DAO[Task]) -> None:
    """Negative before positive, 9 before 10, and Decimals by their value."""
    for position, (rank, price) in enumerate([(10, "1"), (9, "1"), (-3, "1"), (9, "0.5"), (9, "12"), (-10, "7")]):
        tasks.create(make(id=f"n{position}", rank=rank, price=Decimal(price)))
    found = tasks.query(DUE, **OPEN).all()

    assert [(-10, "7.00"), (-3, "1.00"), (9, "0.50"), (9, "1.00"), (9, "12.00"), (10, "1.00")] == [
        (task.rank, str(task.price)) for task in found
    ]


def test_attributes_sort_one_after_the_other(tasks: DAO[Task]) -> None:
    """As tuples do; in both directions, page by page, each item once, and back again."""
    source = random.Random(7)
    made = [
        make(
            id=f"n{n:02}",
            due=day(source.randrange(4)),
            rank=source.randrange(-3, 3),
            price=Decimal(source.randrange(2)),
        )
        for n in range(40)
    ]
    for task in made:
        tasks.create(task)
    tuples = sorted((task.due, task.rank, task.price) for task in made)
    for query in (tasks.query(DUE, **OPEN), tasks.query(DUE, **OPEN).newest_first()):
        pages = walk(query, 7)
        found = [task for page in pages for task in page.items]
        back = [pages[-1]]
        while back[-1].previous is not None:
            back.append(query.page(7, after=back[-1].previous))

        assert (tuples if query.forward else tuples[::-1]) == [(task.due, task.rank, task.price) for task in found]
        assert sorted(task.id for task in made) == sorted(ids(found))
        assert [ids(page.items) for page in pages if page.items] == [
            ids(page.items) for page in back[::-1] if page.items
        ]
        assert found == list(query)


def test_a_query_names_all_of_the_partition_and_the_sort_key_from_the_left(tasks: DAO[Task]) -> None:
    """By equality, then a range over the next one; ends may be open."""
    for number in range(12):
        tasks.create(make(id=f"n{number:02}", due=day(number // 4), rank=number % 4 - 1, price=Decimal(number)))
    tasks.create(make(id="other", tenant="t2"))
    query = tasks.query(DUE, **OPEN)

    assert ["n04", "n05", "n06", "n07"] == ids(tasks.query(DUE, **OPEN, due=day(1)).all())
    assert ["n05"] == ids(tasks.query(DUE, **OPEN, due=day(1), rank=0).all())
    assert ["n05"] == ids(tasks.query(DUE, **OPEN, due=day(1), rank=0, price=Decimal(5)).all())
    assert ["n04", "n05"] == ids(tasks.query(DUE, **OPEN, due=day(1)).between(None, 0).all())
    assert ["n06", "n07"] == ids(tasks.query(DUE, **OPEN, due=day(1)).between(1, None).all())
    assert ["n05", "n06"] == ids(tasks.query(DUE, **OPEN, due=day(1)).between(0, 1).all())
    assert 8 == len(query.between(day(1), day(2)).all())
    assert 8 == len(query.between(day(1), None).all())
    assert 4 == len(query.between(None, day(0)).all())
    assert ["other"] == ids(tasks.query(DUE, tenant="t2", state=State.OPEN).all())
    assert ["n09", "n10"] == ids(
        walk(query.between(day(2), day(2)), 1)[1].items + walk(query.between(day(2), None), 1)[2].items
    )


def test_binary_and_number_attributes_are_keys_too(tasks: DAO[Task]) -> None:
    """A number for the partition, bytes in the order of bytes, zeros and all; cursors hold both."""
    for position, digest in enumerate([b"\0\0", b"\0", b"\1", b"\0\1", b"\xff", None]):
        tasks.create(make(id=f"b{position}", rank=7, digest=digest))
    query = tasks.query(BY_DIGEST, rank=7)

    assert ["b1", "b0", "b3", "b2", "b4"] == ids(query.all())
    assert ["b1", "b0", "b3", "b2", "b4"] == ids(task for page in walk(query, 2) for task in page.items)
    assert ["b0", "b3"] == ids(query.between(b"\0\0", b"\0\1").all())


def test_an_index_may_have_no_sort_key(tasks: DAO[Task]) -> None:
    """All items of a partition, in the order of the table's keys."""
    for number in range(5):
        tasks.create(make(id=f"n{number}", tenant="t1" if number % 2 else "t2"))

    assert ["n1", "n3"] == sorted(ids(tasks.query(BY_TENANT, tenant="t1").all()))
    assert ["n0", "n2", "n4"] == sorted(
        ids(task for page in walk(tasks.query(BY_TENANT, tenant="t2"), 2) for task in page.items)
    )


# Nothing to recompute


def test_no_attribute_is_written_for_the_index() -> None:
    """The item is what it would be without it."""
    bare = EntityType(Task, "task", key=TASK.key, scales={"price": 2}, version="version")

    assert bare.encode(make(id="a")) == TASK.encode(make(id="a"))
    assert {} == TASK.index_keys(make(id="a"))


def test_a_partial_update_needs_to_know_nothing_else(tasks: DAO[Task]) -> None:
    """By key alone, and by an addition, which the engine computes: the entry moves with the item."""
    tasks.create(make(id="a", rank=1))

    def bump(change: Change[Task], it: Task) -> None:
        change.add(it.rank, 4)
        change.set(it.state, State.DONE)

    tasks.update("a", bump, unlocked=True)

    assert [] == tasks.query(DUE, **OPEN).all()
    assert [5] == [task.rank for task in tasks.query(DUE, tenant="t1", state=State.DONE).all()]


def test_after_any_updates_each_index_gives_the_items_of_the_table(tasks: DAO[Task]) -> None:
    """The suite of D10, by random changes: every partition of the index equals what the base items say."""
    source = random.Random(11)
    for number in range(8):
        tasks.create(make(id=f"n{number}"))
    for _ in range(60):
        key = f"n{source.randrange(8)}"
        field, value = source.choice(
            [
                ("state", source.choice(list(State))),
                ("due", source.choice([None, day(source.randrange(3))])),
                ("rank", source.choice([None, source.randrange(-2, 3)])),
                ("tenant", source.choice(["t1", "t2"])),
            ]
        )
        tasks.update(key, lambda change, it, f=field, v=value: change.set(getattr(it, f), v), unlocked=True)  # type: ignore[misc]
        base = [task for task in tasks.batch_get([f"n{number}" for number in range(8)]) if task is not None]
        for tenant in ("t1", "t2"):
            for state in State:
                inside = [
                    task
                    for task in base
                    if (task.tenant, task.state) == (tenant, state) and task.due is not None and task.rank is not None
                ]
                found = tasks.query(DUE, tenant=tenant, state=state).all()
                assert sorted(inside, key=lambda task: task.id) == sorted(found, key=lambda task: task.id)


def test_none_takes_an_item_out_of_the_index_and_a_value_brings_it_back(tasks: DAO[Task]) -> None:
    """An absent attribute is no NULL."""
    task = tasks.create(make(id="a", due=None))
    assert [] == tasks.query(DUE, **OPEN).all()
    task = tasks.update(task, lambda change, it: change.set(it.due, day(1)))
    assert ["a"] == ids(tasks.query(DUE, **OPEN).all())
    tasks.update(task, lambda change, it: change.set(it.due, None))
    assert [] == tasks.query(DUE, **OPEN).all()


def test_a_write_costs_what_it_does_with_templates(tasks: DAO[Task]) -> None:
    """A unit per entry that appears, two per entry whose key changes, and a read of half a unit in one trip."""
    with spend(wcu=1.0 + 2.0, trips=1) as meter:
        task = tasks.create(make(id="a"))
    assert {"GSI3": 1.0, "GSI5": 1.0} == meter.cost.indexes
    with spend(wcu=1.0 + 3.0, trips=1) as meter:
        tasks.update(task, lambda change, it: change.set(it.due, day(3)))
    assert {"GSI3": 2.0, "GSI5": 1.0} == meter.cost.indexes
    [row] = select(patterns_of(TASK), "Task.query, by GSI3")
    with spend(rcu=row.rcu, trips=1):
        tasks.query(DUE, **OPEN).all()


def test_items_of_other_types_with_the_same_attributes_are_left_out(
    engine: Engine, table_name: str, db: Database
) -> None:
    """DynamoDB indexes whatever has them, declared or not."""
    other = EntityType(Task, "chore", key=Key("CHORE#{id}", "CHORE"), scales={"price": 2})
    db.dao(other).create(make(id="x"))
    db.dao(TASK).create(make(id="a"))

    assert ["a"] == ids(db.dao(TASK).query(DUE, **OPEN).all())
    assert ["a"] == ids(db.collection(OPEN, [TASK], index=DUE).all().of(TASK))


def test_cursors_are_bound_to_their_query(tasks: DAO[Task]) -> None:
    """As everywhere."""
    for number in range(4):
        tasks.create(make(id=f"n{number}", rank=number))
    cursor = tasks.query(DUE, **OPEN).page(2).next

    assert ["n2", "n3"] == ids(tasks.query(DUE, **OPEN).page(2, after=cursor).items)
    for other in (tasks.query(DUE, tenant="t2", state=State.OPEN), tasks.query(DUE, **OPEN, due=day(0))):
        with pytest.raises(InvalidCursor):
            other.page(2, after=cursor)


def test_the_contract_of_entity_types_is_kept(db: Database) -> None:
    """Every law of the kit, on values that it makes up."""
    assert {} == check_entity_type(db, TASK, examples=2).broken


def test_a_filter_is_by_other_fields_than_those_of_the_key(tasks: DAO[Task]) -> None:
    """DynamoDB refuses the others; here the error names the field and the way out, before anything is sent."""
    for number in range(6):
        tasks.create(make(id=f"n{number}", digest=bytes([number % 2])))
    query = tasks.query(DUE, **OPEN)

    assert ["n1", "n3", "n5"] == ids(query.where(lambda it: it.digest == b"\1").all())
    with pytest.raises(ConfigurationError, match="rank is part of the key of GSI3"):
        query.where(lambda it: (it.digest == b"\1") & ~(it.rank > 3))


# What is refused


def test_what_no_index_key_holds_is_refused_before_it_is_sent(tasks: DAO[Task]) -> None:
    """Empty texts and bytes, missing values of a query, too long ones; on every route."""
    stored = tasks.create(make(id="a"))
    with metered() as meter:
        for bad in (make(id="b", tenant=""), make(id="b", digest=b""), make(id="b", tenant="x" * 2049)):
            with pytest.raises(InvalidInput, match=r"empty|over 2048 bytes"):
                tasks.create(bad)
        with pytest.raises(InvalidInput, match="tenant is empty"):
            tasks.update(stored, lambda change, it: change.set(it.tenant, ""))
        with pytest.raises(InvalidInput, match="tenant is empty"):
            tasks.query(BY_TENANT, tenant="")
        with pytest.raises(InvalidInput, match="tenant is missing"):
            tasks.query(BY_TENANT, tenant=None)
        with pytest.raises(InvalidInput, match="state must be"):
            tasks.query(DUE, tenant="t1", state="open")
        with pytest.raises(InvalidInput, match="lower end lies above"):
            tasks.query(DUE, **OPEN, due=day(0)).between(10, 9)
        with pytest.raises(InvalidInput, match="no component left"):
            tasks.query(BY_TENANT, tenant="t1").between(1, 2)
        for fields in ({"tenant": "t1"}, {**OPEN, "rank": 1}, {**OPEN, "id": "a"}):
            with pytest.raises(
                ConfigurationError, match="takes tenant, state, then optionally due, rank, price from the left"
            ):
                tasks.query(DUE, **fields)
        with pytest.raises(ConfigurationError, match="cannot be read consistently"):
            tasks.query(DUE, consistent=True, **OPEN)
    assert 0 == meter.cost.trips
