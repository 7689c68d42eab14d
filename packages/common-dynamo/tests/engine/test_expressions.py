"""Conditions and changes as callbacks (D16): recorded exactly, refused where Python would evaluate them itself."""

from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from common.dynamo import (
    Change,
    EntityType,
    Key,
    begins_with,
    between,
    contains,
    exists,
    is_in,
    not_,
    not_exists,
    size,
)
from common.dynamo import requests as rq
from common.dynamo.changes import Recorder, is_repeatable, record_change
from common.dynamo.expressions import record_condition
from common.exceptions import InvalidInput


class State(StrEnum):
    OPEN = "open"


class Address(BaseModel):
    city: str
    zip_code: str | None = None


class Order(BaseModel):
    id: str
    total: Decimal
    count: Annotated[int, Field(ge=0)] = 0
    state: State = State.OPEN
    locked: bool = False
    note: str | None = None
    address: Address | None = None
    lines: list[Address] = []
    prices: dict[str, Decimal] = {}
    holds: dict[str, int] = {}
    tags: set[str] = set()
    first: str = ""
    second: str = ""


ORDER = EntityType(
    Order,
    "order",
    key=Key("O#{id}", "O"),
    scales={"total": 2, "prices": 2},
    attributes={"state": "st"},
    spread={"holds": "h_"},
)


def condition(where: Callable[[Order], bool]) -> rq.Condition:
    return record_condition(Recorder(ORDER.mapped), where)


def change(callback: Callable[[Change[Order], Order], None]) -> rq.Update:
    return record_change(ORDER.mapped, callback, {})


def path(*parts: str | int) -> rq.Path:
    return rq.Path(parts)


def text(value: str) -> rq.Constant:
    return rq.Constant({"S": value})


def number(value: str) -> rq.Constant:
    return rq.Constant({"N": value})


TRUE = rq.Constant({"BOOL": True})

CONDITIONS: list[tuple[str, Callable[[Order], bool], rq.Condition]] = [
    ("equal", lambda it: it.total == Decimal("1.50"), rq.Compare("=", path("total"), number("1.5"))),
    ("unequal", lambda it: it.count != 3, rq.Compare("<>", path("count"), number("3"))),
    ("int for a Decimal", lambda it: it.total > 1, rq.Compare(">", path("total"), number("1"))),
    ("less", lambda it: it.count < 3, rq.Compare("<", path("count"), number("3"))),
    ("at most", lambda it: it.count <= 3, rq.Compare("<=", path("count"), number("3"))),
    ("turned round", lambda it: Decimal(5) < it.total, rq.Compare(">", path("total"), number("5"))),
    ("renamed", lambda it: it.state == State.OPEN, rq.Compare("=", path("st"), text("open"))),
    ("two fields", lambda it: it.first == it.second, rq.Compare("=", path("first"), path("second"))),
    ("bare bool", lambda it: it.locked, rq.Compare("=", path("locked"), TRUE)),
    ("not", lambda it: not_(it.locked), rq.Not(rq.Compare("=", path("locked"), TRUE))),
    (
        "and, flattened",
        lambda it: (it.count > 1) & it.locked & (it.count < 3),
        rq.And(
            (
                rq.Compare(">", path("count"), number("1")),
                rq.Compare("=", path("locked"), TRUE),
                rq.Compare("<", path("count"), number("3")),
            )
        ),
    ),
    (
        "or",
        lambda it: it.locked | (it.count == 1),
        rq.Or((rq.Compare("=", path("locked"), TRUE), rq.Compare("=", path("count"), number("1")))),
    ),
    ("exists", lambda it: exists(it.note), rq.Exists(path("note"))),
    ("not exists", lambda it: not_exists(it.note), rq.NotExists(path("note"))),
    (
        "is None",
        lambda it: it.note == None,
        rq.Or((rq.NotExists(path("note")), rq.HasType(path("note"), "NULL"))),
    ),
    (
        "is not None",
        lambda it: it.note != None,
        rq.Not(rq.Or((rq.NotExists(path("note")), rq.HasType(path("note"), "NULL")))),
    ),
    ("prefix", lambda it: begins_with(it.first, "a"), rq.BeginsWith(path("first"), text("a"))),
    ("member", lambda it: contains(it.tags, "a"), rq.Contains(path("tags"), text("a"))),
    ("substring", lambda it: contains(it.first, "a"), rq.Contains(path("first"), text("a"))),
    ("between", lambda it: between(it.count, 1, 3), rq.Between(path("count"), number("1"), number("3"))),
    ("one of", lambda it: is_in(it.count, [1, 2]), rq.In(path("count"), (number("1"), number("2")))),
    ("size", lambda it: size(it.lines) > 2, rq.Compare(">", rq.Size(path("lines")), number("2"))),
    (
        "nested",
        lambda it: it.address.city == "Ulm",  # type: ignore[union-attr]
        rq.Compare("=", path("address", "city"), text("Ulm")),
    ),
    ("list member", lambda it: it.lines[0].city == "Ulm", rq.Compare("=", path("lines", 0, "city"), text("Ulm"))),
    ("dict member", lambda it: it.prices["x.y"] >= Decimal(2), rq.Compare(">=", path("prices", "x.y"), number("2"))),
    ("spread member", lambda it: it.holds["EUR"] > 0, rq.Compare(">", path("h_EUR"), number("0"))),
]


