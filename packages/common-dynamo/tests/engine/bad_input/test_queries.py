"""Every method of a query refuses every wrong argument before anything is sent (DI2)."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from common.dynamo import DAO, EntityQuery, begins_with, between, contains, is_in, not_, size
from common.dynamo.exceptions import InvalidCursor, InvalidExpression, UnknownField
from common.dynamo.testing import spend
from common.dynamo.testing.canaries import CANARY
from common.dynamo.testing.examples import Card
from common.dynamo.testing.wrong_arguments import (
    ANYTHING,
    CALLBACK,
    COUNT,
    CURSOR,
    DEADLINE,
    FLAG,
    MAPPING,
    OPTIONAL_TEXT,
    Case,
    Rows,
    assert_refused,
    cases,
    undescribed,
    wrong_values,
)
from common.exceptions import InvalidInput

pytestmark = [pytest.mark.thorough, pytest.mark.in_process]

BOUND = wrong_values(InvalidInput, an_int=7, a_bool=True, bytes_=b"x", a_float=1.5, empty="", a_surrogate="\ud800")
SHARD = wrong_values(InvalidInput, None_=None, a_bool=True, below_zero=-1, too_high=1, a_text=CANARY)
ROWS: Rows = {
    "where": {"condition": CALLBACK},
    "between": {"low": BOUND, "high": BOUND},
    "newest_first": {},
    "include_expired": {},
    "request": {"limit": COUNT, "start": MAPPING, "backward": FLAG, "shard": SHARD},
    "page": {
        "size": (*wrong_values(InvalidInput, None_=None), *COUNT),
        "after": CURSOR,
        "tenant": OPTIONAL_TEXT,
        "deadline": DEADLINE,
    },
    "all": {"limit": COUNT, "deadline": DEADLINE},
    "key_range": {},
    "wants": {"item": ANYTHING},  # what the engine gave
}
RIGHT: Mapping[str, Mapping[str, Any]] = {
    "where": {"condition": lambda it: it.count == 0},
    "between": {"low": "a", "high": "b"},
    "newest_first": {},
    "include_expired": {},
    "request": {},
    "page": {"size": 1},
    "all": {},
    "key_range": {},
    "wants": {"item": {}},
}


@pytest.fixture
def query(cards: DAO[Card]) -> EntityQuery[Card]:
    """The cards with the text of the one that is stored."""
    return cards.query("GSI1", text="as it was")


def test_every_public_method_is_in_the_table() -> None:
    """A new method, or a new parameter, needs a row before it is done."""
    assert [] == undescribed(EntityQuery, ROWS)


@pytest.mark.parametrize("case", cases(ROWS))
def test_a_wrong_argument_of_a_query_is_refused_before_anything_is_sent(query: EntityQuery[Card], case: Case) -> None:
    """By the error that says whose mistake it is, naming the parameter and repeating no value."""
    method, right = getattr(query, case.method), RIGHT[case.method]
    named = {"low": "id", "high": "id", "after": "cursor", "condition": "where"}.get(case.parameter)

    assert_refused(case, lambda wrong: method(**{**right, case.parameter: wrong}), named=named)


@pytest.mark.parametrize("method", ROWS)
def test_the_right_arguments_of_the_table_are_right(query: EntityQuery[Card], method: str) -> None:
    """Else a refusal in the table would prove nothing."""
    getattr(query, method)(**RIGHT[method])


def test_a_range_that_ends_before_it_begins_is_refused(query: EntityQuery[Card]) -> None:
    """When it is said, not when it is read."""
    with spend(trips=0), pytest.raises(InvalidInput, match="lower end lies above the upper one"):
        query.between("b", "a")


def test_a_cursor_of_another_query_is_refused_before_anything_is_sent(
    cards: DAO[Card], query: EntityQuery[Card]
) -> None:
    """Of another index, filter, direction, tenant, or cut short."""
    cards.create(Card(id="second"))
    cursor = query.page(1, tenant="a").next
    assert cursor is not None
    foreign: list[Callable[[], object]] = [
        lambda: cards.query(id="stored").page(1, after=cursor, tenant="a"),
        lambda: query.where(lambda it: it.count == 0).page(1, after=cursor, tenant="a"),
        lambda: query.newest_first().page(1, after=cursor, tenant="a"),
        lambda: query.page(1, after=cursor, tenant="b"),
        lambda: query.page(1, after=cursor[:-1], tenant="a"),
        lambda: query.page(1, after=cursor + "=", tenant="a"),
        lambda: query.page(1, after=cursor[::-1], tenant="a"),
    ]

    for read in foreign:
        with spend(trips=0), pytest.raises(InvalidCursor, match="Start again without one"):
            read()


WRONG_CONDITIONS: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "returns nothing": (lambda it: None, InvalidExpression, "the callback returned NoneType"),
    "returns a text": (lambda it: "x", InvalidExpression, "the callback returned str"),
    "returns the stand-in": (lambda it: it, InvalidExpression, "the callback returned Recorder"),
    "asks for truth": (lambda it: it.count > 1 and it.text == "x", InvalidExpression, "Write & for 'and'"),
    "asks a set for it": (lambda it: it.text in {"a", "b"}, InvalidExpression, r"is_in\(...\)"),
    "misspells a field": (lambda it: it.colour == "x", UnknownField, "no stored field 'colour'; it has"),
    "misspells a method": (lambda it: it.text.startswith("x"), UnknownField, "no stored field 'startswith'"),
    "takes a length": (lambda it: len(it.text) > 1, InvalidExpression, r"size\(...\) asks for a length"),
    "multiplies": (lambda it: it.count * 2 > 1, InvalidExpression, "only recorded here"),
    "divides into": (lambda it: 2 / it.count > 1, InvalidExpression, "only recorded here"),
    "formats": (lambda it: it.text == f"{it.id}!", InvalidExpression, "only recorded here"),
    "adds a flag": (lambda it: True & (it.count > 1), InvalidExpression, "returned bool"),
    "compares with a float": (lambda it: it.count > 1.5, InvalidInput, "count must be an int"),
    "compares with a bool": (lambda it: it.count == True, InvalidInput, "count must be an int"),
    "compares a text with bytes": (lambda it: it.text == b"x", InvalidInput, "text must be text"),
    "compares with a surrogate": (lambda it: it.text == "\ud800", InvalidInput, "lone surrogate"),
    "orders a list": (lambda it: it.lines < ["x"], InvalidExpression, "lines has no order"),
    "names a member by a float": (lambda it: it.lines[1.5] == "x", InvalidExpression, "named by int"),
    "names a member by a surrogate": (lambda it: it.more["\ud800"] == "x", InvalidInput, "lone surrogate"),
    "names an empty member": (lambda it: it.more[""] == "x", InvalidInput, "must not be empty"),
    "begins with an int": (lambda it: begins_with(it.text, 1), InvalidInput, "text must be text"),  # type: ignore[arg-type]
    "begins with nothing recorded": (lambda it: begins_with("a", "b"), InvalidExpression, "Give a field of the item"),
    "contains a float": (lambda it: contains(it.lines, 1.5), InvalidInput, "lines must be text"),
    "between texts": (lambda it: between(it.count, "a", "b"), InvalidInput, "count must be an int"),
    "in a text": (lambda it: is_in(it.text, "ab"), Exception, "options must be a list of values"),
    "in nothing": (lambda it: is_in(it.text, []), InvalidInput, "1 to 100 options"),
    "not of a text": (lambda it: not_("x"), InvalidExpression, "returned str"),
    "size of a text": (lambda it: size("x") > 1, InvalidExpression, "Give a field of the item"),
}


@pytest.mark.parametrize("mistake", WRONG_CONDITIONS)
def test_a_wrong_condition_is_refused_before_anything_is_sent(cards: DAO[Card], mistake: str) -> None:
    """Of a query, an update, a deletion and a check alike: they record it by the same door."""
    where, error, told = WRONG_CONDITIONS[mistake]
    routes: list[Callable[[], object]] = [
        lambda: cards.query(id="stored").where(where),
        lambda: cards.update("stored", lambda change, it: change.set(it.text, "x"), where=where),
        lambda: cards.delete("stored", where=where),
        lambda: cards.plan.check("stored", where),
    ]

    for route in routes:
        with spend(trips=0), pytest.raises(error, match=told):
            route()


class Own(Exception):
    """What a callback raises by itself."""


def broken(*_: object) -> Any:
    """Raise what is no error of the family."""
    raise Own("mine")


def test_what_a_callback_raises_by_itself_passes_through_and_nothing_is_sent(cards: DAO[Card]) -> None:
    """It is the service's own, and no error of the data layer."""
    routes: list[Callable[[], object]] = [
        lambda: cards.query(id="stored").where(broken),
        lambda: cards.update("stored", broken, expect=1),
        lambda: cards.update("stored", lambda change, it: None, where=broken),
        lambda: cards.upsert("a", broken, default=Card(id="a"), unlocked=True),
        lambda: cards.delete("stored", where=broken),
    ]

    for route in routes:
        with spend(trips=0), pytest.raises(Own, match="mine"):
            route()


