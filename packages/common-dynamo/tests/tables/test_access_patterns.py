"""Access patterns (D42, naming): what the table declares is what the DAOs send, and the other way round."""

from collections import defaultdict
from typing import Any, Protocol

import pytest

from common.dynamo import Call
from common.dynamo import requests as rq
from common.dynamo.access import AccessPattern, Budget, select
from common.dynamo.cost import Cost
from common.dynamo.dao.access_patterns import LEDGER_PATTERNS, named
from common.dynamo.dao.ledger_types import ACCOUNT, ASSET, EMAIL, ENTRY, LEDGER_ENTITY_TYPES, ORDER, PRICE, PROFILE
from common.dynamo.entity_type import EntityType


class Day(Protocol):
    """What these tests use of the fixture."""

    calls: tuple[Call, ...]


SORTS = {"PROFILE": PROFILE, "EMAIL": EMAIL, "ACCT": ACCOUNT, "PX": PRICE}
VERBS: dict[type, str] = {rq.PutItem: "put", rq.UpdateItem: "update", rq.DeleteItem: "delete", rq.GetItem: "get"}


def entity_at(partition: str, sort: str) -> EntityType[Any]:
    """Return the type of the item at a key, told by its literals."""
    if partition == "ASSETS":
        return ASSET
    return SORTS.get(sort) or {"T#": ENTRY, "O#": ORDER}[sort[:2]]


def subject(part: Any) -> str:
    """Return the type of a part's item."""
    key = part.item if isinstance(part, rq.PutItem) else part if isinstance(part, dict) else part.key
    return entity_at(key["pk"]["S"], key["sk"]["S"]).name


def queried(query: rq.Query) -> str:
    """Return what a query reads, as the table of patterns has it."""
    key = query.key
    if query.index is not None:
        holds = ENTRY if "#A#" in key.partition["S"] else ORDER
        return f"{holds.name} by {query.index}"
    sort = "" if key.sort is None else key.sort.value["S"]
    return entity_at(key.partition["S"], sort).name


def told(request: rq.Request) -> str:
    """Return a request as the table of patterns writes it."""
    if isinstance(request, rq.TransactWriteItems):
        return f"TransactWriteItems ({', '.join(f'{VERBS[type(part)]} {subject(part)}' for part in request.parts)})"
    if isinstance(request, rq.BatchGetItem):
        [keys] = request.keys.values()
        return f"BatchGetItem ({', '.join(f'get {subject(dict(key))}' for key in keys)})"
    return f"{request.operation} ({queried(request) if isinstance(request, rq.Query) else subject(request)})"


def test_what_is_declared_is_what_is_sent(day: Day) -> None:
    """Over every method in every course, each pattern sends exactly the requests of its rows: none more, none less."""
    sent: dict[str, set[str]] = defaultdict(set)
    for call in day.calls:
        sent[call.pattern].add(told(call.request))
    declared: dict[str, set[str]] = defaultdict(set)
    for row in LEDGER_PATTERNS:
        declared[row.name] |= {str(trip) for trip in row.all_trips}

    assert dict(declared) == dict(sent)


def test_the_table_covers_every_entity_type_of_the_ledger() -> None:
    """Nothing is stored that no pattern touches."""
    touched = {touch.entity for row in LEDGER_PATTERNS for trip in row.all_trips for touch in trip.touches}

    assert set(LEDGER_ENTITY_TYPES) == touched


def test_titles_are_unique_and_the_first_row_is_the_usual_course() -> None:
    """A name and a case tell one row."""
    titles = [row.title for row in LEDGER_PATTERNS]
    first = {row.name: row for row in reversed(LEDGER_PATTERNS)}

    assert len(titles) == len(set(titles))
    assert {""} == {row.case for row in first.values()}


def test_a_span_has_the_name_and_the_operation_of_the_usual_course() -> None:
    """And a misspelt name fails when the DAO's module is imported, not when it is called."""
    assert ("OrderDAO.buy", "TransactWriteItems") == (named("OrderDAO.buy").name, named("OrderDAO.buy").operation)
    with pytest.raises(KeyError):
        named("OrderDAO.bye")


@pytest.mark.parametrize(
    ("wanted", "titles"),
    [
        (["BalanceDAO.resolve"], ["BalanceDAO.resolve", "BalanceDAO.resolve, fence"]),
        (["BalanceDAO.resolve, fence"], ["BalanceDAO.resolve, fence"]),
        (["*.price", "AssetDAO.li*"], ["AssetDAO.price", "AssetDAO.list"]),
        (["balancedao.*"], []),
    ],
)
def test_patterns_are_selected_by_name_or_title(wanted: list[str], titles: list[str]) -> None:
    """A star stands for anything, and case counts."""
    assert titles == [row.title for row in select(LEDGER_PATTERNS, *wanted)]


def test_nothing_wanted_selects_all() -> None:
    """As the command line does without an argument."""
    assert LEDGER_PATTERNS == select(LEDGER_PATTERNS)


@pytest.mark.parametrize(
    ("cost", "admitted"),
    [
        (Cost(rcu=1, wcu=3, indexes={"GSI1": 1}, trips=1), True),
        (Cost(rcu=0.5), True),
        (Cost(rcu=1.5), False),
        (Cost(wcu=3.5), False),
        (Cost(trips=2), False),
    ],
)
def test_a_budget_admits_what_stays_within_each_of_its_limits(cost: Cost, admitted: bool) -> None:
    """Units of reads, units of writes with those of indexes, and round trips; what is not given is no limit."""
    assert admitted is Budget(rcu=1, wcu=2, indexes=1, trips=1).admits(cost)
    assert Budget().admits(cost)


def test_a_pattern_is_a_value() -> None:
    """Equal where all is equal; and it cannot be changed."""
    [row, *_] = LEDGER_PATTERNS

    assert row == AccessPattern.of(row.name, *row.trips, also=row.also, wcu=6)
    with pytest.raises(AttributeError):
        row.wcu = 0  # type: ignore[misc]