@pytest.mark.parametrize(("where", "tree"), [row[1:] for row in CONDITIONS], ids=[row[0] for row in CONDITIONS])
def test_a_condition_is_recorded_as_a_tree(where: Callable[[Order], bool], tree: rq.Condition) -> None:
    """Values are constants in stored form, never text of an expression."""
    assert tree == condition(where)


def test_a_ready_made_tree_is_taken_as_it_is() -> None:
    """DAOs build static conditions once."""
    assert rq.Exists(path("note")) == record_condition(Recorder(ORDER.mapped), rq.Exists(path("note")))


def chained(it: Order) -> bool:
    return 1 < it.count < 3


@pytest.mark.parametrize(
    "where",
    [
        lambda it: it.locked and it.count > 1,
        lambda it: it.locked or it.count > 1,
        lambda it: not it.locked,
        lambda it: (it.count > 1) and it.locked,
        lambda it: not (it.count > 1),
        chained,
        lambda it: "a" in it.tags,
        lambda it: bool(it.count > 1),
    ],
    ids=["and", "or", "not", "and on a comparison", "not on a comparison", "chained", "in", "bool"],
)
def test_what_python_would_evaluate_by_itself_is_refused(where: Callable[[Order], bool]) -> None:
    """Else half of the condition would silently be dropped. The error says what to write."""
    with pytest.raises(TypeError, match=r"Write & for 'and'"):
        condition(where)