WRONG_CHANGES: dict[str, tuple[Callable[[Any, Any], Any], type[Exception], str]] = {
    "changes nothing": (lambda change, it: None, InvalidInput, "changes nothing"),
    "sets another type": (lambda change, it: change.set(it.count, "1"), InvalidInput, "count must be an int"),
    "sets a bool": (lambda change, it: change.set(it.count, True), InvalidInput, "count must be an int"),
    "sets a surrogate": (lambda change, it: change.set(it.text, "\ud800"), InvalidInput, "text"),
    "sets no field": (lambda change, it: change.set("text", "x"), InvalidExpression, "Give a field of the item"),
    "sets a misspelt field": (lambda change, it: change.set(it.colour, "x"), UnknownField, "no stored field 'colour'"),
    "sets a formatted text": (lambda change, it: change.set(it.text, f"{it.id}!"), InvalidExpression, "only recorded"),
    "sets the key": (lambda change, it: change.set(it.id, "x"), Exception, "part of the primary key"),
    "sets the version": (lambda change, it: change.set(it.version, 7), Exception, "version, which the layer counts"),
    "sets 33 levels": (lambda change, it: change.set(it.anything, nested(33)), InvalidInput, "32 levels"),
    "sets a list in itself": (lambda change, it: change.set(it.anything, nested(10**5)), InvalidInput, "32 levels"),
    "sets twice": (lambda change, it: [change.set(it.text, "x") for _ in "ab"], InvalidInput, "text twice"),
    "removes what is required": (lambda change, it: change.remove(it.id), InvalidInput, "id is required"),
    "adds a text": (lambda change, it: change.add(it.count, "x"), InvalidInput, "count must be an int"),
    "adds to a text": (lambda change, it: change.add(it.text, "x"), InvalidExpression, "neither a number nor a set"),
    "adds an empty set": (lambda change, it: change.add(it.tags, frozenset()), InvalidInput, "nothing to add"),
    "appends a text": (lambda change, it: change.append(it.lines, "ab"), Exception, "values must be a list"),
    "appends ints": (lambda change, it: change.append(it.lines, [1]), InvalidInput, "lines must be text"),
    "deletes a list": (lambda change, it: change.delete(it.tags, ["x"]), InvalidInput, "tags must be a frozenset"),
    "deletes from a text": (lambda change, it: change.delete(it.text, {"x"}), InvalidExpression, "text is no set"),
}


def nested(levels: int) -> Any:
    """Return a list of lists, so many deep."""
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize("mistake", WRONG_CHANGES)
def test_a_wrong_change_is_refused_before_anything_is_sent(cards: DAO[Card], mistake: str) -> None:
    """Of an update, an upsert and a transaction's plan alike."""
    change, error, told = WRONG_CHANGES[mistake]
    routes: list[Callable[[], object]] = [
        lambda: cards.update("stored", change, expect=1),
        lambda: cards.upsert("stored", change, default=Card(id="stored"), unlocked=True),
        lambda: cards.plan.update("stored", change, expect=1),
    ]

    for route in routes:
        with spend(trips=0), pytest.raises(error, match=told):
            route()