@pytest.mark.parametrize(
    ("where", "error", "told"),
    [
        (lambda it: it.totl > 1, AttributeError, "no stored field 'totl'; it has: address"),
        (lambda it: it.address.town == "x", AttributeError, "address has no stored field 'town'"),
        (lambda it: it.total >= "5", InvalidInput, "total must be a Decimal"),
        (lambda it: it.count == Decimal(1), InvalidInput, "count must be an int"),
        (lambda it: it.total > 1.5, InvalidInput, "total must be a Decimal"),
        (lambda it: it.count == 1.5, InvalidInput, "count must be an int"),
        (lambda it: it.state == "open", InvalidInput, "state must be a State"),
        (lambda it: it.lines > [], TypeError, "lines has no order"),
        (lambda it: it.count == None, TypeError, "count is never None"),
        (lambda it: it.count, TypeError, "returned RecordedValue"),
        (lambda it: it.count["a"], TypeError, "count has no members"),
        (lambda it: it.lines["a"], TypeError, "named by int"),
        (lambda it: it.lines[-1], TypeError, "from 0"),
        (lambda it: it.prices[0], TypeError, "named by str"),
        (lambda it: it.holds == {}, TypeError, "returned bool"),
        (lambda it: it.holds[1] == 1, TypeError, "named by a text"),
        (lambda it: it.count + 1 > 2, TypeError, "belongs into a change"),
        (lambda it: is_in(it.count, []), InvalidInput, "1 to 100 options"),
        (lambda it: exists("note"), TypeError, "Give a field of the item"),
        (lambda it: between(it.lines, [], []), TypeError, "no order"),
        (lambda it: [one for one in it.lines], TypeError, "cannot be walked over"),  # noqa: C416
        (lambda it: True, TypeError, "returned bool"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mistake_in_a_condition_is_an_error_when_it_is_built(
    where: Callable[[Any], Any], error: type[Exception], told: str
) -> None:
    """Misspelt fields, other types and floats never reach the engine."""
    with pytest.raises(error, match=told):
        condition(where)


CHANGES: list[tuple[str, Callable[[Change[Order], Order], None], rq.Update]] = [
    ("set", lambda c, it: c.set(it.total, Decimal(2)), rq.Update(set=((path("total"), number("2")),))),
    ("set an int", lambda c, it: c.set(it.total, 2), rq.Update(set=((path("total"), number("2")),))),
    ("set None", lambda c, it: c.set(it.note, None), rq.Update(remove=(path("note"),))),
    ("set empty set", lambda c, it: c.set(it.tags, set()), rq.Update(remove=(path("tags"),))),
    ("set renamed", lambda c, it: c.set(it.state, State.OPEN), rq.Update(set=((path("st"), text("open")),))),
    ("copy", lambda c, it: c.set(it.first, it.second), rq.Update(set=((path("first"), path("second")),))),
    (
        "arithmetic",
        lambda c, it: c.set(it.total, it.total - Decimal(1)),
        rq.Update(set=((path("total"), rq.Minus(path("total"), number("1"))),)),
    ),
    (
        "default",
        lambda c, it: c.set_default(it.note, "x"),
        rq.Update(set=((path("note"), rq.IfNotExists(path("note"), text("x"))),)),
    ),
    ("add number", lambda c, it: c.add(it.count, 2), rq.Update(add=((path("count"), number("2")),))),
    ("add members", lambda c, it: c.add(it.tags, {"a"}), rq.Update(add=((path("tags"), rq.Constant({"SS": ["a"]})),))),
    ("add spread", lambda c, it: c.add(it.holds["EUR"], -2), rq.Update(add=((path("h_EUR"), number("-2")),))),
    ("remove", lambda c, it: c.remove(it.note), rq.Update(remove=(path("note"),))),
    ("remove member", lambda c, it: c.remove(it.prices["a"]), rq.Update(remove=(path("prices", "a"),))),
    (
        "append",
        lambda c, it: c.append(it.lines, [Address(city="x")]),
        rq.Update(
            set=(
                (
                    path("lines"),
                    rq.ListAppend(
                        rq.IfNotExists(path("lines"), rq.Constant({"L": []})),
                        rq.Constant({"L": [{"M": {"city": {"S": "x"}}}]}),
                    ),
                ),
            )
        ),
    ),
    (
        "delete members",
        lambda c, it: c.delete(it.tags, {"b", "a"}),
        rq.Update(delete=((path("tags"), rq.Constant({"SS": ["a", "b"]})),)),
    ),
    (
        "nested",
        lambda c, it: c.set(it.address.zip_code, None),  # type: ignore[union-attr]
        rq.Update(set=((path("address", "zip_code"), rq.Constant({"NULL": True})),)),
    ),
]


@pytest.mark.parametrize(("callback", "tree"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_a_change_is_recorded_as_a_tree(callback: Callable[[Change[Order], Order], None], tree: rq.Update) -> None:
    """Clause by clause, in the order of the calls."""
    assert tree == change(callback)


def touches_twice(c: Change[Order], it: Order) -> None:
    c.set(it.address, Address(city="x"))
    c.set(it.address.city, "y")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("callback", "error", "told"),
    [
        (lambda c, it: None, InvalidInput, "changes nothing"),
        (touches_twice, InvalidInput, "touches address.city twice"),
        (lambda c, it: c.set(it.total, "5"), InvalidInput, "total"),
        (lambda c, it: c.set(it.total, Decimal("1.001")), InvalidInput, "2 decimal places"),
        (lambda c, it: c.set(it.count, -1), InvalidInput, "greater_than_equal"),
        (lambda c, it: c.set(it.count, None), InvalidInput, "count"),
        (lambda c, it: c.add(it.total, Decimal("0.001")), InvalidInput, "2 decimal places"),
        (lambda c, it: c.add(it.first, "x"), TypeError, "neither a number nor a set"),
        (lambda c, it: c.add(it.tags, set()), InvalidInput, "nothing to add"),
        (lambda c, it: c.remove(it.total), InvalidInput, "required by the model"),
        (lambda c, it: c.delete(it.lines, {"a"}), TypeError, "no set"),
        (lambda c, it: c.set(it.total, size(it.lines)), TypeError, "size of lines cannot be stored"),
        (lambda c, it: c.set(it.first, it.first + "x"), TypeError, "first is no number"),
        (lambda c, it: c.set("total", 1), TypeError, "Give a field"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mistake_in_a_change_is_an_error_when_it_is_built(
    callback: Callable[[Any, Any], None], error: type[Exception], told: str
) -> None:
    """Values are checked against the field's annotation, which type checkers cannot do here."""
    with pytest.raises(error, match=told):
        change(callback)


@pytest.mark.parametrize(
    ("callback", "repeatable"),
    [
        (lambda c, it: c.set(it.total, Decimal(1)), True),
        (lambda c, it: c.set_default(it.note, "x"), True),
        (lambda c, it: c.add(it.tags, {"a"}), True),
        (lambda c, it: c.delete(it.tags, {"a"}), True),
        (lambda c, it: c.remove(it.note), True),
        (lambda c, it: c.add(it.count, 1), False),
        (lambda c, it: c.append(it.lines, [Address(city="x")]), False),
        (lambda c, it: c.set(it.count, it.count + 1), False),
        (lambda c, it: c.set(it.first, it.second), False),
        (lambda c, it: c.remove(it.lines[0]), False),
    ],
    ids=["set", "default", "add members", "delete", "remove", "add", "append", "plus", "copy", "remove by index"],
)
def test_only_changes_that_may_be_applied_twice_count_as_repeatable(
    callback: Callable[[Change[Order], Order], None], repeatable: bool
) -> None:
    """The others are never sent again after an attempt whose outcome is unknown."""
    assert repeatable == is_repeatable(change(callback))
